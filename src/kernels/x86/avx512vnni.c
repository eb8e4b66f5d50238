/* avx512vnni.c - byte kernels on vpdpbusd and vpdpwssd, which add exactly into int32. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#include "kernels/rows.h"
#include "kernels/tables.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")))
#define INLINE TARGET static inline __attribute__((always_inline))
/* Accumulators stay in registers only if every loop over them is unrolled; gcc must be told. */
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

TARGET static uint32_t l2sq_u8(const uint8_t *a, const uint8_t *b, size_t dim)
{
    __m512i s0 = _mm512_setzero_si512(), s1 = s0;
    size_t i = 0;
    for (; i + 64 <= dim; i += 64) {
        __m512i d0 =
            _mm512_sub_epi16(_mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(a + i))),
                             _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(b + i))));
        __m512i d1 = _mm512_sub_epi16(
            _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(a + i + 32))),
            _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(b + i + 32))));
        s0 = _mm512_dpwssd_epi32(s0, d0, d0);
        s1 = _mm512_dpwssd_epi32(s1, d1, d1);
    }
    for (; i < dim; i += 32) {
        __mmask32 mask = dim - i >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << (dim - i)) - 1;
        __m512i d = _mm512_sub_epi16(_mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask, a + i)),
                                     _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask, b + i)));
        s0 = _mm512_dpwssd_epi32(s0, d, d);
    }
    return (uint32_t)_mm512_reduce_add_epi32(_mm512_add_epi32(s0, s1));
}

/* acc += x . y over groups of four bytes. gcc 12 turns the intrinsic into three moves and a product
 * where accumulators are many; the instruction itself has none. */
INLINE __m512i dot4(__m512i acc, __m512i x, __m512i y)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(y));
    return acc;
}

/* The products of nq queries and ng groups, both known when inlined, in nq x ng accumulators: 24 of
 * them, 4 rows and a broadcast fill the 32 registers. */
INLINE void products_u8(const struct nlsh__panel_u8 *panel, size_t group, const int8_t *queries,
                        __m512i *out, const int nq, const int ng)
{
    size_t n_chunks = panel->n_chunks, stride = n_chunks * 4;
    const uint8_t *x = panel->values + group * n_chunks * 64;
    __m512i dot[6][4];
    UNROLL
    for (int q = 0; q < nq; q++) {
        UNROLL
        for (int g = 0; g < ng; g++) dot[q][g] = _mm512_setzero_si512();
    }
    for (size_t c = 0; c < n_chunks; c++) {
        __m512i row[4];
        UNROLL
        for (int g = 0; g < ng; g++)
            row[g] = _mm512_load_si512(x + ((size_t)g * n_chunks + c) * 64);
        UNROLL
        for (int q = 0; q < nq; q++) {
            int32_t four;
            memcpy(&four, queries + (size_t)q * stride + 4 * c, 4);
            __m512i one = _mm512_set1_epi32(four);
            UNROLL
            for (int g = 0; g < ng; g++) dot[q][g] = dot4(dot[q][g], row[g], one);
        }
    }
    UNROLL
    for (int q = 0; q < nq; q++) {
        UNROLL
        for (int g = 0; g < ng; g++) out[q * 4 + g] = dot[q][g];
    }
}

INLINE void tile_u8(const struct nlsh__panel_u8 *panel, size_t group, const int8_t *queries,
                    size_t q0, const int32_t *thresholds, struct nlsh__hits *hits, const int nq,
                    const int ng)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i dot[24];
    products_u8(panel, group, queries + q0 * panel->n_chunks * 4, dot, nq, ng);
    for (size_t q = q0; q < q0 + (size_t)nq; q++) {
        __m512i threshold = _mm512_set1_epi32(thresholds[q]);
        for (size_t g = 0; g < (size_t)ng; g++) {
            size_t row = (group + g) * NLSH__GROUP;
            __m512i score = _mm512_sub_epi32(_mm512_load_si512(panel->bias + row),
                                             _mm512_slli_epi32(dot[(q - q0) * 4 + g], 1));
            __mmask16 mask = _mm512_cmplt_epi32_mask(score, threshold);
            if (__builtin_expect(mask == 0, 1)) continue;
            if (row + NLSH__GROUP > panel->n_rows)
                mask &= (__mmask16)((1u << (panel->n_rows - row)) - 1);
            size_t slot = q * hits->capacity + hits->n[q];
            /* compressed in a register: a compressing store is slow on Zen */
            _mm512_storeu_si512(hits->scores.i32 + slot, _mm512_maskz_compress_epi32(mask, score));
            __m512i ids = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)row));
            _mm512_storeu_si512(hits->ids + slot, _mm512_maskz_compress_epi32(mask, ids));
            hits->n[q] += (uint32_t)__builtin_popcount(mask);
        }
    }
}

