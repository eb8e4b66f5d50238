/* avx2_codes.c - scanning by codes with AVX2. */
#if defined(__x86_64__)
#include <math.h>
#include <string.h>

#include "kernels/code_query.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/prefetch.h"
#include "kernels/x86/avx2.h"
#include "kernels/x86/x86.h"

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

TARGET static void scan_u4(const uint8_t *values, const float *bias, size_t n_groups,
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

static void scan_u4_at(const uint8_t *values, const float *bias, const uint32_t *groups,
                       size_t n_groups, size_t n_more, size_t n_chunks, const int8_t *weights,
                       float constant, float slope, float *scores)
{
    for (size_t g = 0; g < n_groups; g++) {
        if (g + 4 < n_groups + n_more)
            nlsh__prefetch_bytes(values + groups[g + 4] * n_chunks * 64, n_chunks * 64);
        scan_u4(values + groups[g] * n_chunks * 64, bias + groups[g] * (size_t)NLSH__GROUP, 1,
                n_chunks, weights, constant, slope, scores + g * NLSH__GROUP);
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

void nlsh__avx2_codes(struct nlsh__kernels *table)
{
    table->code_query = code_query;
    table->scan_u4 = scan_u4;
    table->scan_u4_at = scan_u4_at;
    table->bound_f32 = bound_f32;
    table->near_f32 = near_f32;
}
#endif
