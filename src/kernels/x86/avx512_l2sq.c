/*
 * avx512_l2sq.c - distances and panels with AVX-512. Tails are masked loads: they read nothing
 * behind the rows. Bytes without VNNI are left to AVX2: 512 bits are slower there.
 */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/x86/avx512.h"
#include "kernels/x86/x86.h"

INLINE __m512 from_bf16(__m256i halves)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

INLINE __m512 from_scaled(__m128i bytes, float scale)
{
    return _mm512_mul_ps(_mm512_set1_ps(scale), _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)));
}

/* Values i .. i + 15 of a row of f32, f16, bf16, or of bytes times a scale; those outside of the mask are zeros, and not
 * read. */
INLINE __m512 load16(const void *row, size_t i, const enum nlsh_type type, float scale)
{
    const __m256i *halves = (const __m256i *)((const uint16_t *)row + i);
    if (type == NLSH_F16) return _mm512_cvtph_ps(_mm256_loadu_si256(halves));
    if (type == NLSH_BF16) return from_bf16(_mm256_loadu_si256(halves));
    if (type == NLSH_I8)
        return from_scaled(_mm_loadu_si128((const __m128i *)((const int8_t *)row + i)), scale);
    return _mm512_loadu_ps((const float *)row + i);
}

INLINE __m512 load_first16(const void *row, size_t i, __mmask16 mask, const enum nlsh_type type,
                           float scale)
{
    const uint16_t *halves = (const uint16_t *)row + i;
    if (type == NLSH_F16) return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, halves));
    if (type == NLSH_BF16) return from_bf16(_mm256_maskz_loadu_epi16(mask, halves));
    if (type == NLSH_I8)
        return from_scaled(_mm_maskz_loadu_epi8(mask, (const int8_t *)row + i), scale);
    return _mm512_maskz_loadu_ps(mask, (const float *)row + i);
}

