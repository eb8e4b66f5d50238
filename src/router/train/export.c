/* export.c - see export.h and the blob's description in router/router.h. */
#include "router/train/export.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/panel.h"
#include "router/router.h"

/* weights [to x from] row-major into groups of 16 rows; what fills the last group up is zero. */
static void pack(const float *weights, const float *bias, size_t to, size_t from, float *values,
                 float *out_bias)
{
    for (size_t r = 0; r < to; r++) {
        float *group = values + r / NLSH__GROUP * from * NLSH__GROUP + r % NLSH__GROUP;
        for (size_t d = 0; d < from; d++) group[d * NLSH__GROUP] = weights[r * from + d];
        out_bias[r] = bias[r];
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
    for (size_t l = 0; l < mlp->n_layers; l++)
        pack(mlp->weights[l], mlp->biases[l], mlp->sizes[l + 1], mlp->sizes[l],
             (float *)(void *)(blob + layout.weights[l]),
             (float *)(void *)(blob + layout.biases[l]));
    *size = layout.size;
    return NLSH_OK;
}
