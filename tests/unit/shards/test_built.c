/* test_built.c - shards that several ranks have built answer as the index that one process builds of the same vectors. */
#include <unistd.h>

#include "make/streamed.h"
#include "meeting.h"
#include "shards/make/built.h"
#include "support/counts.h"
#include "support/rows.h"

enum { N = 1500, M = 16, QUERIES = 120, K = 20 };

static const struct nlsh__memory_plan few = {
    .sample = N / 3, .block = 400, .asking = 200, .teaching_bytes = N / 2 * 200};
static const struct nlsh__memory_plan all = {.sample = N, .block = 400, .asking = 200};

/* ---- a build by ranks --------------------------------------------------------------------------- */

static struct {
    const struct nlsh_matrix *base;
    const struct nlsh_build_options *options;
    const struct nlsh__memory_plan *plan;
    char path[280];
    size_t failing; /* the rank that cannot read on */
    enum nlsh_status status[MOST_RANKS];
    struct nlsh_error errors[MOST_RANKS];
    size_t n_read[MOST_RANKS];
} built;

static void *run_rank(void *ctx)
{
    const struct attendant *a = ctx;
    size_t own = a->ranks.own;
    struct of_matrix of = {.matrix = built.base, .anywhere = 1};
    if (built.failing == own && own > 0) of.fail_at = 1;
    const struct nlsh_rows rows = rows_of(&of);
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1 + own % 2};
    struct nlsh_build_report report = {.struct_size = sizeof report};
    int in_step;
    built.status[own] = nlsh__build_in_ranks(&rows, built.options, built.plan, 0, built.path, &run,
                                             &a->ranks, &report, &in_step, &built.errors[own]);
    assert_int_equal(in_step, 1);
    built.n_read[own] = of.n_read;
    return NULL;
}

static void build_shards(size_t n_ranks)
{
    struct attendant attendants[MOST_RANKS];
    meet(n_ranks, run_rank, attendants);
}

static void check_built(size_t n_ranks)
{
    struct nlsh__manifest m;
    struct nlsh_error error;
    for (size_t i = 0; i < n_ranks; i++)
        if (built.status[i] != NLSH_OK) fail_msg("rank %zu: %s", i, built.errors[i].message);
    assert_int_equal(nlsh__manifest_read(built.path, &m, &error), NLSH_OK);
    assert_int_equal(m.n, n_ranks);
    for (size_t i = 0; i < m.n; i++)
        if (nlsh_index_verify(m.shards[i].path, &error) != NLSH_OK) fail_msg("%s", error.message);
    nlsh__manifest_free(&m);
}

