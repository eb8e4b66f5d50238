/*
 * tpe.c - the tree-structured Parzen estimator: Bergstra, Bardenet, Bengio and Kegl, "Algorithms for
 * hyper-parameter optimization", NeurIPS 2011, section 4; Bergstra, Yamins and Cox, ICML 2013.
 *
 * The trials so far are ranked and cut: the best go into one density, l, the rest into another, g
 * (parzen.c). Points are drawn from l; the one with the largest l / g is suggested, which is the one
 * of largest expected improvement (section 4.1).
 *
 * Where we depart from the papers and from what Optuna's documentation says of its sampler, by
 * measurement on tests/functions.h (docs/tuning.md says how to make it again):
 * - The kernels of l are as wide as the good points spread, those of g go by the range. A width by
 *   the range alone keeps l blunt where the search has long found its place.
 * - l has a fifth of the trials, at most 25 (Optuna: a tenth), but the weight of a point in it falls
 *   with its rank, (1 - rank / size)^3: many points say where to look and how widely, the best say
 *   most. The points of g weigh the same, whatever their age.
 * - Kernels are joint in three trials of four and apart in the fourth, by the trial's number. Joint
 *   ones follow valleys that lie askew; only apart can the good half of one point meet the good half
 *   of another, without which long searches of functions with many minima stay in one of them.
 * - A point that was tried before is passed over: our objective is seeded, and would say the same.
 *
 * Trials that run in other processes belong to g: a lie that keeps two processes apart (Ginsbourger
 * et al., "Kriging is well-suited to parallelize optimization", 2010, the constant liar).
 * A pruned trial ranks behind the complete ones: the further it came the better, then by its last
 * step.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "tune/sample/parzen.h"
#include "tune/sample/sampler.h"

#define GOOD_SHARE 0.2
#define MOST_GOOD 25
#define APART_EVERY 4

/* A trial as it is ranked: by group, then by far, then by value, then by number. */
struct ranked {
    int group;  /* 0 complete, 1 pruned, 2 running */
    size_t far; /* pruned: steps it did not reach, of the most that any can have */
    double value;
    uint64_t number;
    const double *values;
};

