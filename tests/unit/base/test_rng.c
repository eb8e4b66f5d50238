/* test_rng.c - random numbers: the same everywhere, streams apart, ranges and shares as promised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

enum { N = 20000 };

/* xoshiro256** from the state 1, 2, 3, 4: the published generator's first values. */
static void values_are_xoshiros(void **state)
{
    static const uint64_t want[] = {11520, 0, 1509978240, 1215971899390074240};
    (void)state;
    struct nlsh__rng rng = {.state = {1, 2, 3, 4}};
    for (int i = 0; i < 4; i++) assert_true(nlsh__rng_u64(&rng) == want[i]);
}

static void streams_repeat_and_differ(void **state)
{
    (void)state;
    uint64_t first[64];
    for (uint64_t s = 0; s < 64; s++) {
        struct nlsh__rng a, b;
        nlsh__rng_init(&a, s / 8, s % 8);
        nlsh__rng_init(&b, s / 8, s % 8);
        first[s] = nlsh__rng_u64(&a);
        assert_true(first[s] == nlsh__rng_u64(&b));
        for (uint64_t t = 0; t < s; t++) assert_true(first[s] != first[t]);
    }
}

/* Each of 7 numbers should come N / 7 times; 5 standard deviations are about 260. */
static void below_is_even(void **state)
{
    (void)state;
    size_t times[7] = {0};
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 1, 0);
    for (int i = 0; i < N; i++) {
        uint64_t x = nlsh__rng_below(&rng, 7);
        assert_in_range(x, 0, 6);
        times[x]++;
    }
    for (int i = 0; i < 7; i++) assert_true(fabs((double)times[i] - N / 7.0) < 260);
    for (int i = 0; i < 100; i++) assert_int_equal(nlsh__rng_below(&rng, 1), 0);
}

static void normal_has_its_moments(void **state)
{
    (void)state;
    double sum = 0, square = 0;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 2, 0);
    for (int i = 0; i < N; i++) {
        double u = nlsh__rng_uniform(&rng);
        assert_true(u >= 0 && u < 1);
        double x = nlsh__rng_normal(&rng);
        sum += x;
        square += x * x;
    }
    assert_true(fabs(sum / N) < 5 / sqrt(N)); /* 5 standard deviations, as below */
    assert_true(fabs(square / N - 1) < 5 * sqrt(2.0 / N));
}

static void shuffles_permute_and_samples_ascend(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 3, 0);
    for (size_t n = 1; n <= 40; n++) {
        uint32_t order[40];
        uint64_t seen = 0;
        for (uint32_t i = 0; i < n; i++) order[i] = i;
        nlsh__rng_shuffle(&rng, order, n);
        for (size_t i = 0; i < n; i++) seen |= (uint64_t)1 << order[i];
        assert_true(seen == ((uint64_t)1 << n) - 1);
        for (size_t count = 0; count <= n; count++) {
            nlsh__rng_sample(&rng, n, count, order);
            for (size_t i = 0; i < count; i++) {
                assert_true(order[i] < n);
                if (i > 0) assert_true(order[i] > order[i - 1]);
            }
        }
    }
}

/* memory.h: sizes that cannot be had are an error, not a wrap; what is had is aligned. */
static void allocation_is_checked(void **state)
{
    (void)state;
    static const size_t bad[][2] = {{SIZE_MAX, 2}, {SIZE_MAX / 2 + 1, 2}, {SIZE_MAX, 1},
                                    {SIZE_MAX - 64, 1}, {(size_t)1 << 40, (size_t)1 << 40}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *p = &p;
        assert_int_equal(nlsh__alloc(&p, bad[i][0], bad[i][1], NULL), NLSH_E_NOMEM);
        assert_null(p);
    }
    for (size_t n = 0; n < 200; n++) {
        uint8_t *p;
        assert_int_equal(nlsh__calloc(&p, n, 1, NULL), NLSH_OK);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % NLSH_ALIGN, 0);
        for (size_t i = 0; i < n; i++) assert_int_equal(p[i], 0);
        free(p);
        assert_int_equal(nlsh__alloc(&p, n, 1, NULL), NLSH_OK);
        memset(p, 255, n);
        size_t padded = (n + NLSH_ALIGN - 1) / NLSH_ALIGN * NLSH_ALIGN;
        for (size_t i = n; i < padded; i++) assert_int_equal(p[i], 0);
        free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_xoshiros),
        cmocka_unit_test(streams_repeat_and_differ),
        cmocka_unit_test(below_is_even),
        cmocka_unit_test(normal_has_its_moments),
        cmocka_unit_test(shuffles_permute_and_samples_ascend),
        cmocka_unit_test(allocation_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
