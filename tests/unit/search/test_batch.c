/* test_batch.c - a batch on any number of threads answers as one query after another does. */
#include "support/built.h"
#include "support/counts.h"
#include "support/refused.h"

#define MOST 200

static uint64_t keys[MOST * 60], want_keys[MOST * 60];
static float distances[MOST * 60], want_distances[MOST * 60];
static struct counts stats, want_stats;

/* Counts of n queries, and nothing behind them; or, where there are none, nothing at all. */
static void check_counts(const uint32_t *counts, const uint32_t *want, size_t n)
{
    assert_memory_equal(counts, want, n * sizeof *counts);
    assert_int_equal(counts[n], 0x11111111);
}

static void compare(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                    struct nlsh_search_options *o)
{
    struct nlsh_searcher *s;
    size_t n = queries->n_rows, k = o->k;
    assert_int_equal(nlsh_searcher_create(index, &s, NULL), NLSH_OK);
    assert_int_equal(
        nlsh_search(s, queries, o, want_keys, want_distances, COUNT_INTO(&want_stats), NULL),
        NLSH_OK);
    nlsh_searcher_free(s);
    for (o->n_threads = 1; o->n_threads <= 5; o->n_threads += o->n_threads < 3 ? 1 : 2)
        for (int outputs = 0; outputs < 16; outputs += TEST_STRIDE) {
            memset(keys, 0x11, sizeof keys);
            memset(distances, 0x11, sizeof distances);
            memset(&stats, 0x11, sizeof stats);
            struct nlsh_search_stats *some = COUNT_INTO(&stats);
            if (!(outputs & 2)) some->probes = NULL;
            if (!(outputs & 4)) some->candidates = NULL;
            if (!(outputs & 8)) some->ranked = NULL;
            assert_int_equal(nlsh_search_batch(index, queries, o, keys,
                                               outputs & 1 ? distances : NULL,
                                               outputs > 1 ? some : NULL, NULL),
                             NLSH_OK);
            assert_memory_equal(keys, want_keys, n * k * sizeof *keys);
            if (outputs & 1)
                assert_memory_equal(distances, want_distances, n * k * sizeof *distances);
            for (size_t i = n * k; i < sizeof keys / sizeof *keys; i++) /* nothing behind the end */
                assert_true(keys[i] == UINT64_C(0x1111111111111111));
            check_counts(stats.probes, want_stats.probes, outputs & 2 ? n : 0);
            check_counts(stats.candidates, want_stats.candidates, outputs & 4 ? n : 0);
            check_counts(stats.ranked, want_stats.ranked, outputs & 8 ? n : 0);
        }
}

static void batch_is_single(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 31, 63, 33, 64, 97, 127, MOST - 1};
    static const double probes[] = {0, 1, 3, 10, 0.05};
    for (enum kind kind = 0; kind < N_KINDS; kind++) {
        struct nlsh_build_options o;
        struct nlsh_matrix base = matrix_new(kind, 600, 12, 15, 12, kind);
        struct nlsh_matrix queries = matrix_new(kind, MOST, 12, 15, 14, 20 + kind);
        small_options(&o, 10);
        o.code_bytes = kind % 2 ? 0 : NLSH_AUTO;
        struct nlsh_index *index = built_index(&base, &o, "batch");
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct nlsh_search_options how;
            nlsh_search_options_init(&how, sizeof how);
            how.k = i % 2 ? 10 : 55;
            how.probes = probes[(i + kind) % 5];
            queries.n_rows = sizes[i];
            compare(index, &queries, &how);
        }
        queries.n_rows = 0; /* with no memory behind it either */
        struct nlsh_matrix none = {NULL, 0, 12, queries.type, 0};
        struct nlsh_search_options how;
        nlsh_search_options_init(&how, sizeof how);
        assert_int_equal(nlsh_search_batch(index, &none, &how, NULL, NULL, NULL, NULL), NLSH_OK);
        nlsh_index_close(index);
        matrix_free(&base);
        matrix_free(&queries);
    }
}

