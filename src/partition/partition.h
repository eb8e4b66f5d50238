/*
 * partition.h - n points into m buckets, none empty, none over the cap.
 *
 * Every partitioner fills bucket_of[n] with values below m, and every answer goes through
 * nlsh__partition_check(): METIS, for one, may return success with empty parts.
 */
#ifndef NLSH_PARTITION_PARTITION_H
#define NLSH_PARTITION_PARTITION_H

#include "base/job.h"
#include "base/neighbors.h"

struct nlsh__csr;

/* The most vectors a bucket may hold: max(ceil(n / m), floor((1 + imbalance) x n / m)). */
size_t nlsh__bucket_cap(size_t n, size_t m, double imbalance);

/* Cuts a symmetric graph with METIS (k-way). NLSH_E_ARG (m = 0 or > n), NLSH_E_DATA (the graph is
 * not symmetric), NLSH_E_UNSUPPORTED (its weights' sum does not fit in int32), NLSH_E_NOMEM,
 * NLSH_E_INTERRUPTED (the job says so), NLSH_E_INTERNAL (METIS failed). The answer is repaired to
 * hold no empty part and to keep the cap. Deterministic in seed. METIS runs in a process of its own
 * (apart.h); a job of NULL is not asked. */
enum nlsh_status nlsh__partition_metis(const struct nlsh__csr *csr, size_t m, double imbalance,
                                       uint64_t seed, const struct nlsh__job *job,
                                       uint32_t *bucket_of, struct nlsh_error *error);

/* The same with KaHIP's kaffpa() from libkahip, looked for at run time ($NLSH_KAHIP names a file).
 * mode 0 to 5. NLSH_E_UNSUPPORTED with the remedy where it is not installed. */
enum nlsh_status nlsh__partition_kahip(const struct nlsh__csr *csr, size_t m, double imbalance,
                                       int mode, uint64_t seed, const struct nlsh__job *job,
                                       uint32_t *bucket_of, struct nlsh_error *error);

/* NLSH_OK where libkahip is there, else what nlsh__partition_kahip() would say. */
enum nlsh_status nlsh__kahip_check(struct nlsh_error *error);

/* k-means cells of rows, none empty, none over the cap for this imbalance.
 * rows [n x dim] f32. */
enum nlsh_status nlsh__partition_kmeans(const float *rows, size_t n, size_t dim, size_t m,
                                        double imbalance, uint64_t seed,
                                        const struct nlsh__job *job, uint32_t *bucket_of,
                                        struct nlsh_error *error);

/* Rows whose edges the cycle does not see: held-out rows, whose neighbours are to lie where a new query finds them. */
struct nlsh__unseen {
    const uint32_t *rows; /* [n] */
    size_t n;
    int all_move; /* once their edges are known: 1: all rows move again; 0: they alone, and no neighbour of theirs */
};

/*
 * nlsh__partition_vcycle() - a partition that a graph makes better: fewer edges cut, and sizes evener.
 *
 *  csr        symmetric, of the rows that were divided
 *  unseen     or NULL: every edge is seen
 *  bucket_of  [n] in: an answer for this imbalance, such as nlsh__partition_kmeans()'s; out: another
 * One cycle of coarser graphs, vcycle.c. NLSH_E_ARG, NLSH_E_DATA, NLSH_E_UNSUPPORTED as METIS, NLSH_E_NOMEM,
 * NLSH_E_INTERRUPTED. Deterministic in seed. One thread; 0.4 s for 60,000 rows with 20 neighbours each; three and a half times
 * the graph's memory. A job of NULL is not asked.
 */
enum nlsh_status nlsh__partition_vcycle(const struct nlsh__csr *csr, size_t m, double imbalance,
                                        uint64_t seed, const struct nlsh__unseen *unseen,
                                        const struct nlsh__job *job, uint32_t *bucket_of,
                                        struct nlsh_error *error);

/* NLSH_E_INTERNAL, naming the bucket, where a value is >= m, a bucket is empty, or one is over
 * cap. */
enum nlsh_status nlsh__partition_check(const uint32_t *bucket_of, size_t n, size_t m, size_t cap,
                                       struct nlsh_error *error);

/* Share of the rows' first k neighbours that lie in another bucket than the row, 0 to 1 (0 for none): of the symmetric
 * graph the share of the weight that is cut. */
double nlsh__edge_cut(const struct nlsh__neighbors *neighbors, size_t k, const uint32_t *bucket_of);

#endif
