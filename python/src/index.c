/*
 * index.c - the type Index: open, search, route, close. nlsh/_index.py adds what needs no speed.
 *
 * One query goes to a searcher, many to a pool of threads, both kept with the index (shared.h). The GIL is
 * released while the library searches, and taken again between slices of a large batch, where Python
 * looks for Ctrl-C.
 */
#include "index.h"

#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "fitted.h"
#include "names.h"
#include "options.h"
#include "shared.h"
#include "vectors.h"

/* Up to so many queries one searcher is quicker than a pool, whose threads have to be woken. */
enum { FEW = 8 };
/* Queries between two looks for signals: the library's pools work through as many at a time. */
enum { SLICE = 16384 };

struct index_object {
    PyObject_HEAD struct shared *shared; /* NULL: closed */
};

/* The open index, held for the call; NULL with an exception. */
static struct shared *hold(PyObject *self)
{
    struct shared *shared = ((struct index_object *)self)->shared;
    if (shared != NULL) return shared_hold(shared);
    PyErr_SetString(PyExc_ValueError, "the index is closed");
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

PyObject *index_make(PyTypeObject *type, struct shared *shared)
{
    PyObject *self = shared != NULL ? PyType_GenericAlloc(type, 0) : NULL;
    if (self != NULL)
        ((struct index_object *)self)->shared = shared;
    else
        shared_drop(shared);
    return self;
}

static PyObject *index_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"path", "memory", NULL};
    const char *name = "map";
    enum nlsh_memory memory;
    PyObject *path, *self = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&|s", names, PyUnicode_FSConverter, &path,
                                     &name))
        return NULL;
    if (memory_take(name, &memory) == 0)
        self = index_make(type, shared_open(PyBytes_AsString(path), memory));
    Py_DECREF(path);
    return self;
}

static PyObject *index_share(PyObject *self, PyObject *unused)
{
    (void)unused;
    return index_make(Py_TYPE(self), hold(self));
}

static PyObject *index_refresh(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct shared *shared = hold(self);
    if (shared == NULL) return NULL;
    struct shared *now = shared_refresh(shared);
    int same = now == shared;
    shared_drop(shared);
    if (!same) return index_make(Py_TYPE(self), now);
    shared_drop(now);
    Py_INCREF(self);
    return self;
}

static PyObject *index_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct index_object *index = (struct index_object *)self;
    struct shared *shared = index->shared;
    index->shared = NULL;
    shared_drop(shared);
    Py_RETURN_NONE;
}

static void index_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    shared_drop(((struct index_object *)self)->shared);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* ---- search ---------------------------------------------------------------------------------- */

/* What a call of search() works with. */
struct call {
    struct shared *shared;
    struct vectors queries;
    struct nlsh_search_options options;
    struct filter filter;
};

/* A filter that was fitted serves the state of the index that it was fitted for. */
static int counted_take(struct call *call)
{
    if (!call->filter.fitted) return 0;
    call->options.counted = fitted_for(call->filter.holder, call->shared);
    return call->options.counted != NULL ? 0 : -1;
}

static int call_begin(PyObject *self, PyObject *queries, const struct wishes *wishes,
                      struct call *call)
{
    call->shared = hold(self);
    if (call->shared == NULL) return -1;
    if (options_take(wishes, &call->options, &call->filter) == 0) {
        if (counted_take(call) == 0 && vectors_take(queries, "queries", 0, &call->queries) == 0)
            return 0;
        (void)filter_end(&call->filter);
    }
    shared_drop(call->shared);
    return -1;
}

/* Returns the answer where it stands, and NULL where the filter failed. */
static PyObject *call_end(struct call *call, PyObject *answer)
{
    vectors_release(&call->queries);
    shared_drop(call->shared);
    if (filter_end(&call->filter) == 0) return answer;
    Py_XDECREF(answer);
    return NULL;
}

