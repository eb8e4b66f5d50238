/* files.h - functions of the module _learn that read and write files of vectors. */
#ifndef NLSH_PYTHON_FILES_H
#define NLSH_PYTHON_FILES_H

#include "python.h"

extern PyMethodDef files_functions[];

/* Adds what read() hands its memory over in; -1 with an exception. */
int files_begin(PyObject *module);

#endif
