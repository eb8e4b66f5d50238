/*
 * test_baselines.c - every way of bucketing against brute force: all probed is exact, what is
 * counted is distinct, answers do not depend on threads, recall on data with clusters, ugly sets.
 */
#include "sets.h"

enum { FLAT, PQ, LSH, CUBE, N_KINDS };
static const char *const names[] = {"IVF-Flat", "IVF-PQ", "LSH", "Hypercube"};

/* The options of a kind that suit N rows; a window beyond every distance makes LSH one bucket. */
static struct nlsh__baseline_options options_of(int kind, int everything)
{
    static const enum nlsh__baseline_method methods[] = {
        NLSH__BASELINE_IVFFLAT, NLSH__BASELINE_IVFPQ, NLSH__BASELINE_LSH, NLSH__BASELINE_HYPERCUBE};
    struct nlsh__baseline_options o;
    nlsh__baseline_options_init(&o);
    o.method = methods[kind];
    o.n_tables = 5;
    if (kind == LSH && everything) o.window = 1e9;
    return o;
}

static struct nlsh__baseline *build(const struct nlsh_matrix *base, struct nlsh__baseline_options o)
{
    struct nlsh__baseline *one;
    struct nlsh_error error;
    if (nlsh__baseline_build(base, &o, NULL, &one, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    return one;
}

static void search(struct nlsh__baseline *one, const struct nlsh_matrix *queries, double probes,
                   size_t rerank, size_t k, struct answer *out, struct counts *stats)
{
    struct nlsh_error error;
    if (nlsh__baseline_search(one, queries, probes, rerank, k, out->keys, out->distances,
                              stats != NULL ? COUNT_INTO(stats) : NULL, &error) != NLSH_OK) {
        fail_msg("%s", error.message);
    }
}

/* Points around centres; type u8 or f32. */
static struct set clustered(struct nlsh__rng *rng, enum nlsh_type type, size_t n, size_t dim)
{
    struct set s = {.matrix = {.n_rows = n, .dim = dim, .type = type}};
    static double centres[20][64];
    static int made;
    struct nlsh__rng own;
    nlsh__rng_init(&own, 99, 0);
    for (size_t c = 0; c < 20 && !made; c++)
        for (size_t d = 0; d < 64; d++) centres[c][d] = 60 + 130 * nlsh__rng_uniform(&own);
    made = 1;
    s.data = malloc(n * dim * sizeof(float));
    s.matrix.data = s.data;
    for (size_t i = 0; i < n; i++) {
        size_t c = nlsh__rng_below(rng, 20);
        for (size_t d = 0; d < dim; d++) {
            double v = fmin(255, fmax(0, centres[c][d] + 12 * nlsh__rng_normal(rng)));
            if (type == NLSH_U8) ((uint8_t *)s.data)[i * dim + d] = (uint8_t)v;
            if (type == NLSH_F32) ((float *)s.data)[i * dim + d] = (float)v;
        }
    }
    return s;
}

/* ---- properties ------------------------------------------------------------------------------ */

static void test_all_probed_is_brute_force(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 24);
    const enum nlsh_type types[] = {NLSH_U8, NLSH_I8, NLSH_F32, NLSH_F32};
    for (int kind = 0; kind < N_KINDS; kind++)
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) {
                struct set base = make_set(&rng, types[i], N, 19, 256, i == 3 ? 0.3f : 0);
                struct set queries =
                    make_set(&rng, types[j], N_QUERIES, 19, 256, j == 3 ? 0.6f : 0);
                int whole = i != 3 && j != 3;
                struct counts stats = {0};
                struct nlsh__baseline *one = build(&base.matrix, options_of(kind, 1));
                search(one, &queries.matrix, 1e6, N, K, &b, &stats);
                check_answer(&b, &base.matrix, &queries.matrix, K, whole);
                brute(&base.matrix, &queries.matrix, NLSH__BRUTE_BEST, K, &a);
                if (whole) assert_memory_equal(a.keys, b.keys, N_QUERIES * K * sizeof *a.keys);
                for (size_t q = 0; q < N_QUERIES; q++) {
                    assert_int_equal(stats.candidates[q], N);
                    assert_int_equal(stats.ranked[q], N);
                }
                nlsh__baseline_free(one);
                free(base.data);
                free(queries.data);
            }
}

