/*
 * verify.c - what verify reads beyond the checksums: each row. Checksums say that the file is as it
 * was written; this says that what was written holds together: no float that is not finite, the very
 * vectors that the segments' hashes were made of, each under its row, and no key twice.
 */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "index/layout.h"

static const char *const remedy = NLSH__INDEX_REMEDY;

/* ---- vectors --------------------------------------------------------------------------------- */

static enum nlsh_status check_floats(const struct nlsh_index *index, const struct nlsh__segment *s,
                                     struct nlsh_error *error)
{
    const float *values = s->vectors;
    size_t dim = index->meta.dim;
    for (size_t i = 0; i < s->n_rows * dim; i++)
        if (!isfinite(values[i]))
            return nlsh__fail(error, NLSH_E_DATA, remedy,
                              "%s: value %zu of the vector at place %zu is not finite", index->path,
                              i % dim, i / dim);
    return NLSH_OK;
}

/* Floats that are all whole numbers from 0 to 255: bytes to nlsh_data_hash(). Under L2 they are
 * bytes in the file too. */
static int all_bytes(const struct nlsh_index *index, const struct nlsh__segment *s)
{
    const float *values = s->vectors;
    size_t n = s->n_rows * index->meta.dim, i = 0;
    if (index->metric == NLSH_L2) return 0;
    while (i < n && values[i] >= 0 && values[i] <= 255 && values[i] == (float)(uint8_t)values[i])
        i++;
    return i == n;
}

enum nlsh_status nlsh__hash_rows(const struct nlsh_index *index, const struct nlsh__segment *s,
                                 const uint32_t *place_of, uint64_t *out, struct nlsh_error *error)
{
    const struct nlsh__meta *meta = &index->meta;
    int is_signed = meta->source_type == NLSH_I8, narrow = all_bytes(index, s);
    size_t row_bytes = nlsh__index_row_bytes(index);
    const uint64_t head[3] = {is_signed ? NLSH_I8
                              : narrow  ? NLSH_U8
                                        : meta->storage_type,
                              meta->dim, s->n_rows};
    struct nlsh__hash hash;
    uint8_t *bytes;
    enum nlsh_status status = nlsh__alloc(&bytes, row_bytes, 1, error);
    if (status != NLSH_OK) return status;
    nlsh__hash_begin(&hash);
    nlsh__hash_add(&hash, head, sizeof head);
    for (size_t row = 0; row < s->n_rows; row++) {
        const uint8_t *stored = (const uint8_t *)s->vectors + place_of[row] * row_bytes;
        const float *floats = (const float *)(const void *)stored;
        for (size_t i = 0; is_signed && i < row_bytes; i++) bytes[i] = stored[i] ^ 0x80;
        for (size_t i = 0; narrow && i < meta->dim; i++) bytes[i] = (uint8_t)floats[i];
        nlsh__hash_add(&hash, is_signed || narrow ? bytes : stored, narrow ? meta->dim : row_bytes);
    }
    *out = nlsh__hash_end(&hash);
    nlsh__free(bytes);
    return NLSH_OK;
}

static enum nlsh_status check_hash(const struct nlsh_index *index, const struct nlsh__segment *s,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    uint64_t hash, expected = index->metric == NLSH_L2 ? s->data_hash : s->stored_hash;
    uint32_t *place_of = NULL;
    NLSH_TRY(nlsh__alloc(&place_of, s->n_rows, sizeof *place_of, error));
    for (size_t i = 0; i < s->n_rows; i++) place_of[s->rows[i]] = (uint32_t)i;
    NLSH_TRY(nlsh__hash_rows(index, s, place_of, &hash, error));
    if (hash != expected)
        status = nlsh__fail(error, NLSH_E_DATA, remedy,
                            "%s: its vectors are not those it says: data hash %016llx, not %016llx",
                            index->path, (unsigned long long)hash, (unsigned long long)expected);
out:
    nlsh__free(place_of);
    return status;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* No key twice among the rows that were not deleted, over all segments. */
static enum nlsh_status check_keys(const struct nlsh_index *index, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint64_t *keys = NULL;
    size_t n = 0;
    int any = index->n_segments > 1;
    for (size_t i = 0; i < index->n_segments; i++) any |= index->segments[i].keys != NULL;
    if (!any) return NLSH_OK; /* row numbers */
    NLSH_TRY(nlsh__alloc(&keys, (size_t)index->meta.n_rows, sizeof *keys, error));
    for (size_t i = 0; i < index->n_segments; i++) {
        const struct nlsh__segment *s = &index->segments[i];
        for (size_t row = 0; row < s->n_rows; row++)
            if (s->tombstones == NULL || (s->tombstones[row / 64] >> row % 64 & 1) == 0)
                keys[n++] = s->keys != NULL ? s->keys[row] : s->first_row + row;
    }
    qsort(keys, n, sizeof *keys, ascending);
    for (size_t i = 0; i < n && status == NLSH_OK; i++)
        if (keys[i] == NLSH_NO_KEY || (i > 0 && keys[i] == keys[i - 1]))
            status = nlsh__fail(error, NLSH_E_DATA, remedy, "%s: the key %llu is %s", index->path,
                                (unsigned long long)keys[i],
                                keys[i] == NLSH_NO_KEY ? "none" : "there twice");
out:
    nlsh__free(keys);
    return status;
}

enum nlsh_status nlsh__index_check_rows(const struct nlsh_index *index, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    for (size_t i = 0; i < index->n_segments; i++) {
        if (index->meta.storage_type == NLSH_F32)
            NLSH_TRY(check_floats(index, &index->segments[i], error));
        NLSH_TRY(check_hash(index, &index->segments[i], error));
    }
    NLSH_TRY(check_keys(index, error));
out:
    return status;
}
