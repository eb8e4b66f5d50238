/*
 * data_hash.c - the identity of a set of vectors: XXH3-64 of (type, dimension, rows) as three
 * little-endian u64 and then the values, row-major. Floats that are all bytes are hashed as bytes.
 * docs/formats.md has the definition for other programs.
 */
#include "base/hash.h"
#include "vectors/parse.h"
#include "vectors/values.h"

#define BLOCK ((size_t)16384)

static void hash_narrowed(struct nlsh__hash *state, const float *values, size_t n)
{
    uint8_t bytes[BLOCK];
    for (size_t done = 0; done < n; done += BLOCK) {
        size_t count = n - done < BLOCK ? n - done : BLOCK;
        (void)nlsh__narrow(values + done, count, 0, bytes);
        nlsh__hash_add(state, bytes, count);
    }
}

uint64_t nlsh_data_hash(const struct nlsh_matrix *matrix)
{
    struct nlsh__hash state;
    if (matrix == NULL || matrix->data == NULL) return 0;
    size_t n = matrix->n_rows * matrix->dim;
    int narrow = matrix->type == NLSH_F32 && nlsh__first_not_byte(matrix->data, n, 0) == n;
    uint64_t head[3] = {narrow ? NLSH_U8 : matrix->type, matrix->dim, matrix->n_rows};
    nlsh__hash_begin(&state);
    nlsh__hash_add(&state, head, sizeof head);
    if (narrow)
        hash_narrowed(&state, matrix->data, n);
    else
        nlsh__hash_add(&state, matrix->data, n * nlsh__type_size(matrix->type));
    return nlsh__hash_end(&state);
}
