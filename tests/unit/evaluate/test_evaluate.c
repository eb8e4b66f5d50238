/* test_evaluate.c - nlsh_evaluate() over an index that is made up here: the functions of the index
 * and the router that it calls are this file's, so that every answer is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "evaluate/curve.h"

/* ---- the index ------------------------------------------------------------------------------- */

struct nlsh_index {
    size_t n_rows, m;
    uint32_t *offsets, *ids, *bucket_of;
    size_t failing_query; /* routing it fails */
};

struct nlsh_searcher {
    const struct nlsh_index *index;
};

enum nlsh_status nlsh_index_info(const struct nlsh_index *index, struct nlsh_index_info *out,
                                 struct nlsh_error *error)
{
    (void)error;
    assert_int_equal(out->struct_size, sizeof *out);
    *out = (struct nlsh_index_info){.struct_size = sizeof *out,
                                    .n_rows = index->n_rows,
                                    .dim = 1,
                                    .n_buckets = index->m,
                                    .n_segments = 1};
    return NLSH_OK;
}

int nlsh_index_segment(const struct nlsh_index *index, size_t i, struct nlsh_segment *out)
{
    assert_int_equal(out->struct_size, sizeof *out);
    *out = (struct nlsh_segment){.struct_size = sizeof *out,
                                 .n_rows = index->n_rows,
                                 .bucket_offsets = index->offsets,
                                 .rows = index->ids};
    return i == 0;
}

enum nlsh_status nlsh_searcher_create(const struct nlsh_index *index, struct nlsh_searcher **out,
                                      struct nlsh_error *error)
{
    (void)error;
    *out = malloc(sizeof **out);
    (*out)->index = index;
    return NLSH_OK;
}

void nlsh_searcher_free(struct nlsh_searcher *searcher)
{
    free(searcher);
}

/* The probabilities of the query whose one value is `query`: anything, but always the same. */
static void probabilities_of(size_t query, size_t m, float *p)
{
    struct nlsh__rng rng;
    double sum = 0;
    nlsh__rng_init(&rng, 77, query);
    for (size_t b = 0; b < m; b++) sum += p[b] = (float)pow(nlsh__rng_uniform(&rng), 8);
    for (size_t b = 0; b < m; b++) p[b] = (float)(p[b] / sum);
}

enum nlsh_status nlsh_route(struct nlsh_searcher *searcher, const struct nlsh_matrix *queries,
                            float *probabilities, struct nlsh_error *error)
{
    const struct nlsh_index *index = searcher->index;
    for (size_t i = 0; i < queries->n_rows; i++) {
        size_t query = (size_t)((const float *)queries->data)[i];
        if (query >= index->failing_query) {
            /* long enough for the other threads to fail as well */
            nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
            *error = (struct nlsh_error){.status = NLSH_E_INTERNAL};
            snprintf(error->message, sizeof error->message, "failed at %zu", query);
            return NLSH_E_INTERNAL;
        }
        probabilities_of(query, index->m, probabilities + i * index->m);
    }
    return NLSH_OK;
}

/* ---- making one ------------------------------------------------------------------------------ */

struct fixture {
    struct nlsh_index index;
    struct nlsh_matrix queries;
    struct nlsh_neighbors truth;
    struct nlsh_run run;
};

