/* test_taught.c - queries that a build learns from: it promises recall for queries like them, from fewer vectors than
 * calibration alone; by any metric and type; the same bytes from any number of threads; and what is refused. */
#include <stdio.h>

#include "index/index.h"
#include "support/built.h"

enum { N = 3000, DIM = 16, M = 30, TRAIN = 1600, Q = 400, K = 10 };

/* Between two rows of a base of floats, so that no row is like them. */
static struct nlsh_matrix strange_queries(const struct nlsh_matrix *base, size_t n, uint64_t seed)
{
    struct nlsh__rng rng;
    float *out = malloc(n * DIM * sizeof *out);
    nlsh__rng_init(&rng, seed, 3);
    for (size_t i = 0; i < n; i++) {
        size_t a = nlsh__rng_below(&rng, N), b = nlsh__rng_below(&rng, N);
        for (size_t j = 0; j < DIM; j++)
            out[i * DIM + j] = (float)(matrix_at(base, a, j) + matrix_at(base, b, j)) / 2;
    }
    return (struct nlsh_matrix){out, n, DIM, NLSH_F32, 0};
}

struct reached {
    double recall, candidates;
};

static struct reached ask(const char *path, const struct nlsh_matrix *queries)
{
    static uint64_t keys[Q * K], true_keys[Q * K];
    static float distances[Q * K], true_distances[Q * K];
    static uint32_t candidates[Q];
    struct nlsh_search_stats stats = {.struct_size = sizeof stats, .candidates = candidates};
    struct nlsh_index *index;
    struct nlsh_search_options o;
    struct reached out = {0};
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    nlsh_search_options_init(&o, sizeof o);
    assert_int_equal(nlsh_search_batch(index, queries, &o, keys, distances, &stats, NULL), NLSH_OK);
    o.probes = M;
    assert_int_equal(nlsh_search_batch(index, queries, &o, true_keys, true_distances, NULL, NULL),
                     NLSH_OK);
    for (size_t i = 0; i < queries->n_rows; i++) {
        out.recall += nlsh_recall(keys + i * K, distances + i * K, true_keys + i * K,
                                  true_distances + i * K, K) /
                      (double)queries->n_rows;
        out.candidates += candidates[i] / (double)queries->n_rows;
    }
    nlsh_index_close(index);
    return out;
}

static void they_are_promised_for_and_found_in_fewer(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_error error;
    struct nlsh_matrix base = matrix_new(KIND_F32, N, DIM, 40, 22, 1);
    struct nlsh_matrix train = strange_queries(&base, TRAIN, 5);
    struct nlsh_matrix queries = strange_queries(&base, Q, 6);
    struct nlsh_promise p = {.struct_size = sizeof p};
    struct nlsh_index *index;
    char plain[512], taught[512];
    strcpy(plain, test_path("plain"));
    strcpy(taught, test_path("taught"));
    small_options(&o, M);
    assert_int_equal(nlsh_build(&base, &o, plain, NULL, NULL, &error), NLSH_OK);
    assert_int_equal(nlsh_calibrate(plain, &train, NULL, NULL, NULL, &error), NLSH_OK);
    o.train_queries = &train;
    assert_int_equal(nlsh_build(&base, &o, taught, NULL, NULL, &error), NLSH_OK);
    struct reached was = ask(plain, &queries), now = ask(taught, &queries);
    if (now.recall < .93 || now.candidates > was.candidates / 1.05)
        fail_msg("%g of %g vectors, calibrated %g of %g", now.recall, now.candidates, was.recall,
                 was.candidates);
    assert_int_equal(nlsh_index_open(taught, NULL, &index, NULL), NLSH_OK);
    assert_int_equal(nlsh_index_promise(index, 0, &p), 1);
    assert_true(p.sampled && p.n_queries == TRAIN / 2);
    assert_true(index->outside.n > 0);
    nlsh_index_close(index);
    assert_int_equal(nlsh_index_verify(taught, NULL), NLSH_OK);
    matrix_free(&base);
    matrix_free(&train);
    matrix_free(&queries);
}

