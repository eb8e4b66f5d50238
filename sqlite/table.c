/* table.c - the life of a virtual table, and of its transactions. */
#include "table.h"

#include <stdarg.h>
#include <string.h>

#include "base/memory.h"
#include "command.h"
#include "cursor.h"
#include "declare.h"
#include "model.h"
#include "pending.h"
#include "store.h"

SQLITE_EXTENSION_INIT3

/* ---- words ----------------------------------------------------------------------------------- */

int nlsh__sqlite_fail(struct nlsh__sqlite_table *table, int rc, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *words = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    if (words == NULL) return SQLITE_NOMEM;
    sqlite3_free(table->base.zErrMsg);
    table->base.zErrMsg = words;
    return rc;
}

int nlsh__sqlite_code(enum nlsh_status status)
{
    switch (status) {
    case NLSH_OK: return SQLITE_OK;
    case NLSH_E_NOMEM: return SQLITE_NOMEM;
    case NLSH_E_INTERRUPTED: return SQLITE_INTERRUPT;
    case NLSH_E_DATA: return SQLITE_CORRUPT_VTAB;
    case NLSH_E_CANT_CREATE: return SQLITE_CANTOPEN;
    case NLSH_E_IO: return SQLITE_IOERR;
    default: return SQLITE_ERROR;
    }
}

int nlsh__sqlite_failed(struct nlsh__sqlite_table *table, const struct nlsh_error *error)
{
    return nlsh__sqlite_fail(table, nlsh__sqlite_code(error->status), "%s%s%s", error->message,
                             error->hint[0] != '\0' ? ": " : "", error->hint);
}

int nlsh__sqlite_broken(struct nlsh__sqlite_table *table, int rc)
{
    if (rc == SQLITE_NOMEM || rc == SQLITE_INTERRUPT) return rc;
    return nlsh__sqlite_fail(table, rc, "%s: %s", table->name, sqlite3_errmsg(table->db));
}

int nlsh__sqlite_damaged(struct nlsh__sqlite_table *table, const char *what)
{
    return nlsh__sqlite_fail(table, SQLITE_CORRUPT_VTAB, "%s: its shadow tables are damaged: %s",
                             table->name, what);
}

/* ---- made and found -------------------------------------------------------------------------- */

static void table_free(struct nlsh__sqlite_table *table)
{
    nlsh__sqlite_finalize(table);
    nlsh__sqlite_model_free(table->model);
    nlsh__sqlite_pending_free(table->pending);
    nlsh__free(table->vector);
    sqlite3_free(table->schema);
    sqlite3_free(table->name);
    sqlite3_free(table->column);
    sqlite3_free(
        table->base.zErrMsg); /* of calls that SQLite takes no words from, such as xSavepoint */
    sqlite3_free(table);
}

static int begin(sqlite3 *db, int n, const char *const *arguments, int create, sqlite3_vtab **out,
                 char **message)
{
    struct nlsh__sqlite_table *table = sqlite3_malloc64(sizeof *table);
    if (table == NULL) return SQLITE_NOMEM;
    *table = (struct nlsh__sqlite_table){.db = db};
    table->schema = sqlite3_mprintf("%s", arguments[1]);
    table->name = sqlite3_mprintf("%s", arguments[2]);
    int rc = table->schema != NULL && table->name != NULL ? SQLITE_OK : SQLITE_NOMEM;
    if (rc == SQLITE_OK) rc = nlsh__sqlite_declare(table, n - 3, arguments + 3, message);
    if (rc == SQLITE_OK && nlsh__alloc(&table->vector, table->dim, sizeof(float), NULL) != NLSH_OK)
        rc = SQLITE_NOMEM;
    if (rc == SQLITE_OK && create) rc = nlsh__sqlite_store_create(table);
    if (rc == SQLITE_OK) rc = sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
    if (rc == SQLITE_OK) {
        if (!create) nlsh__sqlite_estimate(table);
        *out = &table->base;
        return SQLITE_OK;
    }
    if (table->base.zErrMsg != NULL) {
        sqlite3_free(*message);
        *message = table->base.zErrMsg;
        table->base.zErrMsg = NULL;
    }
    table_free(table);
    return rc;
}

static int x_create(sqlite3 *db, void *aux, int n, const char *const *arguments, sqlite3_vtab **out,
                    char **message)
{
    (void)aux;
    return begin(db, n, arguments, 1, out, message);
}

static int x_connect(sqlite3 *db, void *aux, int n, const char *const *arguments,
                     sqlite3_vtab **out, char **message)
{
    (void)aux;
    return begin(db, n, arguments, 0, out, message);
}

static int x_disconnect(sqlite3_vtab *vtab)
{
    table_free((struct nlsh__sqlite_table *)vtab);
    return SQLITE_OK;
}

