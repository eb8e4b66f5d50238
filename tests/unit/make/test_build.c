/*
 * test_build.c - whole builds: odd and tiny bases, and what stands on disk when a build is stopped,
 * killed, or cannot write.
 */
#include "support/built.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Files in test_dir() whose names begin with prefix. */
static size_t count_files(const char *prefix)
{
    size_t n = 0;
    DIR *dir = opendir(test_dir());
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    closedir(dir);
    return n;
}

/* ---- odd bases ------------------------------------------------------------------------------- */

/* From 50 rows on the promise is measured with whole builds of parts of them (make/folds.h): what is not about
 * that takes fewer. */
enum { FEW = 49 };

/* Builds on it in every way; each index has every row once and finds what there is. */
static void build_every_way(const struct nlsh_matrix *base, size_t m)
{
    static const enum nlsh_partitioner partitioners[] = {
        NLSH_PARTITIONER_KMEANS, NLSH_PARTITIONER_METIS, NLSH_PARTITIONER_AUTO,
        NLSH_PARTITIONER_VCYCLE};
    static struct near want[2000];
    static uint64_t keys[2000];
    static float distances[2000];
    for (size_t way = base->n_rows % TEST_STRIDE; way < 6; way += TEST_STRIDE) {
        struct nlsh_build_options o;
        small_options(&o, m);
        o.partitioner = partitioners[way % 4];
        o.knn = o.label_knn = way < 3 ? 10 : 1000;
        o.labels = way % 2 ? NLSH_LABELS_HARD : NLSH_LABELS_SOFT;
        o.layers = way;
        o.refine = way == 3 ? 2 : 0;
        o.code_bytes = way == 4 ? 0 : NLSH_AUTO;
        struct nlsh_index *index = built_index(base, &o, "odd");
        struct nlsh_error error;
        if (nlsh_index_verify(test_path("odd"), &error) != NLSH_OK) fail_msg("%s", error.message);
        struct nlsh_index_info info = {.struct_size = sizeof info};
        assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
        assert_int_equal(info.n_rows, base->n_rows);
        if (m != NLSH_AUTO) assert_int_equal(info.n_buckets, m);
        assert_true(info.bucket_min >= 1);
        assert_true(info.disagreement >= 0 && info.disagreement <= 1);
        struct nlsh_searcher *s;
        struct nlsh_matrix query = {base->data, 1, base->dim, base->type, 0};
        struct nlsh_search_options how;
        assert_int_equal(nlsh_searcher_create(index, &s, NULL), NLSH_OK);
        nlsh_search_options_init(&how, sizeof how);
        how.k = base->n_rows;
        how.probes = (double)info.n_buckets;
        assert_int_equal(nlsh_search(s, &query, &how, keys, distances, NULL, NULL), NLSH_OK);
        naive_search(base, NULL, &query, 0, want);
        check_answer(base, &query, 0, want, base->n_rows, base->n_rows, keys, distances,
                     base->type != NLSH_F32);
        for (how.recall = 0.5, how.probes = 0; how.recall < 1; how.recall += 0.4999) {
            how.k = 1;
            assert_int_equal(nlsh_search(s, &query, &how, keys, distances, NULL, NULL), NLSH_OK);
            assert_true(keys[0] < base->n_rows);
        }
        nlsh_searcher_free(s);
        nlsh_index_close(index);
    }
}

static void tiny_bases(void **state)
{
    (void)state;
    static const size_t rows[] = {2, 3, 20, FEW, FEW + 1, 199, 200};
    for (enum kind kind = 0; kind < N_KINDS; kind++)
        for (size_t r = 0; r < 7; r++) {
            struct nlsh_matrix base = matrix_new(kind, rows[r], 5, 4, 14, r);
            if (rows[r] <= FEW) build_every_way(&base, 1);
            if (rows[r] <= FEW || kind == r % N_KINDS) build_every_way(&base, 2);
            if (rows[r] <= 20) build_every_way(&base, rows[r]);
            if (kind == KIND_U8) build_every_way(&base, NLSH_AUTO);
            matrix_free(&base);
        }
}

