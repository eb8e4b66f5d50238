/* avx2.c - kernels for AVX2 with FMA. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "kernels/code_query.h"
#include "kernels/rows.h"
#include "kernels/softmax.h"
#include "kernels/tables.h"

#define TARGET __attribute__((target("avx2,fma")))

TARGET static inline float sum_ps(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

TARGET static inline uint32_t sum_epi32(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(s);
}

TARGET static uint32_t l2sq_u8(const uint8_t *a, const uint8_t *b, size_t dim)
{
    __m256i sum = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(a + i)));
        __m256i y = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(b + i)));
        __m256i d = _mm256_sub_epi16(x, y);
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(d, d));
    }
    uint32_t total = sum_epi32(sum);
    for (; i < dim; i++) {
        int32_t d = (int32_t)a[i] - (int32_t)b[i];
        total += (uint32_t)(d * d);
    }
    return total;
}

TARGET static float l2sq_f32(const float *a, const float *b, size_t dim)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        __m256 d0 = _mm256_sub_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i));
        __m256 d1 = _mm256_sub_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8));
        s0 = _mm256_fmadd_ps(d0, d0, s0);
        s1 = _mm256_fmadd_ps(d1, d1, s1);
    }
    float total = sum_ps(_mm256_add_ps(s0, s1));
    for (; i < dim; i++) total += (a[i] - b[i]) * (a[i] - b[i]);
    return total;
}

TARGET static float l2sq_f32_u8(const float *a, const uint8_t *b, size_t dim)
{
    __m256 sum = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= dim; i += 8) {
        __m256i x = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(b + i)));
        __m256 d = _mm256_sub_ps(_mm256_loadu_ps(a + i), _mm256_cvtepi32_ps(x));
        sum = _mm256_fmadd_ps(d, d, sum);
    }
    float total = sum_ps(sum);
    for (; i < dim; i++) total += (a[i] - (float)b[i]) * (a[i] - (float)b[i]);
    return total;
}

TARGET static float dot_f32(const float *a, const float *b, size_t dim)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
    }
    float total = sum_ps(_mm256_add_ps(s0, s1));
    for (; i < dim; i++) total += a[i] * b[i];
    return total;
}

/* Writes the rows of mask (8 lanes from row on) to query q's hits. bits holds their scores. */
static inline void add_hits(struct nlsh__hits *hits, size_t q, size_t row, unsigned mask,
                            const int32_t *bits)
{
    for (; mask != 0; mask &= mask - 1) {
        unsigned r = (unsigned)__builtin_ctz(mask);
        size_t slot = q * hits->capacity + hits->n[q]++;
        hits->ids[slot] = (uint32_t)(row + r);
        hits->scores.i32[slot] = bits[r];
    }
}

/* Bytes are widened to 16 bits: _mm256_maddubs_epi16 would saturate, and we promise exact sums.
 * Widening leaves two half sums a row, in the order that one horizontal add puts right. */
TARGET void nlsh__panel_u8_avx2(const struct nlsh__panel_u8 *panel, size_t first_group,
                                size_t n_groups, const int8_t *queries, size_t n_queries,
                                const int32_t *thresholds, struct nlsh__hits *hits)
{
    const __m256i zero = _mm256_setzero_si256();
    size_t stride = panel->n_chunks * 4;
    for (size_t g = first_group; g < first_group + n_groups; g++) {
        const uint8_t *group = panel->values + g * panel->n_chunks * 64;
        for (size_t q = 0; q < n_queries; q++) {
            __m256i sum[4] = {zero, zero, zero, zero};
            for (size_t c = 0; c < panel->n_chunks; c++) {
                int32_t four;
                memcpy(&four, queries + q * stride + 4 * c, 4);
                __m256i y = _mm256_cvtepi8_epi16(_mm_set1_epi32(four));
                for (int h = 0; h < 2; h++) {
                    __m256i x = _mm256_load_si256((const __m256i *)(group + c * 64) + h);
                    __m256i lo = _mm256_madd_epi16(_mm256_unpacklo_epi8(x, zero), y);
                    __m256i hi = _mm256_madd_epi16(_mm256_unpackhi_epi8(x, zero), y);
                    sum[2 * h] = _mm256_add_epi32(sum[2 * h], lo);
                    sum[2 * h + 1] = _mm256_add_epi32(sum[2 * h + 1], hi);
                }
            }
            for (int h = 0; h < 2; h++) {
                size_t row = g * NLSH__GROUP + 8 * (size_t)h;
                if (row >= panel->n_rows) break;
                __m256i dot = _mm256_hadd_epi32(sum[2 * h], sum[2 * h + 1]);
                __m256i bias = _mm256_load_si256((const __m256i *)(panel->bias + row));
                __m256i score = _mm256_sub_epi32(bias, _mm256_slli_epi32(dot, 1));
                __m256i near = _mm256_cmpgt_epi32(_mm256_set1_epi32(thresholds[q]), score);
                unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(near));
                if (row + 8 > panel->n_rows) mask &= (1u << (panel->n_rows - row)) - 1;
                if (mask == 0) continue;
                int32_t scores[8];
                _mm256_storeu_si256((__m256i *)scores, score);
                add_hits(hits, q, row, mask, scores);
            }
        }
    }
}

