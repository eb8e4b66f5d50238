/*
 * avx2_codes.c - scanning by codes with AVX2.
 *
 * Lists are written with a table that says, for each mask of 8 lanes, which lanes come first: AVX2 has
 * no instruction that compresses.
 */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/shared.h"
#include "kernels/x86/avx2.h"
#include "kernels/x86/avx2_scan.h"
#include "kernels/x86/x86.h"

/* ---- a query as weights ---------------------------------------------------------------------- */

/* What the plain code_query() computes, in its order: two registers are its 16 lanes. */
INLINE __m256 offset8(const float *inputs, const float *centroid, size_t i)
{
    return _mm256_sub_ps(_mm256_load_ps(inputs + i), _mm256_load_ps(centroid + i));
}

/* The weights of 8 components as words of 32 bits, of which the lowest byte counts. */
INLINE __m256i weights8(__m256 offset, const float *steps, __m256 factor)
{
    __m256 w = _mm256_mul_ps(_mm256_mul_ps(offset, _mm256_load_ps(steps)), factor);
    __m256i bits = _mm256_castps_si256(_mm256_add_ps(w, _mm256_set1_ps(NLSH__ROUND)));
    return _mm256_sub_epi32(bits, _mm256_set1_epi32(NLSH__ROUND_BITS));
}

/* The lowest bytes of 16 words, in order. */
INLINE __m128i low_bytes(__m256i a, __m256i b)
{
    const __m256i byte = _mm256_set1_epi32(255);
    __m256i words = _mm256_packus_epi32(_mm256_and_si256(a, byte), _mm256_and_si256(b, byte));
    words = _mm256_permute4x64_epi64(words, 0xd8);
    return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

TARGET static void code_query(const float *inputs, const float *centroid, const float *steps,
                              size_t n, int8_t *weights, struct nlsh__code_query *out)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    __m256 length[2], most = _mm256_setzero_ps();
    __m256i sum = _mm256_setzero_si256();
    length[0] = length[1] = most;
    for (size_t i = 0; i < n; i += 16) {
        UNROLL
        for (size_t h = 0; h < 2; h++) {
            __m256 d = offset8(inputs, centroid, i + 8 * h);
            length[h] = _mm256_add_ps(length[h], _mm256_mul_ps(d, d));
            d = _mm256_mul_ps(d, _mm256_load_ps(steps + i + 8 * h));
            most = _mm256_max_ps(_mm256_andnot_ps(sign, d), most); /* NaN: the old one stays */
        }
    }
    __m256 by = _mm256_set1_ps(nlsh__weight_factor(max_ps(most), &out->unit));
    for (size_t i = 0; i < n; i += 16) {
        __m128i bytes = low_bytes(weights8(offset8(inputs, centroid, i), steps + i, by),
                                  weights8(offset8(inputs, centroid, i + 8), steps + i + 8, by));
        /* pairs in words, then fours: 16 bits hold the sum of two bytes */
        __m256i words = _mm256_cvtepi8_epi16(bytes);
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(words, _mm256_set1_epi16(1)));
        _mm_store_si128((__m128i *)(weights + i), bytes);
    }
    out->length = sum_ps(_mm256_add_ps(length[0], length[1]));
    out->sum = (int32_t)sum_epi32(sum);
}

/* ---- scores ---------------------------------------------------------------------------------- */

/* words[2 g + h] += the products of chunk c, pairs of them. */
INLINE void add_chunk(const uint8_t *const *values, const uint8_t *const *ahead, size_t c,
                      const int8_t *weights, __m256i *words, const int ng)
{
    const __m256i low = _mm256_set1_epi8(15);
    __m256i y = repeat4(weights + 8 * c), z = repeat4(weights + 8 * c + 4);
    UNROLL
    for (int i = 0; i < 2 * ng; i++) {
        if (ahead != NULL && i % 2 == 0) nlsh__prefetch(ahead[i / 2] + c * 64);
        __m256i v = load_bytes(values[i / 2] + 64 * c + i % 2 * 32);
        __m256i high = _mm256_and_si256(_mm256_srli_epi16(v, 4), low);
        v = _mm256_maddubs_epi16(_mm256_and_si256(v, low), y);
        words[i] = _mm256_add_epi16(words[i], v);
        words[i] = _mm256_add_epi16(words[i], _mm256_maddubs_epi16(high, z));
    }
}