static int x_destroy(sqlite3_vtab *vtab)
{
    struct nlsh__sqlite_table *table = (struct nlsh__sqlite_table *)vtab;
    nlsh__sqlite_finalize(table);
    int rc = nlsh__sqlite_store_drop(table);
    if (rc == SQLITE_OK) table_free(table);
    return rc;
}

static int x_rename(sqlite3_vtab *vtab, const char *name)
{
    struct nlsh__sqlite_table *table = (struct nlsh__sqlite_table *)vtab;
    int rc = nlsh__sqlite_flush(table);
    if (rc != SQLITE_OK) return rc;
    char *copy = sqlite3_mprintf("%s", name);
    if (copy == NULL) return SQLITE_NOMEM;
    rc = nlsh__sqlite_store_rename(table, name);
    if (rc != SQLITE_OK) {
        sqlite3_free(copy);
        return rc;
    }
    nlsh__sqlite_finalize(table);
    sqlite3_free(table->name);
    table->name = copy;
    return SQLITE_OK;
}

static int x_shadow_name(const char *suffix)
{
    return nlsh__sqlite_is_shadow(suffix);
}

/* ---- transactions ---------------------------------------------------------------------------- */

static int x_begin(sqlite3_vtab *vtab)
{
    ((struct nlsh__sqlite_table *)vtab)->checked = 0;
    return SQLITE_OK;
}

static int x_sync(sqlite3_vtab *vtab)
{
    return nlsh__sqlite_flush((struct nlsh__sqlite_table *)vtab);
}

static int x_commit(sqlite3_vtab *vtab)
{
    ((struct nlsh__sqlite_table *)vtab)->checked = 0;
    return SQLITE_OK;
}

/* What was counted and what is pending is undone. */
static int x_rollback(sqlite3_vtab *vtab)
{
    struct nlsh__sqlite_table *table = (struct nlsh__sqlite_table *)vtab;
    nlsh__sqlite_pending_forget(table);
    nlsh__sqlite_forget(table);
    return SQLITE_OK;
}

static int x_savepoint(sqlite3_vtab *vtab, int number)
{
    (void)number;
    return nlsh__sqlite_flush((struct nlsh__sqlite_table *)vtab);
}

static int x_release(sqlite3_vtab *vtab, int number)
{
    (void)vtab;
    (void)number;
    return SQLITE_OK;
}

static int x_rollback_to(sqlite3_vtab *vtab, int number)
{
    (void)number;
    return x_rollback(vtab);
}

#if SQLITE_VERSION_NUMBER >= 3044000
#define MODULE_VERSION 4

/* PRAGMA integrity_check verifies; quick_check sees whether the numbers and what was learned can be read. What is wrong
 * is words in *message and SQLITE_OK; another code is of a check that could not be made. */
static int x_integrity(sqlite3_vtab *vtab, const char *schema, const char *name, int is_quick,
                       char **message)
{
    struct nlsh__sqlite_table *table = (struct nlsh__sqlite_table *)vtab;
    (void)schema;
    (void)name;
    int rc = nlsh__sqlite_flush(table);
    if (rc == SQLITE_OK) rc = nlsh__sqlite_refresh(table);
    if (rc == SQLITE_OK && !is_quick) rc = nlsh__sqlite_verify(table);
    if (rc == SQLITE_OK || table->base.zErrMsg == NULL) return rc;
    *message = table->base.zErrMsg;
    table->base.zErrMsg = NULL;
    return SQLITE_OK;
}
#else
#define MODULE_VERSION 3
#endif

const sqlite3_module nlsh__sqlite_module = {
    .iVersion = MODULE_VERSION,
#if SQLITE_VERSION_NUMBER >= 3044000
    .xIntegrity = x_integrity,
#endif
    .xCreate = x_create,
    .xConnect = x_connect,
    .xBestIndex = nlsh__sqlite_best_index,
    .xDisconnect = x_disconnect,
    .xDestroy = x_destroy,
    .xOpen = nlsh__sqlite_open,
    .xClose = nlsh__sqlite_close,
    .xFilter = nlsh__sqlite_filter,
    .xNext = nlsh__sqlite_next,
    .xEof = nlsh__sqlite_eof,
    .xColumn = nlsh__sqlite_column,
    .xRowid = nlsh__sqlite_rowid,
    .xUpdate = nlsh__sqlite_update,
    .xBegin = x_begin,
    .xSync = x_sync,
    .xCommit = x_commit,
    .xRollback = x_rollback,
    .xRename = x_rename,
    .xSavepoint = x_savepoint,
    .xRelease = x_release,
    .xRollbackTo = x_rollback_to,
    .xShadowName = x_shadow_name,
};
