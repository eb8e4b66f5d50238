/*
 * file.c - see file.h.
 *
 * SELECT key, distance FROM nlsh_search('my.nlsh', :vector, 10, .95). A connection keeps the file that was asked last
 * open, and each search sees the file and its log as they are then (nlsh_index_refresh()). Cursors hold answers, and
 * nothing of the index.
 */
#include "file.h"

#include <string.h>

#include "vector.h"

SQLITE_EXTENSION_INIT3

enum { KEY, DISTANCE, FILE_NAME, VECTOR, K, RECALL };
enum { N_ARGUMENTS = RECALL - FILE_NAME + 1, DEFAULT_K = 10, MOST_K = 1000000 };
#define DEFAULT_RECALL 0.95

/* What a connection keeps. */
struct opened {
    char *path;
    struct nlsh_index *index;
    struct nlsh_searcher *searcher;
};

struct table {
    sqlite3_vtab base;
    struct opened *opened;
};

struct cursor {
    sqlite3_vtab_cursor base;
    uint64_t *keys; /* [n] */
    float *distances;
    size_t n, at;
};

static int say(struct table *table, int rc, char *words)
{
    sqlite3_free(table->base.zErrMsg);
    table->base.zErrMsg = words;
    return words != NULL ? rc : SQLITE_NOMEM;
}

static int failed(struct table *table, const struct nlsh_error *error)
{
    if (error->status == NLSH_E_NOMEM) return SQLITE_NOMEM;
    return say(table, SQLITE_ERROR,
               sqlite3_mprintf("nlsh_search: %s%s%s", error->message,
                               error->hint[0] != '\0' ? ": " : "", error->hint));
}

/* ---- the file -------------------------------------------------------------------------------- */

static void close_file(struct opened *o)
{
    nlsh_searcher_free(o->searcher);
    nlsh_index_close(o->index);
    sqlite3_free(o->path);
    *o = (struct opened){.path = NULL};
}

static void free_opened(void *user)
{
    close_file(user);
    sqlite3_free(user);
}

/* The file as it is now. */
static int refresh(struct table *table)
{
    struct opened *o = table->opened;
    struct nlsh_error error = {.status = NLSH_OK};
    struct nlsh_index *now;
    if (nlsh_index_refresh(o->index, &now, &error) != NLSH_OK) return failed(table, &error);
    if (now == NULL) return SQLITE_OK;
    if (nlsh_searcher_use(o->searcher, now, &error) != NLSH_OK) {
        nlsh_index_close(now);
        return failed(table, &error);
    }
    nlsh_index_close(o->index);
    o->index = now;
    return SQLITE_OK;
}

static int open_file(struct table *table, const char *path)
{
    struct opened *o = table->opened;
    struct nlsh_error error = {.status = NLSH_OK};
    if (o->path != NULL && strcmp(o->path, path) == 0) return refresh(table);
    close_file(o);
    o->path = sqlite3_mprintf("%s", path);
    if (o->path == NULL) return SQLITE_NOMEM;
    if (nlsh_index_open(path, NULL, &o->index, &error) == NLSH_OK &&
        nlsh_searcher_create(o->index, &o->searcher, &error) == NLSH_OK)
        return SQLITE_OK;
    int rc = failed(table, &error);
    close_file(o);
    return rc;
}

/* ---- the module ------------------------------------------------------------------------------ */

static int x_connect(sqlite3 *db, void *aux, int n, const char *const *arguments,
                     sqlite3_vtab **out, char **message)
{
    (void)n;
    (void)arguments;
    (void)message;
    int rc = sqlite3_declare_vtab(db, "CREATE TABLE x(key INTEGER, distance REAL, file HIDDEN, "
                                      "vector HIDDEN, k HIDDEN, recall HIDDEN)");
    /* it opens files: not for a schema that somebody else wrote */
    if (rc == SQLITE_OK) rc = sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
    if (rc != SQLITE_OK) return rc;
    struct table *table = sqlite3_malloc64(sizeof *table);
    if (table == NULL) return SQLITE_NOMEM;
    *table = (struct table){.opened = aux};
    *out = &table->base;
    return SQLITE_OK;
}

