/* test_margins.c - margins between and beyond what was measured, and tables that mean nothing. */
#include "promise/margins.h"

#include <math.h>

#include "testing.h"

static const uint32_t ks[] = {1, 10, 1000};
static const float losses[] = {.001f, .01f, .1f};
static const float table[] = {12, 8, 4, 9, 6, 3, 6, 3, 0};
static const struct nlsh__margins m = {3, 3, ks, losses, table};

static double at(size_t k, double loss)
{
    return (double)nlsh__margin_at(&m, k, loss);
}

static void what_was_measured_is_given_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (size_t l = 0; l < 3; l++) {
            assert_float_equal(at(ks[i], (double)losses[l]), table[3 * i + l], 1e-5);
            assert_float_equal(nlsh__margin_within(&m, ks[i], (double)losses[l]), table[3 * i + l],
                               1e-5);
        }
}

/* Worked by hand: a point half way, by logarithms, has the mean of its two neighbours. */
static void between_two_points_logarithms_count(void **state)
{
    (void)state;
    double half = .001 * sqrt(10), quarter = .01 * pow(10, .25);
    assert_float_equal(at(1, half), 10, 1e-4);
    assert_float_equal(at(1, quarter), 7, 1e-4);
    assert_float_equal(at(10, half), 7.5, 1e-4);
    assert_float_equal(at(100, .01), 4.5, 1e-4);      /* half way from 10 to 1,000 */
    assert_float_equal(at(100, quarter), 3.75, 1e-4); /* of 5.25 and 2.25 */
    assert_float_equal(at(3, .1), 4 - log10(3), 1e-4);
    assert_float_equal(at(500, .001), 9 - 3 * log(50) / log(100), 1e-4);
}

static void beyond_them_the_nearest_counts(void **state)
{
    (void)state;
    const double beyond[] = {0, 1e-12, 1e-4, -1};
    for (size_t i = 0; i < 3; i++) assert_float_equal(at(1, beyond[i]), 12, 1e-5);
    assert_float_equal(at(1, .5), 4, 1e-5);
    assert_float_equal(at(1, 1), 4, 1e-5);
    assert_float_equal(at(1000000, .01), 3, 1e-5);
    assert_float_equal(at(SIZE_MAX, .5), 0, 1e-5);
}

/* A promise needs a measurement: not for less that may be lost, nor for more neighbours. */
static void a_promise_needs_a_measurement(void **state)
{
    (void)state;
    assert_true(nlsh__margin_within(&m, 1, .00099) == INFINITY);
    assert_true(nlsh__margin_within(&m, 10, 0) == INFINITY);
    assert_true(nlsh__margin_within(&m, 1001, .01) == INFINITY);
    assert_float_equal(nlsh__margin_within(&m, 1000, .01), 3, 1e-5);
    assert_float_equal(nlsh__margin_within(&m, 1, .9), 4, 1e-5); /* more may be lost: the last */
}

/* Tables fall to the right and downwards: so do the margins between. */
static void more_that_may_be_lost_needs_no_more(void **state)
{
    (void)state;
    for (size_t k = 1; k < 3000; k += 1 + k / 3) {
        float last = INFINITY;
        for (double loss = 1e-5; loss < 1; loss *= 1.05) {
            float now = nlsh__margin_at(&m, k, loss);
            assert_true(now <= last && now >= 0);
            assert_true(now <= nlsh__margin_at(&m, k > 1 ? k - 1 : 1, loss));
            last = now;
        }
    }
}

static void small_tables(void **state)
{
    (void)state;
    const struct nlsh__margins none = {0}, no_losses = {.n_ks = 2, .k = ks},
                               one = {1, 1, ks + 1, losses + 1, table},
                               row = {1, 3, ks + 1, losses, table},
                               column = {3, 1, ks, losses + 1, table};
    assert_true(nlsh__margin_at(&none, 10, .01) == 0);
    assert_true(nlsh__margin_within(&none, 10, .01) == INFINITY);
    assert_true(nlsh__margin_at(&no_losses, 10, .01) == 0);
    assert_true(nlsh__margin_within(&no_losses, 1, .01) == INFINITY);
    for (size_t k = 1; k < 100; k += 7)
        for (double loss = 1e-4; loss < .5; loss *= 2)
            assert_true(nlsh__margin_at(&one, k, loss) == 12);
    assert_true(nlsh__margin_within(&one, 11, .02) == INFINITY);
    assert_true(nlsh__margin_within(&one, 10, .005) == INFINITY);
    assert_float_equal(nlsh__margin_at(&row, 99, .001 * sqrt(10)), 10, 1e-4);
    assert_float_equal(nlsh__margin_at(&column, 100, .3), 6, 1e-4); /* of 8 and 4 */
}

