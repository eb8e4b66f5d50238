/*
 * filtered.c - see filtered.h.
 *
 * What is wanted are the k nearest of the rows that are allowed. Of all rows they are among the k' nearest, and
 * what finds those was measured: the effort for k'. Where a share s of the rows was drawn by chance, k' = k / s.
 *
 * Filters may go with what the vectors show (allowed.h says so): then how far k' is differs from query to query, and
 * counts of buckets do not tell: a filter may hide the query's own group of 30, and leave the bucket's other rows. So
 * what it takes is measured with the filter itself (fit.h); where that was not done, all that is allowed is scanned.
 *
 * A bucket of which a share is allowed holds that share of the neighbours that the router expects, and has that
 * share of rows to look at: probability per allowed row is what it is per row. So buckets are compared with the
 * threshold as ever, and those with nothing allowed are left out.
 *
 * Source: ours. That k / s of all are as far as k of a share s is how a filter's reach is usually reckoned.
 */
#include "search/filtered.h"

#include <math.h>
#include <string.h>

#include "kernels/select.h"
#include "kernels/topk.h"
#include "promise/budget.h"
#include "promise/cost.h"
#include "router/router.h"

/* Rows that are scanned for each of the k' neighbours, when it is estimated whether an exact scan of the allowed
 * is cheaper. */
#define SCANNED_A_NEIGHBOUR 4.0
/* Of a scan by codes, besides the codes' bytes: a bucket's centroid and first lines, from memory. An estimate. Of
 * Fashion-MNIST a tenth by chance, one of ten labels and the 600 nearest to a row are then ranked exactly, which is
 * quicker (of the 600: 68,000 queries a second, not 12,000) or as quick (of a label: 1,400, and 1,600 by codes); the
 * 6,000 nearest to a row are scanned by codes (5,000, not 1,900). */
#define BUCKET_NS 300.0
/* A scan of all by codes leaves many rows to be ranked, where few are allowed: of the 600 about half. */
#define AND_RANKED 1.5
/* A bucket's part in choosing by content. An estimate: the 600 nearest of Fashion-MNIST's 60,000 rows, in 1,024
 * buckets, were ranked exactly two to three times as fast as they were chosen and scanned by codes. */
#define CHOICE_NS 15.0
/* Beyond all that is measured. */
#define MOST_REACH 4294967296.0

/* Neighbours. */
enum { FEW = 10 };
#define MOST_BEYOND 3.0
#define NORMAL_AT_0 0.39894228040143268
#define ROOT_OF_HALF 0.70710678118654752

/* Of a row's code, in half bytes, or of the row where there are no codes. */
static size_t code_bytes(const struct nlsh_index *index)
{
    const struct nlsh__codes *codes = index->segments[0].codes;
    return codes != NULL ? codes->rows.n_chunks * 4 : nlsh__index_row_bytes(index);
}

/* Nanoseconds of ranking all that are allowed, and of scanning them by their codes. */
static double exactly_costs(const struct nlsh_index *index, const struct nlsh__allowed *allowed)
{
    return nlsh__cost_of_ranking((double)allowed->n, nlsh__index_row_bytes(index));
}

static double codes_cost(const struct nlsh_index *index, const struct nlsh__allowed *allowed)
{
    double n = 0;
    for (size_t b = 0; b < index->meta.n_buckets; b++) n += allowed->counts[b] > 0;
    return n * BUCKET_NS + nlsh__cost_of_scan((double)allowed->n_scanned, code_bytes(index));
}

int nlsh__rather_exactly(const struct nlsh_index *index, const struct nlsh__allowed *allowed,
                         size_t k)
{
    double n = (double)index->meta.n_rows, reach = (double)k * SCANNED_A_NEIGHBOUR;
    if (allowed->n <= k) return 1;
    double rows = fmin(reach * n / (double)allowed->n, n);
    double scan = nlsh__cost_of_scan(rows, code_bytes(index));
    return exactly_costs(index, allowed) <=
           nlsh__cost_of_weights((double)nlsh__router_n_weights(index->router)) + scan +
               nlsh__cost_of_ranking((double)nlsh__first_rows(k), nlsh__index_row_bytes(index));
}

