/* test_same_bytes.c - a build gives the same bytes for any threads, with a cache and without, from
 * the same vectors in another type, and from the settings that an index keeps of itself. */
#include "support/built.h"

/* From 50 rows on parts of them are built too, whole (make/folds.h): few are enough. */
static void compare_runs(const struct nlsh_matrix *base, const struct nlsh_build_options *o)
{
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    struct nlsh_build_report report = {.struct_size = sizeof report};
    size_t size;
    uint8_t *bytes = build(base, o, &run, &report, &size);
    assert_int_equal(report.index_bytes, size);
    assert_true(report.edge_cut >= 0 && report.edge_cut <= 1);
    assert_true(isfinite(report.loss) && report.held_out_candidates >= 1);
    for (int i = 0; i < NLSH_N_STAGES; i++)
        assert_true(report.seconds[i] >= 0 && report.from_cache[i] == 0);
    for (run.n_threads = 2; run.n_threads <= 3; run.n_threads++)
        build_again(base, o, &run, bytes, size);
    run.cache_dir = cache_new();
    build_again(base, o, &run, bytes, size);
    for (run.n_threads = 1; run.n_threads <= 3; run.n_threads += 2) {
        size_t again_size;
        uint8_t *again = build(base, o, &run, &report, &again_size);
        assert_int_equal(report.from_cache[NLSH_STAGE_GRAPH], 1);
        assert_int_equal(report.from_cache[NLSH_STAGE_PARTITION], 1);
        assert_int_equal(size, again_size);
        assert_memory_equal(bytes, again, size);
        free(again);
    }
    free(bytes);
    cache_end();
}

static void same_bytes_however_built(void **state)
{
    (void)state;
    static const enum nlsh_partitioner partitioners[] = {
        NLSH_PARTITIONER_KMEANS, NLSH_PARTITIONER_METIS, NLSH_PARTITIONER_AUTO,
        NLSH_PARTITIONER_VCYCLE};
    for (size_t i = TEST_STRIDE - 1; i < 6; i += TEST_STRIDE) {
        struct nlsh_build_options o;
        struct nlsh_matrix base = matrix_new((enum kind)(i % N_KINDS), 400, 20, 15, 14, i);
        small_options(&o, 9);
        o.partitioner = partitioners[i % 4];
        o.components = i % 2 ? 20 : 8;
        o.labels = i == 4 ? NLSH_LABELS_HARD : NLSH_LABELS_SOFT;
        o.graph = i == 5 ? NLSH_GRAPH_IVFFLAT : i == 2 ? NLSH_GRAPH_PIECES : NLSH_GRAPH_EXACT;
        o.dropout = i == 3 ? 0.2 : 0;
        o.code_bytes = i == 2 ? 0 : NLSH_AUTO;
        o.refine = i % 2;
        compare_runs(&base, &o);
        matrix_free(&base);
    }
}

/* A build from a graph in the cache that has more neighbours than it needs. */
static void a_larger_graph_serves(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_build_report report = {.struct_size = sizeof report};
    struct nlsh_matrix base = matrix_new(KIND_U8, 400, 10, 15, 14, 1);
    struct nlsh_neighbors graph = {.struct_size = sizeof graph};
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    size_t size, again_size;
    small_options(&o, 6);
    o.partitioner = NLSH_PARTITIONER_METIS;
    uint8_t *bytes = build(&base, &o, &run, NULL, &size);
    run.cache_dir = cache_new();
    assert_int_equal(nlsh_graph_build(&base, NLSH_L2, NLSH_GRAPH_EXACT, 50, 1, &run, &graph, NULL),
                     NLSH_OK);
    nlsh_neighbors_free(&graph);
    uint8_t *again = build(&base, &o, &run, &report, &again_size);
    assert_int_equal(report.from_cache[NLSH_STAGE_GRAPH], 1);
    assert_int_equal(report.from_cache[NLSH_STAGE_PARTITION], 0);
    assert_int_equal(size, again_size);
    assert_memory_equal(bytes, again, size);
    free(bytes);
    free(again);
    matrix_free(&base);
    cache_end();
}

/* Bytes that come as floats are the same base; so are the settings that an index keeps. */
static void same_bytes_from_the_same_vectors_and_record(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
    struct nlsh_matrix base = matrix_new(KIND_U8, 500, 12, 15, 14, 2);
    struct nlsh_matrix floats = matrix_new(KIND_WHOLE, 500, 12, 15, 14, 2);
    size_t size;
    small_options(&o, NLSH_AUTO);
    o.partitioner = NLSH_PARTITIONER_AUTO;
    o.lr = 1.0 / 300;
    o.seed = UINT64_MAX - 5;
    uint8_t *bytes = build(&base, &o, &run, NULL, &size);
    build_again(&floats, &o, &run, bytes, size);
    struct nlsh_index *index = built_index(&base, &o, "record");
    struct nlsh_index_info info = {.struct_size = sizeof info};
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    test_write_file(test_path("record.json"), info.settings, strlen(info.settings));
    nlsh_index_close(index);
    nlsh_build_options_init(&o, sizeof o);
    struct nlsh_error error;
    if (nlsh_build_options_read(test_path("record.json"), &o, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    assert_true(o.partitioner != NLSH_PARTITIONER_AUTO && o.n_buckets != NLSH_AUTO);
    build_again(&base, &o, &run, bytes, size);
    o.seed--; /* and the seed is not idle */
    size_t other_size;
    uint8_t *other = build(&base, &o, &run, NULL, &other_size);
    assert_true(size != other_size || memcmp(bytes, other, size) != 0);
    free(other);
    free(bytes);
    matrix_free(&base);
    matrix_free(&floats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes_however_built),
        cmocka_unit_test(a_larger_graph_serves),
        cmocka_unit_test(same_bytes_from_the_same_vectors_and_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
