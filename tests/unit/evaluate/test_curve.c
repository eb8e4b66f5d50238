/* test_curve.c - the curve's arithmetic against a hand-made case and a naive one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "evaluate/curve.h"

/* ---- the grid -------------------------------------------------------------------------------- */

static void test_grid(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 2, 31, 32, 33, 34, 35, 256, 1024, 65536};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct nlsh__curve_grid grid;
        size_t m = sizes[i];
        assert_int_equal(nlsh__curve_grid_init(m, 10, NULL, &grid, NULL), NLSH_OK);
        assert_int_equal(grid.tops[grid.n_tops - 1], m);
        for (size_t j = 0; j < grid.n_tops && j < 32; j++) assert_int_equal(grid.tops[j], j + 1);
        for (size_t j = 1; j < grid.n_tops; j++) {
            assert_true(grid.tops[j] > grid.tops[j - 1]);
            assert_true(grid.tops[j] <= 1.12 * grid.tops[j - 1] + 1);
        }
        assert_true(grid.n_tops < 150);
        assert_true(grid.thresholds[0] == 0.9);
        assert_true(grid.thresholds[grid.n_thresholds - 1] == 1e-6);
        for (size_t j = 0; j < grid.n_thresholds; j++) {
            char digits[32];
            snprintf(digits, sizeof digits, "%.3g", grid.thresholds[j]);
            assert_true(strtod(digits, NULL) == grid.thresholds[j]);
            assert_true(j == 0 || grid.thresholds[j] < grid.thresholds[j - 1]);
        }
        nlsh__curve_grid_free(&grid);
    }
}

/* ---- one query ------------------------------------------------------------------------------- */

/* Four buckets of 10, 20, 30, 40 vectors; falling probability: 2, 0, 3, 1. k = 4 neighbours: two in
 * bucket 1, one in 2, one in 3. */
static void test_by_hand(void **state)
{
    (void)state;
    const uint32_t sizes[4] = {10, 20, 30, 40}, truth[4] = {1, 3, 2, 1};
    const float probabilities[4] = {0.25f, 0.05f, 0.5f, 0.2f};
    const uint32_t expected_hits[4] = {1, 1, 2, 4}, expected_oracle[4] = {2, 3, 4, 4};
    const uint32_t expected_candidates[4] = {30, 40, 80, 100};
    struct nlsh__curve_grid grid;
    struct nlsh__curve_worker worker;
    uint32_t candidates[256];
    assert_int_equal(nlsh__curve_grid_init(4, 4, sizes, &grid, NULL), NLSH_OK);
    assert_int_equal(nlsh__curve_worker_init(&grid, 4, &worker, NULL), NLSH_OK);
    nlsh__curve_query(&grid, &worker, probabilities, truth, 4, candidates);
    assert_int_equal(grid.n_tops, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(worker.sums[i].hits, expected_hits[i]);
        assert_int_equal(worker.sums[i].oracle_hits, expected_oracle[i]);
        assert_int_equal(worker.sums[i].probes, i + 1);
        assert_int_equal(worker.sums[i].candidates, expected_candidates[i]);
        assert_int_equal(candidates[i], expected_candidates[i]);
    }
    for (size_t i = 0; i < grid.n_thresholds; i++) {
        double t = grid.thresholds[i]; /* none of them is a probability here */
        size_t n = t > 0.25 ? 1 : t > 0.2 ? 2 : t > 0.05 ? 3 : 4;
        assert_int_equal(worker.sums[4 + i].probes, n);
        assert_int_equal(worker.sums[4 + i].hits, expected_hits[n - 1]);
    }
    nlsh__curve_worker_free(&worker);
    nlsh__curve_grid_free(&grid);
}

/* The same by the definitions, with no cleverness: repeated maxima. */
struct naive {
    uint32_t hits, candidates, probes, oracle;
};

static struct naive naive_point(const float *p, const uint32_t *sizes, size_t m, size_t k,
                                const uint32_t *truth, size_t n_truth, size_t n_probes)
{
    struct naive out = {.probes = (uint32_t)n_probes};
    char *taken = calloc(m, 1);
    uint32_t *counts = calloc(m, sizeof *counts);
    for (size_t i = 0; i < n_truth; i++) counts[truth[i]]++;
    for (size_t step = 0; step < n_probes; step++) {
        size_t best = m;
        for (size_t b = 0; b < m; b++)
            if (!taken[b] && (best == m || p[b] > p[best])) best = b;
        taken[best] = 1;
        out.hits += counts[best];
        out.candidates += sizes[best];
    }
    for (size_t step = 0; step < n_probes; step++) {
        size_t best = 0;
        for (size_t b = 1; b < m; b++)
            if (counts[b] > counts[best]) best = b;
        out.oracle += counts[best];
        counts[best] = 0;
    }
    if (out.hits > k) out.hits = (uint32_t)k;
    if (out.oracle > k) out.oracle = (uint32_t)k;
    free(counts);
    free(taken);
    return out;
}

static size_t naive_probes(const float *p, size_t m, double threshold)
{
    size_t n = 0;
    for (size_t b = 0; b < m; b++) n += p[b] > (float)threshold;
    return n > 0 ? n : 1;
}

