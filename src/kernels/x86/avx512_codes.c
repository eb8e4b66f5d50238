/* avx512_codes.c - scanning by codes with AVX-512. */
#if defined(__x86_64__)
#include <math.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/shared.h"
#include "kernels/x86/avx512.h"
#include "kernels/x86/x86.h"

/* Lanes j and j + 8, then j + 4, 2, 1: the order of the plain code_query(). */
INLINE float sum_in_order(__m512 v)
{
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

/* What the plain code_query() computes, operation by operation. */
TARGET static void code_query(const float *inputs, const float *centroid, const float *steps,
                              size_t n, int8_t *weights, struct nlsh__code_query *out)
{
    __m512 length = _mm512_setzero_ps(), most = length;
    __m512i sum = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 16) {
        __m512 d = _mm512_sub_ps(_mm512_load_ps(inputs + i), _mm512_load_ps(centroid + i));
        length = _mm512_add_ps(length, _mm512_mul_ps(d, d));
        d = _mm512_mul_ps(d, _mm512_load_ps(steps + i));
        most = _mm512_max_ps(_mm512_abs_ps(d), most); /* NaN: the old one stays */
    }
    __m512 by = _mm512_set1_ps(nlsh__weight_factor(_mm512_reduce_max_ps(most), &out->unit));
    for (size_t i = 0; i < n; i += 16) {
        __m512 d = _mm512_sub_ps(_mm512_load_ps(inputs + i), _mm512_load_ps(centroid + i));
        d = _mm512_mul_ps(_mm512_mul_ps(d, _mm512_load_ps(steps + i)), by);
        __m512i whole =
            _mm512_sub_epi32(_mm512_castps_si512(_mm512_add_ps(d, _mm512_set1_ps(NLSH__ROUND))),
                             _mm512_set1_epi32(NLSH__ROUND_BITS));
        __m128i bytes = _mm512_cvtepi32_epi8(whole);
        sum = _mm512_add_epi32(sum, _mm512_cvtepi8_epi32(bytes));
        _mm_store_si128((__m128i *)(weights + i), bytes);
    }
    out->length = sum_in_order(length);
    out->sum = _mm512_reduce_add_epi32(sum);
}

/* One step of a bitonic network: lanes are compared with those that `with` names, and those of
 * `up` keep the larger. */
INLINE __m512 bitonic(__m512 v, __m512i with, __mmask16 up)
{
    __m512 other = _mm512_permutexvar_ps(with, v);
    return _mm512_mask_max_ps(_mm512_min_ps(v, other), up, v, other);
}

/* A bitonic sequence, sorted; then (Batcher, "Sorting networks and their applications", 1968). */
INLINE __m512 bitonic_merge(__m512 v)
{
    const __m512i lanes = lane_numbers();
    v = bitonic(v, _mm512_xor_si512(lanes, _mm512_set1_epi32(8)), 0xff00);
    v = bitonic(v, _mm512_xor_si512(lanes, _mm512_set1_epi32(4)), 0xf0f0);
    v = bitonic(v, _mm512_xor_si512(lanes, _mm512_set1_epi32(2)), 0xcccc);
    return bitonic(v, _mm512_xor_si512(lanes, _mm512_set1_epi32(1)), 0xaaaa);
}

INLINE __m512 sort16(__m512 v)
{
    const __m512i lanes = lane_numbers();
    const __m512i one = _mm512_xor_si512(lanes, _mm512_set1_epi32(1));
    const __m512i two = _mm512_xor_si512(lanes, _mm512_set1_epi32(2));
    const __m512i four = _mm512_xor_si512(lanes, _mm512_set1_epi32(4));
    v = bitonic(v, one, 0x6666);
    v = bitonic(v, two, 0x3c3c);
    v = bitonic(v, one, 0x5a5a);
    v = bitonic(v, four, 0x0ff0);
    v = bitonic(v, two, 0x33cc);
    v = bitonic(v, one, 0x55aa);
    return bitonic_merge(v);
}

/* The 16 least of two sorted sequences, sorted. */
INLINE __m512 least16(__m512 a, __m512 b)
{
    const __m512i back = _mm512_setr_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return bitonic_merge(_mm512_min_ps(a, _mm512_permutexvar_ps(back, b)));
}

TARGET static float bound_f32(const float *scores, size_t n, size_t k)
{
    const __m512 none = _mm512_set1_ps(INFINITY);
    __m512 a = none, b = none, c = none, d = none;
    float sorted[16];
    size_t i = 0;
    for (; i + 64 <= n; i += 64) { /* of a NaN and a number min gives the second: the number */
        a = _mm512_min_ps(_mm512_load_ps(scores + i), a);
        b = _mm512_min_ps(_mm512_load_ps(scores + i + 16), b);
        c = _mm512_min_ps(_mm512_load_ps(scores + i + 32), c);
        d = _mm512_min_ps(_mm512_load_ps(scores + i + 48), d);
    }
    if (i < n) a = _mm512_min_ps(_mm512_load_ps(scores + i), a);
    if (i + 16 < n) b = _mm512_min_ps(_mm512_load_ps(scores + i + 16), b);
    if (i + 32 < n) c = _mm512_min_ps(_mm512_load_ps(scores + i + 32), c);
    a = least16(sort16(a), sort16(b));
    c = least16(sort16(c), sort16(d));
    _mm512_storeu_ps(sorted, least16(a, c));
    return sorted[k - 1];
}

struct near {
    __m512 unit, above, limit;
};

/* Of 16 rows, or where the list ends of those in mask: which are near, and how low they may lie. */
INLINE __mmask16 near16(const float *scores, const uint8_t *errors, const struct near *n,
                        __mmask16 mask, __m512 *low)
{
    __m512 score = _mm512_maskz_load_ps(mask, scores);
    __m512 error = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, errors)));
    *low = _mm512_sub_ps(score, _mm512_mul_ps(n->unit, error));
    mask = _mm512_mask_cmp_ps_mask(mask, score, n->above, _CMP_GT_OQ);
    return _mm512_mask_cmp_ps_mask(mask, *low, n->limit, _CMP_LE_OQ);
}

TARGET static size_t near_f32(const float *scores, const uint8_t *errors, size_t n, float unit,
                              float above, float limit, uint32_t first, uint32_t *rows,
                              float *least)
{
    const struct near near = {_mm512_set1_ps(unit), _mm512_set1_ps(above), _mm512_set1_ps(limit)};
    size_t found = 0, i = 0;
    __m512 low[4];
    for (; i + 64 <= n; i += 64) { /* most of a large bucket is far away */
        __mmask16 mask[4];
        UNROLL
        for (size_t j = 0; j < 4; j++)
            mask[j] = near16(scores + i + 16 * j, errors + i + 16 * j, &near, 0xffff, &low[j]);
        if ((mask[0] | mask[1] | mask[2] | mask[3]) == 0) continue;
        UNROLL
        for (size_t j = 0; j < 4; j++)
            found += append16(mask[j], first + (uint32_t)(i + 16 * j), _mm512_castps_si512(low[j]),
                              rows + found, least + found);
    }
    for (; i < n; i += 16) {
        __mmask16 mask = near16(scores + i, errors + i, &near, first16(n - i), low);
        found += append16(mask, first + (uint32_t)i, _mm512_castps_si512(low[0]), rows + found,
                          least + found);
    }
    return found;
}

void nlsh__avx512_codes(struct nlsh__kernels *table)
{
    table->code_query = code_query;
    table->bound_f32 = bound_f32;
    table->near_f32 = near_f32;
}
#endif