static void one_dimension(void **state)
{
    (void)state;
    for (enum kind kind = 0; kind < N_KINDS; kind++) {
        struct nlsh_matrix base = matrix_new(kind, kind == KIND_F32 ? 150 : FEW, 1, 6, 5, 3);
        build_every_way(&base, 4);
        matrix_free(&base);
    }
}

static void rows_that_are_all_the_same(void **state)
{
    (void)state;
    for (enum kind kind = 0; kind < N_KINDS; kind++)
        for (size_t n = 2; n <= (kind == KIND_U8 ? 151 : FEW); n += n < FEW ? FEW - 2 : 151 - FEW) {
            struct nlsh_matrix base = matrix_new(kind, n, 6, 1, 10, 4);
            size_t row = kind_type(kind) == NLSH_F32 ? 24 : 6;
            uint8_t *data = (uint8_t *)(uintptr_t)base.data;
            for (size_t i = 1; i < n; i++) memcpy(data + i * row, data, row);
            build_every_way(&base, 2);
            build_every_way(&base, n < 5 ? 1 : 7);
            if (n == FEW) build_every_way(&base, n);
            matrix_free(&base);
        }
}

static void constant_dimensions(void **state)
{
    (void)state;
    for (int components = 0; components < 2; components++) {
        struct nlsh_matrix base = matrix_new(KIND_F32, components ? FEW : 260, 12, 6, 10, 5);
        float *data = (float *)(uintptr_t)base.data;
        for (size_t i = 0; i < base.n_rows; i++)
            for (size_t d = 0; d < 12; d++)
                if (d % 4 != 1) data[i * 12 + d] = d < 6 ? 1e5f : -0.0f; /* 3 of 12 say something */
        struct nlsh_build_options o;
        small_options(&o, 5);
        o.components = components ? 12 : 6; /* more than the data's rank */
        nlsh_index_close(built_index(&base, &o, "constant"));
        build_every_way(&base, 5);
        matrix_free(&base);
    }
}

/* Components = dim is the whole vector, shifted and scaled: no projection is stored. */
static void components_and_layers(void **state)
{
    (void)state;
    struct nlsh_matrix base = matrix_new(KIND_U8, FEW, 9, 6, 10, 6);
    for (size_t components = 1; components <= 11; components += TEST_STRIDE)
        for (size_t layers = 0; layers <= 8; layers += 4) {
            struct nlsh_build_options o;
            struct nlsh_index_info info = {.struct_size = sizeof info};
            small_options(&o, 5);
            o.components = components;
            o.layers = layers;
            struct nlsh_index *index = built_index(&base, &o, "components");
            size_t p = components < 9 ? components : 9;
            size_t want = p < 9 ? p * 9 : 0;
            want += layers == 0 ? (p + 1) * 5 : (p + 1) * 16 + (layers - 1) * 17 * 16 + 17 * 5;
            assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
            assert_int_equal(info.router_weights, want);
            nlsh_index_close(index);
        }
    matrix_free(&base);
}

static void auto_chooses(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_build_report report = {.struct_size = sizeof report};
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    size_t size;
    struct nlsh_matrix base = matrix_new(KIND_F32, 600, 10, 15, 14, 7);
    small_options(&o, 8);
    o.partitioner = NLSH_PARTITIONER_AUTO;
    free(build(&base, &o, &run, &report, &size));
    assert_true(report.partitioner == NLSH_PARTITIONER_VCYCLE ||
                report.partitioner == NLSH_PARTITIONER_KMEANS);
    /* It is what that partitioner gives when it is asked for, and not the worse one. */
    double candidates[2];
    for (size_t i = 0; i < 2; i++) {
        o.partitioner = i ? NLSH_PARTITIONER_VCYCLE : NLSH_PARTITIONER_KMEANS;
        struct nlsh_build_report alone = {.struct_size = sizeof alone};
        free(build(&base, &o, &run, &alone, &size));
        candidates[i] = alone.held_out_candidates;
        if (o.partitioner == report.partitioner)
            assert_true(alone.held_out_candidates == report.held_out_candidates);
    }
    size_t chosen = report.partitioner == NLSH_PARTITIONER_VCYCLE;
    assert_true(candidates[chosen] <= 1.5 * candidates[!chosen]); /* after a part of training */
    matrix_free(&base);
}

