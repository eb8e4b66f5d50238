/*
 * filtered.c - see filtered.h.
 *
 * What is wanted are the k nearest of the rows that are allowed. Of all rows they are among the k' nearest, and
 * what finds those was measured: the effort for k'. Where a share s of the rows was drawn by chance, k' = k / s.
 *
 * Filters may go with what the vectors show (allowed.h says so): then how far k' is differs from query to query.
 * So the query's own surroundings are looked at: buckets are taken by their probability per vector, the highest
 * first, until they hold k allowed rows and some more; and the share s there, or what the router expects of the
 * neighbours if that is less, says k' = k / s. An effort for a recall r misses 1 - r of the k' nearest, and those
 * lie in the buckets below its threshold. If more is allowed there than above it, e times more, e times more of
 * the allowed is missed. e is also at least the share of all rows over s. Where a filter hides what is like the
 * query, that is not all: the router gives rows that are unlike the query too little. With e squared, the recall r'
 * that has to be asked for is that with (1 - r') / r' e^2 = (1 - r) / r, and k' is taken sqrt(e) times farther. On
 * Fashion-MNIST with one label allowed, asked .95 at N = 1, .73 comes back with e and k' as they are and .94 with
 * e squared alone; at N = 10 .87 and .96.
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
#include "promise/budget.h"
#include "promise/cost.h"
#include "router/router.h"

/* Rows that are scanned for each of the k' neighbours, when it is estimated whether an exact scan of the allowed
 * is cheaper. */
#define SCANNED_A_NEIGHBOUR 4.0
/* Allowed rows that are looked at for a share, besides k: so many times the root of k. A share of 5 rows of which
 * each is allowed by chance is off by half of itself, one of 22 by a fifth. */
#define MORE_ROWS 4.0

/* Of a scan by codes, besides the codes' bytes: a bucket's centroid and first lines, from memory. An estimate, so
 * that a tenth of Fashion-MNIST by chance is ranked exactly, which is quicker (860 queries a second, not 470 to
 * 670), and one of ten labels is scanned by codes (3,000, not 1,500). */
#define BUCKET_NS 200.0
/* A bucket's part in choosing by content. An estimate: the 600 nearest of Fashion-MNIST's 60,000 rows, in 1,024
 * buckets, were ranked exactly two to three times as fast as they were chosen and scanned by codes. */
#define CHOICE_NS 15.0
/* Beyond all that is measured. */
#define MOST_REACH 4294967296.0

/* Shells of probability per vector: two for each power of 2. */
enum { SHELLS = 512, SHELL_SHIFT = 22 };

/* The buckets of a shell, or of several. mass: their probability; allowed_mass: that of each times its share
 * of rows that are allowed. */
struct shell {
    double rows, allowed, mass, allowed_mass;
};

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
    if (allowed->by_content) /* most queries come to all that is allowed */
        scan = codes_cost(index, allowed) + (double)index->meta.n_buckets * CHOICE_NS;
    return exactly_costs(index, allowed) <=
           nlsh__cost_of_weights((double)nlsh__router_n_weights(index->router)) + scan +
               nlsh__cost_of_ranking((double)nlsh__first_rows(k), nlsh__index_row_bytes(index));
}

/* ---- a query's surroundings ------------------------------------------------------------------ */

static size_t shell_of(float density)
{
    uint32_t bits;
    memcpy(&bits, &density, sizeof bits);
    return bits >> SHELL_SHIFT; /* of what is not negative */
}

static void add(struct shell *to, const struct shell *more)
{
    to->rows += more->rows;
    to->allowed += more->allowed;
    to->mass += more->mass;
    to->allowed_mass += more->allowed_mass;
}

static void fill_shells(const struct nlsh_index *index, const struct nlsh__allowed *allowed,
                        const float *probabilities, struct shell *shells)
{
    memset(shells, 0, SHELLS * sizeof *shells);
    for (size_t b = 0; b < index->meta.n_buckets; b++) {
        double rows = (double)allowed->sizes[b], n = (double)allowed->counts[b];
        double p = (double)probabilities[b];
        if (rows == 0) continue;
        const struct shell one = {rows, n, p, p * n / rows};
        add(&shells[shell_of(probabilities[b] * index->weights[b])], &one);
    }
}

/* The share that is allowed of the rows around the query, of which `wanted` are. */
static double share_around(const struct shell *shells, double wanted)
{
    struct shell sum = {0};
    for (size_t i = SHELLS; i-- > 0 && sum.allowed < wanted;) add(&sum, &shells[i]);
    return sum.allowed / sum.rows;
}

