/*
 * options.c - see options.h.
 *
 * A Filter holds a bit for each row number, packed once and used in any number of searches. A filter that is
 * a function is called from the threads that search: they wait for the GIL each time.
 */
#define _GNU_SOURCE /* sched_getaffinity() */
#include "options.h"

#include <sched.h>
#include <string.h>

#include "failure.h"
#include "fitted.h"

struct filter_object {
    PyObject_HEAD PyObject *words; /* bytes */
    size_t n_bits;
};

static PyTypeObject *filter_type;

static PyObject *filter_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"words", "n_bits", NULL};
    PyObject *words;
    Py_ssize_t n_bits;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Sn", names, &words, &n_bits)) return NULL;
    if (n_bits < 0 || PyBytes_Size(words) != (n_bits + 63) / 64 * 8)
        return raise_argument("make it of a mask: nlsh.Filter(mask)",
                              "filter: %zd bytes do not hold %zd bits", PyBytes_Size(words),
                              n_bits);
    struct filter_object *self = (struct filter_object *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(words);
    self->words = words;
    self->n_bits = (size_t)n_bits;
    return (PyObject *)self;
}

static void filter_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    Py_CLEAR(((struct filter_object *)object)->words);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

static Py_ssize_t filter_length(PyObject *self)
{
    return (Py_ssize_t)((struct filter_object *)self)->n_bits;
}

static PyType_Slot filter_slots[] = {
    {Py_tp_new, filter_new},
    {Py_tp_dealloc, filter_dealloc},
    {Py_sq_length, filter_length},
    {Py_tp_doc, "Bits of rows that an answer may hold, packed."},
    {0, NULL},
};
static PyType_Spec filter_spec = {
    .name = "nlsh._search.Filter",
    .basicsize = sizeof(struct filter_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = filter_slots,
};

int options_begin(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&filter_spec);
    if (type == NULL) return -1;
    filter_type = (PyTypeObject *)type;
    Py_INCREF(type);
    return PyModule_AddObject(module, "Filter", type);
}

static int given(PyObject *object)
{
    return object != NULL && object != Py_None;
}

/* Called without the GIL, from any thread. After an exception nothing is allowed any more. */
static int callback_allows(void *user, uint64_t key)
{
    struct filter *filter = user;
    if (__atomic_load_n(&filter->failed, __ATOMIC_RELAXED)) return 0;
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *answer = PyObject_CallFunction(filter->callback, "K", (unsigned long long)key);
    int yes = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    if (yes < 0 && !filter->failed) {
        PyErr_Fetch(&filter->type, &filter->value, &filter->trace);
        __atomic_store_n(&filter->failed, 1, __ATOMIC_RELAXED);
    } else if (yes < 0) {
        PyErr_Clear();
    }
    PyGILState_Release(state);
    return yes > 0;
}

static int filter_take(PyObject *object, struct filter *out)
{
    if (fitted_is(object)) {
        Py_INCREF(object);
        out->holder = object;
        out->fitted = 1;
        return 0;
    }
    if (PyCallable_Check(object)) {
        Py_INCREF(object);
        out->holder = out->callback = object;
        out->filter.allows = callback_allows;
        out->filter.user = out;
        return 0;
    }
    if (PyObject_TypeCheck(object, filter_type)) {
        Py_INCREF(object);
        out->holder = object;
    } else { /* a mask, packed for this call */
        PyObject *make = from_module("nlsh", "Filter");
        out->holder = make != NULL ? PyObject_CallFunctionObjArgs(make, object, NULL) : NULL;
        Py_XDECREF(make);
        if (out->holder == NULL) return -1;
    }
    const struct filter_object *filter = (const struct filter_object *)out->holder;
    /* malloc aligns what lies behind the header of a bytes object to 8 bytes: that header has 32. */
    out->filter.bits = (const uint64_t *)(const void *)PyBytes_AsString(filter->words);
    out->filter.n_bits = filter->n_bits;
    return 0;
}

int filter_end(struct filter *filter)
{
    Py_CLEAR(filter->holder);
    if (!filter->failed) return 0;
    PyErr_Restore(filter->type, filter->value, filter->trace);
    return -1;
}

/* A number at least 1, into *out; -1 with an exception. */
static int count_take(PyObject *object, const char *name, size_t *out)
{
    Py_ssize_t number = PyNumber_AsSsize_t(object, PyExc_OverflowError);
    if (number == -1 && PyErr_Occurred()) return -1;
    if (number >= 1) {
        *out = (size_t)number;
        return 0;
    }
    raise_argument("give a whole number from 1 on", "%s is %zd", name, number);
    return -1;
}

/* probes and threshold are one number in the library, told apart by being below 1. */
static int amount_take(const struct wishes *wishes, struct nlsh_search_options *options)
{
    size_t probes;
    options->recall = wishes->recall;
    options->cautious = wishes->cautious;
    if (given(wishes->probes) && given(wishes->threshold)) {
        raise_argument("give one of the two", "both probes and threshold are given");
        return -1;
    }
    if (given(wishes->probes)) {
        if (count_take(wishes->probes, "probes", &probes) != 0) return -1;
        options->probes = (double)probes;
    } else if (given(wishes->threshold)) {
        options->probes = PyFloat_AsDouble(wishes->threshold);
        if (options->probes == -1 && PyErr_Occurred()) return -1;
        if (!(options->probes > 0 && options->probes < 1)) {
            raise_argument("give a probability between 0 and 1; probes= is a number of buckets",
                           "threshold is %g", options->probes);
            return -1;
        }
    }
    return 0;
}

size_t n_processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
}

int options_take(const struct wishes *wishes, struct nlsh_search_options *options,
                 struct filter *filter)
{
    nlsh_search_options_init(options, sizeof *options);
    memset(filter, 0, sizeof *filter);
    if (wishes->k < 1) {
        raise_argument("give a whole number from 1 to the number of vectors", "k is %zd",
                       wishes->k);
        return -1;
    }
    options->k = (size_t)wishes->k;
    if (amount_take(wishes, options) != 0) return -1;
    options->n_threads = 0;
    if (given(wishes->threads) && count_take(wishes->threads, "threads", &options->n_threads) != 0)
        return -1;
    if (given(wishes->rerank) && count_take(wishes->rerank, "rerank", &options->rerank) != 0)
        return -1;
    if (!given(wishes->filter)) return 0;
    if (filter_take(wishes->filter, filter) != 0) return -1;
    if (!filter->fitted) options->filter = &filter->filter;
    return 0;
}