static int x_disconnect(sqlite3_vtab *vtab)
{
    sqlite3_free(vtab);
    return SQLITE_OK;
}

/* idxNum has a bit for each argument that is given, in their order. */
static int x_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info)
{
    int at[N_ARGUMENTS] = {0};
    (void)vtab;
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        if (c->iColumn < FILE_NAME || c->op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
        if (!c->usable) return SQLITE_CONSTRAINT;
        at[c->iColumn - FILE_NAME] = i + 1;
    }
    for (int a = 0, n = 0; a < N_ARGUMENTS; a++) {
        if (at[a] == 0) continue;
        info->idxNum |= 1 << a;
        info->aConstraintUsage[at[a] - 1].argvIndex = ++n;
        info->aConstraintUsage[at[a] - 1].omit = 1;
    }
    info->orderByConsumed =
        info->nOrderBy == 1 && info->aOrderBy[0].iColumn == DISTANCE && !info->aOrderBy[0].desc;
    info->estimatedCost = 1000;
    info->estimatedRows = DEFAULT_K;
    return SQLITE_OK;
}

static int x_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out)
{
    struct cursor *c = sqlite3_malloc64(sizeof *c);
    (void)vtab;
    if (c == NULL) return SQLITE_NOMEM;
    *c = (struct cursor){.n = 0};
    *out = &c->base;
    return SQLITE_OK;
}

static void forget(struct cursor *c)
{
    sqlite3_free(c->keys);
    sqlite3_free(c->distances);
    c->keys = NULL;
    c->distances = NULL;
    c->n = c->at = 0;
}

static int x_close(sqlite3_vtab_cursor *cursor)
{
    forget((struct cursor *)cursor);
    sqlite3_free(cursor);
    return SQLITE_OK;
}

/* Searches by options whose k is no more than what there is. */
static int search(struct cursor *c, const struct nlsh__sqlite_vector *vector,
                  struct nlsh_search_options *options)
{
    struct table *table = (struct table *)c->base.pVtab;
    struct nlsh_error error = {.status = NLSH_OK};
    struct nlsh_index_info info = {.struct_size = sizeof info};
    const struct nlsh_matrix one = {vector->values, 1, vector->dim, NLSH_F32, 0};
    if (nlsh_index_info(table->opened->index, &info, &error) != NLSH_OK)
        return failed(table, &error);
    if (options->k > info.n_rows) options->k = info.n_rows;
    if (options->recall >= 1) options->probes = (double)info.n_buckets;
    if (options->k == 0) return SQLITE_OK;
    c->keys = sqlite3_malloc64(options->k * sizeof *c->keys);
    c->distances = sqlite3_malloc64(options->k * sizeof *c->distances);
    if (c->keys == NULL || c->distances == NULL) return SQLITE_NOMEM;
    if (nlsh_search(table->opened->searcher, &one, options, c->keys, c->distances, NULL, &error) !=
        NLSH_OK)
        return failed(table, &error);
    while (c->n < options->k && c->keys[c->n] != NLSH_NO_KEY) c->n++;
    return SQLITE_OK;
}

