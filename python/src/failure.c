/* failure.c - see failure.h. The classes stand in nlsh/_errors.py. */
#include "failure.h"

#include <stdarg.h>
#include <stdio.h>

PyObject *raise_error(const struct nlsh_error *error)
{
    PyObject *make = from_module("nlsh._errors", "error_of");
    if (make == NULL) return NULL;
    /* What the library quotes of a file need not be UTF-8. */
    PyObject *message = PyUnicode_DecodeLocale(error->message, "surrogateescape");
    PyObject *hint = message ? PyUnicode_DecodeLocale(error->hint, "surrogateescape") : NULL;
    PyObject *made =
        hint ? PyObject_CallFunction(make, "iOO", (int)error->status, message, hint) : NULL;
    if (made != NULL) PyErr_SetObject((PyObject *)Py_TYPE(made), made);
    Py_XDECREF(made);
    Py_XDECREF(hint);
    Py_XDECREF(message);
    Py_DECREF(make);
    return NULL;
}

PyObject *raise_argument(const char *hint, const char *format, ...)
{
    struct nlsh_error error = {.status = NLSH_E_ARG};
    va_list args;
    va_start(args, format);
    vsnprintf(error.message, sizeof error.message, format, args);
    va_end(args);
    snprintf(error.hint, sizeof error.hint, "%s", hint);
    return raise_error(&error);
}
