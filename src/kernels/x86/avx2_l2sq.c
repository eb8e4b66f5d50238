/*
 * avx2_l2sq.c - distances and panels with AVX2.
 *
 * Of bytes, |x - y| is a byte again, whose square two steps make of words. Tails are masked loads or
 * loads that end with the row: nothing behind it is read.
 */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/prefetch.h"
#include "kernels/x86/avx2_words.h"
#include "kernels/x86/x86.h"

/* ---- rows ------------------------------------------------------------------------------------ */

INLINE __m256i add_squares(__m256i sum, __m256i x, __m256i y)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i d = _mm256_or_si256(_mm256_subs_epu8(x, y), _mm256_subs_epu8(y, x));
    __m256i low = _mm256_unpacklo_epi8(d, zero), high = _mm256_unpackhi_epi8(d, zero);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(low, low));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(high, high));
}

/* Rows shorter than 32 bytes. */
static uint32_t l2sq_short(const uint8_t *a, const uint8_t *b, size_t dim)
{
    uint32_t total = 0;
    for (size_t i = 0; i < dim; i++) {
        int32_t d = (int32_t)a[i] - (int32_t)b[i];
        total += (uint32_t)(d * d);
    }
    return total;
}

TARGET static uint32_t l2sq_u8(const uint8_t *a, const uint8_t *b, size_t dim)
{
    if (dim < 32) return l2sq_short(a, b, dim);
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;
    size_t i = 0;
    for (; i + 64 <= dim; i += 64) {
        s0 = add_squares(s0, load_bytes(a + i), load_bytes(b + i));
        s1 = add_squares(s1, load_bytes(a + i + 32), load_bytes(b + i + 32));
    }
    if (i + 32 <= dim) {
        s0 = add_squares(s0, load_bytes(a + i), load_bytes(b + i));
        i += 32;
    }
    if (i < dim) {
        __m256i mask = last32(dim - i);
        s1 = add_squares(s1, _mm256_and_si256(load_bytes(a + dim - 32), mask),
                         _mm256_and_si256(load_bytes(b + dim - 32), mask));
    }
    return sum_epi32(_mm256_add_epi32(s0, s1));
}

/* Four rows at once share the loads of the query and the last additions. dim >= 32. */
INLINE __m128i four_rows(const uint8_t *query, const uint8_t *const *x, size_t dim)
{
    __m256i sum[4];
    size_t i = 0;
    UNROLL
    for (int r = 0; r < 4; r++) sum[r] = _mm256_setzero_si256();
    for (; i + 32 <= dim; i += 32) {
        __m256i q = load_bytes(query + i);
        UNROLL
        for (int r = 0; r < 4; r++) sum[r] = add_squares(sum[r], q, load_bytes(x[r] + i));
    }
    if (i < dim) {
        __m256i mask = last32(dim - i), q = _mm256_and_si256(load_bytes(query + dim - 32), mask);
        UNROLL
        for (int r = 0; r < 4; r++)
            sum[r] = add_squares(sum[r], q, _mm256_and_si256(load_bytes(x[r] + dim - 32), mask));
    }
    return sum_each(sum);
}

TARGET static void l2sq_u8_rows(const uint8_t *query, const uint8_t *base, size_t dim,
                                const uint32_t *rows, size_t n, size_t n_more, uint32_t *out)
{
    size_t whole = dim < 32 ? 0 : n / 4 * 4;
    for (size_t i = 0; i < n; i++) {
        if (i + NLSH__AHEAD < n + n_more)
            nlsh__prefetch_bytes(base + rows[i + NLSH__AHEAD] * dim, dim);
        if (i >= whole) {
            out[i] = l2sq_u8(query, base + rows[i] * dim, dim);
        } else if (i % 4 == 3) {
            const uint8_t *x[4];
            for (size_t r = 0; r < 4; r++) x[r] = base + rows[i - 3 + r] * dim;
            _mm_storeu_si128((__m128i *)(out + i - 3), four_rows(query, x, dim));
        }
    }
}

/* Four chains: a multiply-add takes four cycles, and two are done in one. */
INLINE float sum_four(const __m256 *s)
{
    return sum_ps(_mm256_add_ps(_mm256_add_ps(s[0], s[1]), _mm256_add_ps(s[2], s[3])));
}

INLINE __m256 from_bf16(__m128i halves)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

INLINE __m256 from_scaled(__m128i bytes, float scale)
{
    return _mm256_mul_ps(_mm256_set1_ps(scale), _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)));
}

/* Values i .. i + 7 of a row of f32, f16, bf16, or of bytes times a scale. */
INLINE __m256 load8(const void *row, size_t i, const enum nlsh_type type, float scale)
{
    const __m128i *halves = (const __m128i *)((const uint16_t *)row + i);
    if (type == NLSH_F16) return _mm256_cvtph_ps(_mm_loadu_si128(halves));
    if (type == NLSH_BF16) return from_bf16(_mm_loadu_si128(halves));
    if (type == NLSH_I8)
        return from_scaled(_mm_loadl_epi64((const __m128i *)((const int8_t *)row + i)), scale);
    return _mm256_loadu_ps((const float *)row + i);
}

