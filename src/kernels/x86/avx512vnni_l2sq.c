/*
 * avx512vnni_l2sq.c - distances and panels of bytes on vpdpbusd and vpdpwssd, which add exactly into
 * int32.
 */
#if defined(__x86_64__)
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/prefetch.h"
#include "kernels/x86/avx512vnni.h"
#include "kernels/x86/x86.h"

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
        __mmask32 mask = first32(dim - i);
        __m512i d = _mm512_sub_epi16(_mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask, a + i)),
                                     _mm512_cvtepu8_epi16(_mm256_maskz_loadu_epi8(mask, b + i)));
        s0 = _mm512_dpwssd_epi32(s0, d, d);
    }
    return (uint32_t)_mm512_reduce_add_epi32(_mm512_add_epi32(s0, s1));
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
            if (row + NLSH__GROUP > panel->n_rows) mask &= first16(panel->n_rows - row);
            add_hits(hits, q, row, mask, score);
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
        __mmask64 mask = first64(dim - i);
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
        __mmask64 mask = first64(dim - i);
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

void nlsh__avx512vnni_l2sq(struct nlsh__kernels *table)
{
    table->l2sq_u8 = l2sq_u8;
    table->l2sq_u8_rows = l2sq_u8_rows;
    table->panel_u8 = panel_u8;
}
#endif