INLINE void add_words(__m256i *sums, const __m256i *words, const int ng)
{
    UNROLL
    for (int i = 0; i < 2 * ng; i++)
        sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(words[i], _mm256_set1_epi16(1)));
}

/* Two products of 15 x 128 fit in 16 bits, and so do the sums of 8 such pairs, 30,720 at most: four
 * chunks are added up before they are widened. */
INLINE void scan_halves(const uint8_t *const *values, const uint8_t *const *ahead, size_t n_chunks,
                        const int8_t *weights, __m256i *sums, const int ng)
{
    __m256i words[4];
    size_t c = 0;
    UNROLL
    for (int i = 0; i < 2 * ng; i++) sums[i] = _mm256_setzero_si256();
    while (c + 4 <= n_chunks) {
        UNROLL
        for (int i = 0; i < 2 * ng; i++) words[i] = _mm256_setzero_si256();
        UNROLL
        for (size_t i = 0; i < 4; i++) add_chunk(values, ahead, c + i, weights, words, ng);
        add_words(sums, words, ng);
        c += 4;
    }
    if (c == n_chunks) return;
    UNROLL
    for (int i = 0; i < 2 * ng; i++) words[i] = _mm256_setzero_si256();
    for (; c < n_chunks; c++) add_chunk(values, ahead, c, weights, words, ng);
    add_words(sums, words, ng);
}

/* ---- choosing -------------------------------------------------------------------------------- */

/* The smaller of each lane to a, the larger to b. */
INLINE void order(__m256 *a, __m256 *b)
{
    __m256 smaller = _mm256_min_ps(*a, *b);
    *b = _mm256_max_ps(*a, *b);
    *a = smaller;
}

/* Each lane of v[0] .. v[7] in ascending order: a network of 19 comparators (Knuth, "The Art of
 * Computer Programming" 3, 5.3.4). */
INLINE void sort_lanes(__m256 *v)
{
    static const uint8_t pairs[19][2] = {{0, 2}, {1, 3}, {4, 6}, {5, 7}, {0, 4}, {1, 5}, {2, 6},
                                         {3, 7}, {0, 1}, {2, 3}, {4, 5}, {6, 7}, {2, 4}, {3, 5},
                                         {1, 4}, {3, 6}, {1, 2}, {3, 4}, {5, 6}};
    UNROLL
    for (size_t i = 0; i < 19; i++) order(v + pairs[i][0], v + pairs[i][1]);
}

/* The least of all lanes, in every lane. */
INLINE __m256 least_of(__m256 v)
{
    v = _mm256_min_ps(v, _mm256_permute2f128_ps(v, v, 1));
    v = _mm256_min_ps(v, _mm256_permute_ps(v, 0x4e));
    return _mm256_min_ps(v, _mm256_permute_ps(v, 0xb1));
}

/* The columns' least are sorted in each lane, so that the least of all stand in v[0]. They are taken
 * out, equals together, and their lanes move up, until k are gone. */
TARGET static float bound_f32(const float *scores, size_t n, size_t k)
{
    __m256 v[8], least = _mm256_setzero_ps(); /* k >= 1 */
    UNROLL
    for (size_t j = 0; j < 8; j++) v[j] = _mm256_set1_ps(INFINITY);
    for (size_t i = 0; i < n; i += 64) {
        UNROLL
        for (size_t j = 0; j < 8; j++) /* of a NaN and a number min gives the second: the number */
            if (i + 8 * j < n) v[j] = _mm256_min_ps(_mm256_load_ps(scores + i + 8 * j), v[j]);
    }
    sort_lanes(v);
    for (size_t taken = 0; taken < k;) {
        least = least_of(v[0]);
        __m256 equal = _mm256_cmp_ps(v[0], least, _CMP_EQ_OQ);
        taken += (size_t)__builtin_popcount((unsigned)_mm256_movemask_ps(equal));
        UNROLL
        for (size_t i = 0; i < 7; i++) v[i] = _mm256_blendv_ps(v[i], v[i + 1], equal);
        v[7] = _mm256_blendv_ps(v[7], _mm256_set1_ps(INFINITY), equal);
    }
    return _mm256_cvtss_f32(least);
}

