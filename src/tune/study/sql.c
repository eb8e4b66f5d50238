/* sql.c - see sql.h. */
#include "tune/study/sql.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

enum {
    BUSY_MS = 60000,    /* another process's transaction takes milliseconds; a stopped one longer */
    MAX_TEXT = 16 << 20 /* bytes of one text; what a study has is far below */
};

enum nlsh_status nlsh__sql_fail(const struct nlsh__sql *sql, int code, struct nlsh_error *error)
{
    const char *why = sql->db != NULL ? sqlite3_errmsg(sql->db) : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
    case SQLITE_TOOBIG:
        return nlsh__fail(error, NLSH_E_DATA,
                          "it is no study, or a damaged one: take a copy, or begin another",
                          "%s: %s", sql->path, why);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_FULL:
        return nlsh__fail(error, NLSH_E_CANT_CREATE,
                          "the study, its folder and the space on the disk must allow writing",
                          "%s: %s", sql->path, why);
    case SQLITE_BUSY:
        return nlsh__fail(error, NLSH_E_IO, "another process holds the study: stop it, or wait",
                          "%s: %s for %d s", sql->path, why, BUSY_MS / 1000);
    case SQLITE_NOMEM: return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    case SQLITE_ERROR: /* a table or column that is not there: the file is some other database */
        return nlsh__fail(error, NLSH_E_DATA, "give a study that nlsh tune or Optuna 3.1 wrote",
                          "%s: %s", sql->path, why);
    default: break;
    }
    return nlsh__fail(error, NLSH_E_IO, NULL, "%s: %s", sql->path, why);
}

/* A reader of a file in WAL mode leaves an empty log and its index beside it, unless it is told that
 * nobody writes: that is so where there is no log. As a URI, freed by the caller; NULL: no memory. */
static char *read_only_name(const char *path)
{
    size_t size = 3 * strlen(path) + 32;
    char *name = malloc(size), *to = name;
    if (name == NULL) return NULL;
    const char *end = name + size;
    snprintf(name, size, "%s-wal", path);
    int written = access(name, F_OK) == 0;
    to += snprintf(name, size, "file:%s", path[0] == '/' ? "//" : "");
    for (const char *c = path; *c != '\0'; c++)
        to += snprintf(to, (size_t)(end - to), strchr("%?#", *c) != NULL ? "%%%02X" : "%c",
                       (unsigned char)*c);
    snprintf(to, (size_t)(end - to), "%s", written ? "" : "?immutable=1");
    return name;
}

/* A file may come from anyone. What reading a table could set going is switched off: views and triggers of
 * the file's own, functions with effects, changes of the file behind SQLite's back. (sqlite.org,
 * "Defense Against The Dark Arts".) */
static int trust_nothing(sqlite3 *db)
{
    int code = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (code == SQLITE_OK) code = sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (code == SQLITE_OK) code = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    if (code == SQLITE_OK) code = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, MAX_TEXT);
    return code;
}