/* Ties go by id, although buckets hand over rows in another order: equal points share a bucket, so
 * k spans two of them. */
static void test_ties_go_by_id(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 25);
    struct set base = make_set(&rng, NLSH_U8, N, 3, 2, 0); /* 8 points, 300 rows */
    struct set queries = make_set(&rng, NLSH_U8, N_QUERIES, 3, 2, 0);
    for (int kind = 0; kind < N_KINDS; kind++) {
        struct nlsh__baseline *one = build(&base.matrix, options_of(kind, 1));
        for (size_t k = 1; k < N; k += 7) {
            brute(&base.matrix, &queries.matrix, NLSH__BRUTE_BEST, k, &a);
            search(one, &queries.matrix, 1e6, N, k, &b, NULL);
            assert_memory_equal(a.keys, b.keys, N_QUERIES * k * sizeof *a.keys);
        }
        nlsh__baseline_free(one);
    }
    free(base.data);
    free(queries.data);
}

/* More probes scan more and never find worse; a base vector finds itself with one. */
static void test_more_probes(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 26);
    for (int kind = 0; kind < N_KINDS; kind++)
        for (int type = 0; type < 2; type++) {
            struct counts stats = {0}, before = {0};
            struct set base = clustered(&rng, type ? NLSH_F32 : NLSH_U8, N, 24);
            struct nlsh_matrix queries = base.matrix;
            queries.n_rows = N_QUERIES;
            struct nlsh__baseline *one = build(&base.matrix, options_of(kind, 0));
            for (size_t probes = 1; probes <= 16; probes++) {
                search(one, &queries, (double)probes, N, K, &a, &stats);
                for (size_t q = 0; q < N_QUERIES; q++) {
                    assert_true(a.distances[q * K] == 0);
                    assert_true(stats.candidates[q] >= before.candidates[q]);
                    assert_true(stats.candidates[q] <= N);
                    assert_true(stats.probes[q] <= probes);
                    for (size_t i = 0; probes > 1 && i < K; i++)
                        assert_true(a.distances[q * K + i] <= b.distances[q * K + i]);
                }
                b = a;
                before = stats;
            }
            nlsh__baseline_free(one);
            free(base.data);
        }
}

static void test_threads_and_seeds(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    struct nlsh_run run;
    test_rng(&rng, 27);
    struct set base = clustered(&rng, NLSH_U8, N, 24);
    struct nlsh_matrix queries = base.matrix;
    queries.n_rows = N_QUERIES;
    nlsh_run_init(&run, sizeof run);
    for (int kind = 0; kind < N_KINDS; kind++) {
        struct counts stats[3];
        memset(stats, 0, sizeof stats);
        struct nlsh__baseline_options filled[3];
        for (int i = 0; i < 3; i++) {
            struct nlsh__baseline *one;
            filled[i] = options_of(kind, 0);
            run.n_threads = i == 1 ? 3 : 1;
            filled[i].seed = i == 2 ? 8 : 7;
            assert_int_equal(nlsh__baseline_build(&base.matrix, &filled[i], &run, &one, NULL),
                             NLSH_OK);
            search(one, &queries, 2, 30, K, i == 0 ? &a : &b, &stats[i]);
            if (i == 1) assert_memory_equal(a.keys, b.keys, N_QUERIES * K * sizeof *a.keys);
            nlsh__baseline_free(one);
        }
        assert_int_equal(filled[0].n_lists, filled[1].n_lists);
        assert_int_equal(filled[0].n_hashes, filled[1].n_hashes);
        assert_int_equal(filled[0].n_bits, filled[1].n_bits);
        assert_true(filled[0].window == filled[1].window);
        assert_memory_equal(&stats[0], &stats[1], sizeof stats[0]);
        if (memcmp(&stats[0], &stats[2], sizeof stats[0]) == 0)
            fail_msg("%s does not depend on the seed", names[kind]);
    }
    free(base.data);
}

