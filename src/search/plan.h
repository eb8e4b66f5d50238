/* plan.h - how a call searches: resolved once from its options. */
#ifndef NLSH_SEARCH_PLAN_H
#define NLSH_SEARCH_PLAN_H

#include "search/allowed.h"
#include "search/fit.h"
#include "search/route.h"

struct nlsh__plan {
    struct nlsh__rule rule; /* which buckets */
    size_t k;
    int exactly;       /* 1: all buckets are scanned, and every distance is exact */
    size_t rerank;     /* rows ranked exactly; 0: as many as the margin asks for */
    float margin;      /* errors that a row's score may be off: search/round.h */
    float leaf_margin; /* the same of leaves; +infinity: none are left out */
    double recall;     /* that was asked for; 0: the caller said how many buckets */
    /* What the router expected outside of these buckets, of the queries that this was measured with; NaN where
     * nobody knows. */
    float expected;
    int cautious; /* 1: more buckets for a query of which it expects more there */
    const struct nlsh__allowed *allowed; /* of the call's filter, or NULL */
    /* 1: buckets are taken as the filter's fit says, those whose need is at most the limit. */
    int fitted;
    enum nlsh__fit_way way;
    float limit;
};

/* NLSH_E_ARG where probes, recall or a filter is outside its meaning; NLSH_E_UNSUPPORTED where the search is to be
 * cautious, and the index does not say what is usual. */
enum nlsh_status nlsh__plan_from_options(const struct nlsh_index *index,
                                         const struct nlsh_search_options *options,
                                         struct nlsh__plan *out, struct nlsh_error *error);

/* What a recall of k neighbours comes to, into the plan's rule and margins. */
void nlsh__plan_recall(const struct nlsh_index *index, size_t k, double recall,
                       struct nlsh__plan *plan);

/* What an effort comes to, into the plan's rule and margins. */
void nlsh__plan_effort(const struct nlsh_index *index, const struct nlsh__effort_point *effort,
                       struct nlsh__plan *plan);

#endif
