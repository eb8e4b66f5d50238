/*
 * budget.c - see budget.h. The shares were found by trying them on Fashion-MNIST and SIFT-1M: at which
 * split a recall is reached with the fewest vectors scanned and ranked.
 */
#include "promise/budget.h"

#include <math.h>

/* Codes may lose a fifth of what may be missing: there it saves the most rows to rank. Of long rows, which cost more to
 * rank, they may lose a half: USE-512, of 1,024 bytes, then scans 3 to 9 % more vectors for a recall, ranks 27 to 29 % fewer, and
 * is quicker by 2 to 7 %. Never less than one neighbour in 2,000, below which no margin is measured well, nor more than where
 * .05 are missing. */
#define LONG_ROW 1000
#define LONG_SHARE 0.5
#define CODES_LEAST 0.0005
#define CODES_MISSING 0.05
/* Margins were measured against the last limit and most rows meet a wider one, so about half of what codes
 * may lose is lost. The buckets make up for that half. */
#define CODES_REAL 0.5
/* Leaves may lose .55 of what may be missing, and a larger part of it the more that is, up to a tenth of the
 * neighbours. Here too less is lost: SIFT-1M reaches .905, .953 and .990 where .90, .95 and .99 are asked
 * for. */
#define LEAVES_SHARE 0.55
#define LEAVES_GROWTH 3.5
#define LEAVES_MOST 0.1
/* Of what may be missing the buckets keep at least this share for themselves: thresholds beyond it are so
 * low that they were hardly measured. */
#define ROUTED_SHARE 0.5

double nlsh__codes_share(size_t row_bytes)
{
    return row_bytes < LONG_ROW ? NLSH__CODES_SHARE : LONG_SHARE;
}

struct nlsh__budget nlsh__budget_of(double recall, double codes_share, int has_leaves)
{
    double missing = 1 - recall;
    struct nlsh__budget budget = {.routed = recall};
    if (codes_share == 0) return budget;
    budget.codes = fmax(codes_share * fmin(missing, CODES_MISSING), CODES_LEAST);
    budget.routed /= 1 - CODES_REAL * budget.codes;
    if (has_leaves) {
        budget.leaves = fmin(missing * (LEAVES_SHARE + LEAVES_GROWTH * missing), LEAVES_MOST);
        budget.routed /= 1 - budget.leaves;
    }
    budget.routed = fmin(budget.routed, 1 - ROUTED_SHARE * missing);
    return budget;
}
