/* avx512.c - kernels for AVX-512 (F, BW, DQ, VL). Tails are masked loads: they read nothing past
 * the rows. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/code_query.h"
#include "kernels/rows.h"
#include "kernels/softmax.h"
#include "kernels/tables.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
#define INLINE TARGET static inline __attribute__((always_inline))
/* Accumulators stay in registers only if every loop over them is unrolled; gcc must be told. */
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

TARGET static uint32_t l2sq_u8(const uint8_t *a, const uint8_t *b, size_t dim)
{
    __m512i sum = _mm512_setzero_si512();
    for (size_t i = 0; i < dim; i += 32) {
        __mmask32 mask = dim - i >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << (dim - i)) - 1;
        __m512i d = _mm512_sub_epi16(_mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask, a + i)),
                                     _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask, b + i)));
        sum = _mm512_add_epi32(sum, _mm512_madd_epi16(d, d));
    }
    return (uint32_t)_mm512_reduce_add_epi32(sum);
}

TARGET float nlsh__l2sq_f32_avx512(const float *a, const float *b, size_t dim)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 32 <= dim; i += 32) {
        __m512 d0 = _mm512_sub_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i));
        __m512 d1 = _mm512_sub_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16));
        s0 = _mm512_fmadd_ps(d0, d0, s0);
        s1 = _mm512_fmadd_ps(d1, d1, s1);
    }
    for (; i < dim; i += 16) {
        __mmask16 mask = (__mmask16)(dim - i >= 16 ? 0xffff : (1u << (dim - i)) - 1);
        __m512 d =
            _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i));
        s0 = _mm512_fmadd_ps(d, d, s0);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

TARGET float nlsh__dot_f32_avx512(const float *a, const float *b, size_t dim)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 32 <= dim; i += 32) {
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
        s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
    }
    for (; i < dim; i += 16) {
        __mmask16 mask = (__mmask16)(dim - i >= 16 ? 0xffff : (1u << (dim - i)) - 1);
        s0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i),
                             s0);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

TARGET float nlsh__l2sq_f32_u8_avx512(const float *a, const uint8_t *b, size_t dim)
{
    __m512 sums[4];
    for (size_t j = 0; j < 4; j++) sums[j] = _mm512_setzero_ps();
    size_t i = 0;
    for (; i + 64 <= dim; i += 64) {
        UNROLL
        for (size_t j = 0; j < 4; j++) { /* four chains: an addition takes four cycles */
            __m512i x = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(b + i + 16 * j)));
            __m512 d = _mm512_sub_ps(_mm512_loadu_ps(a + i + 16 * j), _mm512_cvtepi32_ps(x));
            sums[j] = _mm512_fmadd_ps(d, d, sums[j]);
        }
    }
    for (; i < dim; i += 16) {
        __mmask16 mask = (__mmask16)(dim - i >= 16 ? 0xffff : (1u << (dim - i)) - 1);
        __m512i x = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, b + i));
        __m512 d = _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_cvtepi32_ps(x));
        sums[0] = _mm512_fmadd_ps(d, d, sums[0]);
    }
    return _mm512_reduce_add_ps(
        _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
}

/* The products of nq queries and ng groups, both known when inlined, in nq x ng accumulators: 24 of
 * them, 4 rows and a broadcast fill the 32 registers. */
INLINE void products_f32(const struct nlsh__panel_f32 *panel, size_t group, const float *queries,
                         __m512 *out, const int nq, const int ng)
{
    size_t dim = panel->dim;
    const float *x = panel->values + group * dim * NLSH__GROUP;
    __m512 dot[6][4];
    UNROLL
    for (int q = 0; q < nq; q++) {
        UNROLL
        for (int g = 0; g < ng; g++) dot[q][g] = _mm512_setzero_ps();
    }
    for (size_t d = 0; d < dim; d++) {
        __m512 row[4];
        UNROLL
        for (int g = 0; g < ng; g++)
            row[g] = _mm512_load_ps(x + ((size_t)g * dim + d) * NLSH__GROUP);
        UNROLL
        for (int q = 0; q < nq; q++) {
            __m512 one = _mm512_set1_ps(queries[(size_t)q * dim + d]);
            UNROLL
            for (int g = 0; g < ng; g++) dot[q][g] = _mm512_fmadd_ps(row[g], one, dot[q][g]);
        }
    }
    UNROLL
    for (int q = 0; q < nq; q++) {
        UNROLL
        for (int g = 0; g < ng; g++) out[q * 4 + g] = dot[q][g];
    }
}