INLINE void tiles_u8(const struct nlsh__panel_u8 *panel, size_t group, const int8_t *queries,
                     size_t n_queries, const int32_t *thresholds, struct nlsh__hits *hits,
                     const int ng)
{
    size_t q = 0;
    for (; q + 6 <= n_queries; q += 6) tile_u8(panel, group, queries, q, thresholds, hits, 6, ng);
    for (; q + 2 <= n_queries; q += 2) tile_u8(panel, group, queries, q, thresholds, hits, 2, ng);
    if (q < n_queries) tile_u8(panel, group, queries, q, thresholds, hits, 1, ng);
}

TARGET static void panel_u8(const struct nlsh__panel_u8 *panel, size_t first_group, size_t n_groups,
                            const int8_t *queries, size_t n_queries, const int32_t *thresholds,
                            struct nlsh__hits *hits)
{
    size_t g = first_group, end = first_group + n_groups;
    for (; g + 4 <= end; g += 4) tiles_u8(panel, g, queries, n_queries, thresholds, hits, 4);
    for (; g < end; g++) tiles_u8(panel, g, queries, n_queries, thresholds, hits, 1);
}

/* The last steps of a layer for 16 rows; amx.c has the same. */
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

/* ng groups of 16 rows, each in two chains: 8 or more keep both ports busy. */
INLINE void matvec_groups(const struct nlsh__layer_i8 *layer, size_t group, const uint8_t *x,
                          float x_scale, int zero, int relu, float *out, const int ng)
{
    const int8_t *w = layer->values + group * layer->n_chunks * 64;
    size_t n_chunks = layer->n_chunks, c = 0;
    __m512i a[8], b[8];
    UNROLL
    for (int g = 0; g < ng; g++) a[g] = b[g] = _mm512_setzero_si512();
    for (; c + 2 <= n_chunks; c += 2) {
        int32_t four[2];
        memcpy(four, x + 4 * c, 8);
        __m512i y = _mm512_set1_epi32(four[0]), z = _mm512_set1_epi32(four[1]);
        UNROLL
        for (int g = 0; g < ng; g++) {
            const int8_t *at = w + ((size_t)g * n_chunks + c) * 64;
            a[g] = dot4(a[g], y, _mm512_load_si512(at));
            b[g] = dot4(b[g], z, _mm512_load_si512(at + 64));
        }
    }
    if (c < n_chunks) {
        int32_t four;
        memcpy(&four, x + 4 * c, 4);
        UNROLL
        for (int g = 0; g < ng; g++)
            a[g] = dot4(a[g], _mm512_set1_epi32(four),
                        _mm512_load_si512(w + ((size_t)g * n_chunks + c) * 64));
    }
    UNROLL
    for (int g = 0; g < ng; g++) {
        size_t row = (group + (size_t)g) * NLSH__GROUP;
        layer_answer(layer, row, _mm512_add_epi32(a[g], b[g]), x_scale, zero, relu, out + row);
    }
}

TARGET static void matvec_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, float x_scale,
                             int zero, int relu, float *out)
{
    size_t g = 0;
    for (; g + 8 <= layer->n_groups; g += 8)
        matvec_groups(layer, g, x, x_scale, zero, relu, out, 8);
    for (; g + 2 <= layer->n_groups; g += 2)
        matvec_groups(layer, g, x, x_scale, zero, relu, out, 2);
    if (g < layer->n_groups) matvec_groups(layer, g, x, x_scale, zero, relu, out, 1);
}

