/*
 * neon_bytes.c - products of bytes with NEON. Two products of signed bytes may add up to 32,768, one
 * more than 16 bits hold, so each pair is widened at once.
 */
#if defined(__aarch64__)
#include "kernels/arm/arm.h"

/* Two vectors or two groups have 16 sums, of two rows each: two lanes a row. */
#define AT_ONCE 2
#define GROUPS_AT_ONCE 2
#define SHIFT 128
#include "kernels/arm/neon_bytes.h"

INLINE void products(const void *rows, size_t n_chunks, const void *vectors, size_t stride,
                     int32x4_t (*sums)[4], const int nv, const int ng, const enum side is_unsigned)
{
    int32x4_t halves[4][8];
    const uint8_t flip_row = is_unsigned == ROWS ? 0x80 : 0, flip = flip_row ^ 0x80;
    UNROLL
    for (int i = 0; i < 8 * nv * ng; i++) halves[i / 8][i % 8] = vdupq_n_s32(0);
    for (size_t c = 0; c < n_chunks; c++) {
        int8x16_t y[2];
        UNROLL
        for (size_t v = 0; v < (size_t)nv; v++)
            y[v] = vreinterpretq_s8_u8(
                veorq_u8(repeat4((const uint8_t *)vectors + v * stride + 4 * c), vdupq_n_u8(flip)));
        UNROLL
        for (size_t i = 0; i < 4 * (size_t)ng; i++) {
            const uint8_t *at = (const uint8_t *)rows + (i / 4 * n_chunks + c) * 64 + i % 4 * 16;
            int8x16_t x = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(at), vdupq_n_u8(flip_row)));
            UNROLL
            for (size_t v = 0; v < (size_t)nv; v++) {
                int32x4_t *to = halves[v * (size_t)ng + i / 4] + i % 4 * 2;
                to[0] = vpadalq_s16(to[0], vmull_s8(vget_low_s8(x), vget_low_s8(y[v])));
                to[1] = vpadalq_s16(to[1], vmull_high_s8(x, y[v]));
            }
        }
    }
    UNROLL
    for (int i = 0; i < 4 * nv * ng; i++)
        sums[i / 4][i % 4] = vpaddq_s32(halves[i / 4][i % 4 * 2], halves[i / 4][i % 4 * 2 + 1]);
}

void nlsh__neon_bytes(struct nlsh__kernels *table)
{
    table->panel_u8 = panel_u8;
    table->matvec_i8 = matvec_i8;
    table->matmat_i8 = matmat_i8;
}
#endif
