/*
 * chunk.h - a row of the shadow table chunks: entries of one bucket, in the arrays that a scan of codes reads.
 *
 * A header of 64 bytes; with g groups of 16 entries: rowids i64 [16 g], biases f32 [16 g], errors u8 [16 g] padded to
 * 64, codes u8 [g][code_bytes / 4][16][4] as codes/codes.h has them. What fills up the last group has the bias
 * +infinity. Where the index has no codes there are rowids alone.
 */
#ifndef NLSH_SQL_CHUNK_H
#define NLSH_SQL_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "codes/codes.h"

/* Of a bucket: the ids of its chunks begin at bucket x NLSH__SQL_CHUNKS. */
#define NLSH__SQL_CHUNKS INT64_C(65536)
/* Bytes that a chunk has at most, where there are more than 16 entries: some pages, read as one. */
#define NLSH__SQL_CHUNK_BYTES ((size_t)65536)

/* Little-endian. */
struct nlsh__sqlite_chunk_header {
    char magic[8];
    uint32_t n;          /* entries */
    uint32_t code_bytes; /* of each; 0: no codes */
    uint8_t reserved[48];
};

#define NLSH__SQL_CHUNK_MAGIC "NLSHCK01"

/* What a scan knows of a vector. */
struct nlsh__sqlite_entry {
    float bias;
    uint8_t error;
    const uint8_t *code; /* [code_bytes] its 4 bytes of each 8 components, one behind the other */
};

/* A chunk in memory, aligned to 64; views into it. */
struct nlsh__sqlite_chunk {
    uint8_t *bytes;
    size_t n, n_groups, code_bytes, size;
    int64_t *rowids;
    float *biases;
    uint8_t *errors, *codes;
};

/* Bytes of a chunk of n entries. */
size_t nlsh__sqlite_chunk_size(size_t n, size_t code_bytes);
/* Entries that a chunk may have: a multiple of 16. */
size_t nlsh__sqlite_chunk_room(size_t code_bytes);

/* An empty one, for n entries, in bytes [nlsh__sqlite_chunk_size()] aligned to 64. */
void nlsh__sqlite_chunk_begin(void *bytes, size_t n, size_t code_bytes,
                              struct nlsh__sqlite_chunk *out);
/* Views bytes that nobody vouches for, aligned to 64; 0 where they are no chunk of such codes. */
int nlsh__sqlite_chunk_open(void *bytes, size_t size, size_t code_bytes,
                            struct nlsh__sqlite_chunk *out);

/* Sets entry i. */
void nlsh__sqlite_chunk_set(const struct nlsh__sqlite_chunk *chunk, size_t i, int64_t rowid,
                            const struct nlsh__sqlite_entry *entry);

#endif
