/*
 * best_index.c - which plan a statement gets, and what it costs.
 *
 * With MATCH the k nearest are searched, and everything that is said of rowids is a filter of that search: what is not
 * allowed counts as not there. So such a plan needs all of these values; where one is another table's and not known
 * yet, there is no plan, and SQLite asks again with the tables in another order. That way the answer does not depend
 * on the order that SQLite likes best.
 */
#include <math.h>
#include <string.h>

#include "cursor.h"

SQLITE_EXTENSION_INIT3

/* In SQLite's units, of which a row that is stepped over is about one. */
#define COST_OF_LOOKUP 2.0
#define COST_OF_SEARCH 500.0
/* Where k is not known yet. */
#define USUAL_K 10.0

/* The text of a plan as it grows, and which of the terms it has. */
struct plan {
    sqlite3_index_info *info;
    char text[64];
    int n;
    int has_query, has_k, has_limit, has_filter;
    int is_one; /* rowid = */
    int left;   /* terms that SQLite will look at itself */
};

static void use(struct plan *p, int term, char letter, int omit)
{
    p->info->aConstraintUsage[term].argvIndex = p->n + 1;
    p->info->aConstraintUsage[term].omit = (unsigned char)omit;
    p->text[p->n++] = letter;
    p->text[p->n] = '\0';
}

static char letter_of(unsigned char op)
{
    switch (op) {
    case SQLITE_INDEX_CONSTRAINT_EQ: return NLSH__SQL_ARG_EQ;
    case SQLITE_INDEX_CONSTRAINT_GT: return NLSH__SQL_ARG_GT;
    case SQLITE_INDEX_CONSTRAINT_GE: return NLSH__SQL_ARG_GE;
    case SQLITE_INDEX_CONSTRAINT_LT: return NLSH__SQL_ARG_LT;
    case SQLITE_INDEX_CONSTRAINT_LE: return NLSH__SQL_ARG_LE;
    default: return 0;
    }
}

static int is_match(const struct sqlite3_index_constraint *c)
{
    return c->op == SQLITE_INDEX_CONSTRAINT_MATCH && c->iColumn == NLSH__SQL_VECTOR;
}

/* A term of a search that only it can answer. */
static int is_of_search(const struct sqlite3_index_constraint *c)
{
    return is_match(c) ||
           (c->op == SQLITE_INDEX_CONSTRAINT_EQ &&
            (c->iColumn == NLSH__SQL_K || c->iColumn == NLSH__SQL_RECALL)) ||
           (c->iColumn == -1 && letter_of(c->op) != 0);
}

static int is_room(const struct plan *p)
{
    return p->n < (int)sizeof p->text - 1;
}

/* A term of a search, where it is usable. */
static void take_term(struct plan *p, int i)
{
    const struct sqlite3_index_constraint *c = &p->info->aConstraint[i];
    char letter = letter_of(c->op);
    if (is_match(c)) {
        use(p, i, NLSH__SQL_ARG_QUERY, 1);
        p->has_query = 1;
    } else if (c->op == SQLITE_INDEX_CONSTRAINT_EQ && c->iColumn == NLSH__SQL_K) {
        use(p, i, NLSH__SQL_ARG_K, 1);
        p->has_k = 1;
    } else if (c->op == SQLITE_INDEX_CONSTRAINT_EQ && c->iColumn == NLSH__SQL_RECALL) {
        use(p, i, NLSH__SQL_ARG_RECALL, 1);
    } else if (c->iColumn == -1 && letter != 0) {
        if (c->op == SQLITE_INDEX_CONSTRAINT_EQ && sqlite3_vtab_in(p->info, i, 1)) {
            use(p, i, NLSH__SQL_ARG_IN, 1);
        } else {
            use(p, i, letter, 1);
            p->is_one |= letter == NLSH__SQL_ARG_EQ;
        }
        p->has_filter = 1;
    } else if (c->op != SQLITE_INDEX_CONSTRAINT_LIMIT && c->op != SQLITE_INDEX_CONSTRAINT_OFFSET) {
        p->left = 1;
    }
}

