/*
 * files.c - see files.h. What was read stays where the library put it: numpy is shown that memory through
 * __array_interface__, whose object the array keeps alive.
 */
#include "files.h"

#include "failure.h"
#include "nlsh/learn.h"
#include "vectors.h"

struct owner {
    PyObject_HEAD struct nlsh_vectors *vectors;
};

static PyTypeObject *owner_type;

static void owner_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    nlsh_vectors_free(((struct owner *)self)->vectors);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *owner_interface(PyObject *self, void *unused)
{
    (void)unused;
    static const char *const types[] = {[NLSH_U8] = "|u1",  [NLSH_I8] = "|i1",  [NLSH_F32] = "<f4",
                                        [NLSH_I32] = "<i4", [NLSH_F16] = "<f2", [NLSH_F64] = "<f8"};
    static const int sizes[] = {[NLSH_U8] = 1,  [NLSH_I8] = 1,  [NLSH_F32] = 4,
                                [NLSH_I32] = 4, [NLSH_F16] = 2, [NLSH_F64] = 8};
    const struct nlsh_matrix *m = nlsh_vectors_matrix(((struct owner *)self)->vectors);
    Py_ssize_t size = sizes[m->type];
    Py_ssize_t stride = m->stride != 0 ? (Py_ssize_t)m->stride : (Py_ssize_t)m->dim * size;
    return Py_BuildValue("{s:i,s:s,s:(nn),s:(nn),s:(NO)}", "version", 3, "typestr", types[m->type],
                         "shape", (Py_ssize_t)m->n_rows, (Py_ssize_t)m->dim, "strides", stride,
                         size, "data", PyLong_FromVoidPtr((void *)(uintptr_t)m->data), Py_False);
}

static PyGetSetDef owner_attributes[] = {
    {"__array_interface__", owner_interface, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot owner_slots[] = {
    {Py_tp_dealloc, owner_dealloc},
    {Py_tp_getset, owner_attributes},
    {Py_tp_doc, "Memory of the library that an array shows."},
    {0, NULL},
};
static PyType_Spec owner_spec = {
    .name = "nlsh._learn.Memory",
    .basicsize = sizeof(struct owner),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = owner_slots,
};

int files_begin(PyObject *module)
{
    owner_type = (PyTypeObject *)PyType_FromSpec(&owner_spec);
    if (owner_type == NULL) return -1;
    Py_INCREF(owner_type);
    return PyModule_AddObject(module, "Memory", (PyObject *)owner_type);
}

/* A format by its name, None: by name and content; -1 with an exception. */
static int format_take(PyObject *name, enum nlsh_format *format)
{
    *format = NLSH_FORMAT_AUTO;
    if (name == Py_None) return 0;
    PyObject *bytes = PyUnicode_AsUTF8String(name);
    if (bytes == NULL) return -1;
    *format = nlsh_format_from_name(PyBytes_AsString(bytes));
    if (*format == NLSH_FORMAT_AUTO)
        raise_argument(
            "take one of idx, fvecs, bvecs, ivecs, npy, fbin, u8bin, i8bin, ibin, f16bin, text",
            "format is \"%s\"", PyBytes_AsString(bytes));
    Py_DECREF(bytes);
    return *format == NLSH_FORMAT_AUTO ? -1 : 0;
}

static PyObject *read_vectors(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *path, *name;
    enum nlsh_format format;
    struct nlsh_error error;
    if (!PyArg_ParseTuple(args, "O&O", PyUnicode_FSConverter, &path, &name)) return NULL;
    struct owner *owner = (struct owner *)PyType_GenericAlloc(owner_type, 0);
    if (owner != NULL && format_take(name, &format) == 0) {
        PyThreadState *state = PyEval_SaveThread();
        enum nlsh_status status =
            nlsh_vectors_read(PyBytes_AsString(path), format, &owner->vectors, &error);
        PyEval_RestoreThread(state);
        if (status != NLSH_OK) raise_error(&error);
    }
    Py_DECREF(path);
    if (owner == NULL || owner->vectors != NULL) return (PyObject *)owner;
    Py_DECREF(owner);
    return NULL;
}

static PyObject *write_vectors(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *path, *array, *name;
    enum nlsh_format format;
    struct vectors vectors;
    struct nlsh_error error;
    enum nlsh_status status = NLSH_E_ARG;
    if (!PyArg_ParseTuple(args, "O&OO", PyUnicode_FSConverter, &path, &array, &name)) return NULL;
    if (format_take(name, &format) == 0 && vectors_take(array, "vectors", 1, &vectors) == 0) {
        PyThreadState *state = PyEval_SaveThread();
        status = nlsh_vectors_write(PyBytes_AsString(path), format, &vectors.matrix, &error);
        PyEval_RestoreThread(state);
        vectors_release(&vectors);
        if (status != NLSH_OK) raise_error(&error);
    }
    Py_DECREF(path);
    if (status != NLSH_OK) return NULL;
    Py_RETURN_NONE;
}

PyMethodDef files_functions[] = {
    {"read", read_vectors, METH_VARARGS, "read(path, format): what nlsh.read() shows as an array."},
    {"write", write_vectors, METH_VARARGS, "write(path, array, format): see nlsh.write()."},
    {NULL, NULL, 0, NULL},
};
