/*
 * update.c - INSERT, UPDATE, DELETE and commands.
 *
 * What can fail comes first, and the row itself last: a call that fails leaves at most an entry without a vector
 * behind, which searches pass over.
 */
#include "command.h"
#include "cursor.h"
#include "pending.h"
#include "store.h"
#include "vector.h"

SQLITE_EXTENSION_INIT3

/* values[] of xUpdate. */
enum { OLD_ROWID = 0, NEW_ROWID = 1, FIRST_COLUMN = 2 };

/* Once a transaction: the model must be that of the table as it is now. */
static int check_state(struct nlsh__sqlite_table *table)
{
    if (table->checked) return SQLITE_OK;
    int rc = nlsh__sqlite_refresh(table);
    if (rc == SQLITE_OK) rc = nlsh__sqlite_pend_change(table);
    table->checked = rc == SQLITE_OK;
    return rc;
}

static int take_vector(struct nlsh__sqlite_table *table, sqlite3_value *value)
{
    char *message = NULL;
    int rc = nlsh__sqlite_vector_into(value, table->column, table->metric, table->dim,
                                      table->vector, &message);
    if (rc != SQLITE_OK && message != NULL) rc = nlsh__sqlite_fail(table, rc, "%s", message);
    sqlite3_free(message);
    return rc;
}

/* Writes table->vector by a statement of rowid and vector; rowid NULL: SQLite takes the next. */
static int write_vector(struct nlsh__sqlite_table *table, enum nlsh__sqlite_statement which,
                        sqlite3_value *rowid)
{
    sqlite3_stmt *write;
    int rc = nlsh__sqlite_prepare(table, which, &write);
    if (rc == SQLITE_OK) rc = sqlite3_bind_value(write, 1, rowid);
    if (rc == SQLITE_OK)
        rc =
            sqlite3_bind_blob64(write, 2, table->vector, table->dim * sizeof(float), SQLITE_STATIC);
    if (rc != SQLITE_OK) return rc;
    sqlite3_step(write);
    rc = sqlite3_reset(write);
    sqlite3_clear_bindings(write);
    if ((rc & 0xff) == SQLITE_CONSTRAINT)
        return nlsh__sqlite_fail(table, SQLITE_CONSTRAINT, "%s: rowid %s is there already",
                                 table->name, (const char *)sqlite3_value_text(rowid));
    return rc == SQLITE_OK ? rc : nlsh__sqlite_broken(table, rc);
}

static int delete_row(struct nlsh__sqlite_table *table, sqlite3_value *rowid)
{
    sqlite3_stmt *delete;
    int rc = nlsh__sqlite_prepare(table, NLSH__SQL_VECTOR_DELETE, &delete);
    if (rc != SQLITE_OK) return rc;
    sqlite3_bind_value(delete, 1, rowid);
    rc = nlsh__sqlite_run(table, delete);
    if (rc == SQLITE_OK && sqlite3_changes(table->db) > 0) nlsh__sqlite_pend_counts(table, -1, 1);
    return rc;
}

/* Whether a rowid has a vector. */
static int is_there(struct nlsh__sqlite_table *table, sqlite3_value *rowid, int *out)
{
    const void *vector = NULL;
    int rc = SQLITE_OK;
    if (sqlite3_value_type(rowid) == SQLITE_INTEGER)
        rc = nlsh__sqlite_vector_get(table, sqlite3_value_int64(rowid), &vector);
    *out = vector != NULL;
    if (vector != NULL) nlsh__sqlite_vector_release(table);
    return rc;
}

static int insert_row(struct nlsh__sqlite_table *table, sqlite3_value *rowid, sqlite3_int64 *out)
{
    int replaces = 0, rc = SQLITE_OK;
    int may_replace = sqlite3_vtab_on_conflict(table->db) == SQLITE_REPLACE;
    if (may_replace) rc = is_there(table, rowid, &replaces);
    if (rc == SQLITE_OK) rc = nlsh__sqlite_pend(table, table->vector);
    if (rc == SQLITE_OK)
        rc = write_vector(table, may_replace ? NLSH__SQL_VECTOR_REPLACE : NLSH__SQL_VECTOR_INSERT,
                          rowid);
    if (rc != SQLITE_OK) return rc;
    *out = sqlite3_last_insert_rowid(table->db);
    nlsh__sqlite_pend_added(table, *out);
    nlsh__sqlite_pend_counts(table, !replaces, replaces);
    return SQLITE_OK;
}