/* One after the other, on the calling thread. Returns 0; -1 with an exception. */
static int search_few(struct call *call, uint64_t *keys, float *distances)
{
    struct nlsh_error error;
    struct nlsh_searcher *searcher = searcher_take(call->shared);
    if (searcher == NULL) return -1;
    call->options.n_threads = 1;
    PyThreadState *state = PyEval_SaveThread();
    enum nlsh_status status =
        nlsh_search(searcher, &call->queries.matrix, &call->options, keys, distances, NULL, &error);
    PyEval_RestoreThread(state);
    searcher_give(call->shared, searcher);
    if (status != NLSH_OK) raise_error(&error);
    return status == NLSH_OK ? 0 : -1;
}

/* By a pool, slice by slice. A message counts queries in its slice: with more than one the slice is named. */
static int search_many(struct call *call, uint64_t *keys, float *distances)
{
    struct nlsh_error error;
    struct nlsh_matrix slice = call->queries.matrix;
    size_t n = slice.n_rows, k = call->options.k;
    size_t n_threads = call->options.n_threads ? call->options.n_threads : n_processors();
    struct nlsh_searcher_pool *pool = pool_take(call->shared, n_threads);
    if (pool == NULL) return -1;
    call->options.n_threads = 1; /* the pool knows its own */
    int result = 0;
    for (size_t at = 0; at < n && result == 0; at += SLICE) {
        slice.data = (const char *)call->queries.matrix.data + at * slice.stride;
        slice.n_rows = n - at < SLICE ? n - at : SLICE;
        PyThreadState *state = PyEval_SaveThread();
        enum nlsh_status status = nlsh_searcher_pool_search(
            pool, &slice, &call->options, keys + at * k, distances + at * k, NULL, &error);
        PyEval_RestoreThread(state);
        if (status != NLSH_OK) {
            if (at > 0) /* the message counts from the slice's first */
                snprintf(error.hint, sizeof error.hint, "counted from query %zu on", at);
            raise_error(&error);
            result = -1;
        } else {
            result = PyErr_CheckSignals();
        }
    }
    pool_give(call->shared, n_threads, pool);
    return result;
}

static const char search_doc[] =
    "search($self, queries, k=10, recall=0.95, *, probes=None, threshold=None, filter=None,\n"
    "       threads=None, rerank=None, cautious=False)\n--\n\n"
    "The k nearest neighbours of each query, approximately.\n\n"
    "queries    array [n, dim], or [dim] for one query. float32, float64, float16, uint8 and int8\n"
    "           are read where they lie, if each row is without gaps; other arrays are converted.\n"
    "k          neighbours wanted a query, from 1 to the number of vectors.\n"
    "recall     the recall@k wanted, between 0 and 1, as the build measured it on held-out "
    "vectors.\n"
    "probes     in its place: scan so many of the most probable buckets.\n"
    "threshold  in its place: scan every bucket with a higher probability, between 0 and 1.\n"
    "filter     which vectors an answer may hold: a bool array by row number, a Filter (the same,\n"
    "           packed once), a function of a key, or what fit() gave.\n"
    "threads    for many queries; None: all processors. One query takes one thread.\n"
    "rerank     vectors whose exact distance is computed; None: as the build measured.\n"
    "cautious   scan more for queries unlike those that the index was calibrated for.\n\n"
    "Returns (ids, distances): uint64 and float32, [n, k] or [k], nearest first. A missing place\n"
    "holds NO_KEY and infinity. Distances are Euclidean in the input's units (metric l2), negated\n"
    "inner products (ip), or 1 - cos, from 0 to 2 (cosine).";

static PyObject *index_search(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"queries", "k",       "recall", "probes",   "threshold",
                            "filter",  "threads", "rerank", "cautious", NULL};
    struct wishes wishes = {.k = 10, .recall = 0.95};
    struct call call;
    PyObject *queries;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "O|nd$OOOOOp", names, &queries, &wishes.k, &wishes.recall, &wishes.probes,
            &wishes.threshold, &wishes.filter, &wishes.threads, &wishes.rerank, &wishes.cautious) ||
        call_begin(self, queries, &wishes, &call) != 0)
        return NULL;

    PyObject *answer = NULL;
    struct answer ids = {NULL, NULL}, distances = {NULL, NULL};
    size_t n = call.queries.matrix.n_rows, k = call.options.k;
    int one = call.queries.is_one;
    if (answer_make(ANSWER_U64, n, k, one, &ids) == 0 &&
        answer_make(ANSWER_F32, n, k, one, &distances) == 0) {
        int failed = n <= FEW ? search_few(&call, ids.data, distances.data)
                              : search_many(&call, ids.data, distances.data);
        if (!failed) answer = PyTuple_Pack(2, ids.array, distances.array);
    }
    Py_XDECREF(ids.array);
    Py_XDECREF(distances.array);
    return call_end(&call, answer);
}

