/* search.h - a searcher's scratch. */
#ifndef NLSH_SEARCH_SEARCH_H
#define NLSH_SEARCH_SEARCH_H

#include "index/index.h"
#include "search/query.h"
#include "search/route.h"

struct nlsh_searcher {
    const struct nlsh_index *index;
    struct nlsh__query query;
    float *router_scratch;
    float *inputs;         /* what the router sees of the query */
    float *probabilities;  /* [m, padded] */
    uint32_t *buckets;     /* [m] to scan, a most probable one first */
    uint64_t *bucket_keys; /* [m] */
    uint64_t *keys;        /* [n_keys] the best so far */
    size_t n_keys;
    int8_t *code;      /* the query as codes are compared with it */
    uint64_t *scanned; /* [n_scanned] rows that came near by their codes */
    size_t n_scanned;
};

/* nlsh_search() of queries first to end - 1. Outputs begin with query 0, and messages count from
 * it: a batch cut into pieces reads as one. Errors are not cleared. */
enum nlsh_status
nlsh__search_rows(struct nlsh_searcher *searcher, const struct nlsh_matrix *queries, size_t first,
                  size_t end, const struct nlsh_search_options *options, uint32_t *ids, float *l2sq,
                  struct nlsh_search_stats *stats, struct nlsh_error *error);

#endif
