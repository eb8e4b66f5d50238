/* plan.c - see plan.h. */
#include "search/plan.h"

#include <math.h>

#include "base/error.h"
#include "promise/budget.h"

static int has_codes(const struct nlsh_index *index)
{
    int any = 0;
    for (size_t i = 0; i < index->n_segments; i++) any |= index->segments[i].codes != NULL;
    return any;
}

static int has_leaves(const struct nlsh_index *index)
{
    int any = 0;
    for (size_t i = 0; i < index->n_segments; i++) any |= index->segments[i].leaves != NULL;
    return any;
}

static enum nlsh_status check_filter(const struct nlsh_index *index,
                                     const struct nlsh_search_options *options,
                                     struct nlsh_error *error)
{
    if (options->filter != NULL && options->counted != NULL)
        return nlsh__fail(error, NLSH_E_ARG, "give one of them",
                          "a filter and one that was counted");
    if (options->counted != NULL && options->counted->index != index)
        return nlsh__fail(error, NLSH_E_ARG, "count it for this index",
                          "the filter was counted for another index");
    return options->filter != NULL ? nlsh__filter_check(options->filter, error) : NLSH_OK;
}

/* In files without efforts: a recall's buckets, and what codes and leaves may lose of it. Margins that were not
 * measured leave no leaf out. */
static void spend(const struct nlsh_index *index, size_t k, double recall, struct nlsh__plan *plan)
{
    int codes = has_codes(index);
    int leaves = codes && has_leaves(index) && plan->rerank == 0;
    double share = codes ? NLSH__CODES_SHARE : 0;
    struct nlsh__budget budget = nlsh__budget_of(recall, share, leaves);
    plan->leaf_margin = INFINITY;
    if (leaves) plan->leaf_margin = nlsh__margin_within(&index->leaf_margins, k, budget.leaves);
    if (leaves && plan->leaf_margin == INFINITY) budget = nlsh__budget_of(recall, share, 0);
    plan->margin =
        nlsh__margin_at(&index->row_margins, k, codes ? budget.codes : NLSH__CODES_LOSS_OF_T);
    plan->rule =
        (struct nlsh__rule){.threshold = nlsh__target_threshold(&index->targets, k, budget.routed),
                            .weights = index->weights,
                            .group_weights = index->group_weights};
}

void nlsh__plan_effort(const struct nlsh_index *index, const struct nlsh__effort_point *effort,
                       struct nlsh__plan *plan)
{
    plan->rule = (struct nlsh__rule){.threshold = effort->threshold,
                                     .weights = index->weights,
                                     .group_weights = index->group_weights};
    if (effort->threshold == 0) plan->rule = (struct nlsh__rule){.top = index->meta.n_buckets};
    plan->margin = effort->margin;
    plan->leaf_margin = effort->leaf_margin < NLSH__NO_MARGIN ? effort->leaf_margin : INFINITY;
    plan->exactly = effort->threshold == 0 && effort->margin >= NLSH__NO_MARGIN;
    plan->expected =
        index->outside.n > 0 ? nlsh__outside_at(&index->outside, effort->threshold) : NAN;
}

/* Of rows that are left when others were deleted by chance, the k nearest are the nearest k x thinned of before. */
static size_t k_of_before(const struct nlsh_index *index, size_t k)
{
    return index->thinned > 1 ? (size_t)ceil((double)k * index->thinned) : k;
}

void nlsh__plan_recall(const struct nlsh_index *index, size_t k, double recall,
                       struct nlsh__plan *plan)
{
    k = k_of_before(index, k);
    /* where nothing at all was measured, efforts say that everything is scanned */
    if (index->efforts.n == 0 && index->targets.n > 0) {
        spend(index, k, recall, plan);
        return;
    }
    const struct nlsh__effort_point effort = nlsh__effort_for(&index->efforts, k, recall);
    nlsh__plan_effort(index, &effort, plan);
    if (plan->rerank > 0) plan->leaf_margin = INFINITY;
}

enum nlsh_status nlsh__plan_from_options(const struct nlsh_index *index,
                                         const struct nlsh_search_options *options,
                                         struct nlsh__plan *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    *out = (struct nlsh__plan){.k = options->k, .leaf_margin = INFINITY, .expected = NAN};
    NLSH_TRY(check_filter(index, options, error));
    NLSH_TRY(nlsh__rule_from_options(index, options, &out->rule, error));
    if (options->rerank > 0)
        out->rerank = options->rerank > options->k ? options->rerank : options->k;
    if (out->rerank > index->meta.n_rows) out->rerank = (size_t)index->meta.n_rows;
    if (options->probes == 0) {
        out->recall = options->recall;
        nlsh__plan_recall(index, options->k, options->recall, out);
        out->cautious = options->cautious != 0;
        if (out->cautious && !out->exactly && isnan(out->expected))
            return nlsh__fail(error, NLSH_E_UNSUPPORTED,
                              "build it again, or calibrate it with queries",
                              "%s does not say what is usual for its queries, so no search of it "
                              "can be cautious",
                              index->path);
        return NLSH_OK;
    }
    out->exactly = out->rule.top >= index->meta.n_buckets;
    out->margin = nlsh__margin_at(&index->row_margins, options->k, NLSH__CODES_LOSS_OF_T);
out:
    return status;
}
