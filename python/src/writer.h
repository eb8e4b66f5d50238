/* writer.h - the type Writer of the module _search, and what makes an empty index. */
#ifndef NLSH_PYTHON_WRITER_H
#define NLSH_PYTHON_WRITER_H

#include "python.h"

extern PyMethodDef writer_functions[];

/* Adds the type Writer to the module; -1 with an exception. */
int writer_begin(PyObject *module);

#endif
