/*
 * vectors.c - see vectors.h.
 *
 * In: the buffer protocol, which numpy, array.array, memoryview, mmap and bytes speak. Out: numpy.empty,
 * whose memory is found through the buffer protocol too, so nothing of numpy is needed to compile this.
 */
#include "vectors.h"

#include <string.h>

#include "failure.h"

static PyObject *empty, *types[2]; /* numpy.empty, the dtypes by answer_kind */

int vectors_begin(void)
{
    if (empty != NULL) return 0;
    static const char *const names[] = {"uint64", "float32"};
    PyObject *dtype = from_module("numpy", "dtype");
    if (dtype == NULL) return -1;
    for (int i = 0; i < 2; i++) {
        types[i] = PyObject_CallFunction(dtype, "s", names[i]);
        if (types[i] == NULL) break;
    }
    Py_DECREF(dtype);
    if (types[0] == NULL || types[1] == NULL) return -1;
    empty = from_module("numpy", "empty");
    return empty == NULL ? -1 : 0;
}

/* The type that a buffer's format names; 0 where the library has no such. */
static enum nlsh_type type_of(const Py_buffer *view, int ids_too)
{
    const char *format = view->format != NULL ? view->format : "B";
    if (*format == '@' || *format == '=') format++; /* the machine's order */
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && *format == '<') format++;
    if (format[0] == 0 || format[1] != 0) return 0;
    switch (format[0]) {
    case 'f': return view->itemsize == 4 ? NLSH_F32 : 0;
    case 'd': return view->itemsize == 8 ? NLSH_F64 : 0;
    case 'e': return view->itemsize == 2 ? NLSH_F16 : 0;
    case 'B': return NLSH_U8;
    case 'b': return NLSH_I8;
    case 'i': return ids_too && view->itemsize == 4 ? NLSH_I32 : 0;
    default: return 0;
    }
}

/* Whether the library can read the array where it lies; then it is in out->matrix. */
static int as_it_lies(struct vectors *out, int ids_too)
{
    const Py_buffer *view = &out->view;
    enum nlsh_type type = type_of(view, ids_too);
    if (type == 0 || view->ndim < 1 || view->ndim > 2 || view->suboffsets != NULL) return 0;
    int last = view->ndim - 1;
    size_t n_rows = last == 0 ? 1 : (size_t)view->shape[0], dim = (size_t)view->shape[last];
    size_t row_bytes = dim * (size_t)view->itemsize, stride = row_bytes;
    if (dim > 1 && view->strides[last] != view->itemsize) return 0;
    if (last == 1 && n_rows > 1) {
        if (view->strides[0] < 0 || (size_t)view->strides[0] < row_bytes) return 0;
        stride = (size_t)view->strides[0];
    }
    /* The library reads whole values: they must stand where the processor may read them. */
    size_t size = (size_t)view->itemsize;
    if (((uintptr_t)view->buf | stride) % size != 0) return 0;
    out->is_one = last == 0;
    out->matrix = (struct nlsh_matrix){view->buf, n_rows, dim, type, stride};
    return 1;
}

/* 1: the object has a buffer that the library can read; it is held. */
static int take_buffer(PyObject *object, int ids_too, struct vectors *out)
{
    if (!PyObject_CheckBuffer(object)) return 0;
    if (PyObject_GetBuffer(object, &out->view, PyBUF_RECORDS_RO) != 0) {
        PyErr_Clear(); /* no strides, or no format that a buffer can tell: nlsh._arrays knows more */
        return 0;
    }
    if (as_it_lies(out, ids_too)) return 1;
    PyBuffer_Release(&out->view);
    return 0;
}

int vectors_take(PyObject *object, const char *what, int ids_too, struct vectors *out)
{
    if (take_buffer(object, ids_too, out)) return 0;
    PyObject *convert = from_module("nlsh._arrays", "as_vectors");
    if (convert == NULL) return -1;
    PyObject *array = PyObject_CallFunction(convert, "Os", object, what);
    Py_DECREF(convert);
    if (array == NULL) return -1;
    int taken = take_buffer(array, ids_too, out);
    Py_DECREF(array); /* the buffer holds it */
    if (taken) return 0;
    raise_argument("this is a bug in nlsh: please report it",
                   "%s: the converted array is not readable", what);
    return -1;
}

void vectors_release(struct vectors *vectors)
{
    PyBuffer_Release(&vectors->view);
}

int answer_make(enum answer_kind kind, size_t n_rows, size_t width, int is_one, struct answer *out)
{
    PyObject *shape = is_one ? PyLong_FromSize_t(width)
                             : Py_BuildValue("nn", (Py_ssize_t)n_rows, (Py_ssize_t)width);
    if (shape == NULL) return -1;
    out->array = PyObject_CallFunctionObjArgs(empty, shape, types[kind], NULL);
    Py_DECREF(shape);
    if (out->array == NULL) return -1;
    Py_buffer view;
    if (PyObject_GetBuffer(out->array, &view, PyBUF_WRITABLE) != 0) {
        Py_CLEAR(out->array);
        return -1;
    }
    out->data = view.buf;
    PyBuffer_Release(&view);
    return 0;
}
