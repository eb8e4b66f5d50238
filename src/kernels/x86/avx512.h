/*
 * avx512.h - what the files of AVX-512 (F, BW, DQ, VL) and of the sets above it share. A file that
 * wants more defines AND_MORE first, as ",avx512vnni".
 */
#ifndef NLSH_KERNELS_X86_AVX512_H
#define NLSH_KERNELS_X86_AVX512_H

#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/simd.h"

#ifndef AND_MORE
#define AND_MORE ""
#endif
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c" AND_MORE)))

/* The first n lanes of 16, or all where n is 16 or more. The same of 32 and of 64. */
INLINE __mmask16 first16(size_t n)
{
    return (__mmask16)(n >= 16 ? 0xffff : (1u << n) - 1);
}

INLINE __mmask32 first32(size_t n)
{
    return n >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << n) - 1;
}

INLINE __mmask64 first64(size_t n)
{
    return n >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << n) - 1;
}

INLINE __m512i lane_numbers(void)
{
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/* Writes the lanes of mask, one after another: first + lane into ids, what stands there in words into
 * out, which holds 16 words more. Returns how many. They are compressed in a register, because a
 * compressing store is slow on Zen. */
INLINE uint32_t append16(__mmask16 mask, uint32_t first, __m512i words, uint32_t *ids, void *out)
{
    __m512i numbers = _mm512_add_epi32(lane_numbers(), _mm512_set1_epi32((int)first));
    _mm512_storeu_si512(ids, _mm512_maskz_compress_epi32(mask, numbers));
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi32(mask, words));
    return (uint32_t)__builtin_popcount(mask);
}

/* Appends the rows of mask, of the group that starts at row, to query q's hits. */
INLINE void add_hits(struct nlsh__hits *hits, size_t q, size_t row, __mmask16 mask, __m512i scores)
{
    size_t slot = q * hits->capacity + hits->n[q];
    hits->n[q] += append16(mask, (uint32_t)row, scores, hits->ids + slot, hits->scores.i32 + slot);
}

/* The last steps of matvec_i8() for 16 rows: products are W x. */
INLINE void layer_answer(const struct nlsh__layer_i8 *layer, size_t row, __m512i products,
                         float x_scale, int zero, int relu, float *out)
{
    __m512i sums =
        _mm512_mullo_epi32(_mm512_load_si512(layer->sums + row), _mm512_set1_epi32(zero));
    __m512i dot = _mm512_sub_epi32(products, sums);
    __m512 scale = _mm512_mul_ps(_mm512_load_ps(layer->scale + row), _mm512_set1_ps(x_scale));
    __m512 v = _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(dot), scale),
                             _mm512_load_ps(layer->bias + row));
    if (relu) v = _mm512_max_ps(v, _mm512_setzero_ps());
    _mm512_storeu_ps(out, v);
}

#endif
