/* export.c - see export.h and the blob's description in router/router.h. */
#include "router/train/export.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/panel.h"
#include "router/router.h"

/* The largest size of a row's values and of the sums of its pairs, values 0 and 1, 2 and 3, ... */
static float largest(const float *row, size_t n)
{
    float most = 0;
    for (size_t d = 0; d < n; d++) {
        float pair = d % 2 == 0 && d + 1 < n ? row[d] + row[d + 1] : 0;
        most = fmaxf(most, fmaxf(fabsf(row[d]), fabsf(pair)));
    }
    return most;
}

/* rows [to x from] as signed bytes in groups of 16 rows, each with the scale that brings the largest of
 * its values and pairs to 127, so that rounded pairs are 128 at most and fit (NLSH__MOST_PAIR); what
 * fills groups and chunks up is zero. */
static void pack(const float *rows, size_t to, size_t from, int8_t *values, float *scales,
                 int32_t *sums)
{
    size_t n_chunks = (from + 3) / 4;
    for (size_t r = 0; r < to; r++) {
        const float *row = rows + r * from;
        int8_t *group = values + r / NLSH__GROUP * n_chunks * 64 + r % NLSH__GROUP * 4;
        float most = largest(row, from);
        float inverse = most > 0 ? 127.0f / most : 0;
        for (size_t d = 0; d < from; d++) {
            int8_t w = (int8_t)lrintf(row[d] * inverse);
            group[d / 4 * 64 + d % 4] = w;
            sums[r] += w;
        }
        scales[r] = most / 127.0f;
    }
}

static void pack_projection(const struct nlsh__projection *p, uint8_t *blob,
                            const struct nlsh__router_layout *layout)
{
    float *values = (float *)(void *)(blob + layout->projection);
    float *bias = (float *)(void *)(blob + layout->projection_bias);
    if (p->components == NULL) {
        memcpy(bias, p->mean, p->dim * sizeof *bias);
        return;
    }
    for (size_t c = 0; c < p->n_components; c++) {
        const float *row = p->components + c * p->dim;
        double shift = 0;
        for (size_t d = 0; d < p->dim; d++) {
            values[(c / NLSH__GROUP * p->dim + d) * NLSH__GROUP + c % NLSH__GROUP] = row[d];
            shift -= (double)row[d] * (double)p->mean[d];
        }
        bias[c] = (float)shift;
    }
    pack(p->components, p->n_components, p->dim, (int8_t *)(blob + layout->projection_i8),
         (float *)(void *)(blob + layout->projection_scales),
         (int32_t *)(void *)(blob + layout->projection_sums));
}

static size_t padded(size_t n)
{
    return (n + NLSH__GROUP - 1) / NLSH__GROUP * NLSH__GROUP;
}

/* n outputs of layer l from output on, to the blob's rows from row on. */
static void pack_outputs(const struct nlsh__mlp *mlp, size_t l, size_t output, size_t n, size_t row,
                         uint8_t *blob, const struct nlsh__router_layout *layout)
{
    size_t from = mlp->sizes[l];
    pack(mlp->weights[l] + output * from, n, from,
         (int8_t *)(blob + layout->weights[l]) + row * ((from + 3) / 4) * 4,
         (float *)(void *)(blob + layout->scales[l]) + row,
         (int32_t *)(void *)(blob + layout->sums[l]) + row);
    memcpy((float *)(void *)(blob + layout->biases[l]) + row, mlp->biases[l] + output,
           n * sizeof(float));
}

/* Where outputs of a layer stand among a blob's rows: n of them from output on, from row on. The last layer's groups
 * come first, then each group's buckets, every part filled up; 0 behind the last part. */
struct part {
    size_t output, n, row;
};
static int next_part(const struct nlsh__groups *groups, size_t n_outputs, size_t i,
                     struct part *part)
{
    size_t end = part->row + padded(part->n);
    if (groups == NULL || groups->n == 0) {
        *part = (struct part){0, n_outputs, 0};
        return i == 0;
    }
    if (i > groups->n) return 0;
    *part = i == 0 ? (struct part){0, groups->n, 0}
                   : (struct part){groups->n + groups->first[i - 1],
                                   groups->first[i] - groups->first[i - 1], end};
    return 1;
}

static void pack_layers(const struct nlsh__mlp *mlp, const struct nlsh__groups *groups,
                        uint8_t *blob, const struct nlsh__router_layout *layout)
{
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct nlsh__groups *of = l + 1 == mlp->n_layers ? groups : NULL;
        struct part p = {0};
        for (size_t i = 0; next_part(of, mlp->sizes[l + 1], i, &p); i++)
            pack_outputs(mlp, l, p.output, p.n, p.row, blob, layout);
    }
}

