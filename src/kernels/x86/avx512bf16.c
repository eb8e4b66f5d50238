/* avx512bf16.c - see kernels/bf16.h; products by vdpbf16ps. */
#if defined(__x86_64__)
#define AND_MORE ",avx512bf16"
#include <string.h>

#include "kernels/bf16.h"
#include "kernels/kernels.h"
#include "kernels/tables.h"
#include "kernels/x86/avx512.h"

static void nothing(void)
{
}

/* ---- products -------------------------------------------------------------------------------- */

/* acc += the products of 16 columns' pairs and one row's pair. The instruction itself, for gcc 12
 * spends moves on the intrinsic where accumulators are many. */
INLINE __m512 dot2(__m512 acc, __m512i columns, __m512i row)
{
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(acc) : "v"(columns), "v"(row));
    return acc;
}

/* 8 rows of one tile row by two tile columns: 16 sums, 2 columns and a broadcast in registers. */
INLINE void product_8x32(const uint16_t *a, const uint16_t *b0, const uint16_t *b1, size_t nk,
                         float *c, size_t ldc)
{
    __m512 sum[8][2];
    UNROLL
    for (int r = 0; r < 8; r++) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
    for (size_t t = 0; t < nk; t++)
        for (size_t p = 0; p < 16; p++) {
            __m512i x = _mm512_loadu_si512(b0 + t * NLSH__TILE + p * 32);
            __m512i y = _mm512_loadu_si512(b1 + t * NLSH__TILE + p * 32);
            UNROLL
            for (int r = 0; r < 8; r++) {
                int32_t pair;
                memcpy(&pair, a + t * NLSH__TILE + (size_t)r * 32 + 2 * p, sizeof pair);
                __m512i row = _mm512_set1_epi32(pair);
                sum[r][0] = dot2(sum[r][0], x, row);
                sum[r][1] = dot2(sum[r][1], y, row);
            }
        }
    UNROLL
    for (int r = 0; r < 8; r++) {
        _mm512_store_ps(c + (size_t)r * ldc, sum[r][0]);
        _mm512_store_ps(c + (size_t)r * ldc + 16, sum[r][1]);
    }
}

TARGET static void product(const uint16_t *a, size_t a_step, const uint16_t *b, size_t b_step,
                           size_t ni, size_t nj, size_t nk, float *c, size_t ldc)
{
    for (size_t j = 0; j < nj; j += 2)
        for (size_t i = 0; i < ni; i++)
            for (size_t r = 0; r < 16; r += 8)
                product_8x32(a + i * a_step + r * 32, b + j * b_step, b + (j + 1) * b_step, nk,
                             c + (16 * i + r) * ldc + 16 * j, ldc);
}

/* ---- packing --------------------------------------------------------------------------------- */

INLINE __m512i round2(__m512 low, __m512 high)
{
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* 16 columns of two rows, side by side. */
INLINE __m512i interleave(__m512 even, __m512 odd)
{
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, round2(even, odd));
}

/* 16 x 16 words of 32 bits. */
INLINE void transpose(__m512i *x)
{
    __m512i y[16];
    UNROLL
    for (int i = 0; i < 16; i += 2) {
        y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
        y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 16; i += 4) {
        x[i] = _mm512_unpacklo_epi64(y[i], y[i + 2]);
        x[i + 1] = _mm512_unpackhi_epi64(y[i], y[i + 2]);
        x[i + 2] = _mm512_unpacklo_epi64(y[i + 1], y[i + 3]);
        x[i + 3] = _mm512_unpackhi_epi64(y[i + 1], y[i + 3]);
    }
    /* x[4 g + c]: rows 4 g .. + 3 of columns c, c + 4, c + 8, c + 12, a quarter each */
    UNROLL
    for (int c = 0; c < 4; c++) {
        __m512i a = _mm512_shuffle_i32x4(x[c], x[4 + c], 0x88); /* columns c, c + 8 */
        __m512i b = _mm512_shuffle_i32x4(x[c], x[4 + c], 0xdd); /* c + 4, c + 12 */
        __m512i d = _mm512_shuffle_i32x4(x[8 + c], x[12 + c], 0x88);
        __m512i e = _mm512_shuffle_i32x4(x[8 + c], x[12 + c], 0xdd);
        y[c] = _mm512_shuffle_i32x4(a, d, 0x88);
        y[c + 8] = _mm512_shuffle_i32x4(a, d, 0xdd);
        y[c + 4] = _mm512_shuffle_i32x4(b, e, 0x88);
        y[c + 12] = _mm512_shuffle_i32x4(b, e, 0xdd);
    }
    UNROLL
    for (int i = 0; i < 16; i++) x[i] = y[i];
}

