/* test_check.c - the cap, the check of an answer, the cut's share. */
#include "graph/graph.h"
#include "unit/partition/graphs.h"

static void the_cap(void **state)
{
    (void)state;
    static const struct {
        size_t n, m;
        double imbalance;
        size_t cap;
    } cases[] = {
        {100, 10, 0.0, 10},
        {101, 10, 0.0, 11},
        {100, 10, 0.03, 10},
        {100, 10, 0.1, 11},
        {100, 1, 0.15, 100},
        {200, 2, 0.15, 115},
        {60000, 256, 0.03, 241},
        {60000, 1024, 0.03, 60},
        {7, 7, 0.0, 1},
        {7, 7, 0.9, 1},
        {7, 7, 1.0, 2},
        {1, 1, 0.0, 1},
        {10, 3, 0.0, 4},
        {10, 3, 1e300, 10},
        {1000000, 1024, 0.5, 1464},
        {4000000000u, 1, 0.03, 4000000000u},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(nlsh__bucket_cap(cases[i].n, cases[i].m, cases[i].imbalance),
                         cases[i].cap);
}

static void the_cap_always_suffices(void **state)
{
    (void)state;
    for (size_t n = 1; n < 120; n++)
        for (size_t m = 1; m <= n; m++)
            for (int i = 0; i < 5; i++) {
                size_t cap = nlsh__bucket_cap(n, m, 0.1 * i);
                assert_true(cap * m >= n && cap <= n);
                if (i > 0) assert_true(cap >= nlsh__bucket_cap(n, m, 0.1 * (i - 1)));
            }
}

static void answers(void **state)
{
    (void)state;
    uint32_t bucket_of[] = {0, 1, 2, 0, 1, 2, 2};
    struct nlsh_error error = {0};
    assert_int_equal(nlsh__partition_check(bucket_of, 7, 3, 3, &error), NLSH_OK);
    assert_int_equal(nlsh__partition_check(bucket_of, 7, 3, 2, &error), NLSH_E_INTERNAL);
    assert_non_null(strstr(error.message, "bucket 2 holds 3"));
    assert_int_equal(nlsh__partition_check(bucket_of, 7, 4, 3, &error), NLSH_E_INTERNAL);
    assert_non_null(strstr(error.message, "bucket 3 holds 0"));
    assert_int_equal(nlsh__partition_check(bucket_of, 7, 2, 7, &error), NLSH_E_INTERNAL);
    assert_non_null(strstr(error.message, "vector 2 is in bucket 2, of 2"));
    bucket_of[6] = UINT32_MAX;
    assert_int_equal(nlsh__partition_check(bucket_of, 7, 3, 3, NULL), NLSH_E_INTERNAL);
}

/* The share of the symmetric graph's weight; of neighbours beyond k nothing counts. */
static void the_cut(void **state)
{
    (void)state;
    enum { N = 300, K = 9, FIRST = 6 };
    static uint32_t ids[N * K];
    uint32_t bucket_of[N] = {0};
    const struct nlsh__neighbors graph = {.n_rows = N, .k = K, .ids = ids}, empty = {.k = K};
    struct nlsh__csr csr;
    struct nlsh__rng rng;
    int64_t total = 0;
    nlsh__rng_init(&rng, SEED, 3);
    for (size_t i = 0; i < N; i++) {
        nlsh__rng_sample(&rng, N - 1, K, ids + i * K);
        for (size_t j = 0; j < K; j++) ids[i * K + j] += ids[i * K + j] >= i;
    }
    assert_int_equal(nlsh__csr_from_neighbors(&graph, FIRST, &csr, NULL), NLSH_OK);
    for (int32_t e = 0; e < csr.offsets[N]; e++) total += csr.weights[e];
    assert_true(nlsh__edge_cut(&graph, FIRST, bucket_of) == 0.0);
    assert_true(nlsh__edge_cut(&empty, FIRST, bucket_of) == 0.0);
    for (size_t i = 0; i < N; i++) bucket_of[i] = (uint32_t)nlsh__rng_below(&rng, 9);
    assert_float_equal(nlsh__edge_cut(&graph, FIRST, bucket_of),
                       (double)(2 * cut_weight(&csr, bucket_of)) / (double)total, 1e-12);
    for (size_t i = 0; i < N; i++) bucket_of[i] = (uint32_t)i;
    assert_true(nlsh__edge_cut(&graph, FIRST, bucket_of) == 1.0);
    nlsh__csr_free(&csr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cap),
        cmocka_unit_test(the_cap_always_suffices),
        cmocka_unit_test(answers),
        cmocka_unit_test(the_cut),
    };
    printf("seed %u\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