/* Bytes, signed bytes and floats, by each metric; queries of floats and of bytes. */
static void any_type_and_metric_and_threads(void **state)
{
    (void)state;
    static const enum kind kinds[] = {KIND_U8, KIND_I8, KIND_F32};
    for (size_t i = 0; i < 6; i++) {
        struct nlsh_build_options o;
        struct nlsh_error error;
        size_t size, again_size;
        enum kind kind = i < 3 ? kinds[i] : KIND_F32;
        struct nlsh_matrix base = matrix_new(kind, N, DIM, 40, 22, 1);
        struct nlsh_matrix train = strange_queries(&base, 401, 5),
                           queries = strange_queries(&base, Q, 6);
        if (i == 5) { /* bytes where the base has them too */
            matrix_free(&base);
            matrix_free(&train);
            base = matrix_new(KIND_U8, N, DIM, 40, 22, 1);
            train = matrix_new(KIND_U8, 401, DIM, 40, 22, 9);
            queries.n_rows = 0;
        }
        small_options(&o, M);
        o.metric = i == 3 ? NLSH_IP : i == 4 ? NLSH_COSINE : NLSH_L2;
        o.train_queries = &train;
        struct nlsh_run one = {.struct_size = sizeof one, .n_threads = 1};
        struct nlsh_run two = {.struct_size = sizeof two, .n_threads = 2};
        char path[512];
        strcpy(path, test_path("typed"));
        if (nlsh_build(&base, &o, path, &one, NULL, &error) != NLSH_OK)
            fail_msg("%s", error.message);
        uint8_t *bytes = test_read_file(path, &size);
        assert_int_equal(nlsh_build(&base, &o, path, &two, NULL, &error), NLSH_OK);
        uint8_t *again = test_read_file(path, &again_size);
        assert_int_equal(size, again_size);
        assert_memory_equal(bytes, again, size);
        struct reached r = {1, 0};
        if (queries.n_rows > 0) r = ask(path, &queries);
        if (r.recall < .92) fail_msg("case %zu: %g", i, r.recall);
        free(bytes);
        free(again);
        matrix_free(&base);
        matrix_free(&train);
        matrix_free(&queries);
    }
}

static void wrong_queries_are_refused(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_error error;
    struct nlsh_matrix base = matrix_new(KIND_F32, 300, DIM, 10, 22, 1);
    struct nlsh_matrix train = matrix_new(KIND_F32, 100, DIM, 10, 22, 2), wrong = train;
    float *values = (float *)(uintptr_t)train.data;
    char path[512];
    strcpy(path, test_path("refused"));
    small_options(&o, 8);
    o.train_queries = &wrong;
    wrong.n_rows = 59;
    assert_int_equal(nlsh_build(&base, &o, path, NULL, NULL, &error), NLSH_E_ARG);
    wrong = train;
    wrong.dim = DIM / 2;
    assert_int_equal(nlsh_build(&base, &o, path, NULL, NULL, &error), NLSH_E_MISMATCH);
    wrong = train;
    o.labels = NLSH_LABELS_HARD;
    assert_int_equal(nlsh_build(&base, &o, path, NULL, NULL, &error), NLSH_E_ARG);
    o.labels = NLSH_LABELS_SOFT;
    values[7 * DIM] = NAN;
    assert_int_equal(nlsh_build(&base, &o, path, NULL, NULL, &error), NLSH_E_DATA);
    for (size_t d = 0; d < DIM; d++) values[7 * DIM + d] = 0;
    for (size_t d = 0; d < DIM; d++) values[8 * DIM + d] = 0;
    o.metric = NLSH_COSINE;
    assert_int_equal(nlsh_build(&base, &o, path, NULL, NULL, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "query 8"));
    assert_true(fopen(path, "rb") == NULL); /* and nothing is there */
    matrix_free(&base);
    matrix_free(&train);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_promised_for_and_found_in_fewer),
        cmocka_unit_test(any_type_and_metric_and_threads),
        cmocka_unit_test(wrong_queries_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
