/* change.c - see change.h. nlsh/_learning.py has the functions that people call, with defaults and words. */
#include "change.h"

#include <stdlib.h>

#include "failure.h"
#include "nlsh/learn.h"
#include "task.h"
#include "vectors.h"

/* ---- compact --------------------------------------------------------------------------------- */

struct compact {
    PyObject *path; /* bytes */
    struct nlsh_compact_options options;
    struct nlsh_compact_report report;
};

static void compact_free(void *user)
{
    struct compact *compact = user;
    Py_XDECREF(compact->path);
    free(compact);
}

static enum nlsh_status compact_work(void *user, const struct nlsh_run *run,
                                     struct nlsh_error *error)
{
    struct compact *compact = user;
    return nlsh_compact(PyBytes_AsString(compact->path), &compact->options, run, &compact->report,
                        error);
}

static PyObject *compact_report(const struct nlsh_compact_report *r)
{
    static const char *const done[] = {[NLSH_COMPACT_NOTHING] = "nothing",
                                       [NLSH_COMPACT_MERGED] = "merged",
                                       [NLSH_COMPACT_RETRAINED] = "retrained"};
    return Py_BuildValue("{s:s,s:n,s:n,s:n,s:K,s:O}", "done", done[r->done], "n_rows",
                         (Py_ssize_t)r->n_rows, "n_dropped", (Py_ssize_t)r->n_dropped, "log_rows",
                         (Py_ssize_t)r->log_rows, "log_bytes", (unsigned long long)r->log_bytes,
                         "measured", r->measured ? Py_True : Py_False);
}

static PyObject *compact_index(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *path, *progress, *threads, *cache;
    int retrain, automatic, drop_damaged;
    if (!PyArg_ParseTuple(args, "SpppOOO", &path, &retrain, &automatic, &drop_damaged, &progress,
                          &threads, &cache))
        return NULL;
    struct compact *compact = calloc(1, sizeof *compact);
    if (compact == NULL) return PyErr_NoMemory();
    compact->report.struct_size = sizeof compact->report;
    nlsh_compact_options_init(&compact->options, sizeof compact->options);
    compact->options.retrain = retrain;
    compact->options.automatic = automatic;
    compact->options.drop_damaged = drop_damaged;
    Py_INCREF(path);
    compact->path = path;
    if (task_run(compact_work, compact_free, compact, progress, threads, cache) != 0) return NULL;
    PyObject *report = compact_report(&compact->report);
    compact_free(compact);
    return report;
}

/* ---- calibrate ------------------------------------------------------------------------------- */

struct calibrate {
    PyObject *path, *out; /* bytes; out may be None: in place of path */
    struct vectors queries;
    struct nlsh_calibrate_report report;
};

static void calibrate_free(void *user)
{
    struct calibrate *calibrate = user;
    vectors_release(&calibrate->queries);
    Py_XDECREF(calibrate->path);
    Py_XDECREF(calibrate->out);
    free(calibrate);
}

static enum nlsh_status calibrate_work(void *user, const struct nlsh_run *run,
                                       struct nlsh_error *error)
{
    struct calibrate *calibrate = user;
    const char *out = calibrate->out == Py_None ? NULL : PyBytes_AsString(calibrate->out);
    return nlsh_calibrate(PyBytes_AsString(calibrate->path), &calibrate->queries.matrix, out, run,
                          &calibrate->report, error);
}

static PyObject *calibrate_index(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *path, *queries, *out, *progress, *threads;
    if (!PyArg_ParseTuple(args, "SOOOO", &path, &queries, &out, &progress, &threads)) return NULL;
    if (out != Py_None && PyBytes_AsString(out) == NULL) return NULL;
    struct calibrate *calibrate = calloc(1, sizeof *calibrate);
    if (calibrate == NULL) return PyErr_NoMemory();
    calibrate->report.struct_size = sizeof calibrate->report;
    Py_INCREF(path);
    calibrate->path = path;
    Py_INCREF(out);
    calibrate->out = out;
    if (vectors_take(queries, "queries", 0, &calibrate->queries) != 0) {
        calibrate_free(calibrate);
        return NULL;
    }
    if (task_run(calibrate_work, calibrate_free, calibrate, progress, threads, Py_None) != 0)
        return NULL;
    const struct nlsh_calibrate_report *r = &calibrate->report;
    PyObject *report =
        Py_BuildValue("{s:n,s:d,s:d,s:d,s:d}", "n_queries", (Py_ssize_t)r->n_queries,
                      "recall_before", r->recall_before, "candidates_before", r->candidates_before,
                      "recall", r->recall, "candidates", r->candidates);
    calibrate_free(calibrate);
    return report;
}

PyMethodDef change_functions[] = {
    {"compact", compact_index, METH_VARARGS,
     "compact(path, retrain, automatic, drop_damaged, progress, threads, cache): see "
     "nlsh.compact().\n"
     "Returns a dict."},
    {"calibrate", calibrate_index, METH_VARARGS,
     "calibrate(path, queries, out, progress, threads): see nlsh.calibrate(). Returns a dict."},
    {NULL, NULL, 0, NULL},
};
