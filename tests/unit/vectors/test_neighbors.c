/* test_neighbors.c - neighbours at the library's border: scores become distances, row numbers get wider
 * and narrower, and structs of older programs are read with care. */
#include "vectors/vectors.h"

#include <math.h>

#include "base/memory.h"
#include "testing.h"

enum { N = 3, K = 2 };

static const uint32_t rows[N * K] = {4, 1, 0, NLSH__NO_ROW, 7, 2};
static const float scores[N * K] = {0, 2, 0.25f, INFINITY, 9, 1e9f};

static struct nlsh__neighbors found_new(int with_scores)
{
    struct nlsh__neighbors found = {.n_rows = N, .k = K};
    assert_int_equal(nlsh__alloc(&found.ids, N * K, sizeof *found.ids, NULL), NLSH_OK);
    memcpy(found.ids, rows, sizeof rows);
    if (!with_scores) return found;
    assert_int_equal(nlsh__alloc(&found.l2sq, N * K, sizeof *found.l2sq, NULL), NLSH_OK);
    memcpy(found.l2sq, scores, sizeof scores);
    return found;
}

static void scores_become_distances(void **state)
{
    (void)state;
    for (int metric = NLSH_L2; metric <= NLSH_COSINE; metric++) {
        struct nlsh__neighbors found = found_new(1);
        struct nlsh_neighbors out = {.struct_size = sizeof out};
        assert_int_equal(nlsh__neighbors_give(&found, (enum nlsh_metric)metric, &out, NULL),
                         NLSH_OK);
        assert_null(found.ids);
        assert_null(found.l2sq);
        assert_int_equal(out.n_rows, N);
        assert_int_equal(out.k, K);
        assert_int_equal(out.metric, metric);
        for (size_t i = 0; i < N * K; i++) {
            assert_true(out.ids[i] == (rows[i] == NLSH__NO_ROW ? NLSH_NO_KEY : rows[i]));
            assert_true(out.distances[i] == (metric == NLSH_L2 ? sqrtf(scores[i]) : scores[i]));
        }
        nlsh_neighbors_free(&out);
        assert_null(out.ids);
        assert_int_equal(out.n_rows, 0);
        assert_int_equal(out.struct_size, sizeof out);
        nlsh_neighbors_free(&out); /* twice is once */
    }
    nlsh_neighbors_free(NULL);
    struct nlsh__neighbors found = found_new(0);
    struct nlsh_neighbors out = {.struct_size = sizeof out};
    assert_int_equal(nlsh__neighbors_give(&found, NLSH_L2, &out, NULL), NLSH_OK);
    assert_null(out.distances);
    nlsh_neighbors_free(&out);
}

static void what_was_given_is_taken(void **state)
{
    (void)state;
    for (int with_scores = 0; with_scores < 2; with_scores++) {
        struct nlsh__neighbors found = found_new(with_scores), back;
        struct nlsh_neighbors out = {.struct_size = sizeof out};
        assert_int_equal(nlsh__neighbors_give(&found, NLSH_COSINE, &out, NULL), NLSH_OK);
        assert_int_equal(nlsh__neighbors_take(&out, 8, &back, NULL), NLSH_OK);
        assert_int_equal(back.n_rows, N);
        assert_int_equal(back.k, K);
        assert_memory_equal(back.ids, rows, sizeof rows);
        assert_int_equal(back.l2sq != NULL, with_scores);
        if (with_scores) assert_memory_equal(back.l2sq, scores, sizeof scores);
        nlsh__neighbors_free(&back);
        nlsh_neighbors_free(&out);
    }
}

