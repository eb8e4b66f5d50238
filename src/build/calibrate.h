/* calibrate.h - which threshold on the probability reaches which recall, on vectors that the
 * router has not seen. */
#ifndef NLSH_BUILD_CALIBRATE_H
#define NLSH_BUILD_CALIBRATE_H

#include "base/job.h"
#include "router/router.h"
#include "vectors/dataset.h"

#define NLSH__CALIBRATION_POINTS 96

struct nlsh__calibration {
    float table[NLSH__CALIBRATION_POINTS][2]; /* (recall, threshold), recall strictly rising */
    size_t n;
    double candidates_95; /* mean at recall .95; of all rows where that is not reached */
};

/*
 *  rows       [n_held] base rows that play the queries
 *  neighbors  the graph: their nearest others are the truth; k of it are used
 */
enum nlsh_status nlsh__calibrate(const struct nlsh__router *router, const struct nlsh_matrix *base,
                                 const uint32_t *rows, size_t n_held,
                                 const struct nlsh_neighbors *neighbors, size_t k,
                                 const uint32_t *bucket_of, size_t m, const struct nlsh__job *job,
                                 struct nlsh__calibration *out, struct nlsh_error *error);

/* The router's best bucket for some rows of the base. */
enum nlsh_status nlsh__best_buckets(const struct nlsh__router *router,
                                    const struct nlsh_matrix *base, const uint32_t *rows, size_t n,
                                    const struct nlsh__job *job, uint32_t *best,
                                    struct nlsh_error *error);

#endif
