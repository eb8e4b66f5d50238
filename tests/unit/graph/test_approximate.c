/*
 * test_approximate.c - graphs through pieces and through cells against the exact one: the recall that
 * they keep, distances that are true, and sets whose rows will not be divided.
 */
#include "graph/graph.h"
#include "kernels/kernels.h"
#include "sets.h"

typedef enum nlsh_status graph_fn(const struct nlsh_matrix *base, size_t k, uint64_t seed,
                                  const struct nlsh__job *job, struct nlsh__neighbors *out,
                                  struct nlsh_error *error);

enum { LARGE = 21000 }; /* pieces are exact below 20,000 */

/* Of two types a sanitizer gets one, each at every second turn. */
static int left_to_others(int type, size_t turn)
{
    return TEST_STRIDE > 1 && turn % 2 != (size_t)type;
}

static struct nlsh__rng rng;

/* Ids in range, no row among its own, none twice; distances those of the ids, ascending. */
static void check_rows(const struct nlsh_matrix *base, const struct nlsh__neighbors *found,
                       size_t k)
{
    assert_int_equal(found->n_rows, base->n_rows);
    assert_int_equal(found->k, k);
    for (size_t i = 0; i < base->n_rows; i++) {
        const uint32_t *ids = found->ids + i * k;
        const float *l2sq = found->l2sq + i * k;
        for (size_t j = 0; j < k; j++) {
            assert_true(ids[j] < base->n_rows && ids[j] != i);
            for (size_t other = 0; other < j; other++) assert_true(ids[j] != ids[other]);
            double expected = set_l2sq(base, i, base, ids[j]);
            double slack = base->type == NLSH_U8 ? 0 : 1e-5 * expected + 1e-30;
            if (fabs((double)l2sq[j] - expected) > slack)
                fail_msg("row %zu, id %u: %.9g, not %.9g", i, (unsigned)ids[j], (double)l2sq[j],
                         expected);
            if (j == 0) continue;
            assert_true(l2sq[j] > l2sq[j - 1] || (l2sq[j] == l2sq[j - 1] && ids[j] > ids[j - 1]));
        }
    }
}

/* The share of neighbours that are no farther than the k-th true one, over every 7th row. */
static double recall_of(const struct nlsh_matrix *base, const struct nlsh__neighbors *found,
                        const struct nlsh__job *job)
{
    struct nlsh_matrix some = *base;
    struct nlsh__neighbors truth;
    size_t size = base->dim * (base->type == NLSH_U8 ? 1 : sizeof(float)), hits = 0, k = found->k;
    some.n_rows = (base->n_rows + 6) / 7;
    uint8_t *rows = malloc(some.n_rows * size);
    assert_non_null(rows);
    for (size_t i = 0; i < some.n_rows; i++)
        memcpy(rows + i * size, (const uint8_t *)base->data + 7 * i * size, size);
    some.data = rows;
    assert_int_equal(nlsh__exact_neighbors(base, &some, k + 1, 0, "", job, &truth, NULL), NLSH_OK);
    for (size_t i = 0; i < some.n_rows; i++)
        for (size_t j = 0; j < k; j++)
            hits += found->l2sq[7 * i * k + j] <= truth.l2sq[i * (k + 1) + k];
    nlsh__neighbors_free(&truth);
    free(rows);
    return (double)hits / (double)(some.n_rows * k);
}

static void check_graph(graph_fn *graph, enum nlsh_type type, enum set_kind kind, size_t n,
                        size_t dim, size_t k, double least)
{
    struct nlsh_matrix base = make_set(&rng, type, kind, n, dim);
    struct nlsh__job job = job_of(2, NULL, NULL);
    struct nlsh__neighbors found;
    struct nlsh_error error;
    if (graph(&base, k, 1, &job, &found, &error) != NLSH_OK) fail_msg("%s", error.message);
    check_rows(&base, &found, k);
    double recall = recall_of(&base, &found, &job);
    if (!(recall >= least))
        fail_msg("type %d, kind %d, %zu x %zu, k %zu: recall %.4f", (int)type, (int)kind, n, dim, k,
                 recall);
    nlsh__neighbors_free(&found);
    nlsh__job_end(&job);
    free((void *)(uintptr_t)base.data);
}

static void pieces_keep_their_recall(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        enum nlsh_type t = type ? NLSH_F32 : NLSH_U8;
        check_graph(nlsh__pieces_neighbors, t, SET_RANDOM, LARGE, 8, 10, 0.99);
        if (left_to_others(type, 0)) continue;
        check_graph(nlsh__pieces_neighbors, t, SET_CLUSTERS, LARGE, 13, 20, 0.99);
        check_graph(nlsh__pieces_neighbors, t, SET_FAR_OFF, LARGE, 5, 1, 0.98);
    }
}

