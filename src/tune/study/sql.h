/* sql.h - SQLite with this library's errors. */
#ifndef NLSH_TUNE_STUDY_SQL_H
#define NLSH_TUNE_STUDY_SQL_H

#include <sqlite3.h>

#include "nlsh/nlsh.h"

struct nlsh__sql {
    sqlite3 *db;
    char *path;
};

enum nlsh__sql_mode {
    NLSH__SQL_READ,  /* the file must be there; it and what lies beside it stay as they are */
    NLSH__SQL_WRITE, /* it must be there */
    NLSH__SQL_CREATE
};

/* Opens, with a busy timeout of 60 s. NLSH_E_NO_INPUT, NLSH_E_CANT_CREATE, NLSH_E_DATA (no database).
 * *out is closed in any case. */
enum nlsh_status nlsh__sql_open(const char *path, enum nlsh__sql_mode mode, struct nlsh__sql *out,
                                struct nlsh_error *error);
void nlsh__sql_close(struct nlsh__sql *sql);

/* Looks the file over: NLSH_E_DATA where its pages do not hold together. */
enum nlsh_status nlsh__sql_check(const struct nlsh__sql *sql, struct nlsh_error *error);

/* What SQLite just failed with. */
enum nlsh_status nlsh__sql_fail(const struct nlsh__sql *sql, int code, struct nlsh_error *error);

/* A statement with its values bound: one letter of types each, i int64_t, d double (NAN is NULL),
 * t text (NULL is NULL). Finished by sqlite3_finalize(). */
enum nlsh_status nlsh__sql_prepare(const struct nlsh__sql *sql, sqlite3_stmt **out,
                                   struct nlsh_error *error, const char *text, const char *types,
                                   ...);
/* The next row: *row is 0 past the last. */
enum nlsh_status nlsh__sql_step(const struct nlsh__sql *sql, sqlite3_stmt *statement, int *row,
                                struct nlsh_error *error);
/* A statement without an answer. */
enum nlsh_status nlsh__sql_run(const struct nlsh__sql *sql, struct nlsh_error *error,
                               const char *text, const char *types, ...);
/* One whole number or one text (freed by the caller; NULL where there is no row or it is NULL). */
enum nlsh_status nlsh__sql_int(const struct nlsh__sql *sql, int64_t *out, struct nlsh_error *error,
                               const char *text, const char *types, ...);
enum nlsh_status nlsh__sql_text(const struct nlsh__sql *sql, char **out, struct nlsh_error *error,
                                const char *text, const char *types, ...);

/* Keeps a log beside the file, so that others may read while one writes. Two processes that ask for it at
 * once on a new file would not wait for each other: SQLite's own timeout does not count here. */
enum nlsh_status nlsh__sql_use_wal(const struct nlsh__sql *sql, struct nlsh_error *error);

/* A transaction that writes: it takes the lock at once, so that nobody changes what it reads. End
 * commits where status is NLSH_OK, else rolls back; returns status or the commit's own. */
enum nlsh_status nlsh__sql_begin(const struct nlsh__sql *sql, struct nlsh_error *error);
enum nlsh_status nlsh__sql_end(const struct nlsh__sql *sql, enum nlsh_status status,
                               struct nlsh_error *error);

#endif
