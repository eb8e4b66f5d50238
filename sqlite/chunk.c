/* chunk.c - see chunk.h. */
#include "chunk.h"

#include <math.h>
#include <string.h>

#include "kernels/panel.h"

_Static_assert(sizeof(struct nlsh__sqlite_chunk_header) == 64, "no padding");

static size_t padded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static size_t groups_of(size_t n)
{
    return (n + NLSH__GROUP - 1) / NLSH__GROUP;
}

size_t nlsh__sqlite_chunk_size(size_t n, size_t code_bytes)
{
    size_t lanes = groups_of(n) * NLSH__GROUP;
    size_t size = sizeof(struct nlsh__sqlite_chunk_header) + lanes * sizeof(int64_t);
    if (code_bytes == 0) return size;
    return size + lanes * sizeof(float) + padded(lanes) + lanes * code_bytes;
}

size_t nlsh__sqlite_chunk_room(size_t code_bytes)
{
    size_t entry = sizeof(int64_t) + (code_bytes > 0 ? sizeof(float) + 1 + code_bytes : 0);
    size_t groups = (NLSH__SQL_CHUNK_BYTES - 128) / (entry * NLSH__GROUP);
    return (groups > 0 ? groups : 1) * NLSH__GROUP;
}

static void view(void *bytes, size_t n, size_t code_bytes, struct nlsh__sqlite_chunk *out)
{
    size_t lanes = groups_of(n) * NLSH__GROUP;
    uint8_t *at = (uint8_t *)bytes + sizeof(struct nlsh__sqlite_chunk_header);
    *out = (struct nlsh__sqlite_chunk){.bytes = bytes,
                                       .n = n,
                                       .n_groups = lanes / NLSH__GROUP,
                                       .code_bytes = code_bytes,
                                       .size = nlsh__sqlite_chunk_size(n, code_bytes),
                                       .rowids = (int64_t *)(void *)at};
    if (code_bytes == 0) return;
    at += lanes * sizeof(int64_t);
    out->biases = (float *)(void *)at;
    out->errors = at + lanes * sizeof(float);
    out->codes = out->errors + padded(lanes);
}

void nlsh__sqlite_chunk_begin(void *bytes, size_t n, size_t code_bytes,
                              struct nlsh__sqlite_chunk *out)
{
    struct nlsh__sqlite_chunk_header header = {.n = (uint32_t)n,
                                               .code_bytes = (uint32_t)code_bytes};
    memset(bytes, 0, nlsh__sqlite_chunk_size(n, code_bytes));
    memcpy(header.magic, NLSH__SQL_CHUNK_MAGIC, sizeof header.magic);
    memcpy(bytes, &header, sizeof header);
    view(bytes, n, code_bytes, out);
    if (code_bytes == 0) return;
    for (size_t i = 0; i < out->n_groups * NLSH__GROUP; i++) out->biases[i] = INFINITY;
}

int nlsh__sqlite_chunk_open(void *bytes, size_t size, size_t code_bytes,
                            struct nlsh__sqlite_chunk *out)
{
    struct nlsh__sqlite_chunk_header header;
    if (size < sizeof header) return 0;
    memcpy(&header, bytes, sizeof header);
    if (memcmp(header.magic, NLSH__SQL_CHUNK_MAGIC, sizeof header.magic) != 0 ||
        header.code_bytes != code_bytes || header.n > nlsh__sqlite_chunk_room(code_bytes) ||
        nlsh__sqlite_chunk_size(header.n, code_bytes) != size)
        return 0;
    view(bytes, header.n, code_bytes, out);
    return 1;
}

void nlsh__sqlite_chunk_set(const struct nlsh__sqlite_chunk *chunk, size_t i, int64_t rowid,
                            const struct nlsh__sqlite_entry *entry)
{
    size_t n_chunks = chunk->code_bytes / 4;
    chunk->rowids[i] = rowid;
    if (n_chunks == 0) return;
    chunk->biases[i] = entry->bias;
    chunk->errors[i] = entry->error;
    uint8_t *to = chunk->codes + i / NLSH__GROUP * n_chunks * 64 + i % NLSH__GROUP * 4;
    for (size_t c = 0; c < n_chunks; c++) memcpy(to + c * 64, entry->code + c * 4, 4);
}
