/*
 * likeness.c - see likeness.h.
 *
 * The router is less sure of queries unlike those that it has learned from: its probabilities are spread, and more
 * of them is left over beyond the threshold. It is not unsure enough: of what it expects elsewhere too little is
 * expected. So a cautious search goes on until only a quarter of what is usual is left over.
 */
#include "search/likeness.h"

#include <math.h>

#include "base/error.h"
#include "base/sized.h"

/* The quarter. MNIST's digits asked of Fashion-MNIST, recall .95: .66 comes back, with a half .89, with a quarter .93, with
 * a fifth .94, for 570, 2,100, 3,000 and 3,300 candidates (routing alone). */
#define LEFT 0.25f
/* Thresholds fall in steps of this. */
#define STEP 0.7f
/* What rounding leaves over of probabilities. */
#define NOTHING 1e-5f

size_t nlsh__choose_by_plan(const struct nlsh__answer *answer, const struct nlsh__plan *plan,
                            uint32_t *buckets, float *probabilities, uint64_t *keys, float *outside)
{
    size_t m = answer->groups->first[answer->groups->n];
    struct nlsh__rule rule = plan->rule;
    size_t n = nlsh__choose_buckets(answer, &rule, buckets, probabilities, keys);
    *outside = n < m ? nlsh__left_over(probabilities, n) : 0;
    if (!plan->cautious || !(*outside > plan->expected + NOTHING)) return n;
    for (float left = *outside; n < m && left > LEFT * plan->expected + NOTHING;) {
        rule.threshold *= STEP;
        if (!(rule.threshold > 0)) rule.top = m;
        n = nlsh__choose_buckets(answer, &rule, buckets, probabilities, keys);
        left = nlsh__left_over(probabilities, n);
    }
    return n;
}

/* ---- many queries ---------------------------------------------------------------------------- */

/* Queries are unlike where so many times as much is outside as is usual, and chance does not explain it. */
#define UNLIKE 1.4
#define ERRORS 3
/* Or where more than this share of them, and not only a few, have no neighbour as near as 99 in 100 usual ones have:
 * the router may be sure of the wrong buckets. Of package descriptions asked of word glosses, which reach what is asked,
 * a fifth have none. */
#define FAR 0.5
#define FAR_QUERIES 5

enum nlsh_status nlsh_likeness(const struct nlsh_index *index,
                               const struct nlsh_search_options *options, const float *outside,
                               const float *distances, size_t n_queries, struct nlsh_likeness *out,
                               struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_search_options wanted;
    struct nlsh__plan plan;
    double sum = 0, squares = 0, n = 0, n_far = 0;
    nlsh__error_clear(error);
    nlsh_search_options_init(&wanted, sizeof wanted);
    NLSH_TRY(nlsh__answer_check(out, "nlsh_likeness", error));
    NLSH_TRY(nlsh__options_take(&wanted, sizeof wanted, options, "nlsh_search_options", error));
    NLSH_TRY(nlsh__plan_from_options(index, &wanted, &plan, error));
    /* products depend on a query's length as well, which distances do not tell */
    int knows_far = index->far > 0 && distances != NULL;
    for (size_t i = 0; i < n_queries; i++) {
        if (isnan(outside[i])) continue;
        sum += (double)outside[i];
        squares += (double)outside[i] * (double)outside[i];
        n_far += knows_far && distances[i * wanted.k] > index->far;
        n++;
    }
    double mean = n > 0 ? sum / n : 0, variance = n > 0 ? fmax(squares / n - mean * mean, 0) : 0;
    struct nlsh_likeness likeness = {
        .n_queries = (size_t)n,
        .outside = mean,
        .expected = (double)plan.expected,
        .error = n > 1 ? sqrt(variance / (n - 1)) : NAN,
        .far = knows_far && n > 0 ? n_far / n : NAN,
    };
    likeness.unlike =
        mean > UNLIKE * likeness.expected && mean - likeness.expected > ERRORS * likeness.error;
    /* T promises nothing that could be missed */
    likeness.unlike |= !isnan(likeness.expected) && likeness.far > FAR && n_far >= FAR_QUERIES;
    nlsh__answer_give(out, &likeness, sizeof likeness);
out:
    return status;
}