enum nlsh_status nlsh__sql_open(const char *path, enum nlsh__sql_mode mode, struct nlsh__sql *out,
                                struct nlsh_error *error)
{
    static const int flags[] = {SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, SQLITE_OPEN_READWRITE,
                                SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE};
    *out = (struct nlsh__sql){.path = strdup(path)};
    if (out->path == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    if (mode != NLSH__SQL_CREATE && access(path, F_OK) != 0)
        return nlsh__fail(error, NLSH_E_NO_INPUT,
                          "check the path, or begin a study without --resume",
                          "there is no study %s", path);
    char *name = mode == NLSH__SQL_READ ? read_only_name(path) : strdup(path);
    if (name == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    int code = sqlite3_open_v2(name, &out->db, flags[mode], NULL);
    free(name);
    if (code == SQLITE_OK) code = sqlite3_extended_result_codes(out->db, 1);
    if (code == SQLITE_OK) code = sqlite3_busy_timeout(out->db, BUSY_MS);
    if (code == SQLITE_OK) code = trust_nothing(out->db);
    return code == SQLITE_OK ? NLSH_OK : nlsh__sql_fail(out, code, error);
}

void nlsh__sql_close(struct nlsh__sql *sql)
{
    sqlite3_close(sql->db);
    free(sql->path);
    *sql = (struct nlsh__sql){0};
}

/* ---- statements ------------------------------------------------------------------------------ */

static enum nlsh_status prepare(const struct nlsh__sql *sql, sqlite3_stmt **out,
                                struct nlsh_error *error, const char *text, const char *types,
                                va_list values)
{
    *out = NULL;
    int code = sqlite3_prepare_v2(sql->db, text, -1, out, NULL);
    for (int i = 0; code == SQLITE_OK && types[i] != '\0'; i++) {
        if (types[i] == 'i') {
            code = sqlite3_bind_int64(*out, i + 1, va_arg(values, int64_t));
        } else if (types[i] == 'd') {
            double value = va_arg(values, double);
            code = isnan(value) ? sqlite3_bind_null(*out, i + 1)
                                : sqlite3_bind_double(*out, i + 1, value);
        } else {
            code =
                sqlite3_bind_text(*out, i + 1, va_arg(values, const char *), -1, SQLITE_TRANSIENT);
        }
    }
    return code == SQLITE_OK ? NLSH_OK : nlsh__sql_fail(sql, code, error);
}

enum nlsh_status nlsh__sql_prepare(const struct nlsh__sql *sql, sqlite3_stmt **out,
                                   struct nlsh_error *error, const char *text, const char *types,
                                   ...)
{
    va_list values;
    va_start(values, types);
    enum nlsh_status status = prepare(sql, out, error, text, types, values);
    va_end(values);
    return status;
}

enum nlsh_status nlsh__sql_step(const struct nlsh__sql *sql, sqlite3_stmt *statement, int *row,
                                struct nlsh_error *error)
{
    int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? NLSH_OK : nlsh__sql_fail(sql, code, error);
}

enum nlsh_status nlsh__sql_run(const struct nlsh__sql *sql, struct nlsh_error *error,
                               const char *text, const char *types, ...)
{
    int row = 1;
    sqlite3_stmt *statement;
    va_list values;
    va_start(values, types);
    enum nlsh_status status = prepare(sql, &statement, error, text, types, values);
    va_end(values);
    while (status == NLSH_OK && row) status = nlsh__sql_step(sql, statement, &row, error);
    sqlite3_finalize(statement);
    return status;
}

enum nlsh_status nlsh__sql_int(const struct nlsh__sql *sql, int64_t *out, struct nlsh_error *error,
                               const char *text, const char *types, ...)
{
    int row = 0;
    sqlite3_stmt *statement;
    va_list values;
    *out = 0;
    va_start(values, types);
    enum nlsh_status status = prepare(sql, &statement, error, text, types, values);
    va_end(values);
    if (status == NLSH_OK) status = nlsh__sql_step(sql, statement, &row, error);
    if (row) *out = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return status;
}

enum nlsh_status nlsh__sql_text(const struct nlsh__sql *sql, char **out, struct nlsh_error *error,
                                const char *text, const char *types, ...)
{
    int row = 0;
    sqlite3_stmt *statement;
    va_list values;
    *out = NULL;
    va_start(values, types);
    enum nlsh_status status = prepare(sql, &statement, error, text, types, values);
    va_end(values);
    if (status == NLSH_OK) status = nlsh__sql_step(sql, statement, &row, error);
    const char *found = row ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    if (found != NULL) {
        *out = strdup(found);
        if (*out == NULL) status = nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    }
    sqlite3_finalize(statement);
    return status;
}

enum nlsh_status nlsh__sql_use_wal(const struct nlsh__sql *sql, struct nlsh_error *error)
{
    enum { PAUSE_MS = 20 };
    int code = SQLITE_BUSY;
    for (int waited = 0; (code & 255) == SQLITE_BUSY && waited <= BUSY_MS; waited += PAUSE_MS) {
        if (waited > 0) (void)sqlite3_sleep(PAUSE_MS);
        code = sqlite3_exec(sql->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    }
    return code == SQLITE_OK ? NLSH_OK : nlsh__sql_fail(sql, code, error);
}

enum nlsh_status nlsh__sql_begin(const struct nlsh__sql *sql, struct nlsh_error *error)
{
    return nlsh__sql_run(sql, error, "BEGIN IMMEDIATE", "");
}

enum nlsh_status nlsh__sql_end(const struct nlsh__sql *sql, enum nlsh_status status,
                               struct nlsh_error *error)
{
    if (status == NLSH_OK) status = nlsh__sql_run(sql, error, "COMMIT", "");
    /* In autocommit there is nothing to undo: the transaction did not begin, or it is committed. */
    if (status != NLSH_OK && !sqlite3_get_autocommit(sql->db))
        sqlite3_exec(sql->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

enum nlsh_status nlsh__sql_check(const struct nlsh__sql *sql, struct nlsh_error *error)
{
    char *sound = NULL;
    enum nlsh_status status = nlsh__sql_text(sql, &sound, error, "PRAGMA quick_check(1)", "");
    if (status == NLSH_OK && (sound == NULL || strcmp(sound, "ok") != 0))
        status = nlsh__fail(error, NLSH_E_DATA, "take a copy, or begin another study",
                            "%s is damaged: %s", sql->path, sound ? sound : "it cannot be read");
    free(sound);
    return status;
}
