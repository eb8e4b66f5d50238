/* leaves.h - which leaves of a query's buckets are scanned (codes/leaves.h). */
#ifndef NLSH_SEARCH_LEAVES_H
#define NLSH_SEARCH_LEAVES_H

#include "search/round.h"

/* A segment whose leaves are looked at. */
struct nlsh__leafy {
    const struct nlsh__segment *segment;
    const uint64_t *allowed; /* of the ranking */
    size_t first_probe, n_probes;
};

/* Scored leaves of one bucket of a segment. */
struct nlsh__leaf_probe {
    const struct nlsh__segment *segment;
    struct nlsh__probe probe; /* of the query against the bucket's centroid */
    const int8_t *weights;    /* [stride] made with it */
    const uint8_t *errors;    /* [n_leaves] */
    uint32_t bucket, first_score, n_leaves;
    uint32_t first_group; /* of the bucket's codes: a leaf for each */
    float unit;           /* of the leaves' errors, times the margin at this bucket's probability */
};

/* Chosen leaves of one bucket of a segment; parts of a segment stand together. */
struct nlsh__leaf_part {
    uint32_t probe, first, n; /* in chosen */
    uint32_t end;             /* there, of all leaves of the segment */
};

/* Scratch of one thread; nothing where the index has no leaves. */
struct nlsh__leaf_scan {
    float *scores; /* [leaves of all segments, those of a bucket filled up to 16] */
    struct nlsh__leaf_probe *probes; /* [buckets of all segments that have leaves] by segment */
    int8_t *weights;                 /* [as many][stride] of the probes */
    size_t stride;
    uint32_t *chosen;              /* [as scores, and 16] leaves: groups of codes */
    float *least;                  /* [as scores, and 16] */
    struct nlsh__leaf_part *parts; /* [as probes] of chosen */
    struct nlsh__leafy *segments;  /* [segment_room] */
    size_t room, probe_room;       /* of scores, of probes */
    size_t segment_room;
    size_t n_scores, n_chosen, n_parts, n_segments;
};

/* Room for the leaves of an index; a scan of zeros has none. NLSH_E_NOMEM, and it is as it was. */
enum nlsh_status nlsh__leaf_scan_fit(struct nlsh__leaf_scan *l, const struct nlsh_index *index,
                                     struct nlsh_error *error);
void nlsh__leaf_scan_free(struct nlsh__leaf_scan *leaves);

/* The query's buckets, and what it is compared with. */
struct nlsh__leaves_of {
    const struct nlsh_index *index;
    const float *inputs, *origin;
    float outside; /* struct nlsh__units */
    const uint32_t *buckets;
    const float *probabilities;
    size_t n_buckets;
    float margin; /* of the plan */
};

/* No segment's leaves are looked at; then one's more, which has the centroids and steps of those before it. */
void nlsh__leaves_begin(struct nlsh__leaf_scan *l);
void nlsh__leaves_add(struct nlsh__leaf_scan *l, const struct nlsh__segment *segment,
                      const uint64_t *allowed);

/* Scores the leaves of the buckets in all of them. */
void nlsh__leaves_score(struct nlsh__leaf_scan *l, const struct nlsh__leaves_of *of);

/* Leaves that are scanned for a first limit of k rows: at most the 16 that bound_f32() takes. */
size_t nlsh__first_leaves(size_t k);

/* Shares of the margin with which leaves are chosen one after another. SIFT-1M at --recall .95: with the
 * whole margin at once 8,694 vectors are scanned for recall .9652, with these 6,300 for .9576. */
#define NLSH__LEAF_SHARES 2
extern const float nlsh__leaf_shares[NLSH__LEAF_SHARES];

/* Chooses those with the least scores, as many as k rows and a first limit want. */
void nlsh__leaves_first(struct nlsh__leaf_scan *l, size_t k);

/* Of those that were not chosen yet, the ones that with a share of the margin may hold a row of the limit's
 * score or less. */
void nlsh__leaves_within(struct nlsh__leaf_scan *l, float share, float limit);

#endif
