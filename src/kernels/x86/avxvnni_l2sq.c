/*
 * avxvnni_l2sq.c - distances and panels of bytes on vpdpbusd of 256 bits, which adds
 * exactly into int32.
 */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/prefetch.h"
#include "kernels/x86/avxvnni.h"
#include "kernels/x86/x86.h"

/* ---- rows ------------------------------------------------------------------------------------ */

/*
 * |x - q|^2 = sum x (x - 128) - 2 sum x (q - 128) - 128 sum x + |q|^2, where the factors in brackets
 * are signed bytes: the highest bit flipped. These are the three sums of x.
 */
struct sums {
    __m256i own, with, all;
};

INLINE void add_bytes(struct sums *s, __m256i x, __m256i flipped_query)
{
    const __m256i flip = _mm256_set1_epi8((char)0x80), ones = _mm256_set1_epi8(1);
    s->own = dot4(s->own, x, _mm256_xor_si256(x, flip));
    s->with = dot4(s->with, x, flipped_query);
    s->all = dot4(s->all, x, ones);
}

/* |x|^2, still in lanes. */
INLINE __m256i length_of(const struct sums *s)
{
    return _mm256_add_epi32(s->own, _mm256_slli_epi32(s->all, 7));
}

/* The squared distance less |q|^2, still in lanes. */
INLINE __m256i distance_of(const struct sums *s)
{
    __m256i both = _mm256_add_epi32(_mm256_slli_epi32(s->with, 1), _mm256_slli_epi32(s->all, 7));
    return _mm256_sub_epi32(s->own, both);
}

/* Two rows, of dim >= 32, with a query. */
INLINE void two_rows(const uint8_t *query, const uint8_t *const *x, size_t dim, __m256i *out)
{
    const __m256i flip = _mm256_set1_epi8((char)0x80), zero = _mm256_setzero_si256();
    struct sums s[2] = {{zero, zero, zero}, {zero, zero, zero}};
    size_t i = 0;
    for (; i + 32 <= dim; i += 32) {
        __m256i q = _mm256_xor_si256(load_bytes(query + i), flip);
        add_bytes(&s[0], load_bytes(x[0] + i), q);
        add_bytes(&s[1], load_bytes(x[1] + i), q);
    }
    if (i < dim) { /* the last 32 bytes, less those that were counted */
        __m256i mask = last32(dim - i), q = _mm256_xor_si256(load_bytes(query + dim - 32), flip);
        add_bytes(&s[0], _mm256_and_si256(load_bytes(x[0] + dim - 32), mask), q);
        add_bytes(&s[1], _mm256_and_si256(load_bytes(x[1] + dim - 32), mask), q);
    }
    out[0] = distance_of(&s[0]);
    out[1] = distance_of(&s[1]);
}

/* |q|^2 of dim >= 32 bytes. */
INLINE uint32_t length_u8(const uint8_t *q, size_t dim)
{
    const __m256i zero = _mm256_setzero_si256();
    struct sums s = {zero, zero, zero};
    size_t i = 0;
    for (; i + 32 <= dim; i += 32) add_bytes(&s, load_bytes(q + i), zero);
    if (i < dim) add_bytes(&s, _mm256_and_si256(load_bytes(q + dim - 32), last32(dim - i)), zero);
    return sum_epi32(length_of(&s));
}

/* The table that this one is made of: short rows go to its kernels. */
static struct nlsh__kernels narrower;

TARGET static void l2sq_u8_rows(const uint8_t *query, const uint8_t *base, size_t dim,
                                const uint32_t *rows, size_t n, size_t n_more, uint32_t *out)
{
    if (dim < 32) {
        narrower.l2sq_u8_rows(query, base, dim, rows, n, n_more, out);
        return;
    }
    const __m128i length = _mm_set1_epi32((int)length_u8(query, dim));
    for (size_t i = 0; i < n; i += 4) {
        const uint8_t *x[4];
        __m256i v[4];
        for (size_t r = 0; r < 4; r++) {
            size_t at = i + r < n ? i + r : i;
            x[r] = base + rows[at] * dim;
            if (at + NLSH__AHEAD < n + n_more)
                nlsh__prefetch_bytes(base + rows[at + NLSH__AHEAD] * dim, dim);
        }
        two_rows(query, x, dim, v);
        two_rows(query, x + 2, dim, v + 2);
        __m128i answer = _mm_add_epi32(length, sum_each(v));
        if (i + 4 <= n)
            _mm_storeu_si128((__m128i *)(out + i), answer);
        else
            _mm_maskstore_epi32((int *)(out + i), _mm256_castsi256_si128(first8(n - i)), answer);
    }
}

/* ---- panels ---------------------------------------------------------------------------------- */

/* nq queries with a group: 6 x 2 sums, the two halves of the group and a broadcast fill 15 of 16
 * registers. */
INLINE void tile_u8(const struct nlsh__panel_u8 *panel, size_t group, const int8_t *queries,
                    size_t q0, const struct nlsh__limits_u8 *limits, struct nlsh__hits *hits,
                    const int nq)
{
    size_t stride = panel->n_chunks * 4;
    const uint8_t *x = panel->values + group * panel->n_chunks * 64;
    const int8_t *y = queries + q0 * stride;
    __m256i dot[6][2];
    UNROLL
    for (int q = 0; q < nq; q++) dot[q][0] = dot[q][1] = _mm256_setzero_si256();
    for (size_t c = 0; c < panel->n_chunks; c++) {
        __m256i low = load_bytes(x + 64 * c), high = load_bytes(x + 64 * c + 32);
        UNROLL
        for (int q = 0; q < nq; q++) {
            __m256i four = repeat4(y + (size_t)q * stride + 4 * c);
            dot[q][0] = dot4(dot[q][0], low, four);
            dot[q][1] = dot4(dot[q][1], high, four);
        }
    }
    UNROLL
    for (int q = 0; q < nq; q++) {
        UNROLL
        for (size_t h = 0; h < 2; h++)
            add_near_u8(panel, group * NLSH__GROUP + 8 * h, dot[q][h], q0 + (size_t)q, limits,
                        hits);
    }
}

TARGET static void panel_u8(const struct nlsh__panel_u8 *panel, size_t first_group, size_t n_groups,
                            const int8_t *queries, size_t n_queries,
                            const struct nlsh__limits_u8 *limits, struct nlsh__hits *hits)
{
    for (size_t g = first_group; g < first_group + n_groups; g++) {
        size_t q = 0;
        for (; q + 6 <= n_queries; q += 6) tile_u8(panel, g, queries, q, limits, hits, 6);
        for (; q + 2 <= n_queries; q += 2) tile_u8(panel, g, queries, q, limits, hits, 2);
        if (q < n_queries) tile_u8(panel, g, queries, q, limits, hits, 1);
    }
}

void nlsh__avxvnni_l2sq(struct nlsh__kernels *table)
{
    narrower = *table;
    table->l2sq_u8_rows = l2sq_u8_rows;
    table->panel_u8 = panel_u8;
    table->fast_bytes = 1;
}
#endif
