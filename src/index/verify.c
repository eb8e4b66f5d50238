/*
 * verify.c - what verify reads beyond the checksums: each row. Checksums say that the file is as it
 * was written; this says that what was written holds together: every row of the base once, no
 * float that is not finite, and the very vectors that data_hash was made of, each under its id.
 */
#include <math.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "index/layout.h"

static const char *const remedy = "copy the index again, or build it again";

static enum nlsh_status check_floats(const struct nlsh_index *index, struct nlsh_error *error)
{
    const float *values = index->vectors;
    size_t n = (size_t)index->meta.n_rows * index->meta.dim;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return nlsh__fail(error, NLSH_E_DATA, remedy,
                              "%s: value %zu of stored row %zu is not finite", index->path,
                              i % index->meta.dim, i / index->meta.dim);
    return NLSH_OK;
}

/* Floats that are all whole numbers from 0 to 255: bytes to nlsh_data_hash(). Under L2 they are
 * bytes in the file too. */
static int all_bytes(const struct nlsh_index *index)
{
    const float *values = index->vectors;
    size_t n = (size_t)index->meta.n_rows * index->meta.dim, i = 0;
    if (index->metric == NLSH_L2) return 0;
    while (i < n && values[i] >= 0 && values[i] <= 255 && values[i] == (float)(uint8_t)values[i])
        i++;
    return i == n;
}

/* nlsh_data_hash() of the base, put together again: rows by id, signed bytes shifted back. Under
 * another metric than L2, of the rows that are stored. */
static enum nlsh_status check_hash(const struct nlsh_index *index, const uint32_t *row_of,
                                   struct nlsh_error *error)
{
    const struct nlsh__meta *meta = &index->meta;
    uint64_t expected = index->metric == NLSH_L2 ? meta->data_hash : index->metric_meta.stored_hash;
    int is_signed = meta->source_type == NLSH_I8, narrow = all_bytes(index);
    size_t row_bytes = meta->dim * (meta->storage_type == NLSH_F32 ? sizeof(float) : 1);
    const uint64_t head[3] = {is_signed ? NLSH_I8
                              : narrow  ? NLSH_U8
                                        : meta->storage_type,
                              meta->dim, meta->n_rows};
    struct nlsh__hash state;
    uint8_t *bytes;
    enum nlsh_status status = nlsh__alloc(&bytes, row_bytes, 1, error);
    if (status != NLSH_OK) return status;
    nlsh__hash_begin(&state);
    nlsh__hash_add(&state, head, sizeof head);
    for (size_t id = 0; id < meta->n_rows; id++) {
        const uint8_t *row = (const uint8_t *)index->vectors + row_of[id] * row_bytes;
        const float *floats = (const float *)(const void *)row;
        for (size_t i = 0; is_signed && i < row_bytes; i++) bytes[i] = row[i] ^ 0x80;
        for (size_t i = 0; narrow && i < meta->dim; i++) bytes[i] = (uint8_t)floats[i];
        nlsh__hash_add(&state, is_signed || narrow ? bytes : row, narrow ? meta->dim : row_bytes);
    }
    nlsh__free(bytes);
    uint64_t hash = nlsh__hash_end(&state);
    if (hash == expected) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_DATA, remedy,
                      "%s: its vectors are not those it says: data hash %016llx, not %016llx",
                      index->path, (unsigned long long)hash, (unsigned long long)expected);
}

enum nlsh_status nlsh__index_check_rows(const struct nlsh_index *index, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *row_of = NULL; /* [id] where the base's row stands in the index */
    NLSH_TRY(nlsh__alloc(&row_of, (size_t)index->meta.n_rows, sizeof *row_of, error));
    for (size_t i = 0; i < index->meta.n_rows; i++) row_of[index->ids[i]] = (uint32_t)i;
    if (index->meta.storage_type == NLSH_F32) NLSH_TRY(check_floats(index, error));
    NLSH_TRY(check_hash(index, row_of, error));
out:
    nlsh__free(row_of);
    return status;
}
