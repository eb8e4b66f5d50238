/*
 * scan.c - see scan.h.
 *
 * A scan of rows beyond the caches is bound by memory: on the 60,000 x 784 bytes of Fashion-MNIST
 * (one core of an EPYC 9005, median of 100 queries) the plain loop takes 21.8 ns a row; asking for
 * the lines AHEAD bytes further on takes 18.4; reading alone takes 13.5. Giving a row up half-way,
 * once its distance is above the worst kept, gains nothing: the hardware has fetched it by then.
 */
#include "baselines/scan.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "kernels/topk.h"

enum { AHEAD = 16384, LINE = 64 };

/* ---- queries --------------------------------------------------------------------------------- */

/* What a stored 0 stands for. */
static float origin(enum nlsh_type source)
{
    return source == NLSH_I8 ? -128.0f : 0.0f;
}

/* dim floats to bytes in place, where all are bytes. */
static int narrow(float *values, size_t dim)
{
    for (size_t j = 0; j < dim; j++)
        if (!(values[j] >= 0 && values[j] <= 255 && values[j] == floorf(values[j]))) return 0;
    uint8_t *bytes = (uint8_t *)(void *)values;
    for (size_t j = 0; j < dim; j++) {
        uint8_t byte = (uint8_t)values[j]; /* byte j lies in or before float j */
        memcpy(bytes + j, &byte, 1);
    }
    return 1;
}

struct nlsh__query nlsh__query_row(const struct nlsh__dataset *queries, size_t i,
                                   enum nlsh_type base_source, enum nlsh_type storage,
                                   float *scratch)
{
    size_t dim = queries->matrix.dim;
    int bytes = queries->matrix.type == NLSH_U8, integers = storage == NLSH_U8;
    const uint8_t *u8 = (const uint8_t *)queries->matrix.data + i * dim;
    const float *f32 = (const float *)queries->matrix.data + i * dim;
    float from = bytes ? origin(queries->source_type) : 0.0f;
    float to = integers ? origin(base_source) : 0.0f;
    if (bytes && integers && from == to) return (struct nlsh__query){.u8 = u8};
    if (!bytes && !integers) return (struct nlsh__query){.f32 = f32};
    for (size_t j = 0; j < dim; j++) scratch[j] = (bytes ? (float)u8[j] : f32[j]) + (from - to);
    if (integers && narrow(scratch, dim)) return (struct nlsh__query){.u8 = (uint8_t *)scratch};
    return (struct nlsh__query){.f32 = scratch};
}

/* ---- scan ------------------------------------------------------------------------------------ */

static inline void prefetch(const char *row, size_t row_bytes, const char *end)
{
    if ((size_t)(end - row) < AHEAD + row_bytes) return;
    for (size_t at = 0; at < row_bytes; at += LINE) __builtin_prefetch(row + AHEAD + at, 0, 3);
}

static void scan_integers(const struct nlsh__kernels *kernels, const uint8_t *query,
                          const uint8_t *rows, size_t n_rows, size_t dim, const uint32_t *ids,
                          uint64_t *keys, size_t k)
{
    uint32_t worst = (uint32_t)(keys[k - 1] >> 32);
    const uint8_t *end = rows + n_rows * dim;
    for (size_t i = 0; i < n_rows; i++) {
        const uint8_t *row = rows + i * dim;
        prefetch((const char *)row, dim, (const char *)end);
        uint32_t l2sq = kernels->l2sq_u8(query, row, dim);
        if (__builtin_expect(l2sq > worst, 1)) continue;
        nlsh__topk_insert(keys, k, nlsh__key_u32(l2sq, ids != NULL ? ids[i] : (uint32_t)i));
        worst = (uint32_t)(keys[k - 1] >> 32);
    }
}

