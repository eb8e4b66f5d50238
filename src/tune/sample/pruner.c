/*
 * pruner.c - when to stop a trial early.
 *
 * Median: the rule of Golovin et al. ("Google Vizier", KDD 2017, section 3.2.2), with the best step
 * so far on both sides, where they average: a trial is stopped when its best is worse than the median
 * of the others' best by the same step. Pruned trials count among the others as far as they came;
 * were only complete ones to count, the bar would rise with every pruning.
 *
 * Hyperband: Li et al. ("Hyperband", JMLR 2018, algorithm 1), each bracket run without waiting as in
 * Li et al.'s ASHA (MLSys 2020, algorithm 2) and Akiba et al. (Optuna, KDD 2019, section 4): a
 * bracket that halves s times has its rungs at the steps max / reduction^s ... max / reduction, and
 * at a rung goes on who is among the best 1/reduction of those of its bracket that have reached it.
 * A trial cannot wait here to be promoted later, so the best one goes on even where fewer than
 * `reduction` are there. Trials are dealt to the brackets in the shares of algorithm 1, by multiples
 * of the golden ratio rather than by chance: any run of numbers then has nearly these shares.
 */
#include "tune/sample/pruner.h"

#include <math.h>

#include "base/rng.h"

#define MAX_HALVINGS 64 /* reduction >= 2 and 64-bit counts of steps */

void nlsh__pruner_options_init(struct nlsh__pruner_options *options)
{
    *options = (struct nlsh__pruner_options){
        .kind = NLSH_PRUNER_MEDIAN, .seed = 1, .n_startup = 5, .min_steps = 1, .reduction = 3};
}

/* ---- median ---------------------------------------------------------------------------------- */

/* The best of the first n steps; NAN where none is reported. */
static double best_of(const double *steps, size_t n)
{
    double best = NAN;
    for (size_t i = 0; i < n; i++) best = fmin(best, steps[i]); /* fmin passes over a NAN */
    return best;
}

static int reached(const struct nlsh__observation *o, size_t step)
{
    return o->n_steps >= step && !isnan(o->steps[step - 1]);
}

static int median_prunes(const struct nlsh__pruner_options *options,
                         const struct nlsh__observation *observations, size_t n,
                         const double *steps, size_t step)
{
    if (step <= options->n_warmup) return 0;
    double own = best_of(steps, step);
    size_t n_complete = 0, n_better = 0, n_reached = 0;
    for (size_t i = 0; i < n; i++) {
        const struct nlsh__observation *o = &observations[i];
        if (o->number == options->trial) continue;
        if (o->state != NLSH__TRIAL_COMPLETE && o->state != NLSH__TRIAL_PRUNED) continue;
        n_complete += o->state == NLSH__TRIAL_COMPLETE;
        if (!reached(o, step)) continue;
        n_reached++;
        n_better += best_of(o->steps, step) < own;
    }
    /* Worse than the median: more than half of them are better. No sorting is needed for that. */
    return n_complete >= options->n_startup && 2 * n_better > n_reached;
}

/* ---- hyperband ------------------------------------------------------------------------------- */

/* Halvings of the longest bracket: the largest s with max / reduction^s >= min. */
static size_t most_halvings(const struct nlsh__pruner_options *options)
{
    size_t s = 0;
    for (size_t step = options->max_steps / options->reduction;
         step >= options->min_steps && s < MAX_HALVINGS; step /= options->reduction) {
        s++;
    }
    return s;
}

/* How often the bracket of a trial's number halves. Algorithm 1: s times for
 * ceil(brackets / (s + 1) x reduction^s) of them. */
static size_t halvings_of(const struct nlsh__pruner_options *options, uint64_t number)
{
    size_t most = most_halvings(options);
    double shares[MAX_HALVINGS + 1], total = 0;
    for (size_t s = 0; s <= most; s++) {
        shares[s] =
            ceil((double)(most + 1) / (double)(s + 1) * pow((double)options->reduction, (double)s));
        total += shares[s];
    }
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, options->seed, 0);
    /* number x (the golden ratio's fraction as a 64-bit integer): the wrap is the fraction. */
    uint64_t turned = number * UINT64_C(0x9e3779b97f4a7c15) + nlsh__rng_u64(&rng);
    double left = (double)(turned >> 11) * 0x1p-53 * total;
    size_t s = most;
    while (s > 0 && left >= shares[s]) left -= shares[s--];
    return s;
}

static int is_rung(const struct nlsh__pruner_options *options, size_t halvings, size_t step)
{
    size_t rung = options->max_steps;
    for (size_t k = 0; k < halvings; k++) {
        rung /= options->reduction;
        if (rung == step) return 1;
    }
    return 0;
}

static int hyperband_prunes(const struct nlsh__pruner_options *options,
                            const struct nlsh__observation *observations, size_t n,
                            const double *steps, size_t step)
{
    if (options->min_steps == 0 || options->reduction < 2) return 0;
    size_t halvings = halvings_of(options, options->trial);
    if (!is_rung(options, halvings, step)) return 0;
    size_t n_there = 1, n_better = 0;
    for (size_t i = 0; i < n; i++) {
        const struct nlsh__observation *o = &observations[i];
        if (o->number == options->trial || o->state == NLSH__TRIAL_FAILED) continue;
        if (!reached(o, step) || halvings_of(options, o->number) != halvings) continue;
        n_there++;
        n_better += o->steps[step - 1] < steps[step - 1];
    }
    size_t n_kept = n_there / options->reduction;
    return n_better >= (n_kept > 0 ? n_kept : 1);
}

int nlsh__should_prune(const struct nlsh__pruner_options *options,
                       const struct nlsh__observation *observations, size_t n, const double *steps,
                       size_t n_steps)
{
    if (n_steps == 0 || isnan(steps[n_steps - 1])) return 0;
    switch (options->kind) {
    case NLSH_PRUNER_NONE: return 0;
    case NLSH_PRUNER_MEDIAN: return median_prunes(options, observations, n, steps, n_steps);
    case NLSH_PRUNER_HYPERBAND: return hyperband_prunes(options, observations, n, steps, n_steps);
    }
    return 0;
}
