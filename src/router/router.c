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
    size_t widest; /* of what is not the last layer's, padded to a group */
    struct nlsh__groups groups;
    uint32_t flat[2]; /* the one group's table where there are none */
    size_t *rows;     /* [groups.n] the last layer's row of a group's first bucket */
    float
        *no_bias; /* [nlsh__router_input_size()] zeros: of the projection of floats less the mean */
    int projection_fits, fits[NLSH__ROUTER_MAX_LAYERS]; /* pairs_fit of the layers of bytes */
};

static size_t groups(size_t n)
{
    return (n + NLSH__GROUP - 1) / NLSH__GROUP;
}

/* Rows of layer l, less what fills up its last group. */
static size_t layer_rows(const struct nlsh__router_header *h, size_t l)
{
    return h->n_groups > 0 && l + 1 == h->n_layers ? h->n_outputs : h->sizes[l + 1];
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
        size_t from = h->sizes[l], to = layer_rows(h, l);
        if (place(&at, groups(to) * ((from + 3) / 4), 64, &out->weights[l]) != 0 ||
            place(&at, groups(to), 64, &out->scales[l]) != 0 ||
            place(&at, groups(to), 64, &out->biases[l]) != 0 ||
            place(&at, groups(to), 64, &out->sums[l]) != 0)
            return -1;
        out->n_weights += (from + 1) * (l + 1 == h->n_layers ? h->sizes[l + 1] + h->n_groups : to);
    }
    if (h->n_groups > 0 && place(&at, (size_t)h->n_groups + 1, 4, &out->groups) != 0) return -1;
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
    if (memcmp(h->magic, NLSH__ROUTER_MAGIC, sizeof h->magic) != 0)
        return damaged(error, "its first bytes are not a router's");
    if (h->dim != dim) return damaged(error, "its dimension is not the index's");
    if (h->projected > 1 || h->n_layers < 1 || h->n_layers > NLSH__ROUTER_MAX_LAYERS)
        return damaged(error, "a number in its header is outside its meaning");
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
    if (h->n_groups > n_buckets || (h->n_groups == 0) != (h->n_outputs == 0))
        return damaged(error, "its number of groups is outside its meaning");
    if (nlsh__router_layout(h, layout) != 0 || layout->size != size || h->size_bytes != size)
        return damaged(error, "its length does not agree with its layers");
    return NLSH_OK;
}

/* The table of groups, and where in the last layer each begins. */
static enum nlsh_status open_groups(struct nlsh__router *router, struct nlsh_error *error)
{
    const struct nlsh__router_header *h = &router->header;
    size_t m = h->sizes[h->n_layers], n = h->n_groups > 0 ? h->n_groups : 1;
    uint32_t *first = router->flat;
    first[1] = (uint32_t)m;
    if (h->n_groups > 0) /* read only: the table is the caller's bytes */
        first = (uint32_t *)(uintptr_t)(router->bytes + router->layout.groups);
    router->groups = (struct nlsh__groups){n, first};
    if (first[0] != 0 || first[n] != m)
        return damaged(error, "its groups do not hold the index's buckets");
    enum nlsh_status status = nlsh__alloc(&router->rows, n, sizeof *router->rows, error);
    if (status != NLSH_OK) return status;
    size_t row = groups(h->n_groups) * NLSH__GROUP;
    for (size_t g = 0; g < n; g++) {
        if (first[g] >= first[g + 1]) return damaged(error, "a group holds no bucket");
        router->rows[g] = row;
        row += groups(first[g + 1] - first[g]) * NLSH__GROUP;
    }
    if (h->n_groups > 0 && row != h->n_outputs)
        return damaged(error, "its groups do not fill its last layer");
    return NLSH_OK;
}

static const void *at(const struct nlsh__router *router, size_t offset)
{
    return router->bytes + offset;
}

static struct nlsh__layer_i8 projection_of(const struct nlsh__router *router)
{
    const struct nlsh__router_layout *layout = &router->layout;
    return (struct nlsh__layer_i8){
        .n_groups = groups(router->header.sizes[0]),
        .n_chunks = (router->header.dim + 3) / 4,
        .values = at(router, layout->projection_i8),
        .scale = at(router, layout->projection_scales),
        .bias = at(router, layout->projection_bias),
        .sums = at(router, layout->projection_sums),
        .pairs_fit = router->projection_fits,
    };
}

