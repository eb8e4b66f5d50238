/* amx_l2sq.c - panels of bytes on tile registers, exact in int32. */
#if defined(__x86_64__)
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/x86/amx.h"
#include "kernels/x86/x86.h"

/* The table that this one is made of: what does not fill tiles goes to its kernels. */
static struct nlsh__kernels narrower;

/*
 * 32 queries by 32 rows in four tiles. A group of a panel is a right side as it stands. The sums start
 * at -h, h = floor(bias / 2) of the row, so that score = bias - 2 dot = (bias & 1) - 2 sum, and
 *   score < threshold  only where  sum >= -floor((threshold - 1) / 2),
 * one comparison with memory. What passes is looked at exactly. Where rows have limits too, the same holds of
 * threshold = rows[row] - norm, and then
 *   sum >= floor(norm / 2) - floor((rows[row] - 1) / 2):
 * halves that are rounded down differ by no less than half the difference that is rounded down.
 *
 * A block is scanned while the next one is multiplied: reading a tile just stored would wait.
 */
enum { MOST_GROUPS = 64, MOST_TILES = 32 };

struct queries {
    size_t n_tiles; /* of 64 bytes; the last is filled up with zeros */
    size_t rest;    /* bytes of it that are the queries', 0: all */
    size_t first;
    struct nlsh__limits_u8 limits;
    int32_t least[Q], half_norms[Q];
    /* two tiles of 16 queries for each 64 bytes: rows that cross cache lines would load half as fast */
    _Alignas(64) int8_t values[MOST_TILES * 2 * 1024];
};

TARGET static void take_queries(struct queries *q, const int8_t *values, size_t stride,
                                size_t first, const struct nlsh__limits_u8 *limits)
{
    q->limits = *limits;
    q->first = first;
    values += first * stride;
    for (size_t i = 0; i < Q; i++) {
        int64_t below = (int64_t)limits->queries[first + i] - 1;
        q->least[i] = (int32_t) - (below >> 1);
        q->half_norms[i] = limits->rows != NULL ? limits->norms[first + i] >> 1 : 0;
        int8_t *out = q->values + i / 16 * 1024 + i % 16 * 64;
        for (size_t t = 0; t < q->n_tiles; t++, out += 2048) {
            __m512i row;
            if (t + 1 < q->n_tiles || q->rest == 0)
                row = _mm512_loadu_si512(values + i * stride + t * 64);
            else
                row = _mm512_maskz_loadu_epi8(((__mmask64)1 << q->rest) - 1,
                                              values + i * stride + t * 64);
            _mm512_store_si512(out, row);
        }
    }
    WRITTEN();
}

/* The last chunks of a group as a whole tile: where the panel ends behind them, from a copy. What
 * else follows meets zeros of the queries. */
static const uint8_t *last_tile(const struct nlsh__panel_u8 *panel, size_t group, size_t rest,
                                uint8_t *copy)
{
    size_t chunk = (group + 1) * panel->n_chunks - rest / 4;
    const uint8_t *at = panel->values + chunk * 64;
    if (panel->n_groups * panel->n_chunks - chunk >= CHUNKS) return at;
    memset(copy, 0, 1024);
    memcpy(copy, at, (panel->n_groups * panel->n_chunks - chunk) * 64);
    WRITTEN();
    return copy;
}

#define PRODUCTS(left, right, other)                                                               \
    do {                                                                                           \
        _tile_loadd(4, left, 64);                                                                  \
        _tile_stream_loadd(6, right, 64);                                                          \
        _tile_dpbsud(0, 4, 6);                                                                     \
        _tile_stream_loadd(7, other, 64);                                                          \
        _tile_dpbsud(1, 4, 7);                                                                     \
        _tile_loadd(5, (left) + 1024, 64);                                                         \
        _tile_dpbsud(2, 5, 6);                                                                     \
        _tile_dpbsud(3, 5, 7);                                                                     \
    } while (0)

