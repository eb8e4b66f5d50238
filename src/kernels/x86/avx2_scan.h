/*
 * avx2_scan.h - scan_u4() and scan_u4_at() around the products of codes, which AVX2 and AVX-VNNI make
 * in different ways: a file that includes this defines scan_halves().
 */
#ifndef NLSH_KERNELS_X86_AVX2_SCAN_H
#define NLSH_KERNELS_X86_AVX2_SCAN_H

#include "kernels/prefetch.h"
#include "kernels/x86/avx2.h"

/* sums[2 g + h] = weights . code of the 8 rows in half h of group g, for ng groups, 1 or 2, whose codes
 * are at values[g]. Those at ahead[g] are fetched into the cache, where ahead is not NULL. */
INLINE void scan_halves(const uint8_t *const *values, const uint8_t *const *ahead, size_t n_chunks,
                        const int8_t *weights, __m256i *sums, const int ng);

INLINE void scan_groups(const uint8_t *const *values, const float *const *bias,
                        const uint8_t *const *ahead, size_t n_chunks, const int8_t *weights,
                        float constant, float slope, float *scores, const int ng)
{
    __m256i sums[4];
    scan_halves(values, ahead, n_chunks, weights, sums, ng);
    UNROLL
    for (int i = 0; i < 2 * ng; i++) {
        __m256 score = _mm256_load_ps(bias[i / 2] + i % 2 * 8);
        score = _mm256_add_ps(score, _mm256_set1_ps(constant));
        __m256 part = _mm256_mul_ps(_mm256_set1_ps(slope), _mm256_cvtepi32_ps(sums[i]));
        _mm256_store_ps(scores + 8 * i, _mm256_sub_ps(score, part));
    }
}

TARGET static void scan_u4(const uint8_t *values, const float *bias, size_t n_groups,
                           size_t n_chunks, const int8_t *weights, float constant, float slope,
                           float *scores)
{
    for (size_t g = 0; g < n_groups; g += 2) {
        const uint8_t *v[] = {values + g * n_chunks * 64, values + (g + 1) * n_chunks * 64};
        const float *b[] = {bias + g * NLSH__GROUP, bias + (g + 1) * NLSH__GROUP};
        float *out = scores + g * NLSH__GROUP;
        if (g + 1 < n_groups)
            scan_groups(v, b, NULL, n_chunks, weights, constant, slope, out, 2);
        else
            scan_groups(v, b, NULL, n_chunks, weights, constant, slope, out, 1);
    }
}

TARGET static void scan_u4_at(const uint8_t *values, const float *bias, const uint32_t *groups,
                              size_t n_groups, size_t n_more, size_t n_chunks,
                              const int8_t *weights, float constant, float slope, float *scores)
{
    size_t n = n_groups + n_more;
    for (size_t g = 0; g < n_groups; g += 2) {
        const uint8_t *v[2], *ahead[2];
        const float *b[2];
        for (size_t i = 0; i < 2; i++) {
            size_t at = groups[g + i < n_groups ? g + i : g];
            size_t next = g + i + 4 < n ? groups[g + i + 4] : at;
            v[i] = values + at * n_chunks * 64;
            b[i] = bias + at * NLSH__GROUP;
            ahead[i] = values + next * n_chunks * 64;
            nlsh__prefetch(bias + next * NLSH__GROUP);
        }
        float *out = scores + g * NLSH__GROUP;
        if (g + 1 < n_groups)
            scan_groups(v, b, ahead, n_chunks, weights, constant, slope, out, 2);
        else
            scan_groups(v, b, ahead, n_chunks, weights, constant, slope, out, 1);
    }
}

#endif
