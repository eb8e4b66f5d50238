/*
 * test_metric.c - inner product and cosine beside L2: with all buckets scanned the answer is that of
 * a plain search in double precision; what the metrics have to do with each other; vectors of zeros;
 * ground truth. What a recall costs: test_recall.c.
 */
#include "support/built.h"

#include <float.h>

static const char *const names[] = {"l2", "ip", "cosine"};

/* What enum nlsh_metric says, in double; but L2 squared. */
static double true_score(enum nlsh_metric metric, const struct nlsh_matrix *a, size_t i,
                         const struct nlsh_matrix *b, size_t j)
{
    double dot = 0, left = 0, right = 0;
    for (size_t d = 0; d < a->dim; d++) {
        double x = matrix_at(a, i, d), y = matrix_at(b, j, d);
        dot += x * y;
        left += x * x;
        right += y * y;
    }
    if (metric == NLSH_L2) return true_l2sq(a, i, b, j);
    return metric == NLSH_IP ? -dot : 1 - dot / sqrt(left * right);
}

/* How far f32 may be off: terms are as large as the two lengths' product. */
static double slack_of(enum nlsh_metric metric, const struct nlsh_matrix *a, size_t i,
                       const struct nlsh_matrix *b, size_t j)
{
    double left = 0, right = 0, units = (double)(a->dim + 16) * FLT_EPSILON;
    for (size_t d = 0; d < a->dim; d++) {
        left += matrix_at(a, i, d) * matrix_at(a, i, d);
        right += matrix_at(b, j, d) * matrix_at(b, j, d);
    }
    if (metric == NLSH_COSINE) return 2 * units;
    if (metric == NLSH_IP) return units * sqrt(left * right);
    return 20 * units * (1 + true_l2sq(a, i, b, j)); /* signed bytes are shifted: test_search.c */
}

static void naive(enum nlsh_metric metric, const struct nlsh_matrix *base,
                  const struct nlsh_matrix *queries, size_t q, struct near *out)
{
    for (size_t i = 0; i < base->n_rows; i++)
        out[i] = (struct near){true_score(metric, queries, q, base, i), (uint32_t)i};
    qsort(out, base->n_rows, sizeof *out, near_order);
}

static void check(enum nlsh_metric metric, const struct nlsh_matrix *base,
                  const struct nlsh_matrix *queries, size_t q, size_t k, const uint64_t *keys,
                  const float *distances)
{
    struct near *want = malloc(base->n_rows * sizeof *want);
    assert_non_null(want);
    naive(metric, base, queries, q, want);
    for (size_t i = 0; i < k; i++) {
        assert_true(keys[i] < base->n_rows);
        for (size_t j = 0; j < i; j++) assert_int_not_equal(keys[i], keys[j]);
        double score = true_score(metric, queries, q, base, keys[i]);
        double slack = slack_of(metric, queries, q, base, keys[i]), found = (double)distances[i];
        if (metric == NLSH_L2) found *= found;
        if (fabs(score - found) > slack || fabs(score - want[i].l2sq) > 2 * slack)
            fail_msg("%s, query %zu, place %zu: key %llu at %.9g, in truth %.9g; best %u at %.9g",
                     names[metric], q, i, (unsigned long long)keys[i], found, score, want[i].id,
                     want[i].l2sq);
        assert_true(
            i == 0 || distances[i] > distances[i - 1] ||
            (distances[i] == distances[i - 1] &&
             (keys[i] > keys[i - 1] || true_score(metric, queries, q, base, keys[i - 1]) < score)));
    }
    free(want);
}

static struct nlsh_index *metric_index(enum nlsh_metric metric, const struct nlsh_matrix *base,
                                       size_t m)
{
    struct nlsh_build_options o;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct nlsh_error error;
    small_options(&o, m);
    o.metric = metric;
    o.knn = o.label_knn = 10;
    struct nlsh_index *index = built_index(base, &o, "metric");
    if (nlsh_index_verify(test_path("metric"), &error) != NLSH_OK) fail_msg("%s", error.message);
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    assert_int_equal(info.metric, metric);
    assert_int_equal(info.dim, base->dim);
    assert_true(info.data_hash == nlsh_data_hash(base));
    return index;
}

/* Every bucket scanned. */
static void search_all(const struct nlsh_index *index, const struct nlsh_matrix *queries, size_t k,
                       uint64_t *keys, float *distances)
{
    struct nlsh_search_options how;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct nlsh_error error;
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    nlsh_search_options_init(&how, sizeof how);
    how.k = k;
    how.probes = (double)info.n_buckets;
    if (nlsh_search_batch(index, queries, &how, keys, distances, NULL, &error) != NLSH_OK)
        fail_msg("%s", error.message);
}

