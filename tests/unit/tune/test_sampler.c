/* test_sampler.c - every suggestion is a point of its space, the same for the same study; what each
 * state of a trial does to TPE; the grid has each point once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "functions.h"
#include "tune/sample/sampler.h"

#define SEED 20130616

static const char *const letters[] = {"a", "b", "c", "d"};
static struct nlsh_error error;

static struct nlsh__sampler_options options_of(enum nlsh_sampler kind, uint64_t trial)
{
    struct nlsh__sampler_options options;
    nlsh__sampler_options_init(&options);
    options.kind = kind;
    options.seed = SEED;
    options.trial = trial;
    return options;
}

/* A space of any shape. */
static void random_space(struct nlsh__rng *rng, struct nlsh__search_space *space)
{
    *space = (struct nlsh__search_space){0};
    size_t n = 1 + nlsh__rng_below(rng, 8);
    for (size_t i = 0; i < n; i++) {
        char name[24];
        snprintf(name, sizeof name, "p%zu", i);
        double low = 1 + (double)nlsh__rng_below(rng, 10);
        double high = low + (double)nlsh__rng_below(rng, 100);
        switch (nlsh__rng_below(rng, 6)) {
        case 0: nlsh__space_float(space, name, -low, high, 0, 0); break;
        case 1: nlsh__space_float(space, name, low, high, 1, 0); break;
        case 2: nlsh__space_float(space, name, low, high, 0, 0.3); break;
        case 3: nlsh__space_int(space, name, -low, high, 0, 1); break;
        case 4: nlsh__space_int(space, name, low, high, 1, 1); break;
        default: nlsh__space_choice(space, name, letters, 1 + nlsh__rng_below(rng, 4)); break;
        }
        assert_int_equal(space->n, i + 1);
        int parent = (int)nlsh__rng_below(rng, i + 1);
        if (parent < (int)i && space->params[parent].kind == NLSH__PARAM_CHOICE) {
            nlsh__space_when(space, parent, 1 + (uint32_t)nlsh__rng_below(rng, 15));
            if (nlsh__space_check(space, NULL) != NLSH_OK) nlsh__space_when(space, -1, 0);
        }
    }
}

/* A study of n trials at random, of all states. */
struct study {
    double values[40][NLSH__MAX_PARAMS], steps[40][4];
    struct nlsh__observation seen[40];
};

static void random_study(struct nlsh__rng *rng, const struct nlsh__search_space *space,
                         struct study *study, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct nlsh__sampler_options options = options_of(NLSH_SAMPLER_RANDOM, i);
        nlsh__suggest_random(space, &options, study->values[i]);
        for (size_t s = 0; s < 4; s++) study->steps[i][s] = nlsh__rng_normal(rng);
        study->seen[i] = (struct nlsh__observation){
            .values = study->values[i],
            .value = nlsh__rng_below(rng, 10) ? nlsh__rng_normal(rng) : NAN,
            .state = (enum nlsh__trial_state)nlsh__rng_below(rng, 4),
            .number = i,
            .steps = study->steps[i],
            .n_steps = nlsh__rng_below(rng, 5),
        };
    }
}

/* Any space, any study: the point belongs to the space, and the order of the study and a second call
 * change nothing. */
static void test_always_of_the_space(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, SEED, 0);
    for (int round_number = 0; round_number < 300; round_number++) {
        struct nlsh__search_space space;
        static struct study study;
        size_t n = nlsh__rng_below(&rng, 41);
        random_space(&rng, &space);
        random_study(&rng, &space, &study, n);
        for (int kind = 0; kind < 3; kind++) {
            struct nlsh__sampler_options options = options_of((enum nlsh_sampler)kind, n);
            double values[NLSH__MAX_PARAMS], again[NLSH__MAX_PARAMS];
            if (nlsh__suggestions_left(&space, &options, study.seen, n) == 0) continue;
            assert_int_equal(nlsh__suggest(&space, &options, study.seen, n, values, &error),
                             NLSH_OK);
            if (nlsh__params_check(&space, values, &error)) fail_msg("%s", error.message);
            struct nlsh__observation turned[40];
            for (size_t i = 0; i < n; i++) turned[i] = study.seen[n - 1 - i];
            assert_int_equal(nlsh__suggest(&space, &options, turned, n, again, &error), NLSH_OK);
            assert_true(nlsh__params_equal(&space, values, again));
        }
    }
}

static void test_seeds_differ(void **state)
{
    (void)state;
    struct nlsh__search_space space = {0};
    sphere_space(&space);
    struct nlsh__sampler_options a = options_of(NLSH_SAMPLER_RANDOM, 0), b = a, c = a;
    double x[5], y[5], z[5];
    b.seed++;
    c.trial++;
    assert_int_equal(nlsh__suggest(&space, &a, NULL, 0, x, &error), NLSH_OK);
    assert_int_equal(nlsh__suggest(&space, &b, NULL, 0, y, &error), NLSH_OK);
    assert_int_equal(nlsh__suggest(&space, &c, NULL, 0, z, &error), NLSH_OK);
    assert_false(nlsh__params_equal(&space, x, y));
    assert_false(nlsh__params_equal(&space, x, z));
}

