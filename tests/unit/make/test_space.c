/*
 * test_space.c - how large vectors are does not matter, up to bounds; beyond them they are refused with
 * words.
 */
#include "testing.h"

#include <math.h>

#include "base/rng.h"
#include "kernels/metric.h"
#include "nlsh/learn.h"

enum { N = 300, DIM = 9, N_QUERIES = 40, K = 10 };

static float base[N * DIM], queries[N_QUERIES * DIM], large_base[N * DIM],
    large_queries[N_QUERIES * DIM];
static struct nlsh_error error;

static void make_vectors(void)
{
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 5, 0);
    for (size_t i = 0; i < (size_t)N * DIM; i++)
        base[i] = (float)nlsh__rng_below(&rng, 1 << 20) / (1 << 20) - 0.5f;
    for (size_t i = 0; i < (size_t)N_QUERIES * DIM; i++)
        queries[i] = (float)nlsh__rng_below(&rng, 1 << 20) / (1 << 20) - 0.5f;
    base[7 * DIM + 3] = queries[2 * DIM] = -1; /* the largest, by which errors go */
}

static struct nlsh_matrix scaled(const float *from, size_t n, double factor, float *to)
{
    for (size_t i = 0; i < n * DIM; i++) to[i] = (float)(from[i] * factor);
    return (struct nlsh_matrix){.data = to, .n_rows = n, .dim = DIM, .type = NLSH_F32};
}

/* The exact neighbours of both sets times a factor. */
static enum nlsh_status truth_at(double base_factor, double query_factor, enum nlsh_metric metric,
                                 struct nlsh_neighbors *out)
{
    struct nlsh_run run;
    struct nlsh_matrix b = scaled(base, N, base_factor, large_base);
    struct nlsh_matrix q = scaled(queries, N_QUERIES, query_factor, large_queries);
    nlsh_run_init(&run, sizeof run);
    run.n_threads = 1;
    nlsh_neighbors_init(out, sizeof *out);
    return nlsh_ground_truth(&b, &q, metric, K, &run, out, &error);
}

/* A power of two changes no bit of a float but its exponent: the answers are the same to the last id. */
static void size_does_not_matter(void **state)
{
    (void)state;
    static const enum nlsh_metric metrics[] = {NLSH_L2, NLSH_IP, NLSH_COSINE};
    for (int m = 0; m < 3; m++) {
        struct nlsh_neighbors plain, large;
        assert_int_equal(truth_at(1, 1, metrics[m], &plain), NLSH_OK);
        for (int e = -49; e <= 49; e += 7) { /* 1.8e-15 to 5.6e14 */
            if (truth_at(ldexp(1, e), ldexp(1, e), metrics[m], &large) != NLSH_OK)
                fail_msg("2^%d: %s", e, error.message);
            assert_memory_equal(plain.ids, large.ids, N_QUERIES * K * sizeof *plain.ids);
            nlsh_neighbors_free(&large);
        }
        nlsh_neighbors_free(&plain);
    }
}

static void expect_refused(double base_factor, double query_factor, enum nlsh_metric metric,
                           const char *message, const char *hint)
{
    struct nlsh_neighbors truth;
    enum nlsh_status status = truth_at(base_factor, query_factor, metric, &truth);
    if (status != NLSH_E_DATA || strstr(error.message, message) == NULL ||
        strstr(error.hint, hint) == NULL)
        fail_msg("%g, %g: status %d, not '%s' and '%s': %s\n%s", base_factor, query_factor, status,
                 message, hint, error.message, error.hint);
}

static void beyond_the_bounds(void **state)
{
    (void)state;
    static const enum nlsh_metric metrics[] = {NLSH_L2, NLSH_IP};
    struct nlsh_neighbors truth;
    for (int m = 0; m < 2; m++) {
        expect_refused(1e-16, 1, metrics[m], "base: the largest value is -1e-16 (row 7, column 3",
                       "by 1e16");
        expect_refused(1e-23, 1, metrics[m], "vanish", "by 1e23");
        expect_refused(1e-41, 1, metrics[m], "vanish", "by 1e41");
        expect_refused(1e16, 1, metrics[m], "too large", "by 1e-16");
        expect_refused(1e38, 1, metrics[m], "too large", "by 1e-38");
        expect_refused(1, 1e19, metrics[m], "queries: the largest value", "multiply");
    }
    expect_refused(1, 1e-20, NLSH_IP, "queries: the largest value", "multiply");
    assert_int_equal(truth_at(1, 1e-30, NLSH_L2, &truth), NLSH_OK); /* next to zero */
    nlsh_neighbors_free(&truth);
    assert_int_equal(truth_at(0, 1, NLSH_L2, &truth), NLSH_OK);
    nlsh_neighbors_free(&truth);
}

/* Graphs and builds go by the same bounds. */
static void graphs_and_builds(void **state)
{
    (void)state;
    static const double factors[] = {1e-20, 1e20};
    struct nlsh_run run;
    struct nlsh_build_options options;
    nlsh_run_init(&run, sizeof run);
    nlsh_build_options_init(&options, sizeof options);
    for (int i = 0; i < 2; i++) {
        struct nlsh_neighbors graph;
        struct nlsh_matrix b = scaled(base, N, factors[i], large_base);
        nlsh_neighbors_init(&graph, sizeof graph);
        assert_int_equal(
            nlsh_graph_build(&b, NLSH_L2, NLSH_GRAPH_EXACT, K, 1, &run, &graph, &error),
            NLSH_E_DATA);
        assert_int_equal(nlsh_build(&b, &options, test_path("x.nlsh"), &run, NULL, &error),
                         NLSH_E_DATA);
        assert_non_null(strstr(error.hint, "multiply the vectors"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size_does_not_matter),
        cmocka_unit_test(beyond_the_bounds),
        cmocka_unit_test(graphs_and_builds),
    };
    make_vectors();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