static void keep_notes(void *user, const char *sentence)
{
    char *all = user;
    assert_true(strlen(all) + strlen(sentence) + 2 < 4096);
    strcat(strcat(all, sentence), "\n");
}

/* The network's size is one of three, each of which was looked at; what is built is what that size gives
 * when it is asked for. */
static void auto_chooses_nodes(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_build_report report = {.struct_size = sizeof report}, alone = report;
    char notes[4096] = "";
    struct nlsh_run run = {
        .struct_size = sizeof run, .n_threads = 1, .note = keep_notes, .user = notes};
    struct nlsh_matrix base = matrix_new(KIND_F32, 600, 10, 15, 14, 7);
    size_t size, nodes;
    small_options(&o, 8);
    o.nodes = NLSH_AUTO;
    free(build(&base, &o, &run, &report, &size));
    struct nlsh_index *index = built_index(&base, &o, "nodes");
    struct nlsh_index_info info = {.struct_size = sizeof info};
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    const char *at = strstr(info.settings, "\"nodes\": ");
    assert_non_null(at);
    nodes = strtoul(at + strlen("\"nodes\": "), NULL, 10);
    assert_true(nodes == 128 || nodes == 256 || nodes == 512);
    assert_non_null(strstr(notes, "auto: 128 nodes"));
    assert_non_null(strstr(notes, "auto: 256 nodes"));
    assert_non_null(strstr(notes, "auto: 512 nodes"));
    nlsh_index_close(index);
    o.nodes = nodes;
    free(build(&base, &o, &run, &alone, &size));
    assert_true(alone.held_out_candidates == report.held_out_candidates);
    matrix_free(&base);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static int count_calls(void *user, const char *stage, uint64_t done, uint64_t total)
{
    (void)stage;
    (void)done;
    (void)total;
    ++*(size_t *)user;
    return 0;
}

/* Before any work, and with nothing left behind. */
static void refused(const struct nlsh_matrix *base, const struct nlsh_build_options *o,
                    const char *path, enum nlsh_status status, const char *word)
{
    size_t calls = 0;
    struct nlsh_run run = {
        .struct_size = sizeof run, .n_threads = 1, .progress = count_calls, .user = &calls};
    struct nlsh_error error;
    enum nlsh_status got = nlsh_build(base, o, path, &run, NULL, &error);
    if (got != status) fail_msg("%s: %s", nlsh_status_name(got), error.message);
    assert_int_equal(error.status, status);
    if (strstr(error.message, word) == NULL) fail_msg("no '%s' in '%s'", word, error.message);
    assert_int_equal(calls, 0);
    assert_int_equal(nlsh_build(base, o, path, &run, NULL, NULL), status);
    assert_int_equal(count_files("refused"), 0);
    assert_int_equal(count_files(".refused"), 0);
}

static void bases_that_are_refused(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    const char *path = test_path("refused");
    struct nlsh_matrix base = matrix_new(KIND_F32, 90, 4, 6, 10, 8), bad;
    float *data = (float *)(uintptr_t)base.data;
    small_options(&o, 3);
    static const float values[] = {NAN, INFINITY, -INFINITY};
    for (size_t row = 0; row < 90; row += 44) {
        char word[32];
        float kept = data[4 * row + 2];
        data[4 * row + 2] = values[row / 44];
        snprintf(word, sizeof word, "row %zu", row);
        refused(&base, &o, path, NLSH_E_DATA, word);
        data[4 * row + 2] = kept;
    }
    bad = base;
    bad.data = NULL;
    refused(&bad, &o, path, NLSH_E_ARG, "no vectors");
    bad = base;
    bad.n_rows = 0;
    refused(&bad, &o, path, NLSH_E_ARG, "");
    bad.n_rows = 1;
    refused(&bad, &o, path, NLSH_E_ARG, "1 vector");
    bad = base;
    bad.dim = 0;
    refused(&bad, &o, path, NLSH_E_ARG, "");
    bad = base;
    bad.type = NLSH_I32;
    refused(&bad, &o, path, NLSH_E_ARG, "");
    bad.type = (enum nlsh_type)0;
    refused(&bad, &o, path, NLSH_E_ARG, "");
    o.n_buckets = 91;
    refused(&base, &o, path, NLSH_E_ARG, "m is 91");
    small_options(&o, 3);
    o.lr = NAN;
    refused(&base, &o, path, NLSH_E_ARG, "lr");
    small_options(&o, 3);
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 0};
    struct nlsh_error error;
    assert_int_equal(nlsh_build(&base, &o, path, &run, NULL, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "threads is 0"));
    assert_int_equal(count_files("refused"), 0);
    matrix_free(&base);
}