/* out [Q x 32] = what stands at halves [32] + products of the queries and groups group, group + 1. */
TARGET static void multiply(const struct nlsh__panel_u8 *panel, size_t group,
                            const struct queries *q, const int32_t *halves, int32_t *out)
{
    size_t group_bytes = panel->n_chunks * 64, whole = q->n_tiles - (q->rest > 0);
    const uint8_t *right = panel->values + group * group_bytes;
    const int8_t *left = q->values;
    _tile_loadd(0, halves, 0);
    _tile_loadd(1, halves + 16, 0);
    _tile_loadd(2, halves, 0);
    _tile_loadd(3, halves + 16, 0);
    for (size_t t = 0; t < whole; t++, right += 1024, left += 2048)
        PRODUCTS(left, right, right + group_bytes);
    if (q->rest > 0) {
        _Alignas(64) uint8_t copies[2][1024];
        const uint8_t *one = last_tile(panel, group, q->rest, copies[0]);
        const uint8_t *two = last_tile(panel, group + 1, q->rest, copies[1]);
        PRODUCTS(left, one, two);
    }
    _tile_stored(0, out, 128);
    _tile_stored(1, out + 16, 128);
    _tile_stored(2, out + 16 * 32, 128);
    _tile_stored(3, out + 16 * 32 + 16, 128);
}

/* Appends the rows of a group that the limits let through. */
TARGET static void emit(const struct nlsh__panel_u8 *panel, size_t group, __m512i sums,
                        const struct nlsh__limits_u8 *limits, size_t query, struct nlsh__hits *hits)
{
    size_t row = group * NLSH__GROUP;
    __m512i limit = _mm512_set1_epi32(limits->queries[query]);
    if (limits->rows != NULL)
        limit = _mm512_max_epi32(limit, _mm512_sub_epi32(_mm512_loadu_si512(limits->rows + row),
                                                         _mm512_set1_epi32(limits->norms[query])));
    __m512i odd = _mm512_and_si512(_mm512_loadu_si512(panel->bias + row), _mm512_set1_epi32(1));
    __m512i score = _mm512_sub_epi32(odd, _mm512_slli_epi32(sums, 1));
    __mmask16 mask = _mm512_cmplt_epi32_mask(score, limit);
    if (row + NLSH__GROUP > panel->n_rows) mask &= first16(panel->n_rows - row);
    add_hits(hits, query, row, mask, score);
}

/* The pairs of query i's 32 sums of which one may be a hit: where rows have no limits, the larger of a pair
 * tells. half_rows[32] = floor((rows[row] - 1) / 2) of these rows. */
INLINE __mmask16 reach(const struct queries *q, size_t i, const int32_t *sums,
                       const int32_t *half_rows, const int both)
{
    __m512i low = _mm512_load_si512(sums + i * 32), high = _mm512_load_si512(sums + i * 32 + 16);
    __m512i least = _mm512_set1_epi32(q->least[i]);
    if (!both) return _mm512_cmpge_epi32_mask(_mm512_max_epi32(low, high), least);
    __m512i norm = _mm512_set1_epi32(q->half_norms[i]);
    __m512i x = _mm512_sub_epi32(norm, _mm512_load_si512(half_rows));
    __m512i y = _mm512_sub_epi32(norm, _mm512_load_si512(half_rows + 16));
    return _mm512_cmpge_epi32_mask(low, _mm512_min_epi32(least, x)) |
           _mm512_cmpge_epi32_mask(high, _mm512_min_epi32(least, y));
}

/* Four queries a branch, which is hardly ever taken. */
INLINE void scan_sums(const struct nlsh__panel_u8 *panel, size_t group, const struct queries *q,
                      const int32_t *sums, const int32_t *half_rows, struct nlsh__hits *hits,
                      const int both)
{
#define REACH(i) reach(q, i, sums, half_rows, both)
    for (size_t i = 0; i < Q; i += 4) {
        __mmask32 first = _mm512_kunpackw(REACH(i), REACH(i + 1));
        __mmask32 second = _mm512_kunpackw(REACH(i + 2), REACH(i + 3));
        if (__builtin_expect(_kortestz_mask32_u8(first, second), 1)) continue;
        for (size_t j = i; j < i + 4; j++) {
            if (REACH(j) == 0) continue;
            for (size_t g = 0; g < 2; g++)
                emit(panel, group + g, _mm512_load_si512(sums + j * 32 + 16 * g), &q->limits,
                     q->first + j, hits);
        }
    }
#undef REACH
}

