/* test_brute.c - brute force against double arithmetic. */
#include "sets.h"

/* ---- brute force ----------------------------------------------------------------------------- */

static void test_every_pair_of_types(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 21, 0);
    const enum nlsh_type types[] = {NLSH_U8, NLSH_I8, NLSH_F32, NLSH_F32};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            for (size_t dim = 1; dim < 140; dim = dim * 2 + 1) {
                struct set base = make_set(&rng, types[i], N, dim, 256, i == 3 ? 0.3f : 0);
                struct set queries =
                    make_set(&rng, types[j], N_QUERIES, dim, 256, j == 3 ? 0.6f : 0);
                /* whole numbers below 2^24: exact in floats too */
                int exact = i != 3 && j != 3;
                brute(&base.matrix, &queries.matrix, NLSH__BRUTE_BEST, K, &a);
                check_answer(&a, &base.matrix, &queries.matrix, K, exact);
                brute(&base.matrix, &queries.matrix, NLSH__BRUTE_PLAIN, K, &b);
                check_answer(&b, &base.matrix, &queries.matrix, K, exact);
                if (exact) {
                    assert_memory_equal(a.keys, b.keys, N_QUERIES * K * sizeof *a.keys);
                    assert_memory_equal(a.distances, b.distances,
                                        N_QUERIES * K * sizeof *a.distances);
                }
                free(base.data);
                free(queries.data);
            }
}

static void test_ties_go_by_id(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 22, 0);
    struct set base = make_set(&rng, NLSH_U8, N, 3, 2, 0); /* 8 points, 300 rows */
    struct set queries = make_set(&rng, NLSH_U8, N_QUERIES, 3, 2, 0);
    brute(&base.matrix, &queries.matrix, NLSH__BRUTE_BEST, K, &a);
    check_answer(&a, &base.matrix, &queries.matrix, K, 1);
    brute(&base.matrix, &queries.matrix, NLSH__BRUTE_PLAIN, K, &b);
    assert_memory_equal(a.keys, b.keys, N_QUERIES * K * sizeof *a.keys);
    free(base.data);
    free(queries.data);
}

static void test_more_than_there_are(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 23, 0);
    const size_t rows[] = {1, 2, N};
    for (int i = 0; i < 3; i++) {
        struct set base = make_set(&rng, NLSH_U8, rows[i], 9, 256, 0);
        struct set queries = make_set(&rng, NLSH_U8, N_QUERIES, 9, 256, 0);
        for (size_t k = rows[i]; k <= rows[i] + 5; k += 5)
            for (int how = 0; how < 2; how++) {
                brute(&base.matrix, &queries.matrix, (enum nlsh__brute_method)how, k, &a);
                check_answer(&a, &base.matrix, &queries.matrix, k, 1);
            }
        free(base.data);
        free(queries.data);
    }
}

static void test_large_distances_stay_integers(void **state)
{
    (void)state;
    /* 5000 x 255^2 is above 2^28: two distances that one float holds are still told apart. */
    enum { DIM = 5000 };
    uint8_t *base = malloc(3 * DIM), *query = calloc(DIM, 1);
    memset(base, 255, 3 * DIM);
    base[0 * DIM] = 254;
    base[1 * DIM] = 253;
    struct nlsh_matrix b3 = {base, 3, DIM, NLSH_U8, 0}, q1 = {query, 1, DIM, NLSH_U8, 0};
    brute(&b3, &q1, NLSH__BRUTE_BEST, 3, &a);
    assert_int_equal(a.keys[0], 1);
    assert_int_equal(a.keys[1], 0);
    assert_int_equal(a.keys[2], 2);
    free(base);
    free(query);
}

static void test_wrong_arguments(void **state)
{
    (void)state;
    struct nlsh_error error;
    float x[6] = {1, 2, 3, 4, 5, NAN};
    struct nlsh_matrix base = {x, 2, 2, NLSH_F32, 0}, narrow = {x, 1, 1, NLSH_F32, 0};
    struct nlsh_matrix bad = {x, 3, 2, NLSH_F32, 0};
    uint64_t keys[9];
    assert_int_equal(exact(&base, &base, NLSH__BRUTE_BEST, 0, keys, NULL, &error), NLSH_E_ARG);
    assert_int_equal(exact(&base, &narrow, NLSH__BRUTE_BEST, 1, keys, NULL, &error),
                     NLSH_E_MISMATCH);
    assert_int_equal(exact(&base, &bad, NLSH__BRUTE_BEST, 1, keys, NULL, &error), NLSH_E_DATA);
    assert_int_equal(exact(&base, &base, NLSH__BRUTE_BEST, 1, keys, NULL, NULL), NLSH_OK);
    assert_int_equal(keys[0], 0);
    assert_int_equal(keys[1], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair_of_types),
        cmocka_unit_test(test_ties_go_by_id),
        cmocka_unit_test(test_more_than_there_are),
        cmocka_unit_test(test_large_distances_stay_integers),
        cmocka_unit_test(test_wrong_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