enum nlsh_status nlsh__router_export(const struct nlsh__mlp *mlp,
                                     const struct nlsh__projection *projection,
                                     const struct nlsh__groups *groups, void **bytes, size_t *size,
                                     struct nlsh_error *error)
{
    struct nlsh__router_layout layout;
    struct nlsh__router_header header = {
        .magic = NLSH__ROUTER_MAGIC,
        .dim = (uint32_t)projection->dim,
        .projected = projection->components != NULL,
        .n_layers = (uint32_t)mlp->n_layers,
        .scale = projection->scale,
        .n_groups = (uint32_t)groups->n,
    };
    size_t row = padded(groups->n);
    for (size_t l = 0; l <= mlp->n_layers; l++) header.sizes[l] = (uint32_t)mlp->sizes[l];
    header.sizes[mlp->n_layers] -= (uint32_t)groups->n;
    for (size_t g = 0; g < groups->n; g++) row += padded(groups->first[g + 1] - groups->first[g]);
    header.n_outputs = (uint32_t)row;
    *bytes = NULL;
    if (nlsh__router_layout(&header, &layout) != 0)
        return nlsh__fail(error, NLSH_E_ARG, "take fewer nodes or layers", "router: too large");
    header.size_bytes = layout.size;
    enum nlsh_status status = nlsh__calloc(bytes, layout.size, 1, error);
    if (status != NLSH_OK) return status;
    uint8_t *blob = *bytes;
    memcpy(blob, &header, sizeof header);
    pack_projection(projection, blob, &layout);
    pack_layers(mlp, groups, blob, &layout);
    if (groups->n > 0)
        memcpy(blob + layout.groups, groups->first, (groups->n + 1) * sizeof *groups->first);
    *size = layout.size;
    return NLSH_OK;
}

/* ---- a network that learns on --------------------------------------------------------------- */

/* The inverse of pack_outputs(), but for what was rounded. */
static void unpack_outputs(const uint8_t *blob, const struct nlsh__router_layout *layout, size_t l,
                           const struct part *p, struct nlsh__mlp *mlp)
{
    size_t from = mlp->sizes[l], n_chunks = (from + 3) / 4;
    const int8_t *values = (const int8_t *)(blob + layout->weights[l]);
    const float *scales = (const float *)(const void *)(blob + layout->scales[l]);
    const float *biases = (const float *)(const void *)(blob + layout->biases[l]);
    for (size_t i = 0; i < p->n; i++) {
        size_t row = p->row + i;
        const int8_t *group = values + row / NLSH__GROUP * n_chunks * 64 + row % NLSH__GROUP * 4;
        float *weights = mlp->weights[l] + (p->output + i) * from;
        for (size_t d = 0; d < from; d++) {
            size_t at = d / 4 * 64 + d % 4;
            weights[d] = (float)group[at] * scales[row];
        }
        mlp->biases[l][p->output + i] = biases[row];
    }
}

/* The blob's header and what follows from it; it was opened once, so both hold. */
static void look_into(const uint8_t *blob, struct nlsh__router_header *header,
                      struct nlsh__router_layout *layout, struct nlsh__groups *groups)
{
    memcpy(header, blob, sizeof *header);
    (void)nlsh__router_layout(header, layout);
    groups->n = header->n_groups;
    groups->first = header->n_groups > 0 ? (uint32_t *)(uintptr_t)(blob + layout->groups) : NULL;
}

enum nlsh_status nlsh__router_import(const void *bytes, struct nlsh__mlp *mlp,
                                     struct nlsh__groups *groups, struct nlsh_error *error)
{
    struct nlsh__router_header header;
    struct nlsh__router_layout layout;
    look_into(bytes, &header, &layout, groups);
    size_t hidden = header.n_layers - 1, outputs = header.sizes[header.n_layers] + groups->n;
    enum nlsh_status status = nlsh__mlp_create(
        header.sizes[0], hidden, hidden > 0 ? header.sizes[1] : 0, outputs, 0, mlp, error);
    if (status != NLSH_OK) return status;
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const struct nlsh__groups *of = l + 1 == mlp->n_layers ? groups : NULL;
        struct part p = {0};
        for (size_t i = 0; next_part(of, mlp->sizes[l + 1], i, &p); i++)
            unpack_outputs(bytes, &layout, l, &p, mlp);
    }
    return NLSH_OK;
}

enum nlsh_status nlsh__router_export_again(const void *bytes, const struct nlsh__mlp *mlp,
                                           void **out, size_t *size, struct nlsh_error *error)
{
    struct nlsh__router_header header;
    struct nlsh__router_layout layout;
    struct nlsh__groups groups;
    look_into(bytes, &header, &layout, &groups);
    enum nlsh_status status = nlsh__calloc(out, layout.size, 1, error);
    if (status != NLSH_OK) return status;
    memcpy(*out, bytes, layout.weights[0]);
    pack_layers(mlp, &groups, *out, &layout);
    if (groups.n > 0)
        memcpy((uint8_t *)*out + layout.groups, groups.first,
               (groups.n + 1) * sizeof *groups.first);
    *size = layout.size;
    return NLSH_OK;
}