TARGET static void panel_f32(const struct nlsh__panel_f32 *panel, size_t first_group,
                             size_t n_groups, const float *queries, size_t n_queries,
                             const float *thresholds, struct nlsh__hits *hits)
{
    for (size_t g = first_group; g < first_group + n_groups; g++) {
        const float *group = panel->values + g * panel->dim * NLSH__GROUP;
        for (size_t q = 0; q < n_queries; q++) {
            const float *query = queries + q * panel->dim;
            __m256 dot[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
            for (size_t d = 0; d < panel->dim; d++) {
                __m256 y = _mm256_broadcast_ss(query + d);
                dot[0] = _mm256_fmadd_ps(_mm256_load_ps(group + d * 16), y, dot[0]);
                dot[1] = _mm256_fmadd_ps(_mm256_load_ps(group + d * 16 + 8), y, dot[1]);
            }
            for (int h = 0; h < 2; h++) {
                size_t row = g * NLSH__GROUP + 8 * (size_t)h;
                __m256 score =
                    _mm256_fnmadd_ps(_mm256_set1_ps(2), dot[h], _mm256_load_ps(panel->bias + row));
                __m256 near = _mm256_cmp_ps(score, _mm256_set1_ps(thresholds[q]), _CMP_LT_OQ);
                unsigned mask = (unsigned)_mm256_movemask_ps(near);
                if (mask == 0) continue;
                int32_t scores[8];
                _mm256_storeu_si256((__m256i *)scores, _mm256_castps_si256(score));
                add_hits(hits, q, row, mask, scores);
            }
        }
    }
}

TARGET static void matvec_f32(const float *values, const float *bias, size_t n_groups, size_t dim,
                              const float *x, float *out)
{
    for (size_t g = 0; g < n_groups; g++) {
        const float *group = values + g * dim * NLSH__GROUP;
        __m256 a0 = _mm256_load_ps(bias + g * 16), a1 = _mm256_load_ps(bias + g * 16 + 8);
        __m256 b0 = _mm256_setzero_ps(), b1 = b0;
        size_t d = 0;
        for (; d + 2 <= dim; d += 2) {
            __m256 y = _mm256_broadcast_ss(x + d), z = _mm256_broadcast_ss(x + d + 1);
            a0 = _mm256_fmadd_ps(_mm256_load_ps(group + d * 16), y, a0);
            a1 = _mm256_fmadd_ps(_mm256_load_ps(group + d * 16 + 8), y, a1);
            b0 = _mm256_fmadd_ps(_mm256_load_ps(group + d * 16 + 16), z, b0);
            b1 = _mm256_fmadd_ps(_mm256_load_ps(group + d * 16 + 24), z, b1);
        }
        if (d < dim) {
            __m256 y = _mm256_broadcast_ss(x + d);
            a0 = _mm256_fmadd_ps(_mm256_load_ps(group + d * 16), y, a0);
            a1 = _mm256_fmadd_ps(_mm256_load_ps(group + d * 16 + 8), y, a1);
        }
        a0 = _mm256_add_ps(a0, b0);
        a1 = _mm256_add_ps(a1, b1);
        _mm256_store_ps(out + g * 16, a0);
        _mm256_store_ps(out + g * 16 + 8, a1);
    }
}

/* Sums of 16 rows of four signed bytes by four unsigned ones; as in the panel above, widened. */
TARGET static inline void dot16(const uint8_t *unsigned_rows, const int8_t *signed_rows,
                                int rows_are_signed, const void *x, size_t n_chunks, __m256i *out)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i sum[4] = {zero, zero, zero, zero};
    for (size_t c = 0; c < n_chunks; c++) {
        int32_t four;
        memcpy(&four, (const char *)x + 4 * c, 4);
        __m128i four8 = _mm_set1_epi32(four);
        __m256i y = rows_are_signed ? _mm256_cvtepu8_epi16(four8) : _mm256_cvtepi8_epi16(four8);
        for (int h = 0; h < 2; h++) {
            __m256i lo, hi;
            if (rows_are_signed) {
                __m256i v = _mm256_load_si256((const __m256i *)(signed_rows + c * 64) + h);
                __m256i sign = _mm256_cmpgt_epi8(zero, v);
                lo = _mm256_unpacklo_epi8(v, sign);
                hi = _mm256_unpackhi_epi8(v, sign);
            } else {
                __m256i v = _mm256_load_si256((const __m256i *)(unsigned_rows + c * 64) + h);
                lo = _mm256_unpacklo_epi8(v, zero);
                hi = _mm256_unpackhi_epi8(v, zero);
            }
            sum[2 * h] = _mm256_add_epi32(sum[2 * h], _mm256_madd_epi16(lo, y));
            sum[2 * h + 1] = _mm256_add_epi32(sum[2 * h + 1], _mm256_madd_epi16(hi, y));
        }
    }
    out[0] = _mm256_hadd_epi32(sum[0], sum[1]);
    out[1] = _mm256_hadd_epi32(sum[2], sum[3]);
}