/* nq inputs and ng groups; the last operations are matvec_groups()'s. */
INLINE void matmat_tile(const struct nlsh__layer_i8 *layer, size_t group, const uint8_t *x,
                        size_t stride, const float *x_scale, int zero, int relu, float *out,
                        size_t out_stride, const int nq, const int ng)
{
    const int8_t *w = layer->values + group * layer->n_chunks * 64;
    size_t n_chunks = layer->n_chunks;
    __m512i sums[6][4];
    UNROLL
    for (int q = 0; q < nq; q++) {
        UNROLL
        for (int g = 0; g < ng; g++) sums[q][g] = _mm512_setzero_si512();
    }
    for (size_t c = 0; c < n_chunks; c++) {
        __m512i row[4];
        UNROLL
        for (int g = 0; g < ng; g++)
            row[g] = _mm512_load_si512(w + ((size_t)g * n_chunks + c) * 64);
        UNROLL
        for (int q = 0; q < nq; q++) {
            int32_t four;
            memcpy(&four, x + (size_t)q * stride + 4 * c, 4);
            __m512i y = _mm512_set1_epi32(four);
            UNROLL
            for (int g = 0; g < ng; g++) sums[q][g] = dot4(sums[q][g], y, row[g]);
        }
    }
    UNROLL
    for (int q = 0; q < nq; q++) {
        UNROLL
        for (int g = 0; g < ng; g++)
            layer_answer(layer, (group + (size_t)g) * NLSH__GROUP, sums[q][g], x_scale[q], zero,
                         relu, out + (size_t)q * out_stride + (group + (size_t)g) * NLSH__GROUP);
    }
}

INLINE void matmat_groups(const struct nlsh__layer_i8 *layer, size_t group, const uint8_t *x,
                          size_t stride, size_t n, const float *x_scale, int zero, int relu,
                          float *out, size_t out_stride, const int ng)
{
    size_t q = 0;
    for (; q + 6 <= n; q += 6)
        matmat_tile(layer, group, x + q * stride, stride, x_scale + q, zero, relu,
                    out + q * out_stride, out_stride, 6, ng);
    for (; q < n; q++)
        matmat_tile(layer, group, x + q * stride, stride, x_scale + q, zero, relu,
                    out + q * out_stride, out_stride, 1, ng);
}

TARGET void nlsh__matmat_i8_vnni(const struct nlsh__layer_i8 *layer, const uint8_t *x,
                                 size_t stride, size_t n, const float *x_scale, int zero, int relu,
                                 float *out, size_t out_stride)
{
    size_t g = 0;
    for (; g + 4 <= layer->n_groups; g += 4)
        matmat_groups(layer, g, x, stride, n, x_scale, zero, relu, out, out_stride, 4);
    for (; g < layer->n_groups; g++)
        matmat_groups(layer, g, x, stride, n, x_scale, zero, relu, out, out_stride, 1);
}

/* ng groups of 16 rows, and lines of as many others fetched if ahead is not NULL. High halves are left
 * where they stand, 16 times too large, and brought down with the sum. */
