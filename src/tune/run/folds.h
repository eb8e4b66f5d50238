/*
 * folds.h - the base cut into folds: rows to learn from, and held-out rows as their queries.
 *
 * The graph is found once, over all rows, with so many neighbours that enough of them lie in each
 * fold's rows: those that do are, in their order, the nearest of these rows alone, for rows and for
 * queries. The few rows that come out short are searched for exactly. So no trial computes a graph.
 */
#ifndef NLSH_TUNE_RUN_FOLDS_H
#define NLSH_TUNE_RUN_FOLDS_H

#include "base/job.h"
#include "make/learner.h"

enum { NLSH__N_GRAPHS = 3, NLSH__MAX_FOLDS = 20 };

struct nlsh__fold {
    struct nlsh__learner_input input;
    struct nlsh__learner *learner;
    void *rows, *queries; /* the input's, owned */
    uint32_t *truth, *graphs[NLSH__N_GRAPHS];
};

struct nlsh__folds {
    struct nlsh__fold *folds;
    size_t n;
};

/*
 *  n_folds    1: a fifth of the rows is held out, once
 *  neighbors  that the settings may ask for
 *  methods    bit g: the graph of that enum nlsh_graph_method is needed, besides the exact one
 *  run        of the caller: what takes long is told there
 *  job        of the learners, borrowed while they live
 * NLSH_E_ARG: nlsh__folds_check()'s.
 */
enum nlsh_status
nlsh__folds_create(const struct nlsh_matrix *base, const struct nlsh_build_options *build,
                   size_t n_folds, size_t neighbors, unsigned methods, const struct nlsh_run *run,
                   const struct nlsh__job *job, struct nlsh__folds *out, struct nlsh_error *error);
/* NLSH_E_ARG where the base has too few rows for so many folds. */
enum nlsh_status nlsh__folds_check(size_t n_rows, size_t n_folds, struct nlsh_error *error);
void nlsh__folds_free(struct nlsh__folds *folds);

#endif
