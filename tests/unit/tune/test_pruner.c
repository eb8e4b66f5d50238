/* test_pruner.c - who is stopped, by hand-made studies and by the shares of the brackets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "tune/sample/pruner.h"

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static struct nlsh__observation seen(uint64_t number, enum nlsh__trial_state state,
                                     const double *steps, size_t n_steps)
{
    return (struct nlsh__observation){
        .value = NAN, .state = state, .number = number, .steps = steps, .n_steps = n_steps};
}

/* Four others with best-so-far 1, 2, 3, 4 at step 2: the median lies at 2.5. */
static void test_median(void **state)
{
    (void)state;
    static const double steps[4][2] = {{9, 1}, {2, 9}, {9, 3}, {4, 4}};
    struct nlsh__observation o[4];
    for (size_t i = 0; i < 4; i++) o[i] = seen(i, NLSH__TRIAL_COMPLETE, steps[i], 2);
    struct nlsh__pruner_options options;
    nlsh__pruner_options_init(&options);
    options.n_startup = 4;
    options.trial = 4;
    assert_false(nlsh__should_prune(&options, o, 4, (double[]){9, 2.4}, 2));
    assert_true(nlsh__should_prune(&options, o, 4, (double[]){9, 3.1}, 2));
    /* Its own best counts, not its last step. */
    assert_false(nlsh__should_prune(&options, o, 4, (double[]){1, 9}, 2));
    /* Worse than exactly half is not worse than the median. */
    assert_false(nlsh__should_prune(&options, o, 4, (double[]){9, 2.6}, 2));
    /* Nobody has reached step 3. */
    assert_false(nlsh__should_prune(&options, o, 4, (double[]){9, 9, 9}, 3));
    assert_false(nlsh__should_prune(&options, o, 4, (double[]){9, NAN}, 2));
    assert_true(nlsh__should_prune(&options, o, 4, (double[]){9, INFINITY}, 2));
    options.n_warmup = 2;
    assert_false(nlsh__should_prune(&options, o, 4, (double[]){9, 9}, 2));
    options.n_warmup = 0;
    options.n_startup = 5;
    assert_false(nlsh__should_prune(&options, o, 4, (double[]){9, 9}, 2));
}

/* Pruned trials are part of the median and none of the startup; running and failed are neither. */
static void test_median_counts(void **state)
{
    (void)state;
    static const double good[] = {1}, bad[] = {8};
    struct nlsh__observation o[] = {
        seen(0, NLSH__TRIAL_COMPLETE, good, 1), seen(1, NLSH__TRIAL_PRUNED, bad, 1),
        seen(2, NLSH__TRIAL_RUNNING, good, 1), seen(3, NLSH__TRIAL_FAILED, good, 1)};
    struct nlsh__pruner_options options;
    nlsh__pruner_options_init(&options);
    options.n_startup = 1;
    options.trial = 9;
    assert_false(nlsh__should_prune(&options, o, LENGTH(o), (double[]){5}, 1));
    assert_true(nlsh__should_prune(&options, o, LENGTH(o), (double[]){9}, 1));
    options.n_startup = 2;
    assert_false(nlsh__should_prune(&options, o, LENGTH(o), (double[]){9}, 1));
}

static struct nlsh__pruner_options hyperband(size_t max_steps)
{
    struct nlsh__pruner_options options;
    nlsh__pruner_options_init(&options);
    options.kind = NLSH_PRUNER_HYPERBAND;
    options.max_steps = max_steps;
    return options;
}

/* The steps at which a trial that is behind one that is better everywhere can be stopped: its rungs.
 * Bit s - 1 for step s. The better ones take every number, so that each bracket has some. */
static uint32_t rungs_of(uint64_t number, size_t max_steps)
{
    static const double best[32] = {0};
    double steps[32];
    for (size_t s = 0; s < 32; s++) steps[s] = 1;
    struct nlsh__observation o[100];
    for (size_t i = 0; i < 100; i++) o[i] = seen(i, NLSH__TRIAL_COMPLETE, best, 32);
    struct nlsh__pruner_options options = hyperband(max_steps);
    options.trial = number;
    uint32_t rungs = 0;
    for (size_t s = 1; s <= max_steps; s++) {
        if (nlsh__should_prune(&options, o, 100, steps, s)) rungs |= UINT32_C(1) << (s - 1);
    }
    return rungs;
}

/* max 10, reduction 3: brackets with rungs {1, 3}, {3} and {}, in the shares of Hyperband's algorithm
 * 1: 9, 5, 3 of 17. */
static void test_brackets(void **state)
{
    (void)state;
    static const uint32_t rungs[] = {1u << 0 | 1u << 2, 1u << 2, 0};
    static const double shares[] = {9, 5, 3};
    size_t counts[3] = {0}, n = 340;
    for (uint64_t number = 0; number < n; number++) {
        uint32_t found = rungs_of(number, 10);
        size_t b = 0;
        while (b < 3 && rungs[b] != found) b++;
        assert_true(b < 3);
        counts[b]++;
    }
    for (size_t b = 0; b < 3; b++) {
        assert_true(fabs((double)counts[b] - shares[b] * 20) < 3);
    }
    assert_int_equal(rungs_of(0, 1), 0);
    assert_int_equal(rungs_of(0, 2), 0);
}

/* At a rung with nine trials three go on. */
static void test_hyperband_keeps_a_third(void **state)
{
    (void)state;
    struct nlsh__pruner_options options = hyperband(10);
    uint64_t numbers[9];
    size_t n = 0;
    for (uint64_t number = 0; n < 9; number++) {
        if (rungs_of(number, 10) & 1) numbers[n++] = number;
    }
    double steps[9];
    struct nlsh__observation o[9];
    for (size_t i = 0; i < 9; i++) {
        steps[i] = (double)((i * 4) % 9);
        o[i] = seen(numbers[i], NLSH__TRIAL_RUNNING, &steps[i], 1);
    }
    for (size_t i = 0; i < 9; i++) {
        options.trial = numbers[i];
        assert_int_equal(nlsh__should_prune(&options, o, 9, &steps[i], 1), steps[i] >= 3);
    }
    /* The first to come is never stopped, whatever it shows. */
    assert_false(nlsh__should_prune(&options, NULL, 0, (double[]){INFINITY}, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_median_counts),
        cmocka_unit_test(test_brackets),
        cmocka_unit_test(test_hyperband_keeps_a_third),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