/* Every kind of value of base and query; each metric and kind of base with two of the dimensions. */
static void all_buckets_equal_brute_force(void **state)
{
    enum { N = 150, Q = 12, K = 20 };
    static const size_t dims[] = {3, 7, 33, 64};
    static uint64_t keys[Q * K];
    static float distances[Q * K];
    (void)state;
    for (enum nlsh_metric metric = NLSH_L2; metric <= NLSH_COSINE; metric++)
        for (size_t d = 0; d < 4; d++)
            for (enum kind kind = (d + metric) % 2; kind < N_KINDS; kind += 2) {
                struct nlsh_matrix base = matrix_new(kind, N, dims[d], 5, 40, d);
                struct nlsh_index *index = metric_index(metric, &base, 6);
                for (enum kind asked = 0; asked < N_KINDS; asked++) {
                    struct nlsh_matrix queries = matrix_new(asked, Q, dims[d], 5, 40, 50 + d);
                    search_all(index, &queries, K, keys, distances);
                    for (size_t q = 0; q < Q; q++)
                        check(metric, &base, &queries, q, K, keys + q * K, distances + q * K);
                    matrix_free(&queries);
                }
                nlsh_index_close(index);
                matrix_free(&base);
            }
}

static float *floats_of(const struct nlsh_matrix *m)
{
    return (float *)(uintptr_t)m->data;
}

static double length_of(const struct nlsh_matrix *m, size_t i)
{
    double sum = 0;
    for (size_t d = 0; d < m->dim; d++) sum += matrix_at(m, i, d) * matrix_at(m, i, d);
    return sqrt(sum);
}

static void scale_row(const struct nlsh_matrix *m, size_t i, double factor)
{
    for (size_t d = 0; d < m->dim; d++)
        floats_of(m)[i * m->dim + d] = (float)((double)floats_of(m)[i * m->dim + d] * factor);
}

/* Of unit vectors: the three orders are one. */
static void metrics_agree_on_unit_vectors(void **state)
{
    enum { N = 400, Q = 30, K = 10 };
    static uint64_t keys[3][Q * K];
    static float distances[3][Q * K];
    (void)state;
    struct nlsh_matrix base = matrix_new(KIND_F32, N, 20, 8, 40, 1);
    struct nlsh_matrix queries = matrix_new(KIND_F32, Q, 20, 8, 40, 2);
    for (size_t i = 0; i < N; i++) scale_row(&base, i, 1 / length_of(&base, i));
    for (size_t i = 0; i < Q; i++) scale_row(&queries, i, 1 / length_of(&queries, i));
    for (enum nlsh_metric metric = NLSH_L2; metric <= NLSH_COSINE; metric++) {
        struct nlsh_index *index = metric_index(metric, &base, 8);
        search_all(index, &queries, K, keys[metric], distances[metric]);
        nlsh_index_close(index);
    }
    assert_memory_equal(keys[NLSH_IP], keys[NLSH_L2], sizeof keys[0]);
    assert_memory_equal(keys[NLSH_COSINE], keys[NLSH_L2], sizeof keys[0]);
    for (size_t i = 0; i < Q * K; i++) {
        assert_true(fabsf(distances[NLSH_L2][i] * distances[NLSH_L2][i] -
                          2 * distances[NLSH_COSINE][i]) < 2e-6f);
        assert_true(fabsf(distances[NLSH_IP][i] + 1 - distances[NLSH_COSINE][i]) < 2e-6f);
    }
    matrix_free(&base);
    matrix_free(&queries);
}

/* Every row and every query gets a length of its own, very long and very short ones among them: as far as a
 * value may go (kernels/metric.h).
 * Powers of two change no bit of a direction, and so none of the index's answers. */
