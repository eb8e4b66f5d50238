/* scalar.c - every kernel in plain C: what the wider ones must agree with. */
#include "kernels/code_query.h"
#include "kernels/rows.h"
#include "kernels/softmax.h"
#include "kernels/tables.h"

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

static void panel_u8(const struct nlsh__panel_u8 *panel, size_t first_group, size_t n_groups,
                     const int8_t *queries, size_t n_queries, const int32_t *thresholds,
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
                if (score >= thresholds[q]) continue;
                size_t slot = q * hits->capacity + hits->n[q]++;
                hits->ids[slot] = (uint32_t)row;
                hits->scores.i32[slot] = score;
            }
        }
    }
}

static void panel_f32(const struct nlsh__panel_f32 *panel, size_t first_group, size_t n_groups,
                      const float *queries, size_t n_queries, const float *thresholds,
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
                if (!(score < thresholds[q])) continue;
                size_t slot = q * hits->capacity + hits->n[q]++;
                hits->ids[slot] = (uint32_t)row;
                hits->scores.f32[slot] = score;
            }
        }
    }
}

static void matvec_f32(const float *values, const float *bias, size_t n_groups, size_t dim,
                       const float *x, float *out)
{
    for (size_t g = 0; g < n_groups; g++) {
        float sum[NLSH__GROUP];
        for (size_t r = 0; r < NLSH__GROUP; r++) sum[r] = bias[g * NLSH__GROUP + r];
        for (size_t d = 0; d < dim; d++)
            for (size_t r = 0; r < NLSH__GROUP; r++)
                sum[r] += values[(g * dim + d) * NLSH__GROUP + r] * x[d];
        for (size_t r = 0; r < NLSH__GROUP; r++) out[g * NLSH__GROUP + r] = sum[r];
    }
}

static void matvec_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, float x_scale, int zero,
                      int relu, float *out)
{
    for (size_t row = 0; row < layer->n_groups * NLSH__GROUP; row++) {
        const int8_t *w =
            layer->values + row / NLSH__GROUP * layer->n_chunks * 64 + row % NLSH__GROUP * 4;
        uint32_t dot = 0; /* a damaged file's sums may wrap, as the wider kernels do */
        for (size_t i = 0; i < layer->n_chunks * 4; i++)
            dot += (uint32_t)((int32_t)w[i / 4 * 64 + i % 4] * (int32_t)x[i]);
        dot -= (uint32_t)zero * (uint32_t)layer->sums[row];
        float v = (float)(int32_t)dot * (layer->scale[row] * x_scale) + layer->bias[row];
        out[row] = relu && v < 0 ? 0 : v;
    }
}

static void matmat_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, size_t stride, size_t n,
                      const float *x_scale, int zero, int relu, float *out, size_t out_stride)
{
    for (size_t i = 0; i < n; i++)
        matvec_i8(layer, x + i * stride, x_scale[i], zero, relu, out + i * out_stride);
}

static void code_query(const float *inputs, const float *centroid, const float *steps, size_t n,
                       int8_t *weights, struct nlsh__code_query *out)
{
    nlsh__code_query_body(inputs, centroid, steps, n, weights, out);
}

static void scan_u4(const uint8_t *values, const float *bias, size_t n_groups, size_t n_chunks,
                    const int8_t *weights, float constant, float slope, float *scores)
{
    for (size_t row = 0; row < n_groups * NLSH__GROUP; row++) {
        const uint8_t *x = values + row / NLSH__GROUP * n_chunks * 64 + row % NLSH__GROUP * 4;
        int32_t dot = 0;
        for (size_t c = 0; c < n_chunks; c++)
            for (size_t i = 0; i < 4; i++) {
                dot += (x[64 * c + i] & 15) * weights[8 * c + i];
                dot += (x[64 * c + i] >> 4) * weights[8 * c + 4 + i];
            }
        scores[row] = (bias[row] + constant) - slope * (float)dot;
    }
}

static void scan_u4_at(const uint8_t *values, const float *bias, const uint32_t *groups,
                       size_t n_groups, size_t n_more, size_t n_chunks, const int8_t *weights,
                       float constant, float slope, float *scores)
{
    (void)n_more;
    for (size_t g = 0; g < n_groups; g++)
        scan_u4(values + groups[g] * n_chunks * 64, bias + groups[g] * (size_t)NLSH__GROUP, 1,
                n_chunks, weights, constant, slope, scores + g * NLSH__GROUP);
}

static float bound_f32(const float *scores, size_t n, size_t k)
{
    float least[64], bound = INFINITY;
    for (size_t i = 0; i < 64; i++) least[i] = INFINITY;
    for (size_t i = 0; i < n; i++)
        if (scores[i] < least[i % 64]) least[i % 64] = scores[i];
    for (; k > 0; k--) {
        size_t best = 0;
        for (size_t i = 1; i < 64; i++)
            if (least[i] < least[best]) best = i;
        bound = least[best];
        least[best] = INFINITY;
    }
    return bound;
}

static size_t near_f32(const float *scores, const uint8_t *errors, size_t n, float unit,
                       float above, float limit, uint32_t first, uint32_t *rows, float *least)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        least[found] = scores[i] - unit * (float)errors[i];
        rows[found] = first + (uint32_t)i;
        found += scores[i] > above && least[found] <= limit;
    }
    return found;
}

static void l2sq_u8_rows(const uint8_t *query, const uint8_t *base, size_t dim,
                         const uint32_t *rows, size_t n, size_t n_more, uint32_t *out)
{
    nlsh__l2sq_u8_rows_body(l2sq_u8, query, base, dim, rows, n, n_more, out);
}

static float softmax_f32(float *x, size_t n)
{
    return nlsh__softmax_body(x, n);
}

/* A value that is not finite (a damaged file) becomes some byte. */
float nlsh__quantise_u8(const float *x, size_t n, int zero, uint8_t *out)
{
    float most = 0;
    for (size_t i = 0; i < n; i++) {
        float v = fabsf(x[i]);
        most = v > most ? v : most;
    }
    float scale = 0, inverse = nlsh__quantise_scale(most, zero, &scale);
    for (size_t i = 0; i < (n + 3) / 4 * 4; i++) {
        float v = (i < n ? x[i] : 0) * inverse + (float)zero + 0.5f;
        v = v > 0 ? v : 0; /* NaN too */
        v = v < 255.0f ? v : 255.0f;
        out[i] = (uint8_t)(int32_t)v;
    }
    return scale;
}

const struct nlsh__kernels nlsh__kernels_scalar = {
    .name = "scalar",
    .l2sq_u8 = l2sq_u8,
    .l2sq_f32 = l2sq_f32,
    .l2sq_f32_u8 = l2sq_f32_u8,
    .dot_f32 = dot_f32,
    .l2sq_u8_rows = l2sq_u8_rows,
    .panel_u8 = panel_u8,
    .panel_f32 = panel_f32,
    .matvec_f32 = matvec_f32,
    .matvec_i8 = matvec_i8,
    .matmat_i8 = matmat_i8,
    .code_query = code_query,
    .scan_u4 = scan_u4,
    .scan_u4_at = scan_u4_at,
    .bound_f32 = bound_f32,
    .near_f32 = near_f32,
    .quantise_u8 = nlsh__quantise_u8,
    .softmax_f32 = softmax_f32,
};