static void remove_built(size_t n_ranks)
{
    char path[320];
    for (size_t i = 0; i < n_ranks; i++) {
        snprintf(path, sizeof path, "%s.%zu.nlsh", built.path, i);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(unlink(built.path), 0);
}

/* ---- the same answers --------------------------------------------------------------------------- */

struct found {
    uint64_t keys[QUERIES * K];
    float distances[QUERIES * K];
    struct counts counts;
};

static void compare(const struct nlsh_index *whole, const struct nlsh_matrix *queries)
{
    static struct found want, is;
    static const double recalls[] = {.6, .95, .99, 0};
    const struct nlsh__shards_options options = {.n_threads = 1};
    struct nlsh__shards *shards;
    struct nlsh_searcher *searcher;
    struct nlsh_error error;
    assert_int_equal(nlsh_searcher_create(whole, &searcher, &error), NLSH_OK);
    if (nlsh__shards_open(built.path, &options, &NLSH__ALONE, &shards, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    for (size_t i = 0; i < sizeof recalls / sizeof *recalls; i++) {
        struct nlsh_search_options how;
        nlsh_search_options_init(&how, sizeof how);
        how.k = i % 2 ? K : 1;
        if (recalls[i] > 0) how.recall = recalls[i];
        if (recalls[i] == 0) how.probes = 3;
        assert_int_equal(nlsh_search(searcher, queries, &how, want.keys, want.distances,
                                     COUNT_INTO(&want.counts), &error),
                         NLSH_OK);
        assert_int_equal(nlsh__shards_search(shards, queries, &how, is.keys, is.distances,
                                             COUNT_INTO(&is.counts), &error),
                         NLSH_OK);
        assert_memory_equal(is.keys, want.keys, QUERIES * how.k * sizeof *is.keys);
        assert_memory_equal(is.distances, want.distances, QUERIES * how.k * sizeof(float));
        assert_memory_equal(is.counts.candidates, want.counts.candidates,
                            QUERIES * sizeof(uint32_t));
        assert_memory_equal(is.counts.ranked, want.counts.ranked, QUERIES * sizeof(uint32_t));
    }
    nlsh__shards_close(shards);
    nlsh_searcher_free(searcher);
}

/* The index that one process builds. */
static struct nlsh_index *build_whole(const char *path)
{
    struct of_matrix of = {.matrix = built.base, .anywhere = 1};
    const struct nlsh_rows rows = rows_of(&of);
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    struct nlsh_index *index;
    struct nlsh_error error;
    if (nlsh__build_planned(&rows, built.options, built.plan, path, &run, NULL, &error) !=
            NLSH_OK ||
        nlsh_index_open(path, NULL, &index, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    return index;
}

static void settings(struct nlsh_build_options *o, enum nlsh_metric metric, const uint64_t *keys)
{
    small_options(o, M);
    o->metric = metric;
    o->keys = keys;
    built.options = o;
    snprintf(built.path, sizeof built.path, "%s", test_path("x.shards"));
}

static void ranks_build_what_one_process_does(void **state)
{
    static uint64_t keys[N];
    static const struct {
        enum kind kind;
        enum nlsh_metric metric;
        const uint64_t *keys;
        size_t n_ranks;
    } cases[] = {{KIND_U8, NLSH_L2, NULL, 2},
                 {KIND_F32, NLSH_IP, keys, 3},
                 {KIND_I8, NLSH_L2, keys, 3},
                 {KIND_F32, NLSH_COSINE, NULL, 2}};
    (void)state;
    for (size_t i = 0; i < N; i++) keys[i] = (i * 7919 + 13) % 100003;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i += TEST_STRIDE) {
        struct nlsh_build_options o;
        struct nlsh_matrix base = matrix_new(cases[i].kind, N, 12, 15, 12, i);
        struct nlsh_matrix queries = matrix_new(cases[i].kind, QUERIES, 12, 15, 14, 20 + i);
        built.base = &base;
        built.plan = &few;
        settings(&o, cases[i].metric, cases[i].keys);
        char path[280];
        snprintf(path, sizeof path, "%s", test_path("whole"));
        struct nlsh_index *whole = build_whole(path);
        build_shards(cases[i].n_ranks);
        check_built(cases[i].n_ranks);
        compare(whole, &queries);
        remove_built(cases[i].n_ranks);
        nlsh_index_close(whole);
        assert_int_equal(unlink(path), 0);
        matrix_free(&base);
        matrix_free(&queries);
    }
}

static void vectors_that_fit_are_cut_by_each_rank(void **state)
{
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_U8, N, 12, 15, 12, 1);
    struct nlsh_matrix queries = matrix_new(KIND_U8, QUERIES, 12, 15, 14, 2);
    char path[280];
    (void)state;
    built.base = &base;
    built.plan = &all;
    settings(&o, NLSH_L2, NULL);
    snprintf(path, sizeof path, "%s", test_path("whole"));
    struct nlsh_index *whole = build_whole(path);
    build_shards(3);
    check_built(3);
    compare(whole, &queries);
    for (size_t r = 1; r < 3; r++) assert_int_equal(built.n_read[r], 0);
    remove_built(3);
    nlsh_index_close(whole);
    assert_int_equal(unlink(path), 0);
    matrix_free(&base);
    matrix_free(&queries);
}

static void one_rank_writes_the_bytes_of_one_process(void **state)
{
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_U8, N, 12, 15, 12, 1);
    char path[280], shard[320];
    size_t size, shard_size;
    (void)state;
    built.base = &base;
    built.plan = &few;
    settings(&o, NLSH_L2, NULL);
    snprintf(path, sizeof path, "%s", test_path("whole"));
    nlsh_index_close(build_whole(path));
    build_shards(1);
    check_built(1);
    snprintf(shard, sizeof shard, "%s.0.nlsh", built.path);
    uint8_t *want = test_read_file(path, &size), *is = test_read_file(shard, &shard_size);
    assert_int_equal(size, shard_size);
    assert_memory_equal(want, is, size);
    free(want);
    free(is);
    remove_built(1);
    assert_int_equal(unlink(path), 0);
    matrix_free(&base);
}

/* All ranks say the same, nobody waits, and no file has its name. */
static void a_rank_that_cannot_read_ends_the_build(void **state)
{
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_U8, N, 12, 15, 12, 1);
    char path[320];
    (void)state;
    built.base = &base;
    built.plan = &few;
    settings(&o, NLSH_L2, NULL);
    built.failing = 1;
    build_shards(3);
    built.failing = 0;
    for (size_t r = 0; r < 3; r++) {
        assert_int_equal(built.status[r], NLSH_E_IO);
        assert_non_null(strstr(built.errors[r].message, "the disk was taken away"));
        snprintf(path, sizeof path, "%s.%zu.nlsh", built.path, r);
        assert_int_not_equal(access(path, F_OK), 0);
    }
    assert_int_not_equal(access(built.path, F_OK), 0);
    matrix_free(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_build_what_one_process_does),
        cmocka_unit_test(vectors_that_fit_are_cut_by_each_rank),
        cmocka_unit_test(one_rank_writes_the_bytes_of_one_process),
        cmocka_unit_test(a_rank_that_cannot_read_ends_the_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