static int is_by_distance(const sqlite3_index_info *info)
{
    return info->nOrderBy == 1 && info->aOrderBy[0].iColumn == NLSH__SQL_DISTANCE &&
           !info->aOrderBy[0].desc;
}

/* LIMIT is k where all that it counts comes out of the search, nearest first. */
static void take_limit(struct plan *p)
{
    const sqlite3_index_info *info = p->info;
    int limit = -1, offset = -1;
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        if (!c->usable) continue;
        if (c->op == SQLITE_INDEX_CONSTRAINT_LIMIT) limit = i;
        if (c->op == SQLITE_INDEX_CONSTRAINT_OFFSET) offset = i;
    }
    if (limit < 0 || p->left || p->has_k || (info->nOrderBy > 0 && !is_by_distance(info))) return;
    use(p, limit, NLSH__SQL_ARG_LIMIT, 0);
    if (offset >= 0) use(p, offset, NLSH__SQL_ARG_OFFSET, 0);
    p->has_limit = 1;
}

static int give(struct plan *p, int number, double cost, double rows)
{
    sqlite3_index_info *info = p->info;
    info->idxNum = number;
    info->idxStr = sqlite3_mprintf("%s", p->text);
    info->needToFreeIdxStr = 1;
    info->estimatedCost = cost;
    info->estimatedRows = (sqlite3_int64)rows;
    return info->idxStr != NULL ? SQLITE_OK : SQLITE_NOMEM;
}

static int plan_search(const struct nlsh__sqlite_table *table, struct plan *p)
{
    sqlite3_index_info *info = p->info;
    double rows = fmax((double)table->state.rows, 1), k = rows;
    for (int i = 0; i < info->nConstraint; i++) {
        if (is_of_search(&info->aConstraint[i]) && !info->aConstraint[i].usable)
            return SQLITE_CONSTRAINT;
        if (is_room(p)) take_term(p, i);
    }
    if (is_room(p)) take_limit(p);
    if (p->has_k || p->has_limit) k = USUAL_K;
    for (int i = 0; i < info->nConstraint; i++) {
        sqlite3_value *value;
        if (p->has_k && info->aConstraint[i].iColumn == NLSH__SQL_K &&
            sqlite3_vtab_rhs_value(info, i, &value) == SQLITE_OK)
            k = sqlite3_value_double(value);
    }
    info->orderByConsumed = is_by_distance(info);
    double cost = table->state.generation != 0 ? COST_OF_SEARCH + COST_OF_LOOKUP * k : rows;
    if (p->is_one) {
        cost = COST_OF_LOOKUP;
        k = 1;
    }
    return give(p, NLSH__SQL_PLAN_KNN, fmax(cost, COST_OF_LOOKUP), fmax(k, 1));
}

/* Terms of rowids, as of any table. */
static int plan_scan(const struct nlsh__sqlite_table *table, struct plan *p)
{
    sqlite3_index_info *info = p->info;
    double rows = fmax((double)table->state.rows, 1), selected = rows;
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        char letter = letter_of(c->op);
        if (!c->usable || c->iColumn != -1 || letter == 0 || !is_room(p)) continue;
        use(p, i, letter, 1);
        if (letter == NLSH__SQL_ARG_EQ) p->is_one = 1;
        selected /= 4; /* as SQLite takes it of ranges */
    }
    if (p->is_one) {
        info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
        selected = 1;
    }
    int by_rowid = info->nOrderBy == 1 && info->aOrderBy[0].iColumn == -1;
    info->orderByConsumed = by_rowid;
    int down = by_rowid && info->aOrderBy[0].desc;
    return give(p, down ? NLSH__SQL_PLAN_DOWN : NLSH__SQL_PLAN_SCAN,
                COST_OF_LOOKUP * fmax(selected, 1), fmax(selected, 1));
}

int nlsh__sqlite_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info)
{
    struct nlsh__sqlite_table *table = (struct nlsh__sqlite_table *)vtab;
    struct plan plan = {.info = info};
    for (int i = 0; i < info->nConstraint; i++)
        if (is_match(&info->aConstraint[i])) return plan_search(table, &plan);
    return plan_scan(table, &plan);
}
