/* test_half.c - binary16: every one of them, and what lies between two. */
#include <math.h>

#include "base/half.h"
#include "testing.h"

/* What the format says (IEEE 754-2019, 3.4): sign, 5 bits of exponent, 10 of fraction. */
static double value_of(unsigned half)
{
    int exponent = (int)(half >> 10 & 31), fraction = (int)(half & 1023);
    double size = exponent == 0    ? ldexp(fraction, -24)
                  : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                   : ldexp(1024 + fraction, exponent - 25);
    return half >> 15 ? -size : size;
}

static void every_half_is_its_value_and_comes_back(void **state)
{
    (void)state;
    for (unsigned half = 0; half < 65536; half++) {
        double expected = value_of(half);
        float found = nlsh__from_f16((uint16_t)half);
        if (isnan(expected)) {
            assert_true(isnan(found));
            assert_true(isnan(nlsh__from_f16(nlsh__to_f16(found))));
            continue;
        }
        assert_true((double)found == expected);
        assert_int_equal(signbit(found) != 0, half >> 15);
        assert_int_equal(nlsh__to_f16(found), half);
    }
}

/* Of two neighbours the nearer; in the middle the even one. */
static void what_lies_between_goes_to_the_nearest(void **state)
{
    (void)state;
    for (unsigned half = 0; half < 0x7bff; half++) {
        float low = nlsh__from_f16((uint16_t)half), high = nlsh__from_f16((uint16_t)(half + 1));
        float middle = low + (high - low) / 2; /* exact: 11 bits and one */
        unsigned even = half % 2 == 0 ? half : half + 1;
        assert_int_equal(nlsh__to_f16(middle), even);
        assert_int_equal(nlsh__to_f16(-middle), even | 0x8000);
        assert_int_equal(nlsh__to_f16(nextafterf(middle, 0)), half);
        assert_int_equal(nlsh__to_f16(nextafterf(middle, INFINITY)), half + 1);
    }
    assert_int_equal(nlsh__to_f16(65519.996f), 0x7bff);
    assert_int_equal(nlsh__to_f16(65520), 0x7c00);
    assert_int_equal(nlsh__to_f16(1e30f), 0x7c00);
    assert_int_equal(nlsh__to_f16(1e-30f), 0);
}

/* bf16 is the upper half of an f32: so is its value, and the nearest is found by the other half. */
static void every_bf16_is_its_value_and_comes_back(void **state)
{
    (void)state;
    for (uint32_t upper = 0; upper < 65536; upper++) {
        uint32_t bits = upper << 16;
        float expected, found = nlsh__from_bf16((uint16_t)upper);
        memcpy(&expected, &bits, sizeof expected);
        if (isnan(expected)) {
            assert_true(isnan(found) && isnan(nlsh__from_bf16(nlsh__to_bf16(found))));
            continue;
        }
        assert_true(found == expected);
        assert_int_equal(nlsh__to_bf16(found), upper);
    }
    for (uint32_t upper = 0; upper < 0x7f7f; upper++) {
        uint32_t middle = upper << 16 | 0x8000;
        float value;
        memcpy(&value, &middle, sizeof value);
        uint32_t even = upper % 2 == 0 ? upper : upper + 1;
        assert_int_equal(nlsh__to_bf16(value), even);
        assert_int_equal(nlsh__to_bf16(-value), even | 0x8000);
        assert_int_equal(nlsh__to_bf16(nextafterf(value, 0)), upper);
        assert_int_equal(nlsh__to_bf16(nextafterf(value, INFINITY)), upper + 1);
    }
    assert_int_equal(nlsh__to_bf16(3.4e38f), 0x7f80); /* half a step beyond the largest */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_is_its_value_and_comes_back),
        cmocka_unit_test(what_lies_between_goes_to_the_nearest),
        cmocka_unit_test(every_bf16_is_its_value_and_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
