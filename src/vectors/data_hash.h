/* data_hash.h - nlsh_data_hash() of vectors that come in pieces. */
#ifndef NLSH_VECTORS_DATA_HASH_H
#define NLSH_VECTORS_DATA_HASH_H

#include "base/hash.h"
#include "nlsh/learn.h"

struct nlsh__data_hash {
    enum nlsh_type type;
    int all_bytes; /* 1: floats, and all so far are whole numbers from 0 to 255 */
    struct nlsh__hash as_given, as_bytes;
};

/* Of n_rows x dim values of a type, without gaps. */
void nlsh__data_hash_begin(enum nlsh_type type, size_t n_rows, size_t dim,
                           struct nlsh__data_hash *out);
void nlsh__data_hash_add(struct nlsh__data_hash *hash, const void *values, size_t n);
uint64_t nlsh__data_hash_end(const struct nlsh__data_hash *hash);

#endif
