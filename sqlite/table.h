/*
 * table.h - a virtual table of one connection, and what it keeps between statements.
 *
 * All that lasts stands in shadow tables (store.h). What is kept here are copies of it, valid for one version of the
 * table: state.c looks at the version inside the statement's transaction and drops what is old.
 */
#ifndef NLSH_SQL_TABLE_H
#define NLSH_SQL_TABLE_H

#include <sqlite3ext.h>

#include "ahead.h"
#include "nlsh/nlsh.h"

/* Columns, as the table is declared to SQLite. */
enum nlsh__sqlite_column {
    NLSH__SQL_VECTOR,
    NLSH__SQL_DISTANCE,
    NLSH__SQL_K,
    NLSH__SQL_RECALL,
    NLSH__SQL_COMMAND /* has the table's name */
};

/* Statements on the shadow tables: store.c has their text. */
enum nlsh__sqlite_statement {
    NLSH__SQL_INFO_GET,
    NLSH__SQL_INFO_ALL,
    NLSH__SQL_INFO_PUT,
    NLSH__SQL_VECTOR_GET,
    NLSH__SQL_VECTOR_INSERT,
    NLSH__SQL_VECTOR_REPLACE,
    NLSH__SQL_VECTOR_UPDATE,
    NLSH__SQL_VECTOR_DELETE,
    NLSH__SQL_VECTOR_SCAN,
    NLSH__SQL_VECTOR_COUNT,
    NLSH__SQL_ROWIDS,
    NLSH__SQL_CHUNKS_OF,
    NLSH__SQL_CHUNKS_DELETE,
    NLSH__SQL_CHUNK_LAST,
    NLSH__SQL_CHUNK_PUT,
    NLSH__SQL_CHUNKS_CLEAR,
    NLSH__SQL_MODEL_PUT,
    NLSH__SQL_MODEL_CLEAR,
    NLSH__SQL_BUCKETS_ALL,
    NLSH__SQL_BUCKET_PUT,
    NLSH__SQL_BUCKETS_CLEAR,
    NLSH__SQL_CACHE_SIZE,
    NLSH__SQL_PAGE_SIZE,
    NLSH__SQL_ROOTS,
    NLSH__SQL_ONE, /* does nothing but notice an interrupt */
    NLSH__SQL_N_STATEMENTS
};

/* Columns of blobs that are read into memory of ours at once; a statement would make a copy of its own before. */
enum nlsh__sqlite_blob { NLSH__SQL_BLOB_MODEL, NLSH__SQL_BLOB_CHUNKS, NLSH__SQL_N_BLOBS };

/* The numbers of the shadow table info. */
struct nlsh__sqlite_state {
    sqlite3_int64
        version; /* random; another after each change of entries or of rows; 0: not read */
    sqlite3_int64 generation; /* random; another after each training; 0: not trained */
    sqlite3_int64 rows;       /* vectors */
    sqlite3_int64 stale;      /* entries of vectors that were deleted or replaced, at most */
    sqlite3_int64 changed;    /* vectors that came or went since promises were measured */
};

struct nlsh__sqlite_model;
struct nlsh__sqlite_pending;

struct nlsh__sqlite_table {
    sqlite3_vtab base; /* SQLite's: first */
    sqlite3 *db;
    char *schema, *name, *column;
    size_t dim;
    enum nlsh_metric metric;
    sqlite3_stmt *statements[NLSH__SQL_N_STATEMENTS];
    sqlite3_blob *blobs[NLSH__SQL_N_BLOBS]; /* open while a search or a command runs; or NULL */
    struct nlsh__sqlite_state state;
    int checked;                      /* 1: state is that of the write transaction that is open */
    struct nlsh__sqlite_model *model; /* of state.generation; NULL: not trained, or not loaded */
    struct nlsh__sqlite_pending
        *pending;  /* what is not in the shadow tables yet; NULL: nothing ever was */
    float *vector; /* [dim] of the statement that runs */
    struct nlsh__sqlite_ahead ahead;
};

/* Says what is wrong, and returns rc. */
int nlsh__sqlite_fail(struct nlsh__sqlite_table *table, int rc, const char *format, ...);
/* The same of what a call of libnlsh said. */
int nlsh__sqlite_failed(struct nlsh__sqlite_table *table, const struct nlsh_error *error);
/* The same of what SQLite said of a statement on shadow tables. */
int nlsh__sqlite_broken(struct nlsh__sqlite_table *table, int rc);
/* The same of shadow tables whose content cannot be so: SQLITE_CORRUPT_VTAB. */
int nlsh__sqlite_damaged(struct nlsh__sqlite_table *table, const char *what);

/* The code of SQLite for a status. */
int nlsh__sqlite_code(enum nlsh_status status);

extern const sqlite3_module nlsh__sqlite_module;

#endif