static void test_arguments(void **state)
{
    (void)state;
    struct nlsh__search_space space = {0};
    struct nlsh__sampler_options options = options_of(NLSH_SAMPLER_TPE, 0);
    double values[NLSH__MAX_PARAMS];
    assert_int_equal(nlsh__suggest(&space, &options, NULL, 0, values, &error), NLSH_E_ARG);
    sphere_space(&space);
    options.n_candidates = 0;
    assert_int_equal(nlsh__suggest(&space, &options, NULL, 0, values, &error), NLSH_E_ARG);
    options = options_of((enum nlsh_sampler)7, 0);
    assert_int_equal(nlsh__suggest(&space, &options, NULL, 0, values, &error), NLSH_E_ARG);
}

/* ---- TPE ------------------------------------------------------------------------------------- */

/* Forty trials on a line whose value is the distance from .3; the mean distance of many suggestions
 * from `place`. */
static double mean_distance(struct nlsh__observation *seen, size_t n, double place)
{
    struct nlsh__search_space space = {0};
    nlsh__space_float(&space, "x", 0, 1, 0, 0);
    double sum = 0;
    for (uint64_t t = 0; t < 200; t++) {
        struct nlsh__sampler_options options = options_of(NLSH_SAMPLER_TPE, 1000 + t);
        double value;
        assert_int_equal(nlsh__suggest(&space, &options, seen, n, &value, &error), NLSH_OK);
        sum += fabs(value - place);
    }
    return sum / 200;
}

static void line(double values[40], struct nlsh__observation seen[40])
{
    for (size_t i = 0; i < 40; i++) {
        values[i] = (double)i / 39;
        seen[i] = (struct nlsh__observation){
            .values = &values[i], .number = i, .value = fabs(values[i] - 0.3)};
    }
}

static void test_learns(void **state)
{
    (void)state;
    double values[40];
    struct nlsh__observation seen[40];
    line(values, seen);
    assert_true(mean_distance(seen, 40, 0.3) < 0.1); /* at random: .29 */
    /* The same values as failures teach nothing. */
    for (size_t i = 0; i < 40; i++) seen[i].state = NLSH__TRIAL_FAILED;
    assert_true(mean_distance(seen, 40, 0.3) > 0.2);
}

/* Running trials at the best place push the suggestions away from it. */
static void test_running_repel(void **state)
{
    (void)state;
    double values[48], places[8];
    struct nlsh__observation seen[48];
    line(values, seen);
    double before = mean_distance(seen, 40, 0.3);
    for (size_t i = 40; i < 48; i++) {
        places[i - 40] = 0.28 + 0.005 * (double)(i - 40);
        seen[i] = (struct nlsh__observation){
            .values = &places[i - 40], .number = i, .state = NLSH__TRIAL_RUNNING};
    }
    double after = mean_distance(seen, 48, 0.3);
    if (!(after > before * 1.1)) fail_msg("from %.4f to %.4f only", before, after);
}

/* All are pruned: who came further is better, then who did better. */
static void test_pruned_rank(void **state)
{
    (void)state;
    double values[40], steps[40][4];
    struct nlsh__observation seen[40];
    line(values, seen);
    for (size_t i = 0; i < 40; i++) {
        int near = fabs(values[i] - 0.7) < 0.15;
        for (size_t s = 0; s < 4; s++) steps[i][s] = near ? 9 : 0;
        seen[i].state = NLSH__TRIAL_PRUNED;
        seen[i].steps = steps[i];
        seen[i].n_steps = near ? 4 : 2;
    }
    assert_true(mean_distance(seen, 40, 0.7) < 0.12);
    for (size_t i = 0; i < 40; i++) {
        seen[i].n_steps = 4;
        steps[i][3] = fabs(values[i] - 0.1);
    }
    assert_true(mean_distance(seen, 40, 0.1) < 0.12);
    /* Complete ones come before all of them. */
    for (size_t i = 0; i < 40; i++) {
        if (fabs(values[i] - 0.5) < 0.11) seen[i].state = NLSH__TRIAL_COMPLETE;
    }
    assert_true(mean_distance(seen, 40, 0.5) < 0.12);
}