static void cosine_knows_no_length(void **state)
{
    enum { N = 300, Q = 20, K = 10 };
    static uint64_t before[Q * K], after[Q * K];
    static float distances[2][Q * K];
    struct nlsh__rng rng;
    (void)state;
    test_rng(&rng, 9);
    struct nlsh_matrix base = matrix_new(KIND_F32, N, 16, 6, 40, 3);
    struct nlsh_matrix queries = matrix_new(KIND_F32, Q, 16, 6, 40, 4);
    struct nlsh_index *index = metric_index(NLSH_COSINE, &base, 7);
    search_all(index, &queries, K, before, distances[0]);
    nlsh_index_close(index);
    for (size_t i = 0; i < N; i++)
        scale_row(&base, i, ldexp(1, (int)nlsh__rng_below(&rng, 84) - 40));
    for (size_t i = 0; i < Q; i++)
        scale_row(&queries, i, ldexp(1, (int)nlsh__rng_below(&rng, 124) - 80));
    index = metric_index(NLSH_COSINE, &base, 7);
    search_all(index, &queries, K, after, distances[1]);
    assert_memory_equal(before, after, sizeof before);
    assert_memory_equal(distances[0], distances[1], sizeof distances[0]);
    nlsh_index_close(index);
    for (size_t i = 0; i < N; i++) scale_row(&base, i, 0.3 + nlsh__rng_uniform(&rng));
    index = metric_index(NLSH_COSINE, &base, 7);
    search_all(index, &queries, K, after, distances[1]);
    for (size_t q = 0; q < Q; q++)
        check(NLSH_COSINE, &base, &queries, q, K, after + q * K, distances[1] + q * K);
    nlsh_index_close(index);
    matrix_free(&base);
    matrix_free(&queries);
}

static void zeros_have_no_cosine(void **state)
{
    (void)state;
    struct nlsh_error error;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    struct nlsh_neighbors found = {.struct_size = sizeof found};
    struct nlsh_build_options o;
    struct nlsh_searcher *s;
    struct nlsh_search_options how;
    uint64_t keys[10];
    float distances[10];
    struct nlsh_matrix base = matrix_new(KIND_F32, 100, 8, 4, 30, 5);
    struct nlsh_index *index = metric_index(NLSH_COSINE, &base, 3);
    static const float zero[2 * 8] = {1, 2};
    struct nlsh_matrix queries = {zero, 2, 8, NLSH_F32, 0};
    nlsh_search_options_init(&how, sizeof how);
    assert_int_equal(nlsh_searcher_create(index, &s, NULL), NLSH_OK);
    assert_int_equal(nlsh_search(s, &queries, &how, (uint64_t[20]){0}, NULL, NULL, &error),
                     NLSH_E_ARG);
    assert_non_null(strstr(error.message, "query 1"));
    assert_true(error.hint[0] != '\0');
    nlsh_searcher_free(s);
    nlsh_index_close(index);
    assert_int_equal(nlsh_ground_truth(&base, &queries, NLSH_COSINE, 3, &run, &found, &error),
                     NLSH_E_DATA);
    assert_non_null(strstr(error.message, "queries: row 1"));

    memset(floats_of(&base) + 42 * 8, 0, 8 * sizeof(float));
    small_options(&o, 3);
    o.metric = NLSH_COSINE;
    assert_int_equal(nlsh_build(&base, &o, test_path("zero"), &run, NULL, &error), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "row 42"));
    assert_non_null(strstr(error.hint, "take that row out"));
    assert_int_not_equal(access(test_path("zero"), F_OK), 0);
    assert_int_equal(
        nlsh_graph_build(&base, NLSH_COSINE, NLSH_GRAPH_EXACT, 3, 1, &run, &found, &error),
        NLSH_E_DATA);
    assert_non_null(strstr(error.message, "row 42"));

    /* Their inner product with anything is 0: a place like another. */
    index = metric_index(NLSH_IP, &base, 3);
    for (size_t q = 0; q < 2; q++) {
        struct nlsh_matrix one = {zero + 8 * q, 1, 8, NLSH_F32, 0};
        search_all(index, &one, 10, keys, distances);
        check(NLSH_IP, &base, &one, 0, 10, keys, distances);
    }
    nlsh_index_close(index);

    /* And a base of nothing else. */
    memset(floats_of(&base), 0, 100 * 8 * sizeof(float));
    index = metric_index(NLSH_IP, &base, 3);
    search_all(index, &queries, 5, keys, distances);
    for (size_t i = 0; i < 10; i++) assert_true(keys[i] == i % 5 && distances[i] == 0);
    nlsh_index_close(index);
    matrix_free(&base);
}

