/*
 * cache.h - a content-addressed store of ground truth, k-NN graphs and partitions.
 *
 * One file an entry, named by its kind and an XXH3-128 of everything that its content depends on;
 * each carries a checksum. A damaged entry is removed and counts as absent. Writers replace files
 * whole, so two processes may share a directory; a failed write is a note, never a failed build.
 */
#ifndef NLSH_CACHE_CACHE_H
#define NLSH_CACHE_CACHE_H

#include "base/job.h"
#include "base/neighbors.h"

/*
 * Neighbours: a graph (queries_hash 0) or ground truth. An entry with more neighbours a row than
 * k serves too, cut to k; a put never replaces one by one with fewer. seed: 0 where the method
 * takes none. *found is 0 where there is none; that is no error. Nothing happens where the job has
 * no cache_dir, nor on a put without distances.
 */
enum nlsh_status nlsh__cache_get_neighbors(const struct nlsh__job *job, const char *method,
                                           uint64_t base_hash, uint64_t queries_hash, uint64_t seed,
                                           size_t n_rows, size_t n_base, size_t k,
                                           struct nlsh__neighbors *out, int *found,
                                           struct nlsh_error *error);
void nlsh__cache_put_neighbors(const struct nlsh__job *job, const char *method, uint64_t base_hash,
                               uint64_t queries_hash, uint64_t seed, size_t n_base,
                               const struct nlsh__neighbors *neighbors);

/* A partition. settings: text with every parameter that it depends on. bucket_of [n_rows] is
 * written only where *found. */
enum nlsh_status nlsh__cache_get_partition(const struct nlsh__job *job, const char *settings,
                                           uint64_t base_hash, size_t n_rows, size_t m,
                                           uint32_t *bucket_of, int *found,
                                           struct nlsh_error *error);
void nlsh__cache_put_partition(const struct nlsh__job *job, const char *settings,
                               uint64_t base_hash, size_t n_rows, size_t m,
                               const uint32_t *bucket_of);

#endif