/* For each mask of 8 lanes the numbers of its lanes in order, a byte each, from the lowest on. */
static uint64_t lanes_of[256];

static void fill_lanes(void)
{
    for (unsigned mask = 0; mask < 256; mask++) {
        unsigned n = 0;
        lanes_of[mask] = 0;
        for (unsigned lane = 0; lane < 8; lane++)
            if (mask >> lane & 1) lanes_of[mask] |= (uint64_t)lane << 8 * n++;
    }
}

/* Appends the lanes of mask: first + lane into rows, low into least; each has room for 8. */
INLINE size_t append8(unsigned mask, uint32_t first, __m256 low, uint32_t *rows, float *least)
{
    __m256i lanes = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(lanes_of + mask)));
    _mm256_storeu_si256((__m256i *)rows, _mm256_add_epi32(lanes, _mm256_set1_epi32((int)first)));
    _mm256_storeu_ps(least, _mm256_permutevar8x32_ps(low, lanes));
    return (size_t)__builtin_popcount(mask);
}

struct near {
    __m256 unit, above, limit;
};

/* Which of 8 rows are near, and how low each may lie. */
INLINE unsigned near8(const float *scores, const uint8_t *errors, const struct near *n, __m256 *low)
{
    __m256 score = _mm256_loadu_ps(scores);
    __m256i error = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)errors));
    *low = _mm256_sub_ps(score, _mm256_mul_ps(n->unit, _mm256_cvtepi32_ps(error)));
    return (unsigned)_mm256_movemask_ps(_mm256_and_ps(_mm256_cmp_ps(score, n->above, _CMP_GT_OQ),
                                                      _mm256_cmp_ps(*low, n->limit, _CMP_LE_OQ)));
}

/* Fewer than 8 rows. */
static size_t near_few(const float *scores, const uint8_t *errors, size_t n, float unit,
                       float above, float limit, uint32_t first, uint32_t *rows, float *least)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        least[found] = scores[i] - unit * (float)errors[i];
        rows[found] = first + (uint32_t)i;
        found += scores[i] > above && least[found] <= limit;
    }
    return found;
}

TARGET static size_t near_f32(const float *scores, const uint8_t *errors, size_t n, float unit,
                              float above, float limit, uint32_t first, uint32_t *rows,
                              float *least)
{
    const struct near near = {_mm256_set1_ps(unit), _mm256_set1_ps(above), _mm256_set1_ps(limit)};
    size_t found = 0, i = 0;
    for (; i + 32 <= n; i += 32) { /* most of a large bucket is far away */
        __m256 low[4];
        unsigned mask[4];
        UNROLL
        for (size_t j = 0; j < 4; j++)
            mask[j] = near8(scores + i + 8 * j, errors + i + 8 * j, &near, low + j);
        if ((mask[0] | mask[1] | mask[2] | mask[3]) == 0) continue;
        UNROLL
        for (size_t j = 0; j < 4; j++)
            found += append8(mask[j], first + (uint32_t)(i + 8 * j), low[j], rows + found,
                             least + found);
    }
    if (n < 8) return near_few(scores, errors, n, unit, above, limit, first, rows, least);
    for (; i < n; i += 8) { /* the last 8 rows, less those that were seen */
        size_t at = i + 8 <= n ? i : n - 8;
        __m256 low;
        unsigned mask = near8(scores + at, errors + at, &near, &low) & 255u << (i - at);
        found += append8(mask, first + (uint32_t)at, low, rows + found, least + found);
    }
    return found;
}

void nlsh__avx2_codes(struct nlsh__kernels *table)
{
    fill_lanes();
    table->code_query = code_query;
    table->scan_u4 = scan_u4;
    table->scan_u4_at = scan_u4_at;
    table->bound_f32 = bound_f32;
    table->near_f32 = near_f32;
}
#endif
