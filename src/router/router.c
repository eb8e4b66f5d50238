/* router.c - the network as it serves: see router.h. */
#include "router/router.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"

_Static_assert(sizeof(struct nlsh__router_header) == 128, "the header is 128 bytes in files");

struct nlsh__router {
    const uint8_t *bytes;
    struct nlsh__router_header header;
    struct nlsh__router_layout layout;
    size_t widest; /* padded to a group */
};

static size_t groups(size_t n)
{
    return (n + NLSH__GROUP - 1) / NLSH__GROUP;
}

/* Takes count x size bytes, padded to 64, from *offset on. */
static int place(size_t *offset, size_t count, size_t size, size_t *at)
{
    size_t bytes;
    *at = *offset;
    if (nlsh__mul(count, size, &bytes) != 0 || bytes > SIZE_MAX / 2 - *offset) return -1;
    *offset += (bytes + 63) / 64 * 64;
    return 0;
}

int nlsh__router_layout(const struct nlsh__router_header *h, struct nlsh__router_layout *out)
{
    size_t at = sizeof *h;
    *out = (struct nlsh__router_layout){0};
    if (h->projected) {
        if (place(&at, groups(h->sizes[0]) * h->dim, 64, &out->projection) != 0 ||
            place(&at, groups(h->sizes[0]), 64, &out->projection_bias) != 0 ||
            place(&at, groups(h->sizes[0]) * ((h->dim + 3) / 4), 64, &out->projection_i8) != 0 ||
            place(&at, groups(h->sizes[0]), 64, &out->projection_scales) != 0 ||
            place(&at, groups(h->sizes[0]), 64, &out->projection_sums) != 0)
            return -1;
        out->n_weights = (size_t)h->sizes[0] * h->dim;
    } else if (place(&at, h->dim, sizeof(float), &out->projection_bias) != 0) {
        return -1;
    }
    for (size_t l = 0; l < h->n_layers; l++) {
        size_t from = h->sizes[l], to = h->sizes[l + 1];
        if (place(&at, groups(to) * ((from + 3) / 4), 64, &out->weights[l]) != 0 ||
            place(&at, groups(to), 64, &out->scales[l]) != 0 ||
            place(&at, groups(to), 64, &out->biases[l]) != 0 ||
            place(&at, groups(to), 64, &out->sums[l]) != 0)
            return -1;
        out->n_weights += (from + 1) * to;
    }
    out->size = at;
    return 0;
}

static enum nlsh_status damaged(struct nlsh_error *error, const char *what)
{
    return nlsh__fail(error, NLSH_E_DATA, "build the index again", "router: %s", what);
}

static enum nlsh_status check(const struct nlsh__router_header *h, size_t size, size_t dim,
                              size_t n_buckets, struct nlsh__router_layout *layout,
                              struct nlsh_error *error)
{
    static const uint8_t zeros[sizeof h->reserved];
    if (memcmp(h->magic, NLSH__ROUTER_MAGIC, sizeof h->magic) != 0)
        return damaged(error, "its first bytes are not a router's");
    if (h->dim != dim) return damaged(error, "its dimension is not the index's");
    if (h->projected > 1 || h->n_layers < 1 || h->n_layers > NLSH__ROUTER_MAX_LAYERS)
        return damaged(error, "a number in its header is outside its meaning");
    if (memcmp(h->reserved, zeros, sizeof zeros) != 0)
        return damaged(error, "reserved bytes are not zero");
    for (size_t l = 0; l <= NLSH__ROUTER_MAX_LAYERS; l++) {
        if ((h->sizes[l] == 0) != (l > h->n_layers))
            return damaged(error, "a layer's size is outside its meaning");
        if (h->sizes[l] > NLSH__MAX_DIM) return damaged(error, "a layer is too wide");
    }
    if (h->sizes[h->n_layers] != n_buckets)
        return damaged(error, "it does not answer with the index's buckets");
    if (!h->projected && h->sizes[0] != dim)
        return damaged(error, "it does not take the index's vectors");
    if (!isfinite(h->scale)) return damaged(error, "its scale is not finite");
    if (nlsh__router_layout(h, layout) != 0 || layout->size != size || h->size_bytes != size)
        return damaged(error, "its length does not agree with its layers");
    return NLSH_OK;
}

enum nlsh_status nlsh__router_open(const void *bytes, size_t size, size_t dim, size_t n_buckets,
                                   struct nlsh__router **out, struct nlsh_error *error)
{
    struct nlsh__router_header header;
    struct nlsh__router_layout layout;
    *out = NULL;
    if (size < sizeof header) return damaged(error, "it is truncated");
    memcpy(&header, bytes, sizeof header);
    enum nlsh_status status = check(&header, size, dim, n_buckets, &layout, error);
    if (status != NLSH_OK) return status;
    struct nlsh__router *router;
    status = nlsh__calloc(&router, 1, sizeof *router, error);
    if (status != NLSH_OK) return status;
    router->bytes = bytes;
    router->header = header;
    router->layout = layout;
    for (size_t l = 0; l <= header.n_layers; l++)
        if (groups(header.sizes[l]) * NLSH__GROUP > router->widest)
            router->widest = groups(header.sizes[l]) * NLSH__GROUP;
    *out = router;
    return NLSH_OK;
}

