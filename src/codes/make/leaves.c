/* leaves.c - see leaves.h: the order of rows, and the leaves' codes. */
#include "codes/make/leaves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/select.h"
#include "kernels/topk.h"

enum { LEAF = NLSH__GROUP, ROUNDS = 4 /* of two means */ };

static size_t largest_bucket(const uint32_t *offsets, size_t m)
{
    size_t most = 0;
    for (size_t b = 0; b < m; b++)
        if (offsets[b + 1] - offsets[b] > most) most = offsets[b + 1] - offsets[b];
    return most;
}

/* ---- the order of rows ----------------------------------------------------------------------- */

struct worker {
    uint64_t *keys;                /* [largest bucket] */
    uint32_t *ids;                 /* [largest bucket] */
    float *low, *high, *direction; /* [p] */
};

struct order {
    const float *inputs;
    size_t p;
    const uint32_t *offsets;
    uint32_t *ids;
    struct worker *workers;
};

static const float *row_of(const struct order *o, uint32_t id)
{
    return o->inputs + (size_t)id * o->p;
}

/* The row farthest from x, the first of equals. */
static uint32_t farthest(const struct order *o, const uint32_t *ids, size_t n, const float *x)
{
    float most = -1;
    uint32_t found = ids[0];
    for (size_t i = 0; i < n; i++) {
        float l2sq = nlsh__kernels()->l2sq_f32(x, row_of(o, ids[i]), o->p);
        if (!(l2sq > most)) continue;
        most = l2sq;
        found = ids[i];
    }
    return found;
}

static void mean_of(const struct order *o, const uint32_t *ids, const uint64_t *keys, size_t n,
                    float *out)
{
    memset(out, 0, o->p * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        const float *x = row_of(o, ids[keys != NULL ? (uint32_t)keys[i] : i]);
        for (size_t d = 0; d < o->p; d++) out[d] += x[d];
    }
    for (size_t d = 0; d < o->p; d++) out[d] /= (float)n;
}

/* The half of ids[n] with the smaller products with the direction from low to high to the front: their
 * places are then in keys[half]. */
static void divide(const struct order *o, const struct worker *w, const uint32_t *ids, size_t n,
                   size_t half)
{
    for (size_t d = 0; d < o->p; d++) w->direction[d] = w->high[d] - w->low[d];
    for (size_t i = 0; i < n; i++) {
        float along = nlsh__kernels()->dot_f32(w->direction, row_of(o, ids[i]), o->p);
        w->keys[i] = nlsh__key_u32(nlsh__ordered_f32(along), (uint32_t)i);
    }
    nlsh__select_smallest(w->keys, n, half);
}

static void sort_leaf(uint32_t *ids, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint32_t id = ids[i];
        size_t j = i;
        for (; j > 0 && ids[j - 1] > id; j--) ids[j] = ids[j - 1];
        ids[j] = id;
    }
}

static void order_rows(const struct order *o, const struct worker *w, uint32_t *ids, size_t n)
{
    while (n > LEAF) {
        size_t half = (n + LEAF - 1) / LEAF / 2 * LEAF;
        mean_of(o, ids, NULL, n, w->direction);
        uint32_t first = farthest(o, ids, n, w->direction);
        memcpy(w->low, row_of(o, first), o->p * sizeof *w->low);
        memcpy(w->high, row_of(o, farthest(o, ids, n, w->low)), o->p * sizeof *w->high);
        for (size_t round = 0;; round++) {
            divide(o, w, ids, n, half);
            if (round == ROUNDS) break;
            mean_of(o, ids, w->keys, half, w->low);
            mean_of(o, ids, w->keys + half, n - half, w->high);
        }
        for (size_t i = 0; i < n; i++) w->ids[i] = ids[(uint32_t)w->keys[i]];
        memcpy(ids, w->ids, n * sizeof *ids);
        order_rows(o, w, ids, half);
        ids += half;
        n -= half;
    }
    sort_leaf(ids, n);
}

static void order_bucket(void *ctx, size_t bucket, size_t worker)
{
    const struct order *o = ctx;
    size_t first = o->offsets[bucket];
    order_rows(o, &o->workers[worker], o->ids + first, o->offsets[bucket + 1] - first);
}