/* Inlined twice, so that the row's type is no question inside the loop. */
static inline __attribute__((always_inline)) void
scan_floats(const struct nlsh__kernels *kernels, const float *query, const void *rows, int u8_rows,
            size_t n_rows, size_t dim, const uint32_t *ids, uint64_t *keys, size_t k)
{
    /* Empty slots are all ones, which as a float is no number: every row passes. */
    float worst = nlsh__key_score_f32(keys[k - 1]);
    size_t row_bytes = dim * (u8_rows ? 1 : sizeof(float));
    const char *end = (const char *)rows + n_rows * row_bytes;
    for (size_t i = 0; i < n_rows; i++) {
        const char *row = (const char *)rows + i * row_bytes;
        prefetch(row, row_bytes, end);
        float l2sq = u8_rows ? kernels->l2sq_f32_u8(query, (const uint8_t *)row, dim)
                             : kernels->l2sq_f32(query, (const float *)(const void *)row, dim);
        if (__builtin_expect(l2sq > worst, 1)) continue;
        nlsh__topk_insert(keys, k, nlsh__key_f32(l2sq, ids != NULL ? ids[i] : (uint32_t)i));
        worst = nlsh__key_score_f32(keys[k - 1]);
    }
}

void nlsh__scan(const struct nlsh__kernels *kernels, struct nlsh__query query, const void *rows,
                enum nlsh_type storage, size_t n_rows, size_t dim, const uint32_t *ids,
                uint64_t *keys, size_t k)
{
    if (query.u8 != NULL)
        scan_integers(kernels, query.u8, rows, n_rows, dim, ids, keys, k);
    else if (storage == NLSH_U8)
        scan_floats(kernels, query.f32, rows, 1, n_rows, dim, ids, keys, k);
    else
        scan_floats(kernels, query.f32, rows, 0, n_rows, dim, ids, keys, k);
}

/* Rows anywhere: each is asked for a few rows ahead, since nothing else could foresee it. */
enum { ROWS_AHEAD = 4 };

void nlsh__scan_places(const struct nlsh__kernels *kernels, struct nlsh__query query,
                       const void *rows, enum nlsh_type storage, const uint32_t *places, size_t n,
                       size_t dim, const uint32_t *ids, uint64_t *keys, size_t k)
{
    size_t row_bytes = dim * (storage == NLSH_U8 ? 1 : sizeof(float));
    for (size_t i = 0; i < n; i++) {
        const char *row = (const char *)rows + places[i] * row_bytes;
        if (i + ROWS_AHEAD < n) {
            const char *next = (const char *)rows + places[i + ROWS_AHEAD] * row_bytes;
            for (size_t at = 0; at < row_bytes; at += LINE) __builtin_prefetch(next + at, 0, 3);
        }
        uint32_t id = ids != NULL ? ids[places[i]] : places[i];
        nlsh__scan(kernels, query, row, storage, 1, dim, &id, keys, k);
    }
}

void nlsh__scan_answer(const uint64_t *best, size_t k, int integers, uint64_t *keys,
                       float *distances)
{
    for (size_t i = 0; i < k; i++) {
        int missing = best[i] == UINT64_MAX;
        keys[i] = missing ? NLSH_NO_KEY : (uint32_t)best[i];
        if (distances == NULL) continue;
        distances[i] = missing ? INFINITY
                               : sqrtf(integers ? (float)(uint32_t)(best[i] >> 32)
                                                : nlsh__key_score_f32(best[i]));
    }
}

enum nlsh_status nlsh__check_search(size_t k, const uint64_t *keys, struct nlsh_error *error)
{
    if (k == 0) return nlsh__fail(error, NLSH_E_ARG, "ask for 1 or more", "k is 0");
    if (keys == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "keys is NULL");
    return NLSH_OK;
}

enum nlsh_status nlsh__check_dims(size_t base_dim, size_t query_dim, struct nlsh_error *error)
{
    if (base_dim == query_dim) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_MISMATCH, "use queries made like the base",
                      "the base has dimension %zu, the queries %zu", base_dim, query_dim);
}
