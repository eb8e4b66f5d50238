/*
 * cursor.c - the rows of a statement: of a search for k all at once, of a scan one after the other.
 *
 * A search without k goes on as long as rows are asked for, nearest first: for some, then for four times as many, and
 * so on. What comes is behind what came before, so the order holds, and no row comes twice.
 */
#include "cursor.h"

#include <stdint.h>
#include <string.h>

#include "search.h"
#include "store.h"
#include "vector.h"

SQLITE_EXTENSION_INIT3

#define DEFAULT_RECALL 0.95

/* Of a search without k. */
enum { FIRST_K = 16, MORE_K = 4 };

struct cursor {
    sqlite3_vtab_cursor base;
    int number; /* enum nlsh__sqlite_plan */
    /* Of a search: */
    struct nlsh__sqlite_found *found;
    size_t n, at;
    int has_k; /* 0: it goes on */
    size_t k;
    double recall;
    float *query; /* [dim] */
    struct nlsh__sqlite_filter filter;
    sqlite3_stmt *scan; /* of a scan; its own, since there may be several */
    int is_down;        /* scan is of PLAN_DOWN */
    int is_end;
};

static struct nlsh__sqlite_table *table_of(sqlite3_vtab_cursor *cursor)
{
    return (struct nlsh__sqlite_table *)cursor->pVtab;
}

int nlsh__sqlite_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out)
{
    struct cursor *c = sqlite3_malloc64(sizeof *c);
    (void)vtab;
    *out = (sqlite3_vtab_cursor *)c;
    if (c == NULL) return SQLITE_NOMEM;
    *c = (struct cursor){.is_end = 1};
    nlsh__sqlite_filter_init(&c->filter);
    return SQLITE_OK;
}

int nlsh__sqlite_close(sqlite3_vtab_cursor *cursor)
{
    struct cursor *c = (struct cursor *)cursor;
    sqlite3_free(c->found);
    sqlite3_free(c->query);
    nlsh__sqlite_filter_free(&c->filter);
    sqlite3_finalize(c->scan);
    sqlite3_free(c);
    return SQLITE_OK;
}

/* ---- a search -------------------------------------------------------------------------------- */

/* What the values of a plan come to. */
struct wanted {
    sqlite3_value *query;
    int has_k, has_limit;
    sqlite3_int64 k, limit, offset;
    double recall;
    struct nlsh__sqlite_filter *filter;
};

static int op_of(char letter)
{
    switch (letter) {
    case NLSH__SQL_ARG_GT: return SQLITE_INDEX_CONSTRAINT_GT;
    case NLSH__SQL_ARG_GE: return SQLITE_INDEX_CONSTRAINT_GE;
    case NLSH__SQL_ARG_LT: return SQLITE_INDEX_CONSTRAINT_LT;
    case NLSH__SQL_ARG_LE: return SQLITE_INDEX_CONSTRAINT_LE;
    default: return SQLITE_INDEX_CONSTRAINT_EQ;
    }
}

static int take_k(struct nlsh__sqlite_table *table, sqlite3_value *value, struct wanted *out)
{
    out->has_k = 1;
    out->k = sqlite3_value_int64(value);
    if (sqlite3_value_numeric_type(value) == SQLITE_INTEGER && out->k >= 0) return SQLITE_OK;
    return nlsh__sqlite_fail(
        table, SQLITE_ERROR, "%s: k is %s: give a whole number of neighbours", table->name,
        sqlite3_value_type(value) == SQLITE_NULL ? "NULL"
                                                 : (const char *)sqlite3_value_text(value));
}

static int take_recall(struct nlsh__sqlite_table *table, sqlite3_value *value, struct wanted *out)
{
    int type = sqlite3_value_numeric_type(value);
    out->recall = sqlite3_value_double(value);
    if ((type == SQLITE_INTEGER || type == SQLITE_FLOAT) && out->recall > 0 && out->recall <= 1)
        return SQLITE_OK;
    return nlsh__sqlite_fail(
        table, SQLITE_ERROR, "%s: recall is %s: give a number above 0, and 1 for an exact search",
        table->name,
        sqlite3_value_type(value) == SQLITE_NULL ? "NULL"
                                                 : (const char *)sqlite3_value_text(value));
}

