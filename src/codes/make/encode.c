/*
 * encode.c - see encode.h.
 *
 * Take a row x, its bucket's centroid c, and a query q near to both. Write x = c + h + e: h is what the
 * code says, and e is what it does not say. Some of e lies in the coded components (16 steps are coarse), the
 * rest outside of them. Then
 *   |q - x|^2 = |q - c|^2 - 2 (q - c).h + [|x - c|^2 - 2 (q - c).e, of the coded components]
 *               + [|q|^2 - 2 q.x + |x|^2, of the others].
 * Of the others the code holds nothing, so q.x is replaced by c.x there: queries of a bucket lie about its
 * centroid. A row's bias is then |x - c|^2 inside + |x|^2 - 2 c.x outside, and what remains is the score's
 * error: -2 (q - c).e throughout. If e's direction were random, that would be about
 * 2 |q - c| |e| / sqrt(dimension). But e is far larger outside than inside, and how much of q - c lies outside
 * differs from query to query. So that is taken apart by a weight, one for all rows. With u the parts of q - c and
 * d the numbers of components, a row's error is
 *   2 sqrt(|u_in|^2 |e_in|^2 / d_in + |u_out|^2 |e_out|^2 / d_out), about E sqrt(|u_in|^2 + w |u_out|^2),
 * w the mean of |e_out|^2 / d_out over that of |e_in|^2 / d_in. Each row keeps its E; how many times its error to
 * allow is measured (measure/rowmargins.c). SIFT-1M: docs/algorithm.md, "Codes".
 */
#include "codes/make/encode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"

/* The step between two of 16 codes, in standard deviations of a component within a bucket: .3352 is
 * the best for a normal distribution (Max, "Quantizing for minimum distortion", 1960, table II). */
static const float step_share = 0.3352f;

/* Of outside_weight, beyond which it would bring nothing more. */
#define LEAST_WEIGHT 1e-3
#define MOST_WEIGHT 1e3

/* Squared lengths inside the coded components and outside: of x - c and of x, and of e. */
enum { INSIDE, OUTSIDE, INSIDE_OF_E, OUTSIDE_OF_E, N_SUMS };

/* A worker's: of the bucket that it is at the centroid among the vectors, and its squared length; a row's values. */
struct scratch {
    double *whole; /* [dim] */
    double whole_square;
    float *values; /* [dim] */
};

struct encode {
    const struct nlsh__encode *in;
    struct nlsh__codes_header *header;
    struct nlsh__codes_layout layout;
    uint8_t *bytes;
    uint32_t *group_offsets;
    double *variances;       /* [m x stride] sums over a bucket's rows */
    struct scratch *scratch; /* [n_threads] */
    float *inside, *outside; /* [n_rows] squared lengths of e, in index order */
    double *sums;            /* [m x N_SUMS] of a bucket's rows */
    float *errors;           /* [n_rows] */
    float *most;             /* [m] the largest of a bucket's */
};

static size_t n_all(const struct nlsh__encode *in)
{
    return in->others != NULL ? in->others->n_rows : in->base->n_rows;
}

static enum nlsh_status fill(const struct nlsh__encode *in, void *table, size_t row_bytes,
                             struct nlsh_error *error)
{
    return in->others != NULL ? in->others->fill(in->others->user, table, row_bytes, error)
                              : NLSH_OK;
}

enum nlsh_status nlsh__encode_most(const struct nlsh__encode *in, float *of_buckets, float *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = fill(in, of_buckets, sizeof *of_buckets, error);
    *out = 0;
    for (size_t b = 0; b < in->n_buckets; b++) *out = fmaxf(*out, of_buckets[b]);
    return status;
}

static float *floats(const struct encode *e, size_t offset)
{
    return (float *)(void *)(e->bytes + offset);
}

/* ---- centroids and steps --------------------------------------------------------------------- */

/* The centroid of a bucket's components, and how they vary about it. */
static void centre_bucket(void *ctx, size_t bucket, size_t worker)
{
    const struct encode *e = ctx;
    const struct nlsh__encode *in = e->in;
    size_t p = in->projection->n_components, stride = e->layout.stride;
    size_t first = in->bucket_offsets[bucket], end = in->bucket_offsets[bucket + 1];
    float *centroid = floats(e, e->layout.centroids) + bucket * stride;
    double *sums = e->variances + bucket * stride;
    (void)worker;
    for (size_t r = first; r < end; r++)
        for (size_t c = 0; c < in->n_components; c++)
            sums[c] += (double)in->inputs[in->ids[r] * p + c];
    for (size_t c = 0; c < in->n_components && end > first; c++)
        centroid[c] = (float)(sums[c] / (double)(end - first));
    memset(sums, 0, stride * sizeof *sums);
    for (size_t r = first; r < end; r++)
        for (size_t c = 0; c < in->n_components; c++) {
            double v = (double)(in->inputs[in->ids[r] * p + c] - centroid[c]);
            sums[c] += v * v;
        }
}

