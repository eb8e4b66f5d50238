/* fitted.h - a filter that was counted and measured for one state of an index. */
#ifndef NLSH_PYTHON_FITTED_H
#define NLSH_PYTHON_FITTED_H

#include "nlsh/nlsh.h"
#include "python.h"
#include "shared.h"

/* Of a filter as the library takes it, which is not needed afterwards; without the GIL meanwhile. shared is held by the
 * answer. NULL with an exception. */
PyObject *fitted_make(struct shared *shared, const struct nlsh_filter *filter);

/* 1: object is one. */
int fitted_is(PyObject *object);
/* Its filter; NULL with an exception where it is of another index, or of another state of this one. */
const struct nlsh_counted_filter *fitted_for(PyObject *object, const struct shared *shared);

/* Adds the type FittedFilter to the module; -1 with an exception. */
int fitted_begin(PyObject *module);

#endif
