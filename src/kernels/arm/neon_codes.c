/* neon_codes.c - a query as weights, and scores of codes, with NEON. */
#if defined(__aarch64__)
#include "kernels/arm/arm.h"
#include "kernels/arm/neon_scan.h"
#include "kernels/shared.h"

/* ---- a query as weights ---------------------------------------------------------------------- */

/* What the plain code_query() computes, in its order: four registers are its 16 lanes. */
INLINE float32x4_t offset4(const float *inputs, const float *centroid, size_t i)
{
    return vsubq_f32(vld1q_f32(inputs + i), vld1q_f32(centroid + i));
}

/* The weights of 8 components as words of 16 bits, of which the lower byte counts: that is the same in
 * NLSH__ROUND + weight and in the weight, since NLSH__ROUND_BITS ends with zeros. */
INLINE uint8x16_t weights8(const float *inputs, const float *centroid, const float *steps, size_t i,
                           float factor)
{
    uint16x8_t words[2];
    UNROLL
    for (size_t j = 0; j < 2; j++) {
        float32x4_t w =
            vmulq_f32(offset4(inputs, centroid, i + 4 * j), vld1q_f32(steps + i + 4 * j));
        w = vaddq_f32(vmulq_n_f32(w, factor), vdupq_n_f32(NLSH__ROUND));
        words[j] = vreinterpretq_u16_f32(w);
    }
    return vreinterpretq_u8_u16(vuzp1q_u16(words[0], words[1]));
}

TARGET static void code_query(const float *inputs, const float *centroid, const float *steps,
                              size_t n, int8_t *weights, struct nlsh__code_query *out)
{
    float32x4_t length[4], most[4];
    int32x4_t sum = vdupq_n_s32(0);
    UNROLL
    for (size_t j = 0; j < 4; j++) length[j] = most[j] = vdupq_n_f32(0);
    for (size_t i = 0; i < n; i += 16) {
        UNROLL
        for (size_t j = 0; j < 4; j++) {
            float32x4_t d = offset4(inputs, centroid, i + 4 * j);
            length[j] = vaddq_f32(length[j], vmulq_f32(d, d));
            d = vabsq_f32(vmulq_f32(d, vld1q_f32(steps + i + 4 * j)));
            most[j] = vmaxnmq_f32(most[j], d); /* NaN: the old one stays */
        }
    }
    UNROLL
    for (size_t j = 1; j < 4; j++) most[0] = vmaxq_f32(most[0], most[j]);
    float by = nlsh__weight_factor(vmaxvq_f32(most[0]), &out->unit);
    for (size_t i = 0; i < n; i += 16) {
        int8x16_t bytes =
            vreinterpretq_s8_u8(vuzp1q_u8(weights8(inputs, centroid, steps, i, by),
                                          weights8(inputs, centroid, steps, i + 8, by)));
        sum = vpadalq_s16(sum, vpaddlq_s8(bytes));
        vst1q_s8(weights + i, bytes);
    }
    out->length = sum_in_order(length);
    out->sum = vaddvq_s32(sum);
}

/* ---- scores ---------------------------------------------------------------------------------- */

/* words[2 i], words[2 i + 1] += the products of chunk c with two rows each, four lanes a row. */
INLINE void add_chunk(const uint8_t *const *values, const uint8_t *const *ahead, size_t c,
                      const int8_t *weights, int16x8_t *words, const int ng)
{
    int8x16_t y = vreinterpretq_s8_u8(repeat4(weights + 8 * c));
    int8x16_t z = vreinterpretq_s8_u8(repeat4(weights + 8 * c + 4));
    UNROLL
    for (int i = 0; i < 4 * ng; i++) {
        if (ahead != NULL && i % 4 == 0) nlsh__prefetch(ahead[i / 4] + c * 64);
        uint8x16_t v = vld1q_u8(values[i / 4] + 64 * c + i % 4 * 16);
        int8x16_t low = vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(15)));
        int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(v, 4));
        words[2 * i] = vmlal_s8(words[2 * i], vget_low_s8(low), vget_low_s8(y));
        words[2 * i + 1] = vmlal_high_s8(words[2 * i + 1], low, y);
        words[2 * i] = vmlal_s8(words[2 * i], vget_low_s8(high), vget_low_s8(z));
        words[2 * i + 1] = vmlal_high_s8(words[2 * i + 1], high, z);
    }
}

/* 16 products of 15 x 128, 30,720, fit in 16 bits: eight chunks are added up before they are widened. */
INLINE void scan_quarters(const uint8_t *const *values, const uint8_t *const *ahead,
                          size_t n_chunks, const int8_t *weights, int32x4_t *sums, const int ng)
{
    UNROLL
    for (int i = 0; i < 4 * ng; i++) sums[i] = vdupq_n_s32(0);
    for (size_t c = 0; c < n_chunks;) {
        size_t end = n_chunks - c < 8 ? n_chunks : c + 8;
        int16x8_t words[16];
        UNROLL
        for (int i = 0; i < 8 * ng; i++) words[i] = vdupq_n_s16(0);
        for (; c < end; c++) add_chunk(values, ahead, c, weights, words, ng);
        UNROLL
        for (int i = 0; i < 4 * ng; i++) {
            int32x4_t pairs = vpaddq_s32(vpaddlq_s16(words[2 * i]), vpaddlq_s16(words[2 * i + 1]));
            sums[i] = vaddq_s32(sums[i], pairs);
        }
    }
}

void nlsh__neon_codes(struct nlsh__kernels *table)
{
    table->code_query = code_query;
    table->scan_u4 = scan_u4;
    table->scan_u4_at = scan_u4_at;
}
#endif
