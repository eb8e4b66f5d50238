/*
 * test_retrain.c - an index that is learned anew holds and finds what it held, by the same settings and under the same
 * keys; what stops that leaves file and log as they were.
 */
#include "index/layout.h"
#include "make/settings.h"
#include "support/live.h"

enum { CHANGES = 12, K = 10, QUERIES = 20, BUCKETS = 6 /* not what auto would say */ };

static struct nlsh_matrix pool, queries;
static struct nlsh__rng rng;

/* An index on disk, what it holds, and what its file was before. */
struct one {
    char path[512];
    struct model holds;
    uint8_t *router; /* of the file, before */
    size_t router_size;
};

static void draw_pool(enum kind kind)
{
    test_rng(&rng, 40 + (uint64_t)kind);
    pool = matrix_new(kind, LIVE_POOL, LIVE_DIM, 10, 12, 7);
    queries = matrix_new(kind, QUERIES, LIVE_DIM, 10, 12, 8);
}

/* A copy of a file's section; freed by the caller. */
static uint8_t *section_of(const char *path, enum nlsh__section_kind kind, size_t *size)
{
    struct nlsh__index_table table;
    struct nlsh_index *index = index_opened(path);
    assert_int_equal(nlsh__index_read_table(path, &index->map, &table, NULL), NLSH_OK);
    const struct nlsh__index_entry *e = nlsh__index_find(&table, kind, 0);
    assert_non_null(e);
    uint8_t *copy = malloc(*size = (size_t)e->size);
    assert_non_null(copy);
    memcpy(copy, index->map.data + e->offset, *size);
    nlsh_index_close(index);
    return copy;
}

static void change(struct one *x, struct nlsh_writer *w)
{
    struct change c;
    size_t deleted;
    draw_change(&rng, &x->holds, &c);
    assert_int_equal(writer_change(w, &pool, &c, &deleted, NULL), NLSH_OK);
    assert_int_equal(deleted, model_change(&x->holds, &c));
}

/* Built, and then changed. */
static void make(struct one *x, enum kind kind, enum nlsh_metric metric, int keyed)
{
    static uint64_t keys[LIVE_BASE];
    struct nlsh_build_options o;
    struct nlsh_matrix base;
    draw_pool(kind);
    snprintf(x->path, sizeof x->path, "%s", test_path("anew"));
    model_init(&x->holds);
    base_of(&pool, keyed ? keys : NULL, &x->holds, &base);
    small_options(&o, BUCKETS);
    o.metric = metric;
    if (keyed) o.keys = keys;
    nlsh_index_close(built_index(&base, &o, "anew"));
    x->router = section_of(x->path, NLSH__SECTION_ROUTER, &x->router_size);
    struct nlsh_writer *w = writer_opened(x->path, NULL);
    for (size_t i = 0; i < CHANGES; i++) change(x, w);
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
}

static void done(struct one *x)
{
    remove(x->path);
    remove(log_path_of(x->path));
    model_free(&x->holds);
    free(x->router);
    matrix_free(&pool);
    matrix_free(&queries);
}

/* All buckets probed: exactly the model's answers. */
static void check_answers(const struct one *x, const struct nlsh_index *index)
{
    static struct found want[LIVE_MOST];
    uint64_t keys[QUERIES * K];
    float distances[QUERIES * K];
    struct nlsh_search_options o;
    nlsh_search_options_init(&o, sizeof o);
    o.k = K;
    o.probes = index->meta.n_buckets;
    assert_int_equal(nlsh_search_batch(index, &queries, &o, keys, distances, NULL, NULL), NLSH_OK);
    for (size_t q = 0; q < QUERIES; q++) {
        size_t n = model_search(&x->holds, &pool, index->metric, 0, &queries, q, want);
        check_found(&x->holds, &pool, index->metric, &queries, q, want, n, K, keys + q * K,
                    distances + q * K);
    }
}

