/* groups.h - buckets into groups, which the router's first level tells apart. */
#ifndef NLSH_MAKE_GROUPS_H
#define NLSH_MAKE_GROUPS_H

#include "base/job.h"
#include "base/neighbors.h"
#include "nlsh/learn.h"
#include "router/router.h"

/*
 * nlsh__group_buckets() - n_groups groups of buckets that the same queries need, as even as may be.
 *
 *  queries    [n x dim] the rows as the router sees them when they come as queries
 *  neighbors  of the rows: a bucket is where those are who find it
 *  bucket_of  [n] in and out: buckets are numbered anew, group by group
 *  groups     out; freed with nlsh__groups_free()
 *  group_of   [m] out: of the new numbers; freed by the caller
 * Cost: O(min(n, 200,000) x dim) and k-means over the buckets.
 */
enum nlsh_status nlsh__group_buckets(const float *queries, size_t dim,
                                     const struct nlsh__neighbors *neighbors, size_t m,
                                     size_t n_groups, uint64_t seed, const struct nlsh__job *job,
                                     uint32_t *bucket_of, struct nlsh__groups *groups,
                                     uint32_t **group_of, struct nlsh_error *error);
void nlsh__groups_free(struct nlsh__groups *groups);

#endif
