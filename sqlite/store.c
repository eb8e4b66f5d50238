/* store.c - see store.h. */
#include "store.h"

#include <string.h>

#include "model.h"

SQLITE_EXTENSION_INIT3

enum { FORMAT = 1 };

static const char *const suffixes[] = {"info", "vectors", "model", "chunks", "buckets"};
enum { N_TABLES = sizeof suffixes / sizeof *suffixes };

/* %1 is the schema, %2 the table's name. */
static const char *const texts[NLSH__SQL_N_STATEMENTS] = {
    [NLSH__SQL_INFO_GET] = "SELECT value FROM \"%w\".\"%w_info\" WHERE name = ?",
    [NLSH__SQL_INFO_ALL] = "SELECT name, value FROM \"%w\".\"%w_info\"",
    [NLSH__SQL_INFO_PUT] = "REPLACE INTO \"%w\".\"%w_info\" VALUES(?, ?)",
    [NLSH__SQL_VECTOR_GET] = "SELECT vector FROM \"%w\".\"%w_vectors\" WHERE id = ?",
    [NLSH__SQL_VECTOR_INSERT] = "INSERT INTO \"%w\".\"%w_vectors\" VALUES(?, ?)",
    [NLSH__SQL_VECTOR_REPLACE] = "REPLACE INTO \"%w\".\"%w_vectors\" VALUES(?, ?)",
    [NLSH__SQL_VECTOR_UPDATE] = "UPDATE \"%w\".\"%w_vectors\" SET vector = ?2 WHERE id = ?1",
    [NLSH__SQL_VECTOR_DELETE] = "DELETE FROM \"%w\".\"%w_vectors\" WHERE id = ?",
    [NLSH__SQL_VECTOR_SCAN] =
        "SELECT id, vector FROM \"%w\".\"%w_vectors\" WHERE id >= ? AND id <= ? ORDER BY id",
    [NLSH__SQL_VECTOR_COUNT] = "SELECT count(*) FROM \"%w\".\"%w_vectors\"",
    [NLSH__SQL_ROWIDS] = "SELECT id FROM \"%w\".\"%w_vectors\" ORDER BY id",
    [NLSH__SQL_CHUNKS_DELETE] = "DELETE FROM \"%w\".\"%w_chunks\" WHERE id >= ? AND id <= ?",
    [NLSH__SQL_CHUNKS_OF] =
        "SELECT id, data FROM \"%w\".\"%w_chunks\" WHERE id >= ? AND id <= ? ORDER BY id",
    [NLSH__SQL_CHUNK_LAST] = ("SELECT id, data FROM \"%w\".\"%w_chunks\" WHERE id >= ? AND id <= ? "
                              "ORDER BY id DESC LIMIT 1"),
    [NLSH__SQL_CHUNK_PUT] = "REPLACE INTO \"%w\".\"%w_chunks\" VALUES(?, ?)",
    [NLSH__SQL_CHUNKS_CLEAR] = "DELETE FROM \"%w\".\"%w_chunks\"",
    [NLSH__SQL_MODEL_PUT] = "REPLACE INTO \"%w\".\"%w_model\" VALUES(?, ?)",
    [NLSH__SQL_MODEL_CLEAR] = "DELETE FROM \"%w\".\"%w_model\"",
    [NLSH__SQL_BUCKETS_ALL] = "SELECT bucket, n FROM \"%w\".\"%w_buckets\"",
    [NLSH__SQL_BUCKET_PUT] = "REPLACE INTO \"%w\".\"%w_buckets\" VALUES(?, ?)",
    [NLSH__SQL_BUCKETS_CLEAR] = "DELETE FROM \"%w\".\"%w_buckets\"",
    [NLSH__SQL_CACHE_SIZE] = "PRAGMA \"%w\".cache_size",
    [NLSH__SQL_PAGE_SIZE] = "PRAGMA \"%w\".page_size",
    [NLSH__SQL_ROOTS] = "SELECT name, rootpage FROM \"%w\".sqlite_master WHERE type = 'table'",
    [NLSH__SQL_ONE] = "SELECT 1",
};

/* ---- the tables ------------------------------------------------------------------------------ */

