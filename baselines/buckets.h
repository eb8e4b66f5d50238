/*
 * buckets.h - vectors in buckets, and the scan of some of them: what all baselines share, so that
 * only the choice of buckets differs.
 */
#ifndef NLSH_BASELINES_BUCKETS_H
#define NLSH_BASELINES_BUCKETS_H

#include "baselines/scan.h"

/*
 * Either a partition: each vector in one bucket, the vectors of a bucket side by side in memory. Or
 * several tables over the same vectors (overlapping is 1): a vector is in one bucket of each table,
 * and lies where the base has it.
 */
struct nlsh__buckets {
    size_t n_buckets, n_rows, dim;
    enum nlsh_type source, storage;
    uint32_t *offsets; /* [n_buckets + 1] into ids */
    uint32_t *ids;     /* bucket by bucket */
    const void *rows;  /* partition: in the order of ids; overlapping: the base's own */
    void *memory;      /* rows, where they are ours */
    int overlapping;
    /* overlapping: which vectors the query has met */
    uint32_t *stamps; /* [n_rows] the number of the query that met it last */
    uint32_t stamp;
    uint32_t *picked; /* [n_rows + 1] distinct vectors of the query */
};

/* A partition: bucket_of[n_rows] < n_buckets. The rows are copied. */
enum nlsh_status nlsh__buckets_partition(const struct nlsh__dataset *base,
                                         const uint32_t *bucket_of, size_t n_buckets,
                                         struct nlsh__buckets *out, struct nlsh_error *error);
/* Overlapping: offsets and ids become the buckets' own, also on failure. base's rows are borrowed. */
enum nlsh_status nlsh__buckets_tables(const struct nlsh__dataset *base, uint32_t *offsets,
                                      uint32_t *ids, size_t n_buckets, struct nlsh__buckets *out,
                                      struct nlsh_error *error);
void nlsh__buckets_free(struct nlsh__buckets *buckets);
/* Bytes held, the vectors included. */
size_t nlsh__buckets_bytes(const struct nlsh__buckets *buckets);

/* Scans chosen[n_chosen] exactly into keys (kernels/topk.h); returns how many distinct vectors. */
size_t nlsh__buckets_scan(struct nlsh__buckets *buckets, struct nlsh__query query,
                          const uint32_t *chosen, size_t n_chosen, uint64_t *keys, size_t k);

/* Scans the rows at places[n] of a partition (places in the order of ids). */
void nlsh__buckets_scan_places(const struct nlsh__buckets *buckets, struct nlsh__query query,
                               const uint32_t *places, size_t n, uint64_t *keys, size_t k);

/* Bytes of a row as it is stored. */
size_t nlsh__buckets_row_bytes(const struct nlsh__buckets *buckets);

#endif
