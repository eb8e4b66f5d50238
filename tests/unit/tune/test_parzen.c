/*
 * test_parzen.c - the density is one: it sums and integrates to 1 over every kind of parameter and
 * over conditions, and points are drawn as it says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tune/sample/parzen.h"
#include "tune/sample/sampler.h"

#define SEED 20111212
#define MOST_CELLS 4096

static const char *const letters[] = {"a", "b", "c"};

/* So many points of the space at random, as the model's; weights 1, 2, 3. */
static struct nlsh__parzen *model_of(const struct nlsh__search_space *space, size_t n,
                                     enum nlsh__parzen_kernel kernel, enum nlsh__parzen_width width)
{
    static double values[64][NLSH__MAX_PARAMS];
    const double *points[64];
    double weights[64];
    struct nlsh__sampler_options options;
    nlsh__sampler_options_init(&options);
    options.seed = SEED;
    for (size_t i = 0; i < n; i++) {
        options.trial = i;
        nlsh__suggest_random(space, &options, values[i]);
        points[i] = values[i];
        weights[i] = 1 + (double)(i % 3);
    }
    struct nlsh__parzen *model;
    assert_int_equal(nlsh__parzen_create(space, points, weights, n, kernel, width, &model, NULL),
                     NLSH_OK);
    return model;
}

/* Cell c of n along parameter i: its middle value and its width on the parameter's axis. */
static double cell(const struct nlsh__param *p, size_t c, size_t n, double *width)
{
    *width = 1;
    if (p->kind == NLSH__PARAM_CHOICE) return (double)c;
    if (p->step > 0) return fmin(p->low + (double)c * p->step, p->high);
    double low = p->log ? log(p->low) : p->low, high = p->log ? log(p->high) : p->high;
    *width = (high - low) / (double)n;
    double at = low + ((double)c + 0.5) * *width;
    return p->log ? exp(at) : at;
}

static size_t n_cells(const struct nlsh__param *p)
{
    if (p->kind == NLSH__PARAM_CHOICE) return p->n_choices;
    return p->step > 0 ? (size_t)round((p->high - p->low) / p->step) + 1 : 200;
}

/* The mass of every combination of cells from parameter i on; each cell's own goes to masses. */
static double mass(struct nlsh__parzen *model, const struct nlsh__search_space *space, size_t i,
                   double *values, double width, double *masses, size_t *n)
{
    if (i == space->n) {
        double m = exp(nlsh__parzen_log_density(model, values)) * width;
        if (*n < MOST_CELLS) masses[*n] = m;
        ++*n;
        return m;
    }
    if (!nlsh__params_active(space, values, i)) {
        values[i] = NAN;
        return mass(model, space, i + 1, values, width, masses, n);
    }
    double sum = 0;
    size_t count = n_cells(&space->params[i]);
    for (size_t c = 0; c < count; c++) {
        double own;
        values[i] = cell(&space->params[i], c, count, &own);
        sum += mass(model, space, i + 1, values, width * own, masses, n);
    }
    return sum;
}

static void assert_whole(const struct nlsh__search_space *space, double tolerance)
{
    static double masses[MOST_CELLS];
    static const size_t sizes[] = {0, 1, 2, 12, 60};
    for (size_t s = 0; s < 5; s++) {
        for (int variant = 0; variant < 4; variant++) {
            struct nlsh__parzen *model =
                model_of(space, sizes[s], (enum nlsh__parzen_kernel)(variant / 2),
                         (enum nlsh__parzen_width)(variant % 2));
            double values[NLSH__MAX_PARAMS];
            size_t n = 0;
            double whole = mass(model, space, 0, values, 1, masses, &n);
            if (fabs(whole - 1) > tolerance) fail_msg("%zu points: %.9f, not 1", sizes[s], whole);
            nlsh__parzen_free(model);
        }
    }
}

