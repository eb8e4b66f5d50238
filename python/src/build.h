/* build.h - functions of the module _learn that make things: an index, a ground truth, better settings. */
#ifndef NLSH_PYTHON_BUILD_H
#define NLSH_PYTHON_BUILD_H

#include "python.h"

extern PyMethodDef build_functions[];

#endif
