/*
 * test_tpe.c - TPE on functions whose minimum is known: far better than random, and no worse than
 * Optuna's TPE, whose medians were recorded. tests/reference/tpe_optuna.sh asks Optuna itself where
 * it is installed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "functions.h"
#include "tune/sample/sampler.h"

enum { N_TRIALS = 100, MOST_SEEDS = 60 };

/*
 * Medians of the best value after 100 trials, seeds 1 to n_seeds, of Optuna 3.1.0 (Debian 12's
 * python3-optuna 3.1.0-4), as it comes and with multivariate=True, recorded by
 *   PYTHON=/usr/bin/python3 bench/tpe.sh build/release sphere rosenbrock branin hartmann6 mixed
 * and for rosenbrock by the same with SEEDS=60 (multivariate: 30). Over 30 seeds the samplers cannot
 * be told apart there: 1.27 and 1.24, where half of the single seeds lie outside .6 to 1.7.
 */
static const struct {
    const char *name;
    size_t n_seeds;
    double minimum, optuna, multivariate;
} recorded[] = {
    {"sphere", 30, 0, 0.4297, 0.6378},       {"rosenbrock", 60, 0, 1.678, 2.584},
    {"branin", 30, 0.39789, 0.4211, 0.4704}, {"hartmann6", 30, -3.32237, -3.094, -3.102},
    {"mixed", 30, 0, 0.02177, 0.03852},
};

static double best_of_study(const struct function *f, struct nlsh__sampler_options *options)
{
    static double values[N_TRIALS][NLSH__MAX_PARAMS];
    static struct nlsh__observation seen[N_TRIALS];
    struct nlsh__search_space space = {0};
    double best = INFINITY;
    f->space(&space);
    for (size_t t = 0; t < N_TRIALS; t++) {
        options->trial = t;
        assert_int_equal(nlsh__suggest(&space, options, seen, t, values[t], NULL), NLSH_OK);
        seen[t] = (struct nlsh__observation){
            .values = values[t], .number = t, .value = f->value(values[t])};
        best = fmin(best, seen[t].value);
    }
    return best;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_best(const struct function *f, enum nlsh_sampler kind, size_t n_seeds)
{
    double best[MOST_SEEDS];
    struct nlsh__sampler_options options;
    nlsh__sampler_options_init(&options);
    options.kind = kind;
    for (size_t s = 0; s < n_seeds; s++) {
        options.seed = s + 1;
        best[s] = best_of_study(f, &options);
    }
    qsort(best, n_seeds, sizeof *best, compare);
    return (best[n_seeds / 2 - 1] + best[n_seeds / 2]) / 2;
}

/* Far better than random: three quarters of the way from there to the minimum at the least. */
static void test_the_five(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof recorded / sizeof *recorded; i++) {
        const struct function *f = function_by_name(recorded[i].name);
        double ours = median_best(f, NLSH_SAMPLER_TPE, recorded[i].n_seeds);
        double random = median_best(f, NLSH_SAMPLER_RANDOM, recorded[i].n_seeds);
        double optuna = fmin(recorded[i].optuna, recorded[i].multivariate);
        print_message("%s: %.4g, Optuna %.4g, random %.4g\n", f->name, ours, optuna, random);
        if (ours > optuna) fail_msg("%s: %.4g is worse than %.4g", f->name, ours, optuna);
        if (ours - recorded[i].minimum > (random - recorded[i].minimum) / 4) {
            fail_msg("%s: %.4g is not far from random's %.4g", f->name, ours, random);
        }
    }
}

/* And better on those that it was not compared on. */
static void test_the_others(void **state)
{
    (void)state;
    for (size_t i = sizeof recorded / sizeof *recorded; i < N_FUNCTIONS; i++) {
        double ours = median_best(&functions[i], NLSH_SAMPLER_TPE, 10);
        double random = median_best(&functions[i], NLSH_SAMPLER_RANDOM, 10);
        print_message("%s: %.4g, random %.4g\n", functions[i].name, ours, random);
        if (!(ours < random)) fail_msg("%s: %.4g, random %.4g", functions[i].name, ours, random);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_five),
        cmocka_unit_test(test_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