/* A pool routes 16,384 queries at a time, and goes on with those behind them. */
static void more_queries_than_a_part_has(void **state)
{
    (void)state;
    enum { PART = 16384, ROWS = PART + 130 };
    struct nlsh_build_options o;
    struct nlsh_search_options how;
    struct nlsh_searcher *s;
    struct nlsh_matrix base = matrix_new(KIND_U8, 300, 8, 8, 12, 1);
    struct nlsh_matrix queries = matrix_new(KIND_U8, ROWS, 8, 8, 14, 2);
    uint64_t *found = malloc(ROWS * sizeof *found), *want = malloc(ROWS * sizeof *want);
    assert_true(found != NULL && want != NULL);
    small_options(&o, 4);
    o.epochs = 1;
    o.nodes = 256; /* a row more than a block has would be seen behind its memory */
    struct nlsh_index *index = built_index(&base, &o, "parts");
    nlsh_search_options_init(&how, sizeof how);
    how.k = 1;
    how.probes = 1;
    how.n_threads = 2;
    assert_int_equal(nlsh_searcher_create(index, &s, NULL), NLSH_OK);
    assert_int_equal(nlsh_search(s, &queries, &how, want, NULL, NULL, NULL), NLSH_OK);
    assert_int_equal(nlsh_search_batch(index, &queries, &how, found, NULL, NULL, NULL), NLSH_OK);
    assert_memory_equal(found, want, ROWS * sizeof *found);
    free(found);
    free(want);
    nlsh_searcher_free(s);
    nlsh_index_close(index);
    matrix_free(&base);
    matrix_free(&queries);
}

/* A pool that grows with its batches, where one of the allocations is refused. */
static enum nlsh_status search_twice(void *ctx, struct nlsh_error *error)
{
    const struct nlsh_index *index = ctx;
    struct nlsh_searcher_pool *pool;
    struct nlsh_matrix queries = {want_keys, 60, 12, NLSH_U8, 0}; /* any bytes do */
    static uint64_t found[MOST];
    struct nlsh_search_options how;
    nlsh_search_options_init(&how, sizeof how);
    how.k = 1;
    enum nlsh_status status = nlsh_searcher_pool_create(index, 1, &pool, error);
    for (; status == NLSH_OK && queries.n_rows < MOST; queries.n_rows += 64)
        status = nlsh_searcher_pool_search(pool, &queries, &how, found, NULL, NULL, error);
    nlsh_searcher_pool_free(pool);
    return status;
}

static void memory_that_is_refused(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_U8, 900, 12, 15, 12, 1);
    small_options(&o, 10);
    struct nlsh_index *index = built_index(&base, &o, "pool");
    assert_true(refuse_each(search_twice, index) > 40);
    nlsh_index_close(index);
    matrix_free(&base);
}

/* Numbers of threads that cannot be, whatever the number of queries. */
static void threads_that_cannot_be(void **state)
{
    (void)state;
    static const size_t wrong[] = {0, 4097, SIZE_MAX};
    struct nlsh_build_options o;
    struct nlsh_search_options how;
    struct nlsh_error error;
    struct nlsh_matrix base = matrix_new(KIND_U8, 200, 12, 8, 12, 1), some = base;
    small_options(&o, 3);
    struct nlsh_index *index = built_index(&base, &o, "threads");
    nlsh_search_options_init(&how, sizeof how);
    for (size_t i = 0; i < 3; i++)
        for (some.n_rows = 0; some.n_rows < 2; some.n_rows++) {
            how.n_threads = wrong[i];
            assert_int_equal(nlsh_search_batch(index, &some, &how, keys, NULL, NULL, &error),
                             NLSH_E_ARG);
            assert_non_null(strstr(error.message, "threads is"));
        }
    nlsh_index_close(index);
    matrix_free(&base);
}

/* A call that succeeds leaves nothing in the caller's error of an earlier one. */
static void an_old_error_is_cleared(void **state)
{
    (void)state;
    const struct nlsh_error old = {.status = NLSH_E_DATA, .message = "old", .hint = "older"};
    struct nlsh_error error = old;
    struct nlsh_build_options o;
    struct nlsh_searcher_pool *pool;
    struct nlsh_matrix base = matrix_new(KIND_U8, 200, 12, 8, 12, 1), queries = base;
    uint64_t found[10];
    queries.n_rows = 1;
    small_options(&o, 4);
    struct nlsh_index *index = built_index(&base, &o, "error");
    assert_int_equal(nlsh_searcher_pool_create(index, 1, &pool, &error), NLSH_OK);
    assert_true(error.status == NLSH_OK && error.message[0] == '\0');
    error = old;
    assert_int_equal(nlsh_searcher_pool_search(pool, &queries, NULL, found, NULL, NULL, &error),
                     NLSH_OK);
    assert_true(error.status == NLSH_OK && error.message[0] == '\0');
    error = old;
    assert_int_equal(nlsh_search_batch(index, &queries, NULL, found, NULL, NULL, &error), NLSH_OK);
    assert_true(error.status == NLSH_OK && error.message[0] == '\0');
    nlsh_searcher_pool_free(pool);
    nlsh_index_close(index);
    matrix_free(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_is_single),         cmocka_unit_test(more_queries_than_a_part_has),
        cmocka_unit_test(memory_that_is_refused),  cmocka_unit_test(threads_that_cannot_be),
        cmocka_unit_test(an_old_error_is_cleared),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests(tests, NULL, NULL));
}