static struct fixture make(size_t n_rows, size_t m, size_t n_queries, size_t k)
{
    struct fixture f = {.index = {.n_rows = n_rows, .m = m, .failing_query = SIZE_MAX}};
    struct nlsh__rng rng;
    uint32_t at = 0;
    nlsh__rng_init(&rng, 5, 0);
    f.index.offsets = calloc(m + 1, sizeof(uint32_t));
    f.index.ids = calloc(n_rows, sizeof(uint32_t));
    f.index.bucket_of = calloc(n_rows, sizeof(uint32_t));
    for (size_t i = 0; i < n_rows; i++)
        f.index.bucket_of[i] = i < m ? (uint32_t)i : (uint32_t)nlsh__rng_below(&rng, m);
    for (uint32_t b = 0; b < m; b++) {
        for (uint32_t i = 0; i < n_rows; i++)
            if (f.index.bucket_of[i] == b) f.index.ids[at++] = i;
        f.index.offsets[b + 1] = at;
    }
    float *queries = calloc(n_queries, sizeof *queries);
    uint32_t *some = calloc(k, sizeof *some);
    nlsh_neighbors_init(&f.truth, sizeof f.truth);
    f.truth.n_rows = n_queries;
    f.truth.k = k;
    f.truth.ids = calloc(n_queries * k, sizeof *f.truth.ids);
    for (size_t q = 0; q < n_queries; q++) {
        queries[q] = (float)q;
        nlsh__rng_sample(&rng, n_rows, k, some);
        for (size_t i = 0; i < k; i++) f.truth.ids[q * k + i] = some[i];
    }
    free(some);
    f.queries = (struct nlsh_matrix){queries, n_queries, 1, NLSH_F32, 0};
    nlsh_run_init(&f.run, sizeof f.run);
    f.run.n_threads = 2;
    return f;
}

static void drop(struct fixture *f)
{
    free(f->index.offsets);
    free(f->index.ids);
    free(f->index.bucket_of);
    free(f->truth.ids);
    free(f->truth.distances);
    free((void *)(uintptr_t)f->queries.data);
}

