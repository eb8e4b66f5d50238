/*
 * neon_scan.h - scores around the products of codes, which NEON makes in different ways with and without
 * sdot: a file that includes this defines scan_quarters().
 */
#ifndef NLSH_KERNELS_ARM_NEON_SCAN_H
#define NLSH_KERNELS_ARM_NEON_SCAN_H

#include "kernels/arm/neon.h"
#include "kernels/scan.h"

/* sums[4 g + i] = weights . code of the rows 4 i .. 4 i + 3 of group g, for ng groups, 1 or 2, whose
 * codes are at values[g]. Those at ahead[g] are fetched into the cache, where ahead is not NULL. */
INLINE void scan_quarters(const uint8_t *const *values, const uint8_t *const *ahead,
                          size_t n_chunks, const int8_t *weights, int32x4_t *sums, const int ng);

INLINE void scan_groups(const uint8_t *const *values, const float *const *bias,
                        const uint8_t *const *ahead, size_t n_chunks, const int8_t *weights,
                        float constant, float slope, float *scores, const int ng)
{
    int32x4_t sums[8];
    scan_quarters(values, ahead, n_chunks, weights, sums, ng);
    UNROLL
    for (int i = 0; i < 4 * ng; i++) {
        float32x4_t score = vaddq_f32(vld1q_f32(bias[i / 4] + i % 4 * 4), vdupq_n_f32(constant));
        score = vsubq_f32(score, vmulq_n_f32(vcvtq_f32_s32(sums[i]), slope));
        vst1q_f32(scores + 4 * i, score);
    }
}

#endif
