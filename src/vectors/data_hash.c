/*
 * data_hash.c - the identity of a set of vectors: XXH3-64 of (type, dimension, rows) as three
 * little-endian u64 and then the values, row-major. Floats that are all bytes are hashed as bytes.
 * docs/formats.md has the definition for other programs.
 */
#include "base/hash.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "nlsh/learn.h"
#include "vectors/plain.h"
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
    struct nlsh_matrix plain;
    void *memory = NULL;
    if (matrix == NULL || matrix->data == NULL) return 0;
    if (matrix->type == NLSH_I32)
        plain = *matrix; /* ids, which have no other form */
    else if (nlsh__matrix_plain(matrix, &plain, &memory, NULL) != NLSH_OK)
        return 0;
    size_t n = plain.n_rows * plain.dim;
    int narrow = plain.type == NLSH_F32 && nlsh__first_not_byte(plain.data, n, 0) == n;
    uint64_t head[3] = {narrow ? NLSH_U8 : plain.type, plain.dim, plain.n_rows};
    nlsh__hash_begin(&state);
    nlsh__hash_add(&state, head, sizeof head);
    if (narrow)
        hash_narrowed(&state, plain.data, n);
    else
        nlsh__hash_add(&state, plain.data, n * nlsh__type_size(plain.type));
    nlsh__free(memory);
    return nlsh__hash_end(&state);
}
