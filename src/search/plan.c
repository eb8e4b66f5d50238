/* plan.c - nlsh__plan_from_options(): how a call that asks for a recall spends what may be missing, among
 * buckets, leaves and codes. */
#include <math.h>

#include "search/scan.h"

/* The share of the neighbours that may lie in leaves that are left out: .55 of what may be missing, and a
 * larger part of it the more that is. Margins were measured against the last limit and most leaves meet a
 * wider one, so less is lost: SIFT-1M reaches .905, .953 and .990 where .90, .95 and .99 are asked for. */
static double leaf_loss(double missing)
{
    return fmin(missing * (0.55 + 3.5 * missing), 0.1);
}

/* *kept is what the buckets must hold where leaves are left out. Margins that were not measured leave none
 * out. */
static void leave_out(const struct nlsh_index *index, const struct nlsh_search_options *options,
                      double *kept, struct nlsh__plan *plan)
{
    double loss = leaf_loss(1 - options->recall);
    float margin = nlsh__leaves_margin(index->leaves_view, options->k, loss);
    plan->by_leaves = margin < INFINITY;
    plan->leaf_margin = margin;
    if (plan->by_leaves) *kept /= 1 - loss;
}

enum nlsh_status nlsh__plan_from_options(const struct nlsh_index *index,
                                         const struct nlsh_search_options *options,
                                         struct nlsh__plan *out, struct nlsh_error *error)
{
    struct nlsh_search_options routed = *options;
    size_t m = index->meta.n_buckets;
    double loss = 0.001;
    *out = (struct nlsh__plan){.k = options->k};
    /* A fifth of what may be missing may be lost here, where it saves most, and the buckets make up
     * for half of that: margins were measured against the last limit, and most rows meet a wider
     * one. Without a recall asked for, T alone should decide. */
    if (index->codes_view != NULL && options->probes == 0 && options->recall > 0 &&
        options->recall < 1) {
        double kept = options->recall;
        loss = fmin(fmax(0.2 * (1 - options->recall), 0.0005), 0.01);
        kept /= 1 - 0.5 * loss;
        if (index->leaves_view != NULL && options->rerank == 0)
            leave_out(index, options, &kept, out);
        routed.recall = fmin(kept, 0.5 + 0.5 * options->recall);
    }
    enum nlsh_status status = nlsh__rule_from_options(index, &routed, &out->rule, error);
    if (status != NLSH_OK || index->codes_view == NULL || out->rule.top >= m) return status;
    out->by_codes = 1;
    out->by_leaves &= out->rule.top == 0;
    out->margin = nlsh__codes_margin(index->codes_view, options->k, loss);
    if (options->rerank == 0) return NLSH_OK;
    out->rerank = options->rerank > options->k ? options->rerank : options->k;
    if (out->rerank > index->meta.n_rows) out->rerank = index->meta.n_rows;
    return NLSH_OK;
}
