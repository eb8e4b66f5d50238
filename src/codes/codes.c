/* codes.c - see codes.h. */
#include "codes/codes.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "codes/arrays.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"

_Static_assert(sizeof(struct nlsh__codes_header) == 256, "the header is 256 bytes in files");

int nlsh__codes_layout(size_t dim, size_t n_buckets, size_t n_groups, size_t n_components,
                       struct nlsh__codes_layout *out)
{
    size_t at = sizeof(struct nlsh__codes_header), row;
    *out = (struct nlsh__codes_layout){.stride = (n_components + 15) / 16 * 16};
    if (nlsh__mul(n_buckets, out->stride, &row) != 0 ||
        nlsh__place(&at, dim, sizeof(float), &out->mean) != 0 ||
        nlsh__place(&at, out->stride, sizeof(float), &out->steps) != 0 ||
        nlsh__place(&at, row, sizeof(float), &out->centroids) != 0 ||
        nlsh__place_groups(&at, n_groups, n_components, &out->bias, &out->errors, &out->values) !=
            0)
        return -1;
    out->size = at;
    return 0;
}

static enum nlsh_status damaged(struct nlsh_error *error, const char *what)
{
    return nlsh__fail(error, NLSH_E_DATA, "build the index again", "codes: %s", what);
}

static enum nlsh_status check(const struct nlsh__codes_header *h, size_t size, size_t n_inputs,
                              size_t n_groups, size_t dim, size_t n_buckets,
                              struct nlsh__codes_layout *layout, struct nlsh_error *error)
{
    static const uint8_t zeros[sizeof h->reserved];
    if (memcmp(h->magic, NLSH__CODES_MAGIC, sizeof h->magic) != 0)
        return damaged(error, "their first bytes are not codes'");
    if (h->n_components % 8 != 0 || h->n_components < 8 || h->n_components > n_inputs + 7)
        return damaged(error, "a row's length is outside its meaning");
    if (!nlsh__inside(h->scale, 1e-30f, 1e30f) || !nlsh__inside(h->error_unit, 0, 1e30f))
        return damaged(error, "a scale is not positive");
    if (memcmp(h->reserved, zeros, sizeof zeros) != 0)
        return damaged(error, "reserved bytes are not zero");
    if (h->n_groups != n_groups) return damaged(error, "they do not belong to these buckets");
    if (nlsh__codes_layout(dim, n_buckets, n_groups, h->n_components, layout) != 0 ||
        h->size_bytes != size || layout->size != size)
        return damaged(error, "their length does not agree with their header");
    const struct nlsh__margin_table table = {h->margin_k, h->margin_loss, h->margin,
                                             NLSH__MARGIN_LOSSES};
    const char *wrong = nlsh__margins_wrong(&table, 0);
    return wrong != NULL ? damaged(error, wrong) : NLSH_OK;
}

enum nlsh_status nlsh__codes_open(const void *bytes, size_t size, const uint32_t *bucket_offsets,
                                  size_t n_buckets, size_t n_inputs, size_t dim,
                                  struct nlsh__codes **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__codes *codes = NULL;
    const uint8_t *at = bytes;
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
    NLSH_TRY(
        check(&codes->header, size, n_inputs, n_groups, dim, n_buckets, &codes->layout, error));
    codes->mean = (const float *)(const void *)(at + codes->layout.mean);
    codes->steps = (const float *)(const void *)(at + codes->layout.steps);
    codes->centroids = (const float *)(const void *)(at + codes->layout.centroids);
    codes->bias = (const float *)(const void *)(at + codes->layout.bias);
    codes->errors = at + codes->layout.errors;
    codes->values = at + codes->layout.values;
    *out = codes;
    return NLSH_OK;
out:
    nlsh__codes_close(codes);
    return status;
}

void nlsh__codes_close(struct nlsh__codes *codes)
{
    if (codes == NULL) return;
    nlsh__free(codes->group_offsets);
    nlsh__free(codes);
}

float nlsh__codes_margin(const struct nlsh__codes *codes, size_t k, double loss)
{
    const struct nlsh__codes_header *h = &codes->header;
    const struct nlsh__margin_table table = {h->margin_k, h->margin_loss, h->margin,
                                             NLSH__MARGIN_LOSSES};
    return nlsh__margin_at(&table, k, loss);
}
