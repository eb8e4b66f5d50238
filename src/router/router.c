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
            place(&at, groups(h->sizes[0]), 64, &out->projection_bias) != 0)
            return -1;
        out->n_weights = (size_t)h->sizes[0] * h->dim;
    } else if (place(&at, h->dim, sizeof(float), &out->projection_bias) != 0) {
        return -1;
    }
    for (size_t l = 0; l < h->n_layers; l++) {
        size_t from = h->sizes[l], to = h->sizes[l + 1];
        if (place(&at, groups(to) * from, 64, &out->weights[l]) != 0 ||
            place(&at, groups(to), 64, &out->biases[l]) != 0)
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

size_t nlsh__router_scratch_size(const struct nlsh__router *router)
{
    return 2 * router->widest;
}

size_t nlsh__router_output_size(const struct nlsh__router *router)
{
    return groups(router->header.sizes[router->header.n_layers]) * NLSH__GROUP;
}

static const float *at(const struct nlsh__router *router, size_t offset)
{
    return (const float *)(const void *)(router->bytes + offset);
}

void nlsh__router_forward(const struct nlsh__router *router, const float *query, float *scratch,
                          float *probabilities)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    const struct nlsh__router_header *h = &router->header;
    const struct nlsh__router_layout *layout = &router->layout;
    float *now = scratch, *next = scratch + router->widest;
    if (h->projected) {
        kernels->matvec_f32(at(router, layout->projection), at(router, layout->projection_bias),
                            groups(h->sizes[0]), h->dim, query, 0, now);
    } else {
        const float *mean = at(router, layout->projection_bias);
        for (size_t d = 0; d < h->dim; d++) now[d] = (query[d] - mean[d]) * h->scale;
    }
    for (size_t l = 0; l < h->n_layers; l++) {
        int last = l + 1 == h->n_layers;
        kernels->matvec_f32(at(router, layout->weights[l]), at(router, layout->biases[l]),
                            groups(h->sizes[l + 1]), h->sizes[l], now, !last,
                            last ? probabilities : next);
        float *swap = now;
        now = next;
        next = swap;
    }
    kernels->softmax_f32(probabilities, h->sizes[h->n_layers]);
}
