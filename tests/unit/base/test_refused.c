/*
 * test_refused.c - there is no memory for one of a call's allocations, for each in turn: every call that
 * takes memory fails with words then, and keeps nothing. What a call needs besides is made in it too, so that
 * all memory is released when it returns.
 */
#define _XOPEN_SOURCE 700 /* nftw */
#include "base/error.h"
#include "support/built.h"
#include "support/refused.h"

#include <ftw.h>
#include <unistd.h>

enum { N = 300, N_SMALL = 60, Q = 9, DIM = 12, K = 10 /* the default, too */ };

static uint64_t keys[Q * K];
static float probabilities[Q * 6];
static char path[512];
static struct nlsh_matrix base, queries;
static struct nlsh_run one_thread = {.struct_size = sizeof one_thread, .n_threads = 1};

/* ---- an index that is there ------------------------------------------------------------------ */

static enum nlsh_status open_and_search(void *ctx, struct nlsh_error *error)
{
    struct nlsh_index *index = (void *)1;
    struct nlsh_searcher *s = NULL;
    struct nlsh_searcher_pool *pool = NULL;
    enum nlsh_status status = nlsh_index_open(path, ctx, &index, error);
    if (status != NLSH_OK) assert_null(index);
    if (status == NLSH_OK) status = nlsh_searcher_create(index, &s, error);
    if (status == NLSH_OK) status = nlsh_search(s, &queries, NULL, keys, NULL, NULL, error);
    if (status == NLSH_OK) status = nlsh_searcher_pool_create(index, 2, &pool, error);
    if (status == NLSH_OK)
        status = nlsh_searcher_pool_search(pool, &queries, NULL, keys, NULL, NULL, error);
    nlsh_searcher_pool_free(pool);
    nlsh_searcher_free(s);
    nlsh_index_close(index);
    return status;
}

static enum nlsh_status search_otherwise(void *ctx, struct nlsh_error *error)
{
    struct nlsh_index *index = NULL;
    struct nlsh_searcher *s = NULL;
    struct nlsh_search_options how;
    struct nlsh_matrix one = queries;
    size_t n_found;
    (void)ctx;
    nlsh_search_options_init(&how, sizeof how);
    how.k = K;
    how.rerank = 40;
    one.n_rows = 1;
    enum nlsh_status status = nlsh_index_open(path, NULL, &index, error);
    if (status == NLSH_OK) status = nlsh_searcher_create(index, &s, error);
    if (status == NLSH_OK) status = nlsh_search(s, &queries, &how, keys, NULL, NULL, error);
    if (status == NLSH_OK)
        status = nlsh_search_range(s, &one, &how, 1e4, keys, NULL, Q * K, &n_found, error);
    if (status == NLSH_OK)
        status = nlsh_search_batch(index, &queries, &how, keys, NULL, NULL, error);
    if (status == NLSH_OK) status = nlsh_route(s, &queries, probabilities, error);
    if (status == NLSH_OK) status = nlsh_index_verify(path, error);
    nlsh_searcher_free(s);
    nlsh_index_close(index);
    return status;
}

/* With a filter, counted by the call and before it. */
static enum nlsh_status search_filtered(void *ctx, struct nlsh_error *error)
{
    static const uint64_t every_second[N / 64 + 1] = {0x5555555555555555, 0x5555555555555555,
                                                      0x5555555555555555, 0x5555555555555555};
    const struct nlsh_filter filter = {.bits = every_second, .n_bits = N};
    struct nlsh_index *index = NULL;
    struct nlsh_searcher *s = NULL;
    struct nlsh_counted_filter *ready = NULL;
    struct nlsh_search_options how;
    struct nlsh_matrix one = queries;
    size_t n_found;
    (void)ctx;
    nlsh_search_options_init(&how, sizeof how);
    how.k = K;
    how.filter = &filter;
    one.n_rows = 1;
    enum nlsh_status status = nlsh_index_open(path, NULL, &index, error);
    if (status == NLSH_OK) status = nlsh_searcher_create(index, &s, error);
    if (status == NLSH_OK) status = nlsh_search(s, &queries, &how, keys, NULL, NULL, error);
    if (status == NLSH_OK)
        status = nlsh_search_range(s, &one, &how, 1e4, keys, NULL, Q * K, &n_found, error);
    if (status == NLSH_OK)
        status = nlsh_search_batch(index, &queries, &how, keys, NULL, NULL, error);
    how.filter = NULL;
    if (status == NLSH_OK) {
        status = nlsh_counted_filter_create(index, &filter, &ready, error);
        if (status != NLSH_OK) assert_null(ready);
    }
    how.counted = ready;
    if (status == NLSH_OK)
        status = nlsh_search_batch(index, &queries, &how, keys, NULL, NULL, error);
    nlsh_counted_filter_free(ready);
    nlsh_searcher_free(s);
    nlsh_index_close(index);
    return status;
}

