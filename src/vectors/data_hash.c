/*
 * data_hash.c - the identity of a set of vectors: XXH3-64 of (type, dimension, rows) as three
 * little-endian u64 and then the values, row-major. Floats that are all bytes are hashed as bytes.
 * docs/formats.md has the definition for other programs.
 */
#include "vectors/data_hash.h"

#include "base/matrix.h"
#include "base/memory.h"
#include "vectors/plain.h"
#include "vectors/values.h"

#define BLOCK ((size_t)16384)

static void begin(struct nlsh__hash *hash, enum nlsh_type type, size_t n_rows, size_t dim)
{
    const uint64_t head[3] = {type, dim, n_rows};
    nlsh__hash_begin(hash);
    nlsh__hash_add(hash, head, sizeof head);
}

void nlsh__data_hash_begin(enum nlsh_type type, size_t n_rows, size_t dim,
                           struct nlsh__data_hash *out)
{
    out->type = type;
    out->all_bytes = type == NLSH_F32;
    begin(&out->as_given, type, n_rows, dim);
    begin(&out->as_bytes, NLSH_U8, n_rows, dim);
}

/* Floats as the bytes that they are, until one is none. */
static void add_narrowed(struct nlsh__data_hash *h, const float *values, size_t n)
{
    uint8_t bytes[BLOCK];
    for (size_t done = 0; done < n && h->all_bytes; done += BLOCK) {
        size_t count = n - done < BLOCK ? n - done : BLOCK;
        h->all_bytes = nlsh__narrow(values + done, count, 0, bytes) == count;
        if (h->all_bytes) nlsh__hash_add(&h->as_bytes, bytes, count);
    }
}

void nlsh__data_hash_add(struct nlsh__data_hash *h, const void *values, size_t n)
{
    if (h->all_bytes) add_narrowed(h, values, n);
    nlsh__hash_add(&h->as_given, values, n * nlsh__type_size(h->type));
}

uint64_t nlsh__data_hash_end(const struct nlsh__data_hash *h)
{
    return nlsh__hash_end(h->all_bytes ? &h->as_bytes : &h->as_given);
}

uint64_t nlsh_data_hash(const struct nlsh_matrix *matrix)
{
    struct nlsh__data_hash hash;
    struct nlsh_matrix plain;
    void *memory = NULL;
    if (matrix == NULL || matrix->data == NULL) return 0;
    if (matrix->type == NLSH_I32)
        plain = *matrix; /* ids, which have no other form */
    else if (nlsh__matrix_plain(matrix, &plain, &memory, NULL) != NLSH_OK)
        return 0;
    nlsh__data_hash_begin(plain.type, plain.n_rows, plain.dim, &hash);
    nlsh__data_hash_add(&hash, plain.data, plain.n_rows * plain.dim);
    nlsh__free(memory);
    return nlsh__data_hash_end(&hash);
}