INLINE void tile_f32(const struct nlsh__panel_f32 *panel, size_t group, const float *queries,
                     size_t q0, const float *thresholds, struct nlsh__hits *hits, const int nq,
                     const int ng)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512 dot[24];
    products_f32(panel, group, queries + q0 * panel->dim, dot, nq, ng);
    for (size_t q = q0; q < q0 + (size_t)nq; q++) {
        __m512 threshold = _mm512_set1_ps(thresholds[q]);
        for (size_t g = 0; g < (size_t)ng; g++) {
            size_t row = (group + g) * NLSH__GROUP;
            __m512 score = _mm512_fnmadd_ps(_mm512_set1_ps(2), dot[(q - q0) * 4 + g],
                                            _mm512_load_ps(panel->bias + row));
            __mmask16 mask = _mm512_cmp_ps_mask(score, threshold, _CMP_LT_OQ);
            if (__builtin_expect(mask == 0, 1)) continue;
            size_t slot = q * hits->capacity + hits->n[q];
            /* compressed in a register: a compressing store is slow on Zen */
            _mm512_storeu_ps(hits->scores.f32 + slot, _mm512_maskz_compress_ps(mask, score));
            __m512i ids = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)row));
            _mm512_storeu_si512(hits->ids + slot, _mm512_maskz_compress_epi32(mask, ids));
            hits->n[q] += (uint32_t)__builtin_popcount(mask);
        }
    }
}

INLINE void tiles_f32(const struct nlsh__panel_f32 *panel, size_t group, const float *queries,
                      size_t n_queries, const float *thresholds, struct nlsh__hits *hits,
                      const int ng)
{
    size_t q = 0;
    for (; q + 6 <= n_queries; q += 6) tile_f32(panel, group, queries, q, thresholds, hits, 6, ng);
    for (; q + 2 <= n_queries; q += 2) tile_f32(panel, group, queries, q, thresholds, hits, 2, ng);
    if (q < n_queries) tile_f32(panel, group, queries, q, thresholds, hits, 1, ng);
}

TARGET void nlsh__panel_f32_avx512(const struct nlsh__panel_f32 *panel, size_t first_group,
                                   size_t n_groups, const float *queries, size_t n_queries,
                                   const float *thresholds, struct nlsh__hits *hits)
{
    size_t g = first_group, end = first_group + n_groups;
    for (; g + 4 <= end; g += 4) tiles_f32(panel, g, queries, n_queries, thresholds, hits, 4);
    for (; g < end; g++) tiles_f32(panel, g, queries, n_queries, thresholds, hits, 1);
}

/* ng groups at once, so that one broadcast serves them all; every group in two chains. */
INLINE void matvec_groups(const float *group, const float *bias, size_t dim, const float *x,
                          float *out, const int ng)
{
    __m512 a[4], b[4];
    UNROLL
    for (int g = 0; g < ng; g++) {
        a[g] = _mm512_load_ps(bias + g * 16);
        b[g] = _mm512_setzero_ps();
    }
    size_t d = 0;
    for (; d + 2 <= dim; d += 2) {
        __m512 y = _mm512_set1_ps(x[d]), z = _mm512_set1_ps(x[d + 1]);
        UNROLL
        for (int g = 0; g < ng; g++) {
            const float *w = group + ((size_t)g * dim + d) * 16;
            a[g] = _mm512_fmadd_ps(_mm512_load_ps(w), y, a[g]);
            b[g] = _mm512_fmadd_ps(_mm512_load_ps(w + 16), z, b[g]);
        }
    }
    UNROLL
    for (int g = 0; g < ng; g++) {
        if (d < dim)
            a[g] = _mm512_fmadd_ps(_mm512_load_ps(group + ((size_t)g * dim + d) * 16),
                                   _mm512_set1_ps(x[d]), a[g]);
        a[g] = _mm512_add_ps(a[g], b[g]);
        _mm512_store_ps(out + g * 16, a[g]);
    }
}

