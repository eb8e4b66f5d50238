/* index.h - the type Index of the module _search. */
#ifndef NLSH_PYTHON_INDEX_H
#define NLSH_PYTHON_INDEX_H

#include "python.h"
#include "shared.h"

/* An object of the type Index or one below it; shared is taken over, on an error too, and may be NULL: then an
 * exception is set already. NULL with an exception. */
PyObject *index_make(PyTypeObject *type, struct shared *shared);

/* Adds the type Index to the module; -1 with an exception. */
int index_begin(PyObject *module);

#endif
