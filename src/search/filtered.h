/* filtered.h - which buckets to scan where a call has a filter. */
#ifndef NLSH_SEARCH_FILTERED_H
#define NLSH_SEARCH_FILTERED_H

#include "search/plan.h"

/* Whether all that are allowed are ranked exactly in place of a search for k: there are no more than k, or so few
 * that it is cheaper. */
int nlsh__rather_exactly(const struct nlsh_index *index, const struct nlsh__allowed *allowed,
                         size_t k);

/* All buckets that have a row that is allowed; how many. */
size_t nlsh__list_allowed(const struct nlsh_index *index, const struct nlsh__allowed *allowed,
                          uint32_t *buckets, float *probabilities);

/* A plan for a recall, by what was measured of its filter; all that is allowed where that is cheaper, or where nothing
 * was measured that reaches so far. */
void nlsh__plan_by_content(const struct nlsh_index *index, struct nlsh__plan *plan);
/* The same where the filter was drawn by chance. */
void nlsh__plan_by_chance(const struct nlsh_index *index, struct nlsh__plan *plan);

/* As nlsh__choose_buckets(), by a plan with a filter: buckets that have a row that is allowed. They hold k such
 * rows together, where there are so many. 0 buckets where nothing is allowed. *plan is the call's, and becomes the
 * query's own. */
size_t nlsh__choose_allowed(const struct nlsh_index *index, const struct nlsh__answer *answer,
                            struct nlsh__plan *plan, uint32_t *buckets, float *probabilities,
                            uint64_t *keys);

/* Whether a plan wants to know what the router says. */
int nlsh__asks_router(const struct nlsh_index *index, const struct nlsh__plan *plan);
/* As nlsh__choose_allowed(), where it does not; inputs: the query's. */
size_t nlsh__choose_unasked(const struct nlsh_index *index, const struct nlsh__plan *plan,
                            const float *inputs, uint32_t *buckets, float *probabilities,
                            uint64_t *keys);

#endif