/* n outputs of a layer from row on, a multiple of 16. */
static struct nlsh__layer_i8 layer_of(const struct nlsh__router *router, size_t l, size_t row,
                                      size_t n)
{
    const struct nlsh__router_layout *layout = &router->layout;
    size_t n_chunks = (router->header.sizes[l] + 3) / 4;
    return (struct nlsh__layer_i8){
        .n_groups = groups(n),
        .n_chunks = n_chunks,
        .values = (const int8_t *)at(router, layout->weights[l]) + row * n_chunks * 4,
        .scale = (const float *)at(router, layout->scales[l]) + row,
        .bias = (const float *)at(router, layout->biases[l]) + row,
        .sums = (const int32_t *)at(router, layout->sums[l]) + row,
        .pairs_fit = router->fits[l],
    };
}

/* Whether the pairs of n values fit: kernels.h. A file does not say so, its values do: what is said need
 * not be true. */
static int pairs_fit(const int8_t *values, size_t n)
{
    int most = 0, least = 0;
    for (size_t i = 0; i < n; i += 2) {
        int pair = values[i] + values[i + 1];
        most = pair > most ? pair : most;
        least = pair < least ? pair : least;
    }
    return most <= NLSH__MOST_PAIR && least >= -NLSH__MOST_PAIR;
}

static void open_pairs(struct nlsh__router *router)
{
    const struct nlsh__router_header *h = &router->header;
    if (h->projected) {
        struct nlsh__layer_i8 layer = projection_of(router);
        router->projection_fits = pairs_fit(layer.values, layer.n_groups * layer.n_chunks * 64);
    }
    for (size_t l = 0; l < h->n_layers; l++) {
        struct nlsh__layer_i8 layer = layer_of(router, l, 0, layer_rows(h, l));
        router->fits[l] = pairs_fit(layer.values, layer.n_groups * layer.n_chunks * 64);
    }
}

enum nlsh_status nlsh__router_open(const void *bytes, size_t size, size_t dim, size_t n_buckets,
                                   struct nlsh__router **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__router *router = NULL;
    *out = NULL;
    if (size < sizeof router->header) return damaged(error, "it is truncated");
    NLSH_TRY(nlsh__calloc(&router, 1, sizeof *router, error));
    struct nlsh__router_header *h = &router->header;
    memcpy(h, bytes, sizeof *h);
    router->bytes = bytes;
    NLSH_TRY(check(h, size, dim, n_buckets, &router->layout, error));
    NLSH_TRY(open_groups(router, error));
    NLSH_TRY(nlsh__calloc(&router->no_bias, nlsh__router_input_size(router), sizeof(float), error));
    for (size_t l = 0; l < h->n_layers; l++)
        if (groups(h->sizes[l]) * NLSH__GROUP > router->widest)
            router->widest = groups(h->sizes[l]) * NLSH__GROUP;
    open_pairs(router);
    *out = router;
    return NLSH_OK;
out:
    nlsh__router_close(router);
    return status;
}

void nlsh__router_close(struct nlsh__router *router)
{
    if (router == NULL) return;
    nlsh__free(router->rows);
    nlsh__free(router->no_bias);
    nlsh__free(router);
}

const struct nlsh__groups *nlsh__router_groups(const struct nlsh__router *router)
{
    return &router->groups;
}

size_t nlsh__router_n_weights(const struct nlsh__router *router)
{
    return router->layout.n_weights;
}

size_t nlsh__router_n_buckets(const struct nlsh__router *router)
{
    return router->header.sizes[router->header.n_layers];
}

size_t nlsh__router_dim(const struct nlsh__router *router)
{
    return router->header.dim;
}

size_t nlsh__router_n_inputs(const struct nlsh__router *router)
{
    return router->header.sizes[0];
}

/* One layer's outputs, its inputs as bytes, and the groups' probabilities. */
size_t nlsh__router_scratch_size(const struct nlsh__router *router)
{
    return router->widest + router->widest / sizeof(float) + NLSH__GROUP +
           groups(router->groups.n) * NLSH__GROUP;
}

size_t nlsh__router_input_size(const struct nlsh__router *router)
{
    return groups(router->header.sizes[0]) * NLSH__GROUP;
}

size_t nlsh__router_output_size(const struct nlsh__router *router)
{
    size_t m = router->header.sizes[router->header.n_layers];
    return (groups(m) + (router->header.n_groups > 0 ? 1 : 0)) * NLSH__GROUP;
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
        struct nlsh__layer_i8 layer = projection_of(router);
        nlsh__kernels()->matvec_i8(&layer, bytes, 1, 0, 0, inputs);
    } else {
        nlsh__kernels()->matvec_f32(at(router, layout->projection), bias, groups(h->sizes[0]),
                                    h->dim, query, inputs);
    }
}