static struct nlsh_curve *evaluate(const struct fixture *f, size_t k)
{
    struct nlsh_error error;
    struct nlsh_curve *curve;
    if (nlsh_evaluate(&f->index, &f->queries, &f->truth, k, &f->run, &curve, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    return curve;
}

static void refuse(const struct fixture *f, size_t k, enum nlsh_status status, const char *words)
{
    struct nlsh_error error;
    struct nlsh_curve *curve;
    assert_int_equal(nlsh_evaluate(&f->index, &f->queries, &f->truth, k, &f->run, &curve, &error),
                     status);
    if (strstr(error.message, words) == NULL) fail_msg("'%s' not in '%s'", words, error.message);
    assert_null(curve);
}

/* ---- the curve ------------------------------------------------------------------------------- */

static int by_value(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* One point by its definition: the buckets of each query, then what they hold. */
static void check_point(const struct fixture *f, const struct nlsh_curve_point *point, size_t k)
{
    size_t m = f->index.m, n = f->queries.n_rows;
    float *p = malloc(m * sizeof *p);
    double *candidates = calloc(n, sizeof *candidates), recall = 0, mean = 0, probes = 0;
    for (size_t q = 0; q < n; q++) {
        probabilities_of(q, m, p);
        size_t n_probes = 0, hits = 0, best = 0;
        for (size_t b = 0; b < m; b++) {
            size_t rank = 0;
            for (size_t o = 0; o < m; o++) rank += p[o] > p[b] || (p[o] == p[b] && o < b);
            if (rank == 0) best = b;
            int probed = point->rule == NLSH_RULE_TOP ? (double)rank < point->value
                                                      : rank == 0 || p[b] > (float)point->value;
            if (!probed) continue;
            n_probes++;
            candidates[q] += f->index.offsets[b + 1] - f->index.offsets[b];
            for (size_t i = 0; i < k; i++)
                hits += f->index.bucket_of[f->truth.ids[q * f->truth.k + i]] == b;
        }
        assert_true(n_probes >= 1 && best < m);
        recall += (double)hits;
        mean += candidates[q];
        probes += (double)n_probes;
    }
    qsort(candidates, n, sizeof *candidates, by_value);
    double p95 = candidates[(95 * n + 99) / 100 - 1];
    assert_true(fabs(point->recall - recall / (double)(n * k)) < 1e-12);
    assert_true(fabs(point->candidates - mean / (double)n) < 1e-9);
    assert_true(fabs(point->probes - probes / (double)n) < 1e-9);
    assert_true(point->candidates_p95 == p95);
    free(candidates);
    free(p);
}

static void test_points_by_definition(void **state)
{
    (void)state;
    const size_t ms[] = {1, 2, 40}, ns[] = {1, 3, 130};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            struct fixture f = make(100, ms[i], ns[j], 7);
            struct nlsh_curve *curve = evaluate(&f, 5);
            for (size_t t = 0; t < curve->n_points; t += 1 + t / 8)
                check_point(&f, &curve->points[t], 5);
            nlsh_curve_free(curve);
            drop(&f);
        }
}

/* Callers see the points through a struct of their own size. */
static void test_points_are_handed_out(void **state)
{
    (void)state;
    struct fixture f = make(100, 10, 50, 5);
    struct nlsh_curve *curve = evaluate(&f, 5);
    struct nlsh_curve_point point = {.struct_size = sizeof point}, unset = {.value = -1};
    size_t n = nlsh_curve_n_points(curve);
    assert_int_equal(n, curve->n_points);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(nlsh_curve_point(curve, i, &point), 1);
        assert_int_equal(point.struct_size, sizeof point);
        assert_int_equal(point.rule, curve->points[i].rule);
        assert_memory_equal(&point.value, &curve->points[i].value, 6 * sizeof(double));
    }
    assert_int_equal(nlsh_curve_point(curve, n, &point), 0);
    assert_int_equal(nlsh_curve_point(curve, 0, &unset), 0);
    assert_true(unset.value == -1);
    nlsh_curve_free(curve);
    nlsh_curve_free(NULL);
    drop(&f);
}

static void test_shape(void **state)
{
    (void)state;
    struct fixture f = make(3000, 100, 4200, 10); /* more than one round of queries */
    struct nlsh_curve *curve = evaluate(&f, 10);
    size_t n_top = 0;
    while (n_top < curve->n_points && curve->points[n_top].rule == NLSH_RULE_TOP) n_top++;
    const struct nlsh_curve_point *last = &curve->points[n_top - 1];
    assert_true(last->value == 100 && last->recall == 1 && last->candidates == 3000);
    assert_true(last->candidates_p95 == 3000 && last->oracle_recall == 1 && last->probes == 100);
    for (size_t i = 0; i < curve->n_points; i++) {
        const struct nlsh_curve_point *p = &curve->points[i], *before = p - 1;
        assert_true(p->oracle_recall >= p->recall);
        assert_true(p->candidates_p95 <= 3000);
        if (i == 0 || i == n_top) continue;
        assert_true(p->rule == before->rule && p->recall >= before->recall);
        assert_true(p->candidates >= before->candidates && p->probes >= before->probes);
        assert_true(p->rule == NLSH_RULE_TOP ? p->value > before->value : p->value < before->value);
    }
    check_point(&f, &curve->points[40], 10);
    check_point(&f, &curve->points[n_top + 30], 10);
    nlsh_curve_free(curve);
    drop(&f);
}

static void test_threads_do_not_matter(void **state)
{
    (void)state;
    struct fixture f = make(500, 40, 2000, 10);
    f.run.n_threads = 1;
    struct nlsh_curve *one = evaluate(&f, 10);
    for (f.run.n_threads = 2; f.run.n_threads <= 5; f.run.n_threads += 3) {
        struct nlsh_curve *other = evaluate(&f, 10);
        assert_int_equal(one->n_points, other->n_points);
        for (size_t i = 0; i < one->n_points; i++)
            assert_memory_equal(&one->points[i].value, &other->points[i].value, 6 * sizeof(double));
        nlsh_curve_free(other);
    }
    nlsh_curve_free(one);
    drop(&f);
}

/* Two vectors at the k-th distance: either will do, where the truth says that there are two. */
static void test_ties_count_where_they_are_seen(void **state)
{
    (void)state;
    struct fixture f = make(40, 20, 1, 3);
    float p[20];
    probabilities_of(0, 20, p);
    uint32_t best = 0;
    for (uint32_t b = 1; b < 20; b++) best = p[b] > p[best] ? b : best;
    uint32_t inside = best, other = (best + 1) % 20, third = (best + 2) % 20; /* row b: bucket b */
    uint64_t ids[3] = {other, third, inside};
    float tied[3] = {1, 2, 2}, apart[3] = {1, 2, 2.5f};
    memcpy(f.truth.ids, ids, sizeof ids);
    struct nlsh_curve *curve = evaluate(&f, 2);
    assert_true(curve->points[0].recall == 0); /* no distances: the first two ids */
    nlsh_curve_free(curve);
    f.truth.distances = malloc(sizeof tied);
    memcpy(f.truth.distances, apart, sizeof apart);
    curve = evaluate(&f, 2);
    assert_true(curve->points[0].recall == 0);
    nlsh_curve_free(curve);
    memcpy(f.truth.distances, tied, sizeof tied);
    curve = evaluate(&f, 2);
    assert_true(curve->points[0].recall == 0.5);
    for (size_t i = 0; i < curve->n_points; i++) {
        assert_true(curve->points[i].recall <= 1); /* three are found, of two */
        if (curve->points[i].value == 20) assert_true(curve->points[i].recall == 1);
    }
    nlsh_curve_free(curve);
    drop(&f);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void test_wrong_inputs(void **state)
{
    (void)state;
    struct fixture f = make(100, 10, 200, 6);
    refuse(&f, 0, NLSH_E_ARG, "k is 0");
    refuse(&f, 7, NLSH_E_ARG, "k is 7");
    f.truth.n_rows = 199;
    refuse(&f, 5, NLSH_E_MISMATCH, "199");
    f.truth.n_rows = 200;
    f.truth.ids[150 * 6 + 3] = 100;
    refuse(&f, 5, NLSH_E_MISMATCH, "row 150 has the neighbour 100");
    f.truth.ids[150 * 6 + 3] = NLSH_NO_KEY;
    refuse(&f, 5, NLSH_E_MISMATCH, "neighbour 3 of query 150");
    f.truth.ids[150 * 6 + 3] = 99;
    f.truth.ids[150 * 6 + 5] = NLSH_NO_KEY; /* beyond k: not looked at */
    struct nlsh_curve *curve = evaluate(&f, 5);
    nlsh_curve_free(curve);
    ((float *)(uintptr_t)f.queries.data)[77] = NAN;
    refuse(&f, 5, NLSH_E_ARG, "query 77");
    ((float *)(uintptr_t)f.queries.data)[77] = 77;
    f.run.n_threads = 0;
    refuse(&f, 5, NLSH_E_ARG, "threads");
    f.run.n_threads = 2;
    f.truth.struct_size = 0;
    refuse(&f, 5, NLSH_E_ARG, "struct_size");
    drop(&f);
}

static void test_first_failure_is_told(void **state)
{
    (void)state;
    struct fixture f = make(100, 10, 400, 5);
    for (f.run.n_threads = 1; f.run.n_threads <= 4; f.run.n_threads++)
        for (int trial = 0; trial < 10; trial++) {
            f.index.failing_query = 300;
            refuse(&f, 5, NLSH_E_INTERNAL, "failed at 300");
        }
    drop(&f);
}

static int stop_half_way(void *user, const char *stage, uint64_t done, uint64_t total)
{
    (void)user;
    assert_string_equal(stage, "evaluate");
    assert_int_equal(total, 4200);
    return done > 0 && done < total;
}

static void test_interruption(void **state)
{
    (void)state;
    struct fixture f = make(100, 10, 4200, 5);
    f.run.progress = stop_half_way;
    refuse(&f, 5, NLSH_E_INTERRUPTED, "evaluate");
    drop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_points_by_definition),
        cmocka_unit_test(test_points_are_handed_out),
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_ties_count_where_they_are_seen),
        cmocka_unit_test(test_wrong_inputs),
        cmocka_unit_test(test_first_failure_is_told),
        cmocka_unit_test(test_interruption),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