/* ---- by chance ------------------------------------------------------------------------------- */

/* Where thresholds end: all buckets that have an allowed row, by codes if those were measured to reach the recall.
 * What codes lose is a matter of the k rows that they choose among those that are allowed. */
static void plan_all(const struct nlsh_index *index, size_t reach, struct nlsh__plan *plan)
{
    const struct nlsh__efforts *efforts = &index->efforts;
    size_t most = efforts->n > 0 ? efforts->tables[efforts->n - 1].k : plan->k;
    nlsh__plan_recall(index, plan->k, plan->recall, plan);
    float margin = plan->margin;
    nlsh__plan_recall(index, reach < most ? reach : most, plan->recall, plan);
    plan->rule = (struct nlsh__rule){.top = index->meta.n_buckets};
    plan->margin = fmaxf(plan->margin, margin);
    plan->leaf_margin = INFINITY;
    plan->exactly |=
        exactly_costs(index, plan->allowed) <= AND_RANKED * codes_cost(index, plan->allowed);
}

/* A reach is infinite where nothing that is allowed has a probability. */
static size_t whole_reach(double reach)
{
    return reach < MOST_REACH ? (size_t)ceil(reach) : (size_t)MOST_REACH;
}

/* The plan of `reach` neighbours of all. */
static void plan_reach(const struct nlsh_index *index, double reach, struct nlsh__plan *plan)
{
    const struct nlsh__efforts *efforts = &index->efforts;
    size_t k = whole_reach(reach);
    if (efforts->n > 0 && k > efforts->tables[efforts->n - 1].k) {
        plan_all(index, k, plan);
    } else { /* codes choose k of those that are allowed */
        nlsh__plan_recall(index, plan->k, plan->recall, plan);
        float margin = plan->margin;
        nlsh__plan_recall(index, k, plan->recall, plan);
        plan->margin = fmaxf(plan->margin, margin);
    }
}

/* Of k allowed rows the share that is expected beyond the first x / share of all rows, of which about x are allowed,
 * with a variance of x (1 - share). */
static double beyond(double k, double x, double share)
{
    double error = sqrt(x * (1 - share));
    if (!(error > 0)) return 0;
    double z = (x - k) / error;
    return error * (exp(-z * z / 2) * NORMAL_AT_0 - z * erfc(z * ROOT_OF_HALF) / 2) / k;
}

/*
 * Of all rows, the j-th allowed one has the rank j / s, more or less; so many times 1 / s are looked for. The mean
 * rank of k allowed ones is (k + 1) / 2s, that of the first k' rows is (k' + 1) / 2. With few neighbours the
 * difference to k / s counts: with k / s, 16 of 39 kinds of made sets (bench_filters) missed an N = 1. And where
 * neighbours come in groups, what is beyond k' may be lost; that may not be more than two or three times what may be
 * missing. The rank of one is more than x / s in exp(-x) of all cases.
 */
static double ranks_of(size_t k, double recall, double share)
{
    if (k == 1) return fmax(2, -log(2 * (1 - recall)));
    double x = (double)k + (k < FEW ? 1 : 0);
    while (beyond((double)k, x, share) > MOST_BEYOND * (1 - recall)) x *= 1.02;
    return x;
}

void nlsh__plan_by_chance(const struct nlsh_index *index, struct nlsh__plan *plan)
{
    double share = (double)plan->allowed->n / (double)index->meta.n_rows;
    plan_reach(index, ranks_of(plan->k, plan->recall, share) / share, plan);
}

/* ---- the choice ------------------------------------------------------------------------------ */

/* What buckets are compared by: probability per vector for a recall; the probability for one that was asked for;
 * for a number of buckets, that times what is allowed of the bucket. */
static float score_of(const struct nlsh__plan *plan, const float *probabilities, size_t b)
{
    if (plan->rule.weights != NULL) return probabilities[b] * plan->rule.weights[b];
    if (plan->rule.top == 0) return probabilities[b];
    return probabilities[b] * (float)plan->allowed->counts[b] / (float)plan->allowed->sizes[b];
}

static size_t n_allowed(const struct nlsh__allowed *allowed, const uint64_t *keys, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += allowed->counts[(uint32_t)keys[i]];
    return sum;
}

