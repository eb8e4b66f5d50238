/*
 * test_rng.c - the generator gives the numbers that its authors publish, for ever; what is made of
 * them has the distribution that the header promises.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

/* xoshiro256** from state 1, 2, 3, 4: the values that other implementations test with. */
static void test_known_answer(void **state)
{
    (void)state;
    static const uint64_t golden[] = {
        11520u,
        0u,
        1509978240u,
        1215971899390074240u,
        1216172134540287360u,
        607988272756665600u,
        16172922978634559625u,
        8476171486693032832u,
        10595114339597558777u,
        2904607092377533576u,
    };
    struct nlsh__rng rng = {{1, 2, 3, 4}};
    for (int i = 0; i < 10; i++) assert_true(nlsh__rng_u64(&rng) == golden[i]);
}

/* Ours, so that an index of an old seed can be made again. Computed by a separate program. */
static void test_streams_are_frozen(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed, stream, first[3];
    } golden[] = {
        {0, 0, {0xfb5405f7bd79c540u, 0x780c98e26cea5883u, 0x2a146e0980febc66u}},
        {1, 0, {0xee127fe613436e33u, 0xd6dad8d34a1874eau, 0x2a52c16cec1116a9u}},
        {1, 1, {0x550e4e55a37114ccu, 0xa645791d18940fddu, 0xebededf9628ebf4cu}},
        {42, 7, {0x62737c38a122f17bu, 0xea6ebb82a9ba9dafu, 0xd441ca1af7a73d34u}},
        {UINT64_MAX, UINT64_MAX, {0xe9fc6d9be884c3eeu, 0x4980a5a6f711ebe8u, 0x5af9709165e7a521u}},
    };
    for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++) {
        struct nlsh__rng rng;
        nlsh__rng_init(&rng, golden[i].seed, golden[i].stream);
        for (int j = 0; j < 3; j++) assert_true(nlsh__rng_u64(&rng) == golden[i].first[j]);
    }
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Seeds and streams in a row, both ways round: the first numbers all differ. */
static void test_streams_differ(void **state)
{
    (void)state;
    enum { N = 100 };
    static uint64_t first[N * N];
    for (uint64_t i = 0; i < N; i++)
        for (uint64_t j = 0; j < N; j++) {
            struct nlsh__rng rng;
            nlsh__rng_init(&rng, i, j);
            first[i * N + j] = nlsh__rng_u64(&rng);
        }
    qsort(first, N * N, sizeof first[0], compare_u64);
    for (int i = 1; i < N * N; i++) assert_true(first[i] != first[i - 1]);
}

/* Pearson's statistic less its mean, in standard deviations: beyond 6 is no accident. */
static double excess(const size_t *counts, size_t n_cells, size_t n)
{
    double expected = (double)n / (double)n_cells, sum = 0;
    for (size_t i = 0; i < n_cells; i++) {
        double d = (double)counts[i] - expected;
        sum += d * d / expected;
    }
    return (sum - (double)(n_cells - 1)) / sqrt(2.0 * (double)(n_cells - 1));
}

static void test_below(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 3, 0);
    for (int i = 0; i < 100; i++) assert_true(nlsh__rng_below(&rng, 1) == 0);
    for (uint64_t bound = 2; bound <= 200; bound += 11) {
        size_t counts[200] = {0};
        for (int i = 0; i < 20000; i++) {
            uint64_t x = nlsh__rng_below(&rng, bound);
            assert_true(x < bound);
            counts[x]++;
        }
        assert_true(excess(counts, bound, 20000) < 6);
    }
    /* At 3/4 of the range a method without rejection gives every third value twice as often. */
    size_t thirds[3] = {0};
    uint64_t bound = (uint64_t)3 << 62;
    for (int i = 0; i < 30000; i++) {
        uint64_t x = nlsh__rng_below(&rng, bound);
        assert_true(x < bound);
        thirds[x % 3]++;
    }
    assert_true(excess(thirds, 3, 30000) < 6);
    /* The largest bound leaves out one value in 2^64: it must still end. */
    for (int i = 0; i < 100; i++) assert_true(nlsh__rng_below(&rng, UINT64_MAX) < UINT64_MAX);
}