static void paths_that_cannot_be_written(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_U8, 90, 4, 6, 10, 9);
    small_options(&o, 3);
    refused(&base, &o, test_path("none/refused"), NLSH_E_CANT_CREATE, "none");
    refused(&base, &o, test_dir(), NLSH_E_CANT_CREATE, test_dir());
    refused(&base, &o, "", NLSH_E_CANT_CREATE, "");
    test_write_file(test_path("file"), "x", 1);
    refused(&base, &o, test_path("file/refused"), NLSH_E_CANT_CREATE, "file/refused");
    matrix_free(&base);
}

/* Finite floats whose squares are not: words, no crash and no nonsense on disk. */
static void values_beyond_squares(void **state)
{
    (void)state;
    static const float sizes[] = {1e15f, 1e19f, 1e25f, 3e38f};
    for (size_t i = 0; i < 4; i++) {
        struct nlsh_build_options o;
        struct nlsh_error error;
        struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
        struct nlsh_matrix base = matrix_new(KIND_F32, 120, 6, 6, 10, 10);
        float *data = (float *)(uintptr_t)base.data;
        for (size_t j = 0; j < 120 * 6; j++) data[j] *= sizes[i] / 64;
        small_options(&o, 3);
        o.components = i % 2 ? 6 : 3;
        enum nlsh_status status = nlsh_build(&base, &o, test_path("refused"), &run, NULL, &error);
        assert_true(i > 0 || status == NLSH_OK);
        if (status != NLSH_OK) {
            assert_true(status == NLSH_E_DATA || status == NLSH_E_ARG);
            assert_true(error.message[0] != '\0' && error.hint[0] != '\0');
            assert_int_equal(count_files("refused"), 0);
        } else {
            assert_int_equal(nlsh_index_verify(test_path("refused"), &error), NLSH_OK);
            assert_int_equal(unlink(test_path("refused")), 0);
        }
        matrix_free(&base);
    }
}

/* ---- stopped and killed ---------------------------------------------------------------------- */

struct stopper {
    size_t calls, stop_at; /* the call that stops; counted from 0 */
    int kill;              /* by SIGKILL instead */
    int written;           /* the call that said so was seen */
    const char *stage;
    uint64_t done;
};

