/*
 * test_pool.c - a pool that is used for many batches answers each as one query after another does, and
 * asks for no thread and, for a batch that it has room for, no memory.
 */
#include <dirent.h>

#include "support/built.h"
#include "support/counting.h"
#include "support/counts.h"

enum { MOST = 400, DIM = 12, MOST_K = 60 };

static uint64_t keys[MOST * MOST_K], want_keys[MOST * MOST_K];
static float distances[MOST * MOST_K], want_distances[MOST * MOST_K];
static struct counts stats, want_stats;

/* Threads of this process. */
static size_t n_threads(void)
{
    size_t n = 0;
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static struct nlsh_search_options options(size_t k, double probes)
{
    struct nlsh_search_options o;
    nlsh_search_options_init(&o, sizeof o);
    o.k = k;
    o.probes = probes;
    o.n_threads = 99999; /* not looked at */
    return o;
}

static void compare(struct nlsh_searcher_pool *pool, struct nlsh_searcher *s,
                    const struct nlsh_matrix *queries, const struct nlsh_search_options *o)
{
    struct nlsh_error error;
    size_t n = queries->n_rows, k = o->k;
    memset(&stats, 0, sizeof stats);
    memset(&want_stats, 0, sizeof want_stats);
    memset(keys, 0x11, sizeof keys);
    assert_int_equal(
        nlsh_search(s, queries, o, want_keys, want_distances, COUNT_INTO(&want_stats), NULL),
        NLSH_OK);
    if (nlsh_searcher_pool_search(pool, queries, o, keys, distances, COUNT_INTO(&stats), &error) !=
        NLSH_OK)
        fail_msg("%s", error.message);
    assert_memory_equal(keys, want_keys, n * k * sizeof *keys);
    assert_memory_equal(distances, want_distances, n * k * sizeof *distances);
    assert_memory_equal(&stats, &want_stats, sizeof stats);
    if (n * k < MOST * MOST_K) assert_true(keys[n * k] == UINT64_C(0x1111111111111111));
}

/* Batches of every size up and down, k and probes changing, with and without codes. */
static void many_batches(void **state)
{
    (void)state;
    static const size_t sizes[] = {5, 64, 0, 400, 1, 65, 399, 128, 400};
    static const double probes[] = {0, 1, 3, 10, 0.05};
    for (enum kind kind = 0; kind < N_KINDS; kind += TEST_STRIDE) {
        struct nlsh_build_options o;
        struct nlsh_matrix base = matrix_new(kind, 900, DIM, 15, 12, kind);
        struct nlsh_matrix queries = matrix_new(kind, MOST, DIM, 15, 14, 20 + kind);
        small_options(&o, 10);
        o.code_bytes = kind == KIND_F32 ? 0 : NLSH_AUTO;
        struct nlsh_index *index = built_index(&base, &o, "pool");
        struct nlsh_searcher *s;
        assert_int_equal(nlsh_searcher_create(index, &s, NULL), NLSH_OK);
        for (size_t threads = 1; threads <= 4; threads += 1 + threads / 2) {
            struct nlsh_searcher_pool *pool;
            assert_int_equal(nlsh_searcher_pool_create(index, threads, &pool, NULL), NLSH_OK);
            size_t before = n_threads();
            for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
                struct nlsh_search_options how = options(i % 3 ? 10 : MOST_K, probes[i % 5]);
                struct nlsh_matrix some = queries;
                some.n_rows = sizes[i % (sizeof sizes / sizeof *sizes)];
                compare(pool, s, &some, &how);
                assert_int_equal(n_threads(), before);
            }
            nlsh_searcher_pool_free(pool);
            assert_int_equal(n_threads(), before - (threads - 1));
        }
        nlsh_searcher_free(s);
        nlsh_index_close(index);
        matrix_free(&base);
        matrix_free(&queries);
    }
    counted_check();
}

