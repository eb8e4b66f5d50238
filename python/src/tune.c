/* tune.c - see tune.h. */
#include "tune.h"

#include <stdlib.h>

#include "failure.h"
#include "names.h"
#include "nlsh/learn.h"
#include "settings.h"
#include "task.h"
#include "vectors.h"

struct tune {
    struct vectors base;
    struct nlsh_build_options build;
    struct nlsh_tune_options options;
    PyObject *texts; /* the tuple that the options' strings lie in */
    struct nlsh_tune_report report;
};

static void tune_free(void *user)
{
    struct tune *tune = user;
    vectors_release(&tune->base);
    Py_XDECREF(tune->texts);
    free(tune);
}

static enum nlsh_status tune_work(void *user, const struct nlsh_run *run, struct nlsh_error *error)
{
    struct tune *tune = user;
    return nlsh_tune(&tune->base.matrix, &tune->options, run, &tune->report, error);
}

/* The text of bytes or None at place i of the tuple. */
static const char *text_at(PyObject *texts, Py_ssize_t i)
{
    PyObject *item = PyTuple_GetItem(texts, i);
    return item == NULL || item == Py_None ? NULL : PyBytes_AsString(item);
}

/* Numbers by name over the defaults. */
static int numbers_take(PyObject *numbers, struct nlsh_tune_options *o)
{
    const struct {
        const char *name;
        size_t *to;
    } sizes[] = {{"trials", &o->n_trials},
                 {"folds", &o->n_folds},
                 {"epochs", &o->epochs},
                 {"top_k", &o->top_k},
                 {"final_epochs", &o->final_epochs}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        PyObject *number = PyDict_GetItemString(numbers, sizes[i].name);
        if (number == NULL || number == Py_None) continue;
        Py_ssize_t value = PyNumber_AsSsize_t(number, PyExc_OverflowError);
        if (value == -1 && PyErr_Occurred()) return -1;
        if (value < 0) {
            raise_argument("give a whole number from 1 on", "%s is %zd", sizes[i].name, value);
            return -1;
        }
        *sizes[i].to = (size_t)value;
    }
    return 0;
}

static PyObject *report_dict(const struct nlsh_tune_report *r)
{
    return Py_BuildValue("{s:n,s:n,s:n,s:n,s:d,s:d,s:d,s:d,s:i,s:i,s:s}", "n_complete",
                         (Py_ssize_t)r->n_complete, "n_pruned", (Py_ssize_t)r->n_pruned, "n_failed",
                         (Py_ssize_t)r->n_failed, "n_models", (Py_ssize_t)r->n_models, "best",
                         r->best, "first", r->first, "best_held_out", r->best_held_out,
                         "first_held_out", r->first_held_out, "defaults_stand", r->defaults_stand,
                         "left_to_another", r->left_to_another, "best_file", r->best_file);
}

/* The options but for the base and the build's settings; -1 with an exception. */
static int options_take(struct tune *tune, PyObject *numbers, const char *sampler,
                        const char *pruner, double timeout, int resume, int two_stage)
{
    static const char *const samplers[] = {"tpe", "random", "grid"};
    static const char *const pruners[] = {"none", "median", "hyperband"};
    struct nlsh_tune_options *o = &tune->options;
    nlsh_tune_options_init(o, sizeof *o);
    int s = choice_take(sampler, "sampler", samplers, 3);
    int p = s < 0 ? -1 : choice_take(pruner, "pruner", pruners, 3);
    if (p < 0 || numbers_take(numbers, o) != 0) return -1;
    o->build = &tune->build;
    o->sampler = (enum nlsh_sampler)s;
    o->pruner = (enum nlsh_pruner)p;
    o->timeout = timeout;
    o->resume = resume;
    o->two_stage = two_stage;
    o->folder = text_at(tune->texts, 0);
    o->study = text_at(tune->texts, 1);
    o->name = text_at(tune->texts, 2);
    o->space = text_at(tune->texts, 3);
    const char *objective = text_at(tune->texts, 4);
    if (objective != NULL) o->objective = objective;
    return PyErr_Occurred() != NULL ? -1 : 0;
}

static PyObject *tune_settings(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *base, *texts, *settings, *numbers, *progress, *threads, *cache;
    const char *sampler, *pruner;
    double timeout;
    int resume, two_stage;
    if (!PyArg_ParseTuple(args, "OO!O!O!ssdppOOO", &base, &PyTuple_Type, &texts, &PyDict_Type,
                          &settings, &PyDict_Type, &numbers, &sampler, &pruner, &timeout, &resume,
                          &two_stage, &progress, &threads, &cache))
        return NULL;
    struct tune *tune = calloc(1, sizeof *tune);
    if (tune == NULL) return PyErr_NoMemory();
    tune->report.struct_size = sizeof tune->report;
    Py_INCREF(texts);
    tune->texts = texts;
    if (settings_take(settings, &tune->build) != 0 ||
        options_take(tune, numbers, sampler, pruner, timeout, resume, two_stage) != 0 ||
        vectors_take(base, "base", 0, &tune->base) != 0) {
        tune_free(tune);
        return NULL;
    }
    if (task_run(tune_work, tune_free, tune, progress, threads, cache) != 0) return NULL;
    PyObject *report = report_dict(&tune->report);
    tune_free(tune);
    return report;
}

PyMethodDef tune_functions[] = {
    {"tune", tune_settings, METH_VARARGS,
     "tune(base, texts, settings, numbers, sampler, pruner, timeout, resume, two_stage, progress,\n"
     "threads, cache): see nlsh.tune(). Returns a dict."},
    {NULL, NULL, 0, NULL},
};