/* Rows of very different lengths, one of them alone: by inner product a few win everywhere. */
static void lengths_that_differ(void **state)
{
    enum { N = 500, Q = 25, K = 10 };
    static uint64_t keys[Q * K];
    static float distances[Q * K];
    struct nlsh__rng rng;
    (void)state;
    test_rng(&rng, 10);
    struct nlsh_matrix base = matrix_new(KIND_F32, N, 12, 6, 60, 6);
    struct nlsh_matrix queries = matrix_new(KIND_F32, Q, 12, 6, 60, 7);
    for (size_t i = 0; i < N; i++) scale_row(&base, i, exp(2 * nlsh__rng_normal(&rng)));
    scale_row(&base, 77, 1e6);
    struct nlsh_index *index = metric_index(NLSH_IP, &base, 8);
    search_all(index, &queries, K, keys, distances);
    for (size_t q = 0; q < Q; q++)
        check(NLSH_IP, &base, &queries, q, K, keys + q * K, distances + q * K);
    nlsh_index_close(index);
    /* What f32 cannot hold is said. */
    struct nlsh_error error;
    struct nlsh_build_options o;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    small_options(&o, 3);
    o.metric = NLSH_IP;
    floats_of(&base)[5] = 1e25f;
    assert_int_equal(nlsh_build(&base, &o, test_path("long"), &run, NULL, &error), NLSH_E_DATA);
    assert_non_null(strstr(error.hint, "multiply"));
    matrix_free(&base);
    matrix_free(&queries);
}

/* ---- radius ---------------------------------------------------------------------------------- */

static void radius(void **state)
{
    enum { N = 200 };
    static uint64_t keys[N];
    static float distances[N];
    (void)state;
    struct nlsh_matrix base = matrix_new(KIND_F32, N, 9, 4, 50, 8);
    struct nlsh_matrix query = matrix_new(KIND_F32, 1, 9, 4, 50, 9);
    struct near want[N];
    struct nlsh_search_options how;
    for (enum nlsh_metric metric = NLSH_L2; metric <= NLSH_COSINE; metric++) {
        struct nlsh_index *index = metric_index(metric, &base, 4);
        struct nlsh_searcher *s;
        assert_int_equal(nlsh_searcher_create(index, &s, NULL), NLSH_OK);
        nlsh_search_options_init(&how, sizeof how);
        how.probes = 4;
        naive(metric, &base, &query, 0, want);
        for (size_t n = 1; n < N; n += 40) { /* between two rows */
            double reach = (want[n - 1].l2sq + want[n].l2sq) / 2;
            size_t found;
            double r = metric == NLSH_L2 ? sqrt(reach) : reach;
            assert_int_equal(
                nlsh_search_range(s, &query, &how, r, keys, distances, N, &found, NULL), NLSH_OK);
            assert_int_equal(found, n);
            for (size_t i = 0; i < n; i++) assert_int_equal(keys[i], want[i].id);
        }
        size_t found;
        enum nlsh_status wanted = metric == NLSH_IP ? NLSH_OK : NLSH_E_ARG;
        assert_int_equal(nlsh_search_range(s, &query, &how, -1, keys, NULL, N, &found, NULL),
                         wanted);
        assert_int_equal(
            nlsh_search_range(s, &query, &how, (double)NAN, keys, NULL, N, &found, NULL),
            NLSH_E_ARG);
        nlsh_searcher_free(s);
        nlsh_index_close(index);
    }
    matrix_free(&base);
    matrix_free(&query);
}

/* ---- ground truth, graphs, the cache --------------------------------------------------------- */

static void same_neighbors(const struct nlsh_neighbors *a, const struct nlsh_neighbors *b)
{
    assert_int_equal(a->n_rows, b->n_rows);
    assert_int_equal(a->k, b->k);
    assert_memory_equal(a->ids, b->ids, a->n_rows * a->k * sizeof *a->ids);
    assert_memory_equal(a->distances, b->distances, a->n_rows * a->k * sizeof *a->distances);
}

