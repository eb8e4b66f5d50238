/* test_weights.c - a bucket's probability per vector: the mean bucket's size over its own. */
#include "promise/weights.h"

#include <math.h>

#include "testing.h"

static void the_mean_bucket_weighs_one(void **state)
{
    (void)state;
    assert_true(nlsh__bucket_weight(1000, 10, 100) == 1);
    assert_true(nlsh__bucket_weight(1000, 10, 200) == .5f);
    assert_true(nlsh__bucket_weight(1000, 10, 25) == 4);
    assert_true(nlsh__bucket_weight(1000, 10, 0) == 0);
    assert_true(nlsh__bucket_weight(4294967294u, 2, 1) == 2147483647.0f);
}

/* Over all rows, one over the weight of a row's bucket has the mean 1, whatever the sizes, if none is empty. */
static void weights_even_out(void **state)
{
    (void)state;
    const size_t sizes[] = {3, 1, 40, 700, 12, 9};
    size_t n = 0, m = sizeof sizes / sizeof *sizes;
    double sum = 0;
    for (size_t b = 0; b < m; b++) n += sizes[b];
    for (size_t b = 0; b < m; b++) sum += 1 / (double)nlsh__bucket_weight(n, m, sizes[b]);
    assert_float_equal(sum / (double)m, 1, 1e-6);
    for (size_t b = 1; b < m; b++)
        assert_true((sizes[b] > sizes[b - 1]) == (nlsh__bucket_weight(n, m, sizes[b]) <
                                                  nlsh__bucket_weight(n, m, sizes[b - 1])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mean_bucket_weighs_one),
        cmocka_unit_test(weights_even_out),
    };
    return cmocka_run_group_tests_name("promise/weights", tests, NULL, NULL);
}
