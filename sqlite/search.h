/* search.h - the k nearest vectors of a table. */
#ifndef NLSH_SQL_SEARCH_H
#define NLSH_SQL_SEARCH_H

#include "best.h"
#include "filter.h"
#include "table.h"

struct nlsh__sqlite_question {
    const float *query; /* [dim], checked: nlsh__sqlite_vector_into() */
    size_t k;           /* at least 1 */
    double recall;      /* above 0; 1 and more: exactly */
    const struct nlsh__sqlite_filter *filter;
};

/* The answer, ascending; *found is freed with sqlite3_free(), and holds as many as the table allows. */
int nlsh__sqlite_search(struct nlsh__sqlite_table *table,
                        const struct nlsh__sqlite_question *question,
                        struct nlsh__sqlite_found **found, size_t *n);

/* A score as enum nlsh_metric has distances. */
double nlsh__sqlite_distance(enum nlsh_metric metric, float score);

#endif
