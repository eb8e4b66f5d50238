/* index.h - the type Index of the module _search. */
#ifndef NLSH_PYTHON_INDEX_H
#define NLSH_PYTHON_INDEX_H

#include "python.h"

/* Adds the type Index to the module; -1 with an exception. */
int index_begin(PyObject *module);

#endif