static int stop(void *user, const char *stage, uint64_t done, uint64_t total)
{
    struct stopper *s = user;
    assert_true(total == 0 ? done == 0 : done <= total);
    if (s->stage == stage) assert_true(done >= s->done || done == 0);
    s->stage = stage;
    s->done = done;
    s->written = strcmp(stage, "writing") == 0 && total > 0 && done == total;
    if (s->calls++ != s->stop_at) return 0;
    if (s->kill) raise(SIGKILL);
    return 1 + (int)(s->calls % 3);
}

/* Stops at every call in turn. before: what stands under the path, which has to stay. */
static void stop_everywhere(const struct nlsh_matrix *base, const struct nlsh_build_options *o,
                            const char *cache, const uint8_t *before, size_t before_size)
{
    struct nlsh_error error;
    size_t size, n = 0;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    const char *path = test_path("stopped");
    uint8_t *bytes = build(base, o, &run, NULL, &size);
    if (before != NULL) test_write_file(path, before, before_size);
    for (;; n += TEST_STRIDE) {
        struct stopper stopper = {.stop_at = n};
        struct nlsh_run stopped = {.struct_size = sizeof stopped,
                                   .n_threads = 1 + n % 3,
                                   .cache_dir = cache,
                                   .progress = stop,
                                   .user = &stopper};
        enum nlsh_status status = nlsh_build(base, o, path, &stopped, NULL, &error);
        assert_true(n < 5000);
        if (status == NLSH_OK) {
            /* Only where nothing was left to stop. */
            assert_true(stopper.written);
            break;
        }
        assert_int_equal(status, NLSH_E_INTERRUPTED);
        assert_int_equal(error.status, NLSH_E_INTERRUPTED);
        assert_int_equal(stopper.calls, n + 1); /* and no call after it */
        assert_int_equal(count_files(".stopped"), 0);
        assert_int_equal(count_files("stopped"), before != NULL);
        if (before == NULL) continue;
        size_t now_size;
        uint8_t *now = test_read_file(path, &now_size);
        assert_int_equal(now_size, before_size);
        assert_memory_equal(now, before, before_size);
        free(now);
    }
    assert_true(n >= 12);
    size_t now_size;
    uint8_t *now = test_read_file(path, &now_size);
    assert_int_equal(now_size, size);
    assert_memory_equal(now, bytes, size);
    assert_int_equal(count_files(".stopped"), 0);
    free(now);
    assert_int_equal(unlink(path), 0);
    run.cache_dir = cache;
    build_again(base, o, &run, bytes, size);
    free(bytes);
}

/* So many rows are measured with folds (make/folds.h), which are many calls; of fewer there are few. */
static void stopped_at_every_call(void **state)
{
    (void)state;
    static const uint8_t other[] = "another file";
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_U8, FEW + 1, 12, 6, 10, 11), few = base;
    few.n_rows = FEW;
    small_options(&o, 4);
    o.epochs = 2;
    o.components = 5;
    stop_everywhere(&base, &o, NULL, NULL, 0);
    stop_everywhere(&few, &o, cache_new(), other, sizeof other);
    o.partitioner = NLSH_PARTITIONER_METIS;
    o.refine = 1;
    stop_everywhere(&few, &o, cache_new(), NULL, 0);
    o.partitioner = NLSH_PARTITIONER_AUTO;
    o.graph = NLSH_GRAPH_IVFFLAT;
    stop_everywhere(&few, &o, NULL, other, sizeof other);
    matrix_free(&base);
    cache_end();
}

