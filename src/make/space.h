/*
 * space.h - the base where L2 orders as the metric does.
 *
 * Inner product: rows (x, sqrt(M^2 - |x|^2)), M the greatest length, and queries (c q, 0) for any
 * c > 0: their squared distance is M^2 + c^2 |q|^2 - 2 c x.q. Bachrach et al., "Speeding up the Xbox
 * recommender system using a Euclidean transformation for inner-product spaces", RecSys 2014;
 * Neyshabur and Srebro, "On symmetric and asymmetric LSHs for inner product search", ICML 2015.
 */
#ifndef NLSH_MAKE_SPACE_H
#define NLSH_MAKE_SPACE_H

#include "vectors/dataset.h"

struct nlsh__space {
    struct nlsh_matrix rows;    /* what is cut into buckets; NLSH_IP: a coordinate more */
    struct nlsh_matrix queries; /* the rows as queries come to the router; NLSH_IP: of one length */
    float query_norm;           /* the length that queries are brought to: NLSH_IP; else 1 */
    float *memory;              /* owned, or NULL */
};

/* Brings vectors to what a metric's files, graphs and truths are made of: L2 leaves them; IP makes
 * them floats; COSINE unit floats. what: "base" or "queries", for the error. NLSH_E_DATA names a row
 * of zeros under COSINE, and a largest value beyond kernels/metric.h's bounds under the others. */
enum nlsh_status nlsh__metric_values(enum nlsh_metric metric, const char *what,
                                     struct nlsh__dataset *dataset, struct nlsh_error *error);

/* What was made of them, for the name of a cached entry: "", " ip" or " cosine". */
const char *nlsh__space_name(enum nlsh_metric metric);

/* Of vectors that nlsh__metric_values() has been over; borrows them. NLSH_E_DATA where lengths do
 * not fit in f32. */
enum nlsh_status nlsh__space_init(enum nlsh_metric metric, const struct nlsh__dataset *base,
                                  struct nlsh__space *out, struct nlsh_error *error);
void nlsh__space_free(struct nlsh__space *space);

#endif
