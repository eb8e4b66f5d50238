/* test_index.c - nlsh_evaluate() over a real index says what searches of it then show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/rng.h"
#include "baselines/methods.h"
#include "evaluate/curve.h"
#include "support/counts.h"

enum { N = 2500, DIM = 12, M = 20, N_QUERIES = 200, K = 10, N_CLUSTERS = 50 };

static float base[N * DIM], queries[N_QUERIES * DIM];
static uint64_t truth_ids[N_QUERIES * K], keys[N_QUERIES * K];
static float truth_distances[N_QUERIES * K], distances[N_QUERIES * K];
static struct counts stats;

static void fill(struct nlsh__rng *rng, const float *centres, float *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float *centre = centres + nlsh__rng_below(rng, N_CLUSTERS) * DIM;
        for (int j = 0; j < DIM; j++)
            rows[i * DIM + (size_t)j] = centre[j] + (float)nlsh__rng_normal(rng);
    }
}

static void check(enum nlsh_status status, const struct nlsh_error *error)
{
    if (status != NLSH_OK) fail_msg("%s", error->message);
}

/* A search at one point of the curve scans what the curve says and finds as much. */
static void check_search(const struct nlsh_index *index, const struct nlsh_matrix *q,
                         const struct nlsh_curve_point *point)
{
    struct nlsh_error error;
    struct nlsh_search_options options;
    double candidates = 0, probes = 0, recall = 0;
    nlsh_search_options_init(&options, sizeof options);
    options.k = K;
    options.probes = point->value;
    check(nlsh_search_batch(index, q, &options, keys, distances, COUNT_INTO(&stats), &error),
          &error);
    for (size_t i = 0; i < N_QUERIES; i++) {
        candidates += stats.candidates[i];
        probes += stats.probes[i];
        recall += nlsh_recall(keys + i * K, NULL, truth_ids + i * K, NULL, K);
    }
    assert_true(fabs(point->candidates - candidates / N_QUERIES) < 1e-9);
    assert_true(fabs(point->probes - probes / N_QUERIES) < 1e-9);
    /* A search may lose a little where it ranks by codes first; it cannot find more. */
    assert_true(recall / N_QUERIES <= point->recall + 1e-9);
    assert_true(recall / N_QUERIES >= point->recall - 0.02);
}

static void test_a_built_index(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    struct nlsh_error error;
    struct nlsh_run run;
    struct nlsh_build_options options;
    struct nlsh_index *index;
    struct nlsh_curve *curve;
    float centres[N_CLUSTERS * DIM];
    char path[64];
    nlsh__rng_init(&rng, 9, 0);
    for (int i = 0; i < N_CLUSTERS * DIM; i++) centres[i] = 3 * (float)nlsh__rng_normal(&rng);
    fill(&rng, centres, base, N);
    fill(&rng, centres, queries, N_QUERIES);
    struct nlsh_matrix b = {base, N, DIM, NLSH_F32, 0}, q = {queries, N_QUERIES, DIM, NLSH_F32, 0};
    struct nlsh_neighbors truth = {.struct_size = sizeof truth,
                                   .n_rows = N_QUERIES,
                                   .k = K,
                                   .ids = truth_ids,
                                   .distances = truth_distances};
    snprintf(path, sizeof path, "/tmp/nlsh-evaluate-%ld.nlsh", (long)getpid());

    nlsh_run_init(&run, sizeof run);
    nlsh_build_options_init(&options, sizeof options);
    options.n_buckets = M;
    options.epochs = 4;
    check(nlsh_build(&b, &options, path, &run, NULL, &error), &error);
    check(nlsh_index_open(path, NULL, &index, &error), &error);
    struct nlsh__brute *scan;
    check(nlsh__brute_create(&b, NLSH__BRUTE_BEST, &scan, &error), &error);
    check(nlsh__brute_search(scan, &q, K, truth_ids, truth_distances, &error), &error);
    nlsh__brute_free(scan);
    check(nlsh_evaluate(index, &q, &truth, K, &run, &curve, &error), &error);

    assert_true(curve->n_points > 5);
    for (size_t i = 0; i < curve->n_points; i++) {
        const struct nlsh_curve_point *p = &curve->points[i], *before = p - 1;
        assert_true(p->oracle_recall >= p->recall);
        if (p->rule == NLSH_RULE_TOP && p->value == M)
            assert_true(p->recall == 1 && p->candidates == N && p->candidates_p95 == N);
        if (i > 0 && p->rule == before->rule)
            assert_true(p->recall >= before->recall && p->candidates >= before->candidates);
        if (i % 5 == 0 || p->value == M) check_search(index, &q, p);
    }
    /* It learned: the best bucket of 20 holds far more than a twentieth. */
    assert_true(curve->points[0].recall > 0.3);
    nlsh_curve_free(curve);
    nlsh_index_close(index);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_built_index)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
