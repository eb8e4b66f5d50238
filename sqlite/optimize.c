/*
 * optimize.c - 'optimize': entries without a vector go, and those of a bucket stand together.
 *
 * Of a rowid with several entries nobody can say which is the one of its vector: all of them go, and it gets a new one.
 * So does a vector without an entry, which there should not be.
 */
#include <string.h>

#include "base/memory.h"
#include "command.h"
#include "kernels/panel.h"
#include "model.h"
#include "pending.h"
#include "store.h"
#include "survey.h"

SQLITE_EXTENSION_INIT3

/* A bucket as it is written anew. */
struct rewriting {
    struct nlsh__sqlite_table *table;
    const struct nlsh__sqlite_survey *survey;
    uint8_t *bytes; /* of a chunk that is written */
    size_t room;    /* entries of a chunk */
    uint8_t *kept;  /* [kept_room] entries that stay, each a struct kept with the code behind it */
    size_t n_kept, kept_room, n_dropped, n_chunks;
};

struct kept {
    int64_t rowid;
    float bias;
    uint32_t error;
};

static size_t kept_size(const struct rewriting *r)
{
    return (sizeof(struct kept) + r->table->model->code_bytes + 7) / 8 * 8;
}

static int reserve(struct rewriting *r, size_t n)
{
    size_t size = kept_size(r);
    uint8_t *more = NULL;
    if (r->n_kept + n <= r->kept_room) return SQLITE_OK;
    size_t room = 2 * r->kept_room + n;
    if (nlsh__alloc(&more, room, size, NULL) != NLSH_OK) return SQLITE_NOMEM;
    if (r->n_kept > 0) memcpy(more, r->kept, r->n_kept * size);
    nlsh__free(r->kept);
    r->kept = more;
    r->kept_room = room;
    return SQLITE_OK;
}

/* Keeps those entries of a chunk that are the only one of their vector. */
static int keep(void *user, sqlite3_int64 id, const struct nlsh__sqlite_chunk *chunk)
{
    struct rewriting *r = user;
    size_t n_chunks = chunk->code_bytes / 4;
    (void)id;
    r->n_chunks++;
    int rc = reserve(r, chunk->n);
    for (size_t i = 0; i < chunk->n && rc == SQLITE_OK; i++) {
        size_t at = nlsh__sqlite_survey_find(r->survey, chunk->rowids[i]);
        if (at == r->survey->n || r->survey->n_entries[at] != 1) {
            r->n_dropped++;
            continue;
        }
        uint8_t *to = r->kept + r->n_kept++ * kept_size(r);
        struct kept one = {.rowid = chunk->rowids[i]};
        if (n_chunks > 0) {
            one.bias = chunk->biases[i];
            one.error = chunk->errors[i];
        }
        memcpy(to, &one, sizeof one);
        const uint8_t *from = chunk->codes + i / NLSH__GROUP * n_chunks * 64 + i % NLSH__GROUP * 4;
        for (size_t c = 0; c < n_chunks; c++) memcpy(to + sizeof one + c * 4, from + c * 64, 4);
    }
    return rc;
}

static int delete_chunks(struct rewriting *r, uint32_t bucket)
{
    sqlite3_stmt *delete;
    int rc = nlsh__sqlite_prepare(r->table, NLSH__SQL_CHUNKS_DELETE, &delete);
    if (rc != SQLITE_OK) return rc;
    sqlite3_bind_int64(delete, 1, bucket * NLSH__SQL_CHUNKS);
    sqlite3_bind_int64(delete, 2, (bucket + INT64_C(1)) * NLSH__SQL_CHUNKS - 1);
    return nlsh__sqlite_run(r->table, delete);
}

