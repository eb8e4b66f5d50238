/* build.c - see build.h. nlsh/_learning.py has the functions that people call, with defaults and words. */
#include "build.h"

#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "names.h"
#include "nlsh/learn.h"
#include "settings.h"
#include "task.h"
#include "vectors.h"

/* ---- build ----------------------------------------------------------------------------------- */

struct build {
    struct vectors base, queries; /* queries: all zeros where there are none */
    struct nlsh_build_options options;
    PyObject *path; /* bytes */
    Py_buffer keys; /* keys.obj is NULL: none */
    struct nlsh_build_report report;
};

static void build_free(void *user)
{
    struct build *build = user;
    vectors_release(&build->base);
    vectors_release(&build->queries);
    if (build->keys.obj != NULL) PyBuffer_Release(&build->keys);
    Py_XDECREF(build->path);
    free(build);
}

static enum nlsh_status build_work(void *user, const struct nlsh_run *run, struct nlsh_error *error)
{
    struct build *build = user;
    return nlsh_build(&build->base.matrix, &build->options, PyBytes_AsString(build->path), run,
                      &build->report, error);
}

static int keys_take(PyObject *keys, struct build *build)
{
    if (keys == Py_None) return 0;
    if (PyObject_GetBuffer(keys, &build->keys, 0) != 0) return -1;
    if ((size_t)build->keys.len != build->base.matrix.n_rows * sizeof(uint64_t)) {
        raise_argument("give one key for each vector", "keys: %zd keys, but %zu vectors",
                       build->keys.len / (Py_ssize_t)sizeof(uint64_t), build->base.matrix.n_rows);
        return -1;
    }
    build->options.keys = build->keys.buf;
    return 0;
}

static int queries_take(PyObject *queries, struct build *build)
{
    if (queries == Py_None) return 0;
    if (vectors_take(queries, "train_queries", 0, &build->queries) != 0) return -1;
    build->options.train_queries = &build->queries.matrix;
    return 0;
}

static PyObject *report_dict(const struct nlsh_build_report *r)
{
    static const char *const partitioners[] = {"auto", "metis", "kahip", "kmeans", "vcycle"};
    return Py_BuildValue("{s:{s:d,s:d,s:d,s:d},s:s,s:d,s:d,s:d,s:d,s:K}", "seconds", "graph",
                         r->seconds[NLSH_STAGE_GRAPH], "partition",
                         r->seconds[NLSH_STAGE_PARTITION], "train", r->seconds[NLSH_STAGE_TRAIN],
                         "write", r->seconds[NLSH_STAGE_WRITE], "partitioner",
                         partitioners[r->partitioner], "edge_cut", r->edge_cut, "loss", r->loss,
                         "held_out_candidates", r->held_out_candidates, "held_out_scanned",
                         r->held_out_scanned, "index_bytes", (unsigned long long)r->index_bytes);
}

static PyObject *build_index(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *base, *path, *settings, *keys, *queries, *progress, *threads, *cache;
    if (!PyArg_ParseTuple(args, "OSO!OOOOO", &base, &path, &PyDict_Type, &settings, &keys, &queries,
                          &progress, &threads, &cache))
        return NULL;
    struct build *build = calloc(1, sizeof *build);
    if (build == NULL) return PyErr_NoMemory();
    build->report.struct_size = sizeof build->report;
    Py_INCREF(path);
    build->path = path;
    if (settings_take(settings, &build->options) != 0 ||
        vectors_take(base, "base", 0, &build->base) != 0 || keys_take(keys, build) != 0 ||
        queries_take(queries, build) != 0) {
        build_free(build);
        return NULL;
    }
    if (task_run(build_work, build_free, build, progress, threads, cache) != 0) return NULL;
    PyObject *report = report_dict(&build->report);
    build_free(build);
    return report;
}

/* ---- ground truth ---------------------------------------------------------------------------- */

struct truth {
    struct vectors base, queries;
    enum nlsh_metric metric;
    size_t k;
    struct nlsh_neighbors neighbors;
};

static void truth_free(void *user)
{
    struct truth *truth = user;
    vectors_release(&truth->base);
    vectors_release(&truth->queries);
    nlsh_neighbors_free(&truth->neighbors);
    free(truth);
}

static enum nlsh_status truth_work(void *user, const struct nlsh_run *run, struct nlsh_error *error)
{
    struct truth *truth = user;
    return nlsh_ground_truth(&truth->base.matrix, &truth->queries.matrix, truth->metric, truth->k,
                             run, &truth->neighbors, error);
}