enum nlsh_status nlsh__order_leaves(const float *inputs, size_t p, const uint32_t *bucket_offsets,
                                    size_t n_buckets, const struct nlsh__job *job, uint32_t *ids,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_threads = nlsh__pool_n_threads(job->pool);
    size_t most = largest_bucket(bucket_offsets, n_buckets);
    struct order o = {.inputs = inputs, .p = p, .offsets = bucket_offsets, .ids = ids};
    NLSH_TRY(nlsh__calloc(&o.workers, n_threads, sizeof *o.workers, error));
    for (size_t i = 0; i < n_threads; i++) {
        struct worker *w = &o.workers[i];
        NLSH_TRY(nlsh__alloc(&w->keys, most, sizeof *w->keys, error));
        NLSH_TRY(nlsh__alloc(&w->ids, most, sizeof *w->ids, error));
        NLSH_TRY(nlsh__alloc(&w->low, p, sizeof *w->low, error));
        NLSH_TRY(nlsh__alloc(&w->high, p, sizeof *w->high, error));
        NLSH_TRY(nlsh__alloc(&w->direction, p, sizeof *w->direction, error));
    }
    nlsh__pool_run(job->pool, n_buckets, order_bucket, &o);
out:
    for (size_t i = 0; o.workers != NULL && i < n_threads; i++) {
        const struct worker *w = &o.workers[i];
        void *all[] = {w->keys, w->ids, w->low, w->high, w->direction};
        for (size_t j = 0; j < sizeof all / sizeof *all; j++) nlsh__free(all[j]);
    }
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
    double *sums;            /* [n_threads x dim] */
    float *radii;            /* [16 n_groups] */
};

static double value(const struct nlsh_matrix *m, size_t row, size_t d)
{
    return m->type == NLSH_U8 ? (double)((const uint8_t *)m->data)[row * m->dim + d]
                              : (double)((const float *)m->data)[row * m->dim + d];
}

/* Mean squared distance of rows ids[n] to their mean, in units of the inputs. */
static double spread(const struct nlsh__encode *in, const uint32_t *ids, size_t n, double *sums)
{
    size_t dim = in->base->dim;
    double squares = 0, mean_square = 0, scale = (double)in->projection->scale;
    memset(sums, 0, dim * sizeof *sums);
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < dim; d++) {
            double x = value(in->base, ids[i], d) - (double)in->projection->mean[d];
            sums[d] += x;
            squares += x * x;
        }
    for (size_t d = 0; d < dim; d++) mean_square += sums[d] / (double)n * (sums[d] / (double)n);
    return fmax(squares / (double)n - mean_square, 0) * scale * scale;
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
        e->radii[lane] =
            (float)sqrt(spread(in, in->ids + r, n, e->sums + worker * in->base->dim) + left);
    }
    for (; lane < end_lane; lane++) bias[lane] = INFINITY;
}

static void set_errors(const struct encode *e)
{
    size_t n = e->header->n_groups * (size_t)LEAF;
    uint8_t *errors = e->bytes + e->layout.errors;
    float most = 0;
    for (size_t i = 0; i < n; i++) most = fmaxf(most, e->radii[i]);
    e->header->error_unit = most / 255;
    for (size_t i = 0; i < n && most > 0; i++)
        errors[i] = (uint8_t)fminf(ceilf(e->radii[i] / e->header->error_unit), 255);
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
    NLSH_TRY(nlsh__alloc(&e->sums, n_threads * e->in->base->dim, sizeof *e->sums, error));
    NLSH_TRY(nlsh__calloc(&e->radii, n_groups * LEAF, sizeof *e->radii, error));
out:
    return status;
}

enum nlsh_status nlsh__encode_leaves(const struct nlsh__encode *in, const struct nlsh__codes *codes,
                                     const struct nlsh__job *job, void **bytes, size_t *size,
                                     struct nlsh_error *error)
{
    struct encode e = {.in = in, .codes = codes};
    *bytes = NULL;
    enum nlsh_status status = encode_create(&e, nlsh__pool_n_threads(job->pool), size, error);
    if (status == NLSH_OK) {
        nlsh__pool_run(job->pool, in->n_buckets, encode_bucket, &e);
        set_errors(&e);
        *bytes = e.bytes;
    } else {
        nlsh__free(e.bytes);
    }
    nlsh__free(e.group_offsets);
    nlsh__free(e.sums);
    nlsh__free(e.radii);
    return status;
}
