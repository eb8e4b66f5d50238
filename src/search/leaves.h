/* leaves.h - which leaves of a query's buckets are scanned (index/leaves.h). */
#ifndef NLSH_SEARCH_LEAVES_H
#define NLSH_SEARCH_LEAVES_H

#include "search/scan.h"

/* Scratch; nothing where the index has no leaves. */
enum nlsh_status nlsh__leaves_create(const struct nlsh_index *index, struct nlsh__leaf_scan *out,
                                     struct nlsh_error *error);
void nlsh__leaves_free(struct nlsh__leaf_scan *leaves);

/* Scores the leaves of s->buckets[n_buckets], whose probabilities are in s->probabilities. 0 where there
 * are too many for a round, and nothing was scored. */
int nlsh__leaves_score(struct nlsh_searcher *s, const struct nlsh__plan *plan, size_t n_buckets);

/* Chooses those with the least scores, as many as k rows and a first limit want. */
void nlsh__leaves_first(struct nlsh_searcher *s, size_t k);

/* Of those that were not chosen yet, the ones that with a share of the margin may hold a row of the limit's
 * score or less. */
void nlsh__leaves_within(struct nlsh_searcher *s, float share, float limit);

#endif
