/* scan.h - one query through the rows of its buckets. */
#ifndef NLSH_SEARCH_SCAN_H
#define NLSH_SEARCH_SCAN_H

#include "search/leaves.h"
#include "search/plan.h"

/* Scratch of one thread. */
struct nlsh__scan {
    struct nlsh__chooser chooser;
    struct nlsh__leaf_scan leaves;
    float *origin;              /* [stride] zeros */
    int8_t *weights;            /* [stride] the query as codes are compared with it */
    float *scores;              /* [NLSH__ROUND] */
    struct nlsh__piece *pieces; /* [NLSH__ROUND / 16] */
    /* Of leaves, which do not stand together: */
    uint32_t *places; /* [NLSH__ROUND / 16] where each 16 scores' rows begin */
    uint8_t *errors;  /* [NLSH__ROUND] */
};

enum nlsh_status nlsh__scan_create(const struct nlsh_index *index, struct nlsh__scan *out,
                                   struct nlsh_error *error);
void nlsh__scan_free(struct nlsh__scan *scan);

/* A query that was routed. */
struct nlsh__routed {
    const float *inputs;     /* as the router sees it */
    const uint32_t *buckets; /* [n_buckets] a most probable one first */
    const float *probabilities;
    size_t n_buckets;
    float outside; /* what the router expects elsewhere: likeness.h; NaN with a filter */
};

/* What a search cost. */
struct nlsh__cost {
    size_t candidates; /* rows whose code was compared, or that were ranked without */
    size_t ranked;     /* rows whose exact distance was computed */
};

/* The k best rows of the query's buckets, in all segments, into best [k], which the call clears. Where the plan
 * has a filter, it is the query's own: nlsh__choose_allowed(). */
struct nlsh__cost nlsh__scan_query(struct nlsh__scan *scan, const struct nlsh_index *index,
                                   const struct nlsh__query *query, const struct nlsh__plan *plan,
                                   const struct nlsh__routed *routed, uint64_t *best);

/* ---- for those who scan several queries together ---------------------------------------------- */

/* What of a query its inputs do not say. */
struct nlsh__query_sizes {
    float
        whole; /* its squared distance to the mean of the codes; by inner product its squared length as it is routed */
    double length; /* by inner product its length as it was given; else 0 */
};
struct nlsh__query_sizes nlsh__query_sizes(const struct nlsh_index *index,
                                           const struct nlsh__segment *segment,
                                           const struct nlsh__query *query);
/* A query's units, of its sizes and inputs, or of the query itself and its inputs. */
void nlsh__sizes_units(const struct nlsh_index *index, const struct nlsh__segment *segment,
                       const struct nlsh__query_sizes *sizes, const float *inputs,
                       struct nlsh__units *out);
void nlsh__query_units(const struct nlsh_index *index, const struct nlsh__segment *segment,
                       const struct nlsh__query *query, const float *inputs,
                       struct nlsh__units *out);

void nlsh__prefetch_bucket(const struct nlsh__codes *codes, uint32_t bucket);

/* Groups first .. first + n_groups - 1 of a bucket. */
struct nlsh__groups_of {
    uint32_t bucket;
    size_t first, n_groups;
};
/* Their scores, and what belongs to them but for its first_score. */
void nlsh__score_piece(struct nlsh__scan *scan, const struct nlsh_index *index,
                       const struct nlsh__segment *segment, const float *inputs, float outside,
                       const struct nlsh__groups_of *groups, float *scores,
                       struct nlsh__piece *out);

/* Scores of n chosen leaves of a part, from chosen[first] on, into the scan's scores from `at` on, a multiple of 16; and
 * what belongs to them but for its first_score. Returns how many rows they have. */
size_t nlsh__score_leaves(struct nlsh__scan *scan, const struct nlsh__leaf_part *part, size_t first,
                          size_t n, size_t at, struct nlsh__piece *out);

/* What follows when all rounds but this one are done: its rows ranked, or kept and then ranked. Returns how
 * many. */
size_t nlsh__finish_last(struct nlsh__chooser *chooser, const struct nlsh__round *round,
                         const struct nlsh__ranking *ranking, const struct nlsh__units *units,
                         const struct nlsh__plan *plan);

#endif
