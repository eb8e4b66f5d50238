/* leaves.c - see leaves.h. */
#include "codes/leaves.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/panel.h"

enum { KS_0 = 3, LOSSES_0 = 8 };

/* Of format 2, which kept the margins here. */
struct header_0 {
    char magic[8];
    uint64_t size_bytes;
    uint32_t n_groups, n_components;
    float error_unit, slope;
    uint32_t margin_k[KS_0];
    float margin_loss[LOSSES_0];
    float margin[KS_0 * LOSSES_0];
    uint8_t reserved[84];
};

_Static_assert(sizeof(struct nlsh__leaves_header) == 64, "the header is 64 bytes in files");
_Static_assert(sizeof(struct header_0) == 256, "the header was 256 bytes in files");
_Static_assert(offsetof(struct header_0, slope) == offsetof(struct nlsh__leaves_header, reserved),
               "both begin alike");

static int layout_behind(size_t header, size_t n_groups, size_t n_components,
                         struct nlsh__leaves_layout *out)
{
    size_t at = header;
    *out = (struct nlsh__leaves_layout){0};
    if (nlsh__place_groups(&at, n_groups, n_components, &out->bias, &out->errors, &out->values) !=
        0)
        return -1;
    out->size = at;
    return 0;
}

int nlsh__leaves_layout(size_t n_groups, size_t n_components, struct nlsh__leaves_layout *out)
{
    return layout_behind(sizeof(struct nlsh__leaves_header), n_groups, n_components, out);
}

static enum nlsh_status damaged(struct nlsh_error *error, const char *what)
{
    return nlsh__fail(error, NLSH_E_DATA, "build the index again", "leaves: %s", what);
}

static enum nlsh_status check(const struct nlsh__leaves_header *h, size_t header_size, size_t size,
                              size_t n_groups, size_t n_components,
                              struct nlsh__leaves_layout *layout, struct nlsh_error *error)
{
    if (memcmp(h->magic, NLSH__LEAVES_MAGIC, sizeof h->magic) != 0)
        return damaged(error, "their first bytes are not leaves'");
    if (h->n_components != n_components || h->n_groups != n_groups)
        return damaged(error, "they do not belong to these codes");
    if (!nlsh__inside(h->error_unit, 0, 1e30f))
        return damaged(error, "a scale is not a number >= 0");
    if (layout_behind(header_size, n_groups, n_components, layout) != 0 || h->size_bytes != size ||
        layout->size != size)
        return damaged(error, "their length does not agree with their header");
    return NLSH_OK;
}

static enum nlsh_status take_margins(const struct header_0 *h, struct nlsh__leaves *leaves,
                                     struct nlsh_error *error)
{
    leaves->slope = h->slope;
    if (!nlsh__inside(h->slope, 0, 1e9f)) return damaged(error, "a scale is not a number >= 0");
    leaves->margins =
        (struct nlsh__margins){KS_0, LOSSES_0, h->margin_k, h->margin_loss, h->margin};
    const char *wrong = nlsh__margins_wrong(&leaves->margins, -1e9f);
    return wrong != NULL ? damaged(error, wrong) : NLSH_OK;
}

enum nlsh_status nlsh__leaves_open(const void *bytes, size_t size, unsigned version,
                                   const struct nlsh__codes *codes, size_t n_buckets,
                                   struct nlsh__leaves **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__leaves *leaves = NULL;
    struct nlsh__leaves_header header;
    struct nlsh__leaves_layout layout;
    const uint8_t *at = bytes;
    size_t header_size = version == 0 ? sizeof(struct header_0) : sizeof header;
    *out = NULL;
    if (size < header_size) return damaged(error, "they are truncated");
    memcpy(&header, bytes, sizeof header);
    NLSH_TRY(nlsh__calloc(&leaves, 1, sizeof *leaves, error));
    NLSH_TRY(nlsh__alloc(&leaves->group_offsets, n_buckets + 1, sizeof(uint32_t), error));
    size_t n_groups = nlsh__group_offsets(codes->group_offsets, n_buckets, leaves->group_offsets);
    NLSH_TRY(check(&header, header_size, size, n_groups, codes->n_components, &layout, error));
    leaves->error_unit = header.error_unit;
    leaves->leaves = (struct nlsh__grouped){.n_groups = n_groups,
                                            .n_chunks = codes->n_components / 8,
                                            .bias = (const float *)(const void *)(at + layout.bias),
                                            .errors = at + layout.errors,
                                            .values = at + layout.values};
    if (version == 0) NLSH_TRY(take_margins(bytes, leaves, error));
    *out = leaves;
    return NLSH_OK;
out:
    nlsh__leaves_close(leaves);
    return status;
}

void nlsh__leaves_close(struct nlsh__leaves *leaves)
{
    if (leaves == NULL) return;
    nlsh__free(leaves->group_offsets);
    nlsh__free(leaves);
}