static void test_uniform(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 4, 0);
    size_t counts[64] = {0};
    for (int i = 0; i < 100000; i++) {
        double u = nlsh__rng_uniform(&rng);
        assert_true(u >= 0 && u < 1);
        counts[(int)(u * 64)]++;
    }
    assert_true(excess(counts, 64, 100000) < 6);
    /* 53 bits: the top ones of a word, so never 1 */
    struct nlsh__rng copy = rng;
    for (int i = 0; i < 1000; i++) {
        double u = nlsh__rng_uniform(&rng);
        assert_true(u == ldexp((double)(nlsh__rng_u64(&copy) >> 11), -53));
    }
}

static void test_normal(void **state)
{
    (void)state;
    enum { N = 200000 };
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 5, 0);
    double sum = 0, square = 0, cube = 0, fourth = 0, previous = 0, product = 0;
    int beyond_3 = 0;
    for (int i = 0; i < N; i++) {
        double x = nlsh__rng_normal(&rng);
        assert_true(isfinite(x));
        sum += x;
        square += x * x;
        cube += x * x * x;
        fourth += x * x * x * x;
        product += x * previous;
        previous = x;
        beyond_3 += fabs(x) > 3;
    }
    /* standard errors: 1, sqrt 2, sqrt 15, sqrt 96 and 1 over sqrt N; six of each */
    double six = 6 / sqrt(N);
    assert_true(fabs(sum / N) < six);
    assert_true(fabs(square / N - 1) < six * 1.42);
    assert_true(fabs(cube / N) < six * 3.88);
    assert_true(fabs(fourth / N - 3) < six * 9.8);
    assert_true(fabs(product / N) < six);
    assert_true(beyond_3 > 400 && beyond_3 < 680); /* 540 expected */
}

static void test_shuffle(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 6, 0);
    nlsh__rng_shuffle(&rng, NULL, 0);
    size_t counts[3125] = {0};
    for (int i = 0; i < 24000; i++) {
        uint32_t v[5] = {0, 1, 2, 3, 4};
        nlsh__rng_shuffle(&rng, v, 5);
        unsigned seen = 0, code = 0;
        for (int j = 0; j < 5; j++) {
            seen |= 1u << v[j];
            code = code * 5 + v[j];
        }
        assert_int_equal(seen, 31);
        counts[code]++;
    }
    /* all 120 orders, evenly */
    size_t orders[120], n = 0;
    for (int i = 0; i < 3125; i++)
        if (counts[i] > 0) {
            assert_true(n < 120);
            orders[n++] = counts[i];
        }
    assert_int_equal(n, 120);
    assert_true(excess(orders, 120, 24000) < 6);
}

static void test_sample(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 7, 0);
    uint32_t out[64];
    for (size_t n = 0; n <= 64; n++)
        for (size_t count = 0; count <= n; count++) {
            memset(out, 0xff, sizeof out);
            nlsh__rng_sample(&rng, n, count, out);
            for (size_t i = 0; i < count; i++) {
                assert_true(out[i] < n);
                if (i > 0) assert_true(out[i] > out[i - 1]);
            }
            if (count < 64) assert_int_equal(out[count], UINT32_MAX); /* no more than asked */
        }
    size_t counts[20] = {0};
    for (int i = 0; i < 20000; i++) {
        nlsh__rng_sample(&rng, 20, 5, out);
        for (int j = 0; j < 5; j++) counts[out[j]]++;
    }
    assert_true(excess(counts, 20, 100000) < 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answer),   cmocka_unit_test(test_streams_are_frozen),
        cmocka_unit_test(test_streams_differ), cmocka_unit_test(test_below),
        cmocka_unit_test(test_uniform),        cmocka_unit_test(test_normal),
        cmocka_unit_test(test_shuffle),        cmocka_unit_test(test_sample),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