/* The same of the first n of them, zeros behind. */
INLINE __m256 load_first8(const void *row, size_t i, size_t n, const enum nlsh_type type,
                          float scale)
{
    uint16_t halves[8] = {0};
    int8_t bytes[8] = {0};
    if (type == NLSH_F32) return _mm256_maskload_ps((const float *)row + i, first8(n));
    if (type == NLSH_I8) {
        for (size_t j = 0; j < n && j < 8; j++) bytes[j] = ((const int8_t *)row)[i + j];
        return load8(bytes, 0, type, scale);
    }
    for (size_t j = 0; j < n && j < 8; j++) halves[j] = ((const uint16_t *)row)[i + j];
    return load8(halves, 0, type, scale);
}

INLINE float l2sq_of(const float *a, const void *b, size_t dim, const enum nlsh_type type,
                     float scale)
{
    __m256 sums[4];
    size_t i = 0;
    UNROLL
    for (size_t j = 0; j < 4; j++) sums[j] = _mm256_setzero_ps();
    for (; i + 32 <= dim; i += 32) {
        UNROLL
        for (size_t j = 0; j < 4; j++) {
            __m256 d =
                _mm256_sub_ps(load8(a, i + 8 * j, NLSH_F32, 1), load8(b, i + 8 * j, type, scale));
            sums[j] = _mm256_fmadd_ps(d, d, sums[j]);
        }
    }
    for (; i < dim; i += 8) {
        __m256 d = _mm256_sub_ps(load_first8(a, i, dim - i, NLSH_F32, 1),
                                 load_first8(b, i, dim - i, type, scale));
        sums[i / 8 % 4] = _mm256_fmadd_ps(d, d, sums[i / 8 % 4]);
    }
    return sum_four(sums);
}

INLINE float dot_of(const float *a, const void *b, size_t dim, const enum nlsh_type type,
                    float scale)
{
    __m256 sums[4];
    size_t i = 0;
    UNROLL
    for (size_t j = 0; j < 4; j++) sums[j] = _mm256_setzero_ps();
    for (; i + 32 <= dim; i += 32) {
        UNROLL
        for (size_t j = 0; j < 4; j++)
            sums[j] = _mm256_fmadd_ps(load8(a, i + 8 * j, NLSH_F32, 1),
                                      load8(b, i + 8 * j, type, scale), sums[j]);
    }
    for (; i < dim; i += 8)
        sums[0] = _mm256_fmadd_ps(load_first8(a, i, dim - i, NLSH_F32, 1),
                                  load_first8(b, i, dim - i, type, scale), sums[0]);
    return sum_four(sums);
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
    __m256 sums[4];
    size_t i = 0;
    UNROLL
    for (size_t j = 0; j < 4; j++) sums[j] = _mm256_setzero_ps();
    for (; i + 32 <= dim; i += 32) {
        UNROLL
        for (size_t j = 0; j < 4; j++) {
            __m256i x = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(b + i + 8 * j)));
            __m256 d = _mm256_sub_ps(_mm256_loadu_ps(a + i + 8 * j), _mm256_cvtepi32_ps(x));
            sums[j] = _mm256_fmadd_ps(d, d, sums[j]);
        }
    }
    for (; i + 8 <= dim; i += 8) {
        __m256i x = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(b + i)));
        __m256 d = _mm256_sub_ps(_mm256_loadu_ps(a + i), _mm256_cvtepi32_ps(x));
        sums[0] = _mm256_fmadd_ps(d, d, sums[0]);
    }
    float total = sum_four(sums);
    for (; i < dim; i++) total += (a[i] - (float)b[i]) * (a[i] - (float)b[i]);
    return total;
}

/* ---- panels of bytes ------------------------------------------------------------------------- */

/* nv queries, from q0 on, with all the groups. */
INLINE void panel_u8_queries(const struct nlsh__panel_u8 *panel, size_t first_group,
                             size_t n_groups, const int8_t *queries, size_t q0,
                             const struct nlsh__limits_u8 *limits, struct nlsh__hits *hits,
                             const int nv)
{
    size_t stride = panel->n_chunks * 4;
    const int8_t *x = queries + q0 * stride;
    int16_t wide[AT_ONCE * 4 * BLOCK];
    if (panel->n_chunks <= BLOCK) widen_vectors(x, stride, 0, panel->n_chunks, wide, nv, VECTORS);
    for (size_t half = 2 * first_group; half < 2 * (first_group + n_groups); half++) {
        const uint8_t *rows = panel->values + half / 2 * panel->n_chunks * 64 + half % 2 * 32;
        __m256i sums[2 * AT_ONCE];
        products_of_rows(rows, panel->n_chunks, x, stride, wide, sums, nv, VECTORS);
        for (size_t i = 0; i < (size_t)nv; i++)
            add_near_u8(panel, 8 * half, row_sums(sums + 2 * i), q0 + i, limits, hits);
    }
}

