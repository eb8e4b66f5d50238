/* test_batch.c - a batch on any number of threads answers as one query after another does. */
#include "support/built.h"

#define MOST 200

static uint32_t ids[MOST * 60], want_ids[MOST * 60];
static float l2sq[MOST * 60], want_l2sq[MOST * 60];
static struct nlsh_search_stats stats[MOST], want_stats[MOST];

static void compare(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                    struct nlsh_search_options *o)
{
    struct nlsh_searcher *s;
    size_t n = queries->n_rows, k = o->k;
    assert_int_equal(nlsh_searcher_create(index, &s, NULL), NLSH_OK);
    assert_int_equal(nlsh_search(s, queries, o, want_ids, want_l2sq, want_stats, NULL), NLSH_OK);
    nlsh_searcher_free(s);
    for (o->n_threads = 1; o->n_threads <= 5; o->n_threads += o->n_threads < 3 ? 1 : 2)
        for (int outputs = 0; outputs < 4; outputs++) {
            memset(ids, 0x11, sizeof ids);
            memset(l2sq, 0x11, sizeof l2sq);
            memset(stats, 0x11, sizeof stats);
            assert_int_equal(nlsh_search_batch(index, queries, o, ids, outputs & 1 ? l2sq : NULL,
                                               outputs & 2 ? stats : NULL, NULL),
                             NLSH_OK);
            assert_memory_equal(ids, want_ids, n * k * sizeof *ids);
            if (outputs & 1) assert_memory_equal(l2sq, want_l2sq, n * k * sizeof *l2sq);
            if (outputs & 2) assert_memory_equal(stats, want_stats, n * sizeof *stats);
            assert_int_equal(ids[n * k], 0x11111111); /* nothing behind the end */
            assert_int_equal(stats[outputs & 2 ? n : 0].n_probes, 0x11111111);
        }
}

static void batch_is_single(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 31, 32, 33, 64, 97, MOST - 1};
    static const double probes[] = {0, 1, 3, 10, 0.05};
    for (enum kind kind = 0; kind < N_KINDS; kind++) {
        struct nlsh_build_options o;
        struct nlsh_matrix base = matrix_new(kind, 600, 12, 15, 12, kind);
        struct nlsh_matrix queries = matrix_new(kind, MOST, 12, 15, 14, 20 + kind);
        small_options(&o, 10);
        o.code_bytes = kind % 2 ? 0 : NLSH_AUTO;
        struct nlsh_index *index = built_index(&base, &o, "batch");
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct nlsh_search_options how;
            nlsh_search_options_init(&how);
            how.k = i % 2 ? 10 : 55;
            how.probes = probes[(i + kind) % 5];
            queries.n_rows = sizes[i];
            compare(index, &queries, &how);
        }
        queries.n_rows = 0; /* with no memory behind it either */
        struct nlsh_matrix none = {NULL, 0, 12, queries.type};
        struct nlsh_search_options how;
        nlsh_search_options_init(&how);
        assert_int_equal(nlsh_search_batch(index, &none, &how, NULL, NULL, NULL, NULL), NLSH_OK);
        nlsh_index_close(index);
        matrix_free(&base);
        matrix_free(&queries);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_is_single),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
