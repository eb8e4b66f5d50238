/* test_baselines.c - brute force against double arithmetic, IVF-Flat against brute force. */
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

enum { N = 300, N_QUERIES = 23, K = 12 };

struct set {
    struct nlsh_matrix matrix;
    void *data;
};

static double value_at(const struct nlsh_matrix *m, size_t row, size_t j)
{
    size_t at = row * m->dim + j;
    if (m->type == NLSH_U8) return ((const uint8_t *)m->data)[at];
    if (m->type == NLSH_I8) return ((const int8_t *)m->data)[at];
    return ((const float *)m->data)[at];
}

/* levels: distinct values, few of them make ties; fraction: floats that are not whole. */
static struct set make_set(struct nlsh__rng *rng, enum nlsh_type type, size_t n, size_t dim,
                           unsigned levels, float fraction)
{
    struct set s = {.matrix = {.n_rows = n, .dim = dim, .type = type}};
    s.data = malloc(n * dim * sizeof(float));
    for (size_t i = 0; i < n * dim; i++) {
        unsigned v = (unsigned)nlsh__rng_below(rng, levels);
        if (type == NLSH_U8) ((uint8_t *)s.data)[i] = (uint8_t)v;
        if (type == NLSH_I8) ((int8_t *)s.data)[i] = (int8_t)((int)v - 128);
        if (type == NLSH_F32) ((float *)s.data)[i] = (float)v + fraction;
    }
    s.matrix.data = s.data;
    return s;
}

static double true_l2sq(const struct nlsh_matrix *a, size_t i, const struct nlsh_matrix *b,
                        size_t j)
{
    double sum = 0;
    for (size_t t = 0; t < a->dim; t++) {
        double d = value_at(a, i, t) - value_at(b, j, t);
        sum += d * d;
    }
    return sum;
}

struct answer {
    uint32_t ids[N_QUERIES * (N + 5)];
    float l2sq[N_QUERIES * (N + 5)];
};

static struct answer a, b;

/* Every distance is right, every row ascends by (l2sq, id), nothing nearer was left out. */
static void check_answer(const struct answer *x, const struct nlsh_matrix *base,
                         const struct nlsh_matrix *queries, size_t k, int exact)
{
    for (size_t q = 0; q < queries->n_rows; q++) {
        const uint32_t *ids = x->ids + q * k;
        const float *l2sq = x->l2sq + q * k;
        size_t n = k < base->n_rows ? k : base->n_rows, n_nearer = 0;
        double tolerance = exact ? 0 : 1e-5, worst = l2sq[n - 1];
        for (size_t i = 0; i < k; i++) {
            if (i >= n) {
                assert_int_equal(ids[i], NLSH_NO_ID);
                assert_true(isinf(l2sq[i]) && l2sq[i] > 0);
                continue;
            }
            assert_true(ids[i] < base->n_rows);
            double d = true_l2sq(queries, q, base, ids[i]);
            assert_true(fabs(l2sq[i] - d) <= tolerance * (d + 1));
            assert_true(i == 0 || l2sq[i - 1] < l2sq[i] ||
                        (l2sq[i - 1] == l2sq[i] && ids[i - 1] < ids[i]));
        }
        for (size_t i = 0; i < base->n_rows; i++) {
            double d = true_l2sq(queries, q, base, i);
            n_nearer +=
                d < worst - tolerance * (worst + 1) || (exact && d == worst && i < ids[n - 1]);
        }
        assert_true(exact ? n_nearer == n - 1 : n_nearer <= n - 1);
    }
}

static enum nlsh_status exact(const struct nlsh_matrix *base, const struct nlsh_matrix *queries,
                              enum nlsh_brute_method how, size_t k, uint32_t *ids, float *l2sq,
                              struct nlsh_error *error)
{
    struct nlsh_brute *scan;
    enum nlsh_status status = nlsh_brute_create(base, how, &scan, error);
    if (status == NLSH_OK) status = nlsh_brute_search(scan, queries, k, ids, l2sq, error);
    nlsh_brute_free(scan);
    return status;
}

static void brute(const struct nlsh_matrix *base, const struct nlsh_matrix *queries,
                  enum nlsh_brute_method how, size_t k, struct answer *out)
{
    struct nlsh_error error;
    if (exact(base, queries, how, k, out->ids, out->l2sq, &error) != NLSH_OK)
        fail_msg("%s", error.message);
}

/* ---- brute force ----------------------------------------------------------------------------- */

