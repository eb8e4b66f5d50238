/*
 * buckets.c - vectors in buckets, and the scan of some of them: see buckets.h.
 *
 * Rows of a partition are scanned as stretches (scan.c). Tables overlap, so a vector may come up
 * several times in a query: a stamp a vector keeps it from being counted or scanned twice, and the
 * rows are fetched one by one from where they lie.
 */
#include "baselines/buckets.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/topk.h"

size_t nlsh__buckets_row_bytes(const struct nlsh__buckets *b)
{
    return b->dim * (b->storage == NLSH_U8 ? 1 : sizeof(float));
}

static void describe(const struct nlsh__dataset *base, size_t n_buckets, struct nlsh__buckets *out)
{
    *out = (struct nlsh__buckets){.n_buckets = n_buckets,
                                  .n_rows = base->matrix.n_rows,
                                  .dim = base->matrix.dim,
                                  .source = base->source_type,
                                  .storage = base->matrix.type};
}

/* Counting sort by bucket; rows of a bucket keep their order. */
static void fill(struct nlsh__buckets *b, const uint8_t *rows, const uint32_t *bucket_of)
{
    size_t row_bytes = nlsh__buckets_row_bytes(b);
    for (size_t i = 0; i < b->n_rows; i++) b->offsets[bucket_of[i] + 1]++;
    for (size_t c = 0; c < b->n_buckets; c++) b->offsets[c + 1] += b->offsets[c];
    for (size_t i = 0; i < b->n_rows; i++) {
        uint32_t at = b->offsets[bucket_of[i]]++;
        b->ids[at] = (uint32_t)i;
        memcpy((uint8_t *)b->memory + at * row_bytes, rows + i * row_bytes, row_bytes);
    }
    memmove(b->offsets + 1, b->offsets, b->n_buckets * sizeof *b->offsets);
    b->offsets[0] = 0;
}

enum nlsh_status nlsh__buckets_partition(const struct nlsh__dataset *base,
                                         const uint32_t *bucket_of, size_t n_buckets,
                                         struct nlsh__buckets *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    describe(base, n_buckets, out);
    NLSH_TRY(nlsh__calloc(&out->offsets, n_buckets + 1, sizeof *out->offsets, error));
    NLSH_TRY(nlsh__alloc(&out->ids, out->n_rows, sizeof *out->ids, error));
    NLSH_TRY(nlsh__alloc(&out->memory, out->n_rows, nlsh__buckets_row_bytes(out), error));
    out->rows = out->memory;
    fill(out, base->matrix.data, bucket_of);
    return NLSH_OK;
out:
    nlsh__buckets_free(out);
    return status;
}

enum nlsh_status nlsh__buckets_tables(const struct nlsh__dataset *base, uint32_t *offsets,
                                      uint32_t *ids, size_t n_buckets, struct nlsh__buckets *out,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    describe(base, n_buckets, out);
    out->overlapping = 1;
    out->offsets = offsets;
    out->ids = ids;
    out->rows = base->matrix.data;
    NLSH_TRY(nlsh__calloc(&out->stamps, out->n_rows, sizeof *out->stamps, error));
    NLSH_TRY(nlsh__alloc(&out->picked, out->n_rows + 1, sizeof *out->picked, error));
    return NLSH_OK;
out:
    nlsh__buckets_free(out);
    return status;
}

void nlsh__buckets_free(struct nlsh__buckets *buckets)
{
    nlsh__free(buckets->offsets);
    nlsh__free(buckets->ids);
    nlsh__free(buckets->memory);
    nlsh__free(buckets->stamps);
    nlsh__free(buckets->picked);
    memset(buckets, 0, sizeof *buckets);
}

size_t nlsh__buckets_bytes(const struct nlsh__buckets *b)
{
    size_t n_ids = b->offsets[b->n_buckets];
    return (b->n_buckets + 1 + n_ids) * sizeof(uint32_t) + b->n_rows * nlsh__buckets_row_bytes(b);
}

/* ---- scan ------------------------------------------------------------------------------------ */

/* The distinct vectors of the chosen buckets into picked; returns how many. */
static size_t pick(struct nlsh__buckets *b, const uint32_t *chosen, size_t n_chosen)
{
    size_t n = 0;
    if (++b->stamp == 0) { /* after 2^32 queries old stamps would look new */
        memset(b->stamps, 0, b->n_rows * sizeof *b->stamps);
        b->stamp = 1;
    }
    for (size_t c = 0; c < n_chosen; c++) {
        for (uint32_t at = b->offsets[chosen[c]]; at < b->offsets[chosen[c] + 1]; at++) {
            uint32_t id = b->ids[at];
            b->picked[n] = id; /* without a branch: kept only where it is new */
            n += b->stamps[id] != b->stamp;
            b->stamps[id] = b->stamp;
        }
    }
    return n;
}

size_t nlsh__buckets_scan(struct nlsh__buckets *b, struct nlsh__query query, const uint32_t *chosen,
                          size_t n_chosen, uint64_t *keys, size_t k)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    size_t row_bytes = nlsh__buckets_row_bytes(b), n = 0;
    if (b->overlapping) {
        n = pick(b, chosen, n_chosen);
        nlsh__scan_places(kernels, query, b->rows, b->storage, b->picked, n, b->dim, NULL, keys, k);
        return n;
    }
    for (size_t c = 0; c < n_chosen; c++) {
        uint32_t first = b->offsets[chosen[c]], size = b->offsets[chosen[c] + 1] - first;
        nlsh__scan(kernels, query, (const uint8_t *)b->rows + first * row_bytes, b->storage, size,
                   b->dim, b->ids + first, keys, k);
        n += size;
    }
    return n;
}

void nlsh__buckets_scan_places(const struct nlsh__buckets *b, struct nlsh__query query,
                               const uint32_t *places, size_t n, uint64_t *keys, size_t k)
{
    nlsh__scan_places(nlsh__kernels(), query, b->rows, b->storage, places, n, b->dim, b->ids, keys,
                      k);
}
