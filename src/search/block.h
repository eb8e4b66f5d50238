/* block.h - some queries of a batch scanned together, so that they share what they read. */
#ifndef NLSH_SEARCH_BLOCK_H
#define NLSH_SEARCH_BLOCK_H

#include "search/scan.h"

/* A query of a block, and what was found out about it. */
struct nlsh__member {
    struct nlsh__routed routed;
    uint32_t
        n_scores; /* of its buckets' groups; above NLSH__ROUND, as with a filter, it is scanned alone */
    struct nlsh__units units;
    struct nlsh__plan own; /* where the call has a filter */
};

/* Most queries and scores of a block: what a second-level cache holds besides the codes. */
#define NLSH__BLOCK_QUERIES ((size_t)64)
#define NLSH__BLOCK_SCORES ((size_t)131072)

/* A worker's scratch, for an index of one segment with codes. */
struct nlsh__block;
enum nlsh_status nlsh__block_create(const struct nlsh_index *index, struct nlsh__block **out,
                                    struct nlsh_error *error);
void nlsh__block_free(struct nlsh__block *block);

/* Scores of all members, bucket by bucket; n within the limits above. */
void nlsh__block_scores(struct nlsh__block *block, struct nlsh__scan *scan,
                        const struct nlsh__member *const *members, size_t n);
/* The k best rows of member i, a query, into best [k]. The same answer as nlsh__scan_query(). */
struct nlsh__cost nlsh__block_finish(struct nlsh__block *block, struct nlsh__scan *scan,
                                     const struct nlsh__query *query,
                                     const struct nlsh__member *member, size_t i,
                                     const struct nlsh__plan *plan, uint64_t *best);

#endif