static void cells_keep_their_recall(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        enum nlsh_type t = type ? NLSH_F32 : NLSH_U8;
        check_graph(nlsh__ivfflat_neighbors, t, SET_RANDOM, 15000, 6, 10, 0.97);
        check_graph(nlsh__ivfflat_neighbors, t, SET_CLUSTERS, 3000, 13, 20, 0.99);
    }
}

/* Equal rows cannot be divided by where they are; a row far away has a cell of its own. */
static void sets_that_do_not_divide(void **state)
{
    static const enum set_kind kinds[] = {SET_FEW_LEVELS, SET_COPIES, SET_ONE_ROW, SET_OUTLIER};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int type = 0; type < 2; type++)
            if (!left_to_others(type, i))
                check_graph(nlsh__pieces_neighbors, type ? NLSH_F32 : NLSH_U8, kinds[i], LARGE, 4,
                            12, kinds[i] == SET_FEW_LEVELS || kinds[i] == SET_OUTLIER ? 0.98 : 1);
}

static void small_sets_are_exact(void **state)
{
    static const size_t sizes[] = {2, 3, 17, 600};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int type = 0; type < 2; type++)
            check_graph(nlsh__pieces_neighbors, type ? NLSH_F32 : NLSH_U8, SET_RANDOM, sizes[i], 9,
                        sizes[i] < 20 ? sizes[i] - 1 : 15, 1);
}

static void same_for_any_number_of_threads(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct nlsh_matrix base = make_set(&rng, type ? NLSH_F32 : NLSH_U8, SET_RANDOM, LARGE, 6);
        struct nlsh__neighbors found[3], other;
        for (size_t t = 0; t < 3; t++) {
            struct nlsh__job job = job_of(t + 1, NULL, NULL);
            assert_int_equal(nlsh__pieces_neighbors(&base, 9, 5, &job, &found[t], NULL), NLSH_OK);
            if (t == 0)
                assert_int_equal(nlsh__pieces_neighbors(&base, 9, 6, &job, &other, NULL), NLSH_OK);
            nlsh__job_end(&job);
            assert_memory_equal(found[t].ids, found[0].ids, LARGE * 9 * sizeof(uint32_t));
            assert_memory_equal(found[t].l2sq, found[0].l2sq, LARGE * 9 * sizeof(float));
        }
        assert_memory_not_equal(other.ids, found[0].ids, LARGE * 9 * sizeof(uint32_t));
        for (size_t t = 0; t < 3; t++) nlsh__neighbors_free(&found[t]);
        nlsh__neighbors_free(&other);
        free((void *)(uintptr_t)base.data);
    }
}

/* Values whose squares are no f32: the exact graph's error, which names a row. */
static void overflow_is_an_error(void **state)
{
    (void)state;
    struct nlsh_matrix base = make_set(&rng, NLSH_F32, SET_RANDOM, LARGE, 3);
    struct nlsh__job job = job_of(1, NULL, NULL);
    struct nlsh__neighbors found;
    struct nlsh_error error;
    for (size_t i = 0; i < LARGE * 3; i++) ((float *)(uintptr_t)base.data)[i] *= 1e25f;
    assert_int_equal(nlsh__pieces_neighbors(&base, 5, 1, &job, &found, &error), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "do not fit in f32"));
    assert_null(found.ids);
    nlsh__job_end(&job);
    free((void *)(uintptr_t)base.data);
}

static void stops_where_it_is_told(void **state)
{
    (void)state;
    struct nlsh_matrix base = make_set(&rng, NLSH_U8, SET_RANDOM, LARGE, 3);
    for (int calls = 0; calls < 9; calls += 4) {
        int left = calls;
        struct nlsh__job job = job_of(2, stop_after, &left);
        struct nlsh__neighbors found;
        assert_int_equal(nlsh__pieces_neighbors(&base, 5, 1, &job, &found, NULL),
                         NLSH_E_INTERRUPTED);
        assert_null(found.ids);
        nlsh__job_end(&job);
    }
    free((void *)(uintptr_t)base.data);
}

#if defined(__SANITIZE_THREAD__)
/* Twenty times slower, and only about threads: the others add nothing. */
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_for_any_number_of_threads)};
    (void)pieces_keep_their_recall;
    (void)cells_keep_their_recall;
    (void)sets_that_do_not_divide;
    (void)small_sets_are_exact;
    (void)overflow_is_an_error;
    (void)stops_where_it_is_told;
    test_rng(&rng, 0);
    return cmocka_run_group_tests_name("graph/approximate", tests, NULL, NULL);
}
#else
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_keep_their_recall),       cmocka_unit_test(cells_keep_their_recall),
        cmocka_unit_test(sets_that_do_not_divide),        cmocka_unit_test(small_sets_are_exact),
        cmocka_unit_test(same_for_any_number_of_threads), cmocka_unit_test(overflow_is_an_error),
        cmocka_unit_test(stops_where_it_is_told),
    };
    test_rng(&rng, 0);
    return cmocka_run_group_tests_name("graph/approximate", tests, NULL, NULL);
}
#endif