/* ---- everything within a radius -------------------------------------------------------------- */

/* What one query found. */
struct found {
    uint64_t *keys;
    float *distances;
    size_t n, capacity;
};

static enum nlsh_status find(struct nlsh_searcher *searcher, const struct nlsh_matrix *query,
                             const struct nlsh_search_options *options, double radius,
                             struct found *found, struct nlsh_error *error)
{
    for (;;) {
        enum nlsh_status status =
            nlsh_search_range(searcher, query, options, radius, found->keys, found->distances,
                              found->capacity, &found->n, error);
        if (status != NLSH_OK || found->n <= found->capacity) return status;
        /* More than there was room for: once again with enough. */
        free(found->keys);
        free(found->distances);
        found->capacity = found->n;
        found->keys = malloc(found->n * sizeof *found->keys);
        found->distances = malloc(found->n * sizeof *found->distances);
        if (found->keys == NULL || found->distances == NULL) {
            *error =
                (struct nlsh_error){.status = NLSH_E_NOMEM, .message = "no memory for the answer"};
            return NLSH_E_NOMEM;
        }
    }
}

/* (ids, distances) of what was found. */
static PyObject *pair_of(const struct found *found)
{
    PyObject *pair = NULL;
    struct answer ids = {NULL, NULL}, distances = {NULL, NULL};
    if (answer_make(ANSWER_U64, 1, found->n, 1, &ids) == 0 &&
        answer_make(ANSWER_F32, 1, found->n, 1, &distances) == 0) {
        if (found->n > 0) {
            memcpy(ids.data, found->keys, found->n * sizeof *found->keys);
            memcpy(distances.data, found->distances, found->n * sizeof *found->distances);
        }
        pair = PyTuple_Pack(2, ids.array, distances.array);
    }
    Py_XDECREF(ids.array);
    Py_XDECREF(distances.array);
    return pair;
}

/* The answer of one query, or a list with each query's. */
static PyObject *find_all(struct call *call, struct nlsh_searcher *searcher, double radius)
{
    struct nlsh_error error;
    struct found found = {NULL, NULL, 0, 0};
    struct nlsh_matrix query = call->queries.matrix;
    size_t n = query.n_rows;
    PyObject *list = PyList_New(0), *answer = NULL;
    query.n_rows = 1;
    for (size_t i = 0; i < n && list != NULL; i++) {
        query.data = (const char *)call->queries.matrix.data + i * query.stride;
        PyThreadState *state = PyEval_SaveThread();
        enum nlsh_status status = find(searcher, &query, &call->options, radius, &found, &error);
        PyEval_RestoreThread(state);
        if (status != NLSH_OK) {
            raise_error(&error);
            goto out;
        }
        PyObject *pair = pair_of(&found);
        if (pair == NULL || PyErr_CheckSignals() != 0 || PyList_Append(list, pair) != 0) {
            Py_XDECREF(pair);
            goto out;
        }
        Py_DECREF(pair);
    }
    answer = list != NULL && call->queries.is_one ? PyList_GetItem(list, 0) : list;
    Py_XINCREF(answer);
out:
    Py_XDECREF(list);
    free(found.keys);
    free(found.distances);
    return answer;
}

