/* change.h - functions of the module _learn that change an index file: compact, calibrate. */
#ifndef NLSH_PYTHON_CHANGE_H
#define NLSH_PYTHON_CHANGE_H

#include "python.h"

extern PyMethodDef change_functions[];

#endif