static void test_ranges(void **state)
{
    (void)state;
    struct nlsh__search_space space = {0};
    nlsh__space_float(&space, "x", -3, 5, 0, 0);
    nlsh__space_float(&space, "y", 1e-5, 10, 1, 0);
    assert_whole(&space, 1e-3);
}

static void test_steps(void **state)
{
    (void)state;
    struct nlsh__search_space space = {0};
    nlsh__space_int(&space, "few", 1, 4, 0, 1);
    nlsh__space_float(&space, "stepped", 0, 0.5, 0, 0.05);
    nlsh__space_int(&space, "log", 1, 60, 1, 1);
    assert_whole(&space, 1e-5); /* the last bins of log are narrow, see below */
}

/* Bins narrower than WIDE_BIN are taken by the density at their middle. */
static void test_narrow_bins(void **state)
{
    (void)state;
    struct nlsh__search_space space = {0}, by_log = {0};
    nlsh__space_int(&space, "many", -500, 20000, 0, 1);
    assert_whole(&space, 1e-4);
    nlsh__space_int(&by_log, "many", 1, 20000, 1, 1);
    assert_whole(&by_log, 1e-4);
}

static void conditional(struct nlsh__search_space *space)
{
    int a = nlsh__space_choice(space, "a", letters, 3);
    int b = nlsh__space_choice(space, "b", letters, 2);
    nlsh__space_when(space, a, 1u << 0 | 1u << 2);
    nlsh__space_int(space, "k", 1, 7, 0, 2);
    nlsh__space_when(space, b, 1u << 1);
    nlsh__space_int(space, "l", 1, 8, 1, 1);
    nlsh__space_when(space, a, 1u << 1);
}

static void test_conditions(void **state)
{
    (void)state;
    struct nlsh__search_space space = {0};
    conditional(&space);
    assert_whole(&space, 1e-9);
}

/* One value only, by range and by choice: nothing else can be drawn, and nothing is infinite. */
static void test_single_values(void **state)
{
    (void)state;
    struct nlsh__search_space space = {0};
    nlsh__space_float(&space, "x", 2.5, 2.5, 0, 0);
    nlsh__space_int(&space, "k", 3, 3, 1, 1);
    nlsh__space_choice(&space, "c", letters, 1);
    struct nlsh__parzen *model = model_of(&space, 5, NLSH__PARZEN_JOINT, NLSH__PARZEN_BY_SPREAD);
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, SEED, 1);
    double values[3];
    nlsh__parzen_draw(model, &rng, values);
    assert_true(values[0] == 2.5 && values[1] == 3 && values[2] == 0);
    assert_true(isfinite(nlsh__parzen_log_density(model, values)));
    nlsh__parzen_free(model);
}

/* Chi-square over all cells with an expected count of 5 and more; its mean is the degrees of
 * freedom, its standard deviation sqrt(2 x that): five of them away does not happen by chance. */
static void assert_drawn_as_said(const struct nlsh__search_space *space,
                                 enum nlsh__parzen_kernel kernel)
{
    static double masses[MOST_CELLS];
    static size_t counts[MOST_CELLS];
    enum { N_DRAWN = 100000 };
    struct nlsh__parzen *model = model_of(space, 7, kernel, NLSH__PARZEN_BY_SPREAD);
    double values[NLSH__MAX_PARAMS];
    size_t n = 0, where;
    mass(model, space, 0, values, 1, masses, &n);
    assert_true(n <= MOST_CELLS);
    memset(counts, 0, sizeof counts);
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, SEED, 2);
    for (int i = 0; i < N_DRAWN; i++) {
        nlsh__parzen_draw(model, &rng, values);
        assert_int_equal(nlsh__params_check(space, values, NULL), NLSH_OK);
        /* Which cell: the one of the same mass. Masses differ, or a mix-up does not matter. */
        double own = exp(nlsh__parzen_log_density(model, values));
        for (where = 0; where < n && fabs(masses[where] - own) > 1e-12 * own; where++) {}
        assert_true(where < n);
        counts[where]++;
    }
    double chi = 0, free_cells = -1;
    for (size_t c = 0; c < n; c++) {
        double expected = masses[c] * N_DRAWN;
        for (size_t d = 0; d < n && d != c; d++) {
            if (fabs(masses[d] - masses[c]) <= 1e-12 * masses[c]) expected = 0; /* counted there */
        }
        if (expected < 5) continue;
        for (size_t d = c + 1; d < n; d++) {
            if (fabs(masses[d] - masses[c]) <= 1e-12 * masses[c]) expected += masses[d] * N_DRAWN;
        }
        chi += pow((double)counts[c] - expected, 2) / expected;
        free_cells++;
    }
    assert_true(free_cells >= 10);
    if (chi > free_cells + 5 * sqrt(2 * free_cells)) {
        fail_msg("chi-square %.1f of %.0f cells", chi, free_cells);
    }
    nlsh__parzen_free(model);
}

