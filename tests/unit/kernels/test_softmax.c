/* test_softmax.c - softmax of every table against double arithmetic. */
#include <float.h>
#include <math.h>

#include "kernels/kernels.h"
#include "support/guard.h"

enum { MOST = 1024 };
#define UNIT 5.9604644775390625e-8

static const struct nlsh__kernels *tables[NLSH__N_TABLES];
static size_t n_tables;
static struct nlsh__rng rng;
static struct guarded room;

/* x is x_i - max, rounded once: the exponential's relative error is that of the polynomial
 * (3e-7), a unit of x's size, and what the sum of n adds. Below e^-87 the answer may be 0. */
static void check(const float *logits, size_t n)
{
    float *x = guarded_tail(&room, n * sizeof *x);
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, (double)logits[i]);
    for (size_t i = 0; i < n; i++) sum += exp((double)logits[i] - most);
    for (size_t t = 0; t < n_tables; t++) {
        memcpy(x, logits, n * sizeof *x);
        double logsum = (double)tables[t]->softmax_f32(x, n), total = 0;
        for (size_t i = 0; i < n; i++) {
            double below = (double)logits[i] - most, expected = exp(below) / sum;
            double relative = 1e-6 + UNIT * ((double)n / 16 + fabs(below));
            total += (double)x[i];
            if (below == -INFINITY ? x[i] == 0
                                   : fabs((double)x[i] - expected) <= relative * expected + 1e-37)
                continue;
            fail_msg("%s: value %zu of %zu is %.9g, not %.9g", tables[t]->name, i, n, (double)x[i],
                     expected);
        }
        assert_true(fabs(total - 1) <= 2e-6 + UNIT * (double)n / 16);
        double expected = most + log(sum);
        assert_true(fabs(logsum - expected) <= 2 * UNIT * (fabs(most) + fabs(expected)) + 2e-6);
    }
}

static void equals_double_arithmetic(void **state)
{
    static const double spreads[] = {0, 0.01, 1, 10, 60, 300};
    static const double offsets[] = {0, -50, 1000, 1e6};
    float logits[MOST];
    (void)state;
    for (size_t n = 1; n <= 71; n++) {
        size_t count = n == 71 ? MOST : n;
        for (size_t s = 0; s < sizeof spreads / sizeof *spreads; s++)
            for (size_t o = 0; o < sizeof offsets / sizeof *offsets; o++) {
                for (size_t i = 0; i < count; i++)
                    logits[i] = (float)(spreads[s] * nlsh__rng_normal(&rng) + offsets[o]);
                check(logits, count);
            }
    }
}

static void takes_very_large_logits(void **state)
{
    float logits[MOST];
    (void)state;
    for (size_t n = 1; n <= 40; n++) {
        for (size_t i = 0; i < n; i++) logits[i] = i % 3 == 0 ? 3e38f : -3e38f;
        check(logits, n);
        for (size_t i = 0; i < n; i++) logits[i] = i == n / 2 ? -1e30f : -3e38f;
        check(logits, n);
    }
}

/* -infinity is a bucket that cannot be: exactly 0, and no NaN spreads from it. */
static void leaves_gaps_at_zero(void **state)
{
    float logits[MOST];
    (void)state;
    for (size_t n = 2; n <= 70; n++)
        for (int repeat = 0; repeat < 10; repeat++) {
            for (size_t i = 0; i < n; i++)
                logits[i] =
                    nlsh__rng_below(&rng, 3) == 0 ? -INFINITY : (float)(5 * nlsh__rng_normal(&rng));
            logits[nlsh__rng_below(&rng, n)] = 1;
            check(logits, n);
        }
    for (size_t i = 0; i < MOST; i++) logits[i] = i == 777 ? 12.0f : -INFINITY;
    check(logits, MOST);
}

/* Around where e^x falls below what a float holds: small, never negative, never NaN. */
static void fades_out(void **state)
{
    (void)state;
    for (size_t t = 0; t < n_tables; t++)
        for (float below = -80; below > -110; below -= 0.01f) {
            float x[2] = {0, below};
            tables[t]->softmax_f32(x, 2);
            assert_true(x[0] == 1);
            assert_true(x[1] >= 0 && (double)x[1] <= exp((double)below) * 1.0001 + 1e-37);
        }
}

/* A damaged file's weights. Where a value is NaN or +infinity, or all are -infinity, there is no
 * softmax: every answer is NaN, in every table, and nothing traps. Everything else has one. */
static void weights_of_a_damaged_file(void **state)
{
    static const float odd[] = {NAN,     -NAN,     INFINITY, -INFINITY,
                                FLT_MAX, -FLT_MAX, FLT_MIN,  -1e-45f};
    float logits[MOST];
    (void)state;
    for (int repeat = 0; repeat < 3000; repeat++) {
        size_t n = 1 + nlsh__rng_below(&rng, 70);
        size_t kinds = repeat % 2 ? 8 : 2; /* NaN among usual values, or everything together */
        int is_none = 0, n_gaps = 0;
        for (size_t i = 0; i < n; i++) {
            logits[i] = nlsh__rng_below(&rng, 8) == 0 ? odd[nlsh__rng_below(&rng, kinds)]
                                                      : (float)(1000 * nlsh__rng_normal(&rng));
            is_none |= !(logits[i] < INFINITY);
            n_gaps += logits[i] == -INFINITY;
        }
        if (!is_none && n_gaps < (int)n) {
            check(logits, n);
            continue;
        }
        float *x = guarded_tail(&room, n * sizeof *x);
        for (size_t t = 0; t < n_tables; t++) {
            memcpy(x, logits, n * sizeof *x);
            assert_true(isnan(tables[t]->softmax_f32(x, n)));
            for (size_t i = 0; i < n; i++) assert_true(isnan(x[i]));
        }
    }
    /* a NaN of which only the lowest bit is set, first, in the middle and last */
    const uint32_t bits = 0x7f800001;
    for (size_t n = 1; n <= 40; n++)
        for (size_t at = 0; at < n; at++)
            for (size_t t = 0; t < n_tables; t++) {
                float *x = guarded_tail(&room, n * sizeof *x);
                for (size_t i = 0; i < n; i++) x[i] = (float)(100 * i);
                memcpy(x + at, &bits, sizeof bits);
                tables[t]->softmax_f32(x, n);
                for (size_t i = 0; i < n; i++) assert_true(isnan(x[i]));
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_double_arithmetic),  cmocka_unit_test(takes_very_large_logits),
        cmocka_unit_test(leaves_gaps_at_zero),       cmocka_unit_test(fades_out),
        cmocka_unit_test(weights_of_a_damaged_file),
    };
    test_rng(&rng, 0);
    n_tables = nlsh__kernels_all(tables, NLSH__N_TABLES);
    room = guarded_alloc(MOST * sizeof(float));
    int failed = cmocka_run_group_tests_name("kernels/softmax", tests, NULL, NULL);
    guarded_free(&room);
    return failed;
}
