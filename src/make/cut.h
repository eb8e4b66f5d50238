/* cut.h - a bucket for every row, through the cache. */
#ifndef NLSH_MAKE_CUT_H
#define NLSH_MAKE_CUT_H

#include "make/ground.h"

/*
 * nlsh__cut() - the rows' buckets as a partitioner divides them: METIS, KAHIP, KMEANS or VCYCLE.
 *
 *  has_cells   1: bucket_of holds what KMEANS answered, with which VCYCLE begins
 *  bucket_of   [n] out
 *  from_cache  out: 1 where it was taken from there
 */
enum nlsh_status nlsh__cut(const struct nlsh__ground *ground, enum nlsh_partitioner partitioner,
                           int has_cells, uint32_t *bucket_of, int *from_cache,
                           struct nlsh_error *error);

/*
 * nlsh__cut_drew() - 1 where held-out rows drew their neighbours into their own buckets, which measure/unseen.h takes back:
 * where METIS or KaHIP cut their edges, and by the cycle's last moves. These see no edge of theirs where they are unseen and there are leaves:
 * what leaves save is measured with neighbours where they lie.
 */
int nlsh__cut_drew(const struct nlsh__ground *ground, enum nlsh_partitioner partitioner);

/* NLSH_E_UNSUPPORTED where the options ask for KaHIP, it is not here, and the partition of n_rows rows with
 * this hash is not in the cache either. Found out before the graph is made, which may take minutes. */
enum nlsh_status nlsh__cut_check(const struct nlsh_build_options *options, uint64_t hash,
                                 size_t n_rows, const struct nlsh__job *job,
                                 struct nlsh_error *error);

#endif
