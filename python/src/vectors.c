/*
 * vectors.c - see vectors.h.
 *
 * In: arrays of numpy, and the buffer protocol, which array.array, memoryview, mmap and bytes speak. Out:
 * numpy.empty. Where an array of numpy has its memory is asked through __array_struct__, which takes half as
 * long as a buffer of it, and needs nothing of numpy to compile this. Subclasses such as masked arrays and
 * memmap are Python's to judge.
 */
#include "vectors.h"

#include <string.h>

#include "failure.h"

/* What the capsule __array_struct__ points to, by numpy's array interface, version 3; frozen since 2006. */
struct array_struct {
    int two; /* 2: this is it */
    int n_dims;
    char kind;
    int item_size;
    int flags;
    Py_ssize_t *shape, *strides;
    void *data;
    PyObject *description;
};
enum { FLAG_NOT_SWAPPED = 0x200 };

static PyObject *empty, *types[2]; /* numpy.empty, the dtypes by answer_kind */
static PyObject *array_type;       /* numpy.ndarray */
static PyObject *struct_name;      /* "__array_struct__" */

int vectors_begin(void)
{
    static const char *const names[] = {"uint64", "float32"};
    if (struct_name != NULL) return 0;
    PyObject *dtype = from_module("numpy", "dtype");
    for (int i = 0; i < 2 && dtype != NULL; i++)
        types[i] = PyObject_CallFunction(dtype, "s", names[i]);
    Py_XDECREF(dtype);
    if (types[0] == NULL || types[1] == NULL) return -1;
    empty = from_module("numpy", "empty");
    array_type = empty != NULL ? from_module("numpy", "ndarray") : NULL;
    if (array_type != NULL) struct_name = PyUnicode_InternFromString("__array_struct__");
    return struct_name == NULL ? -1 : 0;
}

/* The struct of an array, which lives as long as the array stays as it is; NULL with an exception. */
static const struct array_struct *struct_of(PyObject *array, PyObject **capsule)
{
    const struct array_struct *found = NULL;
    *capsule = PyObject_GetAttr(array, struct_name);
    if (*capsule != NULL) found = PyCapsule_GetPointer(*capsule, NULL);
    if (found != NULL && found->two == 2) return found;
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_RuntimeError, "numpy's array interface has changed");
    Py_CLEAR(*capsule);
    return NULL;
}

/* The type of values of this kind and size; 0 where the library has no such. */
static enum nlsh_type type_of(char kind, Py_ssize_t size, int ids_too)
{
    switch (kind) {
    case 'f': return size == 4 ? NLSH_F32 : size == 8 ? NLSH_F64 : size == 2 ? NLSH_F16 : 0;
    case 'u': return size == 1 ? NLSH_U8 : 0;
    case 'i': return size == 1 ? NLSH_I8 : ids_too && size == 4 ? NLSH_I32 : 0;
    default: return 0;
    }
}

/* The kind that a buffer's format names, as numpy says it; 0 for all others and the other byte order. */
static char kind_of(const char *format)
{
    if (format == NULL) return 'u';
    if (*format == '@' || *format == '=') format++; /* the machine's order */
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && *format == '<') format++;
    if (format[0] == 0 || format[1] != 0) return 0;
    if (strchr("efd", format[0])) return 'f';
    return format[0] == 'B' ? 'u' : strchr("bi", format[0]) ? 'i' : 0;
}