static int take_value(struct nlsh__sqlite_table *table, char letter, sqlite3_value *value,
                      struct wanted *out)
{
    switch (letter) {
    case NLSH__SQL_ARG_QUERY: out->query = value; return SQLITE_OK;
    case NLSH__SQL_ARG_K: return take_k(table, value, out);
    case NLSH__SQL_ARG_RECALL: return take_recall(table, value, out);
    case NLSH__SQL_ARG_LIMIT:
        out->has_limit = 1;
        out->limit = sqlite3_value_int64(value);
        return SQLITE_OK;
    case NLSH__SQL_ARG_OFFSET: out->offset = sqlite3_value_int64(value); return SQLITE_OK;
    case NLSH__SQL_ARG_IN: return nlsh__sqlite_filter_in(out->filter, value);
    default: nlsh__sqlite_filter_compare(out->filter, op_of(letter), value); return SQLITE_OK;
    }
}

/* k of LIMIT and OFFSET: what is skipped has to be found first. */
static sqlite3_int64 k_of_limit(const struct wanted *w)
{
    sqlite3_int64 offset = w->offset > 0 ? w->offset : 0;
    if (w->limit < 0 || w->limit > INT64_MAX - offset) return INT64_MAX;
    return w->limit + offset;
}

/* Searches for c->k, and goes on behind the last row of before, where there was one. */
static int run_search(struct cursor *c)
{
    struct nlsh__sqlite_table *table = table_of(&c->base);
    const struct nlsh__sqlite_question question = {c->query, c->k, c->recall, &c->filter};
    const int goes_on = c->n > 0;
    const struct nlsh__sqlite_found last =
        goes_on ? c->found[c->n - 1] : (struct nlsh__sqlite_found){0};
    struct nlsh__sqlite_found *found;
    size_t n;
    int rc = nlsh__sqlite_search(table, &question, &found, &n);
    if (rc != SQLITE_OK) return rc;
    sqlite3_free(c->found);
    c->found = found;
    c->n = n;
    c->at = 0;
    while (goes_on && c->at < n && !nlsh__sqlite_is_before(&last, &found[c->at])) c->at++;
    return SQLITE_OK;
}

static int take_query(struct cursor *c, sqlite3_value *value)
{
    struct nlsh__sqlite_table *table = table_of(&c->base);
    char *message = NULL;
    if (c->query == NULL) c->query = sqlite3_malloc64(table->dim * sizeof *c->query);
    if (c->query == NULL) return SQLITE_NOMEM;
    int rc = nlsh__sqlite_vector_into(value, table->column, table->metric, table->dim, c->query,
                                      &message);
    if (rc != SQLITE_OK && message != NULL) rc = nlsh__sqlite_fail(table, rc, "%s", message);
    sqlite3_free(message);
    return rc;
}

static int begin_search(struct cursor *c, const char *text, int n, sqlite3_value **values)
{
    struct wanted w = {.recall = DEFAULT_RECALL, .filter = &c->filter};
    int rc = SQLITE_OK;
    nlsh__sqlite_filter_free(&c->filter);
    for (int i = 0; i < n && rc == SQLITE_OK; i++)
        rc = take_value(table_of(&c->base), text[i], values[i], &w);
    if (rc != SQLITE_OK || w.query == NULL) return rc;
    rc = take_query(c, w.query);
    c->has_k = w.has_k || w.has_limit;
    c->k = w.has_k ? (size_t)w.k : w.has_limit ? (size_t)k_of_limit(&w) : FIRST_K;
    c->recall = w.recall;
    if (rc == SQLITE_OK) rc = run_search(c);
    c->is_end = c->at >= c->n;
    return rc;
}

static int next_found(struct cursor *c)
{
    int rc = SQLITE_OK;
    c->at++;
    while (c->at >= c->n && !c->has_k && c->n >= c->k && rc == SQLITE_OK) {
        c->k *= MORE_K;
        rc = run_search(c);
    }
    c->is_end = c->at >= c->n;
    return rc;
}

/* ---- a scan ---------------------------------------------------------------------------------- */

