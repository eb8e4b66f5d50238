/*
 * amx.c - products on tile registers: tdpbf16ps for training (kernels/bf16.h), tdpbsud for panels of
 * bytes, exact in int32.
 *
 * Linux gives a process the tiles when it asks (Documentation/arch/x86/xstate.rst); where it does
 * not, or knows nothing of them, the next table serves.
 */
#define _GNU_SOURCE /* syscall */
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/tables.h"

#define TARGET __attribute__((target("amx-tile,amx-bf16,amx-int8,avx512f,avx512bw")))

int nlsh__amx_allowed(void)
{
    unsigned a, b, c, d;
    const unsigned bf16 = 1u << 22, tile = 1u << 24, int8 = 1u << 25;
    const long request_permission = 0x1023, tile_data = 18;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return 0;
    if ((d & bf16) == 0 || (d & tile) == 0 || (d & int8) == 0) return 0;
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

/* What was written before is read by tiles after: gcc's tile loads do not say that they read. */
#define WRITTEN() __asm__ volatile("" ::: "memory")

/* Eight tiles of 16 rows of 64 bytes: 0 to 3 sums, 4 and 5 left, 6 and 7 right. */
TARGET static void begin(void)
{
    static const struct {
        uint8_t palette, start, none[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1,
                .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&config);
}

TARGET static void end(void)
{
    _tile_release();
}

TARGET static void product(const uint16_t *a, size_t a_step, const uint16_t *b, size_t b_step,
                           size_t ni, size_t nj, size_t nk, float *c, size_t ldc)
{
    WRITTEN();
    for (size_t j = 0; j < nj; j += 2)
        for (size_t i = 0; i < ni; i += 2) {
            const uint16_t *left = a + i * a_step, *right = b + j * b_step;
            float *out = c + 16 * i * ldc + 16 * j;
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
            for (size_t t = 0; t < nk; t++, left += NLSH__TILE, right += NLSH__TILE) {
                _tile_loadd(4, left, 64);
                _tile_loadd(6, right, 64);
                _tile_dpbf16ps(0, 4, 6);
                _tile_loadd(7, right + b_step, 64);
                _tile_dpbf16ps(1, 4, 7);
                _tile_loadd(5, left + a_step, 64);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
            _tile_stored(0, out, 4 * ldc);
            _tile_stored(1, out + 16, 4 * ldc);
            _tile_stored(2, out + 16 * ldc, 4 * ldc);
            _tile_stored(3, out + 16 * ldc + 16, 4 * ldc);
        }
}

/* ---- panels of bytes ------------------------------------------------------------------------- */

/*
 * 32 queries by 32 rows in four tiles. A group of a panel is a right side as it stands. The sums start
 * at -h, h = floor(bias / 2) of the row, so that score = bias - 2 dot = (bias & 1) - 2 sum, and
 *   score < threshold  only where  sum >= -floor((threshold - 1) / 2),
 * one comparison with memory. What passes is looked at exactly.
 *
 * A block is scanned while the next one is multiplied: reading a tile just stored would wait.
 */
enum { Q = 32, CHUNKS = 16, MOST_GROUPS = 64, MOST_TILES = 32 };

struct queries {
    size_t n_tiles; /* of 64 bytes; the last is filled up with zeros */
    size_t rest;    /* bytes of it that are the queries', 0: all */
    size_t first;
    const int32_t *thresholds; /* [Q] */
    int32_t least[Q];
    /* two tiles of 16 queries for each 64 bytes: rows that cross cache lines would load half as fast */
    _Alignas(64) int8_t values[MOST_TILES * 2 * 1024];
};

TARGET static void take_queries(struct queries *q, const int8_t *values, size_t stride,
                                size_t first, const int32_t *thresholds)
{
    q->thresholds = thresholds + first;
    q->first = first;
    values += first * stride;
    for (size_t i = 0; i < Q; i++) {
        int64_t below = (int64_t)q->thresholds[i] - 1;
        q->least[i] = (int32_t) - (below >> 1);
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

/* Appends the rows of a group whose score is below the threshold. */
TARGET static void emit(const struct nlsh__panel_u8 *panel, size_t group, __m512i sums,
                        int32_t threshold, size_t query, struct nlsh__hits *hits)
{
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    size_t row = group * NLSH__GROUP;
    __m512i odd = _mm512_and_si512(_mm512_loadu_si512(panel->bias + row), _mm512_set1_epi32(1));
    __m512i score = _mm512_sub_epi32(odd, _mm512_slli_epi32(sums, 1));
    __mmask16 mask = _mm512_cmplt_epi32_mask(score, _mm512_set1_epi32(threshold));
    if (row + NLSH__GROUP > panel->n_rows) mask &= (__mmask16)((1u << (panel->n_rows - row)) - 1);
    size_t slot = query * hits->capacity + hits->n[query];
    _mm512_storeu_si512(hits->scores.i32 + slot, _mm512_maskz_compress_epi32(mask, score));
    __m512i ids = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)row));
    _mm512_storeu_si512(hits->ids + slot, _mm512_maskz_compress_epi32(mask, ids));
    hits->n[query] += (uint32_t)__builtin_popcount(mask);
}

/* Sums of a query's 32 rows that reach its least: the larger of each pair. */
#define REACH(i)                                                                                   \
    _mm512_cmpge_epi32_mask(                                                                       \
        _mm512_max_epi32(_mm512_load_si512(sums + (i)*32), _mm512_load_si512(sums + (i)*32 + 16)), \
        _mm512_set1_epi32(q->least[i]))

/* Four queries a branch, which is hardly ever taken. */
TARGET static void scan(const struct nlsh__panel_u8 *panel, size_t group, const struct queries *q,
                        const int32_t *sums, struct nlsh__hits *hits)
{
    for (size_t i = 0; i < Q; i += 4) {
        __mmask32 first = _mm512_kunpackw(REACH(i), REACH(i + 1));
        __mmask32 second = _mm512_kunpackw(REACH(i + 2), REACH(i + 3));
        if (__builtin_expect(_kortestz_mask32_u8(first, second), 1)) continue;
        for (size_t j = i; j < i + 4; j++) {
            if (REACH(j) == 0) continue;
            for (size_t g = 0; g < 2; g++)
                emit(panel, group + g, _mm512_load_si512(sums + j * 32 + 16 * g), q->thresholds[j],
                     q->first + j, hits);
        }
    }
}

/* At most MOST_GROUPS groups, an even number, by whole blocks of queries. */
TARGET static void panel_groups(const struct nlsh__panel_u8 *panel, size_t group, size_t n_groups,
                                const int8_t *queries, size_t n_queries, const int32_t *thresholds,
                                struct nlsh__hits *hits)
{
    _Alignas(64) int32_t halves[MOST_GROUPS * 16], sums[2][Q * 32];
    struct queries q;
    size_t stride = panel->n_chunks * 4;
    q.n_tiles = (panel->n_chunks + CHUNKS - 1) / CHUNKS;
    q.rest = panel->n_chunks % CHUNKS * 4;
    for (size_t i = 0; i < n_groups * 16; i++) halves[i] = -(panel->bias[group * 16 + i] >> 1);
    for (size_t first = 0; first < n_queries; first += Q) {
        take_queries(&q, queries, stride, first, thresholds);
        multiply(panel, group, &q, halves, sums[0]);
        for (size_t g = 2; g < n_groups; g += 2) {
            multiply(panel, group + g, &q, halves + g * 16, sums[g / 2 % 2]);
            scan(panel, group + g - 2, &q, sums[(g / 2 - 1) % 2], hits);
        }
        scan(panel, group + n_groups - 2, &q, sums[(n_groups / 2 - 1) % 2], hits);
    }
}

/* What does not fill blocks, or is longer than 2,048 bytes, goes to the narrower kernel. */
static void panel_u8(const struct nlsh__panel_u8 *panel, size_t first_group, size_t n_groups,
                     const int8_t *queries, size_t n_queries, const int32_t *thresholds,
                     struct nlsh__hits *hits)
{
    int fits = panel->n_chunks <= (size_t)MOST_TILES * CHUNKS;
    size_t whole_queries = fits ? n_queries / Q * Q : 0, whole_groups = n_groups / 2 * 2;
    if (whole_queries > 0 && whole_groups > 0) {
        begin();
        for (size_t g = 0; g < whole_groups; g += MOST_GROUPS) {
            size_t n = whole_groups - g < MOST_GROUPS ? whole_groups - g : MOST_GROUPS;
            panel_groups(panel, first_group + g, n, queries, whole_queries, thresholds, hits);
        }
        end();
    }
    if (whole_queries > 0 && whole_groups < n_groups)
        nlsh__kernels_avx512vnni.panel_u8(panel, first_group + whole_groups, 1, queries,
                                          whole_queries, thresholds, hits);
    if (whole_queries == n_queries) return;
    struct nlsh__hits rest = *hits;
    rest.n += whole_queries;
    rest.ids += whole_queries * hits->capacity;
    rest.scores.i32 += whole_queries * hits->capacity;
    nlsh__kernels_avx512vnni.panel_u8(panel, first_group, n_groups,
                                      queries + whole_queries * panel->n_chunks * 4,
                                      n_queries - whole_queries, thresholds + whole_queries, &rest);
}

/* ---- layers of bytes ------------------------------------------------------------------------- */

/*
 * 32 inputs by two groups in four tiles: a layer's groups are right sides as they stand, like those
 * of a panel, and here the left is unsigned.
 */
#define LAYER_PRODUCTS(left, right, other)                                                         \
    do {                                                                                           \
        _tile_loadd(4, left, stride);                                                              \
        _tile_loadd(6, right, 64);                                                                 \
        _tile_dpbusd(0, 4, 6);                                                                     \
        _tile_loadd(7, other, 64);                                                                 \
        _tile_dpbusd(1, 4, 7);                                                                     \
        _tile_loadd(5, (left) + 16 * stride, stride);                                              \
        _tile_dpbusd(2, 5, 6);                                                                     \
        _tile_dpbusd(3, 5, 7);                                                                     \
    } while (0)

/* The products of 32 inputs with groups group and other, which may be the same. rest: the two
 * groups' last chunks, filled up to a tile with zeros, or NULL where they fill one. */
TARGET static void layer_products(const struct nlsh__layer_i8 *layer, size_t group, size_t other,
                                  const uint8_t *x, size_t stride, const int8_t *rest, int32_t *out)
{
    const int8_t *right = layer->values + group * layer->n_chunks * 64;
    const int8_t *second = layer->values + other * layer->n_chunks * 64;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t t = 0; t < layer->n_chunks / CHUNKS; t++, x += 64, right += 1024, second += 1024)
        LAYER_PRODUCTS(x, right, second);
    if (rest != NULL) LAYER_PRODUCTS(x, rest, rest + 1024);
    _tile_stored(0, out, 128);
    _tile_stored(1, out + 16, 128);
    _tile_stored(2, out + 16 * 32, 128);
    _tile_stored(3, out + 16 * 32 + 16, 128);
}

/* The last steps of a layer for 16 rows; avx512vnni.c has the same. */
TARGET static inline void layer_answer(const struct nlsh__layer_i8 *layer, size_t row,
                                       __m512i products, float x_scale, int zero, int relu,
                                       float *out)
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

/* A pair of groups for all inputs; the weights' tiles stay near. */
TARGET static void layer_pair(const struct nlsh__layer_i8 *layer, size_t group, size_t other,
                              const uint8_t *x, size_t stride, size_t n, const float *x_scale,
                              int zero, int relu, float *out, size_t out_stride)
{
    _Alignas(64) int32_t sums[Q * 32];
    _Alignas(64) int8_t rest[2][1024];
    size_t left = layer->n_chunks % CHUNKS, whole = layer->n_chunks - left;
    if (left > 0) {
        memset(rest, 0, sizeof rest);
        memcpy(rest[0], layer->values + (group * layer->n_chunks + whole) * 64, left * 64);
        memcpy(rest[1], layer->values + (other * layer->n_chunks + whole) * 64, left * 64);
    }
    WRITTEN();
    for (size_t i = 0; i < n; i += Q) {
        layer_products(layer, group, other, x + i * stride, stride, left > 0 ? rest[0] : NULL,
                       sums);
        WRITTEN();
        for (size_t j = 0; j < Q && i + j < n; j++) {
            float *to = out + (i + j) * out_stride;
            layer_answer(layer, group * NLSH__GROUP, _mm512_load_si512(sums + 32 * j),
                         x_scale[i + j], zero, relu, to + group * NLSH__GROUP);
            if (other == group) continue;
            layer_answer(layer, other * NLSH__GROUP, _mm512_load_si512(sums + 32 * j + 16),
                         x_scale[i + j], zero, relu, to + other * NLSH__GROUP);
        }
    }
}

TARGET static void matmat_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, size_t stride,
                             size_t n, const float *x_scale, int zero, int relu, float *out,
                             size_t out_stride)
{
    if (n < 8) { /* a tile's worth of work for less is none gained */
        nlsh__matmat_i8_vnni(layer, x, stride, n, x_scale, zero, relu, out, out_stride);
        return;
    }
    begin();
    for (size_t g = 0; g < layer->n_groups; g += 2)
        layer_pair(layer, g, g + 1 < layer->n_groups ? g + 1 : g, x, stride, n, x_scale, zero, relu,
                   out, out_stride);
    end();
}

/* What the tiles do not do is the narrower table's. */
void nlsh__amx_fill(struct nlsh__kernels *table)
{
    static struct nlsh__bf16 bf16;
    bf16 = *table->bf16;
    bf16.begin = begin;
    bf16.end = end;
    bf16.product = product;
    table->name = "amx";
    table->bf16 = &bf16;
    table->panel_u8 = panel_u8;
    table->matmat_i8 = matmat_i8;
}
#endif
