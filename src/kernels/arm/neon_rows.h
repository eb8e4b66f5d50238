/*
 * neon_rows.h - squared distances of bytes around the step that differs: a file that includes this
 * defines add_squares(). |x - y| is a byte again. A tail is the row's last 16 bytes with those that
 * were counted made 0: nothing behind the row is read.
 */
#ifndef NLSH_KERNELS_ARM_NEON_ROWS_H
#define NLSH_KERNELS_ARM_NEON_ROWS_H

#include "kernels/arm/neon.h"
#include "kernels/prefetch.h"

/* sum += the squares of 16 bytes, in any lanes. */
INLINE uint32x4_t add_squares(uint32x4_t sum, uint8x16_t d);

INLINE uint8x16_t difference(const uint8_t *a, const uint8_t *b)
{
    return vabdq_u8(vld1q_u8(a), vld1q_u8(b));
}

/* Rows shorter than 16 bytes. */
INLINE uint32_t l2sq_short(const uint8_t *a, const uint8_t *b, size_t dim)
{
    uint32_t total = 0;
    for (size_t i = 0; i < dim; i++) {
        int32_t d = (int32_t)a[i] - (int32_t)b[i];
        total += (uint32_t)(d * d);
    }
    return total;
}

TARGET static uint32_t l2sq_u8(const uint8_t *a, const uint8_t *b, size_t dim)
{
    uint32x4_t sums[4];
    size_t i = 0;
    if (dim < 16) return l2sq_short(a, b, dim);
    UNROLL
    for (size_t j = 0; j < 4; j++) sums[j] = vdupq_n_u32(0);
    for (; i + 64 <= dim; i += 64) {
        UNROLL
        for (size_t j = 0; j < 4; j++)
            sums[j] = add_squares(sums[j], difference(a + i + 16 * j, b + i + 16 * j));
    }
    for (; i + 16 <= dim; i += 16) sums[0] = add_squares(sums[0], difference(a + i, b + i));
    if (i < dim)
        sums[1] =
            add_squares(sums[1], vandq_u8(difference(a + dim - 16, b + dim - 16), last16(dim - i)));
    return vaddvq_u32(sum_each(sums));
}

/* Four rows at once share the loads of the query and the last additions. dim >= 16. */
INLINE uint32x4_t four_rows(const uint8_t *query, const uint8_t *const *x, size_t dim)
{
    uint32x4_t sums[4];
    size_t i = 0;
    UNROLL
    for (int r = 0; r < 4; r++) sums[r] = vdupq_n_u32(0);
    for (; i + 32 <= dim; i += 32) {
        UNROLL
        for (int r = 0; r < 4; r++) {
            sums[r] = add_squares(sums[r], difference(query + i, x[r] + i));
            sums[r] = add_squares(sums[r], difference(query + i + 16, x[r] + i + 16));
        }
    }
    for (; i < dim; i += 16) {
        size_t at = i + 16 <= dim ? i : dim - 16;
        uint8x16_t mask = last16(i + 16 <= dim ? 16 : dim - i);
        UNROLL
        for (int r = 0; r < 4; r++)
            sums[r] = add_squares(sums[r], vandq_u8(difference(query + at, x[r] + at), mask));
    }
    return sum_each(sums);
}

TARGET static void l2sq_u8_rows(const uint8_t *query, const uint8_t *base, size_t dim,
                                const uint32_t *rows, size_t n, size_t n_more, uint32_t *out)
{
    size_t i = 0;
    for (; dim >= 16 && i + 4 <= n; i += 4) {
        const uint8_t *x[4];
        UNROLL
        for (size_t r = 0; r < 4; r++) {
            x[r] = base + rows[i + r] * dim;
            if (i + r + NLSH__AHEAD < n + n_more)
                nlsh__prefetch_bytes(base + rows[i + r + NLSH__AHEAD] * dim, dim);
        }
        vst1q_u32(out + i, four_rows(query, x, dim));
    }
    for (; i < n; i++) {
        if (i + NLSH__AHEAD < n + n_more)
            nlsh__prefetch_bytes(base + rows[i + NLSH__AHEAD] * dim, dim);
        out[i] = l2sq_u8(query, base + rows[i] * dim, dim);
    }
}

#endif