static int run_text(struct nlsh__sqlite_table *table, char *sql)
{
    if (sql == NULL) return SQLITE_NOMEM;
    int rc = sqlite3_exec(table->db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return rc != SQLITE_OK ? nlsh__sqlite_broken(table, rc) : SQLITE_OK;
}

int nlsh__sqlite_store_create(struct nlsh__sqlite_table *table)
{
    const char *s = table->schema, *n = table->name;
    return run_text(
        table, sqlite3_mprintf(
                   "CREATE TABLE \"%w\".\"%w_info\"(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
                   "CREATE TABLE \"%w\".\"%w_vectors\"(id INTEGER PRIMARY KEY, vector BLOB);"
                   "CREATE TABLE \"%w\".\"%w_model\"(part INTEGER PRIMARY KEY, data BLOB);"
                   "CREATE TABLE \"%w\".\"%w_chunks\"(id INTEGER PRIMARY KEY, data BLOB);"
                   "CREATE TABLE \"%w\".\"%w_buckets\"(bucket INTEGER PRIMARY KEY, n INTEGER);"
                   "INSERT INTO \"%w\".\"%w_info\" VALUES('format', %d), ('version', 1), "
                   "('generation', 0), "
                   "('rows', 0), ('stale', 0), ('changed', 0)",
                   s, n, s, n, s, n, s, n, s, n, s, n, FORMAT));
}

int nlsh__sqlite_store_drop(struct nlsh__sqlite_table *table)
{
    int rc = SQLITE_OK;
    for (int i = 0; i < N_TABLES && rc == SQLITE_OK; i++)
        rc = run_text(table, sqlite3_mprintf("DROP TABLE IF EXISTS \"%w\".\"%w_%s\"", table->schema,
                                             table->name, suffixes[i]));
    return rc;
}

int nlsh__sqlite_store_rename(struct nlsh__sqlite_table *table, const char *name)
{
    int rc = SQLITE_OK;
    for (int i = 0; i < N_TABLES && rc == SQLITE_OK; i++)
        rc = run_text(table,
                      sqlite3_mprintf("ALTER TABLE \"%w\".\"%w_%s\" RENAME TO \"%w_%s\"",
                                      table->schema, table->name, suffixes[i], name, suffixes[i]));
    return rc;
}

int nlsh__sqlite_is_shadow(const char *suffix)
{
    for (int i = 0; i < N_TABLES; i++)
        if (sqlite3_stricmp(suffix, suffixes[i]) == 0) return 1;
    return 0;
}

/* ---- statements ------------------------------------------------------------------------------ */

int nlsh__sqlite_prepare(struct nlsh__sqlite_table *table, enum nlsh__sqlite_statement which,
                         sqlite3_stmt **out)
{
    *out = table->statements[which];
    if (*out != NULL) return SQLITE_OK;
    char *sql = sqlite3_mprintf(texts[which], table->schema, table->name);
    if (sql == NULL) return SQLITE_NOMEM;
    int rc = sqlite3_prepare_v3(table->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    sqlite3_free(sql);
    if (rc != SQLITE_OK) return nlsh__sqlite_broken(table, rc);
    table->statements[which] = *out;
    return SQLITE_OK;
}

void nlsh__sqlite_finalize(struct nlsh__sqlite_table *table)
{
    for (int i = 0; i < NLSH__SQL_N_STATEMENTS; i++) {
        sqlite3_finalize(table->statements[i]);
        table->statements[i] = NULL;
    }
}

int nlsh__sqlite_done(struct nlsh__sqlite_table *table, sqlite3_stmt *statement, int rc)
{
    int reset = sqlite3_reset(statement);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE || rc == SQLITE_OK) rc = reset;
    return rc != SQLITE_OK ? nlsh__sqlite_broken(table, rc) : SQLITE_OK;
}

int nlsh__sqlite_run(struct nlsh__sqlite_table *table, sqlite3_stmt *statement)
{
    return nlsh__sqlite_done(table, statement, sqlite3_step(statement));
}

int nlsh__sqlite_put(struct nlsh__sqlite_table *table, enum nlsh__sqlite_statement which,
                     sqlite3_int64 id, const void *bytes, size_t size)
{
    sqlite3_stmt *put;
    int rc = nlsh__sqlite_prepare(table, which, &put);
    if (rc != SQLITE_OK) return rc;
    sqlite3_bind_int64(put, 1, id);
    rc = sqlite3_bind_blob64(put, 2, bytes, size, SQLITE_STATIC);
    if (rc == SQLITE_OK) rc = nlsh__sqlite_run(table, put);
    sqlite3_clear_bindings(put);
    return rc;
}

int nlsh__sqlite_put_number(struct nlsh__sqlite_table *table, enum nlsh__sqlite_statement which,
                            sqlite3_int64 id, sqlite3_int64 number)
{
    sqlite3_stmt *put;
    int rc = nlsh__sqlite_prepare(table, which, &put);
    if (rc != SQLITE_OK) return rc;
    sqlite3_bind_int64(put, 1, id);
    sqlite3_bind_int64(put, 2, number);
    return nlsh__sqlite_run(table, put);
}

int nlsh__sqlite_count(struct nlsh__sqlite_table *table, size_t *out)
{
    sqlite3_stmt *count;
    *out = 0;
    int rc = nlsh__sqlite_prepare(table, NLSH__SQL_VECTOR_COUNT, &count);
    if (rc != SQLITE_OK) return rc;
    rc = sqlite3_step(count);
    if (rc == SQLITE_ROW) *out = (size_t)sqlite3_column_int64(count, 0);
    return nlsh__sqlite_done(table, count, rc);
}

int nlsh__sqlite_interrupted(struct nlsh__sqlite_table *table)
{
    sqlite3_stmt *one;
    int rc = nlsh__sqlite_prepare(table, NLSH__SQL_ONE, &one);
    return rc == SQLITE_OK ? nlsh__sqlite_run(table, one) : rc;
}

int nlsh__sqlite_vector_get(struct nlsh__sqlite_table *table, sqlite3_int64 rowid, const void **out)
{
    sqlite3_stmt *get;
    *out = NULL;
    int rc = nlsh__sqlite_prepare(table, NLSH__SQL_VECTOR_GET, &get);
    if (rc != SQLITE_OK) return rc;
    sqlite3_bind_int64(get, 1, rowid);
    rc = sqlite3_step(get);
    if (rc != SQLITE_ROW) return nlsh__sqlite_done(table, get, rc);
    const void *bytes = sqlite3_column_blob(get, 0);
    if (bytes == NULL || (size_t)sqlite3_column_bytes(get, 0) != table->dim * sizeof(float)) {
        int no_memory = bytes == NULL && sqlite3_errcode(table->db) == SQLITE_NOMEM;
        sqlite3_reset(get);
        return no_memory ? SQLITE_NOMEM
                         : nlsh__sqlite_damaged(table, "a vector has another length");
    }
    *out = bytes;
    return SQLITE_OK;
}

void nlsh__sqlite_vector_release(struct nlsh__sqlite_table *table)
{
    sqlite3_reset(table->statements[NLSH__SQL_VECTOR_GET]);
}

void nlsh__sqlite_blobs_close(struct nlsh__sqlite_table *table)
{
    for (int i = 0; i < NLSH__SQL_N_BLOBS; i++) {
        (void)sqlite3_blob_close(table->blobs[i]);
        table->blobs[i] = NULL;
    }
}

static int blob_open(struct nlsh__sqlite_table *table, enum nlsh__sqlite_blob which,
                     sqlite3_int64 id)
{
    static const char *const tables[] = {"model", "chunks"};
    char *name = sqlite3_mprintf("%s_%s", table->name, tables[which]);
    if (name == NULL) return SQLITE_NOMEM;
    int rc = sqlite3_blob_open(table->db, table->schema, name, "data", id, 0, &table->blobs[which]);
    sqlite3_free(name);
    return rc;
}

int nlsh__sqlite_blob_seek(struct nlsh__sqlite_table *table, enum nlsh__sqlite_blob which,
                           sqlite3_int64 id, int *is_there)
{
    int rc = table->blobs[which] != NULL ? sqlite3_blob_reopen(table->blobs[which], id)
                                         : blob_open(table, which, id);
    *is_there = rc == SQLITE_OK;
    if (rc == SQLITE_OK) return rc;
    /* what could not be opened is of no use any more; SQLITE_ERROR: no such table, row, or blob */
    (void)sqlite3_blob_close(table->blobs[which]);
    table->blobs[which] = NULL;
    return rc == SQLITE_ERROR ? SQLITE_OK : nlsh__sqlite_broken(table, rc);
}

/* ---- how the table stands --------------------------------------------------------------------- */

static sqlite3_int64 *number_called(struct nlsh__sqlite_state *state, const char *name)
{
    struct {
        const char *name;
        sqlite3_int64 *number;
    } all[] = {{"version", &state->version},
               {"generation", &state->generation},
               {"rows", &state->rows},
               {"stale", &state->stale},
               {"changed", &state->changed}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0) return all[i].number;
    return NULL;
}

static int read_version(struct nlsh__sqlite_table *table, sqlite3_int64 *out)
{
    sqlite3_stmt *get;
    int rc = nlsh__sqlite_prepare(table, NLSH__SQL_INFO_GET, &get);
    if (rc != SQLITE_OK) return rc;
    sqlite3_bind_text(get, 1, "version", -1, SQLITE_STATIC);
    rc = sqlite3_step(get);
    *out = rc == SQLITE_ROW ? sqlite3_column_int64(get, 0) : 0;
    return nlsh__sqlite_done(table, get, rc);
}

static int read_state(struct nlsh__sqlite_table *table, struct nlsh__sqlite_state *out)
{
    sqlite3_stmt *all;
    int rc = nlsh__sqlite_prepare(table, NLSH__SQL_INFO_ALL, &all);
    sqlite3_int64 format = 0;
    *out = (struct nlsh__sqlite_state){0};
    if (rc != SQLITE_OK) return rc;
    while ((rc = sqlite3_step(all)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(all, 0);
        sqlite3_int64 *number = name != NULL ? number_called(out, name) : NULL;
        if (number != NULL) *number = sqlite3_column_int64(all, 1);
        if (name != NULL && strcmp(name, "format") == 0) format = sqlite3_column_int64(all, 1);
    }
    rc = nlsh__sqlite_done(table, all, rc);
    if (rc != SQLITE_OK) return rc;
    if (format > FORMAT)
        return nlsh__sqlite_fail(table, SQLITE_ERROR,
                                 "%s: written by a newer nlsh, in format %lld: upgrade nlsh",
                                 table->name, format);
    if (format < FORMAT || out->version == 0 || out->rows < 0 || out->stale < 0 || out->changed < 0)
        return nlsh__sqlite_damaged(table, "its numbers are missing or cannot be so");
    return SQLITE_OK;
}

int nlsh__sqlite_refresh(struct nlsh__sqlite_table *table)
{
    sqlite3_int64 version;
    struct nlsh__sqlite_state state;
    int rc = read_version(table, &version);
    if (rc != SQLITE_OK || (version == table->state.version && version != 0)) return rc;
    rc = read_state(table, &state);
    if (rc != SQLITE_OK) return rc;
    if (state.generation != table->state.generation) {
        nlsh__sqlite_model_free(table->model);
        table->model = NULL;
    }
    table->state.version = 0; /* as long as what follows is not done */
    table->state.generation = state.generation;
    if (state.generation != 0 && table->model == NULL) rc = nlsh__sqlite_model_load(table);
    if (rc == SQLITE_OK && table->model != NULL) rc = nlsh__sqlite_model_weigh(table, state.rows);
    if (rc == SQLITE_OK) table->state = state;
    return rc;
}

void nlsh__sqlite_estimate(struct nlsh__sqlite_table *table)
{
    struct nlsh__sqlite_state state;
    if (read_state(table, &state) == SQLITE_OK) {
        table->state.rows = state.rows;
        table->state.generation =
            state.generation; /* without its model: it is read with the state */
    }
    sqlite3_free(table->base.zErrMsg);
    table->base.zErrMsg = NULL;
}

static int put_number(struct nlsh__sqlite_table *table, const char *name, sqlite3_int64 number)
{
    sqlite3_stmt *put;
    int rc = nlsh__sqlite_prepare(table, NLSH__SQL_INFO_PUT, &put);
    if (rc != SQLITE_OK) return rc;
    sqlite3_bind_text(put, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(put, 2, number);
    return nlsh__sqlite_run(table, put);
}

int nlsh__sqlite_put_state(struct nlsh__sqlite_table *table)
{
    struct nlsh__sqlite_state *state = &table->state;
    do sqlite3_randomness(sizeof state->version, &state->version);
    while (state->version == 0);
    int rc = put_number(table, "version", state->version);
    if (rc == SQLITE_OK) rc = put_number(table, "generation", state->generation);
    if (rc == SQLITE_OK) rc = put_number(table, "rows", state->rows);
    if (rc == SQLITE_OK) rc = put_number(table, "stale", state->stale);
    if (rc == SQLITE_OK) rc = put_number(table, "changed", state->changed);
    return rc;
}

void nlsh__sqlite_forget(struct nlsh__sqlite_table *table)
{
    table->state.version = 0;
    table->checked = 0;
}
