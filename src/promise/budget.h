/*
 * budget.h - how a search spends what a recall leaves to be missing.
 *
 * Neighbours are lost in three places: in buckets that are not scanned, in leaves that are left out, and by
 * codes that judge a row too far away. Each is measured apart; together they must keep the recall.
 */
#ifndef NLSH_PROMISE_BUDGET_H
#define NLSH_PROMISE_BUDGET_H

#include <stddef.h>

struct nlsh__budget {
    double routed; /* recall that the buckets alone must hold */
    double codes;  /* share of the neighbours that codes may lose */
    double leaves; /* share that may lie in leaves that are left out; 0: none are */
};

/* Of what may be missing, the share that codes may lose: where nothing is known of rows, and of rows that are kept in so
 * many bytes. */
#define NLSH__CODES_SHARE 0.2
double nlsh__codes_share(size_t row_bytes);

/* For a recall above 0 and below 1. codes_share: as above, or 0: there are no codes. has_leaves: leaves may be left out. */
struct nlsh__budget nlsh__budget_of(double recall, double codes_share, int has_leaves);

/* What codes may lose where no recall was asked for: T alone should decide. */
#define NLSH__CODES_LOSS_OF_T 0.001

/* Rows that a search for k neighbours looks at exactly for its first limit: half as many again as k,
 * since scores are estimates and some of the first k by score are none of the nearest. */
static inline size_t nlsh__first_rows(size_t k)
{
    return k + k / 2;
}

/* A leaf's margin grows with the logarithm of its bucket's probability per vector, times this: the margin is
 * then that at a probability of one in a hundred, which is a usual one where leaves matter. */
#define NLSH__LEAF_UNIT 100.0f

#endif
