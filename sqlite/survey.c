/* survey.c - see survey.h. */
#include "survey.h"

#include <string.h>

#include "base/memory.h"
#include "model.h"
#include "store.h"

SQLITE_EXTENSION_INIT3

size_t nlsh__sqlite_survey_find(const struct nlsh__sqlite_survey *s, int64_t rowid)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->rowids[middle] < rowid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->n && s->rowids[low] == rowid ? low : s->n;
}

void nlsh__sqlite_survey_free(struct nlsh__sqlite_survey *s)
{
    nlsh__free(s->rowids);
    nlsh__free(s->n_entries);
    *s = (struct nlsh__sqlite_survey){.n = 0};
}

/* One chunk from a statement's row, copied to aligned memory. */
static int take_chunk(struct nlsh__sqlite_table *table, sqlite3_stmt *row, uint8_t *bytes,
                      size_t room, struct nlsh__sqlite_chunk *out)
{
    const void *blob = sqlite3_column_blob(row, 1);
    size_t size = (size_t)sqlite3_column_bytes(row, 1);
    if (blob == NULL && sqlite3_errcode(table->db) == SQLITE_NOMEM) return SQLITE_NOMEM;
    if (blob != NULL && size <= room) {
        memcpy(bytes, blob, size);
        if (nlsh__sqlite_chunk_open(bytes, size, table->model->code_bytes, out)) return SQLITE_OK;
    }
    return nlsh__sqlite_damaged(table, "a chunk of entries cannot be so");
}

int nlsh__sqlite_each_chunk(struct nlsh__sqlite_table *table, sqlite3_int64 first,
                            sqlite3_int64 last, nlsh__sqlite_chunk_fn *call, void *user)
{
    size_t code_bytes = table->model->code_bytes;
    size_t room = nlsh__sqlite_chunk_size(nlsh__sqlite_chunk_room(code_bytes), code_bytes);
    uint8_t *bytes = NULL;
    sqlite3_stmt *of;
    struct nlsh__sqlite_chunk chunk = {.n = 0};
    int rc = nlsh__sqlite_prepare(table, NLSH__SQL_CHUNKS_OF, &of), inner = SQLITE_OK;
    if (rc != SQLITE_OK) return rc;
    if (nlsh__alloc(&bytes, room, 1, NULL) != NLSH_OK) return SQLITE_NOMEM;
    sqlite3_bind_int64(of, 1, first);
    sqlite3_bind_int64(of, 2, last);
    while (inner == SQLITE_OK && (rc = sqlite3_step(of)) == SQLITE_ROW) {
        inner = take_chunk(table, of, bytes, room, &chunk);
        if (inner == SQLITE_OK) inner = call(user, sqlite3_column_int64(of, 0), &chunk);
    }
    rc = nlsh__sqlite_done(table, of, rc);
    nlsh__free(bytes);
    return inner != SQLITE_OK ? inner : rc;
}

/* ---- the survey ------------------------------------------------------------------------------ */

struct counting {
    struct nlsh__sqlite_table *table;
    struct nlsh__sqlite_survey *survey;
    uint32_t *sizes;
};

static int count_chunk(void *user, sqlite3_int64 id, const struct nlsh__sqlite_chunk *chunk)
{
    const struct counting *c = user;
    struct nlsh__sqlite_survey *s = c->survey;
    sqlite3_int64 bucket = id / NLSH__SQL_CHUNKS;
    if (id < 0 || (size_t)bucket >= c->table->model->n_buckets)
        return nlsh__sqlite_damaged(c->table, "a chunk is of no bucket");
    if (c->sizes != NULL) c->sizes[bucket] += (uint32_t)chunk->n;
    for (size_t i = 0; i < chunk->n; i++) {
        size_t at = nlsh__sqlite_survey_find(s, chunk->rowids[i]);
        if (at == s->n)
            s->n_stale++;
        else if (s->n_entries[at] < 2)
            s->n_entries[at]++;
    }
    return SQLITE_OK;
}

static int read_rowids(struct nlsh__sqlite_table *table, struct nlsh__sqlite_survey *s, size_t room)
{
    sqlite3_stmt *all;
    int rc = nlsh__sqlite_prepare(table, NLSH__SQL_ROWIDS, &all);
    if (rc != SQLITE_OK) return rc;
    while ((rc = sqlite3_step(all)) == SQLITE_ROW && s->n < room)
        s->rowids[s->n++] = sqlite3_column_int64(all, 0);
    return nlsh__sqlite_done(table, all, rc);
}

int nlsh__sqlite_survey_make(struct nlsh__sqlite_table *table, struct nlsh__sqlite_survey *out,
                             uint32_t *sizes)
{
    size_t room;
    *out = (struct nlsh__sqlite_survey){.n = 0};
    int rc = nlsh__sqlite_count(table, &room);
    if (rc != SQLITE_OK) return rc;
    if (nlsh__alloc(&out->rowids, room, sizeof *out->rowids, NULL) != NLSH_OK ||
        nlsh__calloc(&out->n_entries, room, 1, NULL) != NLSH_OK)
        rc = SQLITE_NOMEM;
    if (rc == SQLITE_OK) rc = read_rowids(table, out, room);
    struct counting counting = {table, out, sizes};
    if (rc == SQLITE_OK)
        rc = nlsh__sqlite_each_chunk(table, INT64_MIN, INT64_MAX, count_chunk, &counting);
    if (rc != SQLITE_OK) nlsh__sqlite_survey_free(out);
    return rc;
}
