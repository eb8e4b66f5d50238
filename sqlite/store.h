/*
 * store.h - the shadow tables of a virtual table X: all that lasts.
 *
 *   X_info     what the table is and how it stands: names and numbers
 *   X_vectors  a row a vector, by its rowid: the values as they were given, f32
 *   X_model    once there was a 'train': the parts of what was learned (model.h)
 *   X_chunks   the entries of a bucket lie together: id is bucket x 65,536 and a number (chunk.h)
 *   X_buckets  how many entries each bucket has
 *
 * Entries are what a search scans: a rowid and a code. An entry whose vector was deleted or replaced stays until
 * 'optimize', and does no harm: distances are always those of X_vectors.
 */
#ifndef NLSH_SQL_STORE_H
#define NLSH_SQL_STORE_H

#include "table.h"

/* Makes, drops or renames the shadow tables. */
int nlsh__sqlite_store_create(struct nlsh__sqlite_table *table);
int nlsh__sqlite_store_drop(struct nlsh__sqlite_table *table);
int nlsh__sqlite_store_rename(struct nlsh__sqlite_table *table, const char *name);
/* Whether a table called X_suffix would be a shadow table. */
int nlsh__sqlite_is_shadow(const char *suffix);

/* A statement, prepared once, without values. */
int nlsh__sqlite_prepare(struct nlsh__sqlite_table *table, enum nlsh__sqlite_statement which,
                         sqlite3_stmt **out);
void nlsh__sqlite_finalize(struct nlsh__sqlite_table *table);
/* Runs a statement to its end: rc of reset. */
int nlsh__sqlite_run(struct nlsh__sqlite_table *table, sqlite3_stmt *statement);
/* Reset, where rows were read; says what was wrong if rc, of the last step, is neither ROW nor DONE. */
int nlsh__sqlite_done(struct nlsh__sqlite_table *table, sqlite3_stmt *statement, int rc);
/* SQLITE_INTERRUPT where the connection was interrupted. */
int nlsh__sqlite_interrupted(struct nlsh__sqlite_table *table);

/* Runs a statement of a number and a blob, or of two numbers. */
int nlsh__sqlite_put(struct nlsh__sqlite_table *table, enum nlsh__sqlite_statement which,
                     sqlite3_int64 id, const void *bytes, size_t size);
int nlsh__sqlite_put_number(struct nlsh__sqlite_table *table, enum nlsh__sqlite_statement which,
                            sqlite3_int64 id, sqlite3_int64 number);
/* How many vectors there are, counted. */
int nlsh__sqlite_count(struct nlsh__sqlite_table *table, size_t *out);

/* The vector of a rowid as it was stored, dim floats in *out (not aligned), which the statement owns until
 * nlsh__sqlite_release(); NULL where there is none. */
int nlsh__sqlite_vector_get(struct nlsh__sqlite_table *table, sqlite3_int64 rowid,
                            const void **out);
void nlsh__sqlite_vector_release(struct nlsh__sqlite_table *table);

/* Goes to a row of a shadow table, of which table->blobs[] is then the column; *is_there 0 where it has no such row, or
 * no blob. nlsh__sqlite_blobs_close() belongs behind it: as long as one is open, a statement reads the database. */
int nlsh__sqlite_blob_seek(struct nlsh__sqlite_table *table, enum nlsh__sqlite_blob which,
                           sqlite3_int64 id, int *is_there);
void nlsh__sqlite_blobs_close(struct nlsh__sqlite_table *table);

/* ---- how the table stands --------------------------------------------------------------------- */

/* Reads the state where it is another version's, and then drops what was kept of before. */
int nlsh__sqlite_refresh(struct nlsh__sqlite_table *table);
/* How many rows there are, and whether anything was learned, as far as that can be read: for the planner, before any
 * statement has read the state. */
void nlsh__sqlite_estimate(struct nlsh__sqlite_table *table);
/* Writes the state, as a new version. */
int nlsh__sqlite_put_state(struct nlsh__sqlite_table *table);
/* What was read may be undone: it will be read anew. */
void nlsh__sqlite_forget(struct nlsh__sqlite_table *table);

#endif