static void test_every_pair_of_types(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 21, 0);
    const enum nlsh_type types[] = {NLSH_U8, NLSH_I8, NLSH_F32, NLSH_F32};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            for (size_t dim = 1; dim < 140; dim = dim * 2 + 1) {
                struct set base = make_set(&rng, types[i], N, dim, 256, i == 3 ? 0.3f : 0);
                struct set queries =
                    make_set(&rng, types[j], N_QUERIES, dim, 256, j == 3 ? 0.6f : 0);
                /* whole numbers below 2^24: exact in floats too */
                int exact = i != 3 && j != 3;
                brute(&base.matrix, &queries.matrix, NLSH_BRUTE_BEST, K, &a);
                check_answer(&a, &base.matrix, &queries.matrix, K, exact);
                brute(&base.matrix, &queries.matrix, NLSH_BRUTE_PLAIN, K, &b);
                check_answer(&b, &base.matrix, &queries.matrix, K, exact);
                if (exact) {
                    assert_memory_equal(a.ids, b.ids, N_QUERIES * K * 4);
                    assert_memory_equal(a.l2sq, b.l2sq, N_QUERIES * K * 4);
                }
                free(base.data);
                free(queries.data);
            }
}

static void test_ties_go_by_id(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 22, 0);
    struct set base = make_set(&rng, NLSH_U8, N, 3, 2, 0); /* 8 points, 300 rows */
    struct set queries = make_set(&rng, NLSH_U8, N_QUERIES, 3, 2, 0);
    brute(&base.matrix, &queries.matrix, NLSH_BRUTE_BEST, K, &a);
    check_answer(&a, &base.matrix, &queries.matrix, K, 1);
    brute(&base.matrix, &queries.matrix, NLSH_BRUTE_PLAIN, K, &b);
    assert_memory_equal(a.ids, b.ids, N_QUERIES * K * 4);
    /* Cells hand over rows in another order: equal points all lie in one cell, so k spans two. */
    for (size_t k = 1; k < N; k += 7) {
        struct nlsh_ivfflat *ivf;
        brute(&base.matrix, &queries.matrix, NLSH_BRUTE_BEST, k, &a);
        assert_int_equal(nlsh_ivfflat_build(&base.matrix, 5, 1, NULL, &ivf, NULL), NLSH_OK);
        assert_int_equal(nlsh_ivfflat_search(ivf, &queries.matrix, 5, k, b.ids, NULL, NULL, NULL),
                         NLSH_OK);
        assert_memory_equal(a.ids, b.ids, N_QUERIES * k * 4);
        nlsh_ivfflat_free(ivf);
    }
    free(base.data);
    free(queries.data);
}

static void test_more_than_there_are(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 23, 0);
    const size_t rows[] = {1, 2, N};
    for (int i = 0; i < 3; i++) {
        struct set base = make_set(&rng, NLSH_U8, rows[i], 9, 256, 0);
        struct set queries = make_set(&rng, NLSH_U8, N_QUERIES, 9, 256, 0);
        for (size_t k = rows[i]; k <= rows[i] + 5; k += 5)
            for (int how = 0; how < 2; how++) {
                brute(&base.matrix, &queries.matrix, (enum nlsh_brute_method)how, k, &a);
                check_answer(&a, &base.matrix, &queries.matrix, k, 1);
            }
        free(base.data);
        free(queries.data);
    }
}

static void test_large_distances_stay_integers(void **state)
{
    (void)state;
    /* 5000 x 255^2 is above 2^28: two distances that one float holds are still told apart. */
    enum { DIM = 5000 };
    uint8_t *base = malloc(3 * DIM), *query = calloc(DIM, 1);
    memset(base, 255, 3 * DIM);
    base[0 * DIM] = 254;
    base[1 * DIM] = 253;
    struct nlsh_matrix b3 = {base, 3, DIM, NLSH_U8}, q1 = {query, 1, DIM, NLSH_U8};
    brute(&b3, &q1, NLSH_BRUTE_BEST, 3, &a);
    assert_int_equal(a.ids[0], 1);
    assert_int_equal(a.ids[1], 0);
    assert_int_equal(a.ids[2], 2);
    free(base);
    free(query);
}

static void test_wrong_arguments(void **state)
{
    (void)state;
    struct nlsh_error error;
    float x[6] = {1, 2, 3, 4, 5, NAN};
    struct nlsh_matrix base = {x, 2, 2, NLSH_F32}, narrow = {x, 1, 1, NLSH_F32};
    struct nlsh_matrix bad = {x, 3, 2, NLSH_F32};
    uint32_t ids[9];
    assert_int_equal(exact(&base, &base, NLSH_BRUTE_BEST, 0, ids, NULL, &error), NLSH_E_ARG);
    assert_int_equal(exact(&base, &narrow, NLSH_BRUTE_BEST, 1, ids, NULL, &error), NLSH_E_MISMATCH);
    assert_int_equal(exact(&base, &bad, NLSH_BRUTE_BEST, 1, ids, NULL, &error), NLSH_E_DATA);
    assert_int_equal(exact(&base, &base, NLSH_BRUTE_BEST, 1, ids, NULL, NULL), NLSH_OK);
    assert_int_equal(ids[0], 0);
    assert_int_equal(ids[1], 1);
    struct nlsh_ivfflat *ivf;
    assert_int_equal(nlsh_ivfflat_build(&base, 0, 1, NULL, &ivf, &error), NLSH_E_ARG);
    assert_null(ivf);
    assert_int_equal(nlsh_ivfflat_build(&base, 3, 1, NULL, &ivf, &error), NLSH_E_ARG);
    assert_int_equal(nlsh_ivfflat_build(&base, 2, 1, NULL, &ivf, &error), NLSH_OK);
    assert_int_equal(nlsh_ivfflat_search(ivf, &base, 0, 1, ids, NULL, NULL, &error), NLSH_E_ARG);
    assert_int_equal(nlsh_ivfflat_search(ivf, &narrow, 1, 1, ids, NULL, NULL, &error),
                     NLSH_E_MISMATCH);
    nlsh_ivfflat_free(ivf);
    nlsh_ivfflat_free(NULL);
}

