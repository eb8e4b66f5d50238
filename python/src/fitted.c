/* fitted.c - see fitted.h. */
#include "fitted.h"

#include "failure.h"

struct fitted_object {
    PyObject_HEAD struct shared *shared;
    struct nlsh_counted_filter *counted;
};

static PyTypeObject *fitted_type;

PyObject *fitted_make(struct shared *shared, const struct nlsh_filter *filter)
{
    struct nlsh_error error;
    struct fitted_object *self = (struct fitted_object *)PyType_GenericAlloc(fitted_type, 0);
    if (self == NULL) return NULL;
    self->shared = shared_hold(shared);
    PyThreadState *state = PyEval_SaveThread();
    enum nlsh_status status =
        nlsh_counted_filter_create(shared_index(shared), filter, &self->counted, &error);
    if (status == NLSH_OK) status = nlsh_counted_filter_fit(self->counted, &error);
    PyEval_RestoreThread(state);
    if (status == NLSH_OK) return (PyObject *)self;
    Py_DECREF((PyObject *)self);
    return raise_error(&error);
}

int fitted_is(PyObject *object)
{
    return PyObject_TypeCheck(object, fitted_type);
}

const struct nlsh_counted_filter *fitted_for(PyObject *object, const struct shared *shared)
{
    const struct fitted_object *fitted = (const struct fitted_object *)object;
    if (fitted->shared == shared) return fitted->counted;
    raise_argument("fit it again: index.fit(filter)",
                   "the filter was fitted for another index, or for another state of this one");
    return NULL;
}

static PyObject *fitted_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)type;
    (void)args;
    (void)kwargs;
    PyErr_SetString(PyExc_TypeError, "index.fit(filter) makes them");
    return NULL;
}

static void fitted_dealloc(PyObject *object)
{
    struct fitted_object *self = (struct fitted_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    nlsh_counted_filter_free(self->counted);
    shared_drop(self->shared);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static Py_ssize_t fitted_length(PyObject *self)
{
    return (Py_ssize_t)nlsh_counted_filter_n(((const struct fitted_object *)self)->counted);
}

static PyType_Slot fitted_slots[] = {
    {Py_tp_new, fitted_new},
    {Py_tp_dealloc, fitted_dealloc},
    {Py_sq_length, fitted_length},
    {Py_tp_doc,
     "A filter measured for one state of an index: what index.fit() gives. Its length is the\n"
     "number of vectors that it allows."},
    {0, NULL},
};
static PyType_Spec fitted_spec = {
    .name = "nlsh._search.FittedFilter",
    .basicsize = sizeof(struct fitted_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = fitted_slots,
};

int fitted_begin(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&fitted_spec);
    if (type == NULL) return -1;
    fitted_type = (PyTypeObject *)type;
    Py_INCREF(type);
    return PyModule_AddObject(module, "FittedFilter", type);
}
