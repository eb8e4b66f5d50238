/*
 * avx2.h - what the files of AVX2 with FMA, and of AVX-VNNI above it, share. A file that wants more
 * defines AND_MORE first, as ",avxvnni".
 */
#ifndef NLSH_KERNELS_X86_AVX2_H
#define NLSH_KERNELS_X86_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/simd.h"

#ifndef AND_MORE
#define AND_MORE ""
#endif
#define TARGET __attribute__((target("avx2,fma,f16c" AND_MORE)))

INLINE __m256i load_bytes(const void *at)
{
    return _mm256_loadu_si256((const __m256i *)at);
}

/* Four bytes eight times over. */
INLINE __m256i repeat4(const void *at)
{
    int32_t four;
    memcpy(&four, at, 4);
    return _mm256_set1_epi32(four);
}

/* Ones in the first n of 8 lanes of 32 bits: what maskload reads. */
INLINE __m256i first8(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* Ones in the last n of 32 bytes. */
INLINE __m256i last32(size_t n)
{
    static const uint8_t ones[64] = {[32] = 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                     255,        255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                     255,        255, 255, 255, 255, 255, 255, 255, 255, 255};
    return load_bytes(ones + n);
}

INLINE uint32_t sum_epi32(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(s);
}

/* The sums of each of four registers. */
INLINE __m128i sum_each(const __m256i *v)
{
    __m256i s = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
    return _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
}

/* Lanes j and j + 4, then j + 2 and j + 1. */
INLINE float sum_ps(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

INLINE float max_ps(__m256 v)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

/* ---- panels ---------------------------------------------------------------------------------- */

/* Appends those of 8 rows, from row on, whose lanes in near are ones to query q's hits. scores are the
 * bits of integers or of floats. */
INLINE void add_hits(struct nlsh__hits *hits, size_t q, size_t row, __m256i near, __m256i scores)
{
    unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(near));
    if (__builtin_expect(mask == 0, 1)) return;
    int32_t bits[8];
    _mm256_storeu_si256((__m256i *)bits, scores);
    for (; mask != 0; mask &= mask - 1) {
        unsigned r = (unsigned)__builtin_ctz(mask);
        size_t slot = q * hits->capacity + hits->n[q]++;
        hits->ids[slot] = (uint32_t)(row + r);
        hits->scores.i32[slot] = bits[r];
    }
}

/* Of 8 rows of a panel of bytes, whose products with query q are dot, appends the near ones. */
INLINE void add_near_u8(const struct nlsh__panel_u8 *panel, size_t row, __m256i dot, size_t q,
                        const struct nlsh__limits_u8 *limits, struct nlsh__hits *hits)
{
    __m256i limit = _mm256_set1_epi32(limits->queries[q]);
    if (limits->rows != NULL)
        limit = _mm256_max_epi32(limit, _mm256_sub_epi32(load_bytes(limits->rows + row),
                                                         _mm256_set1_epi32(limits->norms[q])));
    __m256i bias = _mm256_load_si256((const __m256i *)(panel->bias + row));
    __m256i score = _mm256_sub_epi32(bias, _mm256_slli_epi32(dot, 1));
    __m256i near = _mm256_cmpgt_epi32(limit, score);
    if (row + 8 > panel->n_rows) /* what fills up the last group is no row */
        near = _mm256_and_si256(near, first8(row < panel->n_rows ? panel->n_rows - row : 0));
    add_hits(hits, q, row, near, score);
}

/* ---- layers of bytes ------------------------------------------------------------------------- */

/* The last steps of matvec_i8() for 8 rows: products are W x. */
INLINE void layer_answer(const struct nlsh__layer_i8 *layer, size_t row, __m256i products,
                         float x_scale, int zero, int relu, float *out)
{
    __m256i sums = _mm256_load_si256((const __m256i *)(layer->sums + row));
    __m256i dot = _mm256_sub_epi32(products, _mm256_mullo_epi32(sums, _mm256_set1_epi32(zero)));
    __m256 scale = _mm256_mul_ps(_mm256_load_ps(layer->scale + row), _mm256_set1_ps(x_scale));
    __m256 v = _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(dot), scale),
                             _mm256_load_ps(layer->bias + row));
    if (relu) v = _mm256_max_ps(v, _mm256_setzero_ps());
    _mm256_storeu_ps(out, v);
}

#endif
