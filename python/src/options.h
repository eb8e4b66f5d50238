/* options.h - the keywords that all searches share, and filters. */
#ifndef NLSH_PYTHON_OPTIONS_H
#define NLSH_PYTHON_OPTIONS_H

#include "nlsh/nlsh.h"
#include "python.h"

/* What a caller asked for. Zeroed, but for k and recall, before it is filled. */
struct wishes {
    Py_ssize_t k;
    double recall;
    PyObject *probes, *threshold, *filter, *threads,
        *rerank; /* borrowed; NULL or None: not given */
    int cautious;
};

/* A filter as the library takes it, and what keeps it alive and remembers an exception of a callback. */
struct filter {
    struct nlsh_filter filter;
    PyObject *holder, *callback;
    int fitted; /* 1: holder is one that was fitted (fitted.h), and filter is not set */
    PyObject *type, *value, *trace; /* what the callback raised */
    int failed;
};

/*
 * options_take() - wishes as options of a search.
 *
 *  options  n_threads is 0 where no number was given
 *  filter   made for the call; options->filter points to it, or is NULL. One that was fitted is the caller's to set
 * Returns 0, and filter_end() must follow the search; -1 with an exception.
 */
int options_take(const struct wishes *wishes, struct nlsh_search_options *options,
                 struct filter *filter);
/* Returns -1 where the callback raised; its exception is then set. */
int filter_end(struct filter *filter);

/* The processors that the process may use. */
size_t n_processors(void);

/* Adds the type Filter to the module; -1 with an exception. */
int options_begin(PyObject *module);

#endif