static const char search_range_doc[] =
    "search_range($self, queries, radius, k=10, recall=0.95, *, probes=None, threshold=None,\n"
    "             filter=None)\n--\n\n"
    "The vectors within a radius; recall is the share of them that comes back.\n\n"
    "queries    array [dim]: one query; or [n, dim].\n"
    "radius     a distance of the metric: >= 0 with l2 and cosine; with ip, -p finds products of "
    "at\n"
    "           least p.\n"
    "k          how many are thought of at first; as much is scanned as for k neighbours at "
    "least.\n"
    "The other arguments are search()'s.\n\n"
    "Returns (ids, distances), uint64 and float32 of equal length, nearest first; for [n, dim] a "
    "list\n"
    "of n such pairs. With probes or threshold what lies in other buckets is not found.";

static PyObject *index_search_range(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"queries", "radius",    "k",      "recall",
                            "probes",  "threshold", "filter", NULL};
    struct wishes wishes = {.k = 10, .recall = 0.95};
    struct call call;
    PyObject *queries;
    double radius;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Od|nd$OOO", names, &queries, &radius, &wishes.k,
                                     &wishes.recall, &wishes.probes, &wishes.threshold,
                                     &wishes.filter) ||
        call_begin(self, queries, &wishes, &call) != 0)
        return NULL;
    call.options.n_threads = 1;
    struct nlsh_searcher *searcher = searcher_take(call.shared);
    PyObject *answer = searcher != NULL ? find_all(&call, searcher, radius) : NULL;
    if (searcher != NULL) searcher_give(call.shared, searcher);
    return call_end(&call, answer);
}

/* ---- filters --------------------------------------------------------------------------------- */

static const char fit_doc[] =
    "fit($self, filter)\n--\n\n"
    "Measures a filter for this index, for a thousand searches or more through it.\n\n"
    "filter     as for search(): a bool array by row number, a Filter, or a function of a key.\n\n"
    "Returns a FittedFilter for search(filter=) and search_range(filter=) of this index as it is "
    "now.\n"
    "Where a filter goes with what the vectors show, as one class of pictures does, each search\n"
    "through it then costs a fraction; the recall is kept on average over queries like the base.";

static PyObject *index_fit(PyObject *self, PyObject *object)
{
    struct wishes wishes = {.k = 1, .recall = 0.95, .filter = object};
    struct nlsh_search_options options;
    struct filter filter;
    PyObject *fitted = NULL;
    struct shared *shared = hold(self);
    if (shared == NULL) return NULL;
    if (options_take(&wishes, &options, &filter) == 0) {
        if (filter.fitted || options.filter == NULL)
            raise_argument("give a mask, a Filter or a function", "there is nothing to fit");
        else
            fitted = fitted_make(shared, options.filter);
        if (filter_end(&filter) != 0) Py_CLEAR(fitted);
    }
    shared_drop(shared);
    return fitted;
}

/* ---- route ----------------------------------------------------------------------------------- */

static const char route_doc[] =
    "route($self, queries)\n--\n\n"
    "The router's answer: how probable it is that a neighbour lies in each bucket.\n\n"
    "queries    array [n, dim], or [dim] for one query, as for search().\n"
    "Returns float32 [n, n_buckets], or [n_buckets]; each row sums to 1, but for rounding.";

static PyObject *index_route(PyObject *self, PyObject *queries)
{
    struct wishes none = {.k = 1, .recall = 0.95};
    struct call call;
    struct nlsh_error error;
    if (call_begin(self, queries, &none, &call) != 0) return NULL;
    struct answer answer = {NULL, NULL};
    struct nlsh_searcher *searcher = searcher_take(call.shared);
    size_t n = call.queries.matrix.n_rows, m = shared_info(call.shared)->n_buckets;
    if (searcher != NULL && answer_make(ANSWER_F32, n, m, call.queries.is_one, &answer) == 0) {
        PyThreadState *state = PyEval_SaveThread();
        enum nlsh_status status = nlsh_route(searcher, &call.queries.matrix, answer.data, &error);
        PyEval_RestoreThread(state);
        if (status != NLSH_OK) {
            Py_CLEAR(answer.array);
            raise_error(&error);
        }
    }
    if (searcher != NULL) searcher_give(call.shared, searcher);
    return call_end(&call, answer.array);
}

/* ---- what it holds --------------------------------------------------------------------------- */