TARGET static void left(const float *x, size_t ld, uint16_t *first, uint16_t *second)
{
    for (size_t r = 0; r < 32; r++) {
        uint16_t *out = (r < 16 ? first : second) + r % 16 * 32;
        _mm512_storeu_si512(out,
                            round2(_mm512_loadu_ps(x + r * ld), _mm512_loadu_ps(x + r * ld + 16)));
    }
}

TARGET static void right(const float *x, size_t ld, uint16_t *first, uint16_t *second)
{
    for (size_t p = 0; p < 16; p++) {
        const float *even = x + 2 * p * ld, *odd = even + ld;
        _mm512_storeu_si512(first + p * 32,
                            interleave(_mm512_loadu_ps(even), _mm512_loadu_ps(odd)));
        _mm512_storeu_si512(second + p * 32,
                            interleave(_mm512_loadu_ps(even + 16), _mm512_loadu_ps(odd + 16)));
    }
}

TARGET static void left_t(const float *x, size_t ld, uint16_t *first, uint16_t *second)
{
    for (size_t half = 0; half < 2; half++) {
        uint16_t *out = half ? second : first;
        __m512i rows[16];
        UNROLL
        for (size_t p = 0; p < 16; p++)
            rows[p] = interleave(_mm512_loadu_ps(x + 2 * p * ld + 16 * half),
                                 _mm512_loadu_ps(x + (2 * p + 1) * ld + 16 * half));
        transpose(rows);
        UNROLL
        for (size_t i = 0; i < 16; i++) _mm512_storeu_si512(out + i * 32, rows[i]);
    }
}

TARGET static void right_t(const float *x, size_t ld, uint16_t *first, uint16_t *second)
{
    for (size_t half = 0; half < 2; half++) {
        uint16_t *out = half ? second : first;
        const float *from = x + 16 * half * ld;
        __m512i rows[16];
        UNROLL
        for (size_t r = 0; r < 16; r++)
            rows[r] = round2(_mm512_loadu_ps(from + r * ld), _mm512_loadu_ps(from + r * ld + 16));
        transpose(rows);
        UNROLL
        for (size_t i = 0; i < 16; i++) _mm512_storeu_si512(out + i * 32, rows[i]);
    }
}

/* ---- passes ---------------------------------------------------------------------------------- */

TARGET static void add(float *x, size_t ld, size_t n_rows, const float *bias, int relu)
{
    const __m512 b0 = _mm512_loadu_ps(bias), b1 = _mm512_loadu_ps(bias + 16);
    const __m512 least = _mm512_set1_ps(relu ? 0.0f : -__builtin_inff());
    for (size_t r = 0; r < n_rows; r++, x += ld) {
        /* max() gives its second operand where one is not a number: that stays in sight */
        __m512 v0 = _mm512_add_ps(_mm512_loadu_ps(x), b0);
        __m512 v1 = _mm512_add_ps(_mm512_loadu_ps(x + 16), b1);
        _mm512_storeu_ps(x, _mm512_max_ps(least, v0));
        _mm512_storeu_ps(x + 16, _mm512_max_ps(least, v1));
    }
}

TARGET static void gate(float *x, size_t ld, const uint16_t *first, const uint16_t *second,
                        float scale)
{
    const __m512 by = _mm512_set1_ps(scale);
    for (size_t r = 0; r < 32; r++, x += ld) {
        __m512i a = _mm512_loadu_si512((r < 16 ? first : second) + r % 16 * 32);
        /* the bits of a bf16 above 0 are a whole number above 0 */
        __mmask32 above = _mm512_cmpgt_epi16_mask(a, _mm512_setzero_si512());
        __mmask16 low = (__mmask16)above, high = (__mmask16)(above >> 16);
        _mm512_storeu_ps(x, _mm512_maskz_mul_ps(low, _mm512_loadu_ps(x), by));
        _mm512_storeu_ps(x + 16, _mm512_maskz_mul_ps(high, _mm512_loadu_ps(x + 16), by));
    }
}

TARGET static void columns(const float *x, size_t ld, size_t n_rows, float *sums)
{
    __m512 s0 = _mm512_loadu_ps(sums), s1 = _mm512_loadu_ps(sums + 16);
    for (size_t r = 0; r < n_rows; r++) {
        s0 = _mm512_add_ps(s0, _mm512_loadu_ps(x + r * ld));
        s1 = _mm512_add_ps(s1, _mm512_loadu_ps(x + r * ld + 16));
    }
    _mm512_storeu_ps(sums, s0);
    _mm512_storeu_ps(sums + 16, s1);
}

INLINE __m512 score16(const float *dots, const float *bias)
{
    return _mm512_fnmadd_ps(_mm512_set1_ps(2), _mm512_loadu_ps(dots), _mm512_loadu_ps(bias));
}

