/* cache.c - see cache.h. The bucket that was not used for long goes first: a clock. */
#include "cache.h"

#include <string.h>

#include "base/memory.h"
#include "model.h"
#include "store.h"

SQLITE_EXTENSION_INIT3

enum { ALIGN = 64, FIRST_CHUNKS = 2 };

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

void nlsh__sqlite_cache_drop(struct nlsh__sqlite_cache *cache, size_t bucket)
{
    struct nlsh__sqlite_bucket *old = cache->buckets[bucket];
    if (old == NULL) return;
    cache->size -= old->size;
    cache->buckets[bucket] = NULL;
    nlsh__free(old->chunks);
    nlsh__free(old);
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

/* A block that grows: offsets of chunks, and their bytes. */
struct reading {
    uint8_t *bytes;
    size_t size, room;
    size_t *offsets, *sizes; /* [n] */
    size_t n, n_room;
};

static int grow(void *array, size_t used, size_t room)
{
    void *old, *more;
    memcpy(&old, array, sizeof old);
    if (nlsh__alloc(&more, room, 1, NULL) != NLSH_OK) return SQLITE_NOMEM;
    if (used > 0) memcpy(more, old, used);
    nlsh__free(old);
    memcpy(array, &more, sizeof more);
    return SQLITE_OK;
}

static int add_chunk(struct reading *r, const void *bytes, size_t size)
{
    size_t padded = (size + ALIGN - 1) / ALIGN * ALIGN;
    int rc = SQLITE_OK;
    if (r->bytes == NULL || r->size + padded > r->room) {
        size_t room = r->n == 0 ? padded : 2 * r->room + padded;
        if ((rc = grow(&r->bytes, r->size, room)) != SQLITE_OK) return rc;
        r->room = room;
    }
    if (r->n == r->n_room) {
        size_t room = 2 * r->n_room + FIRST_CHUNKS, each = sizeof(size_t);
        if ((rc = grow(&r->offsets, r->n * each, room * each)) != SQLITE_OK ||
            (rc = grow(&r->sizes, r->n * each, room * each)) != SQLITE_OK)
            return rc;
        r->n_room = room;
    }
    memcpy(r->bytes + r->size, bytes, size);
    r->offsets[r->n] = r->size;
    r->sizes[r->n++] = size;
    r->size += padded;
    return SQLITE_OK;
}

static int read_chunks(struct nlsh__sqlite_table *table, size_t bucket, struct reading *r)
{
    sqlite3_stmt *of;
    sqlite3_int64 first = (sqlite3_int64)bucket * NLSH__SQL_CHUNKS;
    int rc = nlsh__sqlite_prepare(table, NLSH__SQL_CHUNKS_OF, &of), inner = SQLITE_OK;
    if (rc != SQLITE_OK) return rc;
    sqlite3_bind_int64(of, 1, first);
    sqlite3_bind_int64(of, 2, first + NLSH__SQL_CHUNKS - 1);
    while (inner == SQLITE_OK && (rc = sqlite3_step(of)) == SQLITE_ROW) {
        const void *bytes = sqlite3_column_blob(of, 1);
        if (bytes != NULL && sqlite3_column_bytes(of, 1) > 0)
            inner = add_chunk(r, bytes, (size_t)sqlite3_column_bytes(of, 1));
        else
            inner = sqlite3_errcode(table->db) == SQLITE_NOMEM
                        ? SQLITE_NOMEM
                        : nlsh__sqlite_damaged(table, "a chunk of entries cannot be so");
    }
    rc = nlsh__sqlite_done(table, of, rc);
    return inner != SQLITE_OK ? inner : rc;
}

/* Views of what was read, with its bytes behind them, as a bucket of the cache. */
static int make_bucket(struct nlsh__sqlite_table *table, const struct reading *r,
                       struct nlsh__sqlite_bucket **out)
{
    size_t views = (r->n * sizeof(struct nlsh__sqlite_chunk) + ALIGN - 1) / ALIGN * ALIGN;
    struct nlsh__sqlite_bucket *b = NULL;
    if (nlsh__calloc(&b, 1, sizeof *b, NULL) != NLSH_OK) return SQLITE_NOMEM;
    if (nlsh__alloc(&b->chunks, views + r->size, 1, NULL) != NLSH_OK) {
        nlsh__free(b);
        return SQLITE_NOMEM;
    }
    uint8_t *bytes = (uint8_t *)b->chunks + views;
    if (r->size > 0) memcpy(bytes, r->bytes, r->size);
    b->n = r->n;
    b->size = views + r->size + sizeof *b;
    for (size_t i = 0; i < r->n; i++)
        if (!nlsh__sqlite_chunk_open(bytes + r->offsets[i], r->sizes[i], table->model->code_bytes,
                                     &b->chunks[i])) {
            nlsh__free(b->chunks);
            nlsh__free(b);
            return nlsh__sqlite_damaged(table, "a chunk of entries cannot be so");
        }
    *out = b;
    return SQLITE_OK;
}

int nlsh__sqlite_cache_get(struct nlsh__sqlite_table *table, size_t bucket,
                           const struct nlsh__sqlite_bucket **out)
{
    struct nlsh__sqlite_cache *cache = table->model->cache;
    struct nlsh__sqlite_bucket *found = cache->buckets[bucket];
    if (found == NULL) {
        struct reading r = {.n = 0};
        int rc = read_chunks(table, bucket, &r);
        if (rc == SQLITE_OK) rc = make_bucket(table, &r, &found);
        nlsh__free(r.bytes);
        nlsh__free(r.offsets);
        nlsh__free(r.sizes);
        if (rc != SQLITE_OK || found == NULL) return rc;
        found->used = cache->search;
        cache->buckets[bucket] = found;
        cache->size += found->size;
        make_room(cache);
    }
    found->used = cache->search;
    *out = found;
    return SQLITE_OK;
}
