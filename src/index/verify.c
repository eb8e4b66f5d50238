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

/* row: scratch [dim]. */
static enum nlsh_status check_floats(const struct nlsh_index *index, const struct nlsh__segment *s,
                                     float *row, struct nlsh_error *error)
{
    size_t dim = index->meta.dim, row_bytes = nlsh__index_row_bytes(index);
    for (size_t i = 0; i < s->n_rows; i++) {
        nlsh__row_of_stored(index, (const uint8_t *)s->vectors + i * row_bytes, row);
        for (size_t d = 0; d < dim; d++)
            if (!isfinite(row[d]))
                return nlsh__fail(error, NLSH_E_DATA, remedy,
                                  "%s: value %zu of the vector at place %zu is not finite",
                                  index->path, d, i);
    }
    return NLSH_OK;
}

static int is_byte(float value)
{
    return value >= 0 && value <= 255 && value == (float)(uint8_t)value;
}

/* Floats that are all whole numbers from 0 to 255: bytes to nlsh_data_hash(). Under L2 they are bytes in the file too, but
 * where they were rounded. */
static int all_bytes(const struct nlsh_index *index, const struct nlsh__segment *s, float *row)
{
    size_t dim = index->meta.dim, row_bytes = nlsh__index_row_bytes(index);
    if (index->meta.storage_type == NLSH_U8) return 0;
    if (index->metric == NLSH_L2 && index->meta.storage_type == NLSH_F32) return 0;
    for (size_t i = 0; i < s->n_rows; i++) {
        nlsh__row_of_stored(index, (const uint8_t *)s->vectors + i * row_bytes, row);
        for (size_t d = 0; d < dim; d++)
            if (!is_byte(row[d])) return 0;
    }
    return 1;
}

enum nlsh_status nlsh__hash_rows(const struct nlsh_index *index, const struct nlsh__segment *s,
                                 const uint32_t *place_of, uint64_t *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__meta *meta = &index->meta;
    size_t row_bytes = nlsh__index_row_bytes(index), form_bytes = nlsh__index_form_bytes(index);
    struct nlsh__hash hash;
    float *floats = NULL;
    uint8_t *bytes = NULL;
    NLSH_TRY(nlsh__alloc(&floats, meta->dim, sizeof *floats, error));
    NLSH_TRY(nlsh__alloc(&bytes, meta->dim, 1, error));
    int is_signed = meta->source_type == NLSH_I8, narrow = all_bytes(index, s, floats);
    const uint64_t head[3] = {is_signed ? NLSH_I8
                              : narrow  ? NLSH_U8
                                        : nlsh__index_form(index),
                              meta->dim, s->n_rows};
    nlsh__hash_begin(&hash);
    nlsh__hash_add(&hash, head, sizeof head);
    for (size_t row = 0; row < s->n_rows; row++) {
        nlsh__row_of_stored(index, (const uint8_t *)s->vectors + place_of[row] * row_bytes, floats);
        const uint8_t *stored = (const uint8_t *)floats;
        for (size_t i = 0; is_signed && i < meta->dim; i++) bytes[i] = stored[i] ^ 0x80;
        for (size_t i = 0; narrow && i < meta->dim; i++) bytes[i] = (uint8_t)floats[i];
        nlsh__hash_add(&hash, is_signed || narrow ? bytes : stored,
                       narrow ? meta->dim : form_bytes);
    }
    *out = nlsh__hash_end(&hash);
out:
    nlsh__free(floats);
    nlsh__free(bytes);
    return status;
}

int nlsh__stored_as_given(const struct nlsh_index *index)
{
    return index->metric == NLSH_L2 &&
           (index->meta.storage_type == NLSH_U8 || index->meta.storage_type == NLSH_F32);
}

static enum nlsh_status check_hash(const struct nlsh_index *index, const struct nlsh__segment *s,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    uint64_t hash, expected = nlsh__stored_as_given(index) ? s->data_hash : s->stored_hash;
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
    float *row = NULL;
    if (index->meta.storage_type != NLSH_U8)
        NLSH_TRY(nlsh__alloc(&row, index->meta.dim, sizeof *row, error));
    for (size_t i = 0; i < index->n_segments; i++) {
        if (row != NULL) NLSH_TRY(check_floats(index, &index->segments[i], row, error));
        NLSH_TRY(check_hash(index, &index->segments[i], error));
    }
    NLSH_TRY(check_keys(index, error));
out:
    nlsh__free(row);
    return status;
}