TARGET static void panel_u8(const struct nlsh__panel_u8 *panel, size_t first_group, size_t n_groups,
                            const int8_t *queries, size_t n_queries,
                            const struct nlsh__limits_u8 *limits, struct nlsh__hits *hits)
{
    size_t q = 0;
    for (; q + 6 <= n_queries; q += 6)
        panel_u8_queries(panel, first_group, n_groups, queries, q, limits, hits, 6);
    for (; q + 2 <= n_queries; q += 2)
        panel_u8_queries(panel, first_group, n_groups, queries, q, limits, hits, 2);
    if (q < n_queries) panel_u8_queries(panel, first_group, n_groups, queries, q, limits, hits, 1);
}

/* ---- panels of floats ------------------------------------------------------------------------ */

/* nq queries with a group: 6 x 2 sums, the two halves of the group and a broadcast fill 15 of 16
 * registers. */
INLINE void tile_f32(const struct nlsh__panel_f32 *panel, size_t group, const float *queries,
                     size_t q0, const struct nlsh__limits_f32 *limits, struct nlsh__hits *hits,
                     const int nq)
{
    size_t dim = panel->dim;
    const float *x = panel->values + group * dim * NLSH__GROUP, *y = queries + q0 * dim;
    __m256 dot[6][2];
    UNROLL
    for (int q = 0; q < nq; q++) dot[q][0] = dot[q][1] = _mm256_setzero_ps();
    for (size_t d = 0; d < dim; d++) {
        __m256 low = _mm256_load_ps(x + d * 16), high = _mm256_load_ps(x + d * 16 + 8);
        UNROLL
        for (int q = 0; q < nq; q++) {
            __m256 one = _mm256_broadcast_ss(y + (size_t)q * dim + d);
            dot[q][0] = _mm256_fmadd_ps(low, one, dot[q][0]);
            dot[q][1] = _mm256_fmadd_ps(high, one, dot[q][1]);
        }
    }
    UNROLL
    for (int q = 0; q < nq; q++) {
        __m256 own = _mm256_set1_ps(limits->queries[q0 + (size_t)q]);
        UNROLL
        for (size_t h = 0; h < 2; h++) {
            size_t row = group * NLSH__GROUP + 8 * h;
            __m256 score =
                _mm256_fnmadd_ps(_mm256_set1_ps(2), dot[q][h], _mm256_load_ps(panel->bias + row));
            __m256 limit = own;
            if (limits->rows != NULL) /* max() gives its second operand where one is no number */
                limit = _mm256_max_ps(_mm256_sub_ps(_mm256_loadu_ps(limits->rows + row),
                                                    _mm256_set1_ps(limits->norms[q0 + (size_t)q])),
                                      own);
            __m256 near = _mm256_cmp_ps(score, limit, _CMP_LT_OQ);
            add_hits(hits, q0 + (size_t)q, row, _mm256_castps_si256(near),
                     _mm256_castps_si256(score));
        }
    }
}

TARGET static void panel_f32(const struct nlsh__panel_f32 *panel, size_t first_group,
                             size_t n_groups, const float *queries, size_t n_queries,
                             const struct nlsh__limits_f32 *limits, struct nlsh__hits *hits)
{
    for (size_t g = first_group; g < first_group + n_groups; g++) {
        size_t q = 0;
        for (; q + 6 <= n_queries; q += 6) tile_f32(panel, g, queries, q, limits, hits, 6);
        for (; q + 2 <= n_queries; q += 2) tile_f32(panel, g, queries, q, limits, hits, 2);
        if (q < n_queries) tile_f32(panel, g, queries, q, limits, hits, 1);
    }
}

void nlsh__avx2_l2sq(struct nlsh__kernels *table)
{
    table->l2sq_u8 = l2sq_u8;
    table->l2sq_f32 = l2sq_f32;
    table->l2sq_f32_u8 = l2sq_f32_u8;
    table->dot_f32 = dot_f32;
    table->l2sq_f32_f16 = l2sq_f32_f16;
    table->dot_f32_f16 = dot_f32_f16;
    table->l2sq_f32_bf16 = l2sq_f32_bf16;
    table->dot_f32_bf16 = dot_f32_bf16;
    table->l2sq_f32_i8 = l2sq_f32_i8;
    table->dot_f32_i8 = dot_f32_i8;
    table->l2sq_u8_rows = l2sq_u8_rows;
    table->panel_u8 = panel_u8;
    table->panel_f32 = panel_f32;
}
#endif
