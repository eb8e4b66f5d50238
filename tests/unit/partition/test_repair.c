/* test_repair.c - nlsh__partition_repair(): any answer becomes a valid one, at small loss. */
#include "partition/repair.h"

#include "unit/partition/graphs.h"

static size_t repaired(const char *what, const struct nlsh__csr *csr, size_t m, double imbalance,
                       uint32_t *bucket_of)
{
    struct nlsh_error error = {0};
    size_t n_moved = SIZE_MAX, cap = nlsh__bucket_cap(csr->n, m, imbalance);
    if (nlsh__partition_repair(csr, m, cap, bucket_of, &n_moved, &error) != NLSH_OK)
        fail_msg("%s, m %zu: %s", what, m, error.message);
    assert_valid(what, bucket_of, csr->n, m, imbalance);
    return n_moved;
}

enum { ALL_IN_LAST, RANDOM, ONE_EMPTY, EVERY_OTHER_EMPTY, SKEWED, N_KINDS };

static void make_answer(int kind, size_t n, size_t m, struct nlsh__rng *rng, uint32_t *bucket_of)
{
    for (size_t i = 0; i < n; i++) {
        size_t any = nlsh__rng_below(rng, m);
        switch (kind) {
        case ALL_IN_LAST: bucket_of[i] = (uint32_t)(m - 1); break;
        case RANDOM: bucket_of[i] = (uint32_t)any; break;
        case ONE_EMPTY: bucket_of[i] = (uint32_t)(any == m / 2 ? 0 : any); break;
        case EVERY_OTHER_EMPTY: bucket_of[i] = (uint32_t)(any / 2 * 2); break;
        default: bucket_of[i] = (uint32_t)nlsh__rng_below(rng, any + 1);
        }
    }
}

static void any_answer_becomes_valid(void **state)
{
    (void)state;
    struct named_graph graphs[N_GRAPHS];
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, SEED, 0);
    make_graphs(graphs);
    for (size_t g = 0; g < N_GRAPHS; g++) {
        size_t n = graphs[g].csr.n, ms[] = {1, 2, 3, 10, 32, n / 8, n / 3, n - 1, n};
        uint32_t *bucket_of = malloc(n * sizeof *bucket_of), *again = malloc(n * sizeof *again);
        assert_true(bucket_of && again);
        for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
            for (int kind = 0; kind < N_KINDS; kind++)
                for (int wide = 0; wide < 2; wide++) {
                    double imbalance = wide ? 0.1 : 0.0;
                    make_answer(kind, n, ms[i], &rng, bucket_of);
                    memcpy(again, bucket_of, n * sizeof *again);
                    repaired(graphs[g].name, &graphs[g].csr, ms[i], imbalance, bucket_of);
                    repaired(graphs[g].name, &graphs[g].csr, ms[i], imbalance, again);
                    assert_memory_equal(bucket_of, again, n * sizeof *again);
                    /* What is valid is left alone. */
                    assert_int_equal(repaired("", &graphs[g].csr, ms[i], imbalance, again), 0);
                    assert_memory_equal(bucket_of, again, n * sizeof *again);
                }
        free(bucket_of);
        free(again);
    }
    free_graphs(graphs);
}

/* Stripes of a grid, one of them empty and given to its neighbour: the bisection finds a cut as
 * short as the one that was lost, and no other stripe is touched. */
static void an_empty_stripe_is_cut_from_its_neighbour(void **state)
{
    (void)state;
    struct nlsh__csr csr = grid_graph(40);
    uint32_t bucket_of[1600];
    for (size_t i = 0; i < 1600; i++) bucket_of[i] = (uint32_t)(i / 160);
    for (size_t i = 0; i < 1600; i++)
        if (bucket_of[i] == 4) bucket_of[i] = 3;
    size_t n_moved = repaired("stripes", &csr, 10, 0.0, bucket_of);
    assert_int_equal(n_moved, 160);
    for (size_t i = 0; i < 1600; i++)
        if (i / 160 != 3 && i / 160 != 4) assert_int_equal(bucket_of[i], i / 160);
    /* 8 lines that were there, 40 edges of weight 2 each, and the new one. */
    assert_in_range(cut_weight(&csr, bucket_of), 8 * 80 + 8 * 2, 8 * 80 + 80 + 30);
    free_csr(&csr);
}

/* One vertex too many beside a bucket with room: of all the vertices the one whose move costs
 * least goes. Compared with trying all of them. */
static void the_cheapest_vertex_moves(void **state)
{
    (void)state;
    for (uint64_t trial = 0; trial < 200; trial++) {
        struct nlsh__csr csr = random_graph(40, 150, SEED + trial);
        uint32_t bucket_of[40], before[40];
        for (size_t i = 0; i < 40; i++) bucket_of[i] = i < 11 ? 0 : i < 20 ? 1 : i < 30 ? 2 : 3;
        memcpy(before, bucket_of, sizeof before);
        int64_t best = INT64_MAX;
        for (size_t i = 0; i < 11; i++) {
            before[i] = 1;
            int64_t cut = cut_weight(&csr, before);
            if (cut < best) best = cut;
            before[i] = 0;
        }
        /* All other buckets are full, so step 3 cannot move anything on. */
        assert_int_equal(repaired("random", &csr, 4, 0.0, bucket_of), 1);
        assert_int_equal(cut_weight(&csr, bucket_of), best);
        free_csr(&csr);
    }
}

/* From nothing: METIS finds about 700, a random division cuts 13,275. */
static void bisection_from_nothing_is_fair(void **state)
{
    (void)state;
    struct nlsh__csr csr = grid_graph(60);
    uint32_t *bucket_of = calloc(csr.n, sizeof *bucket_of);
    assert_non_null(bucket_of);
    repaired("grid", &csr, 16, 0.03, bucket_of);
    assert_in_range(cut_weight(&csr, bucket_of), 600, 2000);
    free(bucket_of);
    free_csr(&csr);
}

static void a_bucket_out_of_range_is_no_answer(void **state)
{
    (void)state;
    struct nlsh__csr csr = grid_graph(10);
    uint32_t bucket_of[100];
    struct nlsh_error error = {0};
    for (size_t i = 0; i < 100; i++) bucket_of[i] = (uint32_t)(i % 4);
    bucket_of[37] = 4;
    assert_int_equal(nlsh__partition_repair(&csr, 4, 25, bucket_of, NULL, &error), NLSH_E_INTERNAL);
    assert_non_null(strstr(error.message, "vector 37 in bucket 4"));
    bucket_of[37] = UINT32_MAX;
    assert_int_equal(nlsh__partition_repair(&csr, 4, 25, bucket_of, NULL, NULL), NLSH_E_INTERNAL);
    free_csr(&csr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_answer_becomes_valid),
        cmocka_unit_test(an_empty_stripe_is_cut_from_its_neighbour),
        cmocka_unit_test(the_cheapest_vertex_moves),
        cmocka_unit_test(bisection_from_nothing_is_fair),
        cmocka_unit_test(a_bucket_out_of_range_is_no_answer),
    };
    printf("seed %u\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
