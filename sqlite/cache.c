/* cache.c - see cache.h. The bucket that was not used for long goes first: a clock. */
#include "cache.h"

#include <string.h>

#include "base/memory.h"
#include "model.h"
#include "store.h"

SQLITE_EXTENSION_INIT3

int nlsh__sqlite_cache_create(size_t n_buckets, struct nlsh__sqlite_cache **out)
{
    struct nlsh__sqlite_cache *cache = NULL;
    *out = NULL;
    if (nlsh__calloc(&cache, 1, sizeof *cache, NULL) != NLSH_OK) return SQLITE_NOMEM;
    if (nlsh__calloc(&cache->buckets, n_buckets, sizeof *cache->buckets, NULL) != NLSH_OK) {
        nlsh__free(cache);
        return SQLITE_NOMEM;
    }
    cache->n_buckets = n_buckets;
    *out = cache;
    return SQLITE_OK;
}

static void bucket_free(struct nlsh__sqlite_bucket *bucket)
{
    for (size_t i = 0; i < bucket->n; i++) nlsh__free(bucket->chunks[i].bytes);
    nlsh__free(bucket->chunks);
    nlsh__free(bucket);
}

void nlsh__sqlite_cache_drop(struct nlsh__sqlite_cache *cache, size_t bucket)
{
    struct nlsh__sqlite_bucket *old = cache->buckets[bucket];
    if (old == NULL) return;
    cache->size -= old->size;
    cache->buckets[bucket] = NULL;
    bucket_free(old);
}

void nlsh__sqlite_cache_clear(struct nlsh__sqlite_cache *cache, size_t limit)
{
    for (size_t b = 0; b < cache->n_buckets && cache->size > 0; b++)
        nlsh__sqlite_cache_drop(cache, b);
    cache->limit = limit;
}

void nlsh__sqlite_cache_free(struct nlsh__sqlite_cache *cache)
{
    if (cache == NULL) return;
    for (size_t b = 0; b < cache->n_buckets; b++) nlsh__sqlite_cache_drop(cache, b);
    nlsh__free(cache->buckets);
    nlsh__free(cache);
}

/* Drops buckets until the cache is within its limit, or all that is left is in use: those that the last search used are
 * passed over once. */
static void make_room(struct nlsh__sqlite_cache *cache)
{
    for (size_t looks = 0; cache->size > cache->limit && looks < 2 * cache->n_buckets; looks++) {
        struct nlsh__sqlite_bucket *b = cache->buckets[cache->hand];
        if (b != NULL && b->used + (looks < cache->n_buckets) < cache->search)
            nlsh__sqlite_cache_drop(cache, cache->hand);
        cache->hand = cache->hand + 1 < cache->n_buckets ? cache->hand + 1 : 0;
    }
}

void nlsh__sqlite_cache_begin(struct nlsh__sqlite_cache *cache)
{
    cache->search++;
    make_room(cache);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* A chunk of n entries, from its row into memory of its own. */
static int read_chunk(struct nlsh__sqlite_table *table, sqlite3_int64 id, size_t n,
                      struct nlsh__sqlite_chunk *out)
{
    size_t size = nlsh__sqlite_chunk_size(n, table->model->code_bytes);
    uint8_t *bytes = NULL;
    int is_there, rc = nlsh__sqlite_blob_seek(table, NLSH__SQL_BLOB_CHUNKS, id, &is_there);
    if (rc != SQLITE_OK) return rc;
    if (is_there && (size_t)sqlite3_blob_bytes(table->blobs[NLSH__SQL_BLOB_CHUNKS]) == size) {
        if (nlsh__alloc(&bytes, size, 1, NULL) != NLSH_OK) return SQLITE_NOMEM;
        rc = sqlite3_blob_read(table->blobs[NLSH__SQL_BLOB_CHUNKS], bytes, (int)size, 0);
        if (rc == SQLITE_OK &&
            nlsh__sqlite_chunk_open(bytes, size, table->model->code_bytes, out) && out->n == n)
            return SQLITE_OK;
        nlsh__free(bytes);
        out->bytes = NULL;
    }
    return rc != SQLITE_OK ? nlsh__sqlite_broken(table, rc)
                           : nlsh__sqlite_damaged(table, "a chunk of entries cannot be so");
}

/* A bucket of as many entries as are counted: all chunks but the last are full. */
static int read_bucket(struct nlsh__sqlite_table *table, size_t bucket,
                       struct nlsh__sqlite_bucket **out)
{
    const struct nlsh__sqlite_model *model = table->model;
    sqlite3_int64 id = (sqlite3_int64)bucket * NLSH__SQL_CHUNKS;
    size_t room = nlsh__sqlite_chunk_room(model->code_bytes), left = model->sizes[bucket];
    struct nlsh__sqlite_bucket *b = NULL;
    if (nlsh__calloc(&b, 1, sizeof *b, NULL) != NLSH_OK) return SQLITE_NOMEM;
    size_t n = (left + room - 1) / room;
    int rc =
        nlsh__calloc(&b->chunks, n, sizeof *b->chunks, NULL) == NLSH_OK ? SQLITE_OK : SQLITE_NOMEM;
    b->size = sizeof *b + n * sizeof *b->chunks;
    for (; left > 0 && rc == SQLITE_OK; b->n++) {
        size_t entries = left < room ? left : room;
        rc = read_chunk(table, id++, entries, &b->chunks[b->n]);
        b->size += b->chunks[b->n].size;
        left -= entries;
    }
    if (rc == SQLITE_OK)
        *out = b;
    else
        bucket_free(b);
    return rc;
}

int nlsh__sqlite_cache_get(struct nlsh__sqlite_table *table, size_t bucket,
                           const struct nlsh__sqlite_bucket **out)
{
    struct nlsh__sqlite_cache *cache = table->model->cache;
    struct nlsh__sqlite_bucket *found = cache->buckets[bucket];
    if (found == NULL) {
        int rc = read_bucket(table, bucket, &found);
        if (rc != SQLITE_OK) return rc;
        found->used = cache->search;
        cache->buckets[bucket] = found;
        cache->size += found->size;
        make_room(cache);
    }
    found->used = cache->search;
    *out = found;
    return SQLITE_OK;
}
