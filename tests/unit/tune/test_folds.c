/* test_folds.c - what a fold's rows and queries are told to find is what an exact search of the fold's
 * rows finds, and no query is among the rows. */
#include "support/built.h"

#include "tune/run/folds.h"

/* l2sq of the k-th neighbour by brute force, the row `without` left out. */
static double kth_l2sq(const struct nlsh_matrix *rows, size_t without,
                       const struct nlsh_matrix *queries, size_t q, size_t k)
{
    static struct near all[2000];
    size_t n = naive_search(rows, NULL, queries, q, all);
    for (size_t i = 0, j = 0; i < n; i++) {
        if (all[i].id == without) continue;
        if (++j == k) return all[i].l2sq;
    }
    return INFINITY;
}

/* Each list: so many different ids, none the row itself, distances rising, the last being the k-th
 * smallest there is: then all are nearest. */
static void check_lists(const struct nlsh_matrix *rows, const struct nlsh_matrix *queries, int self,
                        const uint32_t *ids, size_t k)
{
    for (size_t q = 0; q < queries->n_rows; q += 1 + queries->n_rows / 60) {
        const uint32_t *list = ids + q * k;
        double last = 0;
        for (size_t j = 0; j < k; j++) {
            assert_true(list[j] < rows->n_rows && !(self && list[j] == q));
            for (size_t i = 0; i < j; i++) assert_int_not_equal(list[i], list[j]);
            double l2sq = true_l2sq(queries, q, rows, list[j]);
            assert_true(l2sq >= last - 1e-4 * (1 + last));
            last = l2sq;
        }
        double want = kth_l2sq(rows, self ? q : SIZE_MAX, queries, q, k);
        assert_true(fabs(last - want) <= 1e-4 * (1 + want));
    }
}

static int same_row(const struct nlsh_matrix *a, size_t i, const struct nlsh_matrix *b, size_t j)
{
    for (size_t d = 0; d < a->dim; d++)
        if (matrix_at(a, i, d) != matrix_at(b, j, d)) return 0;
    return 1;
}

static size_t count_row(const struct nlsh_matrix *in, const struct nlsh_matrix *of, size_t i)
{
    size_t n = 0;
    for (size_t j = 0; j < in->n_rows; j++) n += (size_t)same_row(in, j, of, i);
    return n;
}

static void check_folds(enum kind kind, size_t n, size_t n_folds, size_t neighbors)
{
    struct nlsh_matrix base = matrix_new(kind, n, 12, 15, 30, n_folds);
    struct nlsh_build_options o;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
    struct nlsh__job job;
    struct nlsh__folds folds;
    struct nlsh_error error;
    small_options(&o, 4);
    assert_int_equal(nlsh__job_begin(&run, &job, &error), NLSH_OK);
    if (nlsh__folds_create(&base, &o, n_folds, neighbors, 1u << NLSH_GRAPH_IVFFLAT, &run, &job,
                           &folds, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    assert_int_equal(folds.n, n_folds);
    size_t n_queries = 0;
    for (size_t f = 0; f < folds.n; f++) {
        const struct nlsh__learner_input *in = &folds.folds[f].input;
        size_t most = in->rows.n_rows - 1;
        n_queries += in->queries.n_rows;
        assert_int_equal(in->rows.n_rows + in->queries.n_rows, n);
        assert_int_equal(in->truth_k, most < 10 ? most : 10);
        assert_int_equal(in->graphs[0].k, most < neighbors ? most : neighbors);
        assert_int_equal(in->graphs[1].k, in->graphs[0].k);
        check_lists(&in->rows, &in->queries, 0, in->truth, in->truth_k);
        check_lists(&in->rows, &in->rows, 1, in->graphs[0].ids, in->graphs[0].k);
        for (size_t q = 0; q < in->queries.n_rows; q += 7)
            assert_int_equal(count_row(&in->rows, &in->queries, q) +
                                 count_row(&in->queries, &in->queries, q),
                             count_row(&base, &in->queries, q));
    }
    assert_true(n_folds == 1 ? n_queries == n / 5 : n_queries == n); /* each row once */
    nlsh__folds_free(&folds);
    nlsh__job_end(&job);
    matrix_free(&base);
}

static void folds_are_exact(void **state)
{
    (void)state;
    check_folds(KIND_U8, 600, 3, 20);
    check_folds(KIND_F32, 500, 2, 40);
    check_folds(KIND_I8, 400, 1, 10);
    check_folds(KIND_WHOLE, 300, 5, 100);
    check_folds(KIND_U8, 40, 2, 60); /* more neighbours than rows */
}

/* All rows alike: every list is short of nothing, whatever the ties. */
static void folds_of_one_point(void **state)
{
    (void)state;
    static uint8_t zeros[60 * 4];
    struct nlsh_matrix base = {zeros, 60, 4, NLSH_U8, 0};
    struct nlsh_build_options o;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    struct nlsh__job job;
    struct nlsh__folds folds;
    struct nlsh_error error;
    small_options(&o, 2);
    assert_int_equal(nlsh__job_begin(&run, &job, &error), NLSH_OK);
    assert_int_equal(nlsh__folds_create(&base, &o, 2, 20, 0, &run, &job, &folds, &error), NLSH_OK);
    for (size_t f = 0; f < 2; f++) {
        const struct nlsh__learner_input *in = &folds.folds[f].input;
        check_lists(&in->rows, &in->rows, 1, in->graphs[0].ids, in->graphs[0].k);
    }
    nlsh__folds_free(&folds);
    base.n_rows = 19;
    assert_int_equal(nlsh__folds_create(&base, &o, 2, 5, 0, &run, &job, &folds, &error),
                     NLSH_E_ARG);
    base.n_rows = 60;
    assert_int_equal(nlsh__folds_create(&base, &o, 20, 5, 0, &run, &job, &folds, &error),
                     NLSH_E_ARG);
    nlsh__job_end(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folds_are_exact),
        cmocka_unit_test(folds_of_one_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
