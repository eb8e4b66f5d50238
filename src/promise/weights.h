/*
 * weights.h - probability per vector.
 *
 * A large bucket costs more to scan than a small one, so what is compared with a threshold is a bucket's
 * probability times the mean bucket's size over its own.
 */
#ifndef NLSH_PROMISE_WEIGHTS_H
#define NLSH_PROMISE_WEIGHTS_H

#include <stddef.h>

/* What the probability of a bucket of `size` rows is multiplied by, where m buckets hold n rows; 0 for an
 * empty bucket. */
static inline float nlsh__bucket_weight(size_t n, size_t m, size_t size)
{
    return size > 0 ? (float)((double)n / (double)m / (double)size) : 0;
}

#endif
