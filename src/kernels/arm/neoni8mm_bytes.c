/*
 * neoni8mm_bytes.c - products of bytes with usmmla and usdot, which multiply unsigned bytes with signed
 * ones exactly.
 *
 * usmmla has two rows of 8 bytes on each side, and adds up the four products. A group's rows have 4
 * bytes a chunk, so two chunks of two rows are put side by side; vectors are taken by pairs.
 */
#include "kernels/tables.h"
#if defined(NLSH__ARM_PRODUCTS)
#include "kernels/arm/arm.h"

#if defined(__clang__)
#define TARGET __attribute__((target("dotprod,i8mm")))
#else
#define TARGET __attribute__((target("arch=armv8.2-a+dotprod+i8mm")))
#endif

/* Three pairs of vectors have 24 sums, and leave 8 registers for their parts and two rows' values. One
 * vector has no pair: neondot's matvec_i8() takes fewer instructions, and stays. */
#define AT_ONCE 6
#define GROUPS_AT_ONCE 1
#define SHIFT 0
#include "kernels/arm/neon_bytes.h"

/* One vector with a group. */
INLINE void products_of_one(const uint8_t *rows, size_t n_chunks, const uint8_t *vector,
                            int32x4_t *sums, const enum side is_unsigned)
{
    int32x4_t s[4];
    UNROLL
    for (int i = 0; i < 4; i++) s[i] = vdupq_n_s32(0);
    for (size_t c = 0; c < n_chunks; c++) {
        uint8x16_t y = repeat4(vector + 4 * c);
        UNROLL
        for (size_t i = 0; i < 4; i++) {
            uint8x16_t x = vld1q_u8(rows + c * 64 + i * 16);
            if (is_unsigned == ROWS)
                s[i] = vusdotq_s32(s[i], x, vreinterpretq_s8_u8(y));
            else
                s[i] = vusdotq_s32(s[i], y, vreinterpretq_s8_u8(x));
        }
    }
    UNROLL
    for (int i = 0; i < 4; i++) sums[i] = s[i];
}

/* n bytes, 4 or 8, of each of two vectors; zeros behind 4. */
INLINE uint8x16_t two_vectors(const uint8_t *first, const uint8_t *second, const size_t n)
{
    if (n == 8) return vcombine_u8(vld1_u8(first), vld1_u8(second));
    uint32_t words[4] = {0};
    memcpy(words, first, 4);
    memcpy(words + 2, second, 4);
    return vreinterpretq_u8_u32(vld1q_u32(words));
}

/* sums[p][i] += the products of a group's rows 2 i and 2 i + 1 with the vectors 2 p and 2 p + 1, of np
 * pairs. n is how many chunks there are from rows and vectors on: 2, or 1. */
INLINE void add_chunks(const uint8_t *rows, const uint8_t *vectors, size_t stride,
                       int32x4_t (*sums)[8], const size_t n, const size_t np,
                       const enum side is_unsigned)
{
    uint8x16_t y[3];
    UNROLL
    for (size_t p = 0; p < np; p++)
        y[p] = two_vectors(vectors + 2 * p * stride, vectors + (2 * p + 1) * stride, 4 * n);
    UNROLL
    for (size_t i = 0; i < 8; i++) {
        uint32x4_t a = vreinterpretq_u32_u8(vld1q_u8(rows + i / 2 * 16)), b = vdupq_n_u32(0);
        if (n == 2) b = vreinterpretq_u32_u8(vld1q_u8(rows + 64 + i / 2 * 16));
        uint8x16_t x = vreinterpretq_u8_u32(i % 2 ? vzip2q_u32(a, b) : vzip1q_u32(a, b));
        KEEP_HERE(x);
        UNROLL
        for (size_t p = 0; p < np; p++) {
            if (is_unsigned == ROWS)
                sums[p][i] = vusmmlaq_s32(sums[p][i], x, vreinterpretq_s8_u8(y[p]));
            else
                sums[p][i] = vusmmlaq_s32(sums[p][i], y[p], vreinterpretq_s8_u8(x));
        }
    }
}

/* Of the sums of rows 0, 1 and of rows 2, 3 with two vectors: those of four rows with each. */
INLINE void part(const int32x4_t *two, int32x4_t *first, int32x4_t *second,
                 const enum side is_unsigned)
{
    if (is_unsigned == ROWS) { /* row 0 with both vectors, then row 1 */
        *first = vuzp1q_s32(two[0], two[1]);
        *second = vuzp2q_s32(two[0], two[1]);
    } else { /* the first vector with both rows, then the second */
        *first = vcombine_s32(vget_low_s32(two[0]), vget_low_s32(two[1]));
        *second = vcombine_s32(vget_high_s32(two[0]), vget_high_s32(two[1]));
    }
}

INLINE void products(const void *rows, size_t n_chunks, const void *vectors, size_t stride,
                     int32x4_t (*sums)[4], const int nv, const int ng, const enum side is_unsigned)
{
    (void)ng; /* 1 */
    int32x4_t s[3][8];
    const uint8_t *x = rows, *y = vectors;
    const size_t np = (size_t)nv / 2;
    if (nv == 1) {
        products_of_one(x, n_chunks, y, sums[0], is_unsigned);
        return;
    }
    UNROLL
    for (size_t i = 0; i < 8 * np; i++) s[i / 8][i % 8] = vdupq_n_s32(0);
    size_t c = 0;
    for (; c + 2 <= n_chunks; c += 2)
        add_chunks(x + 64 * c, y + 4 * c, stride, s, 2, np, is_unsigned);
    if (c < n_chunks) add_chunks(x + 64 * c, y + 4 * c, stride, s, 1, np, is_unsigned);
    UNROLL
    for (size_t i = 0; i < 4 * np; i++)
        part(s[i / 4] + i % 4 * 2, &sums[i / 4 * 2][i % 4], &sums[i / 4 * 2 + 1][i % 4],
             is_unsigned);
}

void nlsh__neoni8mm_bytes(struct nlsh__kernels *table)
{
    table->panel_u8 = panel_u8;
    table->matmat_i8 = matmat_i8;
}
#endif
