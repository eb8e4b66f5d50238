/*
 * random.c - every parameter by itself, uniformly over its range (by logarithm where it is searched
 * so), its grid or its choices (Bergstra and Bengio, "Random search for hyper-parameter
 * optimization", JMLR 2012).
 */
#include <math.h>

#include "base/rng.h"
#include "tune/sample/sampler.h"

/* A whole number, by logarithm: each gets the width of its own bin on that axis, the ends too. */
static double log_int(const struct nlsh__param *p, struct nlsh__rng *rng)
{
    double a = log(p->low - 0.5), b = log(p->high + 0.5);
    double value = round(exp(a + nlsh__rng_uniform(rng) * (b - a)));
    return fmin(fmax(value, p->low), p->high);
}

static double draw(const struct nlsh__param *p, struct nlsh__rng *rng)
{
    if (p->kind == NLSH__PARAM_CHOICE) return (double)nlsh__rng_below(rng, p->n_choices);
    if (p->log && p->kind == NLSH__PARAM_INT) return log_int(p, rng);
    if (p->step > 0) {
        uint64_t n_steps = (uint64_t)round((p->high - p->low) / p->step);
        return fmin(p->low + (double)nlsh__rng_below(rng, n_steps + 1) * p->step, p->high);
    }
    double u = nlsh__rng_uniform(rng);
    double value = p->log ? exp(log(p->low) + u * (log(p->high) - log(p->low)))
                          : p->low + u * (p->high - p->low);
    return fmin(fmax(value, p->low), p->high);
}

void nlsh__suggest_random(const struct nlsh__search_space *space,
                          const struct nlsh__sampler_options *options, double *values)
{
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, options->seed, options->trial);
    for (size_t i = 0; i < space->n; i++) {
        /* Drawn in any case: what comes after must not depend on whether this one is there. */
        double value = draw(&space->params[i], &rng);
        values[i] = nlsh__params_active(space, values, i) ? value : NAN;
    }
}
