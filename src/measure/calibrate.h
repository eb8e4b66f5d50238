/* calibrate.h - which threshold on the probability reaches which recall, on vectors that the
 * router has not seen. */
#ifndef NLSH_MEASURE_CALIBRATE_H
#define NLSH_MEASURE_CALIBRATE_H

#include "base/job.h"
#include "router/router.h"
#include "vectors/dataset.h"

#define NLSH__CALIBRATION_POINTS 96
#define NLSH__CALIBRATION_KS 3

/* For some numbers of neighbours k, (recall@k, threshold) with recall rising. The threshold is one on
 * a bucket's probability times the mean bucket's size over its own: per vector, large buckets cost
 * more. */
struct nlsh__calibration {
    size_t n; /* tables, at most NLSH__CALIBRATION_KS */
    uint32_t k[NLSH__CALIBRATION_KS];
    uint32_t n_points[NLSH__CALIBRATION_KS];
    float table[NLSH__CALIBRATION_KS][NLSH__CALIBRATION_POINTS][2];
    double candidates_95; /* mean at recall@10 .95; of all rows where that is not reached */
};

/*
 *  rows           [n_held] base rows that play the queries
 *  truth_buckets  [n_held x k] where their neighbours lie: nlsh__unseen_buckets()
 *  bucket_of      [base->n_rows]
 */
enum nlsh_status nlsh__calibrate(const struct nlsh__router *router, const struct nlsh_matrix *base,
                                 const uint32_t *rows, size_t n_held, const uint32_t *truth_buckets,
                                 size_t k, const uint32_t *bucket_of, size_t m,
                                 const struct nlsh__job *job, struct nlsh__calibration *out,
                                 struct nlsh_error *error);

/* The router's best bucket for some rows of the base. */
enum nlsh_status nlsh__best_buckets(const struct nlsh__router *router,
                                    const struct nlsh_matrix *base, const uint32_t *rows, size_t n,
                                    const struct nlsh__job *job, uint32_t *best,
                                    struct nlsh_error *error);

#endif
