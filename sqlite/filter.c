/* filter.c - see filter.h. Values compare with rowids as SQL has it: 2.5 is above 2, text above all numbers. */
#include "filter.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

SQLITE_EXTENSION_INIT3

enum { BITS_A_ROWID = 1024, LEAST_BITS = 1 << 20 };

void nlsh__sqlite_filter_init(struct nlsh__sqlite_filter *f)
{
    *f = (struct nlsh__sqlite_filter){.low = INT64_MIN, .high = INT64_MAX};
}

void nlsh__sqlite_filter_free(struct nlsh__sqlite_filter *f)
{
    sqlite3_free(f->rowids);
    sqlite3_free(f->bits);
    nlsh__sqlite_filter_init(f);
}

int nlsh__sqlite_filter_is_set(const struct nlsh__sqlite_filter *f)
{
    return f->rowids != NULL || f->low > INT64_MIN || f->high < INT64_MAX;
}

static void allow_nothing(struct nlsh__sqlite_filter *f)
{
    f->low = 1;
    f->high = 0;
}

static void at_least(struct nlsh__sqlite_filter *f, sqlite3_int64 low)
{
    if (low > f->low) f->low = low;
}

static void at_most(struct nlsh__sqlite_filter *f, sqlite3_int64 high)
{
    if (high < f->high) f->high = high;
}

/* Beyond all rowids; no rowid is equal to it. */
static void compare_outside(struct nlsh__sqlite_filter *f, int op, int above)
{
    int less = op == SQLITE_INDEX_CONSTRAINT_LT || op == SQLITE_INDEX_CONSTRAINT_LE;
    if (op == SQLITE_INDEX_CONSTRAINT_EQ || less != above) allow_nothing(f);
}

static void compare_whole(struct nlsh__sqlite_filter *f, int op, sqlite3_int64 v)
{
    switch (op) {
    case SQLITE_INDEX_CONSTRAINT_GE: at_least(f, v); break;
    case SQLITE_INDEX_CONSTRAINT_LE: at_most(f, v); break;
    case SQLITE_INDEX_CONSTRAINT_GT:
        if (v == INT64_MAX)
            allow_nothing(f);
        else
            at_least(f, v + 1);
        break;
    case SQLITE_INDEX_CONSTRAINT_LT:
        if (v == INT64_MIN)
            allow_nothing(f);
        else
            at_most(f, v - 1);
        break;
    default: at_least(f, v); at_most(f, v);
    }
}

static void compare_real(struct nlsh__sqlite_filter *f, int op, double v)
{
    if (v >= 9223372036854775808.0 || v < -9223372036854775808.0) {
        compare_outside(f, op, v > 0);
        return;
    }
    sqlite3_int64 down = (sqlite3_int64)v; /* towards 0 */
    if ((double)down > v) down--;
    if ((double)down == v)
        compare_whole(f, op, down);
    else if (op == SQLITE_INDEX_CONSTRAINT_EQ)
        allow_nothing(f);
    else if (op == SQLITE_INDEX_CONSTRAINT_GT || op == SQLITE_INDEX_CONSTRAINT_GE)
        at_least(f, down + 1); /* below 2^63, as v is no whole number */
    else
        at_most(f, down);
}

void nlsh__sqlite_filter_compare(struct nlsh__sqlite_filter *f, int op, sqlite3_value *value)
{
    switch (sqlite3_value_numeric_type(value)) {
    case SQLITE_INTEGER: compare_whole(f, op, sqlite3_value_int64(value)); break;
    case SQLITE_FLOAT: compare_real(f, op, sqlite3_value_double(value)); break;
    case SQLITE_NULL: allow_nothing(f); break;
    default: compare_outside(f, op, 1);
    }
}

/* ---- sets ------------------------------------------------------------------------------------ */

static int ascending(const void *a, const void *b)
{
    sqlite3_int64 x = *(const sqlite3_int64 *)a, y = *(const sqlite3_int64 *)b;
    return (x > y) - (x < y);
}

static int add(struct nlsh__sqlite_filter *f, sqlite3_int64 rowid)
{
    if (f->n == f->room) {
        size_t room = 2 * f->room + 64;
        sqlite3_int64 *more = sqlite3_realloc64(f->rowids, room * sizeof *more);
        if (more == NULL) return SQLITE_NOMEM;
        f->rowids = more;
        f->room = room;
    }
    f->rowids[f->n++] = rowid;
    return SQLITE_OK;
}

