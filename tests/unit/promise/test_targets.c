/* test_targets.c - thresholds for recalls and numbers of neighbours, between and beyond what was measured. */
#include "promise/targets.h"

#include <math.h>

#include "testing.h"

static const float ten[][2] = {{.5f, .1f}, {.9f, .01f}, {.98f, .0001f}};
static const float thousand[][2] = {{.5f, .01f}, {.9f, .001f}};
static const struct nlsh__target_table tables[] = {{10, 3, ten}, {1000, 2, thousand}};
static const struct nlsh__targets one = {1, tables}, two = {2, tables};

static double of(const struct nlsh__targets *targets, size_t k, double recall)
{
    return (double)nlsh__target_threshold(targets, k, recall);
}

#define CLOSE(got, want) assert_true(fabs((got) / (want)-1) < 1e-5)

static void between_points_the_logarithm_is_linear(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) CLOSE(of(&one, 10, (double)ten[i][0]), (double)ten[i][1]);
    CLOSE(of(&one, 10, .7), sqrt(.1 * .01)); /* half way */
    CLOSE(of(&one, 10, .6), .1 * pow(.1, .25));
    CLOSE(of(&one, 10, .94), .001);
}

/* In front of the first point it counts; behind the last the threshold falls as what is missing does. */
static void beyond_the_points(void **state)
{
    (void)state;
    CLOSE(of(&one, 10, .5), .1);
    CLOSE(of(&one, 10, .01), .1);
    CLOSE(of(&one, 10, .99), .0001 / 2); /* .01 is missing in place of .02 */
    CLOSE(of(&one, 10, .998), .0001 / 10);
    assert_true(of(&one, 10, 1 - 1e-12) > 0);
}

static void between_numbers_of_neighbours(void **state)
{
    (void)state;
    CLOSE(of(&two, 10, .5), .1);
    CLOSE(of(&two, 1000, .5), .01);
    CLOSE(of(&two, 100, .5), sqrt(.1 * .01)); /* half way by logarithms */
    CLOSE(of(&two, 100, .7), sqrt(sqrt(.1 * .01) * sqrt(.01 * .001)));
    CLOSE(of(&two, 1, .5), .1);        /* fewer than were measured: the first */
    CLOSE(of(&two, 100000, .5), .001); /* more: as the last two have it */
    CLOSE(of(&one, 100000, .5), .1);   /* there is but one */
}

/* As far as both tables were measured: guesses beyond their ends may cross. */
static void more_is_wanted_more_is_scanned(void **state)
{
    (void)state;
    for (size_t k = 1; k < 100000; k = k * 3 + 1) {
        double last = 1;
        for (double recall = .001; recall < .9; recall += .001) {
            double now = of(&two, k, recall);
            assert_true(now <= last * (1 + 1e-6) && now > 0);
            assert_true(of(&two, 3 * k, recall) <= now * (1 + 1e-6));
            last = now;
        }
    }
    double last = 1;
    for (double recall = .001; recall < .99999; recall += .0001) {
        assert_true(of(&two, 100, recall) <= last);
        last = of(&two, 100, recall);
    }
}

static void where_nothing_was_measured_all_is_scanned(void **state)
{
    (void)state;
    const struct nlsh__targets none = {0, NULL};
    assert_true(of(&none, 10, .9) == 0);
    assert_null(nlsh__target_table_of(&none, 10));
    assert_ptr_equal(nlsh__target_table_of(&two, 10), &tables[0]);
    assert_ptr_equal(nlsh__target_table_of(&two, 1000), &tables[1]);
    assert_null(nlsh__target_table_of(&two, 100));
    assert_null(nlsh__target_table_of(&one, 1000));
}

static size_t wrong_with(size_t i, size_t j, float value)
{
    float points[3][2];
    memcpy(points, ten, sizeof ten);
    points[i][j] = value;
    const struct nlsh__target_table t = {10, 3, (const float(*)[2])points};
    return nlsh__targets_wrong(&t);
}

static void points_outside_their_meaning(void **state)
{
    (void)state;
    assert_int_equal(nlsh__targets_wrong(&tables[0]), 3);
    const float outside[] = {0, 1, -.5f, 1.5f, NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 2; j++)
            for (size_t v = 0; v < 7; v++) assert_int_equal(wrong_with(i, j, outside[v]), i);
    assert_int_equal(wrong_with(1, 0, .5f), 1); /* a recall twice */
    assert_int_equal(wrong_with(0, 0, .95f), 1);
    assert_int_equal(wrong_with(1, 1, .5f), 3); /* thresholds need no order */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(between_points_the_logarithm_is_linear),
        cmocka_unit_test(beyond_the_points),
        cmocka_unit_test(between_numbers_of_neighbours),
        cmocka_unit_test(more_is_wanted_more_is_scanned),
        cmocka_unit_test(where_nothing_was_measured_all_is_scanned),
        cmocka_unit_test(points_outside_their_meaning),
    };
    return cmocka_run_group_tests_name("promise/targets", tests, NULL, NULL);
}