struct lent {
    void *bytes;
    size_t size;
    struct nlsh_open_options how;
};

static enum nlsh_status open_bytes(void *ctx, struct nlsh_error *error)
{
    const struct lent *lent = ctx;
    struct nlsh_index *index = (void *)1;
    enum nlsh_status status =
        nlsh_index_open_memory(lent->bytes, lent->size, "lent", &lent->how, &index, error);
    if (status != NLSH_OK) assert_null(index);
    nlsh_index_close(index);
    return status;
}

static enum nlsh_status evaluate(void *ctx, struct nlsh_error *error)
{
    struct nlsh_index *index = NULL;
    struct nlsh_vectors *stored = NULL;
    struct nlsh_neighbors truth = {.struct_size = sizeof truth};
    struct nlsh_curve *curve = NULL;
    struct nlsh_reliability *reliability = NULL;
    (void)ctx;
    enum nlsh_status status = nlsh_index_open(path, NULL, &index, error);
    if (status == NLSH_OK) status = nlsh_index_vectors(index, &stored, error);
    if (status == NLSH_OK)
        status = nlsh_ground_truth(nlsh_vectors_matrix(stored), &queries, NLSH_L2, K, &one_thread,
                                   &truth, error);
    if (status == NLSH_OK)
        status = nlsh_evaluate(index, &queries, &truth, K, &one_thread, &curve, error);
    if (status == NLSH_OK)
        status = nlsh_reliability(index, &queries, &truth, K, &one_thread, &reliability, error);
    nlsh_reliability_free(reliability);
    nlsh_curve_free(curve);
    nlsh_neighbors_free(&truth);
    nlsh_vectors_free(stored);
    nlsh_index_close(index);
    return status;
}

static void with_an_index(void **state)
{
    (void)state;
    for (int memory = NLSH_MEMORY_MAP; memory <= NLSH_MEMORY_ALL; memory++) {
        struct nlsh_open_options open;
        nlsh_open_options_init(&open, sizeof open);
        open.memory = (enum nlsh_memory)memory;
        assert_true(refuse_each(open_and_search, &open) > 30);
    }
    assert_true(refuse_each(search_otherwise, NULL) > 30);
    assert_true(refuse_each(search_filtered, NULL) > 30);
    assert_true(refuse_each(evaluate, NULL) > 20);
}

static void with_bytes(void **state)
{
    struct lent lent;
    (void)state;
    uint8_t *bytes = test_read_file(path, &lent.size);
    lent.bytes = aligned_alloc(64, (lent.size + 63) / 64 * 64);
    assert_non_null(lent.bytes);
    memcpy(lent.bytes, bytes, lent.size);
    nlsh_open_options_init(&lent.how, sizeof lent.how);
    for (int memory = NLSH_MEMORY_MAP; memory <= NLSH_MEMORY_ALL; memory++) {
        lent.how.memory = (enum nlsh_memory)memory;
        assert_true(refuse_each(open_bytes, &lent) > 10);
    }
    free(lent.bytes);
    free(bytes);
}

/* ---- vectors and graphs ---------------------------------------------------------------------- */

static enum nlsh_status write_and_read(void *ctx, struct nlsh_error *error)
{
    const char *name = ctx;
    struct nlsh_vectors *read = NULL;
    enum nlsh_status status = nlsh_vectors_write(test_path(name), NLSH_FORMAT_AUTO, &base, error);
    if (status == NLSH_OK)
        status = nlsh_vectors_read(test_path(name), NLSH_FORMAT_AUTO, &read, error);
    nlsh_vectors_free(read);
    return status;
}

static void files_of_vectors(void **state)
{
    char floats[][16] = {"a.fvecs", "a.fbin", "a.npy"};
    char bytes[][16] = {"a.bvecs", "a.u8bin", "b.npy", "a-idx3-ubyte"};
    const struct nlsh_matrix kept = base;
    (void)state;
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        assert_true(refuse_each(write_and_read, floats[i]) > 2);
    base = matrix_new(KIND_U8, N, DIM, 8, 12, 1);
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++)
        assert_true(refuse_each(write_and_read, bytes[i]) > 1);
    matrix_free(&base);
    base = kept;
}

/* Neighbours as the graph file, and their ids alone. */
static enum nlsh_status neighbors_of_a_file(void *ctx, struct nlsh_error *error)
{
    struct nlsh_neighbors made = {.struct_size = sizeof made}, read = made;
    enum nlsh_status status =
        nlsh_ground_truth(&base, &queries, NLSH_L2, K, &one_thread, &made, error);
    if (status == NLSH_OK) status = nlsh_neighbors_write(test_path(ctx), &made, error);
    if (status == NLSH_OK) status = nlsh_neighbors_read(test_path(ctx), &read, error);
    nlsh_neighbors_free(&made);
    nlsh_neighbors_free(&read);
    return status;
}