/* The vector of a row that stays, under its rowid or another. */
static int update_row(struct nlsh__sqlite_table *table, sqlite3_value **values)
{
    sqlite3_value *from = values[OLD_ROWID], *to = values[NEW_ROWID];
    sqlite3_value *value = values[FIRST_COLUMN + NLSH__SQL_VECTOR];
    sqlite3_int64 rowid;
    int moves = sqlite3_value_type(to) != SQLITE_INTEGER ||
                sqlite3_value_int64(from) != sqlite3_value_int64(to);
    int rc = SQLITE_OK;
    if (sqlite3_value_nochange(value)) {
        const void *old;
        if (!moves) return SQLITE_OK;
        rc = nlsh__sqlite_vector_get(table, sqlite3_value_int64(from), &old);
        if (rc != SQLITE_OK || old == NULL) return rc;
        for (size_t i = 0; i < table->dim * sizeof(float); i++)
            ((unsigned char *)table->vector)[i] = ((const unsigned char *)old)[i];
        nlsh__sqlite_vector_release(table);
    } else {
        rc = take_vector(table, value);
    }
    if (rc != SQLITE_OK) return rc;
    if (moves) {
        rc = insert_row(table, to, &rowid);
        return rc == SQLITE_OK ? delete_row(table, from) : rc;
    }
    rc = nlsh__sqlite_pend(table, table->vector);
    if (rc == SQLITE_OK) rc = write_vector(table, NLSH__SQL_VECTOR_UPDATE, from);
    if (rc != SQLITE_OK) return rc;
    nlsh__sqlite_pend_added(table, sqlite3_value_int64(from));
    nlsh__sqlite_pend_counts(table, 0, 1);
    return SQLITE_OK;
}

/* distance, k and recall belong to searches. */
static int check_columns(struct nlsh__sqlite_table *table, sqlite3_value **values)
{
    static const char *const names[] = {"distance", "k", "recall"};
    for (int i = 0; i < 3; i++) {
        sqlite3_value *value = values[FIRST_COLUMN + NLSH__SQL_DISTANCE + i];
        if (sqlite3_value_type(value) != SQLITE_NULL && !sqlite3_value_nochange(value))
            return nlsh__sqlite_fail(table, SQLITE_ERROR,
                                     "%s: column %s is of searches, and cannot be written",
                                     table->name, names[i]);
    }
    return SQLITE_OK;
}

static int update_or_command(struct nlsh__sqlite_table *table, int n, sqlite3_value **values)
{
    if (n == 1) return delete_row(table, values[OLD_ROWID]);
    if (sqlite3_value_type(values[OLD_ROWID]) != SQLITE_NULL) {
        int rc = check_columns(table, values);
        return rc == SQLITE_OK ? update_row(table, values) : rc;
    }
    const char *text = (const char *)sqlite3_value_text(values[FIRST_COLUMN + NLSH__SQL_COMMAND]);
    return text != NULL ? nlsh__sqlite_command(table, text) : SQLITE_NOMEM;
}

int nlsh__sqlite_update(sqlite3_vtab *vtab, int n, sqlite3_value **values, sqlite3_int64 *rowid)
{
    struct nlsh__sqlite_table *table = (struct nlsh__sqlite_table *)vtab;
    int rc = check_state(table);
    if (rc != SQLITE_OK) return rc;
    if (n == 1 || sqlite3_value_type(values[OLD_ROWID]) != SQLITE_NULL ||
        sqlite3_value_type(values[FIRST_COLUMN + NLSH__SQL_COMMAND]) != SQLITE_NULL) {
        /* no insert, whatever shadow tables got */
        sqlite3_int64 last = sqlite3_last_insert_rowid(table->db);
        rc = update_or_command(table, n, values);
        sqlite3_set_last_insert_rowid(table->db, last);
        return rc;
    }
    rc = check_columns(table, values);
    if (rc == SQLITE_OK) rc = take_vector(table, values[FIRST_COLUMN + NLSH__SQL_VECTOR]);
    return rc == SQLITE_OK ? insert_row(table, values[NEW_ROWID], rowid) : rc;
}
