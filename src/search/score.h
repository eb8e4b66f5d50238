/* score.h - what a query's codes say of the rows of a bucket, and how exact scores compare. */
#ifndef NLSH_SEARCH_SCORE_H
#define NLSH_SEARCH_SCORE_H

#include "index/codes.h"

/* An exact score as a code's: score x factor - offset. */
struct nlsh__units {
    float factor, offset;
    float outside; /* the query's squared length outside the coded components */
};

/* Of a query: inputs [stride] as the router sees it; whole, its squared distance to codes->mean.
 * L2; by inner product the offset is 0, and factor is for queries of the length that was routed. */
void nlsh__score_units(const struct nlsh__codes *codes, int inner, const float *inputs, float whole,
                       struct nlsh__units *out);

/* Scores of groups first .. first + n_groups - 1 of a bucket; returns the unit of its rows' errors
 * for this query. origin: zeros [stride]; weights: scratch [stride]; both aligned to 64. */
float nlsh__score_groups(const struct nlsh__codes *codes, int inner, const float *inputs,
                         float outside, size_t bucket, size_t first, size_t n_groups,
                         const float *origin, int8_t *weights, float *scores);

#endif