/* One directory holds the truths of all metrics: none is taken for another's. */
static void truths_and_their_cache(void **state)
{
    enum { N = 300, Q = 40, K = 15 };
    (void)state;
    struct nlsh_run kept = {.struct_size = sizeof kept, .n_threads = 1, .cache_dir = cache_new()},
                    bare = {.struct_size = sizeof bare, .n_threads = 1};
    struct nlsh_neighbors first[3], again = {.struct_size = sizeof again}, graph = again;
    struct nlsh_error error;
    for (enum kind kind = 0; kind < N_KINDS; kind++) {
        struct nlsh_matrix base = matrix_new(kind, N, 10, 5, 40, 10);
        struct nlsh_matrix queries = matrix_new(kind, Q, 10, 5, 40, 11);
        for (int metric = 0; metric < 3; metric++) {
            enum nlsh_metric m = (enum nlsh_metric)metric;
            nlsh_neighbors_init(&first[metric], sizeof first[metric]);
            if (nlsh_ground_truth(&base, &queries, m, K, &kept, &first[metric], &error) != NLSH_OK)
                fail_msg("%s", error.message);
            for (size_t q = 0; q < Q; q++)
                check(m, &base, &queries, q, K, first[metric].ids + q * K,
                      first[metric].distances + q * K);
        }
        for (int metric = 0; metric < 3; metric++)
            for (int cached = 0; cached < 2; cached++) {
                assert_int_equal(nlsh_ground_truth(&base, &queries, (enum nlsh_metric)metric, K,
                                                   cached ? &kept : &bare, &again, NULL),
                                 NLSH_OK);
                same_neighbors(&first[metric], &again);
                nlsh_neighbors_free(&again);
            }
        for (int metric = 0; metric < 3; metric++) {
            /* A graph is the truth of its own rows, one farther, without them. */
            enum nlsh_metric m = (enum nlsh_metric)metric;
            assert_int_equal(
                nlsh_graph_build(&base, m, NLSH_GRAPH_EXACT, K, 1, &kept, &graph, NULL), NLSH_OK);
            assert_int_equal(nlsh_ground_truth(&base, &base, m, K + 1, &kept, &again, NULL),
                             NLSH_OK);
            for (size_t i = 0; i < N; i++)
                for (size_t j = 0, t = 0; j < K; j++, t++) {
                    if (again.ids[i * (K + 1) + t] == i) t++;
                    assert_int_equal(graph.ids[i * K + j], again.ids[i * (K + 1) + t]);
                }
            nlsh_neighbors_free(&graph);
            nlsh_neighbors_free(&again);
            nlsh_neighbors_free(&first[metric]);
        }
        enum nlsh_status status =
            nlsh_graph_build(&base, NLSH_COSINE, NLSH_GRAPH_IVFFLAT, K, 1, &kept, &graph, NULL);
        assert_int_equal(status, NLSH_OK);
        for (size_t i = 0; i < N; i++)
            assert_true(graph.distances[i * K + K - 1] <= 2 && graph.distances[i * K] >= 0);
        nlsh_neighbors_free(&graph);
        status = nlsh_graph_build(&base, NLSH_IP, NLSH_GRAPH_IVFFLAT, K, 1, &kept, &graph, &error);
        assert_int_equal(status, NLSH_E_UNSUPPORTED);
        matrix_free(&base);
        matrix_free(&queries);
    }
    cache_end();
}

static void no_such_metric(void **state)
{
    (void)state;
    struct nlsh_error error;
    struct nlsh_build_options o;
    struct nlsh_neighbors out = {.struct_size = sizeof out};
    struct nlsh_matrix base = matrix_new(KIND_F32, 50, 4, 2, 30, 12);
    small_options(&o, 2);
    o.metric = (enum nlsh_metric)3;
    assert_int_equal(nlsh_build(&base, &o, test_path("none"), NULL, NULL, &error), NLSH_E_ARG);
    assert_int_equal(nlsh_ground_truth(&base, &base, (enum nlsh_metric)7, 1, NULL, &out, &error),
                     NLSH_E_ARG);
    assert_int_equal(nlsh_build_options_set(&o, "metric", "angular", &error), NLSH_E_ARG);
    assert_non_null(strstr(error.hint, "cosine"));
    assert_int_equal(nlsh_build_options_set(&o, "metric", "cosine", &error), NLSH_OK);
    assert_int_equal(o.metric, NLSH_COSINE);
    for (int metric = 0; metric < 3; metric++)
        assert_string_equal(nlsh_metric_name((enum nlsh_metric)metric), names[metric]);
    matrix_free(&base);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void same_bytes_for_any_number_of_threads(void **state)
{
    (void)state;
    struct nlsh_matrix base = matrix_new(KIND_F32, 800, 14, 10, 50, 13);
    for (enum nlsh_metric metric = NLSH_IP; metric <= NLSH_COSINE; metric++) {
        struct nlsh_build_options o;
        struct nlsh_run one = {.struct_size = sizeof one, .n_threads = 1},
                        three = {.struct_size = sizeof three, .n_threads = 3};
        size_t size;
        small_options(&o, 9);
        o.metric = metric;
        uint8_t *bytes = build(&base, &o, &one, NULL, &size);
        build_again(&base, &o, &three, bytes, size);
        free(bytes);
    }
    matrix_free(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_buckets_equal_brute_force),
        cmocka_unit_test(metrics_agree_on_unit_vectors),
        cmocka_unit_test(cosine_knows_no_length),
        cmocka_unit_test(zeros_have_no_cosine),
        cmocka_unit_test(lengths_that_differ),
        cmocka_unit_test(radius),
        cmocka_unit_test(truths_and_their_cache),
        cmocka_unit_test(no_such_metric),
        cmocka_unit_test(same_bytes_for_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