static void set_steps(const struct encode *e)
{
    size_t m = e->in->n_buckets, stride = e->layout.stride;
    float *steps = floats(e, e->layout.steps);
    for (size_t c = 0; c < e->in->n_components; c++) {
        double sum = 0;
        for (size_t b = 0; b < m; b++) sum += e->variances[b * stride + c];
        steps[c] = step_share * (float)sqrt(sum / (double)n_all(e->in));
    }
}

/* ---- rows ------------------------------------------------------------------------------------ */

void nlsh__encode_values(const struct nlsh__encode *in, size_t row, float *out)
{
    const struct nlsh__rounding as = {in->base->type, in->scale};
    const void *kept = nlsh__row(in->base, row);
    if (as.type == NLSH_U8)
        nlsh__row_to_f32(kept, NLSH_U8, in->base->dim, out);
    else
        nlsh__row_kept(&as, kept, in->base->dim, out);
}

/* Terms are added up in so many sums, so that compilers take several at once. */
enum { LANES = 8 };

static double sum_of(const double lanes[LANES])
{
    double sum = 0;
    for (size_t i = 0; i < LANES; i++) sum += lanes[i];
    return sum;
}

/* The bucket's mean among the vectors, less the projection's mean, times its scale. */
static void whole_centroid(const struct nlsh__encode *in, size_t bucket, struct scratch *s)
{
    size_t dim = in->base->dim;
    size_t first = in->bucket_offsets[bucket], end = in->bucket_offsets[bucket + 1];
    double squares[LANES] = {0};
    memset(s->whole, 0, dim * sizeof *s->whole);
    for (size_t r = first; r < end; r++) {
        nlsh__encode_values(in, in->ids[r], s->values);
        for (size_t d = 0; d < dim; d++) s->whole[d] += (double)s->values[d];
    }
    for (size_t d = 0; d < dim; d++) {
        s->whole[d] = (s->whole[d] / (double)(end - first) - (double)in->projection->mean[d]) *
                      (double)in->projection->scale;
        squares[d % LANES] += s->whole[d] * s->whole[d];
    }
    s->whole_square = sum_of(squares);
}

/* Squared length of a row's values less the mean, as the projection has them, and their product with the centroid. */
static void whole_row(const struct nlsh__projection *p, const struct scratch *s, size_t dim,
                      double *length, double *with_centroid)
{
    double lengths[LANES] = {0}, products[LANES] = {0}, scale = (double)p->scale;
    for (size_t first = 0; first < dim; first += LANES) {
        size_t n = dim - first < LANES ? dim - first : LANES;
        const float *values = s->values + first, *mean = p->mean + first;
        const double *whole = s->whole + first;
        for (size_t i = 0; i < n; i++) {
            double x = ((double)values[i] - (double)mean[i]) * scale;
            lengths[i] += x * x;
            products[i] += x * whole[i];
        }
    }
    *length = sum_of(lengths);
    *with_centroid = sum_of(products);
}

/* Squared lengths and products of a row: among the coded components, and outside them. */
struct parts {
    double inside, error;                   /* |x - c|^2, and what of it the code does not hold */
    double length, with_centroid, centroid; /* outside: |x|^2, x.c, |c|^2 */
};

static void code_row(const struct encode *e, const float *z, const float *centroid, size_t lane,
                     struct parts *out)
{
    size_t n_chunks = e->header->n_components / 8;
    const float *steps = floats(e, e->layout.steps);
    for (size_t c = 0; c < e->in->n_components; c++) {
        float v = z[c] - centroid[c];
        uint32_t level = nlsh__code_level(v, steps[c]);
        nlsh__put_level(e->bytes + e->layout.values, n_chunks, lane, c, level);
        double off = (double)v - ((double)level - 7.5) * (double)steps[c];
        out->inside += (double)v * (double)v;
        out->error += off * off;
        out->length -= (double)z[c] * (double)z[c];
        out->with_centroid -= (double)z[c] * (double)centroid[c];
        out->centroid -= (double)centroid[c] * (double)centroid[c];
    }
}

static void encode_row(const struct encode *e, size_t lane, size_t row, const float *centroid,
                       const struct scratch *s, struct parts *out)
{
    const struct nlsh__projection *p = e->in->projection;
    size_t dim = e->in->base->dim;
    *out = (struct parts){.centroid = s->whole_square};
    nlsh__encode_values(e->in, row, s->values);
    whole_row(p, s, dim, &out->length, &out->with_centroid);
    code_row(e, e->in->inputs + row * p->n_components, centroid, lane, out);
    /* Where all components are coded, nothing but rounding is outside. */
    if (e->in->n_components == dim) out->length = out->with_centroid = out->centroid = 0;
    out->length = fmax(out->length, 0);
}

