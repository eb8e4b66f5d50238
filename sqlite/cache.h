/*
 * cache.h - buckets' entries that were read, kept from search to search.
 *
 * They are those of one version of the table: what other connections write makes all of them old, what this one writes
 * those of the buckets that it wrote to. A bucket is kept whole or not at all.
 */
#ifndef NLSH_SQL_CACHE_H
#define NLSH_SQL_CACHE_H

#include "chunk.h"
#include "table.h"

/* The chunks of a bucket. */
struct nlsh__sqlite_bucket {
    struct nlsh__sqlite_chunk *chunks; /* [n] each with bytes of its own */
    size_t n, size;                    /* size: bytes of all of it */
    uint64_t used;                     /* number of the last search that used it */
};

struct nlsh__sqlite_cache {
    struct nlsh__sqlite_bucket **buckets; /* [n_buckets] NULL: not here */
    size_t n_buckets, size, limit;        /* bytes that are kept, and may be */
    size_t hand;                          /* the bucket that is looked at next for one to drop */
    uint64_t search;                      /* number of the search that runs */
};

/* For so many buckets. */
int nlsh__sqlite_cache_create(size_t n_buckets, struct nlsh__sqlite_cache **out);
void nlsh__sqlite_cache_free(struct nlsh__sqlite_cache *cache);
/* All that is kept is old; limit holds from now on. */
void nlsh__sqlite_cache_clear(struct nlsh__sqlite_cache *cache, size_t limit);
void nlsh__sqlite_cache_drop(struct nlsh__sqlite_cache *cache, size_t bucket);

/* What was got before may be dropped from now on. */
void nlsh__sqlite_cache_begin(struct nlsh__sqlite_cache *cache);
/* A bucket of the table's model, from the cache or read; it stays until the next nlsh__sqlite_cache_begin(). Where
 * there is no room for it the cache grows over its limit until then. */
int nlsh__sqlite_cache_get(struct nlsh__sqlite_table *table, size_t bucket,
                           const struct nlsh__sqlite_bucket **out);

#endif
