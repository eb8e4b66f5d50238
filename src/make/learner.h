/*
 * learner.h - partition and router of the same rows, again and again with other settings, scored on
 * queries that are none of them: the trials of a tuner.
 *
 * What a trial does not change is made once: principal components, symmetric graph; partitions go
 * through the cache. Everything else is what nlsh_build() does.
 */
#ifndef NLSH_MAKE_LEARNER_H
#define NLSH_MAKE_LEARNER_H

#include "base/neighbors.h"
#include "make/learn.h"
#include "measure/heldout.h"

struct nlsh__learner;

/* What a learner is made of; all borrowed while it lives. */
struct nlsh__learner_input {
    struct nlsh_matrix rows, queries; /* as nlsh_build() and nlsh_search() take them */
    const uint32_t *truth;            /* [queries.n_rows x truth_k] nearest of rows */
    size_t truth_k;
    /* By enum nlsh_graph_method: the rows' own graph, ids alone; k 0 where it is not to be used.
     * NLSH_IP: the neighbours by inner product. */
    struct nlsh__neighbors graphs[3];
};

/* options: of which metric and seed are taken. */
enum nlsh_status nlsh__learner_create(const struct nlsh__learner_input *input,
                                      const struct nlsh_build_options *options,
                                      const struct nlsh__job *job, struct nlsh__learner **out,
                                      struct nlsh_error *error);
void nlsh__learner_free(struct nlsh__learner *learner);

/* One trial; watch may be NULL. *partition_from_cache is 1 where the buckets were taken from there. */
enum nlsh_status nlsh__learner_run(struct nlsh__learner *learner,
                                   const struct nlsh_build_options *options,
                                   const struct nlsh__watch *watch, int *partition_from_cache,
                                   struct nlsh_error *error);

/* Scores the last run on the first n_queries of the queries: see measure/heldout.h. */
enum nlsh_status nlsh__learner_score(const struct nlsh__learner *learner, size_t n_queries,
                                     double T, double wanted, struct nlsh__held_out_score *out,
                                     struct nlsh_error *error);
/* The same of a network on its way, as a watcher sees it. */
enum nlsh_status nlsh__learner_glimpse(const struct nlsh__learner *learner,
                                       const struct nlsh__glimpse *now, size_t n_queries, double T,
                                       double wanted, struct nlsh__held_out_score *out,
                                       struct nlsh_error *error);

/* The index of the last run, as a file. */
enum nlsh_status nlsh__learner_write(const struct nlsh__learner *learner, const char *path,
                                     struct nlsh_error *error);

#endif
