/*
 * fuzz_chunk.c - what the extension for SQLite reads of a database without SQLite looking at it: chunks of entries, and
 * pages of the file. The first byte says how long a chunk's codes are, and of which size a page is; the rest are its
 * bytes. What opens is inside of them.
 */
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "sqlite/chunk.h"
#include "sqlite/pages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whether n bytes at `at` are those of the chunk. */
static int is_inside(const struct nlsh__sqlite_chunk *chunk, const void *at, size_t n)
{
    const uint8_t *first = at;
    return first >= chunk->bytes && n <= chunk->size &&
           (size_t)(first - chunk->bytes) <= chunk->size - n;
}

static uint64_t use_chunk(const struct nlsh__sqlite_chunk *chunk)
{
    size_t lanes = chunk->n_groups * NLSH__GROUP;
    uint64_t sum = 0;
    if (chunk->n > lanes || !is_inside(chunk, chunk->rowids, lanes * sizeof(int64_t))) abort();
    for (size_t i = 0; i < chunk->n; i++) sum += (uint64_t)chunk->rowids[i];
    if (chunk->code_bytes == 0 || lanes == 0) return sum;
    if (!is_inside(chunk, chunk->biases, lanes * sizeof(float)) ||
        !is_inside(chunk, chunk->errors, lanes) ||
        !is_inside(chunk, chunk->codes, lanes * chunk->code_bytes))
        abort();
    static const uint8_t code[256];
    const struct nlsh__sqlite_entry entry = {1, 2, code};
    for (size_t i = 0; i < chunk->n; i++) nlsh__sqlite_chunk_set(chunk, i, (int64_t)i, &entry);
    return sum + chunk->codes[lanes * chunk->code_bytes - 1];
}

static void try_chunk(const uint8_t *data, size_t size, size_t code_bytes)
{
    static volatile uint64_t sink;
    struct nlsh__sqlite_chunk chunk;
    void *bytes;
    /* not a byte more than there are, so that one is noticed */
    if (posix_memalign(&bytes, 64, size + (size == 0)) != 0) abort();
    memcpy(bytes, data, size);
    if (nlsh__sqlite_chunk_open(bytes, size, code_bytes, &chunk)) sink += use_chunk(&chunk);
    if (size >= sizeof(struct nlsh__sqlite_chunk_header)) { /* and as if its header were right */
        struct nlsh__sqlite_chunk_header header;
        memcpy(&header, bytes, sizeof header);
        memcpy(header.magic, NLSH__SQL_CHUNK_MAGIC, sizeof header.magic);
        header.code_bytes = (uint32_t)code_bytes;
        memcpy(bytes, &header, sizeof header);
        if (nlsh__sqlite_chunk_open(bytes, size, code_bytes, &chunk)) sink += use_chunk(&chunk);
    }
    free(bytes);
    (void)sink;
}

static void try_page(const uint8_t *data, size_t size, unsigned how)
{
    const struct nlsh__sqlite_paging paging = {512u << (how & 3), (512u << (how & 3)) - (how >> 2)};
    uint8_t *page = calloc(1, paging.size);
    int64_t rowid = 0;
    if (page == NULL) abort();
    memcpy(page, data, size < paging.size ? size : paging.size);
    if (size >= 8) memcpy(&rowid, data + size - 8, 8);
    for (int i = 0; i < 4; i++, rowid = i == 1 ? 0 : i == 2 ? INT64_MIN : INT64_MAX) {
        (void)nlsh__sqlite_page_below(page, paging, rowid);
        struct nlsh__sqlite_chain chain = nlsh__sqlite_page_overflow(page, paging, rowid);
        if ((uint64_t)chain.n * (paging.usable - 4) > (uint64_t)INT32_MAX + paging.usable) abort();
    }
    free(page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    try_chunk(data + 1, size - 1, (size_t)(data[0] & 63) * 4);
    try_page(data + 1, size - 1, data[0]);
    return 0;
}