static void compare_random(struct nlsh__rng *rng, size_t m, size_t k, size_t n_ties,
                           size_t n_levels)
{
    enum { N_QUERIES = 5 };
    uint32_t *sizes = malloc(m * sizeof *sizes), *truth = malloc((k + n_ties) * sizeof *truth);
    float *p = malloc(m * sizeof *p);
    struct nlsh__curve_grid grid;
    struct nlsh__curve_worker worker;
    for (size_t b = 0; b < m; b++) sizes[b] = (uint32_t)nlsh__rng_below(rng, 100);
    assert_int_equal(nlsh__curve_grid_init(m, k, sizes, &grid, NULL), NLSH_OK);
    assert_int_equal(nlsh__curve_worker_init(&grid, k + n_ties, &worker, NULL), NLSH_OK);
    size_t n_points = nlsh__curve_n_points(&grid);
    struct naive *sums = calloc(n_points, sizeof *sums);
    uint32_t *candidates = malloc(n_points * sizeof *candidates);
    for (int q = 0; q < N_QUERIES; q++) {
        /* few levels: many equal probabilities, zeros among them */
        for (size_t b = 0; b < m; b++)
            p[b] = (float)nlsh__rng_below(rng, n_levels) / (float)(n_levels * m);
        for (size_t i = 0; i < k + n_ties; i++) truth[i] = (uint32_t)nlsh__rng_below(rng, m);
        nlsh__curve_query(&grid, &worker, p, truth, k + n_ties, candidates);
        for (size_t i = 0; i < n_points; i++) {
            size_t n = i < grid.n_tops ? grid.tops[i]
                                       : naive_probes(p, m, grid.thresholds[i - grid.n_tops]);
            struct naive one = naive_point(p, sizes, m, k, truth, k + n_ties, n);
            assert_int_equal(candidates[i], one.candidates);
            sums[i].hits += one.hits;
            sums[i].candidates += one.candidates;
            sums[i].probes += one.probes;
            sums[i].oracle += one.oracle;
        }
    }
    for (size_t i = 0; i < n_points; i++) {
        assert_int_equal(worker.sums[i].hits, sums[i].hits);
        assert_int_equal(worker.sums[i].candidates, sums[i].candidates);
        assert_int_equal(worker.sums[i].probes, sums[i].probes);
        assert_int_equal(worker.sums[i].oracle_hits, sums[i].oracle);
        assert_true(sums[i].oracle >= sums[i].hits);
    }
    free(candidates);
    free(sums);
    nlsh__curve_worker_free(&worker);
    nlsh__curve_grid_free(&grid);
    free(p);
    free(truth);
    free(sizes);
}

static void test_against_naive(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 11, 0);
    const size_t ms[] = {1, 2, 3, 17, 64, 200};
    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
        for (size_t k = 1; k <= 12; k += 11)
            for (size_t n_ties = 0; n_ties <= 3; n_ties += 3)
                for (size_t n_levels = 2; n_levels <= 2000; n_levels *= 10)
                    compare_random(&rng, ms[i], k, n_ties, n_levels);
}

/* ---- the percentile -------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void test_p95(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 12, 0);
    for (size_t n = 1; n <= 450; n++) {
        uint32_t *values = malloc(n * sizeof *values);
        struct nlsh__tail tail = {.n_kept = nlsh__tail_n_kept(n)};
        tail.values = malloc(2 * tail.n_kept * sizeof *tail.values);
        for (size_t i = 0; i < n; i++) {
            values[i] = (uint32_t)nlsh__rng_below(&rng, n % 3 == 0 ? 5 : 1000);
            nlsh__tail_add(&tail, values[i]);
        }
        qsort(values, n, sizeof *values, ascending);
        size_t rank = (95 * n + 99) / 100; /* ceil(0.95 n) */
        assert_int_equal(nlsh__tail_p95(&tail), values[rank - 1]);
        free(tail.values);
        free(values);
    }
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void test_finish_stops_at_recall_one(void **state)
{
    (void)state;
    struct nlsh__curve_grid grid;
    struct nlsh_curve *curve;
    assert_int_equal(nlsh__curve_grid_init(10, 5, NULL, &grid, NULL), NLSH_OK);
    size_t n_points = nlsh__curve_n_points(&grid);
    struct nlsh__curve_sum *sums = calloc(n_points, sizeof *sums);
    uint32_t *p95 = calloc(n_points, sizeof *p95);
    for (size_t i = 0; i < n_points; i++) {
        size_t step = i < 10 ? i : i - 10;
        sums[i].hits = step < 3 ? step : 10; /* of 2 queries x 5 */
        sums[i].oracle_hits = 10;
        sums[i].candidates = 7;
        sums[i].probes = 3;
        p95[i] = (uint32_t)i;
    }
    assert_int_equal(nlsh__curve_finish(&grid, sums, p95, 2, &curve, NULL), NLSH_OK);
    assert_int_equal(curve->n_points, 5 + 4); /* T = 1 2 3 4 10, four thresholds */
    assert_true(curve->points[3].recall == 1 && curve->points[3].value == 4);
    assert_true(curve->points[4].value == 10 && curve->points[4].rule == NLSH_RULE_TOP);
    assert_true(curve->points[2].recall == 0.2 && curve->points[2].oracle_recall == 1);
    assert_true(curve->points[2].candidates == 3.5 && curve->points[2].probes == 1.5);
    assert_true(curve->points[2].candidates_p95 == 2);
    assert_true(curve->points[5].rule == NLSH_RULE_THRESHOLD && curve->points[5].value == 0.9);
    assert_true(curve->points[8].recall == 1);
    nlsh_curve_free(curve);
    nlsh_curve_free(NULL);
    free(p95);
    free(sums);
    nlsh__curve_grid_free(&grid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_against_naive),
        cmocka_unit_test(test_p95),
        cmocka_unit_test(test_finish_stops_at_recall_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
