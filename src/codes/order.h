/* order.h - an order of a bucket's rows in which each 16 lie close together: the leaves of codes/leaves.h. */
#ifndef NLSH_CODES_ORDER_H
#define NLSH_CODES_ORDER_H

#include "nlsh/nlsh.h"

/* Scratch of one thread. */
struct nlsh__leaf_order {
    const float *inputs; /* [rows x p] borrowed */
    size_t p;
    uint64_t *keys;                /* [most] */
    uint32_t *ids;                 /* [most] */
    float *low, *high, *direction; /* [p] */
    float *means;                  /* [most / 16 x p] of leaves */
    uint32_t *changed;             /* [most / 16] the pass in which a leaf's rows changed last */
};

/* most: rows of the largest bucket. NLSH_E_NOMEM; nlsh__leaf_order_free() in any case. */
enum nlsh_status nlsh__leaf_order_create(const float *inputs, size_t p, size_t most,
                                         struct nlsh__leaf_order *out, struct nlsh_error *error);
void nlsh__leaf_order_free(struct nlsh__leaf_order *order);

/* Rows of the largest of m buckets. */
size_t nlsh__largest_bucket(const uint32_t *bucket_offsets, size_t m);

/* Puts a bucket's rows ids [n], numbers of rows of inputs, into the order of leaves: they are halved, by two means
 * and the direction between them, at a multiple of 16 rows until 16 are left. Then leaves that lie near each other exchange
 * rows: two are divided anew, by the direction between their means, until none changes or some passes are over. A leaf's
 * rows stand ascending. Deterministic. O(n p log n). */
void nlsh__order_rows(const struct nlsh__leaf_order *order, uint32_t *ids, size_t n);

#endif