/* The last key, by score, of the buckets that are chosen: as many as the rule wants, and twice as many as long as
 * they hold fewer than k rows. Scratch: keys [m]. */
static uint64_t last_chosen(const struct nlsh_index *index, const struct nlsh__plan *plan,
                            const float *probabilities, uint64_t *keys)
{
    size_t n = 0, wanted = plan->rule.top;
    for (size_t b = 0; b < index->meta.n_buckets; b++) {
        if (plan->allowed->counts[b] == 0) continue;
        float score = score_of(plan, probabilities, b);
        keys[n++] = nlsh__probability_key(score, b);
        wanted += plan->rule.top == 0 && score > plan->rule.threshold;
    }
    for (wanted = wanted > 0 ? wanted : 1;; wanted *= 2) {
        if (wanted > n) wanted = n;
        if (wanted < n) nlsh__select_smallest(keys, n, wanted);
        if (wanted == n || n_allowed(plan->allowed, keys, wanted) >= plan->k) break;
    }
    uint64_t last = 0;
    for (size_t i = 0; i < wanted; i++) last = keys[i] > last ? keys[i] : last;
    return last;
}

size_t nlsh__list_allowed(const struct nlsh_index *index, const struct nlsh__allowed *allowed,
                          uint32_t *buckets, float *probabilities)
{
    size_t n = 0;
    for (uint32_t b = 0; b < index->meta.n_buckets; b++)
        if (allowed->counts[b] > 0) buckets[n++] = b;
    for (size_t i = 0; i < n; i++) probabilities[i] = 0;
    return n;
}

/* By a filter that was drawn by chance: as without it, but for more neighbours. 0 where what is chosen holds fewer
 * than k rows that are allowed. */
static size_t choose_by_chance(const struct nlsh__answer *answer, const struct nlsh__plan *plan,
                               uint32_t *buckets, float *probabilities, uint64_t *keys)
{
    size_t n = nlsh__choose_buckets(answer, &plan->rule, buckets, probabilities, keys);
    size_t kept = 0, rows = 0, best = 0;
    for (size_t i = 0; i < n; i++) {
        size_t more = plan->allowed->counts[buckets[i]];
        if (more == 0) continue;
        rows += more;
        buckets[kept] = buckets[i];
        probabilities[kept] = probabilities[i];
        if (probabilities[kept] > probabilities[best]) best = kept;
        kept++;
    }
    if (rows < plan->k) return 0;
    nlsh__bucket_to_front(buckets, probabilities, best);
    return kept;
}

/* ---- by content ------------------------------------------------------------------------------ */

/* Of the router's answer, or of the means of buckets. */
static double choice_costs(const struct nlsh_index *index, enum nlsh__fit_way way)
{
    double m = (double)index->meta.n_buckets,
           weights = (double)nlsh__router_n_weights(index->router);
    if (way == NLSH__FIT_ROUTER) return nlsh__cost_of_weights(weights) + m * CHOICE_NS;
    return nlsh__cost_of_projection(nlsh__router_n_inputs(index->router), index->meta.n_buckets,
                                    0) +
           m * CHOICE_NS;
}

void nlsh__plan_by_content(const struct nlsh_index *index, struct nlsh__plan *plan)
{
    const struct nlsh__allowed *allowed = plan->allowed;
    int codes = index->segments[0].codes != NULL;
    if (allowed->fit == NULL) {
        plan_all(index, plan->k, plan);
        return;
    }
    const struct nlsh__budget budget =
        nlsh__budget_of(plan->recall, codes ? NLSH__CODES_SHARE : 0, 0);
    double all = codes_cost(index, allowed), exactly = exactly_costs(index, allowed), least = all;
    plan->rule = (struct nlsh__rule){.top = index->meta.n_buckets};
    plan->leaf_margin = INFINITY;
    plan->expected = NAN;
    plan->margin = fmaxf(nlsh__margin_at(&index->row_margins, plan->k, budget.codes),
                         nlsh__margin_at(&allowed->fit->margins, plan->k, budget.codes));
    for (int w = 0; w < NLSH__FIT_WAYS; w++) {
        enum nlsh__fit_way way = (enum nlsh__fit_way)w;
        struct nlsh__fit_point point;
        if (!nlsh__fit_at(allowed->fit, way, plan->k, budget.routed, &point)) continue;
        double cost =
            choice_costs(index, way) + all * fmin((double)point.rows / (double)allowed->n, 1);
        if (cost >= least) continue;
        least = cost;
        plan->fitted = 1;
        plan->way = way;
        plan->limit = fmaxf(point.limit, way == NLSH__FIT_PLACE ? (float)plan->k : 0);
    }
    if (exactly > least) return;
    plan->fitted = 0;
    plan->exactly = 1;
}

