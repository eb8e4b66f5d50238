/*
 * neon.h - what the files of NEON, and of the sets above it, share. A file of such a set includes
 * neondot.h or defines TARGET first.
 */
#ifndef NLSH_KERNELS_ARM_NEON_H
#define NLSH_KERNELS_ARM_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/simd.h"

#ifndef TARGET
#define TARGET /* NEON is in every aarch64 */
#endif

/* Four bytes four times over. */
INLINE uint8x16_t repeat4(const void *at)
{
    uint32_t four;
    memcpy(&four, at, 4);
    return vreinterpretq_u8_u32(vdupq_n_u32(four));
}

/* Ones in the last n of 16 bytes. */
INLINE uint8x16_t last16(size_t n)
{
    static const uint8_t ones[32] = {[16] = 255, 255, 255, 255, 255, 255, 255, 255,
                                     255,        255, 255, 255, 255, 255, 255, 255};
    return vld1q_u8(ones + n);
}

/* Unsigned bytes less 128, as signed ones: the highest bit flipped. */
INLINE int8x16_t flipped(uint8x16_t x)
{
    return vreinterpretq_s8_u8(veorq_u8(x, vdupq_n_u8(0x80)));
}

/* The sums of each of four registers. */
INLINE uint32x4_t sum_each(const uint32x4_t *v)
{
    return vpaddq_u32(vpaddq_u32(v[0], v[1]), vpaddq_u32(v[2], v[3]));
}

/* Four words from at on, of which n <= 4 are there: the others are 0. */
INLINE float32x4_t load_first(const float *at, size_t n)
{
    float four[4] = {0};
    memcpy(four, at, n * sizeof *four);
    return vld1q_f32(four);
}

/* Lanes j and j + 8 of 16, then j + 4, 2, 1: the order of the plain code_query(). */
INLINE float sum_in_order(const float32x4_t *v)
{
    float32x4_t s = vaddq_f32(vaddq_f32(v[0], v[2]), vaddq_f32(v[1], v[3]));
    return vpadds_f32(vadd_f32(vget_low_f32(s), vget_high_f32(s)));
}

/* ---- panels ---------------------------------------------------------------------------------- */

/* Appends those of a group's 16 rows whose lanes in near are ones to query q's hits. scores are the
 * bits of integers or of floats. */
TARGET static __attribute__((noinline, unused)) void append_hits(struct nlsh__hits *hits, size_t q,
                                                                 size_t row, const uint32x4_t *near,
                                                                 const uint32x4_t *scores)
{
    for (size_t r = 0; r < NLSH__GROUP; r++) {
        uint32_t lanes[4], bits[4];
        vst1q_u32(lanes, near[r / 4]);
        vst1q_u32(bits, scores[r / 4]);
        if (lanes[r % 4] == 0) continue;
        size_t slot = q * hits->capacity + hits->n[q]++;
        hits->ids[slot] = (uint32_t)(row + r);
        memcpy(hits->scores.i32 + slot, bits + r % 4, 4);
    }
}

INLINE void add_hits(struct nlsh__hits *hits, size_t q, size_t row, const uint32x4_t *near,
                     const uint32x4_t *scores)
{
    uint32x4_t any = vorrq_u32(vorrq_u32(near[0], near[1]), vorrq_u32(near[2], near[3]));
    if (__builtin_expect(vmaxvq_u32(any) != 0, 0)) append_hits(hits, q, row, near, scores);
}

#endif
