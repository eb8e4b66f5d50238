/* leaves.c - see leaves.h. */
#include "codes/leaves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "codes/arrays.h"
#include "kernels/panel.h"

_Static_assert(sizeof(struct nlsh__leaves_header) == 256, "the header is 256 bytes in files");

int nlsh__leaves_layout(size_t n_groups, size_t n_components, struct nlsh__leaves_layout *out)
{
    size_t at = sizeof(struct nlsh__leaves_header);
    *out = (struct nlsh__leaves_layout){0};
    if (nlsh__place_groups(&at, n_groups, n_components, &out->bias, &out->errors, &out->values) !=
        0)
        return -1;
    out->size = at;
    return 0;
}

static enum nlsh_status damaged(struct nlsh_error *error, const char *what)
{
    return nlsh__fail(error, NLSH_E_DATA, "build the index again", "leaves: %s", what);
}

static enum nlsh_status check(const struct nlsh__leaves_header *h, size_t size, size_t n_groups,
                              size_t n_components, struct nlsh__leaves_layout *layout,
                              struct nlsh_error *error)
{
    static const uint8_t zeros[sizeof h->reserved];
    if (memcmp(h->magic, NLSH__LEAVES_MAGIC, sizeof h->magic) != 0)
        return damaged(error, "their first bytes are not leaves'");
    if (h->n_components != n_components || h->n_groups != n_groups)
        return damaged(error, "they do not belong to these codes");
    if (!nlsh__inside(h->error_unit, 0, 1e30f) || !nlsh__inside(h->slope, 0, 1e9f))
        return damaged(error, "a scale is not a number >= 0");
    if (memcmp(h->reserved, zeros, sizeof zeros) != 0)
        return damaged(error, "reserved bytes are not zero");
    if (nlsh__leaves_layout(n_groups, n_components, layout) != 0 || h->size_bytes != size ||
        layout->size != size)
        return damaged(error, "their length does not agree with their header");
    const struct nlsh__margin_table table = {h->margin_k, h->margin_loss, h->margin,
                                             NLSH__LEAF_LOSSES};
    const char *wrong = nlsh__margins_wrong(&table, -1e9f);
    return wrong != NULL ? damaged(error, wrong) : NLSH_OK;
}

enum nlsh_status nlsh__leaves_open(const void *bytes, size_t size, const struct nlsh__codes *codes,
                                   size_t n_buckets, struct nlsh__leaves **out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__leaves *leaves = NULL;
    struct nlsh__leaves_layout layout;
    const uint8_t *at = bytes;
    size_t n_groups = 0;
    *out = NULL;
    if (size < sizeof leaves->header) return damaged(error, "they are truncated");
    NLSH_TRY(nlsh__calloc(&leaves, 1, sizeof *leaves, error));
    NLSH_TRY(nlsh__alloc(&leaves->group_offsets, n_buckets + 1, sizeof(uint32_t), error));
    memcpy(&leaves->header, bytes, sizeof leaves->header);
    for (size_t b = 0; b <= n_buckets; b++) {
        leaves->group_offsets[b] = (uint32_t)n_groups;
        if (b < n_buckets)
            n_groups += (codes->group_offsets[b + 1] - codes->group_offsets[b] + NLSH__GROUP - 1) /
                        NLSH__GROUP;
    }
    NLSH_TRY(check(&leaves->header, size, n_groups, codes->header.n_components, &layout, error));
    leaves->bias = (const float *)(const void *)(at + layout.bias);
    leaves->errors = at + layout.errors;
    leaves->values = at + layout.values;
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

float nlsh__leaves_margin(const struct nlsh__leaves *leaves, size_t k, double loss)
{
    const struct nlsh__leaves_header *h = &leaves->header;
    const struct nlsh__margin_table table = {h->margin_k, h->margin_loss, h->margin,
                                             NLSH__LEAF_LOSSES};
    if (loss < (double)h->margin_loss[0] || k > h->margin_k[NLSH__MARGIN_KS - 1]) return INFINITY;
    return nlsh__margin_at(&table, k, loss);
}
