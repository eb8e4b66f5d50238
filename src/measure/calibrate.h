/* calibrate.h - which threshold reaches which recall, on vectors that the router has not seen. */
#ifndef NLSH_MEASURE_CALIBRATE_H
#define NLSH_MEASURE_CALIBRATE_H

#include "base/job.h"
#include "promise/outside.h"
#include "promise/targets.h"
#include "router/router.h"

/* Thresholds that are tried, and numbers of neighbours. */
enum { NLSH__CALIBRATION_POINTS = 120, NLSH__CALIBRATION_KS = 10 };
extern const size_t nlsh__calibration_ks[NLSH__CALIBRATION_KS]; /* 1, 2, 5, 10 ... 1000 */

/* What buckets alone reach: a table for each number of neighbours that was measured. */
struct nlsh__calibration {
    size_t n; /* tables */
    size_t k[NLSH__CALIBRATION_KS], n_points[NLSH__CALIBRATION_KS];
    /* (recall@k, threshold), recall rising */
    float points[NLSH__CALIBRATION_KS][NLSH__CALIBRATION_POINTS][2];
    /* The recall of the same point that is surely reached: see nlsh__surely(). */
    float surely[NLSH__CALIBRATION_KS][NLSH__CALIBRATION_POINTS];
    float
        all[NLSH__CALIBRATION_KS]; /* the first threshold with which nothing was missed; 0: none */
    /* What the router expects outside of the buckets, by rising effort. */
    struct nlsh__outside_point outside[NLSH__CALIBRATION_POINTS];
    size_t n_queries;
    double candidates_95;   /* mean at recall@10 .95; of all rows where that is not reached */
    double few_95, many_95; /* the same at recall@1 and at recall@100; 0: not measured */
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

/* Sums over queries, from which a calibration is made. */
struct nlsh__tally;

/* Empty; k neighbours a query will be counted. NLSH_E_NOMEM. */
enum nlsh_status nlsh__tally_create(size_t k, struct nlsh__tally **out, struct nlsh_error *error);
void nlsh__tally_free(struct nlsh__tally *tally);

/*
 * nlsh__tally_add() - counts what thresholds reach for some queries.
 *
 *  truth_buckets  [played->n x k] where their neighbours lie: nlsh__unseen_buckets()
 * Asks as a search does, and takes a query's buckets as a search does: those whose probability per vector is
 * above the threshold, or else the most probable one. The same for any number of threads. Queries of several
 * routers may be added one after another. NLSH_E_NOMEM.
 */
enum nlsh_status nlsh__tally_add(struct nlsh__tally *tally, const struct nlsh__router *router,
                                 const struct nlsh__played *played,
                                 const struct nlsh__bucketed *bucketed,
                                 const uint32_t *truth_buckets, const struct nlsh__job *job,
                                 struct nlsh_error *error);

/* n_rows: of the base, for where a recall is not reached. */
void nlsh__tally_end(const struct nlsh__tally *tally, size_t n_rows, struct nlsh__calibration *out);

/*
 * nlsh__tally_carry() - a calibration for another router of the same data, learned in the same way.
 *
 *  to      queries of that router; of them only what they scan counts, so they may be any, with k of 0
 *  own     what is known of that router by itself: no recall is promised above what it likely has
 *  n_rows  of the base that the other is asked of
 * Probabilities far down the list depend on how long a network was trained more than on anything else, so
 * a threshold of one means little to another. The share of the rows that a threshold lets scan does: thresholds
 * are carried over so that the other scans as large a share.
 */
void nlsh__tally_carry(const struct nlsh__tally *tally, const struct nlsh__tally *to,
                       const struct nlsh__calibration *own, size_t n_rows,
                       struct nlsh__calibration *out);

/* The three in one. */
enum nlsh_status
nlsh__calibrate(const struct nlsh__router *router, const struct nlsh__played *played,
                const struct nlsh__bucketed *bucketed, const uint32_t *truth_buckets, size_t k,
                const struct nlsh__job *job, struct nlsh__calibration *out,
                struct nlsh_error *error);

/*
 * nlsh__surely() - what a mean over n queries is at least, as far as n queries can tell.
 *
 *  squares  the mean of the squares
 * Two standard errors below the mean of these queries and one more that found nothing: without that one, few
 * queries that all found everything would promise all. Of 44 such bounds one is too high.
 */
double nlsh__surely(double mean, double squares, double n);

/* The tables as a search takes them; they view the calibration. tables [NLSH__CALIBRATION_KS]. */
struct nlsh__targets nlsh__calibrated(const struct nlsh__calibration *calibration,
                                      struct nlsh__target_table *tables);

/* The router's best bucket for each of the rows: best [played->n]. */
enum nlsh_status nlsh__best_buckets(const struct nlsh__router *router,
                                    const struct nlsh__played *played, const struct nlsh__job *job,
                                    uint32_t *best, struct nlsh_error *error);

#endif
