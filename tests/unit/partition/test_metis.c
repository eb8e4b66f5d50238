/* test_metis.c - nlsh__partition_metis(): valid on every kind of graph, good where the best cut is
 * known, the same for the same seed, silent, and no trace left in the process. */
#include <math.h>
#include <pthread.h>
#include <signal.h>

#include "testing.h"
#include "unit/partition/graphs.h"

static void metis(const char *what, const struct nlsh__csr *csr, size_t m, double imbalance,
                  uint64_t seed, uint32_t *bucket_of)
{
    struct nlsh_error error = {0};
    if (nlsh__partition_metis(csr, m, imbalance, seed, NULL, bucket_of, &error) != NLSH_OK)
        fail_msg("%s, m %zu: %s", what, m, error.message);
    assert_valid(what, bucket_of, csr->n, m, imbalance);
}

static void every_graph_m_and_imbalance(void **state)
{
    (void)state;
    static const double imbalances[] = {0.0, 0.03, 0.5};
    struct named_graph graphs[N_GRAPHS];
    struct hush hush;
    char text[400];
    make_graphs(graphs);
    hush_begin(&hush);
    for (size_t g = 0; g < N_GRAPHS; g++) {
        size_t n = graphs[g].csr.n;
        size_t ms[] = {1, 2, n / 40 + 1, n / 12, n / 8, n / 3, n - 1, n};
        uint32_t *bucket_of = malloc(n * sizeof *bucket_of), *again = malloc(n * sizeof *again);
        assert_true(bucket_of && again);
        for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
            for (size_t j = i % 2; j < sizeof imbalances / sizeof *imbalances; j += TEST_STRIDE) {
                metis(graphs[g].name, &graphs[g].csr, ms[i], imbalances[j], SEED + i, bucket_of);
                if (j != 1 || i % 3 != 1) continue;
                metis(graphs[g].name, &graphs[g].csr, ms[i], imbalances[j], SEED + i, again);
                assert_memory_equal(bucket_of, again, n * sizeof *again);
            }
        free(bucket_of);
        free(again);
    }
    size_t printed = hush_end(&hush, text, sizeof text);
    if (printed > 0) fail_msg("%zu bytes were printed: %s", printed, text);
    free_graphs(graphs);
}

/* Every clique in a bucket of its own cuts the bridges only: no other answer of this balance cuts
 * less, since dividing a clique of 20 cuts at least 19 edges of weight 2. */
static void cliques_are_found(void **state)
{
    (void)state;
    struct nlsh__csr csr = clique_graph(16, 20, 1);
    uint32_t bucket_of[320];
    for (uint64_t seed = 0; seed < 5; seed++) {
        metis("cliques", &csr, 16, 0.0, seed, bucket_of);
        assert_int_equal(cut_weight(&csr, bucket_of), 16);
        /* Two a bucket: half the ring's bridges. */
        metis("cliques", &csr, 8, 0.03, seed, bucket_of);
        assert_int_equal(cut_weight(&csr, bucket_of), 8);
    }
    free_csr(&csr);
}

/* Cliques that METIS is not asked about (fewer than 8 vertices a part). */
static void small_cliques_are_found(void **state)
{
    (void)state;
    struct nlsh__csr csr = clique_graph(64, 5, 1);
    uint32_t bucket_of[320];
    metis("small cliques", &csr, 64, 0.0, SEED, bucket_of);
    /* The best is 64; a random division cuts 1270 of 1344 on average. */
    assert_in_range(cut_weight(&csr, bucket_of), 64, 400);
    free_csr(&csr);
}

/* 60 x 60 in 4: the best is two lines across, 120 edges of weight 2; 16 squares: 6 lines. */
static void grid_cut_is_near_the_best(void **state)
{
    (void)state;
    struct nlsh__csr csr = grid_graph(60);
    uint32_t *bucket_of = malloc(csr.n * sizeof *bucket_of);
    assert_non_null(bucket_of);
    metis("grid", &csr, 4, 0.03, SEED, bucket_of);
    assert_in_range(cut_weight(&csr, bucket_of), 220, 300);
    metis("grid", &csr, 16, 0.03, SEED, bucket_of);
    assert_in_range(cut_weight(&csr, bucket_of), 600, 900);
    free(bucket_of);
    free_csr(&csr);
}

