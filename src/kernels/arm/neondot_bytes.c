/* neondot_bytes.c - products of bytes with sdot, which adds exactly into 32 bits. */
#include "kernels/tables.h"
#if defined(NLSH__ARM_PRODUCTS)
#include "kernels/arm/arm.h"
#include "kernels/arm/neondot.h"

/* Four vectors have 16 sums and need 4 registers more for four chunks each. One vector with two groups
 * has 8, which keep two units busy that take four cycles each. */
#define AT_ONCE 4
#define GROUPS_AT_ONCE 2
#define SHIFT 128
#include "kernels/arm/neon_bytes.h"

/* sum += the products of 16 bytes of x, by fours, with four bytes of y. */
INLINE int32x4_t add_products(int32x4_t sum, int8x16_t x, int8x16_t y, const size_t which)
{
    switch (which) {
    case 0: return vdotq_laneq_s32(sum, x, y, 0);
    case 1: return vdotq_laneq_s32(sum, x, y, 1);
    case 2: return vdotq_laneq_s32(sum, x, y, 2);
    default: return vdotq_laneq_s32(sum, x, y, 3);
    }
}

/* What products() adds up, of n chunks, 4 or 1, from rows and vectors on. */
INLINE void add_chunks(const uint8_t *rows, size_t n_chunks, const uint8_t *vectors, size_t stride,
                       int32x4_t (*sums)[4], const size_t n, const size_t nv, const size_t ng,
                       const enum side is_unsigned)
{
    const uint8_t flip_row = is_unsigned == ROWS ? 0x80 : 0, flip = flip_row ^ 0x80;
    int8x16_t y[AT_ONCE];
    UNROLL
    for (size_t v = 0; v < nv; v++) {
        const uint8_t *at = vectors + v * stride;
        uint8x16_t bytes = n == 4 ? vld1q_u8(at) : repeat4(at);
        y[v] = vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(flip)));
    }
    UNROLL
    for (size_t c = 0; c < n; c++) {
        UNROLL
        for (size_t i = 0; i < 4 * ng; i++) {
            uint8x16_t bytes = vld1q_u8(rows + (i / 4 * n_chunks + c) * 64 + i % 4 * 16);
            int8x16_t x = vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(flip_row)));
            KEEP_HERE(x);
            UNROLL
            for (size_t v = 0; v < nv; v++) {
                int32x4_t *to = &sums[v * ng + i / 4][i % 4];
                *to = add_products(*to, x, y[v], c);
            }
        }
    }
}

INLINE void products(const void *rows, size_t n_chunks, const void *vectors, size_t stride,
                     int32x4_t (*sums)[4], const int nv, const int ng, const enum side is_unsigned)
{
    int32x4_t s[4][4];
    const uint8_t *x = rows, *y = vectors;
    size_t c = 0;
    UNROLL
    for (int i = 0; i < 4 * nv * ng; i++) s[i / 4][i % 4] = vdupq_n_s32(0);
    for (; c + 4 <= n_chunks; c += 4)
        add_chunks(x + 64 * c, n_chunks, y + 4 * c, stride, s, 4, (size_t)nv, (size_t)ng,
                   is_unsigned);
    for (; c < n_chunks; c++)
        add_chunks(x + 64 * c, n_chunks, y + 4 * c, stride, s, 1, (size_t)nv, (size_t)ng,
                   is_unsigned);
    UNROLL
    for (int i = 0; i < 4 * nv * ng; i++) sums[i / 4][i % 4] = s[i / 4][i % 4];
}

void nlsh__neondot_bytes(struct nlsh__kernels *table)
{
    table->panel_u8 = panel_u8;
    table->fast_bytes = 1;
    table->matvec_i8 = matvec_i8;
    table->matmat_i8 = matmat_i8;
}
#endif
