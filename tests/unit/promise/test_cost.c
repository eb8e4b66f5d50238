/* test_cost.c - what a query costs, worked by hand from promise/cost.h. */
#include "promise/cost.h"

#include "testing.h"

static void scanning_counts_bytes(void **state)
{
    (void)state;
    /* 1,000 rows of 64 + 5 bytes at 22 GB/s */
    assert_float_equal(nlsh__cost_of_scan(1000, 64), 69000 / 22.0, 40);
    assert_float_equal(nlsh__cost_of_scan(1000, 0), 5000 / 22.0, 4);
    assert_true(nlsh__cost_of_scan(0, 64) == 0);
    assert_float_equal(nlsh__cost_of_scan(3000, 27), 3 * nlsh__cost_of_scan(1000, 27), 1e-6);
}

static void ranking_is_what_was_measured(void **state)
{
    (void)state;
    assert_float_equal(nlsh__cost_of_ranking(1, 784), 50, 3);
    double sift = nlsh__cost_of_ranking(1, 128);
    assert_true(sift >= 25 && sift <= 33);
    assert_float_equal(nlsh__cost_of_ranking(1, 0), 20, 1e-9);
    assert_float_equal(nlsh__cost_of_ranking(70, 100), 70 * 24, 1e-6);
}

static void networks_count_their_weights(void **state)
{
    (void)state;
    const struct nlsh__network_size flat = {64, 1, 256, 1024, 0}, deep = {64, 3, 256, 1024, 0},
                                    none = {64, 0, 256, 1024, 0}, grouped = {64, 1, 256, 1024, 64};
    assert_float_equal(nlsh__cost_of_network(&flat), (64 * 256 + 256 * 1024) / 110.0, 1e-6);
    assert_float_equal(nlsh__cost_of_network(&deep),
                       (64 * 256 + 2 * 256 * 256 + 256 * 1024) / 110.0, 1e-6);
    assert_float_equal(nlsh__cost_of_network(&none), 64 * 1024 / 110.0, 1e-6);
    /* 64 groups, and ten of them with 16 buckets each */
    assert_float_equal(nlsh__cost_of_network(&grouped), (64 * 256 + 256 * (64 + 160)) / 110.0,
                       1e-6);
}

/* Bytes come as a network's weights do, floats five and a half times as slowly. */
static void projections_count_their_weights(void **state)
{
    (void)state;
    assert_float_equal(nlsh__cost_of_projection(784, 128, 1), 784 * 128 / 110.0, 1e-6);
    assert_float_equal(nlsh__cost_of_projection(100, 96, 0), 100 * 96 / 20.0, 1e-6);
}

static void leaves_halve_the_scan(void **state)
{
    (void)state;
    assert_float_equal(NLSH__LEAVES_SCAN, 14300 / 32400.0 + 1 / 16.0, .01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scanning_counts_bytes),
        cmocka_unit_test(ranking_is_what_was_measured),
        cmocka_unit_test(networks_count_their_weights),
        cmocka_unit_test(projections_count_their_weights),
        cmocka_unit_test(leaves_halve_the_scan),
    };
    return cmocka_run_group_tests_name("promise/cost", tests, NULL, NULL);
}