static int prepare_scan(struct cursor *c, int is_down)
{
    struct nlsh__sqlite_table *table = table_of(&c->base);
    if (c->scan != NULL && c->is_down == is_down) return SQLITE_OK;
    sqlite3_finalize(c->scan);
    c->scan = NULL;
    c->is_down = is_down;
    char *sql = sqlite3_mprintf("SELECT id, vector FROM \"%w\".\"%w_vectors\" WHERE id >= ? AND id "
                                "<= ? ORDER BY id %s",
                                table->schema, table->name, is_down ? "DESC" : "ASC");
    if (sql == NULL) return SQLITE_NOMEM;
    int rc = sqlite3_prepare_v2(table->db, sql, -1, &c->scan, NULL);
    sqlite3_free(sql);
    return rc == SQLITE_OK ? rc : nlsh__sqlite_broken(table, rc);
}

static int step_scan(struct cursor *c)
{
    int rc = sqlite3_step(c->scan);
    c->is_end = rc != SQLITE_ROW;
    if (rc == SQLITE_ROW) return SQLITE_OK;
    return nlsh__sqlite_done(table_of(&c->base), c->scan, rc);
}

static int begin_scan(struct cursor *c, const char *text, int n, sqlite3_value **values)
{
    struct nlsh__sqlite_filter filter;
    nlsh__sqlite_filter_init(&filter);
    for (int i = 0; i < n; i++) nlsh__sqlite_filter_compare(&filter, op_of(text[i]), values[i]);
    int rc = prepare_scan(c, c->number == NLSH__SQL_PLAN_DOWN);
    if (rc != SQLITE_OK) return rc;
    sqlite3_reset(c->scan);
    sqlite3_bind_int64(c->scan, 1, filter.low);
    sqlite3_bind_int64(c->scan, 2, filter.high);
    return step_scan(c);
}

/* ---- both ------------------------------------------------------------------------------------ */

int nlsh__sqlite_filter(sqlite3_vtab_cursor *cursor, int number, const char *text, int n,
                        sqlite3_value **values)
{
    struct cursor *c = (struct cursor *)cursor;
    sqlite3_free(c->found);
    c->found = NULL;
    c->n = c->at = 0;
    c->number = number;
    c->is_end = 1;
    if (c->scan != NULL) sqlite3_reset(c->scan);
    return number == NLSH__SQL_PLAN_KNN ? begin_search(c, text, n, values)
                                        : begin_scan(c, text, n, values);
}

int nlsh__sqlite_next(sqlite3_vtab_cursor *cursor)
{
    struct cursor *c = (struct cursor *)cursor;
    if (c->number != NLSH__SQL_PLAN_KNN) return step_scan(c);
    return next_found(c);
}

int nlsh__sqlite_eof(sqlite3_vtab_cursor *cursor)
{
    return ((struct cursor *)cursor)->is_end;
}

int nlsh__sqlite_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *out)
{
    struct cursor *c = (struct cursor *)cursor;
    *out =
        c->number == NLSH__SQL_PLAN_KNN ? c->found[c->at].rowid : sqlite3_column_int64(c->scan, 0);
    return SQLITE_OK;
}

/* The vector of a row that a search found; NULL where it was deleted since. */
static int give_found(struct cursor *c, sqlite3_context *context)
{
    struct nlsh__sqlite_table *table = table_of(&c->base);
    const void *vector;
    int rc = nlsh__sqlite_vector_get(table, c->found[c->at].rowid, &vector);
    if (rc != SQLITE_OK || vector == NULL) return rc;
    sqlite3_result_blob64(context, vector, table->dim * sizeof(float), SQLITE_TRANSIENT);
    nlsh__sqlite_vector_release(table);
    return SQLITE_OK;
}

int nlsh__sqlite_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column)
{
    struct cursor *c = (struct cursor *)cursor;
    int is_search = c->number == NLSH__SQL_PLAN_KNN;
    switch (column) {
    case NLSH__SQL_VECTOR:
        if (sqlite3_vtab_nochange(context)) return SQLITE_OK;
        if (is_search) return give_found(c, context);
        sqlite3_result_value(context, sqlite3_column_value(c->scan, 1));
        return SQLITE_OK;
    case NLSH__SQL_DISTANCE:
        if (is_search)
            sqlite3_result_double(
                context, nlsh__sqlite_distance(table_of(cursor)->metric, c->found[c->at].score));
        return SQLITE_OK;
    case NLSH__SQL_K:
        if (is_search && c->has_k) sqlite3_result_int64(context, (sqlite3_int64)c->k);
        return SQLITE_OK;
    case NLSH__SQL_RECALL:
        if (is_search) sqlite3_result_double(context, c->recall);
        return SQLITE_OK;
    default: return SQLITE_OK;
    }
}
