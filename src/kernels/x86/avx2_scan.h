/*
 * avx2_scan.h - scores around the products of codes, which AVX2 and AVX-VNNI make in different ways:
 * a file that includes this defines scan_halves().
 */
#ifndef NLSH_KERNELS_X86_AVX2_SCAN_H
#define NLSH_KERNELS_X86_AVX2_SCAN_H

#include "kernels/x86/avx2.h"

#include "kernels/scan.h"

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

#endif
