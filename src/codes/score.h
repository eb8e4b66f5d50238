/* score.h - what a query's codes say of the rows and leaves of a bucket, and how exact scores compare. */
#ifndef NLSH_CODES_SCORE_H
#define NLSH_CODES_SCORE_H

#include "codes/leaves.h"

/* An exact score as a code's: score x factor - offset. */
struct nlsh__units {
    float factor, offset;
    float outside; /* the query's squared length outside the coded components */
};

/* Of a query: inputs [stride] as the router sees it; whole, its squared distance to codes->mean. L2; by inner
 * product whole is the squared length of the query as it was routed, the offset is 0, and factor is for
 * queries of that length. */
void nlsh__score_units(const struct nlsh__codes *codes, int inner, const float *inputs, float whole,
                       struct nlsh__units *out);

/* A query against a bucket's centroid: with the weights that were made with it, all that scores of the
 * bucket's rows and leaves need. */
struct nlsh__probe {
    float constant, slope;
    float
        length; /* of the query from the centroid: times their error_unit it is the unit of leaves' errors */
    float error_length; /* the same of rows' errors: what lies outside has another weight there */
};

/* origin: zeros [stride]; weights [stride]; both aligned to 64. */
void nlsh__probe_bucket(const struct nlsh__codes *codes, int inner, const float *inputs,
                        float outside, size_t bucket, const float *origin, int8_t *weights,
                        struct nlsh__probe *out);

/* Scores [16 n_groups] of the groups first .. first + n_groups - 1, all of the probe's bucket. */
void nlsh__score_groups(const struct nlsh__grouped *g, const struct nlsh__probe *probe,
                        const int8_t *weights, size_t first, size_t n_groups, float *scores);

/* The same of groups[n_groups]; n_more numbers behind them may be next. */
void nlsh__score_groups_at(const struct nlsh__grouped *g, const struct nlsh__probe *probe,
                           const int8_t *weights, const uint32_t *groups, size_t n_groups,
                           size_t n_more, float *scores);

#endif