/* Sorted, which values of an IN usually are already, and each once. */
static void order(struct nlsh__sqlite_filter *f)
{
    int is_sorted = 1;
    for (size_t i = 1; i < f->n && is_sorted; i++) is_sorted = f->rowids[i - 1] <= f->rowids[i];
    if (!is_sorted) qsort(f->rowids, f->n, sizeof *f->rowids, ascending);
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        if (n == 0 || f->rowids[n - 1] != f->rowids[i]) f->rowids[n++] = f->rowids[i];
    f->n = n;
}

/* The rowid that is equal to a value; 0 where none is. */
static int whole(sqlite3_value *value, sqlite3_int64 *out)
{
    struct nlsh__sqlite_filter one;
    nlsh__sqlite_filter_init(&one);
    nlsh__sqlite_filter_compare(&one, SQLITE_INDEX_CONSTRAINT_EQ, value);
    *out = one.low;
    return one.low == one.high;
}

/* Of two INs what stands in both is allowed. */
static void intersect(struct nlsh__sqlite_filter *f, const struct nlsh__sqlite_filter *with)
{
    size_t n = 0, j = 0;
    for (size_t i = 0; i < f->n; i++) {
        while (j < with->n && with->rowids[j] < f->rowids[i]) j++;
        if (j < with->n && with->rowids[j] == f->rowids[i]) f->rowids[n++] = f->rowids[i];
    }
    f->n = n;
}

/* Bits for a set, where they take no more memory than some of its rowids: a look at one is quicker than a search. */
static int make_bits(struct nlsh__sqlite_filter *f)
{
    sqlite3_free(f->bits);
    f->bits = NULL;
    if (f->n == 0) return SQLITE_OK;
    sqlite3_uint64 span = (sqlite3_uint64)f->rowids[f->n - 1] - (sqlite3_uint64)f->rowids[0];
    if (span / BITS_A_ROWID >= f->n + LEAST_BITS / BITS_A_ROWID) return SQLITE_OK;
    f->bits = sqlite3_malloc64(span / 8 + 1);
    if (f->bits == NULL) return SQLITE_NOMEM;
    memset(f->bits, 0, (size_t)(span / 8 + 1));
    f->first_bit = f->rowids[0];
    for (size_t i = 0; i < f->n; i++) {
        size_t bit = (size_t)(f->rowids[i] - f->first_bit);
        f->bits[bit / 8] |= (unsigned char)(1u << bit % 8);
    }
    return SQLITE_OK;
}

int nlsh__sqlite_filter_in(struct nlsh__sqlite_filter *f, sqlite3_value *list)
{
    struct nlsh__sqlite_filter in;
    sqlite3_value *value;
    sqlite3_int64 rowid;
    int rc;
    nlsh__sqlite_filter_init(&in);
    in.rowids = sqlite3_malloc64(sizeof *in.rowids); /* an empty set is one */
    in.room = in.rowids != NULL;
    if (in.rowids == NULL) return SQLITE_NOMEM;
    for (rc = sqlite3_vtab_in_first(list, &value); rc == SQLITE_OK && value != NULL;
         rc = sqlite3_vtab_in_next(list, &value))
        if (whole(value, &rowid) && (rc = add(&in, rowid)) != SQLITE_OK) break;
    if (rc != SQLITE_OK && rc != SQLITE_DONE) {
        nlsh__sqlite_filter_free(&in);
        return rc;
    }
    order(&in);
    if (f->rowids == NULL) {
        f->rowids = in.rowids;
        f->n = in.n;
        f->room = in.room;
        return make_bits(f);
    }
    intersect(f, &in);
    nlsh__sqlite_filter_free(&in);
    return make_bits(f);
}

int nlsh__sqlite_filter_allows(const struct nlsh__sqlite_filter *f, sqlite3_int64 rowid)
{
    if (rowid < f->low || rowid > f->high) return 0;
    if (f->rowids == NULL) return 1;
    if (f->bits != NULL) {
        if (rowid < f->rowids[0] || rowid > f->rowids[f->n - 1]) return 0;
        size_t bit = (size_t)(rowid - f->first_bit);
        return f->bits[bit / 8] >> bit % 8 & 1;
    }
    size_t low = 0, high = f->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (f->rowids[middle] < rowid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < f->n && f->rowids[low] == rowid;
}