static void files_of_neighbors(void **state)
{
    char names[][16] = {"c.graph", "c.ivecs", "c.ibin", "c.npy"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_true(refuse_each(neighbors_of_a_file, names[i]) > 5);
}

/* The first forecast of a process, which measures loops. */
static enum nlsh_status resolve_it(void *ctx, struct nlsh_error *error)
{
    struct nlsh_build_options o;
    struct nlsh_build_forecast forecast = {.struct_size = sizeof forecast};
    nlsh_build_options_init(&o, sizeof o);
    o.metric = *(enum nlsh_metric *)ctx;
    return nlsh_build_resolve(&base, &o, &one_thread, &forecast, error);
}

static void forecasts(void **state)
{
    (void)state;
    enum nlsh_metric metric = NLSH_L2;
    for (size_t at = 1; at <= 8; at++) assert_true(refuse_one(resolve_it, &metric, at));
    assert_int_equal(resolve_it(&metric, NULL), NLSH_OK); /* a failure is not remembered */
}

static enum nlsh_status graph(void *ctx, struct nlsh_error *error)
{
    struct nlsh_neighbors made = {.struct_size = sizeof made}, read = made;
    double recall;
    enum nlsh_status status = nlsh_graph_build(&base, NLSH_L2, *(enum nlsh_graph_method *)ctx, K, 1,
                                               &one_thread, &made, error);
    if (status == NLSH_OK)
        status = nlsh_graph_recall(&base, NLSH_L2, &made, 20, 1, &one_thread, &recall, error);
    if (status == NLSH_OK) status = nlsh_neighbors_write(test_path("a.graph"), &made, error);
    if (status == NLSH_OK) status = nlsh_neighbors_read(test_path("a.graph"), &read, error);
    nlsh_neighbors_free(&made);
    nlsh_neighbors_free(&read);
    return status;
}

static enum nlsh_status truth_of(void *ctx, struct nlsh_error *error)
{
    struct nlsh_neighbors truth = {.struct_size = sizeof truth};
    enum nlsh_status status =
        nlsh_ground_truth(&base, &queries, *(enum nlsh_metric *)ctx, K, &one_thread, &truth, error);
    nlsh_neighbors_free(&truth);
    return status;
}

static void ground_truth(void **state)
{
    (void)state;
    for (enum nlsh_metric metric = NLSH_L2; metric <= NLSH_COSINE; metric++)
        assert_true(refuse_each(truth_of, &metric) > 5);
}

static void graphs(void **state)
{
    enum nlsh_graph_method methods[] = {NLSH_GRAPH_EXACT, NLSH_GRAPH_IVFFLAT};
    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        assert_true(refuse_each(graph, &methods[i]) > 5);
}

static enum nlsh_status graph_in_pieces(void *ctx, struct nlsh_error *error)
{
    struct nlsh_neighbors made = {.struct_size = sizeof made};
    enum nlsh_status status =
        nlsh_graph_build(ctx, NLSH_L2, NLSH_GRAPH_PIECES, 5, 1, &one_thread, &made, error);
    nlsh_neighbors_free(&made);
    return status;
}

/* Of fewer rows it would be the exact one. */
static void graphs_in_pieces(void **state)
{
    enum { LEAST = 20000, FEW_DIMS = 4 };
    static const enum kind kinds[] = {KIND_F32, KIND_U8};
    size_t n = 0;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct nlsh_matrix many = matrix_new(kinds[i], LEAST, FEW_DIMS, 50, 12, 1);
        n += refuse_places(graph_in_pieces, &many);
        matrix_free(&many);
    }
    assert_true(n > 30);
}

/* ---- builds and studies ---------------------------------------------------------------------- */

struct wish {
    struct nlsh_matrix base;
    struct nlsh_build_options options;
};

static enum nlsh_status build_it(void *ctx, struct nlsh_error *error)
{
    const struct wish *w = ctx;
    const char *built = test_path("b.nlsh");
    enum nlsh_status status = nlsh_build(&w->base, &w->options, built, &one_thread, NULL, error);
    if (status != NLSH_OK) assert_int_not_equal(access(built, F_OK), 0);
    unlink(built);
    return status;
}

