/*
 * metric.h - what inner product and cosine need beside L2: lengths.
 *
 * Cosine is L2 between unit vectors, whose squared distance is 2 (1 - cos). By inner product the
 * length of a query does not matter, and rows are divided into buckets where Euclidean distance
 * orders them as the product does: make/space.h.
 */
#ifndef NLSH_KERNELS_METRIC_H
#define NLSH_KERNELS_METRIC_H

#include <stddef.h>

#include "nlsh/nlsh.h"

/* No value of a query may be larger: the squares of 1,048,576 of them (NLSH__MAX_DIM), and of their
 * differences from as large a base's, add up to 4.2e36 and fit in f32, which ends at 3.4e38. */
#define NLSH__MAX_VALUE 1e15f

/* |x|. */
double nlsh__length(const float *x, size_t dim);

/* x brought to a length, into out (which may be x); returns 0 where x is zeros, and then out is. */
int nlsh__scale_to(const float *x, size_t dim, double length, float *out);

#endif
