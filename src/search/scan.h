/* scan.h - the rows of some buckets: by their codes first, or all of them exactly. */
#ifndef NLSH_SEARCH_SCAN_H
#define NLSH_SEARCH_SCAN_H

#include "search/search.h"

/* How a call scans: resolved once from its options. */
struct nlsh__plan {
    struct nlsh__rule rule; /* which buckets */
    size_t k;
    int by_codes;      /* 0: every distance is exact */
    size_t rerank;     /* rows ranked exactly; 0: as many as the margin asks for */
    float margin;      /* index/codes.h */
    int by_leaves;     /* 1: leaves first */
    float leaf_margin; /* index/leaves.h */
};

/* NLSH_E_ARG as nlsh__rule_from_options(). */
enum nlsh_status nlsh__plan_from_options(const struct nlsh_index *index,
                                         const struct nlsh_search_options *options,
                                         struct nlsh__plan *out, struct nlsh_error *error);

/* Scratch for scanning with any plan; with rerank set, room for that many. */
enum nlsh_status nlsh__scan_create(const struct nlsh_index *index, struct nlsh__scan *scan,
                                   struct nlsh_error *error);
enum nlsh_status nlsh__scan_reserve(struct nlsh__scan *scan, size_t rerank,
                                    struct nlsh_error *error);
void nlsh__scan_free(struct nlsh__scan *scan);

/* Exact distances of rows first .. end - 1 of the query that is set, into keys[k]. */
void nlsh__scan_rows(const struct nlsh_searcher *s, size_t first, size_t end, uint64_t *keys,
                     size_t k);

/* The parts of the next call, for those who scan several queries together. Of the query that is set
 * in s: its squared distance to the mean of the codes, and with its inputs the units. */
float nlsh__query_whole(const struct nlsh_searcher *s);
void nlsh__query_units(const struct nlsh_searcher *s, const float *inputs, float whole,
                       struct nlsh__units *out);
void nlsh__prefetch_bucket(const struct nlsh__codes *codes, uint32_t bucket);
/* Scores of a bucket's groups first .. first + n_groups - 1 and what belongs to them but for its
 * first_score. */
void nlsh__score_piece(struct nlsh_searcher *s, const float *inputs, float outside, uint32_t bucket,
                       size_t first, size_t n_groups, float *scores, struct nlsh__piece *out);
/* The k best rows of all pieces of the query that is set in s, into s->keys. */
size_t nlsh__finish_scores(struct nlsh_searcher *s, const struct nlsh__plan *plan,
                           const struct nlsh__units *units, float *scores, size_t n_scores,
                           struct nlsh__piece *pieces, size_t n_pieces);

/* The k best rows of s->buckets[n_buckets] into s->keys, which the call clears; returns how many
 * rows the buckets hold. reranked: rows whose exact distance was computed. */
size_t nlsh__scan_buckets(struct nlsh_searcher *s, const struct nlsh__plan *plan, size_t n_buckets,
                          size_t *reranked);

#endif
