/*
 * curve.h - recall against candidates at every point of a grid, from probabilities alone.
 *
 * A query's true neighbours lie in known buckets and a bucket that is probed is scanned exactly,
 * so a true neighbour is found if and only if its bucket is probed. One ordering of the buckets
 * therefore gives the answer at every T and every threshold.
 */
#ifndef NLSH_EVALUATE_CURVE_H
#define NLSH_EVALUATE_CURVE_H

#include "nlsh/learn.h"

/* Where the curve is taken, and the buckets. */
struct nlsh__curve_grid {
    size_t m, k;
    const uint32_t *sizes; /* [m] vectors in each bucket; borrowed */
    size_t n_tops, n_thresholds;
    uint32_t *tops;     /* ascending from 1 to m */
    double *thresholds; /* descending */
};

/* Every T to 32, then steps of 8 % to m; 60 thresholds from 0.9 to 1e-6, each a decimal of three
 * digits. NLSH_E_NOMEM. */
enum nlsh_status nlsh__curve_grid_init(size_t m, size_t k, const uint32_t *sizes,
                                       struct nlsh__curve_grid *out, struct nlsh_error *error);
void nlsh__curve_grid_free(struct nlsh__curve_grid *grid);
/* tops first, then thresholds. */
size_t nlsh__curve_n_points(const struct nlsh__curve_grid *grid);

/* Sums over queries at one point; integers, so that no order of adding changes them. */
struct nlsh__curve_sum {
    uint64_t hits, candidates, probes, oracle_hits;
};

/* Scratch of one thread, and its share of the sums. */
struct nlsh__curve_worker {
    struct nlsh__curve_sum *sums; /* [n_points] */
    uint64_t *order, *spare;      /* [m] */
    uint32_t *hits_in;            /* [m] true neighbours in each bucket; zero between queries */
    uint32_t *candidates;         /* [m] of the first i + 1 buckets */
    uint32_t *hits;               /* [m] in the first i + 1 buckets */
    uint32_t *oracle;             /* [n_truth_max] in the best i + 1 buckets */
};

enum nlsh_status nlsh__curve_worker_init(const struct nlsh__curve_grid *grid, size_t n_truth_max,
                                         struct nlsh__curve_worker *out, struct nlsh_error *error);
void nlsh__curve_worker_free(struct nlsh__curve_worker *worker);

/*
 * nlsh__curve_query() - adds one query to a worker's sums.
 *
 *  probabilities  [m]; buckets are taken by falling probability, ties by number
 *  truth_buckets  [n_truth] the bucket of each vector that counts as true: the k nearest and any
 *                 tied with the k-th; at most k of them count as found
 *  candidates     [n_points] out: vectors in the buckets probed at each point
 */
void nlsh__curve_query(const struct nlsh__curve_grid *grid, struct nlsh__curve_worker *worker,
                       const float *probabilities, const uint32_t *truth_buckets, size_t n_truth,
                       uint32_t *candidates);

/* The largest values of a stream, enough of them to know its 95th percentile at the end. */
struct nlsh__tail {
    uint32_t *values; /* [2 x n_kept] */
    size_t n, n_kept;
};

/* For a stream of n values, n >= 1: the percentile is the value of rank ceil(0.95 n). */
size_t nlsh__tail_n_kept(size_t n);
void nlsh__tail_add(struct nlsh__tail *tail, uint32_t value);
uint32_t nlsh__tail_p95(struct nlsh__tail *tail);

struct nlsh_curve {
    struct nlsh_curve_point *points;
    size_t n_points;
};

/* The points worth printing: each rule until its recall reaches 1, and T = m. *out is freed with
 * nlsh_curve_free(). */
enum nlsh_status nlsh__curve_finish(const struct nlsh__curve_grid *grid,
                                    const struct nlsh__curve_sum *sums, const uint32_t *p95,
                                    size_t n_queries, struct nlsh_curve **out,
                                    struct nlsh_error *error);

#endif
