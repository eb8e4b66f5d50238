/*
 * cursor.h - how statements read the table: which plan (best_index.c), and its rows (cursor.c).
 *
 * A plan is a number and a text: a letter for each value that the cursor gets, in their order.
 */
#ifndef NLSH_SQL_CURSOR_H
#define NLSH_SQL_CURSOR_H

#include "table.h"

enum nlsh__sqlite_plan {
    NLSH__SQL_PLAN_SCAN = 0, /* all vectors, by rowid */
    NLSH__SQL_PLAN_DOWN = 1, /* the same, the last one first */
    NLSH__SQL_PLAN_KNN = 2
};

/* Letters; of rowids those of rowid_letters too. */
enum {
    NLSH__SQL_ARG_QUERY = 'q',
    NLSH__SQL_ARG_K = 'k',
    NLSH__SQL_ARG_RECALL = 'r',
    NLSH__SQL_ARG_LIMIT = 'l',
    NLSH__SQL_ARG_OFFSET = 'o',
    NLSH__SQL_ARG_IN = 'i',
    NLSH__SQL_ARG_EQ = '=',
    NLSH__SQL_ARG_GT = '>',
    NLSH__SQL_ARG_GE = 'g',
    NLSH__SQL_ARG_LT = '<',
    NLSH__SQL_ARG_LE = 'h'
};

int nlsh__sqlite_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info);
int nlsh__sqlite_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out);
int nlsh__sqlite_close(sqlite3_vtab_cursor *cursor);
int nlsh__sqlite_filter(sqlite3_vtab_cursor *cursor, int number, const char *text, int n,
                        sqlite3_value **values);
int nlsh__sqlite_next(sqlite3_vtab_cursor *cursor);
int nlsh__sqlite_eof(sqlite3_vtab_cursor *cursor);
int nlsh__sqlite_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column);
int nlsh__sqlite_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *out);

/* Writes: update.c. */
int nlsh__sqlite_update(sqlite3_vtab *vtab, int n, sqlite3_value **values, sqlite3_int64 *rowid);

#endif
