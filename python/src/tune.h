/* tune.h - functions of the module _learn that look for better settings. */
#ifndef NLSH_PYTHON_TUNE_H
#define NLSH_PYTHON_TUNE_H

#include "python.h"

extern PyMethodDef tune_functions[];

#endif
