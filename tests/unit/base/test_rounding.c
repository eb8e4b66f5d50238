/* test_rounding.c - what rows are kept as: values that come back, what is cut off, and what is refused. */
#include <float.h>
#include <math.h>

#include "base/rng.h"
#include "base/rounding.h"
#include "testing.h"

static struct nlsh__rng rng;

/* What was kept once is kept again as the same byte, whatever the scale. */
static void bytes_come_back(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        float scale = (float)exp(nlsh__rng_normal(&rng) * 8);
        if (i == 0) scale = FLT_MIN;
        if (!nlsh__is_scale(scale)) continue;
        for (int byte = -127; byte <= 127; byte++)
            assert_int_equal(nlsh__to_scaled(nlsh__from_scaled((int8_t)byte, scale), scale), byte);
    }
}

static void values_go_to_the_nearest_byte(void **state)
{
    (void)state;
    assert_int_equal(nlsh__to_scaled(2.5f, 1), 2);
    assert_int_equal(nlsh__to_scaled(3.5f, 1), 4);
    assert_int_equal(nlsh__to_scaled(-2.5f, 1), -2);
    assert_int_equal(nlsh__to_scaled(-2.51f, 1), -3);
    assert_int_equal(nlsh__to_scaled(.49f, 1), 0);
    assert_int_equal(nlsh__to_scaled(126.6f, 1), 127);
    assert_int_equal(nlsh__to_scaled(1e30f, 1e-30f), 127);
    assert_int_equal(nlsh__to_scaled(-1e15f, 1), -127);
}

static void what_is_no_scale(void **state)
{
    static const float wrong[] = {0, -1, NAN, -NAN, INFINITY, -INFINITY, 1e-40f, 1e20f};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(nlsh__is_scale(wrong[i]));
    assert_true(nlsh__is_scale(1) && nlsh__is_scale(FLT_MIN) && nlsh__is_scale(1e12f));
}

/* Of (3, 4, 12) at 11.9 a hundredth is cut off; at 5 more than half. */
static void a_row_may_lose_a_quarter(void **state)
{
    struct nlsh__rounding to = {NLSH_I8, 11.9f / 127};
    struct nlsh_error error;
    float row[3] = {3, 4, -12}, out[3];
    (void)state;
    assert_int_equal(nlsh__round_row(&to, row, 3, out), 3);
    assert_true(fabsf(out[0] - 3) < .05f && fabsf(out[1] - 4) < .05f &&
                fabsf(out[2] + 11.9f) < .001f);
    to.scale = 5 / 127.0f;
    assert_int_equal(nlsh__round_row(&to, row, 3, out), 2);
    assert_int_equal(nlsh__not_kept(&to, row[2], "vector 7: value 2", NLSH_E_ARG, &error),
                     NLSH_E_ARG);
    assert_non_null(strstr(error.message, "vector 7: value 2 is -12"));
    assert_non_null(strstr(error.message, "end at 5,"));
    row[2] = -5.1f;
    assert_int_equal(nlsh__round_row(&to, row, 3, row), 3); /* in place */
    assert_true(fabsf(row[2] + 5) < 1e-5f);
}

/* Kept and read again, a row is what rounding makes of it. */
static void kept_rows_are_rounded_rows(void **state)
{
    static const enum nlsh_type types[] = {NLSH_F32, NLSH_F16, NLSH_BF16, NLSH_I8};
    (void)state;
    for (size_t t = 0; t < 4; t++) {
        const struct nlsh__rounding as = {types[t], .037f};
        float row[33], rounded[33], again[33], kept[33];
        for (size_t d = 0; d < 33; d++) row[d] = (float)nlsh__rng_normal(&rng);
        assert_int_equal(nlsh__round_row(&as, row, 33, rounded), 33);
        nlsh__row_keep(&as, row, 33, kept);
        nlsh__row_kept(&as, kept, 33, again);
        assert_memory_equal(again, rounded, sizeof again);
        for (size_t d = 0; d < 33; d++) assert_true(nlsh__stored_value(&as, kept, d) == rounded[d]);
        assert_int_equal(memcmp(row, rounded, sizeof row) == 0, types[t] == NLSH_F32);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_back),
        cmocka_unit_test(values_go_to_the_nearest_byte),
        cmocka_unit_test(what_is_no_scale),
        cmocka_unit_test(a_row_may_lose_a_quarter),
        cmocka_unit_test(kept_rows_are_rounded_rows),
    };
    nlsh__rng_init(&rng, 11, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
