/* avx2_l2sq.c - distances and panels with AVX2. */
#if defined(__x86_64__)
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/rows.h"
#include "kernels/x86/avx2.h"
#include "kernels/x86/x86.h"

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
TARGET static void panel_u8(const struct nlsh__panel_u8 *panel, size_t first_group, size_t n_groups,
                            const int8_t *queries, size_t n_queries, const int32_t *thresholds,
                            struct nlsh__hits *hits)
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

TARGET static void l2sq_u8_rows(const uint8_t *query, const uint8_t *base, size_t dim,
                                const uint32_t *rows, size_t n, size_t n_more, uint32_t *out)
{
    nlsh__l2sq_u8_rows_body(l2sq_u8, query, base, dim, rows, n, n_more, out);
}

void nlsh__avx2_l2sq(struct nlsh__kernels *table)
{
    table->l2sq_u8 = l2sq_u8;
    table->l2sq_f32 = l2sq_f32;
    table->l2sq_f32_u8 = l2sq_f32_u8;
    table->dot_f32 = dot_f32;
    table->l2sq_u8_rows = l2sq_u8_rows;
    table->panel_u8 = panel_u8;
    table->panel_f32 = panel_f32;
}
#endif