static void encode_bucket(void *ctx, size_t bucket, size_t worker)
{
    const struct encode *e = ctx;
    const struct nlsh__encode *in = e->in;
    size_t first = in->bucket_offsets[bucket], n = in->bucket_offsets[bucket + 1] - first;
    size_t lane = e->group_offsets[bucket] * NLSH__GROUP;
    size_t lanes = e->group_offsets[bucket + 1] * NLSH__GROUP - lane;
    const float *centroid = floats(e, e->layout.centroids) + bucket * e->layout.stride;
    float *bias = floats(e, e->layout.bias) + lane;
    struct scratch *s = &e->scratch[worker];
    double *sums = e->sums + bucket * N_SUMS;
    if (n > 0) whole_centroid(in, bucket, s);
    for (size_t i = n; i < lanes; i++) bias[i] = INFINITY;
    for (size_t i = 0; i < n; i++) {
        struct parts p;
        encode_row(e, lane + i, in->ids[first + i], centroid, s, &p);
        bias[i] = in->inner ? 0 : (float)(p.inside + p.length - 2 * p.with_centroid);
        double outside = in->inner ? p.length : p.length - 2 * p.with_centroid + p.centroid;
        e->inside[first + i] = (float)p.error;
        e->outside[first + i] = (float)fmax(outside, 0);
        sums[INSIDE] += p.inside;
        sums[OUTSIDE] += p.length;
        sums[INSIDE_OF_E] += p.error;
        sums[OUTSIDE_OF_E] += fmax(outside, 0);
    }
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* Mean squared lengths of a query, less the centroid where that counts, inside and outside of the
 * coded components: rows about their own bucket's stand for it. */
static void mean_lengths(const struct encode *e, double *inside, double *outside)
{
    const struct nlsh__encode *in = e->in;
    size_t n = in->queries->n_rows, p = in->projection->n_components;
    *inside = *outside = 0;
    if (!in->inner) {
        for (size_t b = 0; b < in->n_buckets; b++) {
            *inside += e->sums[b * N_SUMS + INSIDE] / (double)n_all(in);
            *outside += e->sums[b * N_SUMS + OUTSIDE] / (double)n_all(in);
        }
        return;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < in->n_components; c++)
            *inside += (double)in->query_inputs[i * p + c] * (double)in->query_inputs[i * p + c];
    for (size_t i = 0; i < n * in->base->dim; i++) {
        double v = (double)((const float *)in->queries->data)[i] * (double)in->projection->scale;
        *outside += v * v;
    }
    *inside /= (double)n;
    *outside = fmax(*outside / (double)n - *inside, 0);
}

/* What a squared length of a query's outside the p coded components does to scores, over what one inside does. */
static float outside_weight(const struct encode *e)
{
    const struct nlsh__encode *in = e->in;
    double inside = 0, outside = 0, p = (double)in->n_components, rest = (double)in->base->dim - p;
    if (in->outside_weight > 0) return in->outside_weight;
    for (size_t b = 0; b < in->n_buckets; b++) {
        inside += e->sums[b * N_SUMS + INSIDE_OF_E] / p;
        outside += rest > 0 ? e->sums[b * N_SUMS + OUTSIDE_OF_E] / rest : 0;
    }
    if (!(inside > 0) || !(outside > 0)) return 1;
    return (float)fmin(fmax(outside / inside, LEAST_WEIGHT), MOST_WEIGHT);
}

/* A row's error, for a query of length 1, as errors count it, whose parts inside and outside are as in the mean. */
static enum nlsh_status set_errors(const struct encode *e, struct nlsh_error *error)
{
    const struct nlsh__encode *in = e->in;
    size_t dim = in->base->dim;
    double inside, outside, p = (double)in->n_components, rest = (double)dim - p;
    uint8_t *errors = e->bytes + e->layout.errors;
    float most;
    mean_lengths(e, &inside, &outside);
    e->header->outside_weight = outside_weight(e);
    double length = inside + (double)e->header->outside_weight * outside;
    double sum = length > 0 ? length : 1, factor = in->inner ? 1 : 2;
    for (size_t b = 0; b < in->n_buckets; b++)
        for (size_t r = in->bucket_offsets[b]; r < in->bucket_offsets[b + 1]; r++) {
            double square = inside / sum * (double)e->inside[r] / p +
                            (rest > 0 ? outside / sum * (double)e->outside[r] / rest : 0);
            e->errors[r] = (float)(factor * sqrt(square));
            e->most[b] = fmaxf(e->most[b], e->errors[r]);
        }
    enum nlsh_status status = nlsh__encode_most(in, e->most, &most, error);
    if (status != NLSH_OK) return status;
    e->header->error_unit = most / 255;
    for (size_t b = 0; b < in->n_buckets && most > 0; b++) {
        size_t first = in->bucket_offsets[b], lane = e->group_offsets[b] * NLSH__GROUP;
        for (size_t r = first; r < in->bucket_offsets[b + 1]; r++) {
            float code = ceilf(e->errors[r] / e->header->error_unit);
            errors[lane + r - first] = (uint8_t)fminf(code, 255);
        }
    }
    return NLSH_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void encode_free(struct encode *e, size_t n_threads)
{
    for (size_t i = 0; e->scratch != NULL && i < n_threads; i++) {
        nlsh__free(e->scratch[i].whole);
        nlsh__free(e->scratch[i].values);
    }
    nlsh__free(e->scratch);
    nlsh__free(e->group_offsets);
    nlsh__free(e->variances);
    nlsh__free(e->inside);
    nlsh__free(e->outside);
    nlsh__free(e->sums);
    nlsh__free(e->errors);
    nlsh__free(e->most);
}

static enum nlsh_status encode_create(struct encode *e, size_t n_threads, size_t *size,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__encode *in = e->in;
    size_t n = in->base->n_rows, m = in->n_buckets;
    size_t n_components = (in->n_components + 7) / 8 * 8;
    NLSH_TRY(nlsh__alloc(&e->group_offsets, m + 1, sizeof *e->group_offsets, error));
    size_t n_groups = nlsh__group_offsets(in->bucket_offsets, m, e->group_offsets);
    int fits = nlsh__codes_layout(in->base->dim, m, n_groups, n_components, &e->layout) == 0;
    *size = e->layout.size;
    NLSH_TRY(nlsh__calloc(&e->bytes, fits ? *size : SIZE_MAX, 1, error));
    e->header = (struct nlsh__codes_header *)(void *)e->bytes;
    *e->header = (struct nlsh__codes_header){.size_bytes = *size,
                                             .n_groups = (uint32_t)n_groups,
                                             .n_components = (uint32_t)n_components,
                                             .scale = in->projection->scale};
    memcpy(e->header->magic, NLSH__CODES_MAGIC, sizeof e->header->magic);
    NLSH_TRY(nlsh__calloc(&e->variances, m * e->layout.stride, sizeof *e->variances, error));
    NLSH_TRY(nlsh__calloc(&e->scratch, n_threads, sizeof *e->scratch, error));
    for (size_t i = 0; i < n_threads; i++) {
        struct scratch *s = &e->scratch[i];
        NLSH_TRY(nlsh__alloc(&s->whole, in->base->dim, sizeof *s->whole, error));
        NLSH_TRY(nlsh__alloc(&s->values, in->base->dim, sizeof *s->values, error));
    }
    NLSH_TRY(nlsh__alloc(&e->inside, n, sizeof *e->inside, error));
    NLSH_TRY(nlsh__alloc(&e->outside, n, sizeof *e->outside, error));
    NLSH_TRY(nlsh__alloc(&e->errors, n, sizeof *e->errors, error));
    NLSH_TRY(nlsh__calloc(&e->sums, m, N_SUMS * sizeof *e->sums, error));
    NLSH_TRY(nlsh__calloc(&e->most, m, sizeof *e->most, error));
out:
    return status;
}

enum nlsh_status nlsh__encode_rows(const struct nlsh__encode *in, const struct nlsh__job *job,
                                   void **bytes, size_t *size, struct nlsh_error *error)
{
    struct encode e = {.in = in};
    enum nlsh_status status;
    size_t n_threads = nlsh__pool_n_threads(job->pool);
    *bytes = NULL;
    NLSH_TRY(encode_create(&e, n_threads, size, error));
    size_t stride = e.layout.stride;
    memcpy(floats(&e, e.layout.mean), in->projection->mean, in->base->dim * sizeof(float));
    nlsh__pool_run(job->pool, in->n_buckets, centre_bucket, &e);
    NLSH_TRY(fill(in, floats(&e, e.layout.centroids), stride * sizeof(float), error));
    NLSH_TRY(fill(in, e.variances, stride * sizeof *e.variances, error));
    set_steps(&e);
    nlsh__pool_run(job->pool, in->n_buckets, encode_bucket, &e);
    NLSH_TRY(fill(in, e.sums, N_SUMS * sizeof *e.sums, error));
    NLSH_TRY(set_errors(&e, error));
    *bytes = e.bytes;
    e.bytes = NULL;
out:
    nlsh__free(e.bytes);
    encode_free(&e, n_threads);
    return status;
}
