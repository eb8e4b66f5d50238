/* sampled.c - see sampled.h. Rows are drawn one after another, each with the chance that is left for it (Knuth, The Art of
 * Computer Programming 2, 3.4.2, algorithm S). */
#include "make/sampled.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernels/metric.h"
#include "make/kept.h"
#include "make/scale.h"
#include "vectors/data_hash.h"
#include "vectors/large.h"
#include "vectors/values.h"

struct drawing {
    const struct nlsh_rows *base;
    enum nlsh_metric metric;
    struct nlsh__sampled *to;
    struct nlsh__rng rng;
    struct nlsh__data_hash hash;
    size_t row_bytes, n_sample, n_asking; /* that are wanted */
    size_t drawn, asked, seen;
    size_t odd; /* the first row with a value that is no byte; SIZE_MAX: none so far */
    int odd_is_drawn;
    int by_f16;                        /* of the rows so far */
    struct nlsh__scale_finder *finder; /* or NULL: no scale is wanted */
    float *row;                        /* [dim] scratch of it */
};

void nlsh__sampled_free(struct nlsh__sampled *s)
{
    nlsh__free(s->memory);
    nlsh__free(s->asking_memory);
    nlsh__free(s->asking_rows);
    *s = (struct nlsh__sampled){.memory = NULL};
}

static enum nlsh_status check_finite(const struct drawing *d, const float *values, size_t n,
                                     struct nlsh_error *error)
{
    size_t dim = d->base->dim, at = nlsh__first_not_finite(values, n * dim);
    if (at == n * dim) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_DATA, "remove or repair that row",
                      "row %zu, column %zu of the base is %s (counted from 0)", d->seen + at / dim,
                      at % dim, isnan(values[at]) ? "NaN" : "infinite");
}

static enum nlsh_status check_direction(const struct drawing *d, const uint8_t *values, size_t n,
                                        struct nlsh_error *error)
{
    float zero = 0; /* a negative one is no other */
    for (size_t i = 0; i < n; i++) {
        const uint8_t *row = values + i * d->row_bytes;
        size_t at = 0;
        if (d->base->type == NLSH_F32)
            while (at < d->base->dim && ((const float *)(const void *)row)[at] == zero) at++;
        else
            while (at < d->base->dim && row[at] == 0) at++;
        if (at == d->base->dim)
            return nlsh__fail(
                error, NLSH_E_DATA,
                "take that row out, or use the metric ip or l2, where zeros have a place",
                "row %zu of the base is all zeros: it has no direction, and so no cosine",
                d->seen + i);
    }
    return NLSH_OK;
}

/* The sample without a row of other values than bytes would be stored as bytes: the first such row takes the last's
 * place. */
static void see_odd(struct drawing *d, const float *values, size_t n)
{
    size_t dim = d->base->dim, at = nlsh__first_not_byte(values, n * dim, 0);
    if (d->odd != SIZE_MAX || at == n * dim) return;
    d->odd = d->seen + at / dim;
    memcpy((uint8_t *)d->to->memory + d->n_sample * d->row_bytes, values + at / dim * dim,
           d->row_bytes);
}

static void draw(struct drawing *d, size_t row, const uint8_t *values)
{
    struct nlsh__sampled *to = d->to;
    size_t left = d->base->n_rows - row, wanted = d->n_sample - d->drawn;
    if (nlsh__rng_below(&d->rng, left) < wanted) {
        memcpy((uint8_t *)to->memory + d->drawn++ * d->row_bytes, values, d->row_bytes);
        if (d->odd != SIZE_MAX && row >= d->odd &&
            nlsh__first_not_byte((const float *)(const void *)values, d->base->dim, 0) !=
                d->base->dim)
            d->odd_is_drawn = 1;
        return;
    }
    /* Of the rows that are left, those that will not be drawn for the sample. */
    if (nlsh__rng_below(&d->rng, left - wanted) >= d->n_asking - d->asked) return;
    memcpy((uint8_t *)to->asking_memory + d->asked * d->row_bytes, values, d->row_bytes);
    to->asking_rows[d->asked++] = (uint32_t)row;
}