INLINE void scan_groups(const uint8_t *const *values, const float *const *bias,
                        const uint8_t *const *ahead, size_t n_chunks, const int8_t *weights,
                        __m512 constant, __m512 slope, float *scores, const int ng)
{
    const __m512i low = _mm512_set1_epi8(15);
    __m512i a[4], b[4];
    UNROLL
    for (int g = 0; g < ng; g++) a[g] = b[g] = _mm512_setzero_si512();
    for (size_t c = 0; c < n_chunks; c++) {
        int32_t four[2];
        memcpy(four, weights + 8 * c, 8);
        __m512i y = _mm512_set1_epi32(four[0]), z = _mm512_set1_epi32(four[1]);
        UNROLL
        for (int g = 0; g < ng; g++) {
            if (ahead != NULL) nlsh__prefetch(ahead[g] + c * 64);
            __m512i v = _mm512_load_si512(values[g] + c * 64);
            a[g] = dot4(a[g], _mm512_and_si512(v, low), y);
            b[g] = dot4(b[g], _mm512_andnot_si512(low, v), z);
        }
    }
    UNROLL
    for (int g = 0; g < ng; g++) {
        __m512 dot = _mm512_cvtepi32_ps(_mm512_add_epi32(a[g], _mm512_srai_epi32(b[g], 4)));
        __m512 score = _mm512_add_ps(_mm512_load_ps(bias[g]), constant);
        _mm512_store_ps(scores + g * 16, _mm512_sub_ps(score, _mm512_mul_ps(slope, dot)));
    }
}

INLINE void scan_next(const uint8_t *values, const float *bias, size_t n_chunks,
                      const int8_t *weights, __m512 constant, __m512 slope, float *scores,
                      const int ng)
{
    const uint8_t *v[4];
    const float *b[4];
    UNROLL
    for (int g = 0; g < ng; g++) {
        v[g] = values + (size_t)g * n_chunks * 64;
        b[g] = bias + g * 16;
    }
    scan_groups(v, b, NULL, n_chunks, weights, constant, slope, scores, ng);
}

TARGET static void scan_u4(const uint8_t *values, const float *bias, size_t n_groups,
                           size_t n_chunks, const int8_t *weights, float constant, float slope,
                           float *scores)
{
    __m512 c = _mm512_set1_ps(constant), s = _mm512_set1_ps(slope);
    size_t g = 0;
    for (; g + 4 <= n_groups; g += 4)
        scan_next(values + g * n_chunks * 64, bias + g * 16, n_chunks, weights, c, s,
                  scores + g * 16, 4);
    if (g + 2 <= n_groups) {
        scan_next(values + g * n_chunks * 64, bias + g * 16, n_chunks, weights, c, s,
                  scores + g * 16, 2);
        g += 2;
    }
    if (g < n_groups)
        scan_next(values + g * n_chunks * 64, bias + g * 16, n_chunks, weights, c, s,
                  scores + g * 16, 1);
}

INLINE void scan_at(const uint8_t *values, const float *bias, const uint32_t *groups, size_t n_left,
                    size_t n_chunks, const int8_t *weights, __m512 constant, __m512 slope,
                    float *scores, const int ng)
{
    const uint8_t *v[4], *ahead[4];
    const float *b[4];
    UNROLL
    for (int g = 0; g < ng; g++) {
        size_t next = (size_t)g + 4 < n_left ? groups[g + 4] : groups[g];
        v[g] = values + groups[g] * n_chunks * 64;
        b[g] = bias + groups[g] * (size_t)16;
        ahead[g] = values + next * n_chunks * 64;
        nlsh__prefetch(bias + next * 16);
    }
    scan_groups(v, b, ahead, n_chunks, weights, constant, slope, scores, ng);
}

TARGET static void scan_u4_at(const uint8_t *values, const float *bias, const uint32_t *groups,
                              size_t n_groups, size_t n_more, size_t n_chunks,
                              const int8_t *weights, float constant, float slope, float *scores)
{
    __m512 c = _mm512_set1_ps(constant), s = _mm512_set1_ps(slope);
    size_t g = 0, n = n_groups + n_more;
    for (; g + 4 <= n_groups; g += 4)
        scan_at(values, bias, groups + g, n - g, n_chunks, weights, c, s, scores + g * 16, 4);
    if (g + 2 <= n_groups) {
        scan_at(values, bias, groups + g, n - g, n_chunks, weights, c, s, scores + g * 16, 2);
        g += 2;
    }
    if (g < n_groups)
        scan_at(values, bias, groups + g, n - g, n_chunks, weights, c, s, scores + g * 16, 1);
}

/* nr rows at once: sum (x - q)^2 = sum x (x - 128) - 2 sum x (q - 128) - 128 sum x + |q|^2, the signed
 * factors by flipping the highest bits. Of each row one product is spread over lanes. */
