/* leaves.c - see leaves.h: leaves are made of many buckets at a time. */
#include "codes/make/leaves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "codes/order.h"
#include "kernels/panel.h"

enum { LEAF = NLSH__GROUP };

/* ---- the order of rows ----------------------------------------------------------------------- */

struct order {
    const uint32_t *offsets;
    uint32_t *ids;
    struct nlsh__leaf_order *workers;
};

static void order_bucket(void *ctx, size_t bucket, size_t worker)
{
    const struct order *o = ctx;
    size_t first = o->offsets[bucket];
    nlsh__order_rows(&o->workers[worker], o->ids + first, o->offsets[bucket + 1] - first);
}

enum nlsh_status nlsh__order_leaves(const float *inputs, size_t p, const uint32_t *bucket_offsets,
                                    size_t n_buckets, const struct nlsh__job *job, uint32_t *ids,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_threads = nlsh__pool_n_threads(job->pool);
    size_t most = nlsh__largest_bucket(bucket_offsets, n_buckets);
    struct order o = {.offsets = bucket_offsets, .ids = ids};
    NLSH_TRY(nlsh__calloc(&o.workers, n_threads, sizeof *o.workers, error));
    for (size_t i = 0; i < n_threads; i++)
        NLSH_TRY(nlsh__leaf_order_create(inputs, p, most, &o.workers[i], error));
    nlsh__pool_run(job->pool, n_buckets, order_bucket, &o);
out:
    for (size_t i = 0; o.workers != NULL && i < n_threads; i++)
        nlsh__leaf_order_free(&o.workers[i]);
    nlsh__free(o.workers);
    return status;
}

/* ---- codes ----------------------------------------------------------------------------------- */

struct encode {
    const struct nlsh__encode *in;
    const struct nlsh__codes *codes;
    struct nlsh__leaves_header *header;
    struct nlsh__leaves_layout layout;
    uint8_t *bytes;
    uint32_t *group_offsets; /* [m + 1] */
    double *sums;            /* [n_threads x 2 dim] of a leaf's values, and of their squares, */
    float *values;           /* [n_threads x dim] and a row's */
    float *radii;            /* [16 n_groups] */
    float *most;             /* [m] the largest of a bucket's */
};

/* Mean squared distance of rows ids[n] to their mean, in units of the inputs. */
static double spread(const struct encode *e, const uint32_t *ids, size_t n, size_t worker)
{
    const struct nlsh__encode *in = e->in;
    size_t dim = in->base->dim;
    const float *mean = in->projection->mean;
    double *sums = e->sums + worker * 2 * dim, *squares = sums + dim;
    double square = 0, mean_square = 0, scale = (double)in->projection->scale;
    float *values = e->values + worker * dim;
    memset(sums, 0, 2 * dim * sizeof *sums);
    for (size_t i = 0; i < n; i++) {
        nlsh__encode_values(in, ids[i], values);
        for (size_t d = 0; d < dim; d++) {
            double x = (double)values[d] - (double)mean[d];
            sums[d] += x;
            squares[d] += x * x;
        }
    }
    for (size_t d = 0; d < dim; d++) {
        mean_square += sums[d] / (double)n * (sums[d] / (double)n);
        square += squares[d];
    }
    return fmax(square / (double)n - mean_square, 0) * scale * scale;
}

/* The code of the mean of ids[n] less the centroid; returns the square of what it leaves out. */
static double code_leaf(const struct encode *e, size_t lane, const uint32_t *ids, size_t n,
                        const float *centroid)
{
    const struct nlsh__encode *in = e->in;
    size_t p = in->projection->n_components, n_chunks = e->header->n_components / 8;
    uint8_t *values = e->bytes + e->layout.values;
    double left = 0;
    for (size_t c = 0; c < in->n_components; c++) {
        double sum = 0, step = (double)e->codes->steps[c];
        for (size_t i = 0; i < n; i++) sum += (double)in->inputs[(size_t)ids[i] * p + c];
        double v = sum / (double)n - (double)centroid[c];
        uint32_t level = nlsh__code_level((float)v, e->codes->steps[c]);
        nlsh__put_level(values, n_chunks, lane, c, level);
        double off = v - ((double)level - 7.5) * step;
        left += off * off;
    }
    return left;
}