TARGET static void least(const float *dots, const float *bias, size_t n, float *lanes)
{
    __m512 low[4];
    UNROLL
    for (int j = 0; j < 4; j++) low[j] = _mm512_set1_ps(__builtin_inff());
    for (size_t i = 0; i < n; i += 64) {
        UNROLL
        for (int j = 0; j < 4; j++) /* min() gives its second operand where one is no number */
            low[j] = _mm512_min_ps(score16(dots + i + 16 * j, bias + i + 16 * j), low[j]);
    }
    UNROLL
    for (int j = 0; j < 4; j++) _mm512_storeu_ps(lanes + 16 * j, low[j]);
}

TARGET static size_t below(const float *dots, const float *bias, size_t n, float most,
                           uint32_t first, float *scores, uint32_t *ids)
{
    const __m512 limit = _mm512_set1_ps(most);
    size_t found = 0;
    for (size_t i = 0; i < n; i += 16) {
        __m512 x = score16(dots + i, bias + i);
        __mmask16 mask = _mm512_cmp_ps_mask(x, limit, _CMP_LE_OQ);
        if (mask == 0) continue;
        found += append16(mask, first + (uint32_t)i, _mm512_castps_si512(x), ids + found,
                          scores + found);
    }
    return found;
}

/* 1 / (sqrt(v) c + 1e-8), by approximations of 14 bits and a step of Newton's each (to 2^-22): root
 * and division take longer than all the rest together. */
INLINE __m512 inverse(__m512 v, __m512 correction)
{
    const __m512 half = _mm512_set1_ps(0.5f), three_halves = _mm512_set1_ps(1.5f);
    v = _mm512_max_ps(v, _mm512_set1_ps(1e-36f)); /* 1 / sqrt(0) is no number to go on with */
    __m512 r = _mm512_rsqrt14_ps(v);
    r = _mm512_mul_ps(r,
                      _mm512_fnmadd_ps(_mm512_mul_ps(half, v), _mm512_mul_ps(r, r), three_halves));
    __m512 d = _mm512_fmadd_ps(_mm512_mul_ps(v, r), correction, _mm512_set1_ps(1e-8f));
    __m512 y = _mm512_rcp14_ps(d);
    return _mm512_mul_ps(y, _mm512_fnmadd_ps(d, y, _mm512_set1_ps(2.0f)));
}

TARGET static void adamw(float *parameters, float *first, float *second, size_t ld,
                         const float *gradient, size_t n_rows, size_t n_columns,
                         const struct nlsh__adamw *step)
{
    const __m512 scale = _mm512_set1_ps(step->scale), rate = _mm512_set1_ps(step->rate);
    const __m512 correction = _mm512_set1_ps(step->correction);
    const __m512 keep = _mm512_set1_ps(step->keep);
    const __m512 b1 = _mm512_set1_ps(0.9f), c1 = _mm512_set1_ps(1 - 0.9f);
    const __m512 b2 = _mm512_set1_ps(0.999f), c2 = _mm512_set1_ps(1 - 0.999f);
    for (size_t r = 0; r < n_rows; r++)
        for (size_t i = 0; i < n_columns; i += 16) {
            __mmask16 mask = first16(n_columns - i);
            size_t at = r * ld + i;
            __m512 g = _mm512_mul_ps(_mm512_loadu_ps(gradient + 32 * r + i), scale);
            __m512 m = _mm512_mul_ps(b1, _mm512_maskz_loadu_ps(mask, first + at));
            __m512 v = _mm512_mul_ps(b2, _mm512_maskz_loadu_ps(mask, second + at));
            m = _mm512_fmadd_ps(c1, g, m);
            v = _mm512_fmadd_ps(_mm512_mul_ps(c2, g), g, v);
            __m512 p = _mm512_mul_ps(keep, _mm512_maskz_loadu_ps(mask, parameters + at));
            __m512 ahead = _mm512_fmadd_ps(c1, g, _mm512_mul_ps(b1, m));
            p = _mm512_fnmadd_ps(_mm512_mul_ps(rate, ahead), inverse(v, correction), p);
            _mm512_mask_storeu_ps(first + at, mask, m);
            _mm512_mask_storeu_ps(second + at, mask, v);
            _mm512_mask_storeu_ps(parameters + at, mask, p);
        }
}

static const struct nlsh__bf16 bf16 = {
    .tiles = 0,
    .begin = nothing,
    .end = nothing,
    .product = product,
    .left = left,
    .right = right,
    .left_t = left_t,
    .right_t = right_t,
    .add = add,
    .gate = gate,
    .columns = columns,
    .least = least,
    .below = below,
    .adamw = adamw,
};

void nlsh__kernels_fill_avx512bf16(struct nlsh__kernels *table)
{
    table->bf16 = &bf16;
}
#endif