static PyObject *truth_pair(const struct truth *truth)
{
    struct answer ids = {NULL, NULL}, distances = {NULL, NULL};
    size_t n = truth->neighbors.n_rows, k = truth->neighbors.k;
    PyObject *pair = NULL;
    if (answer_make(ANSWER_U64, n, k, truth->queries.is_one, &ids) == 0 &&
        answer_make(ANSWER_F32, n, k, truth->queries.is_one, &distances) == 0) {
        if (n > 0) {
            memcpy(ids.data, truth->neighbors.ids, n * k * sizeof(uint64_t));
            memcpy(distances.data, truth->neighbors.distances, n * k * sizeof(float));
        }
        pair = PyTuple_Pack(2, ids.array, distances.array);
    }
    Py_XDECREF(ids.array);
    Py_XDECREF(distances.array);
    return pair;
}

static PyObject *ground_truth(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *base, *queries, *progress, *threads, *cache;
    const char *metric;
    Py_ssize_t k;
    if (!PyArg_ParseTuple(args, "OOsnOOO", &base, &queries, &metric, &k, &progress, &threads,
                          &cache))
        return NULL;
    struct truth *truth = calloc(1, sizeof *truth);
    if (truth == NULL) return PyErr_NoMemory();
    nlsh_neighbors_init(&truth->neighbors, sizeof truth->neighbors);
    truth->k = k < 0 ? 0 : (size_t)k;
    if (metric_take(metric, &truth->metric) != 0 ||
        vectors_take(base, "base", 0, &truth->base) != 0 ||
        vectors_take(queries, "queries", 0, &truth->queries) != 0) {
        truth_free(truth);
        return NULL;
    }
    if (task_run(truth_work, truth_free, truth, progress, threads, cache) != 0) return NULL;
    PyObject *pair = truth_pair(truth);
    truth_free(truth);
    return pair;
}

/* ---- recall ---------------------------------------------------------------------------------- */

/* Arrays [n x k]: uint64, uint64, float32 or None, float32 or None; nlsh._learning.recall() sees to that. */
static PyObject *recall(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *arrays[4], *answer = NULL;
    Py_buffer views[4];
    Py_ssize_t n, k;
    int n_views = 0;
    memset(views, 0, sizeof views);
    if (!PyArg_ParseTuple(args, "nnOOOO", &n, &k, &arrays[0], &arrays[1], &arrays[2], &arrays[3]))
        return NULL;
    for (; n_views < 4; n_views++) {
        if (arrays[n_views] == Py_None) continue;
        if (PyObject_GetBuffer(arrays[n_views], &views[n_views], 0) != 0) goto out;
        if (views[n_views].len != n * k * (n_views < 2 ? 8 : 4)) {
            PyErr_SetString(PyExc_ValueError, "arrays of different shapes");
            n_views++;
            goto out;
        }
    }
    const uint64_t *ids = views[0].buf, *truth_ids = views[1].buf;
    const float *distances = views[2].buf, *truth_distances = views[3].buf;
    double sum = 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        Py_ssize_t at = i * k;
        sum += nlsh_recall(ids + at, distances ? distances + at : NULL, truth_ids + at,
                           truth_distances ? truth_distances + at : NULL, (size_t)k);
    }
    answer = PyFloat_FromDouble(n > 0 ? sum / (double)n : 0);
out:
    for (int i = 0; i < n_views; i++)
        if (views[i].obj != NULL) PyBuffer_Release(&views[i]);
    return answer;
}

/* ---- the rest ------------------------------------------------------------------------------- */

static PyObject *cache_dir(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    const char *folder = nlsh_cache_default_dir();
    if (folder == NULL) Py_RETURN_NONE;
    return PyUnicode_DecodeFSDefault(folder);
}

PyMethodDef build_functions[] = {
    {"build", build_index, METH_VARARGS,
     "build(base, path, settings, keys, train_queries, progress, threads, cache): see "
     "nlsh.build(). Returns a dict."},
    {"ground_truth", ground_truth, METH_VARARGS,
     "ground_truth(base, queries, metric, k, progress, threads, cache): see nlsh.ground_truth()."},
    {"recall", recall, METH_VARARGS,
     "recall(n, k, ids, truth_ids, distances, truth_distances): see nlsh.recall()."},
    {"settings", settings_list, METH_NOARGS,
     "The settings of a build: (name, argument, help, default)."},
    {"cache_dir", cache_dir, METH_NOARGS, "The folder that the command keeps graphs in, or None."},
    {NULL, NULL, 0, NULL},
};