TARGET void nlsh__matvec_f32_avx512(const float *values, const float *bias, size_t n_groups,
                                    size_t dim, const float *x, float *out)
{
    size_t g = 0;
    for (; g + 4 <= n_groups; g += 4)
        matvec_groups(values + g * dim * 16, bias + g * 16, dim, x, out + g * 16, 4);
    for (; g < n_groups; g++)
        matvec_groups(values + g * dim * 16, bias + g * 16, dim, x, out + g * 16, 1);
}

TARGET float nlsh__softmax_f32_avx512(float *x, size_t n)
{
    return nlsh__softmax_body(x, n);
}

/* The scalar version's operations in its order, 16 at a time. */
TARGET float nlsh__quantise_u8_avx512(const float *x, size_t n, int zero, uint8_t *out)
{
    __m512 most = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = (__mmask16)(n - i >= 16 ? 0xffff : (1u << (n - i)) - 1);
        /* max gives its second operand where one is not a number: such a value counts as none */
        most = _mm512_max_ps(_mm512_abs_ps(_mm512_maskz_loadu_ps(mask, x + i)), most);
    }
    float scale = 0, inverse = nlsh__quantise_scale(_mm512_reduce_max_ps(most), zero, &scale);
    for (size_t i = 0; i < (n + 3) / 4 * 4; i += 16) {
        size_t left = (n + 3) / 4 * 4 - i;
        __mmask16 mask = (__mmask16)(n - i >= 16 ? 0xffff : (1u << (n - i)) - 1);
        __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), _mm512_set1_ps(inverse));
        v = _mm512_add_ps(_mm512_add_ps(v, _mm512_set1_ps((float)zero)), _mm512_set1_ps(0.5f));
        v = _mm512_max_ps(v, _mm512_setzero_ps());
        v = _mm512_min_ps(v, _mm512_set1_ps(255.0f));
        _mm512_mask_cvtepi32_storeu_epi8(
            out + i, (__mmask16)(left >= 16 ? 0xffff : (1u << left) - 1), _mm512_cvttps_epi32(v));
    }
    return scale;
}

/* Lanes j and j + 8, then j + 4, 2, 1: the order of nlsh__code_query_body(). */
INLINE float sum_in_order(__m512 v)
{
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

/* What nlsh__code_query_body() computes, operation by operation. */
TARGET void nlsh__code_query_avx512(const float *inputs, const float *centroid, const float *steps,
                                    size_t n, int8_t *weights, struct nlsh__code_query *out)
{
    const __m512 magic = _mm512_set1_ps(12582912.0f);
    __m512 length = _mm512_setzero_ps(), most = length;
    __m512i sum = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 16) {
        __m512 d = _mm512_sub_ps(_mm512_load_ps(inputs + i), _mm512_load_ps(centroid + i));
        length = _mm512_add_ps(length, _mm512_mul_ps(d, d));
        d = _mm512_mul_ps(d, _mm512_load_ps(steps + i));
        most = _mm512_max_ps(_mm512_abs_ps(d), most); /* NaN: the old one stays */
    }
    float largest = _mm512_reduce_max_ps(most);
    float inverse = largest > 0 && largest < INFINITY ? 127.0f / largest : 0;
    for (size_t i = 0; i < n; i += 16) {
        __m512 d = _mm512_sub_ps(_mm512_load_ps(inputs + i), _mm512_load_ps(centroid + i));
        d = _mm512_mul_ps(_mm512_mul_ps(d, _mm512_load_ps(steps + i)), _mm512_set1_ps(inverse));
        __m512i whole = _mm512_sub_epi32(_mm512_castps_si512(_mm512_add_ps(d, magic)),
                                         _mm512_set1_epi32(0x4b400000));
        __m128i bytes = _mm512_cvtepi32_epi8(whole);
        sum = _mm512_add_epi32(sum, _mm512_cvtepi8_epi32(bytes));
        _mm_store_si128((__m128i *)(weights + i), bytes);
    }
    *out = (struct nlsh__code_query){sum_in_order(length), inverse > 0 ? largest / 127.0f : 0,
                                     _mm512_reduce_add_epi32(sum)};
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
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    v = bitonic(v, _mm512_xor_si512(lanes, _mm512_set1_epi32(8)), 0xff00);
    v = bitonic(v, _mm512_xor_si512(lanes, _mm512_set1_epi32(4)), 0xf0f0);
    v = bitonic(v, _mm512_xor_si512(lanes, _mm512_set1_epi32(2)), 0xcccc);
    return bitonic(v, _mm512_xor_si512(lanes, _mm512_set1_epi32(1)), 0xaaaa);
}