/* A program of before the metric was a member: a struct that ends earlier, with other things behind. */
static void shorter_structs(void **state)
{
    (void)state;
    enum { SHORTER = offsetof(struct nlsh_neighbors, metric) };
    struct nlsh_neighbors old;
    memset(&old, 0x77, sizeof old);
    nlsh_neighbors_init(&old, SHORTER);
    assert_int_equal(old.struct_size, SHORTER);
    assert_true(old.ids == NULL && old.distances == NULL && old.n_rows == 0);
    assert_int_equal((unsigned)old.metric, 0x77777777);
    struct nlsh__neighbors found = found_new(1), back;
    assert_int_equal(nlsh__neighbors_give(&found, NLSH_IP, &old, NULL), NLSH_OK);
    assert_int_equal((unsigned)old.metric, 0x77777777);
    assert_int_equal(nlsh__neighbors_take(&old, 8, &back, NULL), NLSH_OK);
    assert_memory_equal(back.ids, rows, sizeof rows);
    nlsh__neighbors_free(&back);
    nlsh_neighbors_free(&old);
    assert_null(old.ids);
    assert_int_equal(old.struct_size, SHORTER);
    assert_int_equal((unsigned)old.metric, 0x77777777);
}

static void refused(const struct nlsh_neighbors *given, enum nlsh_status status, const char *words)
{
    struct nlsh__neighbors out = {.ids = (void *)1};
    struct nlsh_error error;
    assert_int_equal(nlsh__neighbors_take(given, 8, &out, &error), status);
    if (strstr(error.message, words) == NULL) fail_msg("no '%s' in '%s'", words, error.message);
    assert_null(out.ids);
    assert_null(out.l2sq);
}

static void what_is_refused(void **state)
{
    (void)state;
    uint64_t ids[] = {0, 7, 8, 1};
    struct nlsh_neighbors good = {.struct_size = sizeof good, .n_rows = 2, .k = 2, .ids = ids};
    struct nlsh_neighbors g = good;
    refused(&good, NLSH_E_MISMATCH, "row 1 has the neighbour 8");
    ids[2] = UINT64_C(1) << 32; /* cut to 32 bits it would be row 0 */
    refused(&good, NLSH_E_MISMATCH, "4294967296");
    ids[2] = UINT32_MAX;
    refused(&good, NLSH_E_MISMATCH, "4294967295");
    ids[2] = 2;
    refused(NULL, NLSH_E_ARG, "no neighbours");
    g.struct_size = 0;
    refused(&g, NLSH_E_ARG, "struct_size");
    g = good;
    g.ids = NULL;
    refused(&g, NLSH_E_ARG, "no neighbours");
    g = good;
    g.k = 0;
    refused(&g, NLSH_E_ARG, "no neighbours");
    g = good;
    g.n_rows = SIZE_MAX;
    refused(&g, NLSH_E_ARG, "no neighbours");
}

/* Two neighbours whose squared distances differ in the last bit are as far, once the roots are rounded,
 * and the nearer one has the larger id. Such a graph is as good as any: it can be written and read. */
static void a_graph_whose_roots_are_equal(void **state)
{
    (void)state;
    static const float base[3][2] = {{0, 0}, {1, 3.6e-4f}, {1, 0}};
    struct nlsh_matrix m = {base, 3, 2, NLSH_F32, 0};
    struct nlsh_neighbors graph = {.struct_size = sizeof graph}, again = graph;
    struct nlsh_error error;
    float l2sq = base[1][0] * base[1][0] + base[1][1] * base[1][1];
    assert_true(l2sq > 1 && sqrtf(l2sq) == 1); /* else this is no such case */
    assert_int_equal(nlsh_graph_build(&m, NLSH_L2, NLSH_GRAPH_EXACT, 2, 1, NULL, &graph, &error),
                     NLSH_OK);
    assert_int_equal(graph.ids[0], 2); /* the nearer one in truth */
    assert_int_equal(graph.ids[1], 1);
    assert_true(graph.distances[0] == graph.distances[1]);
    assert_int_equal(nlsh_neighbors_write(test_path("roots.graph"), &graph, &error), NLSH_OK);
    if (nlsh_neighbors_read(test_path("roots.graph"), &again, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    assert_memory_equal(again.ids, graph.ids, 6 * sizeof *graph.ids);
    nlsh_neighbors_free(&graph);
    nlsh_neighbors_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_become_distances),
        cmocka_unit_test(what_was_given_is_taken),
        cmocka_unit_test(shorter_structs),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(a_graph_whose_roots_are_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
