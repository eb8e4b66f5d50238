/*
 * avx2_words.h - exact products of bytes without VNNI: both sides are widened to 16 bits.
 *
 * vpmaddubsw multiplies bytes, but a sum of two products u8 x s8 may be twice what 16 bits hold, and
 * then it saturates. vpmaddwd adds two products of 16 bits into 32 bits, which cannot overflow. The
 * vectors (queries of a panel, inputs of a layer) are widened once for many rows, BLOCK chunks of
 * them at a time; rows are widened as they are loaded.
 */
#ifndef NLSH_KERNELS_X86_AVX2_WORDS_H
#define NLSH_KERNELS_X86_AVX2_WORDS_H

#include "kernels/x86/avx2.h"

/* Vectors at once: 6 x 2 sums, 2 halves of rows, a vector's part and a product fill 16 registers.
 * BLOCK chunks of 6 vectors take 12 KB, which stay in the first cache. */
enum { AT_ONCE = 6, BLOCK = 256 };

/* Which side holds the signed bytes: of panels the vectors, of layers the rows. */
enum side { VECTORS, ROWS };

INLINE __m256i widen(const void *at, int is_signed)
{
    __m128i v = _mm_loadu_si128((const __m128i *)at);
    return is_signed ? _mm256_cvtepi8_epi16(v) : _mm256_cvtepu8_epi16(v);
}

/* wide[i][..] = chunks first .. first + n - 1 of vector i at x + i x stride. */
INLINE void widen_vectors(const void *x, size_t stride, size_t first, size_t n, int16_t *wide,
                          const int nv, const enum side is_signed)
{
    for (size_t i = 0; i < (size_t)nv; i++) {
        const uint8_t *from = (const uint8_t *)x + i * stride + 4 * first;
        int16_t *to = wide + i * 4 * BLOCK;
        size_t k = 0;
        for (; k + 16 <= 4 * n; k += 16)
            _mm256_storeu_si256((__m256i *)(to + k), widen(from + k, is_signed == VECTORS));
        for (; k < 4 * n; k++) to[k] = is_signed == VECTORS ? (int8_t)from[k] : from[k];
    }
}

/* sums[2 i], sums[2 i + 1] += the products of 8 rows, n chunks of them, with vector i. Each row has two
 * sums, of values 0, 1 and of values 2, 3: row_sums() adds them up. */
INLINE void add_products(const void *rows, size_t n, const int16_t *wide, __m256i *sums,
                         const int nv, const enum side is_signed)
{
    __m256i sum[2 * AT_ONCE];
    UNROLL
    for (int i = 0; i < 2 * nv; i++) sum[i] = sums[i];
    for (size_t c = 0; c < n; c++) {
        const uint8_t *at = (const uint8_t *)rows + 64 * c;
        __m256i low = widen(at, is_signed == ROWS), high = widen(at + 16, is_signed == ROWS);
        UNROLL
        for (int i = 0; i < nv; i++) {
            int64_t four;
            memcpy(&four, wide + (size_t)i * 4 * BLOCK + 4 * c, 8);
            __m256i y = _mm256_set1_epi64x(four);
            sum[2 * i] = _mm256_add_epi32(sum[2 * i], _mm256_madd_epi16(low, y));
            sum[2 * i + 1] = _mm256_add_epi32(sum[2 * i + 1], _mm256_madd_epi16(high, y));
        }
    }
    UNROLL
    for (int i = 0; i < 2 * nv; i++) sums[i] = sum[i];
}

INLINE __m256i row_sums(const __m256i *pair)
{
    return _mm256_permute4x64_epi64(_mm256_hadd_epi32(pair[0], pair[1]), 0xd8);
}

/* sums = the products of 8 rows with nv vectors. Where these are no longer than BLOCK, wide holds them
 * already; else it is room for a block. */
INLINE void products_of_rows(const void *rows, size_t n_chunks, const void *x, size_t stride,
                             int16_t *wide, __m256i *sums, const int nv, const enum side is_signed)
{
    for (int i = 0; i < 2 * nv; i++) sums[i] = _mm256_setzero_si256();
    for (size_t c = 0; c < n_chunks; c += BLOCK) {
        size_t n = n_chunks - c < BLOCK ? n_chunks - c : BLOCK;
        if (n_chunks > BLOCK) widen_vectors(x, stride, c, n, wide, nv, is_signed);
        add_products((const uint8_t *)rows + 64 * c, n, wide, sums, nv, is_signed);
    }
}

#endif