/* By each partitioner and metric: other stages take memory there. */
static void builds(void **state)
{
    static const enum nlsh_partitioner partitioners[] = {NLSH_PARTITIONER_KMEANS,
                                                         NLSH_PARTITIONER_METIS};
    size_t n = 0;
    (void)state;
    for (int metric = NLSH_L2; metric <= NLSH_COSINE; metric++)
        for (size_t i = 0; i < sizeof partitioners / sizeof *partitioners; i++) {
            struct wish w = {.base = matrix_new(KIND_F32, N_SMALL, 8, 5, 12, 3)};
            small_options(&w.options, 4);
            w.options.partitioner = partitioners[i];
            w.options.metric = (enum nlsh_metric)metric;
            w.options.epochs = 1;
            n += refuse_places(build_it, &w);
            matrix_free(&w.base);
        }
    assert_true(n > 60);
}

static const uint64_t many_keys[N_SMALL] = {
#define TEN(i) i, i + 1, i + 2, i + 3, i + 4, i + 5, i + 6, i + 7, i + 8, i + 9
    TEN(100), TEN(200), TEN(300), TEN(400), TEN(500), TEN(600),
#undef TEN
};

/* What is left to chance by the defaults: groups, leaves, no codes, bytes, another round, other labels. */
static void builds_of_other_kinds(void **state)
{
    size_t n = 0;
    (void)state;
    for (int way = 0; way < 5; way++) {
        struct wish w = {.base = matrix_new(way == 0 ? KIND_U8 : KIND_F32, N_SMALL, 8, 5, 12, 3)};
        small_options(&w.options, way == 1 ? 20 : 4);
        w.options.epochs = 2;
        w.options.keys = way == 0 ? many_keys : NULL;
        w.options.groups = way == 1 ? 5 : 0;
        w.options.refine = way == 2;
        w.options.labels = way == 3 ? NLSH_LABELS_HARD : NLSH_LABELS_SOFT;
        w.options.code_bytes = way == 3 ? 0 : NLSH_AUTO;
        w.options.leaves = way == 4 ? NLSH_AUTO : way % 2 == 0;
        w.options.scheduler = way == 4 ? NLSH_SCHEDULER_PLATEAU : NLSH_SCHEDULER_STEP;
        w.options.partitioner = way == 4 ? NLSH_PARTITIONER_AUTO : NLSH_PARTITIONER_METIS;
        if (way == 4) w.options.nodes = NLSH_AUTO;
        n += refuse_places(build_it, &w);
        matrix_free(&w.base);
    }
    assert_true(n > 20);
}

static int remove_one(const char *at, const struct stat *s, int what, struct FTW *ftw)
{
    (void)s;
    (void)what;
    (void)ftw;
    return remove(at);
}

/* Where a cache entry cannot be kept, a study goes on without: as often as these are made. */
static size_t n_without_entry;

static enum nlsh_status tune_it(void *ctx, struct nlsh_error *error)
{
    const struct wish *w = ctx;
    struct nlsh_tune_options o;
    char folder[600];
    snprintf(folder, sizeof folder, "%s", test_path("tuned"));
    nlsh_tune_options_init(&o, sizeof o);
    o.build = &w->options;
    o.folder = folder;
    o.n_trials = 2;
    o.n_folds = 2;
    o.epochs = o.top_k = o.final_epochs = 1;
    o.two_stage = 1;
    int refusing = counted.refuse_at != 0;
    enum nlsh_status status = nlsh_tune(&w->base, &o, &one_thread, NULL, error);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    if (status != NLSH_OK || !refusing || counted.refuse_at != 0) return status;
    n_without_entry++;
    return nlsh__fail(error, NLSH_E_NOMEM, NULL, "a study without an entry");
}

static void studies(void **state)
{
    struct wish w = {.base = matrix_new(KIND_F32, N_SMALL, 8, 5, 12, 3)};
    (void)state;
    small_options(&w.options, 4);
    size_t n = refuse_places(tune_it, &w);
    assert_true(n > 100 && n_without_entry < 20);
    matrix_free(&w.base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_an_index),    cmocka_unit_test(with_bytes),
        cmocka_unit_test(files_of_vectors), cmocka_unit_test(files_of_neighbors),
        cmocka_unit_test(forecasts),        cmocka_unit_test(graphs),
        cmocka_unit_test(graphs_in_pieces), cmocka_unit_test(ground_truth),
        cmocka_unit_test(builds),           cmocka_unit_test(builds_of_other_kinds),
        cmocka_unit_test(studies),
    };
    struct nlsh_build_options o;
    counted_begin(); /* before everything else */
    base = matrix_new(KIND_F32, N, DIM, 8, 12, 1);
    queries = base;
    queries.n_rows = Q;
    small_options(&o, 6);
    nlsh_index_close(built_index(&base, &o, "index"));
    snprintf(path, sizeof path, "%s", test_path("index"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    matrix_free(&base);
    return failed;
}