/* Whether the library can read values that lie so; then they are in *out. */
static int as_it_lies(void *data, enum nlsh_type type, Py_ssize_t size, int n_dims,
                      const Py_ssize_t *shape, const Py_ssize_t *strides, struct vectors *out)
{
    if (type == 0 || n_dims < 1 || n_dims > 2) return 0;
    int last = n_dims - 1;
    size_t n_rows = last == 0 ? 1 : (size_t)shape[0], dim = (size_t)shape[last];
    size_t row_bytes = dim * (size_t)size, stride = row_bytes;
    if (dim > 1 && n_rows > 0 && strides[last] != size) return 0;
    if (last == 1 && n_rows > 1) {
        if (strides[0] < 0 || (size_t)strides[0] < row_bytes) return 0;
        stride = (size_t)strides[0];
    }
    /* The library reads whole values: they must stand where the processor may read them. */
    if (((uintptr_t)data | stride) % (size_t)size != 0) return 0;
    out->is_one = last == 0;
    out->matrix = (struct nlsh_matrix){data, n_rows, dim, type, stride};
    return 1;
}

/* 1: an array of numpy that the library can read; it is held. 0: it cannot. -1 with an exception. */
static int take_array(PyObject *object, int ids_too, struct vectors *out)
{
    PyObject *capsule;
    const struct array_struct *s = struct_of(object, &capsule);
    if (s == NULL) return -1;
    enum nlsh_type type = s->flags & FLAG_NOT_SWAPPED ? type_of(s->kind, s->item_size, ids_too) : 0;
    int taken = as_it_lies(s->data, type, s->item_size, s->n_dims, s->shape, s->strides, out);
    Py_DECREF(capsule);
    if (!taken) return 0;
    Py_INCREF(object);
    out->array = object;
    return 1;
}

/* The same of another object's buffer. */
static int take_buffer(PyObject *object, int ids_too, struct vectors *out)
{
    Py_buffer *view = &out->view;
    if (!PyObject_CheckBuffer(object) || PyObject_IsInstance(object, array_type) != 0) return 0;
    if (PyObject_GetBuffer(object, view, PyBUF_RECORDS_RO) != 0) {
        PyErr_Clear(); /* no strides, or no format that a buffer can tell: nlsh._arrays knows more */
        return 0;
    }
    enum nlsh_type type = type_of(kind_of(view->format), view->itemsize, ids_too);
    if (as_it_lies(view->buf, type, view->itemsize, view->ndim, view->shape, view->strides, out))
        return 1;
    PyBuffer_Release(view);
    return 0;
}

int vectors_take(PyObject *object, const char *what, int ids_too, struct vectors *out)
{
    out->array = NULL;
    out->view.obj = NULL;
    int taken = (PyObject *)Py_TYPE(object) == array_type ? take_array(object, ids_too, out)
                                                          : take_buffer(object, ids_too, out);
    if (taken != 0) return taken < 0 ? -1 : 0;
    PyObject *convert = from_module("nlsh._arrays", "as_vectors");
    PyObject *array = convert != NULL ? PyObject_CallFunction(convert, "Os", object, what) : NULL;
    Py_XDECREF(convert);
    if (array == NULL) return -1;
    taken = take_array(array, ids_too, out);
    Py_DECREF(array); /* *out holds it */
    if (taken == 0)
        raise_argument("this is a bug in nlsh: please report it",
                       "%s: the converted array is not readable", what);
    return taken > 0 ? 0 : -1;
}

void vectors_release(struct vectors *vectors)
{
    if (vectors->array != NULL)
        Py_CLEAR(vectors->array);
    else if (vectors->view.obj != NULL)
        PyBuffer_Release(&vectors->view);
}

int answer_make(enum answer_kind kind, size_t n_rows, size_t width, int is_one, struct answer *out)
{
    PyObject *capsule, *shape = is_one ? PyLong_FromSize_t(width)
                                       : Py_BuildValue("nn", (Py_ssize_t)n_rows, (Py_ssize_t)width);
    if (shape == NULL) return -1;
    out->array = PyObject_CallFunctionObjArgs(empty, shape, types[kind], NULL);
    Py_DECREF(shape);
    if (out->array == NULL) return -1;
    const struct array_struct *s = struct_of(out->array, &capsule);
    if (s == NULL) {
        Py_CLEAR(out->array);
        return -1;
    }
    out->data = s->data;
    Py_DECREF(capsule);
    return 0;
}
