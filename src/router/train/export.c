/* export.c - see export.h and the blob's description in router/router.h. */
#include "router/train/export.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/panel.h"
#include "router/router.h"

/* rows [to x from] as signed bytes in groups of 16 rows, each with the scale that brings its largest
 * value to 127; what fills groups and chunks up is zero. */
static void pack(const float *rows, size_t to, size_t from, int8_t *values, float *scales,
                 int32_t *sums)
{
    size_t n_chunks = (from + 3) / 4;
    for (size_t r = 0; r < to; r++) {
        const float *row = rows + r * from;
        int8_t *group = values + r / NLSH__GROUP * n_chunks * 64 + r % NLSH__GROUP * 4;
        float most = 0;
        for (size_t d = 0; d < from; d++) most = fmaxf(most, fabsf(row[d]));
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

enum nlsh_status nlsh__router_export(const struct nlsh__mlp *mlp,
                                     const struct nlsh__projection *projection, void **bytes,
                                     size_t *size, struct nlsh_error *error)
{
    struct nlsh__router_layout layout;
    struct nlsh__router_header header = {
        .magic = NLSH__ROUTER_MAGIC,
        .dim = (uint32_t)projection->dim,
        .projected = projection->components != NULL,
        .n_layers = (uint32_t)mlp->n_layers,
        .scale = projection->scale,
    };
    for (size_t l = 0; l <= mlp->n_layers; l++) header.sizes[l] = (uint32_t)mlp->sizes[l];
    *bytes = NULL;
    if (nlsh__router_layout(&header, &layout) != 0)
        return nlsh__fail(error, NLSH_E_ARG, "take fewer nodes or layers", "router: too large");
    header.size_bytes = layout.size;
    enum nlsh_status status = nlsh__calloc(bytes, layout.size, 1, error);
    if (status != NLSH_OK) return status;
    uint8_t *blob = *bytes;
    memcpy(blob, &header, sizeof header);
    pack_projection(projection, blob, &layout);
    for (size_t l = 0; l < mlp->n_layers; l++) {
        pack(mlp->weights[l], mlp->sizes[l + 1], mlp->sizes[l],
             (int8_t *)(blob + layout.weights[l]), (float *)(void *)(blob + layout.scales[l]),
             (int32_t *)(void *)(blob + layout.sums[l]));
        memcpy(blob + layout.biases[l], mlp->biases[l], mlp->sizes[l + 1] * sizeof(float));
    }
    *size = layout.size;
    return NLSH_OK;
}
