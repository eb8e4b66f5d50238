/* likeness.h - whether a query is like those that the index was calibrated for, by what the router expects outside of
 * the buckets that are scanned; and what a cautious search does where it is not. */
#ifndef NLSH_SEARCH_LIKENESS_H
#define NLSH_SEARCH_LIKENESS_H

#include "search/plan.h"

/* nlsh__choose_buckets() by the plan's rule. *outside: what the router expects elsewhere. A cautious plan goes on to
 * less probable buckets where that is more than the plan expects; *outside stays what it was. */
size_t nlsh__choose_by_plan(const struct nlsh__answer *answer, const struct nlsh__plan *plan,
                            uint32_t *buckets, float *probabilities, uint64_t *keys,
                            float *outside);

#endif