static int compare(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    if (x->far != y->far) return x->far < y->far ? -1 : 1;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

/* A NaN has no rank: it is as bad as can be. */
static double worst_if_nan(double value)
{
    return isnan(value) ? INFINITY : value;
}

static struct ranked rank_of(const struct nlsh__observation *o)
{
    struct ranked r = {.number = o->number, .values = o->values};
    if (o->state == NLSH__TRIAL_COMPLETE) {
        r.value = worst_if_nan(o->value);
    } else if (o->state == NLSH__TRIAL_PRUNED) {
        size_t reached = o->n_steps;
        while (reached > 0 && isnan(o->steps[reached - 1])) reached--;
        r.group = 1;
        r.far = SIZE_MAX - reached;
        r.value = reached > 0 ? o->steps[reached - 1] : INFINITY;
    } else {
        r.group = 2;
    }
    return r;
}

/* Fills ranked with what teaches something, best first; *n_done of them have ended. */
static size_t rank(const struct nlsh__observation *observations, size_t n, struct ranked *ranked,
                   size_t *n_done)
{
    size_t count = 0;
    *n_done = 0;
    for (size_t i = 0; i < n; i++) {
        if (observations[i].state == NLSH__TRIAL_FAILED) continue;
        ranked[count] = rank_of(&observations[i]);
        *n_done += ranked[count].group < 2;
        count++;
    }
    qsort(ranked, count, sizeof *ranked, compare);
    return count;
}

static size_t n_good_of(size_t n_done)
{
    return (size_t)fmin(ceil(GOOD_SHARE * (double)n_done), MOST_GOOD);
}

/* The two densities, in the order of ranks: sums do not depend on that of the observations. */
static enum nlsh_status model(const struct nlsh__search_space *space, const struct ranked *ranked,
                              size_t n, size_t n_good, enum nlsh__parzen_kernel kernel,
                              struct nlsh__parzen **good, struct nlsh__parzen **bad,
                              struct nlsh_error *error)
{
    enum nlsh_status status;
    const double **points = NULL;
    double *weights = NULL;
    NLSH_TRY(nlsh__alloc(&points, n, sizeof *points, error));
    NLSH_TRY(nlsh__alloc(&weights, n, sizeof *weights, error));
    for (size_t i = 0; i < n; i++) {
        points[i] = ranked[i].values;
        weights[i] = i < n_good ? pow(1 - (double)i / (double)n_good, 3) : 1;
    }
    NLSH_TRY(nlsh__parzen_create(space, points, weights, n_good, kernel, NLSH__PARZEN_BY_SPREAD,
                                 good, error));
    NLSH_TRY(nlsh__parzen_create(space, points + n_good, weights + n_good, n - n_good, kernel,
                                 NLSH__PARZEN_BY_RANGE, bad, error));
out:
    nlsh__free(points);
    nlsh__free(weights);
    return status;
}

/* ---- the choice ------------------------------------------------------------------------------ */

static int is_known(const struct nlsh__search_space *space,
                    const struct nlsh__observation *observations, size_t n, const double *values)
{
    for (size_t i = 0; i < n; i++) {
        if (nlsh__params_equal(space, observations[i].values, values)) return 1;
    }
    return 0;
}

/* The best new one of n_candidates drawn from good. 0 where all were tried before: values then holds
 * the best of those. */
static int choose(const struct nlsh__search_space *space,
                  const struct nlsh__sampler_options *options,
                  const struct nlsh__observation *observations, size_t n, struct nlsh__parzen *good,
                  struct nlsh__parzen *bad, struct nlsh__rng *rng, double *values)
{
    double best = -INFINITY;
    int best_is_new = 0;
    for (size_t i = 0; i < options->n_candidates; i++) {
        double drawn[NLSH__MAX_PARAMS];
        nlsh__parzen_draw(good, rng, drawn);
        double score = nlsh__parzen_log_density(good, drawn) - nlsh__parzen_log_density(bad, drawn);
        if (i > 0 && best_is_new && score <= best) continue;
        int is_new = !is_known(space, observations, n, drawn);
        if (i > 0 && (is_new < best_is_new || (is_new == best_is_new && score <= best))) continue;
        best = score;
        best_is_new = is_new;
        memcpy(values, drawn, space->n * sizeof *values);
    }
    return best_is_new;
}

/* A new point from the whole space, for a model that has nothing new to say, as it comes where the
 * space is small; without luck values stay. */
static void look_elsewhere(const struct nlsh__search_space *space,
                           const struct nlsh__sampler_options *options,
                           const struct nlsh__observation *observations, size_t n,
                           struct nlsh__rng *rng, double *values)
{
    struct nlsh__sampler_options other = *options;
    for (size_t i = 0; i < options->n_candidates; i++) {
        double drawn[NLSH__MAX_PARAMS];
        other.seed = nlsh__rng_u64(rng);
        nlsh__suggest_random(space, &other, drawn);
        if (is_known(space, observations, n, drawn)) continue;
        memcpy(values, drawn, space->n * sizeof *values);
        return;
    }
}

enum nlsh_status nlsh__suggest_tpe(const struct nlsh__search_space *space,
                                   const struct nlsh__sampler_options *options,
                                   const struct nlsh__observation *observations, size_t n,
                                   double *values, struct nlsh_error *error)
{
    struct nlsh__parzen *good = NULL, *bad = NULL;
    struct ranked *ranked = NULL;
    struct nlsh__rng rng;
    size_t n_done;
    if (options->n_candidates == 0) {
        return nlsh__fail(error, NLSH_E_ARG, "24 is usual", "TPE cannot choose from 0 candidates");
    }
    enum nlsh_status status;
    NLSH_TRY(nlsh__alloc(&ranked, n, sizeof *ranked, error));
    size_t n_ranked = rank(observations, n, ranked, &n_done);
    if (n_done < options->n_startup || n_done == 0) {
        nlsh__suggest_random(space, options, values);
        goto out;
    }
    int apart = options->trial % APART_EVERY == APART_EVERY - 1;
    NLSH_TRY(model(space, ranked, n_ranked, n_good_of(n_done),
                   apart ? NLSH__PARZEN_APART : NLSH__PARZEN_JOINT, &good, &bad, error));
    nlsh__rng_init(&rng, options->seed, options->trial);
    if (!choose(space, options, observations, n, good, bad, &rng, values)) {
        look_elsewhere(space, options, observations, n, &rng, values);
    }
out:
    nlsh__parzen_free(good);
    nlsh__parzen_free(bad);
    nlsh__free(ranked);
    return status;
}