/* A vector that many tables name is scanned and counted once, and answered once. */
static void test_counted_once(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 28);
    struct set base = clustered(&rng, NLSH_U8, N, 24);
    struct nlsh_matrix queries = base.matrix;
    queries.n_rows = N_QUERIES;
    struct nlsh__baseline_options o = options_of(LSH, 0);
    o.n_tables = 60;
    o.n_hashes = 1;
    struct nlsh__baseline *one = build(&base.matrix, o);
    struct counts stats = {0};
    for (int again = 0; again < 2; again++) {
        search(one, &queries, 60, 0, K, &a, &stats);
        for (size_t q = 0; q < N_QUERIES; q++) {
            assert_true(stats.candidates[q] <= N && stats.candidates[q] > N / 2);
            for (size_t i = 0; i < K; i++)
                for (size_t j = 0; j < i; j++) assert_true(a.keys[q * K + i] != a.keys[q * K + j]);
        }
    }
    nlsh__baseline_free(one);
    free(base.data);
}

/* IVF-PQ: the more is ranked exactly the better, and its codes choose better than chance. */
static void test_codes_choose(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 29);
    struct set base = clustered(&rng, NLSH_F32, N, 32);
    struct set queries = clustered(&rng, NLSH_F32, N_QUERIES, 32);
    struct counts stats = {0};
    struct nlsh__baseline_options o = options_of(PQ, 0);
    o.n_subspaces = 8;
    struct nlsh__baseline *one = build(&base.matrix, o);
    brute(&base.matrix, &queries.matrix, NLSH__BRUTE_BEST, K, &a);
    double recall = 0, last = 0;
    for (size_t rerank = K; rerank <= N; rerank *= 2) {
        search(one, &queries.matrix, 1e6, rerank, K, &b, &stats);
        recall = 0;
        for (size_t q = 0; q < N_QUERIES; q++) {
            assert_int_equal(stats.candidates[q], N);
            assert_int_equal(stats.ranked[q], rerank);
            recall += nlsh_recall(b.keys + q * K, b.distances + q * K, a.keys + q * K,
                                  a.distances + q * K, K) /
                      N_QUERIES;
        }
        assert_true(recall >= last);
        if (rerank == 2 * K && recall < 0.8) fail_msg("recall %g of %d by code", recall, 2 * K);
        last = recall;
    }
    nlsh__baseline_free(one);
    free(base.data);
    free(queries.data);
}

static void refused(const struct nlsh_matrix *base, struct nlsh__baseline_options o,
                    enum nlsh_status wanted)
{
    struct nlsh_error error;
    struct nlsh__baseline *one;
    assert_int_equal(nlsh__baseline_build(base, &o, NULL, &one, &error), wanted);
    assert_null(one);
    assert_true(error.message[0] != '\0');
}

/* The buckets of an index, scanned exactly, give what its own search gives once that ranks exactly
 * all it scans. */
static void test_routed(void **state)
{
    static const double t[] = {1, 3, 8, 0.5, 0.1, 0.01};
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct nlsh__rng rng;
        struct nlsh_error error;
        struct nlsh_index *index;
        struct nlsh_searcher *searcher;
        struct nlsh_search_options search_options;
        struct nlsh_build_options how;
        struct counts stats[2];
        test_rng(&rng, 32);
        struct set base = clustered(&rng, type ? NLSH_F32 : NLSH_U8, N, 24);
        struct set queries = clustered(&rng, NLSH_F32, N_QUERIES, 24);
        nlsh_build_options_init(&how, sizeof how);
        how.n_buckets = 8;
        how.epochs = 2;
        how.nodes = 16;
        how.partitioner = NLSH_PARTITIONER_KMEANS;
        if (nlsh_build(&base.matrix, &how, test_path("routed.nlsh"), NULL, NULL, &error) != NLSH_OK)
            fail_msg("%s", error.message);
        assert_int_equal(nlsh_index_open(test_path("routed.nlsh"), NULL, &index, NULL), NLSH_OK);
        assert_int_equal(nlsh_searcher_create(index, &searcher, NULL), NLSH_OK);
        struct nlsh__baseline_options o = options_of(FLAT, 0);
        o.method = NLSH__BASELINE_ROUTED;
        o.index = index;
        struct nlsh__baseline *one = build(&base.matrix, o);
        nlsh_search_options_init(&search_options, sizeof search_options);
        search_options.k = K;
        search_options.rerank = N;
        for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
            search_options.probes = t[i];
            assert_int_equal(nlsh_search(searcher, &queries.matrix, &search_options, a.keys,
                                         a.distances, COUNT_INTO(&stats[0]), NULL),
                             NLSH_OK);
            search(one, &queries.matrix, t[i], 0, K, &b, &stats[1]);
            for (size_t q = 0; q < N_QUERIES; q++) {
                assert_int_equal(stats[0].candidates[q], stats[1].candidates[q]);
                assert_int_equal(stats[0].probes[q], stats[1].probes[q]);
            }
            assert_memory_equal(a.keys, b.keys, N_QUERIES * K * sizeof *a.keys);
        }
        refused(&queries.matrix, o, NLSH_E_MISMATCH); /* other vectors */
        nlsh__baseline_free(one);
        nlsh_searcher_free(searcher);
        nlsh_index_close(index);
        free(base.data);
        free(queries.data);
    }
}

