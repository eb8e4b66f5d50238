/*
 * stored.c - the base back out of an index: its rows lie there in bucket order, the ids say whose
 * they are. So a search needs no other file to find true neighbours the fast way.
 */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "index/index.h"
#include "vectors/large.h"
#include "vectors/values.h"
#include "vectors/vectors.h"

/* Rows to their places. Opening the index has checked that each place holds another row. */
static void put_rows(const struct nlsh_index *index, size_t row_bytes, uint8_t *out)
{
    const uint8_t *vectors = index->vectors;
    for (size_t i = 0; i < index->meta.n_rows; i++)
        memcpy(out + index->ids[i] * row_bytes, vectors + i * row_bytes, row_bytes);
}

enum nlsh_status nlsh_index_vectors(const struct nlsh_index *index, struct nlsh_vectors **answer,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = index->meta.n_rows, dim = index->meta.dim;
    int bytes = index->meta.storage_type == NLSH_U8;
    size_t row_bytes = dim * (bytes ? 1 : sizeof(float));
    struct nlsh_vectors *out = NULL;
    nlsh__error_clear(error);
    *answer = NULL;
    NLSH_TRY(nlsh__calloc(&out, 1, sizeof *out, error));
    NLSH_TRY(nlsh__alloc_large(&out->memory, n, row_bytes, error));
    put_rows(index, row_bytes, out->memory);
    enum nlsh_type type = bytes ? NLSH_U8 : NLSH_F32;
    if (bytes && index->meta.source_type == NLSH_I8) {
        nlsh__flip_sign(out->memory, n * dim, out->memory);
        type = NLSH_I8;
    }
    out->matrix = (struct nlsh_matrix){out->memory, n, dim, type, 0};
    *answer = out;
    return NLSH_OK;
out:
    nlsh_vectors_free(out);
    return status;
}