/* What fits into what an earlier batch took asks for nothing; an error in between changes nothing. */
static void no_memory_the_second_time(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_U8, 900, DIM, 15, 12, 1);
    struct nlsh_matrix queries = matrix_new(KIND_U8, MOST, DIM, 15, 14, 2);
    small_options(&o, 10);
    struct nlsh_index *index = built_index(&base, &o, "pool");
    struct nlsh_searcher_pool *pool;
    struct nlsh_error error;
    assert_int_equal(nlsh_searcher_pool_create(index, 3, &pool, NULL), NLSH_OK);
    for (int exact = 0; exact < 2; exact++) { /* by codes; every bucket, shared out */
        struct nlsh_search_options how = options(20, exact ? 10 : 0);
        size_t first = counted.n_allocated;
        for (int round = 0; round < 4; round++) {
            struct nlsh_matrix some = queries;
            some.n_rows = round == 2 ? 100 : MOST;
            assert_int_equal(nlsh_searcher_pool_search(pool, &some, &how, keys, distances,
                                                       COUNT_INTO(&stats), NULL),
                             NLSH_OK);
            if (round == 0) first = counted.n_allocated;
            assert_int_equal(counted.n_allocated, first);
            struct nlsh_search_options wrong = options(0, 1);
            assert_int_equal(
                nlsh_searcher_pool_search(pool, &some, &wrong, keys, distances, NULL, &error),
                NLSH_E_ARG);
        }
    }
    nlsh_searcher_pool_free(pool);
    nlsh_index_close(index);
    counted_check();
    matrix_free(&base);
    matrix_free(&queries);
}

/* The first query that is wrong is named by its place in the batch, and the pool goes on. */
static void a_wrong_query_is_named(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_F32, 900, DIM, 15, 12, 1);
    struct nlsh_matrix queries = matrix_new(KIND_F32, MOST, DIM, 15, 14, 2);
    float *values = (float *)(uintptr_t)queries.data;
    small_options(&o, 10);
    struct nlsh_index *index = built_index(&base, &o, "pool");
    struct nlsh_searcher_pool *pool;
    struct nlsh_searcher *s;
    assert_int_equal(nlsh_searcher_create(index, &s, NULL), NLSH_OK);
    assert_int_equal(nlsh_searcher_pool_create(index, 2, &pool, NULL), NLSH_OK);
    for (size_t at = 3; at < MOST; at += 131)
        for (int exact = 0; exact < 2; exact++) {
            struct nlsh_search_options how = options(4, exact ? 10 : 0);
            struct nlsh_error error;
            char word[32];
            float kept = values[at * DIM], later = values[(MOST - 1) * DIM];
            values[at * DIM] = values[(MOST - 1) * DIM] = NAN;
            assert_int_equal(
                nlsh_searcher_pool_search(pool, &queries, &how, keys, distances, NULL, &error),
                NLSH_E_ARG);
            snprintf(word, sizeof word, "query %zu: value 0 ", at);
            if (strstr(error.message, word) == NULL) fail_msg("%s", error.message);
            values[at * DIM] = kept;
            values[(MOST - 1) * DIM] = later;
            compare(pool, s, &queries, &how);
        }
    nlsh_searcher_free(s);
    nlsh_searcher_pool_free(pool);
    nlsh_index_close(index);
    matrix_free(&base);
    matrix_free(&queries);
}

static void pools_that_cannot_be(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_U8, 200, DIM, 15, 12, 1);
    small_options(&o, 3);
    struct nlsh_index *index = built_index(&base, &o, "pool");
    struct nlsh_searcher_pool *pool = (void *)1;
    struct nlsh_error error;
    static const size_t wrong[] = {0, 4097, SIZE_MAX};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(nlsh_searcher_pool_create(index, wrong[i], &pool, &error), NLSH_E_ARG);
        assert_non_null(strstr(error.message, "threads is"));
        assert_null(pool);
    }
    assert_int_equal(nlsh_searcher_pool_create(NULL, 1, &pool, &error), NLSH_E_ARG);
    assert_null(pool);
    nlsh_searcher_pool_free(NULL);
    nlsh_index_close(index);
    matrix_free(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_batches),
        cmocka_unit_test(no_memory_the_second_time),
        cmocka_unit_test(a_wrong_query_is_named),
        cmocka_unit_test(pools_that_cannot_be),
    };
    counted_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