/* ---- IVF-Flat -------------------------------------------------------------------------------- */

static void test_all_cells_are_brute_force(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 24, 0);
    const enum nlsh_type types[] = {NLSH_U8, NLSH_I8, NLSH_F32, NLSH_F32};
    const size_t lists[] = {1, 7, 40, N};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            struct set base = make_set(&rng, types[i], N, 19, 256, i == 3 ? 0.3f : 0);
            struct set queries = make_set(&rng, types[j], N_QUERIES, 19, 256, j == 3 ? 0.6f : 0);
            int exact = i != 3 && j != 3;
            brute(&base.matrix, &queries.matrix, NLSH_BRUTE_BEST, K, &a);
            for (int l = 0; l < 4; l++) {
                struct nlsh_ivfflat *ivf;
                struct nlsh_search_stats stats[N_QUERIES];
                assert_int_equal(nlsh_ivfflat_build(&base.matrix, lists[l], 1, NULL, &ivf, NULL),
                                 NLSH_OK);
                /* more probes than lists are all lists */
                assert_int_equal(nlsh_ivfflat_search(ivf, &queries.matrix, lists[l] + 3, K, b.ids,
                                                     b.l2sq, stats, NULL),
                                 NLSH_OK);
                assert_int_equal(stats[3].candidates, N);
                assert_int_equal(stats[3].n_probes, lists[l]);
                check_answer(&b, &base.matrix, &queries.matrix, K, exact);
                if (exact) assert_memory_equal(a.ids, b.ids, N_QUERIES * K * 4);
                nlsh_ivfflat_free(ivf);
            }
            free(base.data);
            free(queries.data);
        }
}

/* More probes scan more and never find worse; one probe of a base vector finds itself. */
static void test_probes(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    struct nlsh_ivfflat *ivf, *again;
    struct nlsh_run run;
    struct nlsh_search_stats stats[N_QUERIES], before[N_QUERIES] = {{0}};
    nlsh__rng_init(&rng, 25, 0);
    struct set base = make_set(&rng, NLSH_F32, N, 8, 256, 0.25f);
    struct nlsh_matrix queries = base.matrix;
    queries.n_rows = N_QUERIES;
    nlsh_run_init(&run);
    run.n_threads = 1;
    assert_int_equal(nlsh_ivfflat_build(&base.matrix, 15, 3, &run, &ivf, NULL), NLSH_OK);
    run.n_threads = 3;
    assert_int_equal(nlsh_ivfflat_build(&base.matrix, 15, 3, &run, &again, NULL), NLSH_OK);
    for (size_t probes = 1; probes <= 15; probes++) {
        assert_int_equal(nlsh_ivfflat_search(ivf, &queries, probes, K, a.ids, a.l2sq, stats, NULL),
                         NLSH_OK);
        for (size_t q = 0; q < N_QUERIES; q++) {
            assert_int_equal(a.ids[q * K], q);
            assert_true(stats[q].candidates >= before[q].candidates + 1);
            assert_int_equal(stats[q].n_probes, probes);
            for (size_t i = 0; probes > 1 && i < K; i++)
                assert_true(a.l2sq[q * K + i] <= b.l2sq[q * K + i]);
        }
        memcpy(before, stats, sizeof stats);
        assert_int_equal(
            nlsh_ivfflat_search(again, &queries, probes, K, b.ids, b.l2sq, stats, NULL), NLSH_OK);
        assert_memory_equal(a.ids, b.ids, N_QUERIES * K * 4);
        assert_memory_equal(before, stats, sizeof stats);
    }
    nlsh_ivfflat_free(ivf);
    nlsh_ivfflat_free(again);
    free(base.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair_of_types),
        cmocka_unit_test(test_ties_go_by_id),
        cmocka_unit_test(test_more_than_there_are),
        cmocka_unit_test(test_large_distances_stay_integers),
        cmocka_unit_test(test_wrong_arguments),
        cmocka_unit_test(test_all_cells_are_brute_force),
        cmocka_unit_test(test_probes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
