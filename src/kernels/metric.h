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

/*
 * What the largest value of a base or of a query may be (absolute; a base of zeros is well, too). Kernels sum
 * squares and products in f32, which ends at 3.4e38, over NLSH__MAX_DIM = 2^20 values at most. Two values
 * of 1e15 differ by 2e15 at most: 2^20 x (2e15)^2 = 4.2e36. At the other end f32 has numbers down to 1.4e-45,
 * the precise ones down to 1.2e-38. Of values of 1e-15 even neighbouring floats, which differ by 2^-24 of
 * that, have a difference whose square, 3.6e-45, is not zero; below that, vectors fall together.
 */
#define NLSH__MOST_VALUE 1e15f
#define NLSH__LEAST_VALUE 1e-15f

/* |x|. */
double nlsh__length(const float *x, size_t dim);

/* x brought to a length, into out (which may be x); returns 0 where x is zeros, and then out is. */
int nlsh__scale_to(const float *x, size_t dim, double length, float *out);

#endif