/* Builds in a process of its own that dies on the way; returns the signal, 0 where it lived. */
static int build_and_die(const struct nlsh_matrix *base, const struct nlsh_build_options *o,
                         const char *cache, size_t at, rlim_t most_bytes)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct stopper stopper = {.stop_at = at, .kill = 1};
        struct nlsh_run run = {.struct_size = sizeof run,
                               .n_threads = 2,
                               .cache_dir = cache,
                               .progress = stop,
                               .user = &stopper};
        struct rlimit limit = {most_bytes, RLIM_INFINITY};
        if (most_bytes > 0) setrlimit(RLIMIT_FSIZE, &limit); /* a write beyond it: SIGXFSZ */
        _exit(nlsh_build(base, o, test_path("killed"), &run, NULL, NULL) != NLSH_OK);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status)) assert_int_equal(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void killed_half_way(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    struct nlsh_error error;
    size_t size, deaths = 0;
    struct nlsh_matrix base = matrix_new(KIND_F32, 400, 30, 6, 10, 12);
    base.n_rows = FEW;
    small_options(&o, 6);
    o.partitioner = NLSH_PARTITIONER_METIS;
    uint8_t *bytes = build(&base, &o, &run, NULL, &size);
    run.cache_dir = cache_new();
    test_path("killed"); /* the directory is made before a child would make its own */
    for (size_t at = 0; at < 60; at += 3) {
        int sig = build_and_die(&base, &o, run.cache_dir, at, 0);
        if (sig == 0) break;
        assert_int_equal(sig, SIGKILL);
        deaths++;
        if (count_files("killed") == 0) continue;
        size_t n; /* death came behind the last stroke: then the file is whole */
        uint8_t *left = test_read_file(test_path("killed"), &n);
        assert_int_equal(n, size);
        assert_memory_equal(left, bytes, n);
        free(left);
        unlink(test_path("killed"));
    }
    assert_true(deaths >= 3);
    unlink(test_path("killed"));
    /* In the middle of the write, at several places. */
    for (rlim_t most = 1; most < size; most += size / 4) {
        assert_int_equal(build_and_die(&base, &o, run.cache_dir, SIZE_MAX, most), SIGXFSZ);
        assert_int_equal(count_files("killed"), 0);
    }
    assert_true(count_files(".killed") >= 1); /* the dead could not clean up */
    struct nlsh_build_report report = {.struct_size = sizeof report};
    if (nlsh_build(&base, &o, test_path("killed"), &run, &report, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    assert_int_equal(report.from_cache[NLSH_STAGE_GRAPH], 1);
    assert_int_equal(report.from_cache[NLSH_STAGE_PARTITION], 1);
    assert_int_equal(count_files(".killed"), 0); /* the living did */
    size_t now_size;
    uint8_t *now = test_read_file(test_path("killed"), &now_size);
    assert_int_equal(now_size, size);
    assert_memory_equal(now, bytes, size);
    free(now);
    free(bytes);
    matrix_free(&base);
    cache_end();
}

/* ---- notes ----------------------------------------------------------------------------------- */

static void the_run_says_what_it_took(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_U8, 300, 8, 6, 10, 13);
    char first[4096] = "", second[4096] = "";
    struct nlsh_run run = {
        .struct_size = sizeof run, .n_threads = 1, .cache_dir = cache_new(), .note = keep_notes};
    size_t size;
    small_options(&o, 4);
    run.user = first;
    free(build(&base, &o, &run, NULL, &size));
    run.user = second;
    free(build(&base, &o, &run, NULL, &size));
    assert_null(strstr(first, "taken from the cache"));
    assert_non_null(strstr(second, "k-NN graph: taken from the cache"));
    assert_non_null(strstr(second, "partition: taken from the cache"));
    matrix_free(&base);
    cache_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiny_bases),
        cmocka_unit_test(one_dimension),
        cmocka_unit_test(rows_that_are_all_the_same),
        cmocka_unit_test(constant_dimensions),
        cmocka_unit_test(components_and_layers),
        cmocka_unit_test(auto_chooses),
        cmocka_unit_test(auto_chooses_nodes),
        cmocka_unit_test(bases_that_are_refused),
        cmocka_unit_test(paths_that_cannot_be_written),
        cmocka_unit_test(values_beyond_squares),
        cmocka_unit_test(stopped_at_every_call),
        cmocka_unit_test(killed_half_way),
        cmocka_unit_test(the_run_says_what_it_took),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
