/*
 * python.h - Python.h as both modules see it: the limited API of CPython 3.9, so that one binary serves 3.9
 * and all that come after.
 */
#ifndef NLSH_PYTHON_PYTHON_H
#define NLSH_PYTHON_PYTHON_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x03090000
#include <Python.h>

/*
 * Buffers entered the limited API with 3.11, with the very layout and functions that 3.9 and 3.10 have; the
 * headers only show them from 3.11 on. So they are declared here, word for word.
 */
#if Py_LIMITED_API + 0 < 0x030b0000
typedef struct {
    void *buf;
    PyObject *obj;
    Py_ssize_t len;
    Py_ssize_t itemsize;
    int readonly;
    int ndim;
    char *format;
    Py_ssize_t *shape;
    Py_ssize_t *strides;
    Py_ssize_t *suboffsets;
    void *internal;
} Py_buffer;
PyAPI_FUNC(int) PyObject_CheckBuffer(PyObject *obj);
PyAPI_FUNC(int) PyObject_GetBuffer(PyObject *obj, Py_buffer *view, int flags);
PyAPI_FUNC(void) PyBuffer_Release(Py_buffer *view);
#define PyBUF_WRITABLE 0x0001
#define PyBUF_FORMAT 0x0004
#define PyBUF_STRIDES (0x0010 | 0x0008)
#define PyBUF_RECORDS_RO (PyBUF_STRIDES | PyBUF_FORMAT)
#endif

/* The name of a method with keywords in a table: its arguments are (self, args, kwargs). */
#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

/* An attribute of a module of the package: new reference, or NULL with an exception. */
static inline PyObject *from_module(const char *module, const char *name)
{
    PyObject *found = PyImport_ImportModule(module);
    if (found == NULL) return NULL;
    PyObject *attribute = PyObject_GetAttrString(found, name);
    Py_DECREF(found);
    return attribute;
}

#endif
