/* failure.h - statuses of the library as Python's exceptions. */
#ifndef NLSH_PYTHON_FAILURE_H
#define NLSH_PYTHON_FAILURE_H

#include "nlsh/nlsh.h"
#include "python.h"

/* Sets the exception that stands for the error's status; returns NULL, for `return raise_error(&error)`. */
PyObject *raise_error(const struct nlsh_error *error);

/* The same for what the binding itself finds: NLSH_E_ARG with these words. */
PyObject *raise_argument(const char *hint, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