/* Twelve points in all: the first twelve trials find each of them once, then it goes on. */
static void test_small_space_is_exhausted(void **state)
{
    (void)state;
    struct nlsh__search_space space = {0};
    nlsh__space_choice(&space, "a", letters, 4);
    nlsh__space_int(&space, "k", 1, 3, 0, 1);
    double values[20][2];
    struct nlsh__observation seen[20];
    int found[12] = {0}, n_found = 0;
    for (size_t t = 0; t < 20; t++) {
        struct nlsh__sampler_options options = options_of(NLSH_SAMPLER_TPE, t);
        options.n_startup = 2;
        assert_int_equal(nlsh__suggest(&space, &options, seen, t, values[t], &error), NLSH_OK);
        seen[t] = (struct nlsh__observation){
            .values = values[t], .number = t, .value = values[t][0] + values[t][1]};
        int cell = (int)values[t][0] * 3 + (int)values[t][1] - 1;
        n_found += !found[cell];
        found[cell] = 1;
        if (t == 13) assert_int_equal(n_found, 12); /* the second at random may repeat the first */
    }
}

/* ---- grid ------------------------------------------------------------------------------------- */

/* All points of a grid, in the order in which they come. */
static size_t whole_grid(const struct nlsh__search_space *space, size_t n_points, size_t first,
                         double (*values)[NLSH__MAX_PARAMS], size_t most)
{
    static struct nlsh__observation seen[4096];
    size_t n = 0;
    for (;; n++) {
        struct nlsh__sampler_options options = options_of(NLSH_SAMPLER_GRID, first + n);
        options.grid_points = n_points;
        uint64_t left = nlsh__suggestions_left(space, &options, seen, n);
        enum nlsh_status status = nlsh__suggest(space, &options, seen, n, values[n], &error);
        if (left == 0) {
            assert_int_equal(status, NLSH_E_ARG);
            return n;
        }
        assert_int_equal(status, NLSH_OK);
        assert_true(n + 1 < most);
        assert_int_equal(nlsh__params_check(space, values[n], &error), NLSH_OK);
        for (size_t i = 0; i < n; i++) {
            assert_false(nlsh__params_equal(space, values[i], values[n]));
        }
        seen[n] = (struct nlsh__observation){.values = values[n], .number = n};
        struct nlsh__observation twice[] = {seen[0], seen[0]};
        if (n == 0) {
            assert_true(nlsh__suggestions_left(space, &options, twice, 2) == left - 1);
        }
    }
}

static void test_grid(void **state)
{
    (void)state;
    static double values[2048][NLSH__MAX_PARAMS];
    struct nlsh__search_space space = {0};
    nlsh__space_float(&space, "x", 1e-4, 1, 1, 0);
    nlsh__space_int(&space, "k", 1, 3, 0, 1);
    int c = nlsh__space_choice(&space, "c", letters, 3);
    nlsh__space_int(&space, "n", 1, 4, 1, 1);
    nlsh__space_when(&space, c, 1u << 0 | 1u << 2);
    /* 5 x 3 x (4 + 1 + 4): where c is b there is no n. */
    size_t n = whole_grid(&space, 5, 0, values, 2048);
    assert_int_equal(n, 5 * 3 * 9);
    assert_int_equal(whole_grid(&space, 5, 77, values, 2048), n);
    int ends = 0, middles = 0;
    for (size_t i = 0; i < n; i++) {
        ends += values[i][0] == 1e-4 || values[i][0] == 1;
        middles += fabs(values[i][0] - 1e-2) < 1e-12;
    }
    assert_int_equal(ends, 2 * 27);
    assert_int_equal(middles, 27);
}

/* Of any space the grid has its points once each. */
static void test_grid_of_any_space(void **state)
{
    (void)state;
    static double values[4096][NLSH__MAX_PARAMS];
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, SEED, 5);
    int n_tried = 0;
    while (n_tried < 20) {
        struct nlsh__search_space space;
        random_space(&rng, &space);
        struct nlsh__sampler_options options = options_of(NLSH_SAMPLER_GRID, 0);
        options.grid_points = 3;
        uint64_t left = nlsh__suggestions_left(&space, &options, NULL, 0);
        if (left > 300) continue;
        assert_int_equal(whole_grid(&space, 3, 0, values, 4096), left);
        n_tried++;
    }
}

static void test_grid_too_large(void **state)
{
    (void)state;
    struct nlsh__search_space space = {0};
    reals(&space, 32, 0, 1);
    struct nlsh__sampler_options options = options_of(NLSH_SAMPLER_GRID, 0);
    double values[NLSH__MAX_PARAMS];
    assert_int_equal(nlsh__suggest(&space, &options, NULL, 0, values, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "2^48"));
    options.grid_points = 2; /* 2^32 points: no list of them is made */
    assert_int_equal(nlsh__suggest(&space, &options, NULL, 0, values, &error), NLSH_OK);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_always_of_the_space),
        cmocka_unit_test(test_seeds_differ),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_running_repel),
        cmocka_unit_test(test_pruned_rank),
        cmocka_unit_test(test_small_space_is_exhausted),
        cmocka_unit_test(test_grid),
        cmocka_unit_test(test_grid_of_any_space),
        cmocka_unit_test(test_grid_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