static void encode_bucket(void *ctx, size_t bucket, size_t worker)
{
    const struct encode *e = ctx;
    const struct nlsh__encode *in = e->in;
    size_t first = in->bucket_offsets[bucket], end = in->bucket_offsets[bucket + 1];
    size_t lane = e->group_offsets[bucket] * LEAF, end_lane = e->group_offsets[bucket + 1] * LEAF;
    const float *centroid = e->codes->centroids + bucket * e->codes->stride;
    const float *row_bias = e->codes->rows.bias + e->codes->group_offsets[bucket] * LEAF;
    float *bias = (float *)(void *)(e->bytes + e->layout.bias);
    for (size_t r = first; r < end; r += LEAF, lane++, row_bias += LEAF) {
        size_t n = end - r < LEAF ? end - r : LEAF;
        double sum = 0, left = code_leaf(e, lane, in->ids + r, n, centroid);
        for (size_t i = 0; i < n; i++) sum += (double)row_bias[i];
        bias[lane] = (float)(sum / (double)n);
        e->radii[lane] = (float)sqrt(spread(e, in->ids + r, n, worker) + left);
    }
    for (; lane < end_lane; lane++) bias[lane] = INFINITY;
}

static enum nlsh_status set_errors(const struct encode *e, struct nlsh_error *error)
{
    size_t n = e->header->n_groups * (size_t)LEAF;
    uint8_t *errors = e->bytes + e->layout.errors;
    float most;
    for (size_t b = 0; b < e->in->n_buckets; b++)
        for (size_t i = e->group_offsets[b] * (size_t)LEAF;
             i < e->group_offsets[b + 1] * (size_t)LEAF; i++)
            e->most[b] = fmaxf(e->most[b], e->radii[i]);
    enum nlsh_status status = nlsh__encode_most(e->in, e->most, &most, error);
    if (status != NLSH_OK) return status;
    e->header->error_unit = most / 255;
    for (size_t i = 0; i < n && most > 0; i++)
        errors[i] = (uint8_t)fminf(ceilf(e->radii[i] / e->header->error_unit), 255);
    return NLSH_OK;
}

static enum nlsh_status encode_create(struct encode *e, size_t n_threads, size_t *size,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = e->in->n_buckets, n_components = e->codes->n_components;
    NLSH_TRY(nlsh__alloc(&e->group_offsets, m + 1, sizeof *e->group_offsets, error));
    size_t n_groups = nlsh__group_offsets(e->codes->group_offsets, m, e->group_offsets);
    int fits = nlsh__leaves_layout(n_groups, n_components, &e->layout) == 0;
    *size = e->layout.size;
    NLSH_TRY(nlsh__calloc(&e->bytes, fits ? *size : SIZE_MAX, 1, error));
    e->header = (struct nlsh__leaves_header *)(void *)e->bytes;
    *e->header = (struct nlsh__leaves_header){.size_bytes = *size,
                                              .n_groups = (uint32_t)n_groups,
                                              .n_components = (uint32_t)n_components};
    memcpy(e->header->magic, NLSH__LEAVES_MAGIC, sizeof e->header->magic);
    NLSH_TRY(nlsh__alloc(&e->sums, n_threads * 2 * e->in->base->dim, sizeof *e->sums, error));
    NLSH_TRY(nlsh__alloc(&e->values, n_threads * e->in->base->dim, sizeof *e->values, error));
    NLSH_TRY(nlsh__calloc(&e->radii, n_groups * LEAF, sizeof *e->radii, error));
    NLSH_TRY(nlsh__calloc(&e->most, m, sizeof *e->most, error));
out:
    return status;
}

enum nlsh_status nlsh__encode_leaves(const struct nlsh__encode *in, const struct nlsh__codes *codes,
                                     const struct nlsh__job *job, void **bytes, size_t *size,
                                     struct nlsh_error *error)
{
    struct encode e = {.in = in, .codes = codes};
    enum nlsh_status status;
    *bytes = NULL;
    NLSH_TRY(encode_create(&e, nlsh__pool_n_threads(job->pool), size, error));
    nlsh__pool_run(job->pool, in->n_buckets, encode_bucket, &e);
    NLSH_TRY(set_errors(&e, error));
    *bytes = e.bytes;
    e.bytes = NULL;
out:
    nlsh__free(e.bytes);
    nlsh__free(e.group_offsets);
    nlsh__free(e.sums);
    nlsh__free(e.values);
    nlsh__free(e.radii);
    nlsh__free(e.most);
    return status;
}
