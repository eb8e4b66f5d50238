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
                    size_t q0, const struct nlsh__limits_u8 *limits, struct nlsh__hits *hits,
                    const int nq, const int ng)
{
    __m512i dot[24];
    products_u8(panel, group, queries + q0 * panel->n_chunks * 4, dot, nq, ng);
    for (size_t q = q0; q < q0 + (size_t)nq; q++) {
        __m512i own = _mm512_set1_epi32(limits->queries[q]);
        for (size_t g = 0; g < (size_t)ng; g++) {
            size_t row = (group + g) * NLSH__GROUP;
            __m512i score = _mm512_sub_epi32(_mm512_load_si512(panel->bias + row),
                                             _mm512_slli_epi32(dot[(q - q0) * 4 + g], 1));
            __m512i limit = own;
            if (limits->rows != NULL)
                limit =
                    _mm512_max_epi32(own, _mm512_sub_epi32(_mm512_loadu_si512(limits->rows + row),
                                                           _mm512_set1_epi32(limits->norms[q])));
            __mmask16 mask = _mm512_cmplt_epi32_mask(score, limit);
            if (__builtin_expect(mask == 0, 1)) continue;
            if (row + NLSH__GROUP > panel->n_rows) mask &= first16(panel->n_rows - row);
            add_hits(hits, q, row, mask, score);
        }
    }
}

INLINE void tiles_u8(const struct nlsh__panel_u8 *panel, size_t group, const int8_t *queries,
                     size_t n_queries, const struct nlsh__limits_u8 *limits,
                     struct nlsh__hits *hits, const int ng)
{
    size_t q = 0;
    for (; q + 6 <= n_queries; q += 6) tile_u8(panel, group, queries, q, limits, hits, 6, ng);
    for (; q + 2 <= n_queries; q += 2) tile_u8(panel, group, queries, q, limits, hits, 2, ng);
    if (q < n_queries) tile_u8(panel, group, queries, q, limits, hits, 1, ng);
}

TARGET static void panel_u8(const struct nlsh__panel_u8 *panel, size_t first_group, size_t n_groups,
                            const int8_t *queries, size_t n_queries,
                            const struct nlsh__limits_u8 *limits, struct nlsh__hits *hits)
{
    size_t g = first_group, end = first_group + n_groups;
    for (; g + 4 <= end; g += 4) tiles_u8(panel, g, queries, n_queries, limits, hits, 4);
    for (; g < end; g++) tiles_u8(panel, g, queries, n_queries, limits, hits, 1);
}

/* |x - q|^2 = sum x (x - 128) - 2 sum x (q - 128) - 128 sum x + |q|^2, where the factors in brackets
 * are signed bytes: the highest bit flipped. These are the three sums of x. */
struct sums {
    __m512i own, with, all;
};

INLINE void add_bytes(struct sums *s, __m512i x, __m512i flipped_query)
{
    const __m512i flip = _mm512_set1_epi8((char)0x80), ones = _mm512_set1_epi8(1);
    s->own = dot4(s->own, x, _mm512_xor_si512(x, flip));
    s->with = dot4(s->with, x, flipped_query);
    s->all = dot4(s->all, x, ones);
}

/* |x - q|^2 - |q|^2, spread over 8 lanes. */
INLINE __m256i distance_of(const struct sums *s)
{
    __m512i both = _mm512_add_epi32(_mm512_slli_epi32(s->with, 1), _mm512_slli_epi32(s->all, 7));
    __m512i v = _mm512_sub_epi32(s->own, both);
    return _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
}

/* |x - q|^2 - |q|^2 of four rows at once, which share the loads of q and the last additions. */
INLINE __m128i four_rows(const uint8_t *query, const uint8_t *const *x, const uint8_t *const *ahead,
                         size_t dim)
{
    const __m512i flip = _mm512_set1_epi8((char)0x80), zero = _mm512_setzero_si512();
    struct sums s[4];
    UNROLL
    for (int r = 0; r < 4; r++) s[r] = (struct sums){zero, zero, zero};
    size_t whole = dim / 64 * 64;
    for (size_t i = 0; i < whole; i += 64) {
        __m512i q = _mm512_xor_si512(_mm512_loadu_si512(query + i), flip);
        UNROLL
        for (int r = 0; r < 4; r++) {
            nlsh__prefetch(ahead[r] + i);
            add_bytes(&s[r], _mm512_loadu_si512(x[r] + i), q);
        }
    }
    if (whole < dim) {
        __mmask64 mask = first64(dim - whole);
        __m512i q = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, query + whole), flip);
        UNROLL
        for (int r = 0; r < 4; r++) {
            nlsh__prefetch(ahead[r] + whole);
            add_bytes(&s[r], _mm512_maskz_loadu_epi8(mask, x[r] + whole), q);
        }
    }
    __m256i v = _mm256_hadd_epi32(_mm256_hadd_epi32(distance_of(&s[0]), distance_of(&s[1])),
                                  _mm256_hadd_epi32(distance_of(&s[2]), distance_of(&s[3])));
    return _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
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
    int length = _mm512_reduce_add_epi32(_mm512_add_epi32(own, _mm512_slli_epi32(sum, 7)));
    for (size_t i = 0; i < n; i += 4) {
        const uint8_t *x[4], *ahead[4];
        for (size_t r = 0; r < 4; r++) {
            size_t at = i + r < n ? i + r : i;
            size_t next = at + NLSH__AHEAD < n + n_more ? at + NLSH__AHEAD : at;
            x[r] = base + rows[at] * dim;
            ahead[r] = base + rows[next] * dim;
        }
        __m128i four = _mm_add_epi32(_mm_set1_epi32(length), four_rows(query, x, ahead, dim));
        _mm_mask_storeu_epi32(out + i, (__mmask8)first16(n - i), four);
    }
}

void nlsh__avx512vnni_l2sq(struct nlsh__kernels *table)
{
    table->l2sq_u8 = l2sq_u8;
    table->l2sq_u8_rows = l2sq_u8_rows;
    table->panel_u8 = panel_u8;
    table->fast_bytes = 1;
}
#endif
