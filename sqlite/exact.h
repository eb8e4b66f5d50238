/* exact.h - exact scores of stored vectors. */
#ifndef NLSH_SQL_EXACT_H
#define NLSH_SQL_EXACT_H

#include "best.h"
#include "filter.h"
#include "table.h"

/* A query on its way. */
struct nlsh__sqlite_exact {
    struct nlsh__sqlite_table *table;
    const float *query; /* [dim]; of length 1 where the metric is cosine */
    float *scratch;     /* [dim] */
    struct nlsh__sqlite_best *best;
};

/* The score of a stored vector [dim], which need not be aligned. */
float nlsh__sqlite_score(const struct nlsh__sqlite_exact *exact, const void *vector);
/* Scores the vector of a rowid, if there is one. */
int nlsh__sqlite_rank(const struct nlsh__sqlite_exact *exact, sqlite3_int64 rowid);
/* All that a filter allows: by its set, or through the table. */
int nlsh__sqlite_rank_all(const struct nlsh__sqlite_exact *exact,
                          const struct nlsh__sqlite_filter *filter);

#endif
