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

/* A segment's rows to their places. */
static void put_rows(const struct nlsh_index *index, const struct nlsh__segment *s, uint8_t *out)
{
    size_t row_bytes = nlsh__index_row_bytes(index), form_bytes = nlsh__index_form_bytes(index);
    const uint8_t *from = s->vectors;
    for (size_t i = 0; i < s->n_rows; i++)
        nlsh__row_of_stored(index, from + i * row_bytes,
                            out + (s->first_row + (size_t)s->rows[i]) * form_bytes);
}

enum nlsh_status nlsh_index_vectors(const struct nlsh_index *index, struct nlsh_vectors **answer,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = (size_t)index->meta.n_rows, dim = index->meta.dim;
    int bytes = index->meta.storage_type == NLSH_U8;
    enum nlsh_type type = nlsh__index_form(index);
    struct nlsh_vectors *out = NULL;
    nlsh__error_clear(error);
    *answer = NULL;
    NLSH_TRY(nlsh__calloc(&out, 1, sizeof *out, error));
    NLSH_TRY(nlsh__alloc_large(&out->memory, n, nlsh__index_form_bytes(index), error));
    for (size_t i = 0; i < index->n_segments; i++)
        put_rows(index, &index->segments[i], out->memory);
    if (bytes && index->meta.source_type == NLSH_I8) {
        nlsh__flip_sign(out->memory, n * dim, out->memory);
        type = NLSH_I8;
    }
    out->matrix = (struct nlsh_matrix){out->memory, n, dim, type, 0};
    *answer = out;
    out = NULL;
out:
    nlsh_vectors_free(out);
    return status;
}
