/* avx512vnni_codes.c - scores of codes on vpdpbusd. */
#if defined(__x86_64__)
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/prefetch.h"
#include "kernels/x86/avx512vnni.h"
#include "kernels/x86/x86.h"

/* ng groups of 16 rows, and lines of as many others fetched if ahead is not NULL. High halves are left
 * where they stand, 16 times too large, and brought down with the sum. */
INLINE void scan_groups(const uint8_t *const *values, const float *const *bias,
                        const uint8_t *const *ahead, size_t n_chunks, const int8_t *weights,
                        __m512 constant, __m512 slope, float *scores, const int ng)
{
    const __m512i low = _mm512_set1_epi8(15);
    __m512i a[4], b[4];
    UNROLL
    for (int g = 0; g < ng; g++) a[g] = b[g] = _mm512_setzero_si512();
    for (size_t c = 0; c < n_chunks; c++) {
        int32_t four[2];
        memcpy(four, weights + 8 * c, 8);
        __m512i y = _mm512_set1_epi32(four[0]), z = _mm512_set1_epi32(four[1]);
        UNROLL
        for (int g = 0; g < ng; g++) {
            if (ahead != NULL) nlsh__prefetch(ahead[g] + c * 64);
            __m512i v = _mm512_load_si512(values[g] + c * 64);
            a[g] = dot4(a[g], _mm512_and_si512(v, low), y);
            b[g] = dot4(b[g], _mm512_andnot_si512(low, v), z);
        }
    }
    UNROLL
    for (int g = 0; g < ng; g++) {
        __m512 dot = _mm512_cvtepi32_ps(_mm512_add_epi32(a[g], _mm512_srai_epi32(b[g], 4)));
        __m512 score = _mm512_add_ps(_mm512_load_ps(bias[g]), constant);
        _mm512_store_ps(scores + g * 16, _mm512_sub_ps(score, _mm512_mul_ps(slope, dot)));
    }
}

INLINE void scan_next(const uint8_t *values, const float *bias, size_t n_chunks,
                      const int8_t *weights, __m512 constant, __m512 slope, float *scores,
                      const int ng)
{
    const uint8_t *v[4];
    const float *b[4];
    UNROLL
    for (int g = 0; g < ng; g++) {
        v[g] = values + (size_t)g * n_chunks * 64;
        b[g] = bias + g * 16;
    }
    scan_groups(v, b, NULL, n_chunks, weights, constant, slope, scores, ng);
}

TARGET static void scan_u4(const uint8_t *values, const float *bias, size_t n_groups,
                           size_t n_chunks, const int8_t *weights, float constant, float slope,
                           float *scores)
{
    __m512 c = _mm512_set1_ps(constant), s = _mm512_set1_ps(slope);
    size_t g = 0;
    for (; g + 4 <= n_groups; g += 4)
        scan_next(values + g * n_chunks * 64, bias + g * 16, n_chunks, weights, c, s,
                  scores + g * 16, 4);
    if (g + 2 <= n_groups) {
        scan_next(values + g * n_chunks * 64, bias + g * 16, n_chunks, weights, c, s,
                  scores + g * 16, 2);
        g += 2;
    }
    if (g < n_groups)
        scan_next(values + g * n_chunks * 64, bias + g * 16, n_chunks, weights, c, s,
                  scores + g * 16, 1);
}

INLINE void scan_at(const uint8_t *values, const float *bias, const uint32_t *groups, size_t n_left,
                    size_t n_chunks, const int8_t *weights, __m512 constant, __m512 slope,
                    float *scores, const int ng)
{
    const uint8_t *v[4], *ahead[4];
    const float *b[4];
    UNROLL
    for (int g = 0; g < ng; g++) {
        size_t next =
            (size_t)g + NLSH__GROUPS_AHEAD < n_left ? groups[g + NLSH__GROUPS_AHEAD] : groups[g];
        v[g] = values + groups[g] * n_chunks * 64;
        b[g] = bias + groups[g] * (size_t)16;
        ahead[g] = values + next * n_chunks * 64;
        nlsh__prefetch(bias + next * 16);
    }
    scan_groups(v, b, ahead, n_chunks, weights, constant, slope, scores, ng);
}

TARGET static void scan_u4_at(const uint8_t *values, const float *bias, const uint32_t *groups,
                              size_t n_groups, size_t n_more, size_t n_chunks,
                              const int8_t *weights, float constant, float slope, float *scores)
{
    __m512 c = _mm512_set1_ps(constant), s = _mm512_set1_ps(slope);
    size_t g = 0, n = n_groups + n_more;
    for (; g + 4 <= n_groups; g += 4)
        scan_at(values, bias, groups + g, n - g, n_chunks, weights, c, s, scores + g * 16, 4);
    if (g + 2 <= n_groups) {
        scan_at(values, bias, groups + g, n - g, n_chunks, weights, c, s, scores + g * 16, 2);
        g += 2;
    }
    if (g < n_groups)
        scan_at(values, bias, groups + g, n - g, n_chunks, weights, c, s, scores + g * 16, 1);
}

void nlsh__avx512vnni_codes(struct nlsh__kernels *table)
{
    table->scan_u4 = scan_u4;
    table->scan_u4_at = scan_u4_at;
}
#endif
