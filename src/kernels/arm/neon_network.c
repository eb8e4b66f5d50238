/* neon_network.c - the router's layers of floats, softmax, and floats as bytes, with NEON. */
#if defined(__aarch64__)
#include <math.h>

#include "kernels/arm/arm.h"
#include "kernels/arm/neon.h"
#include "kernels/shared.h"

/* ng groups, 1 or 2, so that a value of x serves both: each in two chains. */
INLINE void matvec_groups(const float *group, const float *bias, size_t dim, const float *x,
                          float *out, const int ng)
{
    float32x4_t a[8], b[8];
    size_t d = 0;
    UNROLL
    for (size_t i = 0; i < 4 * (size_t)ng; i++) {
        a[i] = vld1q_f32(bias + 4 * i);
        b[i] = vdupq_n_f32(0);
    }
    for (; d + 2 <= dim; d += 2) {
        UNROLL
        for (size_t i = 0; i < 4 * (size_t)ng; i++) {
            const float *w = group + (i / 4 * dim + d) * 16 + i % 4 * 4;
            a[i] = vfmaq_n_f32(a[i], vld1q_f32(w), x[d]);
            b[i] = vfmaq_n_f32(b[i], vld1q_f32(w + 16), x[d + 1]);
        }
    }
    UNROLL
    for (size_t i = 0; i < 4 * (size_t)ng; i++) {
        if (d < dim)
            a[i] = vfmaq_n_f32(a[i], vld1q_f32(group + (i / 4 * dim + d) * 16 + i % 4 * 4), x[d]);
        vst1q_f32(out + 4 * i, vaddq_f32(a[i], b[i]));
    }
}

TARGET static void matvec_f32(const float *values, const float *bias, size_t n_groups, size_t dim,
                              const float *x, float *out)
{
    size_t g = 0;
    for (; g + 2 <= n_groups; g += 2)
        matvec_groups(values + g * dim * 16, bias + g * 16, dim, x, out + g * 16, 2);
    if (g < n_groups) matvec_groups(values + g * dim * 16, bias + g * 16, dim, x, out + g * 16, 1);
}

/* ---- softmax --------------------------------------------------------------------------------- */

/* e^x by shared.h's formula; of NaN it makes NaN. */
INLINE float32x4_t exp4(float32x4_t x)
{
    const float32x4_t round = vdupq_n_f32(NLSH__ROUND);
    float32x4_t n = vaddq_f32(vmulq_n_f32(x, NLSH__LOG2_E), round);
    int32x4_t power = vaddq_s32(vreinterpretq_s32_f32(n), vdupq_n_s32(127 - NLSH__ROUND_BITS));
    n = vsubq_f32(n, round);
    float32x4_t r = vfmsq_n_f32(x, n, NLSH__LN2_HIGH);
    r = vfmsq_n_f32(r, n, NLSH__LN2_LOW);
    float32x4_t p = vdupq_n_f32(nlsh__exp_p[0]);
    UNROLL
    for (size_t i = 1; i < 6; i++) p = vfmaq_f32(vdupq_n_f32(nlsh__exp_p[i]), p, r);
    p = vaddq_f32(vfmaq_f32(r, vmulq_f32(p, r), r), vdupq_n_f32(1));
    return vmulq_f32(p, vreinterpretq_f32_s32(vshlq_n_s32(power, 23)));
}

/* e^(x - most), 0 below e^-87. */
INLINE float32x4_t weigh4(float32x4_t x, float32x4_t most)
{
    x = vsubq_f32(x, most);
    uint32x4_t low = vcltq_f32(x, vdupq_n_f32(NLSH__EXP_LEAST));
    x = exp4(vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(x), low)));
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(x), low));
}

/* The n - whole last values, -infinity behind them. */
INLINE float32x4_t last_values(const float *x, size_t whole, size_t n)
{
    float four[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    memcpy(four, x + whole, (n - whole) * sizeof *four);
    return vld1q_f32(four);
}

/* A NaN is in the maximum, and so in every answer. */
TARGET static float softmax_f32(float *x, size_t n)
{
    size_t whole = n / 4 * 4;
    float32x4_t last = last_values(x, whole, n), max = last, total = vdupq_n_f32(0);
    float four[4];
    for (size_t i = 0; i < whole; i += 4) max = vmaxq_f32(max, vld1q_f32(x + i));
    float largest = vmaxvq_f32(max);
    max = vdupq_n_f32(largest);
    for (size_t i = 0; i < whole; i += 4) {
        float32x4_t v = weigh4(vld1q_f32(x + i), max);
        total = vaddq_f32(total, v);
        vst1q_f32(x + i, v);
    }
    last = weigh4(last, max);
    float sum = vaddvq_f32(vaddq_f32(total, last)), scale = 1.0f / sum;
    for (size_t i = 0; i < whole; i += 4) vst1q_f32(x + i, vmulq_n_f32(vld1q_f32(x + i), scale));
    vst1q_f32(four, vmulq_n_f32(last, scale));
    memcpy(x + whole, four, (n - whole) * sizeof *four);
    return largest + logf(sum);
}

/* ---- floats as bytes ------------------------------------------------------------------------- */

/* The larger of most and |v|; of NaN the old one stays, a signalling one too. */
INLINE float32x4_t larger(float32x4_t most, float32x4_t v)
{
    v = vabsq_f32(v);
    return vbslq_f32(vcgtq_f32(v, most), v, most);
}

/* The plain quantise_u8()'s operations in its order; 4 words of 0 .. 255. */
INLINE uint32x4_t quantise4(float32x4_t x, float factor, float zero)
{
    float32x4_t v = vaddq_f32(vmulq_n_f32(x, factor), vdupq_n_f32(zero));
    v = vmaxnmq_f32(vaddq_f32(v, vdupq_n_f32(0.5f)), vdupq_n_f32(0)); /* NaN: 0 */
    return vcvtq_u32_f32(vminq_f32(v, vdupq_n_f32(255)));
}

INLINE uint8x16_t quantise16(const float *x, float factor, float zero)
{
    uint16x8_t words[2];
    UNROLL
    for (size_t j = 0; j < 2; j++) {
        uint32x4_t low = quantise4(vld1q_f32(x + 8 * j), factor, zero);
        uint32x4_t high = quantise4(vld1q_f32(x + 8 * j + 4), factor, zero);
        words[j] = vuzp1q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(high));
    }
    return vuzp1q_u8(vreinterpretq_u8_u16(words[0]), vreinterpretq_u8_u16(words[1]));
}

TARGET static float quantise_u8(const float *x, size_t n, int zero, uint8_t *out)
{
    float32x4_t most = vdupq_n_f32(0);
    size_t i = 0, whole = n / 16 * 16;
    float last[16] = {0}, scale;
    uint8_t bytes[16];
    memcpy(last, x + whole, (n - whole) * sizeof *last);
    for (; i < whole; i += 4) most = larger(most, vld1q_f32(x + i));
    for (i = 0; i < 16; i += 4) most = larger(most, vld1q_f32(last + i));
    float factor = nlsh__quantise_factor(vmaxvq_f32(most), zero, &scale);
    for (i = 0; i < whole; i += 16) vst1q_u8(out + i, quantise16(x + i, factor, (float)zero));
    vst1q_u8(bytes, quantise16(last, factor, (float)zero));
    memcpy(out + whole, bytes, (n - whole + 3) / 4 * 4);
    return scale;
}

void nlsh__neon_network(struct nlsh__kernels *table)
{
    table->matvec_f32 = matvec_f32;
    table->softmax_f32 = softmax_f32;
    table->quantise_u8 = quantise_u8;
}
#endif