/* ---- tables from a file ---------------------------------------------------------------------- */

static void changed(size_t i, int what, float value, uint32_t k, float least, const char *words)
{
    uint32_t own_ks[3];
    float own_losses[3], own[9];
    memcpy(own_ks, ks, sizeof ks);
    memcpy(own_losses, losses, sizeof losses);
    memcpy(own, table, sizeof table);
    if (what == 0) own_ks[i] = k;
    if (what == 1) own_losses[i] = value;
    if (what == 2) own[i] = value;
    const struct nlsh__margins bad = {3, 3, own_ks, own_losses, own};
    const char *wrong = nlsh__margins_wrong(&bad, least);
    if (words == NULL) {
        assert_null(wrong);
    } else {
        assert_non_null(wrong);
        assert_non_null(strstr(wrong, words));
    }
}

/* The tables stand in a file behind each other: what is before the first number, or behind the last, is not
 * theirs. */
static void what_stands_around_a_table_is_not_read(void **state)
{
    (void)state;
    const uint32_t many[] = {UINT32_MAX, 1, 10, 1000};
    const float large[] = {.9f, .001f, .01f, .1f};
    const struct nlsh__margins good = {3, 3, many + 1, large + 1, table};
    assert_null(nlsh__margins_wrong(&good, 0));
    const struct nlsh__margins two = {2, 3, ks, losses, table};
    assert_float_equal(nlsh__margin_at(&two, 500, .01), 6, 1e-5);
    assert_float_equal(nlsh__margin_at(&two, 500, .001), 9, 1e-5);
    const float row[] = {12, 8, -1e6f};
    const struct nlsh__margins losses_of_two = {1, 2, ks, losses, row};
    assert_float_equal(nlsh__margin_at(&losses_of_two, 1, .05), 8, 1e-5);
}

static void tables_that_mean_nothing_are_wrong(void **state)
{
    (void)state;
    const struct nlsh__margins none = {0};
    assert_null(nlsh__margins_wrong(&none, 0));
    assert_null(nlsh__margins_wrong(&m, 0));
    changed(0, 0, 0, 0, 0, "number of neighbours");
    changed(0, 0, 0, 10, 0, "number of neighbours"); /* twice */
    changed(2, 0, 0, 9, 0, "number of neighbours");  /* not rising */
    changed(0, 0, 0, 9, 0, NULL);
    const float not_numbers[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 9; i++)
        for (size_t v = 0; v < 3; v++) {
            if (i < 3) changed(i, 1, not_numbers[v], 0, 0, "share of neighbours");
            changed(i, 2, not_numbers[v], 0, -1e9f, "a margin");
        }
    changed(0, 1, 0, 0, 0, "share of neighbours");
    changed(0, 1, 9e-10f, 0, 0, "share of neighbours");
    changed(0, 1, 1e-9f, 0, 0, NULL);
    changed(2, 1, .5f, 0, 0, NULL);
    changed(2, 1, .500001f, 0, 0, "share of neighbours");
    changed(1, 1, .001f, 0, 0, "share of neighbours"); /* twice */
    changed(4, 2, -.001f, 0, 0, "a margin");
    changed(4, 2, -.001f, 0, -1e9f, NULL);
    changed(4, 2, 1e9f, 0, 0, NULL);
    changed(4, 2, 1.001e9f, 0, 0, "a margin");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_measured_is_given_back),
        cmocka_unit_test(between_two_points_logarithms_count),
        cmocka_unit_test(beyond_them_the_nearest_counts),
        cmocka_unit_test(a_promise_needs_a_measurement),
        cmocka_unit_test(more_that_may_be_lost_needs_no_more),
        cmocka_unit_test(small_tables),
        cmocka_unit_test(tables_that_mean_nothing_are_wrong),
        cmocka_unit_test(what_stands_around_a_table_is_not_read),
    };
    return cmocka_run_group_tests_name("promise/margins", tests, NULL, NULL);
}