INLINE void row_products(const uint8_t *query, const uint8_t *const *x, const uint8_t *const *ahead,
                         size_t dim, __m512i *out, const int nr)
{
    const __m512i flip = _mm512_set1_epi8((char)0x80), ones = _mm512_set1_epi8(1);
    __m512i own[4], with[4], sum[4];
    UNROLL
    for (int r = 0; r < nr; r++) own[r] = with[r] = sum[r] = _mm512_setzero_si512();
    for (size_t i = 0; i < dim; i += 64) {
        __mmask64 mask = dim - i >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (dim - i)) - 1;
        __m512i q = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, query + i), flip);
        UNROLL
        for (int r = 0; r < nr; r++) {
            nlsh__prefetch(ahead[r] + i);
            __m512i v = _mm512_maskz_loadu_epi8(mask, x[r] + i);
            own[r] = dot4(own[r], v, _mm512_xor_si512(v, flip));
            with[r] = dot4(with[r], v, q);
            sum[r] = dot4(sum[r], v, ones);
        }
    }
    UNROLL
    for (int r = 0; r < nr; r++)
        out[r] = _mm512_sub_epi32(
            own[r], _mm512_add_epi32(_mm512_slli_epi32(with[r], 1), _mm512_slli_epi32(sum[r], 7)));
}

TARGET static void l2sq_u8_rows(const uint8_t *query, const uint8_t *base, size_t dim,
                                const uint32_t *rows, size_t n, size_t n_more, uint32_t *out)
{
    __m512i own = _mm512_setzero_si512(), sum = own;
    for (size_t i = 0; i < dim; i += 64) {
        __mmask64 mask = dim - i >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (dim - i)) - 1;
        __m512i q = _mm512_maskz_loadu_epi8(mask, query + i);
        own = dot4(own, q, _mm512_xor_si512(q, _mm512_set1_epi8((char)0x80)));
        sum = dot4(sum, q, _mm512_set1_epi8(1));
    }
    uint32_t length =
        (uint32_t)_mm512_reduce_add_epi32(_mm512_add_epi32(own, _mm512_slli_epi32(sum, 7)));
    for (size_t i = 0; i < n; i += 2) {
        const uint8_t *x[2], *ahead[2];
        __m512i v[2];
        for (size_t r = 0; r < 2; r++) {
            size_t at = i + r < n ? i + r : i,
                   next = at + NLSH__AHEAD < n + n_more ? at + NLSH__AHEAD : at;
            x[r] = base + rows[at] * dim;
            ahead[r] = base + rows[next] * dim;
        }
        row_products(query, x, ahead, dim, v, 2);
        out[i] = length + (uint32_t)_mm512_reduce_add_epi32(v[0]);
        if (i + 1 < n) out[i + 1] = length + (uint32_t)_mm512_reduce_add_epi32(v[1]);
    }
}

const struct nlsh__kernels nlsh__kernels_avx512vnni = {
    .name = "avx512vnni",
    .l2sq_u8 = l2sq_u8,
    .l2sq_f32 = nlsh__l2sq_f32_avx512,
    .l2sq_f32_u8 = nlsh__l2sq_f32_u8_avx512,
    .dot_f32 = nlsh__dot_f32_avx512,
    .l2sq_u8_rows = l2sq_u8_rows,
    .panel_u8 = panel_u8,
    .panel_f32 = nlsh__panel_f32_avx512,
    .matvec_f32 = nlsh__matvec_f32_avx512,
    .matvec_i8 = matvec_i8,
    .matmat_i8 = nlsh__matmat_i8_vnni,
    .code_query = nlsh__code_query_avx512,
    .scan_u4 = scan_u4,
    .scan_u4_at = scan_u4_at,
    .bound_f32 = nlsh__bound_f32_avx512,
    .near_f32 = nlsh__near_f32_avx512,
    .softmax_f32 = nlsh__softmax_f32_avx512,
    .quantise_u8 = nlsh__quantise_u8_avx512,
};
#endif