/* Behind ReLU nothing is below zero. */
static int zero_of(size_t l)
{
    return l == 0 ? 128 : 0;
}

/* The projection of what is less the mean: W (x - mean) has no bias. */
static struct nlsh__layer_i8 projection_less(const struct nlsh__router *router)
{
    struct nlsh__layer_i8 layer = projection_of(router);
    layer.bias = router->no_bias;
    return layer;
}

void nlsh__router_project_rounded(const struct nlsh__router *router, const uint8_t *bytes,
                                  float scale, float *inputs)
{
    struct nlsh__layer_i8 layer = projection_less(router);
    nlsh__kernels()->matvec_i8(&layer, bytes, scale, NLSH__ROUNDED_ZERO, 0, inputs);
}

void nlsh__router_begin(const struct nlsh__router *router, const float *inputs, float *scratch,
                        struct nlsh__router_pass *out)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    const struct nlsh__router_header *h = &router->header;
    uint8_t *bytes = (uint8_t *)(scratch + router->widest);
    float *probabilities =
        scratch + router->widest +
        (router->widest / sizeof(float) + NLSH__GROUP - 1) / NLSH__GROUP * NLSH__GROUP;
    const float *now = inputs;
    size_t l = 0;
    for (; l + 1 < h->n_layers; l++) {
        struct nlsh__layer_i8 layer = layer_of(router, l, 0, h->sizes[l + 1]);
        float scale = kernels->quantise_u8(now, h->sizes[l], zero_of(l), bytes);
        kernels->matvec_i8(&layer, bytes, scale, zero_of(l), 1, scratch);
        now = scratch;
    }
    float scale = kernels->quantise_u8(now, h->sizes[l], zero_of(l), bytes);
    *out = (struct nlsh__router_pass){.groups = probabilities, .bytes = bytes, .scale = scale};
    probabilities[0] = 1;
    if (h->n_groups == 0) return;
    struct nlsh__layer_i8 layer = layer_of(router, l, 0, h->n_groups);
    kernels->matvec_i8(&layer, bytes, scale, zero_of(l), 0, probabilities);
    kernels->softmax_f32(probabilities, h->n_groups);
}

void nlsh__router_group(const struct nlsh__router *router, const struct nlsh__router_pass *pass,
                        size_t group, float *out)
{
    size_t l = router->header.n_layers - 1;
    size_t n = router->groups.first[group + 1] - router->groups.first[group];
    if (pass->logits != NULL) {
        memcpy(out, pass->logits + router->rows[group], groups(n) * NLSH__GROUP * sizeof *out);
        return;
    }
    struct nlsh__layer_i8 layer = layer_of(router, l, router->rows[group], n);
    nlsh__kernels()->matvec_i8(&layer, pass->bytes, pass->scale, zero_of(l), 0, out);
}

void nlsh__router_finish(const struct nlsh__router *router, const struct nlsh__router_pass *pass,
                         float *probabilities)
{
    /* A group's padding lies where the next group's values come later, and behind the last's. */
    for (size_t g = 0; g < router->groups.n; g++)
        nlsh__router_group(router, pass, g, probabilities + router->groups.first[g]);
    nlsh__kernels()->softmax_f32(probabilities, router->header.sizes[router->header.n_layers]);
}

void nlsh__router_forward(const struct nlsh__router *router, const float *inputs, float *scratch,
                          float *probabilities)
{
    struct nlsh__router_pass pass;
    nlsh__router_begin(router, inputs, scratch, &pass);
    nlsh__router_finish(router, &pass, probabilities);
}

/* ---- many queries ---------------------------------------------------------------------------- */

/* Where buckets have groups, a group is computed for a query that asks for it: a query wants so few
 * that to compute all of them together is slower, with AMX too. Without groups all buckets are. */
struct nlsh__router_block {
    size_t stride, byte_stride, group_stride, n_logits;
    float *hidden;  /* [NLSH__BLOCK x stride] */
    uint8_t *bytes; /* [NLSH__BLOCK x byte_stride], and a block */
    float *scales;  /* [NLSH__BLOCK] */
    float *groups;  /* [NLSH__BLOCK x group_stride] */
    float *logits;  /* [NLSH__BLOCK x n_logits] of routers without groups */
};

