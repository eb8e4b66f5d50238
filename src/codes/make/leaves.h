/* leaves.h - makes the leaves of codes/leaves.h: rows of a bucket in an order in which each 16 lie close
 * together, and their codes. */
#ifndef NLSH_CODES_MAKE_LEAVES_H
#define NLSH_CODES_MAKE_LEAVES_H

#include "codes/leaves.h"
#include "codes/make/encode.h"
#include "nlsh/learn.h"

/* Puts ids [bucket_offsets[m]], rows of inputs [n x p] in bucket order, into the order of leaves: codes/order.h.
 * O(n p log(rows of a bucket)). NLSH_E_NOMEM. */
enum nlsh_status nlsh__order_leaves(const float *inputs, size_t p, const uint32_t *bucket_offsets,
                                    size_t n_buckets, const struct nlsh__job *job, uint32_t *ids,
                                    struct nlsh_error *error);

/* The section's bytes (codes/leaves.h), freed with nlsh__free(). NLSH_E_NOMEM. */
enum nlsh_status nlsh__encode_leaves(const struct nlsh__encode *encode,
                                     const struct nlsh__codes *codes, const struct nlsh__job *job,
                                     void **bytes, size_t *size, struct nlsh_error *error);

#endif