TARGET void nlsh__matvec_i8_avx2(const struct nlsh__layer_i8 *layer, const uint8_t *x,
                                 float x_scale, int zero, int relu, float *out)
{
    for (size_t g = 0; g < layer->n_groups; g++) {
        __m256i dot[2];
        dot16(NULL, layer->values + g * layer->n_chunks * 64, 1, x, layer->n_chunks, dot);
        for (int h = 0; h < 2; h++) {
            size_t row = g * NLSH__GROUP + 8 * (size_t)h;
            __m256i sums = _mm256_load_si256((const __m256i *)(layer->sums + row));
            dot[h] = _mm256_sub_epi32(dot[h], _mm256_mullo_epi32(sums, _mm256_set1_epi32(zero)));
            __m256 scale =
                _mm256_mul_ps(_mm256_load_ps(layer->scale + row), _mm256_set1_ps(x_scale));
            __m256 v = _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(dot[h]), scale),
                                     _mm256_load_ps(layer->bias + row));
            if (relu) v = _mm256_max_ps(v, _mm256_setzero_ps());
            _mm256_storeu_ps(out + row, v);
        }
    }
}

void nlsh__matmat_i8_avx2(const struct nlsh__layer_i8 *layer, const uint8_t *x, size_t stride,
                          size_t n, const float *x_scale, int zero, int relu, float *out,
                          size_t out_stride)
{
    for (size_t i = 0; i < n; i++)
        nlsh__matvec_i8_avx2(layer, x + i * stride, x_scale[i], zero, relu, out + i * out_stride);
}

TARGET static void code_query(const float *inputs, const float *centroid, const float *steps,
                              size_t n, int8_t *weights, struct nlsh__code_query *out)
{
    nlsh__code_query_body(inputs, centroid, steps, n, weights, out);
}