static void seeds_differ(void **state)
{
    (void)state;
    struct nlsh__csr csr = random_graph(2000, 9000, SEED);
    uint32_t a[2000], b[2000], c[2000];
    metis("random", &csr, 32, 0.03, 1, a);
    metis("random", &csr, 32, 0.03, 2, b);
    metis("random", &csr, 32, 0.03, 1 + ((uint64_t)1 << 32), c); /* the upper half counts too */
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    free_csr(&csr);
}

static void expect(enum nlsh_status wanted, const char *word, const struct nlsh__csr *csr, size_t m,
                   double imbalance)
{
    uint32_t bucket_of[500];
    struct nlsh_error error = {0};
    assert_int_equal(nlsh__partition_metis(csr, m, imbalance, SEED, NULL, bucket_of, &error),
                     wanted);
    if (strstr(error.message, word) == NULL) fail_msg("no '%s' in '%s'", word, error.message);
    assert_int_equal(nlsh__partition_metis(csr, m, imbalance, SEED, NULL, bucket_of, NULL), wanted);
}

static void settings_outside_their_meaning(void **state)
{
    (void)state;
    struct edges none = {0};
    struct nlsh__csr csr = grid_graph(10), empty = make_csr(0, &none);
    expect(NLSH_E_ARG, "0 buckets", &csr, 0, 0.03);
    expect(NLSH_E_ARG, "101 buckets for 100", &csr, 101, 0.03);
    expect(NLSH_E_ARG, "1 buckets for 0", &empty, 1, 0.03);
    expect(NLSH_E_ARG, "imbalance -0.1", &csr, 4, -0.1);
    expect(NLSH_E_ARG, "imbalance", &csr, 4, (double)NAN);
    expect(NLSH_E_ARG, "imbalance", &csr, 4, (double)INFINITY);
    free_csr(&csr);
    free_csr(&empty);
}

static void damaged_graphs_are_refused(void **state)
{
    (void)state;
    struct nlsh__csr csr = grid_graph(10);
    int32_t saved;
#define WITH(place, value, word)                                                                   \
    do {                                                                                           \
        saved = (place);                                                                           \
        (place) = (value);                                                                         \
        expect(NLSH_E_DATA, word, &csr, 4, 0.03);                                                  \
        (place) = saved;                                                                           \
    } while (0)
    /* Row 0 holds 1 and 10, row 11 holds 1, 10, 12, 21. */
    WITH(csr.weights[0], 1, "symmetric");
    WITH(csr.neighbors[1], 11, "symmetric");
    WITH(csr.neighbors[1], 99, "symmetric");
    WITH(csr.neighbors[1], 0, "loop");
    WITH(csr.neighbors[1], 1, "ascending");
    WITH(csr.neighbors[1], 100, "range");
    WITH(csr.neighbors[1], -1, "range");
    WITH(csr.weights[3], 0, "weight");
    WITH(csr.weights[3], -2, "weight");
    WITH(csr.offsets[0], 1, "begin");
    WITH(csr.offsets[5], csr.offsets[6] + 1, "before");
    WITH(csr.offsets[100], csr.offsets[100] - 1, "symmetric"); /* the last entry dropped */
#undef WITH
    expect(NLSH_OK, "", &csr, 4, 0.03); /* what was changed was put back */
    for (int32_t e = 0; e < csr.offsets[100]; e++) csr.weights[e] = INT32_MAX / 100;
    expect(NLSH_E_UNSUPPORTED, "32 bits", &csr, 4, 0.03);
    free_csr(&csr);
}

