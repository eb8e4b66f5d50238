/* test_quantise.c - floats as bytes: every table gives what the contract says, bit for bit, and
 * touches nothing behind the values and the bytes. */
#include <float.h>
#include <math.h>

#include "kernels/kernels.h"
#include "support/guard.h"

enum { MOST = 300 };

static const struct nlsh__kernels *tables[NLSH__N_TABLES];
static size_t n_tables;
static struct nlsh__rng rng;
static struct guarded values, bytes;

static float *fill(size_t n, int zero, double size)
{
    float *x = guarded_tail(&values, n * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(size * nlsh__rng_normal(&rng));
        if (zero == 0) x[i] = fabsf(x[i]);
    }
    return x;
}

/* Each byte is x / scale + zero, rounded: at most half a step and a little away. */
static void check(const float *x, size_t n, int zero)
{
    size_t padded = (n + 3) / 4 * 4;
    uint8_t *out = guarded_tail(&bytes, padded), first[MOST];
    double most = 0, room = zero == 0 ? 255 : 127;
    float first_scale = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs((double)x[i]));
    for (size_t t = 0; t < n_tables; t++) {
        memset(out, 77, padded);
        float scale = tables[t]->quantise_u8(x, n, zero, out);
        assert_true(fabs((double)scale - most / room) <= 1e-6 * most / room + 1e-44);
        for (size_t i = 0; i < n; i++) {
            double exact = scale > 0 ? (double)x[i] / (double)scale : 0;
            if (fabs(exact + zero - out[i]) > 0.5001)
                fail_msg("%s: value %zu of %zu is byte %d, not %g", tables[t]->name, i, n, out[i],
                         exact + zero);
        }
        for (size_t i = n; i < padded; i++) assert_int_equal(out[i], zero);
        if (t == 0) {
            memcpy(first, out, padded);
            first_scale = scale;
        }
        assert_memory_equal(out, first, padded);
        assert_memory_equal(&scale, &first_scale, sizeof scale);
    }
}

static void bytes_are_rounded_values(void **state)
{
    static const double sizes[] = {1, 1e-30, 1e30, 0};
    (void)state;
    for (size_t n = 0; n < MOST - 4; n++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (int zero = 0; zero <= 128; zero += 128) check(fill(n, zero, sizes[s]), n, zero);
}

/* The largest stands in every place once: no value is left out of the scale. */
static void the_largest_counts_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t n = 1; n < 70; n++)
        for (size_t at = 0; at < n; at++) {
            float *x = fill(n, 128, 1);
            x[at] = at % 2 ? 50.0f : -50.0f;
            check(x, n, 128);
        }
}

/* Whatever a damaged file leads to: the same bytes and the same scale from every table. */
static void values_that_are_no_numbers(void **state)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 1e-45f};
    (void)state;
    for (int repeat = 0; repeat < 2000; repeat++) {
        size_t n = 1 + nlsh__rng_below(&rng, 90), padded = (n + 3) / 4 * 4;
        float *x = fill(n, 128, 1), first_scale = 0;
        uint8_t *out = guarded_tail(&bytes, padded), first[MOST];
        for (size_t i = 0; i < n; i++)
            if (nlsh__rng_below(&rng, 9) == 0) x[i] = odd[nlsh__rng_below(&rng, 6)];
        for (size_t t = 0; t < n_tables; t++) {
            float scale = tables[t]->quantise_u8(x, n, repeat % 2 ? 128 : 0, out);
            if (t == 0) {
                memcpy(first, out, padded);
                first_scale = scale;
            }
            assert_true(scale >= 0 && scale < INFINITY);
            assert_true(scale == first_scale);
            assert_memory_equal(out, first, padded);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_rounded_values),
        cmocka_unit_test(the_largest_counts_wherever_it_stands),
        cmocka_unit_test(values_that_are_no_numbers),
    };
    test_rng(&rng, 0);
    n_tables = nlsh__kernels_all(tables, NLSH__N_TABLES);
    values = guarded_alloc(MOST * sizeof(float));
    bytes = guarded_alloc(MOST);
    int failed = cmocka_run_group_tests_name("kernels/quantise", tests, NULL, NULL);
    guarded_free(&values);
    guarded_free(&bytes);
    return failed;
}
