/* route.h - which buckets to scan. */
#ifndef NLSH_SEARCH_ROUTE_H
#define NLSH_SEARCH_ROUTE_H

#include "index/index.h"

/* How many buckets: options' probes or recall, resolved once a call. */
struct nlsh__rule {
    size_t top;      /* this many, where not 0 */
    float threshold; /* else every bucket above this, and the best */
};

/* NLSH_E_ARG where probes or recall is outside its meaning. */
enum nlsh_status nlsh__rule_from_options(const struct nlsh_index *index,
                                         const struct nlsh_search_options *options,
                                         struct nlsh__rule *out, struct nlsh_error *error);

/* Fills buckets[m] with those to scan and returns how many, at least 1. scratch [m]. */
size_t nlsh__choose_buckets(const float *probabilities, size_t m, const struct nlsh__rule *rule,
                            uint32_t *buckets, uint64_t *scratch);

#endif
