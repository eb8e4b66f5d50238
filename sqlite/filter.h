/* filter.h - which rowids a statement lets an answer hold: an interval, and where there was an IN, a set. */
#ifndef NLSH_SQL_FILTER_H
#define NLSH_SQL_FILTER_H

#include <stddef.h>

#include <sqlite3ext.h>

struct nlsh__sqlite_filter {
    sqlite3_int64 low, high; /* both may be returned; low > high: nothing may */
    sqlite3_int64 *rowids;   /* [n] ascending, none twice; NULL: there is no set */
    size_t n, room;
    unsigned char
        *bits; /* of a set that is dense: bit i is rowid first_bit + i; NULL: there are none */
    sqlite3_int64 first_bit;
};

/* Everything is allowed. */
void nlsh__sqlite_filter_init(struct nlsh__sqlite_filter *filter);
void nlsh__sqlite_filter_free(struct nlsh__sqlite_filter *filter);
/* All but what is "op value" (SQLITE_INDEX_CONSTRAINT_EQ, GT, GE, LT, LE) is not allowed any more. */
void nlsh__sqlite_filter_compare(struct nlsh__sqlite_filter *filter, int op, sqlite3_value *value);
/* All but the values of an IN; list is what sqlite3_vtab_in_first() takes. */
int nlsh__sqlite_filter_in(struct nlsh__sqlite_filter *filter, sqlite3_value *list);

int nlsh__sqlite_filter_is_set(const struct nlsh__sqlite_filter *filter);
int nlsh__sqlite_filter_allows(const struct nlsh__sqlite_filter *filter, sqlite3_int64 rowid);

#endif
