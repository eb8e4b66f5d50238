/* best.h - the k nearest of the rows that were looked at. */
#ifndef NLSH_SQL_BEST_H
#define NLSH_SQL_BEST_H

#include <stddef.h>
#include <stdint.h>

/* score: squared distance, of unit vectors where the metric is cosine; the negated product. */
struct nlsh__sql_found {
    int64_t rowid;
    float score;
};

/* The order of answers. */
int nlsh__sql_is_before(const struct nlsh__sql_found *a, const struct nlsh__sql_found *b);

/* Ordered by (score, rowid); a heap until nlsh__sql_best_sort(). */
struct nlsh__sql_best {
    struct nlsh__sql_found *found; /* [k], its owner's */
    size_t n, k;
};

/* Of the k-th; +infinity where there are not so many. */
float nlsh__sql_best_limit(const struct nlsh__sql_best *best);
void nlsh__sql_best_push(struct nlsh__sql_best *best, int64_t rowid, float score);
/* Ascending. */
void nlsh__sql_best_sort(struct nlsh__sql_best *best);

#endif
