/* search.h - a searcher's scratch, and the steps of a call that single queries and batches share. */
#ifndef NLSH_SEARCH_SEARCH_H
#define NLSH_SEARCH_SEARCH_H

#include "router/ask.h"
#include "search/allowed.h"
#include "search/query.h"
#include "search/scan.h"

/* Rows in the buckets that a range search has scanned, up to one of them, and those within the radius. */
struct nlsh__range_bucket {
    uint32_t rows, found;
};

struct nlsh_searcher {
    const struct nlsh_index *index;
    struct nlsh__query query;
    struct nlsh__asker asker;
    uint32_t *buckets;                  /* [m] to scan, a most probable one first */
    float *probabilities;               /* [m, padded] theirs */
    uint64_t *bucket_keys;              /* [m] */
    struct nlsh__range_bucket *scanned; /* [m] of a range: range.c */
    uint32_t *hits;                     /* [m] the same of its sample */
    uint8_t *is_scanned;                /* [m] the same by bucket */
    uint64_t *best;                     /* [n_best] */
    size_t n_best;
    struct nlsh__allowed allowed; /* of a call's filter */
    struct nlsh__scan scan;
};

/* nlsh_searcher_create(), of a part of an index too: whoever searches all of them together knows what it does. */
enum nlsh_status nlsh__searcher_create(const struct nlsh_index *index, struct nlsh_searcher **out,
                                       struct nlsh_error *error);

/* A caller's wishes, whatever the size of their structs. */
struct nlsh__wanted {
    struct nlsh_search_options options;
    struct nlsh_search_stats stats;
};

/* options and stats may be NULL. */
enum nlsh_status nlsh__take_search(const struct nlsh_search_options *options,
                                   const struct nlsh_search_stats *stats, struct nlsh__wanted *out,
                                   struct nlsh_error *error);

/* Checks a call's queries and options, resolves the options but for the filter, and makes room for k. */
enum nlsh_status nlsh__search_prepare(struct nlsh_searcher *s, const struct nlsh_matrix *queries,
                                      const struct nlsh_search_options *options,
                                      struct nlsh__plan *plan, struct nlsh_error *error);

/* What a call's filter, if it has one, comes to: counted into *allowed, which the plan then views, or as it was
 * counted before. NLSH_E_NOMEM. */
enum nlsh_status
nlsh__plan_filter(const struct nlsh_index *index, const struct nlsh_search_options *options,
                  struct nlsh__allowed *allowed, struct nlsh__plan *plan, struct nlsh_error *error);

/* The same where it was counted. */
void nlsh__plan_allowed(const struct nlsh_index *index, const struct nlsh__allowed *allowed,
                        struct nlsh__plan *plan);

/* The query that is set: its inputs, and what is to be scanned. With a filter the plan becomes the query's own. */
struct nlsh__routed nlsh__route_query(struct nlsh_searcher *s, struct nlsh__plan *plan);

/* Room for the k best. NLSH_E_NOMEM. */
enum nlsh_status nlsh__reserve_best(struct nlsh_searcher *s, size_t k, struct nlsh_error *error);

/* The best of the query that is set, into s->best, ascending. */
void nlsh__search_by_plan(struct nlsh_searcher *s, const struct nlsh__plan *plan,
                          struct nlsh__routed *routed, struct nlsh__cost *cost);

/* Where a call's answers go; distances may be NULL, and so may each array of stats. */
struct nlsh__answers {
    uint64_t *keys;
    float *distances;
    struct nlsh_search_stats stats;
};

/* The searcher's best [k] as query i's answer, which cost so much. */
void nlsh__give_answer(const struct nlsh_searcher *s, size_t k, size_t i,
                       const struct nlsh__routed *routed, const struct nlsh__cost *cost,
                       const struct nlsh__answers *out);

/* nlsh_search() of queries first to end - 1, by a plan that the searcher was prepared for. Outputs begin with query
 * 0, and messages count from it: a batch cut into pieces reads as one. Errors are not cleared. */
enum nlsh_status nlsh__search_rows(struct nlsh_searcher *searcher,
                                   const struct nlsh_matrix *queries, size_t first, size_t end,
                                   const struct nlsh__plan *plan, const struct nlsh__answers *out,
                                   struct nlsh_error *error);

#endif