/* How many times more of what lies below the threshold is allowed than of what lies above it. */
static double excess_below(const struct shell *shells, float threshold)
{
    struct shell above = {0}, below = {0};
    for (size_t i = 0; i < SHELLS; i++) add(i < shell_of(threshold) ? &below : &above, &shells[i]);
    if (above.allowed == 0 || below.mass == 0) return 1;
    return below.allowed_mass / below.mass / (above.allowed / above.rows);
}

/* Where thresholds end: all buckets that have an allowed row, by codes if those were measured to reach the recall.
 * What codes lose is a matter of the k rows that they choose among those that are allowed. */
static void plan_all(const struct nlsh_index *index, size_t reach, struct nlsh__plan *plan)
{
    const struct nlsh__efforts *efforts = &index->efforts;
    size_t most = efforts->tables[efforts->n - 1].k;
    nlsh__plan_recall(index, plan->k, plan->recall, plan);
    float margin = plan->margin;
    nlsh__plan_recall(index, reach < most ? reach : most, plan->recall, plan);
    plan->rule = (struct nlsh__rule){.top = index->meta.n_buckets};
    plan->margin = fmaxf(plan->margin, margin);
    plan->leaf_margin = INFINITY;
    plan->exactly |= exactly_costs(index, plan->allowed) <= codes_cost(index, plan->allowed);
}

/* Of the neighbours that the router expects, the share that is allowed. */
static double share_expected(const struct shell *shells)
{
    struct shell all = {0};
    for (size_t i = 0; i < SHELLS; i++) add(&all, &shells[i]);
    return all.mass > 0 ? all.allowed_mass / all.mass : 0;
}

/* A reach is infinite where nothing that is allowed has a probability. */
static size_t whole_reach(double reach)
{
    return reach < MOST_REACH ? (size_t)ceil(reach) : (size_t)MOST_REACH;
}

/* The plan of `reach` neighbours of all; 0 where that is all buckets. */
static int plan_reach(const struct nlsh_index *index, double reach, struct nlsh__plan *plan)
{
    const struct nlsh__efforts *efforts = &index->efforts;
    size_t k = whole_reach(reach);
    if (efforts->n > 0 && k > efforts->tables[efforts->n - 1].k)
        plan_all(index, k, plan);
    else
        nlsh__plan_recall(index, k, plan->recall, plan);
    return plan->rule.top == 0;
}

/* The plan through a filter that goes with what the vectors show. */
static void plan_by_content(const struct nlsh_index *index, const float *probabilities,
                            struct nlsh__plan *plan)
{
    struct shell shells[SHELLS];
    const struct nlsh__allowed *allowed = plan->allowed;
    double n = (double)allowed->n, k = (double)plan->k, more = k + MORE_ROWS * sqrt(k);
    fill_shells(index, allowed, probabilities, shells);
    double share = fmin(share_around(shells, fmin(more, n)), share_expected(shells));
    double excess = fmax(n / (double)index->meta.n_rows / share, 1);
    double reach = k / share * sqrt(excess);
    if (!plan_reach(index, reach, plan)) return;
    excess = fmax(excess, excess_below(shells, plan->rule.threshold));
    double missed = (1 - plan->recall) / plan->recall / (excess * excess);
    nlsh__plan_recall(index, whole_reach(reach), 1 / (1 + missed), plan);
    if (plan->exactly) plan_all(index, whole_reach(reach), plan);
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

size_t nlsh__choose_allowed(const struct nlsh_index *index, const struct nlsh__answer *answer,
                            struct nlsh__plan *plan, uint32_t *buckets, float *probabilities,
                            uint64_t *keys)
{
    const struct nlsh__allowed *allowed = plan->allowed;
    size_t m = index->meta.n_buckets, n = 0, best = 0;
    int by_chance = plan->recall > 0 && !allowed->by_content;
    double per_allowed = (double)index->meta.n_rows / (double)allowed->n;
    if (by_chance && plan_reach(index, (double)plan->k * per_allowed, plan))
        n = choose_by_chance(answer, plan, buckets, probabilities, keys);
    if (n > 0) return n;
    if (plan->rule.top < m) {
        nlsh__choose_all(answer, buckets, probabilities);
        if (plan->recall > 0 && !by_chance) plan_by_content(index, probabilities, plan);
    } /* else all buckets are asked for without a filter, and so with it */
    if (plan->rule.top >= m) return nlsh__list_allowed(index, allowed, buckets, probabilities);
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
