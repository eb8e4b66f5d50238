/* test_csr.c - nlsh__csr_from_neighbors() against a table of all pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "graph/graph.h"

#define SEED 20260729u

/* k distinct ids of each row, never the row itself, in random order; row 0 is everyone's. */
static struct nlsh__neighbors random_neighbors(size_t n, size_t k, uint64_t seed)
{
    struct nlsh__neighbors neighbors = {.n_rows = n, .k = k};
    struct nlsh__rng rng;
    uint32_t *all = malloc(n * sizeof *all);
    neighbors.ids = malloc(n * k * sizeof *neighbors.ids);
    assert_true(all && neighbors.ids);
    nlsh__rng_init(&rng, seed, 0);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j + 1 < n; j++) all[j] = (uint32_t)(j + (j >= i));
        nlsh__rng_shuffle(&rng, all, n - 1);
        memcpy(neighbors.ids + i * k, all, k * sizeof *all);
        int has_hub = i == 0;
        for (size_t j = 0; j < k; j++) has_hub |= neighbors.ids[i * k + j] == 0;
        if (!has_hub) neighbors.ids[i * k] = 0;
    }
    free(all);
    return neighbors;
}

static void compare_with_table(const struct nlsh__neighbors *neighbors, size_t k)
{
    size_t n = neighbors->n_rows;
    uint8_t *wanted = calloc(n * n, 1);
    struct nlsh__csr csr;
    struct nlsh_error error = {0};
    assert_non_null(wanted);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < k; j++) wanted[i * n + neighbors->ids[i * neighbors->k + j]] = 1;
    assert_int_equal(nlsh__csr_from_neighbors(neighbors, k, &csr, &error), NLSH_OK);
    assert_int_equal(csr.n, n);
    int32_t e = 0;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(csr.offsets[i], e);
        for (size_t j = 0; j < n; j++) {
            int weight = wanted[i * n + j] + wanted[j * n + i];
            if (weight == 0) continue;
            assert_true(e < csr.offsets[i + 1]);
            assert_int_equal(csr.neighbors[e], j);
            assert_int_equal(csr.weights[e], weight);
            e++;
        }
    }
    assert_int_equal(csr.offsets[n], e);
    nlsh__csr_free(&csr);
    assert_null(csr.offsets);
    free(wanted);
}

static void agrees_with_all_pairs(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{2, 1},   {3, 2},   {5, 1},    {50, 10},
                                      {200, 7}, {300, 1}, {100, 99}, {160, 80}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t n = sizes[s][0], k = sizes[s][1];
        struct nlsh__neighbors neighbors = random_neighbors(n, k, SEED + s);
        for (size_t use = 1; use <= k; use += 1 + k / 5) compare_with_table(&neighbors, use);
        compare_with_table(&neighbors, k);
        free(neighbors.ids);
    }
}

static void an_id_named_twice_counts_once(void **state)
{
    (void)state;
    uint32_t ids[] = {1, 1, 2, 0, 0, 1};
    struct nlsh__neighbors neighbors = {.n_rows = 3, .k = 2, .ids = ids};
    compare_with_table(&neighbors, 2);
}

static void no_rows(void **state)
{
    (void)state;
    struct nlsh__neighbors neighbors = {.n_rows = 0, .k = 3};
    struct nlsh__csr csr;
    assert_int_equal(nlsh__csr_from_neighbors(&neighbors, 3, &csr, NULL), NLSH_OK);
    assert_int_equal(csr.n, 0);
    assert_int_equal(csr.offsets[0], 0);
    nlsh__csr_free(&csr);
    nlsh__csr_free(NULL);
}

static void expect_arg(struct nlsh__neighbors *neighbors, size_t k, const char *word)
{
    struct nlsh__csr csr = {.n = 99};
    struct nlsh_error error = {0};
    assert_int_equal(nlsh__csr_from_neighbors(neighbors, k, &csr, &error), NLSH_E_ARG);
    if (strstr(error.message, word) == NULL) fail_msg("no '%s' in '%s'", word, error.message);
    assert_null(csr.offsets);
    assert_null(csr.neighbors);
    assert_null(csr.weights);
}

static void bad_ids_and_bad_k(void **state)
{
    (void)state;
    struct nlsh__neighbors neighbors = random_neighbors(40, 5, SEED);
    expect_arg(&neighbors, 0, "k 0");
    expect_arg(&neighbors, 6, "k 6 wanted, the graph has 5");
    for (size_t place = 0; place < 200; place += 13) {
        uint32_t saved = neighbors.ids[place];
        neighbors.ids[place] = 40;
        expect_arg(&neighbors, 5, "40 is not below 40");
        neighbors.ids[place] = NLSH__NO_ROW;
        expect_arg(&neighbors, 5, "not below 40");
        neighbors.ids[place] = (uint32_t)(place / 5);
        expect_arg(&neighbors, 5, "names itself");
        neighbors.ids[place] = saved;
    }
    /* What is not used is not looked at. */
    neighbors.ids[4] = 1000;
    compare_with_table(&(struct nlsh__neighbors){40, 5, neighbors.ids, NULL}, 4);
    free(neighbors.ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_all_pairs),
        cmocka_unit_test(an_id_named_twice_counts_once),
        cmocka_unit_test(no_rows),
        cmocka_unit_test(bad_ids_and_bad_k),
    };
    printf("seed %u\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