void nlsh__router_close(struct nlsh__router *router)
{
    free(router);
}

size_t nlsh__router_n_weights(const struct nlsh__router *router)
{
    return router->layout.n_weights;
}

size_t nlsh__router_n_buckets(const struct nlsh__router *router)
{
    return router->header.sizes[router->header.n_layers];
}

size_t nlsh__router_n_inputs(const struct nlsh__router *router)
{
    return router->header.sizes[0];
}

/* One layer's outputs, and its inputs as bytes. */
size_t nlsh__router_scratch_size(const struct nlsh__router *router)
{
    return router->widest + router->widest / sizeof(float) + NLSH__GROUP;
}

size_t nlsh__router_input_size(const struct nlsh__router *router)
{
    return groups(router->header.sizes[0]) * NLSH__GROUP;
}

size_t nlsh__router_output_size(const struct nlsh__router *router)
{
    return groups(router->header.sizes[router->header.n_layers]) * NLSH__GROUP;
}

static const void *at(const struct nlsh__router *router, size_t offset)
{
    return router->bytes + offset;
}

void nlsh__router_project(const struct nlsh__router *router, const float *query,
                          const uint8_t *bytes, float *inputs)
{
    const struct nlsh__router_header *h = &router->header;
    const struct nlsh__router_layout *layout = &router->layout;
    const float *bias = at(router, layout->projection_bias);
    if (!h->projected) { /* bias is the mean */
        for (size_t d = 0; d < h->dim; d++) inputs[d] = (query[d] - bias[d]) * h->scale;
    } else if (bytes != NULL) {
        struct nlsh__layer_i8 layer = {
            .n_groups = groups(h->sizes[0]),
            .n_chunks = (h->dim + 3) / 4,
            .values = at(router, layout->projection_i8),
            .scale = at(router, layout->projection_scales),
            .bias = bias,
            .sums = at(router, layout->projection_sums),
        };
        nlsh__kernels()->matvec_i8(&layer, bytes, 1, 0, 0, inputs);
    } else {
        nlsh__kernels()->matvec_f32(at(router, layout->projection), bias, groups(h->sizes[0]),
                                    h->dim, query, inputs);
    }
}

/* x[n] to bytes around zero (0 or 128), padded with zero to a multiple of 4; returns the scale. A
 * value that is not finite (a damaged file) becomes some byte. */
static float to_bytes(const float *x, size_t n, int zero, uint8_t *out)
{
    float most = 0;
    for (size_t i = 0; i < n; i++) {
        float v = x[i] < 0 ? -x[i] : x[i];
        most = v > most ? v : most;
    }
    float room = zero == 0 ? 255.0f : 127.0f;
    float inverse = most > 0 && most < INFINITY ? room / most : 0;
    for (size_t i = 0; i < n; i++) {
        float v = x[i] * inverse + (float)zero + 0.5f;
        v = v > 0 ? v : 0; /* NaN too */
        v = v < 255.0f ? v : 255.0f;
        out[i] = (uint8_t)(int32_t)v;
    }
    for (size_t i = n; i % 4 != 0; i++) out[i] = (uint8_t)zero;
    return most > 0 && most < INFINITY ? most / room : 0;
}

void nlsh__router_forward(const struct nlsh__router *router, const float *inputs, float *scratch,
                          float *probabilities)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    const struct nlsh__router_header *h = &router->header;
    const struct nlsh__router_layout *layout = &router->layout;
    uint8_t *bytes = (uint8_t *)(scratch + router->widest);
    const float *now = inputs;
    for (size_t l = 0; l < h->n_layers; l++) {
        int last = l + 1 == h->n_layers, zero = l == 0 ? 128 : 0; /* behind ReLU nothing is < 0 */
        float *next = last ? probabilities : scratch;
        struct nlsh__layer_i8 layer = {
            .n_groups = groups(h->sizes[l + 1]),
            .n_chunks = (h->sizes[l] + 3) / 4,
            .values = at(router, layout->weights[l]),
            .scale = at(router, layout->scales[l]),
            .bias = at(router, layout->biases[l]),
            .sums = at(router, layout->sums[l]),
        };
        float scale = to_bytes(now, h->sizes[l], zero, bytes);
        kernels->matvec_i8(&layer, bytes, scale, zero, !last, next);
        now = next;
    }
    kernels->softmax_f32(probabilities, h->sizes[h->n_layers]);
}