/* Every one-sided edge is seen, wherever it stands. */
static void any_missing_entry_is_seen(void **state)
{
    (void)state;
    struct nlsh__csr whole = random_graph(60, 150, SEED);
    size_t n_entries = (size_t)whole.offsets[60];
    for (size_t gone = 0; gone < n_entries; gone++) {
        struct edges edges = {0};
        struct nlsh__csr csr = make_csr(60, &edges);
        csr.neighbors = realloc(csr.neighbors, n_entries * sizeof *csr.neighbors);
        csr.weights = realloc(csr.weights, n_entries * sizeof *csr.weights);
        int32_t kept = 0;
        for (size_t u = 0; u < 60; u++) {
            for (int32_t e = whole.offsets[u]; e < whole.offsets[u + 1]; e++)
                if ((size_t)e != gone) {
                    csr.neighbors[kept] = whole.neighbors[e];
                    csr.weights[kept++] = whole.weights[e];
                }
            csr.offsets[u + 1] = kept;
        }
        expect(NLSH_E_DATA, "symmetric", &csr, 4, 0.03);
        free_csr(&csr);
    }
    free_csr(&whole);
}

/* METIS seeds and draws libc's rand(); the host's own sequence must go on as if it had not. */
static void the_hosts_rand_goes_on(void **state)
{
    (void)state;
    struct nlsh__csr csr = grid_graph(20);
    uint32_t bucket_of[400];
    srand(77);
    int first = rand(), second = rand();
    srand(77);
    assert_int_equal(rand(), first);
    metis("grid", &csr, 8, 0.03, SEED, bucket_of);
    assert_int_equal(rand(), second);
    free_csr(&csr);
}

static void on_signal(int number)
{
    (void)number;
}

static void the_hosts_handlers_stay(void **state)
{
    (void)state;
    struct nlsh__csr csr = grid_graph(20);
    uint32_t bucket_of[400];
    signal(SIGTERM, on_signal);
    signal(SIGABRT, on_signal);
    metis("grid", &csr, 8, 0.03, SEED, bucket_of);
    assert_true(signal(SIGTERM, SIG_DFL) == on_signal);
    assert_true(signal(SIGABRT, SIG_DFL) == on_signal);
    free_csr(&csr);
}

struct one_cut {
    const struct nlsh__csr *csr;
    uint64_t seed;
    uint32_t *bucket_of;
    enum nlsh_status status;
};

static void *cut_in_thread(void *arg)
{
    struct one_cut *cut = arg;
    cut->status = NLSH_OK;
    for (int i = 0; i < 5 && cut->status == NLSH_OK; i++)
        cut->status =
            nlsh__partition_metis(cut->csr, 16, 0.03, cut->seed, NULL, cut->bucket_of, NULL);
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* GCC 12's AddressSanitizer does not give the child its heap's locks free (apart.h) */
#endif
    struct nlsh__csr csr = random_graph(2000, 9000, SEED);
    static uint32_t alone[4][2000], together[4][2000];
    struct one_cut cuts[4];
    pthread_t threads[4];
    for (size_t t = 0; t < 4; t++) metis("alone", &csr, 16, 0.03, t, alone[t]);
    for (size_t t = 0; t < 4; t++) {
        cuts[t] = (struct one_cut){&csr, t, together[t], NLSH_OK};
        assert_int_equal(pthread_create(&threads[t], NULL, cut_in_thread, &cuts[t]), 0);
    }
    for (size_t t = 0; t < 4; t++) {
        pthread_join(threads[t], NULL);
        assert_int_equal(cuts[t].status, NLSH_OK);
        assert_memory_equal(alone[t], together[t], sizeof alone[t]);
    }
    free_csr(&csr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_graph_m_and_imbalance),
        cmocka_unit_test(cliques_are_found),
        cmocka_unit_test(small_cliques_are_found),
        cmocka_unit_test(grid_cut_is_near_the_best),
        cmocka_unit_test(seeds_differ),
        cmocka_unit_test(settings_outside_their_meaning),
        cmocka_unit_test(damaged_graphs_are_refused),
        cmocka_unit_test(any_missing_entry_is_seen),
        cmocka_unit_test(the_hosts_rand_goes_on),
        cmocka_unit_test(the_hosts_handlers_stay),
        cmocka_unit_test(threads_do_not_disturb_each_other),
    };
    printf("seed %u\n", SEED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
