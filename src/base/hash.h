/*
 * hash.h - XXH3-64 with seed 0, the checksum of all our files.
 *
 * Source: the specification of XXH3 (Yann Collet, xxHash's doc/xxhash_spec.md, version 0.2.0). Written
 * here so that libnlsh needs a C compiler and nothing else; a test compares it with libxxhash.
 */
#ifndef NLSH_BASE_HASH_H
#define NLSH_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Of bytes that come in pieces. */
struct nlsh__hash {
    uint64_t lanes[8];
    uint64_t length;    /* of all so far */
    size_t n_pending;   /* in pending, not in lanes yet */
    size_t stripe;      /* next of its block's 16 */
    uint8_t before[64]; /* the last stripe that went into lanes */
    uint8_t pending[256];
};

void nlsh__hash_begin(struct nlsh__hash *hash);
void nlsh__hash_add(struct nlsh__hash *hash, const void *bytes, size_t size);
/* May be asked for at any time; more may be added behind it. */
uint64_t nlsh__hash_end(const struct nlsh__hash *hash);

/* Of bytes that lie together. */
uint64_t nlsh__hash_of(const void *bytes, size_t size);

#endif
