/*
 * leaves.c - see leaves.h. As codes/make/leaves.c makes them, with two differences: a row's inputs are what its code
 * says, since a log does not keep more; and one thread is enough.
 */
#include "live/leaves.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "codes/order.h"
#include "codes/row.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/stored.h"

enum { LEAF = NLSH__GROUP };

static size_t row_of(const struct nlsh__bucketed *b, uint32_t number)
{
    return b->first + number;
}

/* A row's components less its bucket's centroid, as far as its code says them. */
static void decode(const struct nlsh__bucketed *b, size_t row, float *out)
{
    const struct nlsh__codes *codes = b->file->segments[0].codes;
    const uint8_t *code = b->rows->codes + row * b->form->code_bytes;
    for (size_t c = 0; c < codes->n_components; c += 8, code += 4) {
        for (size_t i = 0; i < 4; i++) {
            out[c + i] = ((float)(code[i] & 15) - 7.5f) * codes->steps[c + i];
            out[c + 4 + i] = ((float)(code[i] >> 4) - 7.5f) * codes->steps[c + 4 + i];
        }
    }
}

/* ---- the order ------------------------------------------------------------------------------- */

static void order_bucket(const struct nlsh__bucketed *b, size_t bucket, float *inputs,
                         uint32_t *ids, const struct nlsh__leaf_order *order, uint32_t *numbers)
{
    size_t first = b->bucket_offsets[bucket], n = b->bucket_offsets[bucket + 1] - first;
    uint32_t *of_bucket = numbers + first, *sorted = ids + n;
    for (size_t i = 0; i < n; i++) {
        decode(b, row_of(b, of_bucket[i]), inputs + i * order->p);
        ids[i] = (uint32_t)i;
    }
    nlsh__order_rows(order, ids, n);
    for (size_t i = 0; i < n; i++) sorted[i] = of_bucket[ids[i]];
    memcpy(of_bucket, sorted, n * sizeof *sorted);
}

enum nlsh_status nlsh__order_log_rows(const struct nlsh__bucketed *b, uint32_t *numbers,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = b->file->meta.n_buckets, most = nlsh__largest_bucket(b->bucket_offsets, m);
    size_t p = b->file->segments[0].codes->n_components, values;
    float *inputs = NULL;
    uint32_t *ids = NULL;
    struct nlsh__leaf_order order = {.p = 0};
    if (nlsh__mul(most, p, &values) != 0) values = SIZE_MAX;
    NLSH_TRY(nlsh__alloc(&inputs, values, sizeof *inputs, error));
    NLSH_TRY(nlsh__alloc(&ids, most, 2 * sizeof *ids, error));
    NLSH_TRY(nlsh__leaf_order_create(inputs, p, most, &order, error));
    for (size_t bucket = 0; bucket < m; bucket++)
        order_bucket(b, bucket, inputs, ids, &order, numbers);
out:
    nlsh__leaf_order_free(&order);
    nlsh__free(inputs);
    nlsh__free(ids);
    return status;
}

/* ---- codes ----------------------------------------------------------------------------------- */

/* Scratch of who codes leaves. */
struct scratch {
    float *mean, *row; /* [n_components] */
    float *middle;     /* [dim] */
};

/* Mean squared distance of rows numbers[n] to their mean, in units of the inputs. */
static double spread(const struct nlsh__bucketed *b, const uint32_t *numbers, size_t n,
                     const struct scratch *s)
{
    const struct nlsh__rounding as = nlsh__index_rounding(b->file);
    size_t dim = b->file->meta.dim, row_bytes = b->form->row_bytes;
    double scale = (double)b->file->segments[0].codes->scale, squares = 0;
    memset(s->middle, 0, dim * sizeof *s->middle);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *row = b->rows->vectors + row_of(b, numbers[i]) * row_bytes;
        for (size_t d = 0; d < dim; d++) s->middle[d] += nlsh__stored_value(&as, row, d);
    }
    for (size_t d = 0; d < dim; d++) s->middle[d] /= (float)n;
    for (size_t i = 0; i < n; i++)
        squares += (double)nlsh__l2sq_stored(
            &as, s->middle, b->rows->vectors + row_of(b, numbers[i]) * row_bytes, dim);
    return squares / (double)n * scale * scale;
}

/* The code of the mean of numbers[n]. Returns the leaf's radius. */
static float code_leaf(const struct nlsh__bucketed *b, const uint32_t *numbers, size_t n,
                       const struct scratch *s, const struct nlsh__leaves_out *out, size_t lane)
{
    float *mean = s->mean, *row = s->row;
    const struct nlsh__codes *codes = b->file->segments[0].codes;
    size_t p = codes->n_components;
    double left = 0;
    float bias = 0;
    memset(mean, 0, p * sizeof *mean);
    for (size_t i = 0; i < n; i++) {
        decode(b, row_of(b, numbers[i]), row);
        for (size_t c = 0; c < p; c++) mean[c] += row[c];
        bias += b->rows->biases[row_of(b, numbers[i])] / (float)n;
    }
    for (size_t c = 0; c < p; c++) {
        mean[c] /= (float)n;
        uint32_t level = nlsh__code_level(mean[c], codes->steps[c]);
        nlsh__put_level(out->values, p / 8, lane, c, level);
        double off = (double)mean[c] - ((double)level - 7.5) * (double)codes->steps[c];
        left += off * off;
    }
    out->biases[lane] = bias;
    return (float)sqrt(spread(b, numbers, n, s) + left);
}

enum nlsh_status nlsh__code_log_leaves(const struct nlsh__bucketed *b, const uint32_t *numbers,
                                       const struct nlsh__leaves_out *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t p = b->file->segments[0].codes->n_components, n_lanes = out->n_groups * LEAF;
    size_t dim = b->file->meta.dim;
    float *radii = NULL, *floats = NULL, most = 0;
    NLSH_TRY(nlsh__calloc(&radii, n_lanes, sizeof *radii, error));
    NLSH_TRY(nlsh__alloc(&floats, 2 * p + dim, sizeof *floats, error));
    const struct scratch s = {floats, floats + p, floats + 2 * p};
    for (size_t i = 0; i < n_lanes; i++) out->biases[i] = INFINITY;
    for (size_t bucket = 0; bucket < b->file->meta.n_buckets; bucket++) {
        size_t lane = out->group_offsets[bucket] * (size_t)LEAF,
               end = b->bucket_offsets[bucket + 1];
        for (size_t r = b->bucket_offsets[bucket]; r < end; r += LEAF, lane++) {
            size_t n = end - r < LEAF ? end - r : LEAF;
            radii[lane] = code_leaf(b, numbers + r, n, &s, out, lane);
            most = fmaxf(most, radii[lane]);
        }
    }
    *out->error_unit = most / 255;
    for (size_t i = 0; i < n_lanes && most > 0; i++)
        out->errors[i] = (uint8_t)fminf(ceilf(radii[i] / *out->error_unit), 255);
out:
    nlsh__free(radii);
    nlsh__free(floats);
    return status;
}
