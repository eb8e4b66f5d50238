/* codes.c - see codes.h. */
#include "index/codes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"

_Static_assert(sizeof(struct nlsh__codes_header) == 128, "the header is 128 bytes in files");

size_t nlsh__codes_size(size_t n_groups, size_t n_bytes)
{
    size_t row, values;
    if (__builtin_add_overflow(n_bytes, sizeof(int32_t), &row) ||
        nlsh__mul(row, NLSH__GROUP, &row) != 0 || nlsh__mul(row, n_groups, &values) != 0 ||
        values > SIZE_MAX / 2)
        return 0;
    return sizeof(struct nlsh__codes_header) + values;
}

static enum nlsh_status damaged(struct nlsh_error *error, const char *what)
{
    return nlsh__fail(error, NLSH_E_DATA, "build the index again", "codes: %s", what);
}

static enum nlsh_status check(const struct nlsh__codes_header *h, size_t size, size_t n_inputs,
                              size_t n_groups, struct nlsh_error *error)
{
    static const uint8_t zeros[sizeof h->reserved];
    if (memcmp(h->magic, NLSH__CODES_MAGIC, sizeof h->magic) != 0)
        return damaged(error, "their first bytes are not codes'");
    if (h->n_bytes % 4 != 0 || h->n_bytes < 4 || h->n_bytes > NLSH__MAX_DIM_U8 ||
        h->n_bytes > n_inputs + 3)
        return damaged(error, "a row's length is outside its meaning");
    if (!isfinite(h->scale) || h->scale <= 0) return damaged(error, "the scale is not positive");
    if (h->reserved_a != 0 || memcmp(h->reserved, zeros, sizeof zeros) != 0)
        return damaged(error, "reserved bytes are not zero");
    for (size_t i = 0; i < NLSH__RERANK_POINTS; i++)
        if (h->rerank_k[i] == 0 || h->rerank[i] < h->rerank_k[i] ||
            (i > 0 && (h->rerank_k[i] < h->rerank_k[i - 1] || h->rerank[i] < h->rerank[i - 1])))
            return damaged(error, "the number of rows to rank is outside its meaning");
    if (h->n_groups != n_groups) return damaged(error, "they do not belong to these buckets");
    if (h->size_bytes != size || nlsh__codes_size(h->n_groups, h->n_bytes) != size)
        return damaged(error, "their length does not agree with their header");
    return NLSH_OK;
}

enum nlsh_status nlsh__codes_open(const void *bytes, size_t size, const uint32_t *bucket_offsets,
                                  size_t n_buckets, size_t n_inputs, struct nlsh__codes **out,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__codes *codes = NULL;
    size_t n_groups = 0;
    *out = NULL;
    if (size < sizeof codes->header) return damaged(error, "they are truncated");
    NLSH_TRY(nlsh__calloc(&codes, 1, sizeof *codes, error));
    NLSH_TRY(nlsh__alloc(&codes->group_offsets, n_buckets + 1, sizeof(uint32_t), error));
    memcpy(&codes->header, bytes, sizeof codes->header);
    for (size_t b = 0; b <= n_buckets; b++) {
        codes->group_offsets[b] = (uint32_t)n_groups;
        if (b < n_buckets)
            n_groups += (bucket_offsets[b + 1] - bucket_offsets[b] + NLSH__GROUP - 1) / NLSH__GROUP;
    }
    NLSH_TRY(check(&codes->header, size, n_inputs, n_groups, error));
    codes->bias = (const int32_t *)(const void *)((const uint8_t *)bytes + sizeof codes->header);
    codes->values = (const uint8_t *)(codes->bias + n_groups * NLSH__GROUP);
    *out = codes;
    return NLSH_OK;
out:
    nlsh__codes_close(codes);
    return status;
}

void nlsh__codes_close(struct nlsh__codes *codes)
{
    if (codes == NULL) return;
    free(codes->group_offsets);
    free(codes);
}

size_t nlsh__codes_rerank(const struct nlsh__codes *codes, size_t k)
{
    const struct nlsh__codes_header *h = &codes->header;
    const size_t last = NLSH__RERANK_POINTS - 1;
    if (k <= h->rerank_k[0]) return h->rerank[0];
    for (size_t i = 1; i <= last; i++) {
        if (k > h->rerank_k[i]) continue;
        double share =
            (double)(k - h->rerank_k[i - 1]) / (double)(h->rerank_k[i] - h->rerank_k[i - 1]);
        return (size_t)ceil((double)h->rerank[i - 1] +
                            share * (double)(h->rerank[i] - h->rerank[i - 1]));
    }
    /* Beyond what was measured: the same share of rows a neighbour. */
    return (size_t)ceil((double)h->rerank[last] * (double)k / (double)h->rerank_k[last]);
}

void nlsh__codes_query(const struct nlsh__codes *codes, const float *inputs, size_t n_inputs,
                       int8_t *out)
{
    for (size_t i = 0; i < codes->header.n_bytes; i++) {
        float v = i < n_inputs ? inputs[i] * codes->header.scale : 0;
        v = v > -128.0f ? v : -128.0f; /* NaN too */
        v = v < 127.0f ? v : 127.0f;
        out[i] = (int8_t)(int32_t)floorf(v + 0.5f);
    }
}
