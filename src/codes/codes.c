/* codes.c - see codes.h. */
#include "codes/codes.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/panel.h"

enum { KS_0 = 3, LOSSES_0 = 5 };

/* Of format 2, which kept the margins here. */
struct header_0 {
    char magic[8];
    uint64_t size_bytes;
    uint32_t n_groups, n_components;
    float scale, error_unit;
    uint32_t margin_k[KS_0];
    float margin_loss[LOSSES_0];
    float margin[KS_0 * LOSSES_0];
    uint8_t reserved[132];
};

_Static_assert(sizeof(struct nlsh__codes_header) == 64, "the header is 64 bytes in files");
_Static_assert(sizeof(struct header_0) == 256, "the header was 256 bytes in files");
_Static_assert(offsetof(struct header_0, margin_k) == offsetof(struct nlsh__codes_header, rounded),
               "both begin alike");

static int layout_behind(size_t header, const struct nlsh__codes_of *of, size_t n_groups,
                         size_t n_components, struct nlsh__codes_layout *out)
{
    size_t at = header, row;
    *out = (struct nlsh__codes_layout){.stride = (n_components + 15) / 16 * 16};
    if (nlsh__mul(of->n_buckets, out->stride, &row) != 0 ||
        nlsh__place(&at, of->dim, sizeof(float), &out->mean) != 0 ||
        nlsh__place(&at, out->stride, sizeof(float), &out->steps) != 0 ||
        nlsh__place(&at, row, sizeof(float), &out->centroids) != 0 ||
        nlsh__place_groups(&at, n_groups, n_components, &out->bias, &out->errors, &out->values) !=
            0)
        return -1;
    out->size = at;
    return 0;
}

int nlsh__codes_layout(size_t dim, size_t n_buckets, size_t n_groups, size_t n_components,
                       struct nlsh__codes_layout *out)
{
    const struct nlsh__codes_of of = {.n_buckets = n_buckets, .dim = dim};
    return layout_behind(sizeof(struct nlsh__codes_header), &of, n_groups, n_components, out);
}

static enum nlsh_status damaged(struct nlsh_error *error, const char *what)
{
    return nlsh__fail(error, NLSH_E_DATA, "build the index again", "codes: %s", what);
}

static enum nlsh_status check(const struct nlsh__codes_header *h, size_t header_size, size_t size,
                              size_t n_groups, const struct nlsh__codes_of *of,
                              struct nlsh__codes_layout *layout, struct nlsh_error *error)
{
    if (memcmp(h->magic, NLSH__CODES_MAGIC, sizeof h->magic) != 0)
        return damaged(error, "their first bytes are not codes'");
    if (h->n_components % 8 != 0 || h->n_components < 8 || h->n_components > of->n_inputs + 7)
        return damaged(error, "a row's length is outside its meaning");
    if (!nlsh__inside(h->scale, 1e-30f, 1e30f) || !nlsh__inside(h->error_unit, 0, 1e30f))
        return damaged(error, "a scale is not positive");
    if (!nlsh__inside(h->outside_weight, 1e-6f, 1e6f))
        return damaged(error, "a weight is outside its meaning");
    if (h->n_groups != n_groups) return damaged(error, "they do not belong to these buckets");
    if (layout_behind(header_size, of, n_groups, h->n_components, layout) != 0 ||
        h->size_bytes != size || layout->size != size)
        return damaged(error, "their length does not agree with their header");
    return NLSH_OK;
}

static void take_arrays(const uint8_t *at, const struct nlsh__codes_layout *layout,
                        const struct nlsh__codes_header *h, struct nlsh__codes *codes)
{
    codes->n_components = h->n_components;
    codes->stride = layout->stride;
    codes->scale = h->scale;
    codes->error_unit = h->error_unit;
    codes->outside_weight = h->outside_weight;
    codes->mean = (const float *)(const void *)(at + layout->mean);
    codes->steps = (const float *)(const void *)(at + layout->steps);
    codes->centroids = (const float *)(const void *)(at + layout->centroids);
    codes->rows = (struct nlsh__grouped){.n_groups = h->n_groups,
                                         .n_chunks = h->n_components / 8,
                                         .bias = (const float *)(const void *)(at + layout->bias),
                                         .errors = at + layout->errors,
                                         .values = at + layout->values};
}

static enum nlsh_status take_margins(const struct header_0 *h, struct nlsh__codes *codes,
                                     struct nlsh_error *error)
{
    codes->margins = (struct nlsh__margins){KS_0, LOSSES_0, h->margin_k, h->margin_loss, h->margin};
    const char *wrong = nlsh__margins_wrong(&codes->margins, 0);
    return wrong != NULL ? damaged(error, wrong) : NLSH_OK;
}

enum nlsh_status nlsh__codes_open(const void *bytes, size_t size, unsigned version,
                                  const struct nlsh__codes_of *of, struct nlsh__codes **out,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__codes *codes = NULL;
    struct nlsh__codes_header header;
    struct nlsh__codes_layout layout;
    size_t header_size = version == 0 ? sizeof(struct header_0) : sizeof header;
    *out = NULL;
    if (size < header_size) return damaged(error, "they are truncated");
    memcpy(&header, bytes, sizeof header);
    if (version < 2) header.outside_weight = 1;
    NLSH_TRY(nlsh__calloc(&codes, 1, sizeof *codes, error));
    NLSH_TRY(nlsh__alloc(&codes->group_offsets, of->n_buckets + 1, sizeof(uint32_t), error));
    size_t n_groups = nlsh__group_offsets(of->bucket_offsets, of->n_buckets, codes->group_offsets);
    NLSH_TRY(check(&header, header_size, size, n_groups, of, &layout, error));
    take_arrays(bytes, &layout, &header, codes);
    if (version == 0) NLSH_TRY(take_margins(bytes, codes, error));
    if (version > 0 && header.rounded == 1) codes->query_mean = codes->mean;
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
