/*
 * fit.h - how far searches through a filter have to go, measured for this filter: rows that the router did not learn
 * from play queries, and their true neighbours among what is allowed are known from exact distances.
 */
#ifndef NLSH_SEARCH_FIT_H
#define NLSH_SEARCH_FIT_H

#include "search/allowed.h"

/* In which order buckets are taken, and so what `need` says of one for a query; less is earlier. */
enum nlsh__fit_way {
    NLSH__FIT_ROUTER, /* by probability: what the mean allowed row has over what a row of the bucket has */
    NLSH__FIT_PLACE, /* by how near the mean of the bucket's allowed rows is: allowed rows up to there */
    NLSH__FIT_WAYS
};

enum { NLSH__FIT_KS = 10, NLSH__FIT_RUNGS = 17, NLSH__FIT_MARGIN_KS = 3, NLSH__FIT_LOSSES = 5 };

/* This recall was surely reached by the buckets whose need is at most `limit`. */
struct nlsh__fit_point {
    float recall, limit;
    float rows; /* that are allowed in these buckets, the mean of a query */
};

struct nlsh__fit_table {
    size_t k, n;
    struct nlsh__fit_point points[NLSH__FIT_RUNGS];
};

struct nlsh__fit {
    struct nlsh__fit_table tables[NLSH__FIT_WAYS][NLSH__FIT_KS];
    size_t n_tables; /* of each way, by rising k */
    size_t n_asked;
    /* What codes lose of allowed neighbours, which lie farther than those that the build measured. */
    struct nlsh__margins margins; /* of the two arrays below, or of nothing */
    uint32_t margin_ks[NLSH__FIT_MARGIN_KS];
    float margin[NLSH__FIT_MARGIN_KS * NLSH__FIT_LOSSES];
    float *
        centres; /* [m x stride] means of the allowed rows of a bucket, as inputs; NULL: there is no second way */
    size_t stride;
};

/*
 * nlsh__fit_create() - measures a filter. *out is NULL where there is nothing to measure: too few rows can ask, or
 * too few are allowed. NLSH_E_NOMEM. Cost: a few hundred queries by an exact scan of some thousand rows.
 */
enum nlsh_status nlsh__fit_create(const struct nlsh_index *index,
                                  const struct nlsh__allowed *allowed, struct nlsh__fit **out,
                                  struct nlsh_error *error);
void nlsh__fit_free(struct nlsh__fit *fit);

/* The point of a way for recall@k, between those that were measured; 0 where it lies beyond them. */
int nlsh__fit_at(const struct nlsh__fit *fit, enum nlsh__fit_way way, size_t k, double recall,
                 struct nlsh__fit_point *out);

/* Needs of the buckets that have something allowed, as nlsh__key_f32() of the need and the bucket; how many. of: the
 * query's probabilities [m], or its inputs. own: the bucket whose mean the query has a part in, or UINT32_MAX. keys
 * [m]. */
size_t nlsh__fit_needs(const struct nlsh__fit *fit, const struct nlsh_index *index,
                       const struct nlsh__allowed *allowed, enum nlsh__fit_way way, const float *of,
                       uint32_t own, uint64_t *keys);

#endif
