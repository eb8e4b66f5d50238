/* heldout.h - how well a router does on queries that are none of its rows. */
#ifndef NLSH_MEASURE_HELDOUT_H
#define NLSH_MEASURE_HELDOUT_H

#include "base/job.h"
#include "router/router.h"

/* Queries and what they should find, as the router's rows are numbered. */
struct nlsh__held_out {
    struct nlsh_matrix queries; /* U8 or F32, as the router takes them */
    const uint32_t *truth;      /* [queries.n_rows x k] */
    size_t k;
};

struct nlsh__held_out_score {
    double recall;     /* recall@k at T */
    double candidates; /* mean at the wanted recall, by threshold; all rows where none reaches it */
    double threshold;  /* that reaches it; 0 where none does */
};

/*
 *  n_queries  the first so many of the queries
 *  bucket_of  [n_rows] below m
 *  T          as a search takes it: buckets, or below 1 a threshold
 *  wanted     a recall, 0 to 1
 * Between two thresholds candidates are interpolated. The same for any number of threads.
 */
enum nlsh_status nlsh__held_out_score(const struct nlsh__router *router,
                                      const struct nlsh__held_out *held, size_t n_queries,
                                      const uint32_t *bucket_of, size_t n_rows, size_t m, double T,
                                      double wanted, const struct nlsh__job *job,
                                      struct nlsh__held_out_score *out, struct nlsh_error *error);

#endif