/* What needs no more than the limit; all that have something allowed where that holds fewer than k rows. keys: needs
 * of n buckets. probabilities, NULL or of all buckets, become theirs. */
static size_t choose_needed(const struct nlsh_index *index, const struct nlsh__plan *plan, size_t n,
                            int known, uint32_t *buckets, float *probabilities,
                            const uint64_t *keys)
{
    size_t kept = 0, rows = 0, best = 0;
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < n; i++) {
        uint32_t b = (uint32_t)keys[i];
        float need = nlsh__key_score_f32(keys[i]);
        if (!(need <= plan->limit)) continue;
        if (keys[i] < least) best = kept;
        if (keys[i] < least) least = keys[i];
        probabilities[kept] = known ? probabilities[b] : 1 / need; /* kept <= b */
        buckets[kept++] = b;
        rows += plan->allowed->counts[b];
    }
    if (rows < plan->k) return nlsh__list_allowed(index, plan->allowed, buckets, probabilities);
    nlsh__bucket_to_front(buckets, probabilities, best);
    return kept;
}

int nlsh__asks_router(const struct nlsh_index *index, const struct nlsh__plan *plan)
{
    if (plan->allowed == NULL || plan->recall == 0 || !plan->allowed->by_content) return 1;
    return plan->fitted ? plan->way == NLSH__FIT_ROUTER : plan->rule.top < index->meta.n_buckets;
}

size_t nlsh__choose_unasked(const struct nlsh_index *index, const struct nlsh__plan *plan,
                            const float *inputs, uint32_t *buckets, float *probabilities,
                            uint64_t *keys)
{
    if (!plan->fitted) return nlsh__list_allowed(index, plan->allowed, buckets, probabilities);
    size_t n = nlsh__fit_needs(plan->allowed->fit, index, plan->allowed, NLSH__FIT_PLACE, inputs,
                               UINT32_MAX, keys);
    return choose_needed(index, plan, n, 0, buckets, probabilities, keys);
}

size_t nlsh__choose_allowed(const struct nlsh_index *index, const struct nlsh__answer *answer,
                            struct nlsh__plan *plan, uint32_t *buckets, float *probabilities,
                            uint64_t *keys)
{
    const struct nlsh__allowed *allowed = plan->allowed;
    size_t m = index->meta.n_buckets, n = 0, best = 0;
    if (plan->fitted) {
        nlsh__choose_all(answer, buckets, probabilities);
        n = nlsh__fit_needs(allowed->fit, index, allowed, plan->way, probabilities, UINT32_MAX,
                            keys);
        return choose_needed(index, plan, n, 1, buckets, probabilities, keys);
    }
    if (plan->recall > 0 && plan->rule.top == 0) /* by chance */
        n = choose_by_chance(answer, plan, buckets, probabilities, keys);
    if (n > 0) return n;
    if (plan->rule.top >= m) return nlsh__list_allowed(index, allowed, buckets, probabilities);
    nlsh__choose_all(answer, buckets, probabilities);
    uint64_t last = last_chosen(index, plan, probabilities, keys);
    for (uint32_t b = 0; b < m; b++) {
        if (allowed->counts[b] == 0) continue;
        if (nlsh__probability_key(score_of(plan, probabilities, b), b) > last) continue;
        buckets[n] = b;
        probabilities[n] = probabilities[b];
        if (probabilities[n] > probabilities[best]) best = n;
        n++;
    }
    nlsh__bucket_to_front(buckets, probabilities, best);
    return n;
}