/* ---- recall floors --------------------------------------------------------------------------- */

/* On 4,000 vectors in 20 clusters: the recall@10 at so many probes, with the automatic options and
 * at most so many candidates. Floors a little below what was measured for seeds 1 to 5. */
static void test_recall_floors(void **state)
{
    enum { ROWS = 4000, QUERIES = 100, NEAR = 10 };
    static const struct {
        int kind;
        double probes, recall, candidates;
    } floors[] = {
        {FLAT, 4, 0.93, 400}, {PQ, 4, 0.9, 400}, {LSH, 5, 0.9, 800}, {CUBE, 16, 0.6, 1300}};
    (void)state;
    for (size_t f = 0; f < sizeof floors / sizeof floors[0]; f++)
        for (int type = 0; type < 2; type++) {
            static uint64_t keys[2][QUERIES * NEAR];
            static float distances[2][QUERIES * NEAR];
            static struct counts stats;
            struct nlsh__rng rng;
            double recall = 0, candidates = 0;
            test_rng(&rng, 30 + (uint64_t)type);
            struct set base = clustered(&rng, type ? NLSH_F32 : NLSH_U8, ROWS, 32);
            struct set queries = clustered(&rng, type ? NLSH_F32 : NLSH_U8, QUERIES, 32);
            struct nlsh__baseline *one = build(&base.matrix, options_of(floors[f].kind, 0));
            assert_int_equal(nlsh__baseline_search(one, &queries.matrix, floors[f].probes, 0, NEAR,
                                                   keys[0], distances[0], COUNT_INTO(&stats), NULL),
                             NLSH_OK);
            assert_int_equal(exact(&base.matrix, &queries.matrix, NLSH__BRUTE_BEST, NEAR, keys[1],
                                   distances[1], NULL),
                             NLSH_OK);
            for (size_t q = 0; q < QUERIES; q++) {
                recall += nlsh_recall(keys[0] + q * NEAR, distances[0] + q * NEAR,
                                      keys[1] + q * NEAR, distances[1] + q * NEAR, NEAR) /
                          QUERIES;
                candidates += (double)stats.candidates[q] / QUERIES;
            }
            printf("%-9s %s: recall %.3f, %.0f candidates\n", names[floors[f].kind],
                   type ? "f32" : "u8", recall, candidates);
            if (recall < floors[f].recall || candidates > floors[f].candidates)
                fail_msg("%s: recall %g, %g candidates", names[floors[f].kind], recall, candidates);
            nlsh__baseline_free(one);
            free(base.data);
            free(queries.data);
        }
}

/* ---- ugly sets and wrong arguments ----------------------------------------------------------- */

