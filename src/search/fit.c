/*
 * fit.c - see fit.h. What was measured is looked up here; fit_make.c measures.
 *
 * Two orders of buckets serve, and each call takes the one that was measured to be cheaper:
 *
 * By the router. Of a query near what is allowed it knows which buckets hold the neighbours. A bucket's probability per
 * vector is compared with that of the mean allowed row, since all neighbours are allowed ones. The root is taken of
 * both: of buckets that are far from the query the router says too little. (Powers of 1, 1/2 and 1/4 were tried on
 * Fashion-MNIST and four made sets; 1/2 was best or near it in most.)
 *
 * By place. Where a filter hides what is like the query, the router gives nothing to what is left, and means of rows
 * tell much better: of one label of Fashion-MNIST, for .95 of the 10 nearest to images of all labels, 5 to 8 % of the
 * allowed rows have to be scanned, and by the router 45 to 51 %. Here as many rows are looked at for every query:
 * that was cheaper than a bound on distances, whatever these were compared with.
 *
 * Source: ours.
 */
#include "search/fit.h"

#include <math.h>

#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/topk.h"

/* Distances are counted in so many steps between the least and the largest. */
enum { STEPS = 1024 };

void nlsh__fit_free(struct nlsh__fit *fit)
{
    if (fit == NULL) return;
    nlsh__free(fit->centres);
    nlsh__free(fit);
}

/* ---- what was measured ----------------------------------------------------------------------- */

/* Between two points by the logarithm of what they miss, as promise/efforts.c does it. */
static int in_table(const struct nlsh__fit_table *t, double recall, struct nlsh__fit_point *out)
{
    const struct nlsh__fit_point *p = t->points;
    size_t i = 0;
    while (i < t->n && p[i].recall < (float)recall) i++;
    if (i == t->n) return 0;
    *out = p[i];
    if (i == 0) return 1;
    double missing = log(1 - (double)p[i - 1].recall);
    double share = (log(1 - recall) - missing) / (log(1 - (double)p[i].recall) - missing);
    double low = log((double)p[i - 1].limit), high = log((double)p[i].limit);
    out->limit = (float)exp(low + share * (high - low));
    out->rows = (float)((1 - share) * (double)p[i - 1].rows + share * (double)p[i].rows);
    return 1;
}

int nlsh__fit_at(const struct nlsh__fit *fit, enum nlsh__fit_way way, size_t k, double recall,
                 struct nlsh__fit_point *out)
{
    const struct nlsh__fit_table *tables = fit->tables[way];
    struct nlsh__fit_point fewer;
    size_t i = 0;
    while (i < fit->n_tables && tables[i].k < k) i++;
    if (i == fit->n_tables || !in_table(&tables[i], recall, out)) return 0;
    if (tables[i].k == k || i == 0 || !in_table(&tables[i - 1], recall, &fewer)) return 1;
    if (fewer.limit > out->limit) *out = fewer; /* the more of both is done */
    return 1;
}

/* ---- the order of buckets -------------------------------------------------------------------- */

static size_t needs_by_router(const struct nlsh_index *index, const struct nlsh__allowed *allowed,
                              const float *probabilities, uint64_t *keys)
{
    double sum = 0;
    size_t n = 0;
    for (size_t b = 0; b < index->meta.n_buckets; b++) {
        if (allowed->counts[b] == 0) continue;
        float root = sqrtf(probabilities[b] * index->weights[b]);
        root = root > 0 ? root : 0; /* of a damaged router, too */
        sum += (double)root * (double)allowed->counts[b];
        keys[n++] = nlsh__key_f32(root, (uint32_t)b);
    }
    float mean = (float)(sum / (double)allowed->n);
    for (size_t i = 0; i < n; i++) {
        float root = nlsh__key_score_f32(keys[i]);
        keys[i] = nlsh__key_f32(root > 0 ? mean / root : INFINITY, (uint32_t)keys[i]);
    }
    return n;
}

/* The step that a distance is in. */
static size_t step_of(float l2sq, float least, float width)
{
    float step = (l2sq - least) / width * (STEPS - 1);
    return step >= 0 && step < STEPS - 1 ? (size_t)step : step >= 0 ? STEPS - 1 : 0;
}

/* A row x drags the mean c of its n rows along. Of the others the mean is c + (c - x) / (n - 1), which is n / (n - 1)
 * times as far from x. */
static float without_own(uint32_t n)
{
    float times = n > 1 ? (float)n / (float)(n - 1) : INFINITY;
    return times * times;
}

static size_t needs_by_place(const struct nlsh__fit *fit, const struct nlsh_index *index,
                             const struct nlsh__allowed *allowed, const float *inputs, uint32_t own,
                             uint64_t *keys)
{
    float least = INFINITY, most = 0;
    double rows[STEPS + 1] = {1};
    size_t n = 0;
    for (size_t b = 0; b < index->meta.n_buckets; b++) {
        if (allowed->counts[b] == 0) continue;
        const float *centre = fit->centres + b * fit->stride;
        float l2sq = nlsh__kernels()->l2sq_f32(inputs, centre, fit->stride);
        if (b == own) l2sq *= without_own(allowed->counts[b]);
        if (!(l2sq < INFINITY)) l2sq = INFINITY;
        least = fminf(least, l2sq);
        if (l2sq < INFINITY) most = fmaxf(most, l2sq);
        keys[n++] = nlsh__key_f32(l2sq, (uint32_t)b);
    }
    float width = most > least ? most - least : 1;
    for (size_t i = 0; i < n; i++)
        rows[step_of(nlsh__key_score_f32(keys[i]), least, width) + 1] +=
            (double)allowed->counts[(uint32_t)keys[i]];
    for (size_t i = 0; i < STEPS; i++) rows[i + 1] += rows[i];
    for (size_t i = 0; i < n; i++) {
        size_t step = step_of(nlsh__key_score_f32(keys[i]), least, width);
        keys[i] = nlsh__key_f32((float)rows[step], (uint32_t)keys[i]);
    }
    return n;
}

size_t nlsh__fit_needs(const struct nlsh__fit *fit, const struct nlsh_index *index,
                       const struct nlsh__allowed *allowed, enum nlsh__fit_way way, const float *of,
                       uint32_t own, uint64_t *keys)
{
    if (way == NLSH__FIT_PLACE) return needs_by_place(fit, index, allowed, of, own, keys);
    return needs_by_router(index, allowed, of, keys);
}
