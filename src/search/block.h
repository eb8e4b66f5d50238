/* block.h - some queries of a batch scanned together, so that they share what they read. */
#ifndef NLSH_SEARCH_BLOCK_H
#define NLSH_SEARCH_BLOCK_H

#include "search/scan.h"

/* A query that was routed. */
struct nlsh__routed {
    const float *inputs;     /* as the router sees it */
    const uint32_t *buckets; /* [n_buckets] */
    const float *probabilities;
    uint32_t n_buckets;
    uint32_t n_scores; /* of its buckets' groups; above NLSH__ROUND the query is scanned alone */
    struct nlsh__units units;
};

/* Most queries and scores of a block: what a second-level cache holds besides the codes. */
#define NLSH__BLOCK_QUERIES ((size_t)64)
#define NLSH__BLOCK_SCORES ((size_t)131072)

/* A worker's scratch. */
struct nlsh__block;
enum nlsh_status nlsh__block_create(const struct nlsh_index *index, struct nlsh__block **out,
                                    struct nlsh_error *error);
void nlsh__block_free(struct nlsh__block *block);

/* Scores of all queries, bucket by bucket; n within the limits above. */
void nlsh__block_scores(struct nlsh__block *block, struct nlsh_searcher *s,
                        const struct nlsh__routed *const *queries, size_t n);
/* The k best rows of query i, which is set in s, into s->keys; returns how many rows its buckets
 * hold. The same answer as nlsh__scan_buckets(). */
size_t nlsh__block_finish(struct nlsh__block *block, struct nlsh_searcher *s,
                          const struct nlsh__routed *query, size_t i, const struct nlsh__plan *plan,
                          size_t *reranked);

#endif
