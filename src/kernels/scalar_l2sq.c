/* scalar_l2sq.c - distances and panels in plain C: what the wider kernels must agree with. */
#include "base/half.h"
#include "base/rounding.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/prefetch.h"
#include "kernels/scalar.h"

static uint32_t l2sq_u8(const uint8_t *a, const uint8_t *b, size_t dim)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < dim; i++) {
        int32_t d = (int32_t)a[i] - (int32_t)b[i];
        sum += (uint32_t)(d * d);
    }
    return sum;
}

static float l2sq_f32(const float *a, const float *b, size_t dim)
{
    float sum = 0;
    for (size_t i = 0; i < dim; i++) {
        float d = a[i] - b[i];
        sum += d * d;
    }
    return sum;
}

static float l2sq_f32_u8(const float *a, const uint8_t *b, size_t dim)
{
    float sum = 0;
    for (size_t i = 0; i < dim; i++) {
        float d = a[i] - (float)b[i];
        sum += d * d;
    }
    return sum;
}

static float dot_f32(const float *a, const float *b, size_t dim)
{
    float sum = 0;
    for (size_t i = 0; i < dim; i++) sum += a[i] * b[i];
    return sum;
}

static float l2sq_f32_f16(const float *a, const uint16_t *b, size_t dim)
{
    float sum = 0;
    for (size_t i = 0; i < dim; i++) {
        float d = a[i] - nlsh__from_f16(b[i]);
        sum += d * d;
    }
    return sum;
}

static float dot_f32_f16(const float *a, const uint16_t *b, size_t dim)
{
    float sum = 0;
    for (size_t i = 0; i < dim; i++) sum += a[i] * nlsh__from_f16(b[i]);
    return sum;
}

static float l2sq_f32_bf16(const float *a, const uint16_t *b, size_t dim)
{
    float sum = 0;
    for (size_t i = 0; i < dim; i++) {
        float d = a[i] - nlsh__from_bf16(b[i]);
        sum += d * d;
    }
    return sum;
}

static float dot_f32_bf16(const float *a, const uint16_t *b, size_t dim)
{
    float sum = 0;
    for (size_t i = 0; i < dim; i++) sum += a[i] * nlsh__from_bf16(b[i]);
    return sum;
}

static float l2sq_f32_i8(const float *a, const int8_t *b, float scale, size_t dim)
{
    float sum = 0;
    for (size_t i = 0; i < dim; i++) {
        float d = a[i] - nlsh__from_scaled(b[i], scale);
        sum += d * d;
    }
    return sum;
}

static float dot_f32_i8(const float *a, const int8_t *b, float scale, size_t dim)
{
    float sum = 0;
    for (size_t i = 0; i < dim; i++) sum += a[i] * nlsh__from_scaled(b[i], scale);
    return sum;
}

static void panel_u8(const struct nlsh__panel_u8 *panel, size_t first_group, size_t n_groups,
                     const int8_t *queries, size_t n_queries, const struct nlsh__limits_u8 *limits,
                     struct nlsh__hits *hits)
{
    size_t stride = panel->n_chunks * 4;
    for (size_t g = first_group; g < first_group + n_groups; g++) {
        const uint8_t *group = panel->values + g * panel->n_chunks * 64;
        for (size_t q = 0; q < n_queries; q++) {
            const int8_t *query = queries + q * stride;
            for (size_t r = 0; r < NLSH__GROUP; r++) {
                int32_t dot = 0;
                for (size_t i = 0; i < stride; i++)
                    dot += (int32_t)group[i / 4 * 64 + r * 4 + i % 4] * query[i];
                size_t row = g * NLSH__GROUP + r;
                if (row >= panel->n_rows) break;
                int32_t score = panel->bias[row] - 2 * dot;
                int near = score < limits->queries[q];
                if (limits->rows != NULL) near |= score < limits->rows[row] - limits->norms[q];
                if (!near) continue;
                size_t slot = q * hits->capacity + hits->n[q]++;
                hits->ids[slot] = (uint32_t)row;
                hits->scores.i32[slot] = score;
            }
        }
    }
}

static void panel_f32(const struct nlsh__panel_f32 *panel, size_t first_group, size_t n_groups,
                      const float *queries, size_t n_queries, const struct nlsh__limits_f32 *limits,
                      struct nlsh__hits *hits)
{
    for (size_t g = first_group; g < first_group + n_groups; g++) {
        const float *group = panel->values + g * panel->dim * NLSH__GROUP;
        for (size_t q = 0; q < n_queries; q++) {
            float dot[NLSH__GROUP] = {0};
            for (size_t d = 0; d < panel->dim; d++)
                for (size_t r = 0; r < NLSH__GROUP; r++)
                    dot[r] += group[d * NLSH__GROUP + r] * queries[q * panel->dim + d];
            for (size_t r = 0; r < NLSH__GROUP; r++) {
                size_t row = g * NLSH__GROUP + r;
                float score = panel->bias[row] - 2 * dot[r];
                int near = score < limits->queries[q];
                if (limits->rows != NULL) near |= score < limits->rows[row] - limits->norms[q];
                if (!near) continue;
                size_t slot = q * hits->capacity + hits->n[q]++;
                hits->ids[slot] = (uint32_t)row;
                hits->scores.f32[slot] = score;
            }
        }
    }
}

static void l2sq_u8_rows(const uint8_t *query, const uint8_t *base, size_t dim,
                         const uint32_t *rows, size_t n, size_t n_more, uint32_t *out)
{
    for (size_t i = 0; i < n; i++) {
        if (i + NLSH__AHEAD < n + n_more)
            nlsh__prefetch_bytes(base + rows[i + NLSH__AHEAD] * dim, dim);
        out[i] = l2sq_u8(query, base + rows[i] * dim, dim);
    }
}

void nlsh__scalar_l2sq(struct nlsh__kernels *table)
{
    table->l2sq_u8 = l2sq_u8;
    table->l2sq_f32 = l2sq_f32;
    table->l2sq_f32_u8 = l2sq_f32_u8;
    table->dot_f32 = dot_f32;
    table->l2sq_f32_f16 = l2sq_f32_f16;
    table->dot_f32_f16 = dot_f32_f16;
    table->l2sq_f32_bf16 = l2sq_f32_bf16;
    table->dot_f32_bf16 = dot_f32_bf16;
    table->l2sq_f32_i8 = l2sq_f32_i8;
    table->dot_f32_i8 = dot_f32_i8;
    table->l2sq_u8_rows = l2sq_u8_rows;
    table->panel_u8 = panel_u8;
    table->panel_f32 = panel_f32;
}