static void test_ugly_sets(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 31);
    const size_t rows[] = {1, 2, 40, N};
    for (int kind = 0; kind < N_KINDS; kind++)
        for (int i = 0; i < 4; i++)
            for (int equal = 0; equal < 2; equal++)
                for (int type = 0; type < 2; type++) {
                    struct set base = make_set(&rng, type ? NLSH_F32 : NLSH_U8, rows[i], 5,
                                               equal ? 1 : 256, type ? 0.5f : 0);
                    struct set queries = make_set(&rng, NLSH_U8, N_QUERIES, 5, 256, 0);
                    struct counts stats = {0};
                    size_t k = rows[i] + 3; /* more than there are */
                    struct nlsh__baseline *one = build(&base.matrix, options_of(kind, 1));
                    search(one, &queries.matrix, 1e6, N, k, &b, &stats);
                    check_answer(&b, &base.matrix, &queries.matrix, k, !type);
                    assert_int_equal(stats.candidates[0], rows[i]);
                    assert_true(nlsh__baseline_bytes(one) >= rows[i] * 5);
                    nlsh__baseline_free(one);
                    /* automatic options on such sets */
                    one = build(&base.matrix, options_of(kind, 0));
                    search(one, &base.matrix, 1, 0, 1, &b, NULL);
                    assert_true(b.distances[0] == 0);
                    nlsh__baseline_free(one);
                    free(base.data);
                    free(queries.data);
                }
}

static void test_wrong_arguments(void **state)
{
    (void)state;
    float x[6] = {1, 2, 3, 4, 5, NAN};
    struct nlsh_matrix base = {x, 2, 2, NLSH_F32, 0}, narrow = {x, 1, 1, NLSH_F32, 0};
    struct nlsh_matrix bad = {x, 3, 2, NLSH_F32, 0};
    struct nlsh_error error;
    uint64_t keys[9];
    struct nlsh__baseline_options o;
    for (int kind = 0; kind < N_KINDS; kind++) {
        refused(&bad, options_of(kind, 0), NLSH_E_DATA);
        struct nlsh__baseline *one = build(&base, options_of(kind, 0));
        const double probes[] = {0, -1, 0.5, 1.5, NAN};
        for (int i = 0; i < 5; i++)
            assert_int_equal(
                nlsh__baseline_search(one, &base, probes[i], 0, 1, keys, NULL, NULL, &error),
                NLSH_E_ARG);
        assert_int_equal(nlsh__baseline_search(one, &base, 1, 0, 0, keys, NULL, NULL, &error),
                         NLSH_E_ARG);
        assert_int_equal(nlsh__baseline_search(one, &narrow, 1, 0, 1, keys, NULL, NULL, &error),
                         NLSH_E_MISMATCH);
        assert_int_equal(nlsh__baseline_search(one, &bad, 1, 0, 1, keys, NULL, NULL, &error),
                         NLSH_E_DATA);
        nlsh__baseline_free(one);
    }
    for (size_t n = 0; n <= 3; n += 3) {
        o = options_of(FLAT, 0);
        o.n_lists = n;
        refused(&base, o, NLSH_E_ARG);
        o = options_of(PQ, 0);
        o.n_subspaces = n;
        refused(&base, o, NLSH_E_ARG);
    }
    o = options_of(LSH, 0);
    o.n_tables = 0;
    refused(&base, o, NLSH_E_ARG);
    o = options_of(LSH, 0);
    o.n_hashes = 65;
    refused(&base, o, NLSH_E_ARG);
    o = options_of(CUBE, 0);
    o.n_bits = 23;
    refused(&base, o, NLSH_E_ARG);
    const double windows[] = {0, -2, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        o = options_of(i % 2 ? LSH : CUBE, 0);
        o.window = windows[i];
        refused(&base, o, NLSH_E_ARG);
    }
    o.method = (enum nlsh__baseline_method)9;
    refused(&base, o, NLSH_E_ARG);
    o.method = NLSH__BASELINE_ROUTED; /* without an index */
    refused(&base, o, NLSH_E_ARG);
    nlsh__baseline_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_probed_is_brute_force),
        cmocka_unit_test(test_ties_go_by_id),
        cmocka_unit_test(test_more_probes),
        cmocka_unit_test(test_threads_and_seeds),
        cmocka_unit_test(test_counted_once),
        cmocka_unit_test(test_codes_choose),
        cmocka_unit_test(test_routed),
        cmocka_unit_test(test_recall_floors),
        cmocka_unit_test(test_ugly_sets),
        cmocka_unit_test(test_wrong_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