enum nlsh_status nlsh__router_block_create(const struct nlsh__router *router,
                                           struct nlsh__router_block **out,
                                           struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__router_block *b = NULL;
    *out = NULL;
    NLSH_TRY(nlsh__calloc(&b, 1, sizeof *b, error));
    b->stride = b->byte_stride = router->widest;
    b->group_stride = groups(router->groups.n) * NLSH__GROUP;
    if (router->header.n_groups == 0)
        b->n_logits = groups(nlsh__router_n_buckets(router)) * NLSH__GROUP;
    NLSH_TRY(nlsh__alloc(&b->hidden, NLSH__BLOCK * b->stride, sizeof *b->hidden, error));
    NLSH_TRY(nlsh__calloc(&b->bytes, NLSH__BLOCK * b->byte_stride + NLSH__BLOCK, 1, error));
    NLSH_TRY(nlsh__alloc(&b->scales, NLSH__BLOCK, sizeof *b->scales, error));
    NLSH_TRY(nlsh__alloc(&b->groups, NLSH__BLOCK * b->group_stride, sizeof *b->groups, error));
    NLSH_TRY(nlsh__alloc(&b->logits, NLSH__BLOCK * b->n_logits, sizeof *b->logits, error));
    *out = b;
    return NLSH_OK;
out:
    nlsh__router_block_free(b);
    return status;
}

void nlsh__router_block_free(struct nlsh__router_block *b)
{
    if (b == NULL) return;
    nlsh__free(b->hidden);
    nlsh__free(b->bytes);
    nlsh__free(b->scales);
    nlsh__free(b->groups);
    nlsh__free(b->logits);
    nlsh__free(b);
}

int nlsh__router_projects_bytes(const struct nlsh__router *router)
{
    return router->header.projected != 0;
}

void nlsh__router_project_block(const struct nlsh__router *router, const uint8_t *bytes,
                                size_t stride, const float *scales, size_t n, float *inputs)
{
    float ones[NLSH__BLOCK];
    struct nlsh__layer_i8 layer = scales != NULL ? projection_less(router) : projection_of(router);
    for (size_t i = 0; i < n; i++) ones[i] = 1;
    nlsh__kernels()->matmat_i8(&layer, bytes, stride, n, scales != NULL ? scales : ones,
                               scales != NULL ? NLSH__ROUNDED_ZERO : 0, 0, inputs,
                               nlsh__router_input_size(router));
}

static void quantise_block(struct nlsh__router_block *b, const float *x, size_t stride, size_t n,
                           size_t width, int zero)
{
    for (size_t i = 0; i < n; i++)
        b->scales[i] = nlsh__kernels()->quantise_u8(x + i * stride, width, zero,
                                                    b->bytes + i * b->byte_stride);
}

void nlsh__router_begin_block(const struct nlsh__router *router, struct nlsh__router_block *b,
                              const float *inputs, size_t n)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    const struct nlsh__router_header *h = &router->header;
    const float *now = inputs;
    size_t stride = nlsh__router_input_size(router), l = 0;
    for (; l + 1 < h->n_layers; l++) {
        struct nlsh__layer_i8 layer = layer_of(router, l, 0, h->sizes[l + 1]);
        quantise_block(b, now, stride, n, h->sizes[l], zero_of(l));
        kernels->matmat_i8(&layer, b->bytes, b->byte_stride, n, b->scales, zero_of(l), 1, b->hidden,
                           b->stride);
        now = b->hidden;
        stride = b->stride;
    }
    quantise_block(b, now, stride, n, h->sizes[l], zero_of(l));
    size_t n_first = h->n_groups > 0 ? h->n_groups : b->n_logits;
    struct nlsh__layer_i8 first = layer_of(router, l, 0, n_first);
    kernels->matmat_i8(&first, b->bytes, b->byte_stride, n, b->scales, zero_of(l), 0,
                       h->n_groups > 0 ? b->groups : b->logits,
                       h->n_groups > 0 ? b->group_stride : b->n_logits);
    for (size_t i = 0; i < n; i++) {
        float *own = b->groups + i * b->group_stride;
        if (h->n_groups > 0)
            kernels->softmax_f32(own, h->n_groups);
        else
            own[0] = 1; /* the group of all buckets */
    }
}

void nlsh__router_block_pass(const struct nlsh__router_block *b, size_t i,
                             struct nlsh__router_pass *out)
{
    *out = (struct nlsh__router_pass){
        .groups = b->groups + i * b->group_stride,
        .logits = b->n_logits > 0 ? b->logits + i * b->n_logits : NULL,
        .bytes = b->bytes + i * b->byte_stride,
        .scale = b->scales[i],
    };
}