static void test_drawn_as_said(void **state)
{
    (void)state;
    struct nlsh__search_space space = {0}, steps = {0};
    conditional(&space);
    assert_drawn_as_said(&space, NLSH__PARZEN_JOINT);
    assert_drawn_as_said(&space, NLSH__PARZEN_APART);
    nlsh__space_int(&steps, "log", 1, 60, 1, 1);
    nlsh__space_float(&steps, "stepped", 0, 0.5, 0, 0.05);
    assert_drawn_as_said(&steps, NLSH__PARZEN_JOINT);
    assert_drawn_as_said(&steps, NLSH__PARZEN_APART);
}

/* Points that gather make the model narrow where its width goes by their spread. */
static void test_narrows(void **state)
{
    (void)state;
    struct nlsh__search_space space = {0};
    nlsh__space_float(&space, "x", 0, 1, 0, 0);
    double values[20], weights[20], densities[2];
    const double *points[20];
    for (size_t i = 0; i < 20; i++) {
        values[i] = 0.7 + 1e-4 * (double)i;
        points[i] = &values[i];
        weights[i] = 1;
    }
    for (int width = 0; width < 2; width++) {
        struct nlsh__parzen *model;
        assert_int_equal(nlsh__parzen_create(&space, points, weights, 20, NLSH__PARZEN_JOINT,
                                             (enum nlsh__parzen_width)width, &model, NULL),
                         NLSH_OK);
        densities[width] = nlsh__parzen_log_density(model, (double[]){0.701});
        nlsh__parzen_free(model);
    }
    assert_true(densities[NLSH__PARZEN_BY_SPREAD] > densities[NLSH__PARZEN_BY_RANGE] + 0.5);
}

/* What a study of another space left: outside the range, no such choice, absent against the rule. */
static void test_foreign_points(void **state)
{
    (void)state;
    struct nlsh__search_space space = {0};
    nlsh__space_float(&space, "x", 1e-3, 1, 1, 0);
    nlsh__space_choice(&space, "c", letters, 3);
    double a[] = {-4, 7}, b[] = {9, NAN}, c[] = {INFINITY, -1};
    const double *points[] = {a, b, c};
    struct nlsh__parzen *model;
    assert_int_equal(nlsh__parzen_create(&space, points, (double[]){1, 1, 1}, 3, NLSH__PARZEN_JOINT,
                                         NLSH__PARZEN_BY_SPREAD, &model, NULL),
                     NLSH_OK);
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, SEED, 3);
    for (int i = 0; i < 1000; i++) {
        double values[2];
        nlsh__parzen_draw(model, &rng, values);
        assert_int_equal(nlsh__params_check(&space, values, NULL), NLSH_OK);
        assert_true(isfinite(nlsh__parzen_log_density(model, values)));
    }
    nlsh__parzen_free(model);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_narrow_bins),   cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_single_values), cmocka_unit_test(test_drawn_as_said),
        cmocka_unit_test(test_narrows),       cmocka_unit_test(test_foreign_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
