/* rank.h - exact distances of rows, and the k best of them. */
#ifndef NLSH_SEARCH_RANK_H
#define NLSH_SEARCH_RANK_H

#include "base/fetch.h"
#include "codes/score.h"
#include "index/index.h"
#include "search/query.h"

/* A query on its way through the rows of a segment. */
struct nlsh__ranking {
    const struct nlsh_index *index;
    const struct nlsh__segment *segment;
    const struct nlsh__query *query;
    const uint64_t *allowed; /* bits by place where the call has a filter, or NULL: allowed.h */
    uint64_t *best;          /* [k] score and row number of all segments: nlsh__topk_push() */
    size_t k;
};

/* Whether the row at a place may not be returned: it was deleted, or a filter does not allow it. */
int nlsh__is_hidden(const struct nlsh__ranking *r, size_t place);
/* Whether any row of the segment may be hidden. */
int nlsh__may_hide(const struct nlsh__ranking *r);

/* Ranks the places first .. end - 1 but for hidden ones; returns how many were ranked. */
size_t nlsh__rank_range(const struct nlsh__ranking *r, size_t first, size_t end);
/* The rows at places [n], none of which is hidden: each is fetched while others are ranked. */
void nlsh__rank_all(const struct nlsh__ranking *r, const uint32_t *places, size_t n);

/* Ranks places[n], hidden or not; least [n] is what their scores are at least, in the codes' units: those
 * beyond the limit by then are left out. Returns how many were ranked. */
size_t nlsh__rank_places(const struct nlsh__ranking *r, const struct nlsh__units *units,
                         const uint32_t *places, const float *least, size_t n);

/* Rows that nlsh__rank_places() ranks at one limit. */
#define NLSH__RANK_BATCH 16

/* Whether vectors may have to come from a disk first: then they are better asked for together. */
int nlsh__rows_on_disk(const struct nlsh_index *index);
/* n rows of a segment from a place on, to be asked for. */
void nlsh__fetch_rows(struct nlsh__fetch *fetch, const struct nlsh_index *index,
                      const struct nlsh__segment *segment, size_t first, size_t n);

/* The key of best that the row at a place of a segment has. */
uint64_t nlsh__exact_key(const struct nlsh_index *index, const struct nlsh__segment *segment,
                         const struct nlsh__query *query, size_t place);

/* The k-th exact score as a code's score; +infinity where there are not k yet. */
float nlsh__rank_limit(const struct nlsh__ranking *r, const struct nlsh__units *units);

/* The key that the caller knows a row by. */
uint64_t nlsh__key_of_row(const struct nlsh_index *index, uint32_t row);
/* A score of best as enum nlsh_metric has it, but squared for L2, before bytes' are rounded to a float. */
double nlsh__exact_score(const struct nlsh_index *index, const struct nlsh__query *query,
                         uint64_t best);
/* A score of best as a distance. */
float nlsh__exact_distance(const struct nlsh_index *index, const struct nlsh__query *query,
                           uint64_t best);
/* The same of the query as it is routed: by inner product all are of one length then, and distances can be compared. Nothing
 * is far from zeros: -infinity. */
float nlsh__routed_distance(const struct nlsh_index *index, const struct nlsh__query *query,
                            uint64_t best);

#endif
