/* kmeans.h - Lloyd's k-means, for cells: IVF-Flat, the approximate graph, geometric buckets. */
#ifndef NLSH_PARTITION_KMEANS_H
#define NLSH_PARTITION_KMEANS_H

#include "base/job.h"

/*
 * nlsh__kmeans() - k centroids of n rows, and each row's nearest.
 *
 *  rows       [n x dim] f32
 *  k          1 <= k <= n
 *  centroids  [k x dim] out
 *  cell_of    [n] out: the nearest centroid, ties to the lower number; or NULL
 * Trained on a sample where there are more than 256 rows a centroid. No cell of the sample is left
 * empty. Deterministic in seed. Cost: O(iterations x min(n, 256 k) x k x dim).
 */
enum nlsh_status nlsh__kmeans(const float *rows, size_t n, size_t dim, size_t k, size_t iterations,
                              uint64_t seed, const struct nlsh__job *job, float *centroids,
                              uint32_t *cell_of, struct nlsh_error *error);

/*
 * nlsh__nearest_cells() - the n_best nearest centroids of each row, ascending.
 *
 *  penalty  [k] >= 0, added to the squared distance to each centroid, or NULL
 *  n_best   1 <= n_best <= k
 *  at_most  [n] what the farthest of a row's n_best has at most, with its penalty, but for what f32 rounds: the answer
 *           comes sooner; or NULL
 *  best     [n x n_best] out
 *  l2sq     [n x n_best] out: squared distance with penalty; or NULL
 * By f32 products about the centroids' mean: centroids closer than rounding may change places.
 */
enum nlsh_status nlsh__nearest_cells(const float *rows, size_t n, size_t dim,
                                     const float *centroids, const float *penalty, size_t k,
                                     size_t n_best, const float *at_most,
                                     const struct nlsh__job *job, uint32_t *best, float *l2sq,
                                     struct nlsh_error *error);

/* The same, faster where the processor has products in bf16: then these choose a few more centroids
 * than are wanted, f32 distances rank them, and at_most is not looked at. A centroid may be missed for one
 * that is farther by what bf16 rounds. */
enum nlsh_status nlsh__near_cells(const float *rows, size_t n, size_t dim, const float *centroids,
                                  const float *penalty, size_t k, size_t n_best,
                                  const float *at_most, const struct nlsh__job *job, uint32_t *best,
                                  float *l2sq, struct nlsh_error *error);

/*
 * nlsh__capped_cells() - where rows that were not divided belong beside those that were.
 *
 *  bucket_of  [n] an answer of nlsh__partition_kmeans() for these rows
 *  centroids  [m x dim] out: the buckets' means
 *  penalty    [m] out, for nlsh__near_cells(): under it these rows fill no bucket far over the cap
 *  n_stay     out: these rows that go where they are. Few where one tight group is more than a bucket
 * NLSH_E_NOMEM, NLSH_E_INTERRUPTED.
 */
enum nlsh_status nlsh__capped_cells(const float *rows, size_t n, size_t dim, size_t m,
                                    double imbalance, const uint32_t *bucket_of,
                                    const struct nlsh__job *job, float *centroids, float *penalty,
                                    size_t *n_stay, struct nlsh_error *error);

#endif