TARGET static void scan(const struct nlsh__panel_u8 *panel, size_t group, const struct queries *q,
                        const int32_t *sums, const int32_t *half_rows, struct nlsh__hits *hits)
{
    if (q->limits.rows != NULL)
        scan_sums(panel, group, q, sums, half_rows, hits, 1);
    else
        scan_sums(panel, group, q, sums, half_rows, hits, 0);
}

/* At most MOST_GROUPS groups, an even number, by whole blocks of queries. */
TARGET static void panel_groups(const struct nlsh__panel_u8 *panel, size_t group, size_t n_groups,
                                const int8_t *queries, size_t n_queries,
                                const struct nlsh__limits_u8 *limits, struct nlsh__hits *hits)
{
    _Alignas(64) int32_t halves[MOST_GROUPS * 16], half_rows[MOST_GROUPS * 16], sums[2][Q * 32];
    struct queries q;
    size_t stride = panel->n_chunks * 4;
    q.n_tiles = (panel->n_chunks + CHUNKS - 1) / CHUNKS;
    q.rest = panel->n_chunks % CHUNKS * 4;
    for (size_t i = 0; i < n_groups * 16; i++) {
        halves[i] = -(panel->bias[group * 16 + i] >> 1);
        half_rows[i] = limits->rows != NULL ? (limits->rows[group * 16 + i] - 1) >> 1 : 0;
    }
    for (size_t first = 0; first < n_queries; first += Q) {
        take_queries(&q, queries, stride, first, limits);
        multiply(panel, group, &q, halves, sums[0]);
        for (size_t g = 2; g < n_groups; g += 2) {
            multiply(panel, group + g, &q, halves + g * 16, sums[g / 2 % 2]);
            scan(panel, group + g - 2, &q, sums[(g / 2 - 1) % 2], half_rows + (g - 2) * 16, hits);
        }
        scan(panel, group + n_groups - 2, &q, sums[(n_groups / 2 - 1) % 2],
             half_rows + (n_groups - 2) * 16, hits);
    }
}

/* What does not fill blocks, or is longer than 2,048 bytes, goes to the narrower kernel. */
static void panel_u8(const struct nlsh__panel_u8 *panel, size_t first_group, size_t n_groups,
                     const int8_t *queries, size_t n_queries, const struct nlsh__limits_u8 *limits,
                     struct nlsh__hits *hits)
{
    int fits = panel->n_chunks <= (size_t)MOST_TILES * CHUNKS;
    size_t whole_queries = fits ? n_queries / Q * Q : 0, whole_groups = n_groups / 2 * 2;
    if (whole_queries > 0 && whole_groups > 0) {
        begin_tiles();
        for (size_t g = 0; g < whole_groups; g += MOST_GROUPS) {
            size_t n = whole_groups - g < MOST_GROUPS ? whole_groups - g : MOST_GROUPS;
            panel_groups(panel, first_group + g, n, queries, whole_queries, limits, hits);
        }
        end_tiles();
    }
    if (whole_queries > 0 && whole_groups < n_groups)
        narrower.panel_u8(panel, first_group + whole_groups, 1, queries, whole_queries, limits,
                          hits);
    if (whole_queries == n_queries) return;
    struct nlsh__hits rest = *hits;
    struct nlsh__limits_u8 rest_limits = *limits;
    rest_limits.queries += whole_queries;
    if (limits->rows != NULL) rest_limits.norms += whole_queries;
    rest.n += whole_queries;
    rest.ids += whole_queries * hits->capacity;
    rest.scores.i32 += whole_queries * hits->capacity;
    narrower.panel_u8(panel, first_group, n_groups, queries + whole_queries * panel->n_chunks * 4,
                      n_queries - whole_queries, &rest_limits, &rest);
}

void nlsh__amx_l2sq(struct nlsh__kernels *table)
{
    narrower = *table;
    table->panel_u8 = panel_u8;
    table->fast_bytes = 2;
}
#endif
