/* best.h - the k nearest of the rows that were looked at. */
#ifndef NLSH_SQL_BEST_H
#define NLSH_SQL_BEST_H

#include <stddef.h>
#include <stdint.h>

/* score: squared distance, of unit vectors where the metric is cosine; the negated product. */
struct nlsh__sqlite_found {
    int64_t rowid;
    float score;
};

/* The order of answers. */
int nlsh__sqlite_is_before(const struct nlsh__sqlite_found *a, const struct nlsh__sqlite_found *b);

/* Ordered by (score, rowid); a heap until nlsh__sqlite_best_sort(). */
struct nlsh__sqlite_best {
    struct nlsh__sqlite_found *found; /* [k], its owner's */
    size_t n, k;
};

/* Of the k-th; +infinity where there are not so many. */
float nlsh__sqlite_best_limit(const struct nlsh__sqlite_best *best);
void nlsh__sqlite_best_push(struct nlsh__sqlite_best *best, int64_t rowid, float score);
/* Ascending. */
void nlsh__sqlite_best_sort(struct nlsh__sqlite_best *best);

#endif
