/*
 * targets.h - which threshold reaches which recall, as it was measured on held-out vectors for some numbers
 * of neighbours.
 */
#ifndef NLSH_PROMISE_TARGETS_H
#define NLSH_PROMISE_TARGETS_H

#include <stddef.h>
#include <stdint.h>

/* (recall@k, threshold), recall rising. The threshold is one on a bucket's probability per vector: see
 * weights.h. */
struct nlsh__target_table {
    size_t k, n_points;
    const float (*points)[2];
};

struct nlsh__targets {
    size_t n; /* tables, by rising k; 0: nothing was measured */
    const struct nlsh__target_table *tables;
};

/* The i-th point that is outside its meaning or order, or n_points. */
size_t nlsh__targets_wrong(const struct nlsh__target_table *table);

/* The threshold for a recall@k, between what was measured and, with a guess, beyond it; 0 (scan all) where
 * nothing was. */
float nlsh__target_threshold(const struct nlsh__targets *targets, size_t k, double recall);

/* The table of just this k, or NULL. */
const struct nlsh__target_table *nlsh__target_table_of(const struct nlsh__targets *targets,
                                                       size_t k);

#endif
