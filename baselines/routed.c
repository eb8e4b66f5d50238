/*
 * routed.c - a Neural LSH index's buckets and router, its vectors scanned as those of the other
 * methods are: what is left between the rows of a table is then the choice of buckets alone. The
 * index's own search compares codes first and is faster: nlsh_search().
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "baselines/baseline.h"
#include "kernels/select.h"

struct routed {
    struct nlsh_searcher *searcher;
    float *probabilities; /* [n_buckets] */
};

static enum nlsh_status check_index(const struct nlsh_index *index,
                                    const struct nlsh__dataset *base, struct nlsh_error *error)
{
    struct nlsh_index_info info = {.struct_size = sizeof info};
    if (index == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "no index is given");
    enum nlsh_status status = nlsh_index_info(index, &info, error);
    if (status != NLSH_OK || info.data_hash == base->hash) return status;
    return nlsh__fail(error, NLSH_E_MISMATCH, "give the vectors that the index was built from",
                      "the index was built from other vectors: their content hash differs");
}

static enum nlsh_status routed_build(struct nlsh__baseline *b, const struct nlsh__dataset *base,
                                     struct nlsh__baseline_options *options,
                                     const struct nlsh__job *job, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct routed *routed;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct nlsh_segment rows = {.struct_size = sizeof rows};
    uint32_t *bucket_of = NULL;
    (void)job;
    NLSH_TRY(check_index(options->index, base, error));
    NLSH_TRY(nlsh_index_info(options->index, &info, error));
    if (!nlsh_index_segment(options->index, 0, &rows) || rows.n_rows != base->matrix.n_rows)
        return nlsh__fail(error, NLSH_E_MISMATCH, "give an index of one segment",
                          "the index holds %zu rows in its first segment, the base %zu",
                          rows.n_rows, base->matrix.n_rows);
    NLSH_TRY(nlsh__calloc(&b->state, 1, sizeof *routed, error));
    routed = b->state;
    NLSH_TRY(nlsh_searcher_create(options->index, &routed->searcher, error));
    NLSH_TRY(nlsh__alloc(&routed->probabilities, info.n_buckets, sizeof(float), error));
    NLSH_TRY(nlsh__calloc(&bucket_of, rows.n_rows, sizeof *bucket_of, error));
    for (uint32_t c = 0; c < info.n_buckets; c++)
        for (uint32_t at = rows.bucket_offsets[c]; at < rows.bucket_offsets[c + 1]; at++)
            bucket_of[rows.rows[at]] = c;
    NLSH_TRY(nlsh__buckets_partition(base, bucket_of, info.n_buckets, &b->buckets, error));
out:
    nlsh__free(bucket_of);
    return status;
}

/* As nlsh_search() has T: the most probable buckets, or all above a probability and the best. */
static enum nlsh_status routed_choose(struct nlsh__baseline *b, const struct nlsh__asked *asked,
                                      size_t *n, struct nlsh_error *error)
{
    struct routed *routed = b->state;
    size_t m = b->buckets.n_buckets;
    enum nlsh_status status =
        nlsh_route(routed->searcher, asked->row, routed->probabilities, error);
    if (status != NLSH_OK) return status;
    const float *p = routed->probabilities;
    *n = 0;
    if (asked->probes < 1) {
        for (uint32_t c = 0; c < m; c++)
            if ((double)p[c] > asked->probes) b->chosen[(*n)++] = c;
        if (*n == 0) b->chosen[(*n)++] = (uint32_t)nlsh__argmax(p, m);
        return NLSH_OK;
    }
    for (uint32_t c = 0; c < m; c++) {
        uint32_t bits; /* of a number from 0 to 1: they order as it does */
        memcpy(&bits, &p[c], sizeof bits);
        b->order[c] = (uint64_t)(INT32_MAX - bits) << 32 | c;
    }
    *n = asked->probes < (double)m ? (size_t)asked->probes : m;
    nlsh__select_smallest(b->order, m, *n);
    for (size_t i = 0; i < *n; i++) b->chosen[i] = (uint32_t)b->order[i];
    return NLSH_OK;
}

static size_t routed_bytes(const struct nlsh__baseline *b)
{
    (void)b;
    return 0; /* the router is the index's */
}

static void routed_free(struct nlsh__baseline *b)
{
    struct routed *routed = b->state;
    nlsh_searcher_free(routed->searcher);
    nlsh__free(routed->probabilities);
}

const struct nlsh__bucketing nlsh__routed = {.build = routed_build,
                                             .choose = routed_choose,
                                             .bytes = routed_bytes,
                                             .free = routed_free,
                                             .fractions = 1};