static int write_kept(struct rewriting *r, uint32_t bucket)
{
    size_t code_bytes = r->table->model->code_bytes;
    nlsh__sqlite_cache_drop(r->table->model->cache, bucket);
    int rc = delete_chunks(r, bucket);
    sqlite3_int64 id = bucket * NLSH__SQL_CHUNKS;
    for (size_t first = 0; first < r->n_kept && rc == SQLITE_OK; first += r->room, id++) {
        struct nlsh__sqlite_chunk chunk;
        size_t n = r->n_kept - first < r->room ? r->n_kept - first : r->room;
        nlsh__sqlite_chunk_begin(r->bytes, n, code_bytes, &chunk);
        for (size_t i = 0; i < n; i++) {
            struct kept one;
            const uint8_t *from = r->kept + (first + i) * kept_size(r);
            memcpy(&one, from, sizeof one);
            const struct nlsh__sqlite_entry entry = {one.bias, (uint8_t)one.error,
                                                     from + sizeof one};
            nlsh__sqlite_chunk_set(&chunk, i, one.rowid, &entry);
        }
        rc = nlsh__sqlite_put(r->table, NLSH__SQL_CHUNK_PUT, id, chunk.bytes, chunk.size);
    }
    r->table->model->sizes[bucket] = (uint32_t)r->n_kept;
    if (rc == SQLITE_OK)
        rc = nlsh__sqlite_put_number(r->table, NLSH__SQL_BUCKET_PUT, bucket,
                                     (sqlite3_int64)r->n_kept);
    return rc;
}

static int rewrite_bucket(struct rewriting *r, uint32_t bucket)
{
    sqlite3_int64 first = bucket * NLSH__SQL_CHUNKS;
    r->n_kept = r->n_dropped = r->n_chunks = 0;
    int rc = nlsh__sqlite_each_chunk(r->table, first, first + NLSH__SQL_CHUNKS - 1, keep, r);
    if (rc != SQLITE_OK) return rc;
    int is_dense = r->n_chunks <= (r->n_kept + r->room - 1) / r->room;
    if (r->n_dropped == 0 && is_dense && r->table->model->sizes[bucket] == r->n_kept)
        return SQLITE_OK;
    return write_kept(r, bucket);
}

/* New entries for vectors that have none now. */
static int enter_again(struct nlsh__sqlite_table *table, const struct nlsh__sqlite_survey *survey)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < survey->n && rc == SQLITE_OK; i++) {
        const void *vector;
        if (survey->n_entries[i] == 1) continue;
        rc = nlsh__sqlite_vector_get(table, survey->rowids[i], &vector);
        if (rc != SQLITE_OK || vector == NULL) continue;
        memcpy(table->vector, vector, table->dim * sizeof *table->vector);
        nlsh__sqlite_vector_release(table);
        rc = nlsh__sqlite_pend(table, table->vector);
        if (rc == SQLITE_OK) nlsh__sqlite_pend_added(table, survey->rowids[i]);
    }
    return rc;
}

int nlsh__sqlite_optimize(struct nlsh__sqlite_table *table)
{
    struct nlsh__sqlite_survey survey;
    if (table->model == NULL) return SQLITE_OK;
    size_t code_bytes = table->model->code_bytes;
    struct rewriting r = {.table = table, .survey = &survey};
    r.room = nlsh__sqlite_chunk_room(code_bytes);
    int rc = nlsh__sqlite_pend_change(table);
    if (rc == SQLITE_OK) rc = nlsh__sqlite_survey_make(table, &survey, NULL);
    if (rc != SQLITE_OK) return rc;
    if (nlsh__alloc(&r.bytes, nlsh__sqlite_chunk_size(r.room, code_bytes), 1, NULL) != NLSH_OK)
        rc = SQLITE_NOMEM;
    for (uint32_t b = 0; b < table->model->n_buckets && rc == SQLITE_OK; b++)
        rc = rewrite_bucket(&r, b);
    if (rc == SQLITE_OK) rc = enter_again(table, &survey);
    if (rc == SQLITE_OK) {
        table->state.rows = (sqlite3_int64)survey.n;
        table->state.stale = 0;
        nlsh__sqlite_pend_dirty(table);
        rc = nlsh__sqlite_flush(table);
    }
    nlsh__free(r.bytes);
    nlsh__free(r.kept);
    nlsh__sqlite_survey_free(&survey);
    return rc;
}
