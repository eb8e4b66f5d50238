/* calibrate.h - which threshold reaches which recall, on vectors that the router has not seen. */
#ifndef NLSH_MEASURE_CALIBRATE_H
#define NLSH_MEASURE_CALIBRATE_H

#include "base/job.h"
#include "promise/targets.h"
#include "router/router.h"

/* Thresholds that are tried, and numbers of neighbours. */
enum { NLSH__CALIBRATION_POINTS = 96, NLSH__CALIBRATION_KS = 3 };

/* The tables of a router's targets (promise/targets.h), and what they cost. */
struct nlsh__calibration {
    size_t n; /* tables */
    size_t k[NLSH__CALIBRATION_KS], n_points[NLSH__CALIBRATION_KS];
    float points[NLSH__CALIBRATION_KS][NLSH__CALIBRATION_POINTS][2];
    double candidates_95; /* mean at recall@10 .95; of all rows where that is not reached */
};

/* Buckets as a partition has them. */
struct nlsh__bucketed {
    const uint32_t *bucket_of; /* [n_rows] below m */
    size_t n_rows, m;
};

/* Rows of a base that play queries. */
struct nlsh__played {
    const struct nlsh_matrix *queries; /* all rows of the base, as they come as queries */
    const uint32_t *rows;              /* [n] of them */
    size_t n;
};

/*
 * nlsh__calibrate() - the targets of a router.
 *
 *  truth_buckets  [played->n x k] where their neighbours lie: nlsh__unseen_buckets()
 * Asks as a search does, and takes a query's buckets as a search does: those whose probability per vector is
 * above the threshold, or else the most probable one. The same for any number of threads. NLSH_E_NOMEM.
 */
enum nlsh_status
nlsh__calibrate(const struct nlsh__router *router, const struct nlsh__played *played,
                const struct nlsh__bucketed *bucketed, const uint32_t *truth_buckets, size_t k,
                const struct nlsh__job *job, struct nlsh__calibration *out,
                struct nlsh_error *error);

/* The tables as a search takes them; they view the calibration. tables [NLSH__CALIBRATION_KS]. */
struct nlsh__targets nlsh__calibrated(const struct nlsh__calibration *calibration,
                                      struct nlsh__target_table *tables);

/* The router's best bucket for each of the rows: best [played->n]. */
enum nlsh_status nlsh__best_buckets(const struct nlsh__router *router,
                                    const struct nlsh__played *played, const struct nlsh__job *job,
                                    uint32_t *best, struct nlsh_error *error);

#endif
