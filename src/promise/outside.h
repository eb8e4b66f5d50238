/*
 * outside.h - the share of a query's neighbours that the router expects outside of the buckets that are scanned:
 * what its probabilities leave over. How much that was for the queries that an index was calibrated with says
 * whether others are like them: docs/recall.md.
 */
#ifndef NLSH_PROMISE_OUTSIDE_H
#define NLSH_PROMISE_OUTSIDE_H

#include <stddef.h>

/* As it stands in a file. */
struct nlsh__outside_point {
    float threshold; /* on a bucket's probability per vector: weights.h; above 0 and below 1 */
    float outside;   /* the mean over queries, 0 to 1 */
};

struct nlsh__outside {
    size_t n;                                 /* 0: nothing was measured */
    const struct nlsh__outside_point *points; /* threshold falling, outside not rising */
};

/* The i-th point that is outside its meaning or order, or n. */
size_t nlsh__outside_wrong(const struct nlsh__outside *outside);

/* What was outside with a threshold: between measured points by the logarithm of the threshold, beyond them as at the
 * nearest; 0 where the threshold is 0, or nothing was measured. */
float nlsh__outside_at(const struct nlsh__outside *outside, float threshold);

/* What n probabilities leave over. */
static inline float nlsh__left_over(const float *probabilities, size_t n)
{
    float left = 1;
    for (size_t i = 0; i < n; i++) left -= probabilities[i];
    return left > 0 ? left : 0; /* 0 too where a damaged router has no numbers */
}

#endif
