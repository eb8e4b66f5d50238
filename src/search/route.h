/* route.h - which buckets to scan. */
#ifndef NLSH_SEARCH_ROUTE_H
#define NLSH_SEARCH_ROUTE_H

#include "index/index.h"
#include "router/router.h"

#include <string.h>

/* How many buckets: options' probes or recall, resolved once a call. */
struct nlsh__rule {
    size_t top;      /* this many, where not 0 */
    float threshold; /* else every bucket whose score is above this, and the most probable one */
    /* A bucket's score is its probability times its weight [m], 1 where this is NULL; group_weights
     * [n_groups] are the largest of a group's. */
    const float *weights, *group_weights;
};

/* NLSH_E_ARG where probes or recall is outside its meaning. */
enum nlsh_status nlsh__rule_from_options(const struct nlsh_index *index,
                                         const struct nlsh_search_options *options,
                                         struct nlsh__rule *out, struct nlsh_error *error);

/* A group is computed where its probability, times its weight, is above this share of the threshold. nlsh search --recall .95:
 * recall .9574 from 408 candidates on Fashion-MNIST and .9535 from 1,803 on USE-512; with a quarter .9582 from 410 and .9542
 * from 1,813, and on USE-512 20 groups are computed in place of 14, which take 5 % of a query; with 1, .9546 and .9517. */
#define NLSH__GROUP_MARGIN 0.5f
/* Where none is, as where T buckets are wanted: above this share of the T-th most probable group. As many as a group has. */
#define NLSH__TOP_GROUP_MARGIN (1 / 16.0f)

/* What a router says of a query: probabilities of groups, and on demand the logits of a group's
 * buckets: group() fills out, rounded up to a multiple of 16. */
struct nlsh__answer {
    const struct nlsh__groups *groups;
    const float *probabilities; /* [groups->n] */
    void (*group)(const struct nlsh__answer *answer, size_t g, float *out);
    const struct nlsh__router *router; /* group()'s own */
    struct nlsh__router_pass pass;
};

/* The router's answer to a query, in scratch until its next use. */
void nlsh__ask_router(const struct nlsh__router *router, const float *inputs, float *scratch,
                      struct nlsh__answer *out);

/* An answer from a pass that was made otherwise. */
void nlsh__answer_from(const struct nlsh__router *router, const struct nlsh__router_pass *pass,
                       struct nlsh__answer *out);

/* Fills buckets[m] with those to scan, a most probable one first, and probabilities [m + 16] with theirs
 * (0 where nobody asked for them: every bucket), and returns how many, at least 1. Scratch: keys [m]. */
size_t nlsh__choose_buckets(const struct nlsh__answer *answer, const struct nlsh__rule *rule,
                            uint32_t *buckets, float *probabilities, uint64_t *keys);

/* ---- for those who choose otherwise ---------------------------------------------------------- */

/* All buckets [m] as they come, and their probabilities [m + 16]: 0 where a damaged router has none. */
void nlsh__choose_all(const struct nlsh__answer *answer, uint32_t *buckets, float *probabilities);

/* Orders buckets by a score that is not negative, the largest first, then the lower bucket: complemented bits order
 * downwards. */
static inline uint64_t nlsh__probability_key(float score, size_t bucket)
{
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    return (uint64_t)~bits << 32 | bucket;
}

/* The i-th of the chosen buckets changes places with the first. */
void nlsh__bucket_to_front(uint32_t *buckets, float *probabilities, size_t i);

#endif