static PyObject *index_facts(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct shared *shared = hold(self);
    if (shared == NULL) return NULL;
    const struct nlsh_index_info *i = shared_info(shared);
    static const char *const types[] = {[NLSH_U8] = "uint8",
                                        [NLSH_I8] = "int8",
                                        [NLSH_F32] = "float32",
                                        [NLSH_F16] = "float16",
                                        [NLSH_BF16] = "bfloat16"};
    PyObject *facts = Py_BuildValue(
        "{s:n,s:n,s:s,s:s,s:n,s:n,s:n,s:K,s:n,s:n,s:s,s:d,s:I,s:n,s:i,s:n,s:n,s:K,s:K,s:i,s:n,s:d,"
        "s:d,s:d}",
        "n_rows", (Py_ssize_t)i->n_rows, "dim", (Py_ssize_t)i->dim, "dtype", types[i->type],
        "metric", nlsh_metric_name(i->metric), "n_buckets", (Py_ssize_t)i->n_buckets, "bucket_min",
        (Py_ssize_t)i->bucket_min, "bucket_max", (Py_ssize_t)i->bucket_max, "data_hash",
        (unsigned long long)i->data_hash, "router_weights", (Py_ssize_t)i->router_weights,
        "size_bytes", (Py_ssize_t)i->size_bytes, "settings", i->settings, "disagreement",
        i->disagreement, "format", i->format, "n_segments", (Py_ssize_t)i->n_segments, "has_keys",
        i->has_keys, "n_deleted", (Py_ssize_t)i->n_deleted, "log_rows", (Py_ssize_t)i->log_rows,
        "log_bytes", (unsigned long long)i->log_bytes, "log_left", (unsigned long long)i->log_left,
        "log_damaged", i->log_damaged, "n_changed", (Py_ssize_t)i->n_changed, "needed_trained",
        i->needed_trained, "needed_now", i->needed_now, "store_scale", (double)i->store_scale);
    shared_drop(shared);
    return facts;
}

static PyObject *index_filenos(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct shared *shared = hold(self);
    if (shared == NULL) return NULL;
    const struct content *content = shared_content(shared);
    PyObject *both = Py_BuildValue("(ii)", content_fd(content), content_log_fd(content));
    shared_drop(shared);
    return both;
}

static PyObject *index_closed(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct index_object *)self)->shared == NULL);
}

static PyMethodDef index_methods[] = {
    {"search", METHOD(index_search), METH_VARARGS | METH_KEYWORDS, search_doc},
    {"search_range", METHOD(index_search_range), METH_VARARGS | METH_KEYWORDS, search_range_doc},
    {"fit", index_fit, METH_O, fit_doc},
    {"route", index_route, METH_O, route_doc},
    {"close", index_close, METH_NOARGS,
     "close($self)\n--\n\nCloses the index. Searches that run are waited for by nobody: they end "
     "as they\n"
     "would, and the file is closed after the last. A second call does nothing."},
    {"_share", index_share, METH_NOARGS, "Another object of the same open index."},
    {"_facts", index_facts, METH_NOARGS, "nlsh_index_info() as a dict; settings are JSON."},
    {"_refresh", index_refresh, METH_NOARGS, "Another object of the state of now, or this one."},
    {"_filenos", index_filenos, METH_NOARGS,
     "Descriptors of the index file and of its log, for reading; -1 where there is no log."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef index_attributes[] = {
    {"closed", index_closed, NULL, "Whether the index is closed.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot index_slots[] = {
    {Py_tp_new, index_new},
    {Py_tp_dealloc, index_dealloc},
    {Py_tp_methods, index_methods},
    {Py_tp_getset, index_attributes},
    {Py_tp_doc, "An open index. Any number of threads may search it at the same time."},
    {0, NULL},
};
static PyType_Spec index_spec = {
    .name = "nlsh._search.Index",
    .basicsize = sizeof(struct index_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = index_slots,
};

int index_begin(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&index_spec);
    if (type == NULL) return -1;
    return PyModule_AddObject(module, "Index", type);
}
