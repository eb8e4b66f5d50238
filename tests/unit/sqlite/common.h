/*
 * common.h - SQL for tests of the virtual table, which is linked in, and trainings that are short.
 *
 * Expected rows are text: values with | between them, rows with a space.
 */
#ifndef NLSH_TESTS_SQLITE_COMMON_H
#define NLSH_TESTS_SQLITE_COMMON_H

#include <math.h>
#include <stdarg.h>

#include "nlsh_sqlite.h"
#include "support/scratch.h"
#include "testing.h"

/* A build that takes a fraction of a second: what it learns is poor, and promised accordingly. */
static inline enum nlsh_status
sql_quick_build(const struct nlsh_matrix *base, const struct nlsh_build_options *options,
                const char *path, const struct nlsh_run *run, struct nlsh_build_report *report,
                struct nlsh_error *error)
{
    struct nlsh_build_options quick = *options;
    quick.n_buckets = 12;
    quick.nodes = 32;
    quick.layers = 1;
    quick.epochs = 40;
    quick.groups = 0;
    quick.partitioner = NLSH_PARTITIONER_KMEANS;
    return nlsh_build(base, &quick, path, run, report, error);
}

static inline void sql_learn_quickly(void)
{
    static const struct nlsh_sqlite_learner learner = {nlsh_build_options_init, nlsh_run_init,
                                                       sql_quick_build, nlsh_calibrate};
    nlsh_sqlite_set_learner(&learner);
}

static inline sqlite3 *sql_open(const char *path)
{
    sqlite3 *db;
    char *message = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_nlsh_init(db, &message, NULL) != SQLITE_OK) fail_msg("%s", message);
    return db;
}

static inline void sql_close(sqlite3 *db)
{
    if (sqlite3_close(db) != SQLITE_OK) fail_msg("close: %s", sqlite3_errmsg(db));
}

static inline char *sql_text(const char *format, va_list arguments)
{
    char *sql = sqlite3_vmprintf(format, arguments);
    assert_non_null(sql);
    return sql;
}

/* Runs statements that must do; format as of sqlite3_mprintf(). */
static inline void sql_run(sqlite3 *db, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *sql = sql_text(format, arguments), *message = NULL;
    va_end(arguments);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s\n  %s", sql, message);
    sqlite3_free(sql);
}

/* Rows of a statement as text, in a buffer that the next call writes over; what went wrong is such text too. */
static inline const char *sql_rows(sqlite3 *db, const char *format, ...)
{
    static char rows[65536];
    size_t n = 0;
    va_list arguments;
    sqlite3_stmt *statement = NULL;
    va_start(arguments, format);
    char *sql = sql_text(format, arguments);
    va_end(arguments);
    rows[0] = '\0';
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int c = 0; c < sqlite3_column_count(statement); c++) {
            const char *value = (const char *)sqlite3_column_text(statement, c);
            n += (size_t)snprintf(rows + n, sizeof rows - n, "%s%s",
                                  c > 0   ? "|"
                                  : n > 0 ? " "
                                          : "",
                                  value != NULL ? value : "NULL");
            if (n >= sizeof rows) fail_msg("too many rows: %s", sql);
        }
        rc = SQLITE_OK;
    }
    if (rc != SQLITE_OK && rc != SQLITE_DONE)
        snprintf(rows, sizeof rows, "error: %s", sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return rows;
}

static inline sqlite3_int64 sql_number(sqlite3 *db, const char *sql)
{
    return strtoll(sql_rows(db, "%s", sql), NULL, 10);
}

/* Words that an error must have. */
static inline void sql_fails(sqlite3 *db, const char *sql, const char *words)
{
    const char *rows = sql_rows(db, "%s", sql);
    if (strncmp(rows, "error: ", 7) != 0) fail_msg("%s\n  did not fail: %s", sql, rows);
    if (strstr(rows, words) == NULL) fail_msg("%s\n  %s\n  and not: %s", sql, rows, words);
}

static inline void sql_is_whole(sqlite3 *db, const char *table)
{
    assert_string_equal(sql_rows(db, "PRAGMA integrity_check"), "ok");
    assert_string_equal(sql_rows(db, "INSERT INTO \"%w\"(\"%w\") VALUES('verify')", table, table),
                        "");
}

/* A vector near one of a few centres, as searches by buckets need them. */
static inline void sql_vector(struct nlsh__rng *rng, size_t dim, float *out)
{
    struct nlsh__rng centre;
    nlsh__rng_init(&centre, nlsh__rng_below(rng, 12), 77);
    for (size_t d = 0; d < dim; d++)
        out[d] = (float)(4 * nlsh__rng_normal(&centre) + nlsh__rng_normal(rng));
}

/* n vectors under the rowids first, first + 1, ... */
static inline void sql_fill(sqlite3 *db, const char *table, size_t dim, sqlite3_int64 first,
                            size_t n, struct nlsh__rng *rng)
{
    char *sql = sqlite3_mprintf("INSERT INTO \"%w\"(rowid, e) VALUES(?, ?)", table);
    float *vector = calloc(dim, sizeof *vector);
    sqlite3_stmt *insert;
    assert_non_null(vector);
    sql_run(db, "SAVEPOINT fill");
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &insert, NULL), SQLITE_OK);
    for (size_t i = 0; i < n; i++) {
        sql_vector(rng, dim, vector);
        sqlite3_bind_int64(insert, 1, first + (sqlite3_int64)i);
        sqlite3_bind_blob(insert, 2, vector, (int)(dim * sizeof *vector), SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE) fail_msg("%s", sqlite3_errmsg(db));
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    sqlite3_free(sql);
    free(vector);
    sql_run(db, "RELEASE fill");
}

/* A database of the bytes that sqlite3_serialize() gave, in memory; it may change, they do not. */
static inline sqlite3 *sql_open_image(const unsigned char *image, sqlite3_int64 size)
{
    sqlite3 *db = sql_open(":memory:");
    unsigned char *copy = sqlite3_malloc64((sqlite3_uint64)size);
    assert_non_null(copy);
    memcpy(copy, image, (size_t)size);
    assert_int_equal(
        sqlite3_deserialize(db, "main", copy, size, size,
                            SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE),
        SQLITE_OK);
    return db;
}

#endif