/* Two products of 15 x 127 fit in 16 bits. */
TARGET static inline __m256i dot_u4(__m256i sum, __m256i codes, const int8_t *weights)
{
    int32_t four;
    memcpy(&four, weights, 4);
    __m256i pairs = _mm256_maddubs_epi16(codes, _mm256_set1_epi32(four));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

TARGET void nlsh__scan_u4_avx2(const uint8_t *values, const float *bias, size_t n_groups,
                               size_t n_chunks, const int8_t *weights, float constant, float slope,
                               float *scores)
{
    const __m256i low = _mm256_set1_epi8(15);
    for (size_t g = 0; g < n_groups; g++)
        for (size_t h = 0; h < 2; h++) {
            const uint8_t *x = values + g * n_chunks * 64 + 32 * h;
            size_t row = g * NLSH__GROUP + 8 * h;
            __m256i sum = _mm256_setzero_si256();
            for (size_t c = 0; c < n_chunks; c++) {
                __m256i v = _mm256_load_si256((const __m256i *)(x + 64 * c));
                sum = dot_u4(sum, _mm256_and_si256(v, low), weights + 8 * c);
                v = _mm256_and_si256(_mm256_srli_epi16(v, 4), low);
                sum = dot_u4(sum, v, weights + 8 * c + 4);
            }
            __m256 score = _mm256_add_ps(_mm256_load_ps(bias + row), _mm256_set1_ps(constant));
            __m256 part = _mm256_mul_ps(_mm256_set1_ps(slope), _mm256_cvtepi32_ps(sum));
            _mm256_store_ps(scores + row, _mm256_sub_ps(score, part));
        }
}

void nlsh__scan_u4_at_avx2(const uint8_t *values, const float *bias, const uint32_t *groups,
                           size_t n_groups, size_t n_more, size_t n_chunks, const int8_t *weights,
                           float constant, float slope, float *scores)
{
    for (size_t g = 0; g < n_groups; g++) {
        if (g + 4 < n_groups + n_more)
            nlsh__prefetch_bytes(values + groups[g + 4] * n_chunks * 64, n_chunks * 64);
        nlsh__scan_u4_avx2(values + groups[g] * n_chunks * 64,
                           bias + groups[g] * (size_t)NLSH__GROUP, 1, n_chunks, weights, constant,
                           slope, scores + g * NLSH__GROUP);
    }
}

TARGET static float bound_f32(const float *scores, size_t n, size_t k)
{
    __m256 least[8];
    float bound = INFINITY;
    for (size_t i = 0; i < 8; i++) least[i] = _mm256_set1_ps(INFINITY);
    for (size_t i = 0; i < n; i += 16) {
        __m256 *at = least + i / 8 % 8;
        at[0] = _mm256_min_ps(_mm256_load_ps(scores + i), at[0]); /* NaN: the old one stays */
        at[1] = _mm256_min_ps(_mm256_load_ps(scores + i + 8), at[1]);
    }
    for (; k > 0; k--) {
        __m256 m = least[0];
        for (size_t i = 1; i < 8; i++) m = _mm256_min_ps(m, least[i]);
        m = _mm256_min_ps(m, _mm256_permute2f128_ps(m, m, 1));
        m = _mm256_min_ps(m, _mm256_permute_ps(m, 0x4e));
        m = _mm256_min_ps(m, _mm256_permute_ps(m, 0xb1));
        bound = _mm256_cvtss_f32(m);
        for (size_t i = 0; i < 8; i++) { /* one of them goes, not its equals */
            int equal = _mm256_movemask_ps(_mm256_cmp_ps(least[i], m, _CMP_EQ_OQ));
            if (equal == 0) continue;
            float values[8];
            _mm256_storeu_ps(values, least[i]);
            values[__builtin_ctz((unsigned)equal)] = INFINITY;
            least[i] = _mm256_loadu_ps(values);
            break;
        }
    }
    return bound;
}

TARGET static size_t near_f32(const float *scores, const uint8_t *errors, size_t n, float unit,
                              float above, float limit, uint32_t first, uint32_t *rows,
                              float *least)
{
    size_t found = 0, i = 0;
    float values[8];
    for (; i + 8 <= n; i += 8) {
        __m256 score = _mm256_load_ps(scores + i);
        __m256i error = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(errors + i)));
        __m256 low =
            _mm256_sub_ps(score, _mm256_mul_ps(_mm256_set1_ps(unit), _mm256_cvtepi32_ps(error)));
        __m256 near = _mm256_and_ps(_mm256_cmp_ps(score, _mm256_set1_ps(above), _CMP_GT_OQ),
                                    _mm256_cmp_ps(low, _mm256_set1_ps(limit), _CMP_LE_OQ));
        _mm256_storeu_ps(values, low);
        for (unsigned mask = (unsigned)_mm256_movemask_ps(near); mask != 0; mask &= mask - 1) {
            unsigned j = (unsigned)__builtin_ctz(mask);
            least[found] = values[j];
            rows[found++] = first + (uint32_t)i + j;
        }
    }
    for (; i < n; i++) {
        least[found] = scores[i] - unit * (float)errors[i];
        rows[found] = first + (uint32_t)i;
        found += scores[i] > above && least[found] <= limit;
    }
    return found;
}

TARGET static void l2sq_u8_rows(const uint8_t *query, const uint8_t *base, size_t dim,
                                const uint32_t *rows, size_t n, size_t n_more, uint32_t *out)
{
    nlsh__l2sq_u8_rows_body(l2sq_u8, query, base, dim, rows, n, n_more, out);
}

TARGET static float softmax_f32(float *x, size_t n)
{
    return nlsh__softmax_body(x, n);
}

const struct nlsh__kernels nlsh__kernels_avx2 = {
    .name = "avx2",
    .l2sq_u8 = l2sq_u8,
    .l2sq_f32 = l2sq_f32,
    .l2sq_f32_u8 = l2sq_f32_u8,
    .dot_f32 = dot_f32,
    .l2sq_u8_rows = l2sq_u8_rows,
    .panel_u8 = nlsh__panel_u8_avx2,
    .panel_f32 = panel_f32,
    .matvec_f32 = matvec_f32,
    .matvec_i8 = nlsh__matvec_i8_avx2,
    .matmat_i8 = nlsh__matmat_i8_avx2,
    .code_query = code_query,
    .scan_u4 = nlsh__scan_u4_avx2,
    .scan_u4_at = nlsh__scan_u4_at_avx2,
    .bound_f32 = bound_f32,
    .near_f32 = near_f32,
    .quantise_u8 = nlsh__quantise_u8,
    .softmax_f32 = softmax_f32,
};
#endif
