/*
 * efforts.h - how much a search does for a recall, as it was measured: docs/recall.md.
 *
 * For some numbers of neighbours there is a table of efforts by the recall that each has surely reached.
 * What lies between two of them is taken from both; for what lies beyond, everything is scanned: a promise
 * needs a measurement.
 */
#ifndef NLSH_PROMISE_EFFORTS_H
#define NLSH_PROMISE_EFFORTS_H

#include <stddef.h>
#include <stdint.h>

/* Beyond every margin that is measured: none is left out. */
#define NLSH__NO_MARGIN 1e9f

/* As it stands in a file. */
struct nlsh__effort_point {
    float recall;
    /* On a bucket's probability per vector: weights.h; below 1. 0, which the last point may have: all buckets. */
    float threshold;
    float margin;      /* errors that a row's score may be off; 0 to NLSH__NO_MARGIN */
    float leaf_margin; /* the same of leaves, and below 0 */
};

struct nlsh__effort_table {
    size_t k, n_points;
    const struct nlsh__effort_point *points; /* recall rising, threshold not */
};

struct nlsh__efforts {
    size_t n; /* tables, by rising k; 0: nothing was measured */
    const struct nlsh__effort_table *tables;
};

/* The i-th point that is outside its meaning or order, or n_points. */
size_t nlsh__efforts_wrong(const struct nlsh__effort_table *table);

/* The effort for a recall@k. Where everything must be ranked exactly the threshold is 0 and the margin
 * NLSH__NO_MARGIN. */
struct nlsh__effort_point nlsh__effort_for(const struct nlsh__efforts *efforts, size_t k,
                                           double recall);

#endif
