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

#endif
