/*
 * test_allocator.c - memory of the caller's choice: all of it is released, and none is used beyond what was
 * asked for. test_refused.c has what happens where there is none.
 */
#include "support/built.h"
#include "support/counting.h"

enum { N = 300, Q = 70, DIM = 12, K = 5 };

static uint64_t keys[Q * K];

static void search_every_way(struct nlsh_index *index, const struct nlsh_matrix *queries)
{
    struct nlsh_searcher *s;
    struct nlsh_searcher_pool *pool;
    struct nlsh_search_options how;
    nlsh_search_options_init(&how, sizeof how);
    how.k = K;
    assert_int_equal(nlsh_searcher_create(index, &s, NULL), NLSH_OK);
    assert_int_equal(nlsh_search(s, queries, &how, keys, NULL, NULL, NULL), NLSH_OK);
    nlsh_searcher_free(s);
    assert_int_equal(nlsh_searcher_pool_create(index, 2, &pool, NULL), NLSH_OK);
    assert_int_equal(nlsh_searcher_pool_search(pool, queries, &how, keys, NULL, NULL, NULL),
                     NLSH_OK);
    nlsh_searcher_pool_free(pool);
    how.n_threads = 3;
    assert_int_equal(nlsh_search_batch(index, queries, &how, keys, NULL, NULL, NULL), NLSH_OK);
}

/* Files, ground truth, a curve: what else gives the caller memory. */
static void the_rest(struct nlsh_index *index, const struct nlsh_matrix *queries)
{
    struct nlsh_neighbors truth = {.struct_size = sizeof truth}, again = truth;
    struct nlsh_vectors *stored, *read;
    struct nlsh_curve *curve;
    struct nlsh_reliability *reliability;
    assert_int_equal(nlsh_index_vectors(index, &stored, NULL), NLSH_OK);
    assert_int_equal(
        nlsh_ground_truth(nlsh_vectors_matrix(stored), queries, NLSH_L2, K, NULL, &truth, NULL),
        NLSH_OK);
    assert_int_equal(nlsh_neighbors_write(test_path("a.graph"), &truth, NULL), NLSH_OK);
    assert_int_equal(nlsh_neighbors_read(test_path("a.graph"), &again, NULL), NLSH_OK);
    assert_int_equal(nlsh_evaluate(index, queries, &again, K, NULL, &curve, NULL), NLSH_OK);
    assert_int_equal(nlsh_reliability(index, queries, &again, K, NULL, &reliability, NULL),
                     NLSH_OK);
    const char *path = test_path("a.fvecs");
    assert_int_equal(nlsh_vectors_write(path, NLSH_FORMAT_AUTO, queries, NULL), NLSH_OK);
    assert_int_equal(nlsh_vectors_read(path, NLSH_FORMAT_AUTO, &read, NULL), NLSH_OK);
    nlsh_vectors_free(read);
    nlsh_vectors_free(stored);
    nlsh_neighbors_free(&truth);
    nlsh_neighbors_free(&again);
    nlsh_curve_free(curve);
    nlsh_reliability_free(reliability);
}

static void everything_is_released(void **state)
{
    (void)state;
    for (enum kind kind = KIND_U8; kind <= KIND_F32; kind++) {
        struct nlsh_build_options o;
        struct nlsh_matrix base = matrix_new(kind, N, DIM, 8, 12, 1);
        struct nlsh_matrix queries = matrix_new(kind, Q, DIM, 8, 12, 2);
        size_t before = counted.n_allocated;
        small_options(&o, 6);
        o.partitioner = NLSH_PARTITIONER_AUTO;
        struct nlsh_index *index = built_index(&base, &o, "counted");
        search_every_way(index, &queries);
        the_rest(index, &queries);
        struct nlsh_error error; /* not while it is in use */
        assert_int_equal(nlsh_set_allocator(NULL, &error), NLSH_E_ARG);
        assert_non_null(strstr(error.message, "in use"));
        nlsh_index_close(index);
        assert_true(counted.n_allocated > before + 100);
        counted_check();
        matrix_free(&base);
        matrix_free(&queries);
    }
}

static void allocators_that_are_none(void **state)
{
    (void)state;
    struct nlsh_error error;
    const struct nlsh_allocator half[] = {{counted_allocate, NULL, &counted},
                                          {NULL, counted_release, &counted}};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(nlsh_set_allocator(&half[i], &error), NLSH_E_ARG);
        assert_non_null(strstr(error.message, i == 0 ? "release" : "allocate"));
    }
    /* malloc's again: ours hears of nothing more */
    size_t before = counted.n_allocated;
    assert_int_equal(nlsh_set_allocator(NULL, &error), NLSH_OK);
    struct nlsh_matrix base = matrix_new(KIND_U8, N, DIM, 8, 12, 1);
    struct nlsh_build_options o;
    small_options(&o, 6);
    nlsh_index_close(built_index(&base, &o, "malloc"));
    assert_int_equal(counted.n_allocated, before);
    counted_begin();
    matrix_free(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_released),
        cmocka_unit_test(allocators_that_are_none),
    };
    counted_begin(); /* before everything else */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
