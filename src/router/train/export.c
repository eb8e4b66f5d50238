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
    size_t last = mlp->n_layers - 1, row = padded(groups->n);
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
    for (size_t l = 0; l < last; l++) pack_outputs(mlp, l, 0, mlp->sizes[l + 1], 0, blob, &layout);
    if (groups->n == 0) {
        pack_outputs(mlp, last, 0, mlp->sizes[last + 1], 0, blob, &layout);
    } else {
        pack_outputs(mlp, last, 0, groups->n, 0, blob, &layout);
        memcpy(blob + layout.groups, groups->first, (groups->n + 1) * sizeof *groups->first);
    }
    row = padded(groups->n);
    for (size_t g = 0; g < groups->n; g++) {
        size_t first = groups->first[g], n = groups->first[g + 1] - first;
        pack_outputs(mlp, last, groups->n + first, n, row, blob, &layout);
        row += padded(n);
    }
    *size = layout.size;
    return NLSH_OK;
}