static void check_nothing_lies_about(const struct one *x)
{
    char path[600];
    snprintf(path, sizeof path, "%.500s-retrained", x->path);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void retrain(const struct one *x, struct nlsh_compact_report *report)
{
    struct nlsh_error error;
    struct nlsh_compact_options how;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    nlsh_compact_options_init(&how, sizeof how);
    how.retrain = 1;
    *report = (struct nlsh_compact_report){.struct_size = sizeof *report};
    if (nlsh_compact(x->path, &how, &run, report, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
}

static void check_anew(enum kind kind, enum nlsh_metric metric, int keyed)
{
    struct one x;
    struct nlsh_compact_report report;
    struct nlsh_build_options settings;
    size_t size;
    make(&x, kind, metric, keyed);
    struct nlsh_index *index = index_opened(x.path);
    size_t n_deleted = index->n_deleted, log_rows = index->log_now.rows;
    enum nlsh_type source = (enum nlsh_type)index->meta.source_type;
    assert_true(n_deleted > 0 && log_rows > 0);
    nlsh_index_close(index);

    retrain(&x, &report);
    assert_int_equal(report.done, NLSH_COMPACT_RETRAINED);
    assert_int_equal(report.n_rows, x.holds.n);
    assert_int_equal(report.n_dropped, n_deleted);
    assert_int_equal(report.log_rows, log_rows);
    assert_int_equal(report.measured, 1);
    check_nothing_lies_about(&x);

    index = index_opened(x.path);
    assert_int_equal(nlsh_index_verify(x.path, NULL), NLSH_OK);
    check_holds(&x.holds, index, &pool);
    check_answers(&x, index);
    assert_int_equal(index->n_deleted, 0);
    assert_int_equal(index->log_now.rows, 0);
    assert_int_equal(index->metric, metric);
    assert_int_equal(index->meta.source_type, source);
    assert_int_equal(index->meta.n_buckets, BUCKETS);
    nlsh_build_options_init(&settings, sizeof settings);
    assert_int_equal(nlsh__settings_of(x.path, index->settings, &settings, NULL), NLSH_OK);
    assert_int_equal(settings.epochs, 3);
    nlsh_index_close(index);
    uint8_t *router = section_of(x.path, NLSH__SECTION_ROUTER, &size);
    assert_true(size != x.router_size || memcmp(router, x.router, size) != 0);
    free(router);

    /* and it goes on */
    struct nlsh_writer *w = writer_opened(x.path, NULL);
    for (size_t i = 0; i < 4; i++) change(&x, w);
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
    index = index_opened(x.path);
    check_holds(&x.holds, index, &pool);
    check_answers(&x, index);
    nlsh_index_close(index);
    done(&x);
}

static void bytes_are_held_and_found(void **state)
{
    (void)state;
    if (TEST_STRIDE == 1) check_anew(KIND_U8, NLSH_L2, 0);
    check_anew(KIND_U8, NLSH_L2, 1);
}

static void signed_bytes_stay_signed(void **state)
{
    (void)state;
    check_anew(KIND_I8, NLSH_L2, 0);
}

static void floats_keep_their_metric(void **state)
{
    (void)state;
    if (TEST_STRIDE == 1) check_anew(KIND_F32, NLSH_L2, 1);
    check_anew(KIND_F32, NLSH_IP, 1);
    check_anew(KIND_F32, NLSH_COSINE, 0);
}

/* ---- what stops it --------------------------------------------------------------------------- */

static int stop_training(void *user, const char *stage, uint64_t n_done, uint64_t total)
{
    (void)n_done;
    (void)total;
    *(int *)user |= strcmp(stage, "training") == 0;
    return *(int *)user;
}

static void compare_file(const char *path, const uint8_t *bytes, size_t size)
{
    size_t now;
    uint8_t *read = test_read_file(path, &now);
    assert_int_equal(now, size);
    assert_memory_equal(read, bytes, size);
    free(read);
}

static void an_interruption_leaves_file_and_log(void **state)
{
    struct one x;
    struct nlsh_error error;
    struct nlsh_compact_options how;
    int stopped = 0;
    size_t file_size, log_size;
    struct nlsh_run run = {
        .struct_size = sizeof run, .n_threads = 1, .progress = stop_training, .user = &stopped};
    (void)state;
    make(&x, KIND_U8, NLSH_L2, 0);
    uint8_t *file = test_read_file(x.path, &file_size);
    uint8_t *log = test_read_file(log_path_of(x.path), &log_size);
    nlsh_compact_options_init(&how, sizeof how);
    how.retrain = 1;
    assert_int_equal(nlsh_compact(x.path, &how, &run, NULL, &error), NLSH_E_INTERRUPTED);
    assert_int_equal(stopped, 1);
    check_nothing_lies_about(&x);
    compare_file(x.path, file, file_size);
    compare_file(log_path_of(x.path), log, log_size);
    free(file);
    free(log);
    done(&x);
}

/* ---- when it is due -------------------------------------------------------------------------- */

static enum nlsh_compact_done compact_what_is_due(const struct one *x)
{
    struct nlsh_error error;
    struct nlsh_compact_options how;
    struct nlsh_compact_report report = {.struct_size = sizeof report};
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    nlsh_compact_options_init(&how, sizeof how);
    how.automatic = 1;
    if (nlsh_compact(x->path, &how, &run, &report, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    return report.done;
}

static void put_from(struct one *x, size_t from, size_t n)
{
    struct nlsh_writer *w = writer_opened(x->path, NULL);
    while (n > 0) {
        struct change c = {.is_put = 1, .n = n < 200 ? n : 200};
        size_t deleted;
        for (size_t i = 0; i < c.n; i++) c.keys[i] = c.of[i] = (uint32_t)(from + i);
        assert_int_equal(writer_change(w, &pool, &c, &deleted, NULL), NLSH_OK);
        (void)model_change(&x->holds, &c);
        from += c.n;
        n -= c.n;
    }
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
}

/* It has one bucket until a thousand vectors are there to learn from; then as many as a build would give it. */
static void an_index_that_began_empty_learns_from_a_thousand(void **state)
{
    struct one x = {.router = NULL};
    (void)state;
    draw_pool(KIND_U8);
    snprintf(x.path, sizeof x.path, "%s", test_path("empty"));
    model_init(&x.holds);
    assert_int_equal(nlsh_index_create(x.path, LIVE_DIM, NLSH_U8, NLSH_L2, NULL), NLSH_OK);
    put_from(&x, 0, 999);
    assert_int_equal(compact_what_is_due(&x), NLSH_COMPACT_MERGED);
    assert_int_equal(compact_what_is_due(&x), NLSH_COMPACT_NOTHING);
    put_from(&x, 999, 1);
    assert_int_equal(compact_what_is_due(&x), NLSH_COMPACT_RETRAINED);
    assert_int_equal(compact_what_is_due(&x), NLSH_COMPACT_NOTHING);
    struct nlsh_index *index = index_opened(x.path);
    assert_true(index->meta.n_buckets > 1);
    check_holds(&x.holds, index, &pool);
    check_answers(&x, index);
    nlsh_index_close(index);
    done(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_held_and_found),
        cmocka_unit_test(signed_bytes_stay_signed),
        cmocka_unit_test(floats_keep_their_metric),
        cmocka_unit_test(an_interruption_leaves_file_and_log),
        cmocka_unit_test(an_index_that_began_empty_learns_from_a_thousand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
