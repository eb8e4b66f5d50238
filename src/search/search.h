/* search.h - a searcher's scratch. */
#ifndef NLSH_SEARCH_SEARCH_H
#define NLSH_SEARCH_SEARCH_H

#include "codes/score.h"
#include "index/index.h"
#include "search/query.h"
#include "search/route.h"

/* Scores of a round of a scan: 64 KiB of them stay in the cache. */
#define NLSH__ROUND 16384

/* Rows of one bucket in a round. */
struct nlsh__piece {
    uint32_t first_row, n_rows; /* of the index */
    uint32_t first_score;
    const uint8_t *errors; /* [n_rows] */
    float unit;            /* of the errors, for this query */
};

/* Leaves of one bucket: a query against its centroid, and which of its leaves are to be scanned. */
struct nlsh__leaf_probe {
    struct nlsh__probe probe;
    uint32_t bucket, first_score; /* of its leaves' */
    float unit;                   /* of the leaves' errors, times the margin at this probability */
};

/* Scratch of leaves.c; nothing where the index has no leaves. */
struct nlsh__leaf_scan {
    float *scores;                   /* [NLSH__ROUND] */
    struct nlsh__leaf_probe *probes; /* [NLSH__ROUND / 16] */
    int8_t *weights;                 /* [NLSH__ROUND / 16][stride] */
    uint32_t *chosen;                /* [NLSH__ROUND + 16] leaves: groups of codes */
    float *least;                    /* [NLSH__ROUND + 16] */
    struct nlsh__leaf_part *parts;   /* [NLSH__ROUND / 16] of chosen, one a bucket */
    size_t n_probes, n_scores, n_chosen, n_parts;
};

/* Chosen leaves of one bucket. */
struct nlsh__leaf_part {
    uint32_t probe, first, n; /* in chosen */
};

/* Scratch of scan.c; nothing where the index has no codes. */
struct nlsh__scan {
    struct nlsh__units units;
    float *origin;              /* [stride] zeros */
    int8_t *weights;            /* [stride] the query as codes are compared with it */
    float *scores;              /* [NLSH__ROUND] */
    uint32_t *rows;             /* [NLSH__ROUND + 16] to rank */
    float *least;               /* [NLSH__ROUND + 16] what their scores are at least */
    struct nlsh__piece *pieces; /* [NLSH__ROUND / 16] */
    /* Of leaves, which do not stand together: where each 16 scores' rows begin, and the errors. */
    uint32_t *slots; /* [NLSH__ROUND / 16] */
    uint8_t *errors; /* [NLSH__ROUND] */
    int by_slots;    /* 1: a piece's rows are counted by scores, and slots say which they are */
    size_t n_scores, n_pieces;
    float columns[4096];
    uint64_t column_keys[4096];
    uint64_t *kept; /* [n_kept] rows by score, where the caller says how many to rank */
    size_t n_kept, kept_now;
};

struct nlsh_searcher {
    const struct nlsh_index *index;
    struct nlsh__query query;
    float *router_scratch;
    float *inputs;         /* what the router sees of the query */
    uint32_t *buckets;     /* [m] to scan, a most probable one first */
    float *probabilities;  /* [m, padded] theirs */
    uint64_t *bucket_keys; /* [m] */
    uint64_t *keys;        /* [n_keys] the best so far */
    size_t n_keys;
    struct nlsh__scan scan;
    struct nlsh__leaf_scan leaves;
};

struct nlsh__plan;

/* A caller's wishes, whatever the size of their structs. */
struct nlsh__wanted {
    struct nlsh_search_options options;
    struct nlsh_search_stats stats;
};

/* options and stats may be NULL. */
enum nlsh_status nlsh__take_search(const struct nlsh_search_options *options,
                                   const struct nlsh_search_stats *stats, struct nlsh__wanted *out,
                                   struct nlsh_error *error);

/* Checks a call's queries and options, resolves the options, and makes room for k. */
enum nlsh_status nlsh__search_prepare(struct nlsh_searcher *s, const struct nlsh_matrix *queries,
                                      const struct nlsh_search_options *options,
                                      struct nlsh__plan *plan, struct nlsh_error *error);
/* Projects and routes the query that is set: its inputs, and into s->buckets what is to be scanned;
 * returns how many buckets. */
size_t nlsh__route_query(struct nlsh_searcher *s, const struct nlsh__rule *rule);
/* s->keys[k] as a caller gets them; distances may be NULL. */
void nlsh__answer_query(const struct nlsh_searcher *s, size_t k, uint64_t *keys, float *distances);
/* What query i cost, into the arrays that there are. */
void nlsh__count_query(const struct nlsh_search_stats *stats, size_t i, size_t n_buckets,
                       size_t candidates, size_t ranked);

/* nlsh_search() of queries first to end - 1. Outputs begin with query 0, and messages count from
 * it: a batch cut into pieces reads as one. Errors are not cleared. */
enum nlsh_status nlsh__search_rows(struct nlsh_searcher *searcher,
                                   const struct nlsh_matrix *queries, size_t first, size_t end,
                                   const struct nlsh__wanted *wanted, uint64_t *keys,
                                   float *distances, struct nlsh_error *error);

#endif