INLINE __m512 sort16(__m512 v)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
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

TARGET float nlsh__bound_f32_avx512(const float *scores, size_t n, size_t k)
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

/* Appends the rows of mask, the first of which would be `first`; returns how many. */
INLINE size_t near_emit(__mmask16 mask, uint32_t first, __m512 low, uint32_t *rows, float *least)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i row = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)first));
    /* compressed in a register: a compressing store is slow on Zen */
    _mm512_storeu_si512(rows, _mm512_maskz_compress_epi32(mask, row));
    _mm512_storeu_ps(least, _mm512_maskz_compress_ps(mask, low));
    return (size_t)__builtin_popcount(mask);
}

TARGET size_t nlsh__near_f32_avx512(const float *scores, const uint8_t *errors, size_t n,
                                    float unit, float above, float limit, uint32_t first,
                                    uint32_t *rows, float *least)
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
            found += near_emit(mask[j], first + (uint32_t)(i + 16 * j), low[j], rows + found,
                               least + found);
    }
    for (; i < n; i += 16) {
        __mmask16 mask = n - i >= 16 ? (__mmask16)0xffff : (__mmask16)((1u << (n - i)) - 1);
        mask = near16(scores + i, errors + i, &near, mask, low);
        found += near_emit(mask, first + (uint32_t)i, low[0], rows + found, least + found);
    }
    return found;
}

TARGET static void l2sq_u8_rows(const uint8_t *query, const uint8_t *base, size_t dim,
                                const uint32_t *rows, size_t n, size_t n_more, uint32_t *out)
{
    nlsh__l2sq_u8_rows_body(l2sq_u8, query, base, dim, rows, n, n_more, out);
}

const struct nlsh__kernels nlsh__kernels_avx512 = {
    .name = "avx512",
    .l2sq_u8 = l2sq_u8,
    .l2sq_f32 = nlsh__l2sq_f32_avx512,
    .l2sq_f32_u8 = nlsh__l2sq_f32_u8_avx512,
    .dot_f32 = nlsh__dot_f32_avx512,
    .l2sq_u8_rows = l2sq_u8_rows,
    .panel_u8 = nlsh__panel_u8_avx2,
    .panel_f32 = nlsh__panel_f32_avx512,
    .matvec_f32 = nlsh__matvec_f32_avx512,
    .matvec_i8 = nlsh__matvec_i8_avx2,
    .matmat_i8 = nlsh__matmat_i8_avx2,
    .code_query = nlsh__code_query_avx512,
    .scan_u4 = nlsh__scan_u4_avx2,
    .scan_u4_at = nlsh__scan_u4_at_avx2,
    .bound_f32 = nlsh__bound_f32_avx512,
    .near_f32 = nlsh__near_f32_avx512,
    .quantise_u8 = nlsh__quantise_u8_avx512,
    .softmax_f32 = nlsh__softmax_f32_avx512,
};
#endif
