/* test_outside.c - what is usually expected outside of the scanned buckets: between and beyond what was measured, and
 * what of a file is refused; worked by hand from docs/index-format.md. */
#include "promise/outside.h"

#include <math.h>

#include "testing.h"

static const struct nlsh__outside_point points[] = {
    {.1f, .4f}, {.01f, .2f}, {.0001f, .05f}, {.00001f, 0}};
static const struct nlsh__outside measured = {4, points};

static void at(float threshold, double wanted)
{
    assert_float_equal(nlsh__outside_at(&measured, threshold), wanted, 1e-6);
}

static void measured_points_stand_and_logarithms_lie_between(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) at(points[i].threshold, (double)points[i].outside);
    at(.001f, .125);
    at(sqrtf(.001f), .3);
    for (float t = .2f, last = 1; t > 1e-7f; t *= .9f) {
        float now = nlsh__outside_at(&measured, t);
        assert_true(now <= last);
        last = now;
    }
}

static void beyond_them_the_nearest_and_all_buckets_leave_nothing(void **state)
{
    (void)state;
    const struct nlsh__outside none = {0, NULL}, one = {1, points};
    at(.5f, .4);
    at(1e-9f, 0);
    at(0, 0);
    at(NAN, 0);
    assert_true(nlsh__outside_at(&one, 1e-9f) == .4f && nlsh__outside_at(&one, .9f) == .4f);
    assert_true(nlsh__outside_at(&none, .1f) == 0);
}

static void what_is_out_of_range_or_order_is_found(void **state)
{
    (void)state;
    assert_int_equal(nlsh__outside_wrong(&measured), 4);
    const struct nlsh__outside none = {0, NULL};
    assert_int_equal(nlsh__outside_wrong(&none), 0);
    static const struct nlsh__outside_point wrong[] = {
        {.01f, .5f},  {.02f, .1f}, {0, .1f},    {1, .1f},           {NAN, .1f},
        {.005f, .3f}, {.005f, 2},  {.005f, -1}, {.005f, -INFINITY}, {.005f, NAN}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct nlsh__outside_point changed[] = {points[0], points[1], wrong[i], points[3]};
        const struct nlsh__outside o = {4, changed};
        assert_int_equal(nlsh__outside_wrong(&o), 2);
    }
}

static void probabilities_leave_over_what_is_missing_to_one(void **state)
{
    (void)state;
    const float some[] = {.5f, .25f, .125f}, all[] = {.5f, .5f, 1e-6f}, damaged[] = {NAN, .1f};
    assert_float_equal(nlsh__left_over(some, 3), .125, 1e-7);
    assert_float_equal(nlsh__left_over(some, 0), 1, 0);
    assert_float_equal(nlsh__left_over(all, 3), 0, 0);
    assert_float_equal(nlsh__left_over(damaged, 2), 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measured_points_stand_and_logarithms_lie_between),
        cmocka_unit_test(beyond_them_the_nearest_and_all_buckets_leave_nothing),
        cmocka_unit_test(what_is_out_of_range_or_order_is_found),
        cmocka_unit_test(probabilities_leave_over_what_is_missing_to_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