INLINE float l2sq_of(const float *a, const void *b, size_t dim, const enum nlsh_type type,
                     float scale)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 32 <= dim; i += 32) {
        __m512 d0 = _mm512_sub_ps(load16(a, i, NLSH_F32, 1), load16(b, i, type, scale));
        __m512 d1 = _mm512_sub_ps(load16(a, i + 16, NLSH_F32, 1), load16(b, i + 16, type, scale));
        s0 = _mm512_fmadd_ps(d0, d0, s0);
        s1 = _mm512_fmadd_ps(d1, d1, s1);
    }
    for (; i < dim; i += 16) {
        __mmask16 mask = first16(dim - i);
        __m512 d = _mm512_sub_ps(load_first16(a, i, mask, NLSH_F32, 1),
                                 load_first16(b, i, mask, type, scale));
        s0 = _mm512_fmadd_ps(d, d, s0);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

INLINE float dot_of(const float *a, const void *b, size_t dim, const enum nlsh_type type,
                    float scale)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;
    size_t i = 0;
    for (; i + 32 <= dim; i += 32) {
        s0 = _mm512_fmadd_ps(load16(a, i, NLSH_F32, 1), load16(b, i, type, scale), s0);
        s1 = _mm512_fmadd_ps(load16(a, i + 16, NLSH_F32, 1), load16(b, i + 16, type, scale), s1);
    }
    for (; i < dim; i += 16) {
        __mmask16 mask = first16(dim - i);
        s0 = _mm512_fmadd_ps(load_first16(a, i, mask, NLSH_F32, 1),
                             load_first16(b, i, mask, type, scale), s0);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

TARGET static float l2sq_f32(const float *a, const float *b, size_t dim)
{
    return l2sq_of(a, b, dim, NLSH_F32, 1);
}

TARGET static float dot_f32(const float *a, const float *b, size_t dim)
{
    return dot_of(a, b, dim, NLSH_F32, 1);
}

TARGET static float l2sq_f32_f16(const float *a, const uint16_t *b, size_t dim)
{
    return l2sq_of(a, b, dim, NLSH_F16, 1);
}

TARGET static float dot_f32_f16(const float *a, const uint16_t *b, size_t dim)
{
    return dot_of(a, b, dim, NLSH_F16, 1);
}

TARGET static float l2sq_f32_bf16(const float *a, const uint16_t *b, size_t dim)
{
    return l2sq_of(a, b, dim, NLSH_BF16, 1);
}

TARGET static float dot_f32_bf16(const float *a, const uint16_t *b, size_t dim)
{
    return dot_of(a, b, dim, NLSH_BF16, 1);
}

TARGET static float l2sq_f32_i8(const float *a, const int8_t *b, float scale, size_t dim)
{
    return l2sq_of(a, b, dim, NLSH_I8, scale);
}

TARGET static float dot_f32_i8(const float *a, const int8_t *b, float scale, size_t dim)
{
    return dot_of(a, b, dim, NLSH_I8, scale);
}

TARGET static float l2sq_f32_u8(const float *a, const uint8_t *b, size_t dim)
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
        __mmask16 mask = first16(dim - i);
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
                     size_t q0, const struct nlsh__limits_f32 *limits, struct nlsh__hits *hits,
                     const int nq, const int ng)
{
    __m512 dot[24];
    products_f32(panel, group, queries + q0 * panel->dim, dot, nq, ng);
    for (size_t q = q0; q < q0 + (size_t)nq; q++) {
        __m512 own = _mm512_set1_ps(limits->queries[q]);
        for (size_t g = 0; g < (size_t)ng; g++) {
            size_t row = (group + g) * NLSH__GROUP;
            __m512 score = _mm512_fnmadd_ps(_mm512_set1_ps(2), dot[(q - q0) * 4 + g],
                                            _mm512_load_ps(panel->bias + row));
            __m512 limit = own;
            if (limits->rows != NULL) /* max() gives its second operand where one is no number */
                limit = _mm512_max_ps(_mm512_sub_ps(_mm512_loadu_ps(limits->rows + row),
                                                    _mm512_set1_ps(limits->norms[q])),
                                      own);
            __mmask16 mask = _mm512_cmp_ps_mask(score, limit, _CMP_LT_OQ);
            if (__builtin_expect(mask == 0, 1)) continue;
            add_hits(hits, q, row, mask, _mm512_castps_si512(score));
        }
    }
}

INLINE void tiles_f32(const struct nlsh__panel_f32 *panel, size_t group, const float *queries,
                      size_t n_queries, const struct nlsh__limits_f32 *limits,
                      struct nlsh__hits *hits, const int ng)
{
    size_t q = 0;
    for (; q + 6 <= n_queries; q += 6) tile_f32(panel, group, queries, q, limits, hits, 6, ng);
    for (; q + 2 <= n_queries; q += 2) tile_f32(panel, group, queries, q, limits, hits, 2, ng);
    if (q < n_queries) tile_f32(panel, group, queries, q, limits, hits, 1, ng);
}

TARGET static void panel_f32(const struct nlsh__panel_f32 *panel, size_t first_group,
                             size_t n_groups, const float *queries, size_t n_queries,
                             const struct nlsh__limits_f32 *limits, struct nlsh__hits *hits)
{
    size_t g = first_group, end = first_group + n_groups;
    for (; g + 4 <= end; g += 4) tiles_f32(panel, g, queries, n_queries, limits, hits, 4);
    for (; g < end; g++) tiles_f32(panel, g, queries, n_queries, limits, hits, 1);
}

void nlsh__avx512_l2sq(struct nlsh__kernels *table)
{
    table->l2sq_f32 = l2sq_f32;
    table->l2sq_f32_u8 = l2sq_f32_u8;
    table->dot_f32 = dot_f32;
    table->l2sq_f32_f16 = l2sq_f32_f16;
    table->dot_f32_f16 = dot_f32_f16;
    table->l2sq_f32_bf16 = l2sq_f32_bf16;
    table->dot_f32_bf16 = dot_f32_bf16;
    table->l2sq_f32_i8 = l2sq_f32_i8;
    table->dot_f32_i8 = dot_f32_i8;
    table->panel_f32 = panel_f32;
}
#endif
