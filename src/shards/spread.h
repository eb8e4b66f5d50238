/* spread.h - which shard holds which bucket. */
#ifndef NLSH_SHARDS_SPREAD_H
#define NLSH_SHARDS_SPREAD_H

#include "index/index.h"

/*
 * nlsh__spread_buckets() - deals buckets out to n shards so that each holds about as many rows, and has about as much to
 * scan: a bucket's rows, times how often rows that the router did not learn from ask for it at recall@10 of .95.
 *
 *  owners  [n_buckets] out
 * The same for the same index. NLSH_E_ARG: n is 0, or more than there are buckets with rows. NLSH_E_NOMEM.
 */
enum nlsh_status nlsh__spread_buckets(const struct nlsh_index *index, size_t n, uint32_t *owners,
                                      struct nlsh_error *error);

/* The same by the sizes of buckets [m], and how often each is asked for. */
enum nlsh_status nlsh__spread_by(const uint32_t *sizes, const uint32_t *asked, size_t m, size_t n,
                                 uint32_t *owners, struct nlsh_error *error);
/* How many of the rows that an index's router did not learn from would scan each bucket: asked [m], zeros at first. */
enum nlsh_status nlsh__count_asked(const struct nlsh_index *index, uint32_t *asked,
                                   struct nlsh_error *error);

#endif
