/* test_reliability.c - nlsh_reliability() over an index that is made up here, so that what the router
 * says and where the neighbours lie are both known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "nlsh/learn.h"

/* Row i lies in bucket i: as many rows as buckets. The query's one value is its number. */
enum { M = 32 };

struct nlsh_index {
    double power; /* of the true shares, for the router to be wrong by; 1: it is right */
    size_t failing_query;
};

struct nlsh_searcher {
    const struct nlsh_index *index;
};

static uint32_t offsets[M + 1], ids[M];

enum nlsh_status nlsh_index_info(const struct nlsh_index *index, struct nlsh_index_info *out,
                                 struct nlsh_error *error)
{
    (void)index;
    (void)error;
    *out = (struct nlsh_index_info){
        .struct_size = sizeof *out, .n_rows = M, .dim = 1, .n_buckets = M, .n_segments = 1};
    return NLSH_OK;
}

int nlsh_index_segment(const struct nlsh_index *index, size_t i, struct nlsh_segment *out)
{
    (void)index;
    *out = (struct nlsh_segment){
        .struct_size = sizeof *out, .n_rows = M, .bucket_offsets = offsets, .rows = ids};
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

/* Shares that fall from bucket to bucket, another order for each query, over several decades. */
static void shares_of(size_t query, double power, float *p)
{
    double sum = 0;
    for (size_t b = 0; b < M; b++) sum += pow(0.6, power * (double)b);
    for (size_t b = 0; b < M; b++)
        p[(b + 7 * query) % M] = (float)(pow(0.6, power * (double)b) / sum);
}

enum nlsh_status nlsh_route(struct nlsh_searcher *searcher, const struct nlsh_matrix *queries,
                            float *probabilities, struct nlsh_error *error)
{
    for (size_t i = 0; i < queries->n_rows; i++) {
        size_t query = (size_t)((const float *)queries->data)[i];
        if (query >= searcher->index->failing_query) {
            *error = (struct nlsh_error){.status = NLSH_E_INTERNAL};
            snprintf(error->message, sizeof error->message, "failed at %zu", query);
            return NLSH_E_INTERNAL;
        }
        shares_of(query, searcher->index->power, probabilities + i * M);
    }
    return NLSH_OK;
}

/* ---- queries whose neighbours are drawn from the true shares ---------------------------------- */

enum { N_QUERIES = 4000, K = 10 };

static float queries[N_QUERIES];
static uint64_t truth_ids[N_QUERIES * K];

static int set_up(void **state)
{
    struct nlsh__rng rng;
    float p[M];
    (void)state;
    nlsh__rng_init(&rng, 11, 0);
    for (uint32_t b = 0; b < M; b++) {
        ids[b] = b;
        offsets[b + 1] = b + 1;
    }
    for (size_t q = 0; q < N_QUERIES; q++) {
        queries[q] = (float)q;
        shares_of(q, 1, p);
        for (size_t i = 0; i < K; i++) {
            double u = nlsh__rng_uniform(&rng);
            uint32_t b = 0;
            while (b + 1 < M && u >= (double)p[b]) u -= (double)p[b++];
            truth_ids[q * K + i] = b;
        }
    }
    return 0;
}

static struct nlsh_reliability *judge(double power, size_t n_queries, size_t n_threads)
{
    struct nlsh_index index = {.power = power, .failing_query = SIZE_MAX};
    struct nlsh_matrix matrix = {queries, n_queries, 1, NLSH_F32, 0};
    struct nlsh_neighbors truth = {
        .struct_size = sizeof truth, .n_rows = n_queries, .k = K, .ids = truth_ids};
    struct nlsh_reliability *out;
    struct nlsh_run run;
    nlsh_run_init(&run, sizeof run);
    run.n_threads = n_threads;
    assert_int_equal(nlsh_reliability(&index, &matrix, &truth, K, &run, &out, NULL), NLSH_OK);
    return out;
}

static struct nlsh_reliability_bin bin_at(const struct nlsh_reliability *r, size_t i)
{
    struct nlsh_reliability_bin bin = {.struct_size = sizeof bin};
    assert_int_equal(nlsh_reliability_bin(r, i, &bin), 1);
    return bin;
}

/* A router that says the truth: every bin within four standard errors, which are as they should be; a small gap. */
static void test_right(void **state)
{
    (void)state;
    struct nlsh_reliability *r = judge(1, N_QUERIES, 2);
    uint64_t n_pairs = 0;
    assert_true(nlsh_reliability_n_bins(r) > 8);
    for (size_t i = 0; i < nlsh_reliability_n_bins(r); i++) {
        const struct nlsh_reliability_bin bin = bin_at(r, i), *b = &bin;
        assert_true(b->predicted >= b->low && b->predicted < b->high);
        assert_true(i == 0 || b->low >= bin_at(r, i - 1).high);
        /* draws without memory: what the error of a share is then */
        double plain = sqrt(b->predicted * (1 - b->predicted) / (double)(b->n_pairs * K));
        assert_true(fabs(b->observed - b->predicted) <= 4 * plain);
        if (b->predicted * (double)b->n_pairs * K > 400)
            assert_true(b->error > 0.7 * plain && b->error < 1.3 * plain);
        n_pairs += b->n_pairs;
    }
    assert_int_equal(n_pairs, (uint64_t)N_QUERIES * M);
    assert_int_equal(nlsh_reliability_n_queries(r), N_QUERIES);
    struct nlsh_reliability_bin past = {.struct_size = sizeof past}, unset = {.low = -1};
    assert_int_equal(nlsh_reliability_bin(r, nlsh_reliability_n_bins(r), &past), 0);
    assert_int_equal(nlsh_reliability_bin(r, 0, &unset), 0);
    assert_true(unset.low == -1);
    assert_true(nlsh_reliability_gap(r) < 0.02);
    nlsh_reliability_free(r);
}

/* One that is too sure is seen to be: what it says often comes less often, the rest more often. */
static void test_too_sure(void **state)
{
    (void)state;
    struct nlsh_reliability *r = judge(2, N_QUERIES, 2);
    const struct nlsh_reliability_bin bin = bin_at(r, nlsh_reliability_n_bins(r) - 1), *last = &bin;
    assert_true(last->predicted > last->observed + 10 * last->error);
    assert_true(nlsh_reliability_gap(r) > 0.3);
    nlsh_reliability_free(r);
}

/* The gap by its definition, of one query whose ten neighbours share a bucket. */
static void test_by_hand(void **state)
{
    (void)state;
    float p[M];
    double gap = 0;
    uint64_t kept[K];
    memcpy(kept, truth_ids, sizeof kept);
    for (size_t i = 0; i < K; i++) truth_ids[i] = 2;
    struct nlsh_reliability *r = judge(1, 1, 1);
    memcpy(truth_ids, kept, sizeof kept);
    shares_of(0, 1, p);
    for (size_t i = 0; i < nlsh_reliability_n_bins(r); i++) {
        const struct nlsh_reliability_bin bin = bin_at(r, i);
        double predicted = 0, observed = 0;
        size_t n = 0;
        for (size_t b = 0; b < M; b++) {
            if ((double)p[b] < bin.low || (double)p[b] >= bin.high) continue;
            predicted += (double)p[b];
            observed += b == 2;
            n++;
        }
        assert_int_equal(n, bin.n_pairs);
        assert_true(fabs(bin.predicted - predicted / (double)n) < 1e-12);
        assert_true(fabs(bin.observed - observed / (double)n) < 1e-12);
        gap += fabs(predicted - observed);
    }
    assert_true(fabs(gap - nlsh_reliability_gap(r)) < 1e-12);
    nlsh_reliability_free(r);
}

static void test_threads(void **state)
{
    (void)state;
    struct nlsh_reliability *one = judge(1.3, 1000, 1), *many = judge(1.3, 1000, 5);
    size_t n = nlsh_reliability_n_bins(one);
    assert_int_equal(n, nlsh_reliability_n_bins(many));
    for (size_t i = 0; i < n; i++) {
        const struct nlsh_reliability_bin a = bin_at(one, i), b = bin_at(many, i);
        assert_memory_equal(&a, &b, sizeof a);
    }
    assert_true(nlsh_reliability_gap(one) == nlsh_reliability_gap(many));
    nlsh_reliability_free(one);
    nlsh_reliability_free(many);
}

static void test_refused(void **state)
{
    (void)state;
    struct nlsh_index index = {.power = 1, .failing_query = 100};
    struct nlsh_matrix matrix = {queries, 1000, 1, NLSH_F32, 0};
    struct nlsh_neighbors truth = {
        .struct_size = sizeof truth, .n_rows = 1000, .k = K, .ids = truth_ids};
    struct nlsh_reliability *out;
    struct nlsh_error error;
    assert_int_equal(nlsh_reliability(&index, &matrix, &truth, K, NULL, &out, &error),
                     NLSH_E_INTERNAL);
    assert_string_equal(error.message, "failed at 100");
    assert_null(out);
    assert_int_equal(nlsh_reliability(&index, &matrix, &truth, K + 1, NULL, &out, &error),
                     NLSH_E_ARG);
    truth.n_rows = 999;
    assert_int_equal(nlsh_reliability(&index, &matrix, &truth, K, NULL, &out, &error),
                     NLSH_E_MISMATCH);
    nlsh_reliability_free(out);
    nlsh_reliability_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),   cmocka_unit_test(test_too_sure),
        cmocka_unit_test(test_by_hand), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