static enum nlsh_status take_block(struct drawing *d, const void *values, size_t n,
                                   struct nlsh_error *error)
{
    if (d->base->type == NLSH_F32) {
        enum nlsh_status status = check_finite(d, values, n, error);
        if (status != NLSH_OK) return status;
        see_odd(d, values, n);
        if (d->by_f16) d->by_f16 = nlsh__first_not_kept(values, n, d->base->dim, d->metric) == n;
    }
    if (d->metric == NLSH_COSINE) {
        enum nlsh_status status = check_direction(d, values, n, error);
        if (status != NLSH_OK) return status;
    }
    nlsh__data_hash_add(&d->hash, values, n * d->base->dim);
    for (size_t i = 0; i < n; i++) draw(d, d->seen + i, (const uint8_t *)values + i * d->row_bytes);
    d->seen += n;
    return NLSH_OK;
}

/* The rows as they will be stored, for the scale of their bytes. */
static void see_sizes(struct drawing *d, const uint8_t *values, size_t n)
{
    size_t dim = d->base->dim;
    for (size_t i = 0; i < n; i++) {
        nlsh__row_to_f32(values + i * d->row_bytes, d->base->type, dim, d->row);
        if (d->metric == NLSH_COSINE) (void)nlsh__scale_to(d->row, dim, 1, d->row);
        nlsh__scale_see(d->finder, d->row, dim);
    }
}

enum nlsh_status nlsh__sample(const struct nlsh_rows *base,
                              const struct nlsh_build_options *options, size_t n, size_t n_asking,
                              size_t block, const struct nlsh__job *job, struct nlsh__sampled *out,
                              struct nlsh_error *error)
{
    enum nlsh_status status;
    uint8_t *values = NULL;
    struct drawing d = {.base = base,
                        .metric = options->metric,
                        .to = out,
                        .n_sample = n,
                        .odd = SIZE_MAX,
                        .by_f16 = base->type == NLSH_F32 || options->metric == NLSH_IP};
    *out = (struct nlsh__sampled){.memory = NULL};
    d.n_asking = n_asking < base->n_rows - n ? n_asking : base->n_rows - n;
    d.row_bytes = base->dim * nlsh__type_size(base->type);
    nlsh__rng_init(&d.rng, options->seed, 0x73616d70);
    nlsh__data_hash_begin(base->type, base->n_rows, base->dim, &d.hash);
    NLSH_TRY(nlsh__alloc_large(&out->memory, n + 1, d.row_bytes, error));
    NLSH_TRY(nlsh__alloc(&out->asking_memory, d.n_asking, d.row_bytes, error));
    NLSH_TRY(nlsh__alloc(&out->asking_rows, d.n_asking, sizeof *out->asking_rows, error));
    NLSH_TRY(nlsh__alloc(&values, block, d.row_bytes, error));
    if (options->store == NLSH_STORE_I8 && options->store_scale == 0) {
        NLSH_TRY(nlsh__calloc(&d.finder, 1, sizeof *d.finder, error));
        NLSH_TRY(nlsh__alloc(&d.row, base->dim, sizeof *d.row, error));
    }
    while (d.seen < base->n_rows) {
        size_t count = base->n_rows - d.seen < block ? base->n_rows - d.seen : block;
        NLSH_TRY(nlsh__job_progress(job, "sampling", d.seen, base->n_rows, error));
        NLSH_TRY(base->read(base->user, d.seen, count, values, error));
        NLSH_TRY(take_block(&d, values, count, error));
        if (d.finder != NULL) see_sizes(&d, values, count);
    }
    NLSH_TRY(nlsh__job_progress(job, "sampling", d.seen, base->n_rows, error));
    if (d.odd != SIZE_MAX && !d.odd_is_drawn)
        memcpy((uint8_t *)out->memory + (n - 1) * d.row_bytes,
               (uint8_t *)out->memory + n * d.row_bytes, d.row_bytes);
    out->rows = (struct nlsh_matrix){out->memory, n, base->dim, base->type, 0};
    out->asking = (struct nlsh_matrix){out->asking_memory, d.n_asking, base->dim, base->type, 0};
    out->hash = nlsh__data_hash_end(&d.hash);
    out->by_f16 = d.by_f16;
    if (d.finder != NULL) out->scale = nlsh__scale_found(d.finder);
out:
    nlsh__free(values);
    nlsh__free(d.finder);
    nlsh__free(d.row);
    if (status != NLSH_OK) nlsh__sampled_free(out);
    return status;
}

void nlsh__sampled_store(const struct nlsh__sampled *s, struct nlsh_build_options *options)
{
    if (options->store == NLSH_STORE_AUTO && !s->by_f16) options->store = NLSH_STORE_F32;
    if (s->scale > 0) options->store_scale = s->scale;
}