/* The values that were given, by their order; NULL where one was not. */
static int take_numbers(struct table *table, sqlite3_value *const given[N_ARGUMENTS],
                        struct nlsh_search_options *out)
{
    sqlite3_value *k = given[K - FILE_NAME], *recall = given[RECALL - FILE_NAME];
    nlsh_search_options_init(out, sizeof *out);
    out->k = DEFAULT_K;
    out->recall = DEFAULT_RECALL;
    if (k != NULL) {
        sqlite3_int64 wanted = sqlite3_value_int64(k);
        if (sqlite3_value_numeric_type(k) != SQLITE_INTEGER || wanted < 1 || wanted > MOST_K)
            return say(table, SQLITE_ERROR,
                       sqlite3_mprintf("nlsh_search: k is %Q: give a whole number from 1 to %d",
                                       sqlite3_value_text(k), MOST_K));
        out->k = (size_t)wanted;
    }
    if (recall != NULL) {
        out->recall = sqlite3_value_double(recall);
        if (!(out->recall > 0 && out->recall <= 1))
            return say(
                table, SQLITE_ERROR,
                sqlite3_mprintf("nlsh_search: recall is %Q: give a number above 0, and 1 for "
                                "an exact search",
                                sqlite3_value_text(recall)));
    }
    return SQLITE_OK;
}

static int x_filter(sqlite3_vtab_cursor *cursor, int number, const char *text, int n,
                    sqlite3_value **values)
{
    struct cursor *c = (struct cursor *)cursor;
    struct table *table = (struct table *)cursor->pVtab;
    sqlite3_value *given[N_ARGUMENTS] = {NULL};
    struct nlsh_search_options options;
    struct nlsh__sqlite_vector vector;
    char *message;
    (void)text;
    forget(c);
    for (int a = 0, i = 0; a < N_ARGUMENTS && i < n; a++)
        if ((number >> a & 1) != 0) given[a] = values[i++];
    if (given[0] == NULL || given[VECTOR - FILE_NAME] == NULL)
        return say(table, SQLITE_ERROR,
                   sqlite3_mprintf("nlsh_search: give a file and a vector, as in nlsh_search("
                                   "'my.nlsh', :vector, 10, 0.95)"));
    const char *path = (const char *)sqlite3_value_text(given[0]);
    if (path == NULL) return SQLITE_OK; /* of NULL nothing is near */
    int rc = take_numbers(table, given, &options);
    if (rc == SQLITE_OK) rc = open_file(table, path);
    if (rc != SQLITE_OK) return rc;
    rc = nlsh__sqlite_vector_of(given[VECTOR - FILE_NAME], "nlsh_search", &vector, &message);
    if (rc != SQLITE_OK) return message != NULL ? say(table, rc, message) : rc;
    rc = search(c, &vector, &options);
    sqlite3_free(vector.values);
    return rc;
}

static int x_next(sqlite3_vtab_cursor *cursor)
{
    ((struct cursor *)cursor)->at++;
    return SQLITE_OK;
}

static int x_eof(sqlite3_vtab_cursor *cursor)
{
    const struct cursor *c = (struct cursor *)cursor;
    return c->at >= c->n;
}

static int x_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column)
{
    const struct cursor *c = (struct cursor *)cursor;
    if (column == KEY) sqlite3_result_int64(context, (sqlite3_int64)c->keys[c->at]);
    if (column == DISTANCE) sqlite3_result_double(context, (double)c->distances[c->at]);
    return SQLITE_OK;
}

static int x_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *out)
{
    *out = (sqlite3_int64)((struct cursor *)cursor)->at;
    return SQLITE_OK;
}

int nlsh__sqlite_file_module(sqlite3 *db)
{
    static const sqlite3_module module = {
        .iVersion = 0,
        .xConnect = x_connect, /* and no xCreate: it is there without CREATE */
        .xBestIndex = x_best_index,
        .xDisconnect = x_disconnect,
        .xOpen = x_open,
        .xClose = x_close,
        .xFilter = x_filter,
        .xNext = x_next,
        .xEof = x_eof,
        .xColumn = x_column,
        .xRowid = x_rowid,
    };
    struct opened *opened = sqlite3_malloc64(sizeof *opened);
    if (opened == NULL) return SQLITE_NOMEM;
    *opened = (struct opened){.path = NULL};
    return sqlite3_create_module_v2(db, "nlsh_search", &module, opened, free_opened);
}
