/*
 * test_memory.c - each allocation of opening, putting, deleting, refreshing and compacting is refused once. Nothing
 * leaks, and what an index holds is what it held before, or all of what was asked for.
 */
#include "support/live.h"
#include "support/refused.h"

static struct nlsh_matrix pool;
static char path[512];

/* A base, a log of some records, and what they hold. */
static struct {
    uint8_t *base, *log;
    size_t base_size, log_size;
    struct model holds;
} was;

static int set_up(void **state)
{
    struct nlsh_build_options o;
    struct nlsh_matrix base;
    struct nlsh__rng rng;
    static uint64_t keys[LIVE_BASE];
    (void)state;
    test_rng(&rng, 15);
    snprintf(path, sizeof path, "%s", test_path("memory"));
    pool = matrix_new(KIND_U8, LIVE_POOL, LIVE_DIM, 10, 12, 7);
    model_init(&was.holds);
    base_of(&pool, keys, &was.holds, &base);
    small_options(&o, LIVE_BUCKETS);
    o.keys = keys;
    nlsh_index_close(built_index(&base, &o, "memory"));
    struct nlsh_writer *w = writer_opened(path, NULL);
    for (size_t i = 0; i < 8; i++) {
        struct change c;
        size_t deleted;
        draw_change(&rng, &was.holds, &c);
        assert_int_equal(writer_change(w, &pool, &c, &deleted, NULL), NLSH_OK);
        (void)model_change(&was.holds, &c);
    }
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
    was.base = test_read_file(path, &was.base_size);
    was.log = test_read_file(log_path_of(path), &was.log_size);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    model_free(&was.holds);
    matrix_free(&pool);
    free(was.base);
    free(was.log);
    return 0;
}

static void put_back(void)
{
    test_write_file(path, was.base, was.base_size);
    test_write_file(log_path_of(path), was.log, was.log_size);
}

static enum nlsh_status open_it(void *ctx, struct nlsh_error *error)
{
    struct nlsh_index *index;
    (void)ctx;
    enum nlsh_status status = nlsh_index_open(path, NULL, &index, error);
    if (status == NLSH_OK) check_holds(&was.holds, index, &pool);
    nlsh_index_close(index);
    return status;
}

static enum nlsh_status open_to_write(void *ctx, struct nlsh_error *error)
{
    struct nlsh_writer *w;
    (void)ctx;
    enum nlsh_status status = nlsh_writer_open(path, NULL, &w, error);
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
    return status;
}

static enum nlsh_status verify_it(void *ctx, struct nlsh_error *error)
{
    (void)ctx;
    return nlsh_index_verify(path, error);
}

static void opening_says_that_there_is_no_memory(void **state)
{
    (void)state;
    put_back();
    assert_true(refuse_each(open_it, NULL) > 20);
    assert_true(refuse_each(verify_it, NULL) > 20);
    assert_true(refuse_each(open_to_write, NULL) > 30);
}

/* One change with the at-th allocation refused: it is made or not, in memory and in the log. Returns whether one
 * was refused. */
static int change_refused(const struct change *c, size_t at)
{
    struct nlsh_error error;
    struct model m;
    struct nlsh_index *now, *later;
    size_t deleted;
    put_back();
    struct nlsh_index *reader = index_opened(path);
    struct nlsh_writer *w = writer_opened(path, NULL);
    model_init(&m);
    model_copy(&m, &was.holds);
    counted.refuse_at = counted.n_allocated + at;
    enum nlsh_status status = writer_change(w, &pool, c, &deleted, &error);
    enum nlsh_status seen = nlsh_writer_snapshot(w, &now, NULL); /* makes the state */
    int refused = counted.refuse_at == 0;
    counted.refuse_at = 0;
    if (seen != NLSH_OK) {
        assert_true(refused && seen == NLSH_E_NOMEM);
        assert_int_equal(nlsh_writer_snapshot(w, &now, NULL), NLSH_OK);
    }
    if (status != NLSH_OK && (!refused || status != NLSH_E_NOMEM)) fail_msg("%s", error.message);
    if (status == NLSH_OK) assert_int_equal(deleted, model_change(&m, c));
    check_holds(&m, now, &pool);
    nlsh_index_close(now);
    assert_int_equal(nlsh_index_refresh(reader, &later, NULL), NLSH_OK);
    check_holds(&m, later != NULL ? later : reader, &pool);
    nlsh_index_close(later);
    /* and it goes on */
    const struct change more = {1, 2, {5, 4000}, {20, 21}};
    assert_int_equal(writer_change(w, &pool, &more, &deleted, NULL), NLSH_OK);
    (void)model_change(&m, &more);
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
    nlsh_index_close(reader);
    reader = index_opened(path);
    check_holds(&m, reader, &pool);
    nlsh_index_close(reader);
    model_free(&m);
    return refused;
}

static void a_change_is_made_or_not(void **state)
{
    struct change c = {.is_put = 1, .n = 150};
    size_t at = 1, in_use = counted.n_allocated - counted.n_released;
    (void)state;
    for (size_t i = 0; i < c.n; i++) {
        c.keys[i] = i % 3 == 0 ? was.holds.keys[i] : 7000000 + i;
        c.of[i] = (uint32_t)(3 * i);
    }
    while (change_refused(&c, at)) at += TEST_STRIDE;
    assert_true(at > 10);
    c.is_put = 0;
    for (at = 1; change_refused(&c, at);) at += TEST_STRIDE;
    assert_true(at > 5);
    check_in_use(in_use);
}

/* A reader whose refresh had no memory sees everything at the next. */
static void refreshing_goes_on_where_it_stood(void **state)
{
    struct nlsh_error error;
    size_t in_use = counted.n_allocated - counted.n_released;
    (void)state;
    for (size_t at = 1, refused = 1; refused; at += TEST_STRIDE) {
        struct change c = {.is_put = 1, .n = 200};
        struct model m;
        struct nlsh_index *now;
        size_t deleted;
        put_back();
        struct nlsh_index *reader = index_opened(path);
        struct nlsh_writer *w = writer_opened(path, NULL);
        for (size_t i = 0; i < c.n; i++) {
            c.keys[i] = 90 + i * 20;
            c.of[i] = (uint32_t)i;
        }
        model_init(&m);
        model_copy(&m, &was.holds);
        assert_int_equal(writer_change(w, &pool, &c, &deleted, NULL), NLSH_OK);
        (void)model_change(&m, &c);
        counted.refuse_at = counted.n_allocated + at;
        enum nlsh_status status = nlsh_index_refresh(reader, &now, &error);
        refused = counted.refuse_at == 0;
        counted.refuse_at = 0;
        assert_int_equal(status, refused ? NLSH_E_NOMEM : NLSH_OK);
        if (refused) assert_null(now);
        check_holds(&was.holds, reader, &pool);
        if (refused) assert_int_equal(nlsh_index_refresh(reader, &now, NULL), NLSH_OK);
        assert_non_null(now);
        check_holds(&m, now, &pool);
        nlsh_index_close(now);
        nlsh_index_close(reader);
        assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
        model_free(&m);
        assert_true(!refused || at < 1000);
    }
    check_in_use(in_use);
}

static size_t n_of_compact; /* allocations */

static enum nlsh_status compact_it(void *how, struct nlsh_error *error)
{
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    put_back();
    size_t before = counted.n_allocated;
    enum nlsh_status status = nlsh_compact(path, how, &run, NULL, error);
    n_of_compact = counted.n_allocated - before;
    /* what follows is not the call's */
    size_t refuse_at = counted.refuse_at;
    void (*at)(size_t n) = counted.at;
    counted.refuse_at = 0;
    counted.at = NULL;
    struct nlsh_index *index = index_opened(path);
    check_holds(&was.holds, index, &pool);
    nlsh_index_close(index);
    counted.refuse_at = refuse_at;
    counted.at = at;
    return status;
}

static void compacting_leaves_what_there_was(void **state)
{
    (void)state;
    assert_true(refuse_places(compact_it, NULL) > 50);
}

/* The build in the middle is refused each of its own in base/test_refused.c. */
static void learning_anew_leaves_what_there_was(void **state)
{
    struct nlsh_compact_options how;
    struct nlsh_error error;
    char built[600];
    (void)state;
    nlsh_compact_options_init(&how, sizeof how);
    how.retrain = 1;
    snprintf(built, sizeof built, "%s-retrained", path);
    assert_int_equal(compact_it(&how, &error), NLSH_OK);
    size_t n = n_of_compact;
    assert_true(n > 100);
    for (size_t at = 1; at <= n; at += TEST_STRIDE) {
        if (at > 40 && at + 25 < n && at % (n / 8) >= TEST_STRIDE) continue;
        assert_true(refuse_one(compact_it, &how, at));
        assert_int_not_equal(access(built, F_OK), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_says_that_there_is_no_memory),
        cmocka_unit_test(a_change_is_made_or_not),
        cmocka_unit_test(refreshing_goes_on_where_it_stood),
        cmocka_unit_test(compacting_leaves_what_there_was),
        cmocka_unit_test(learning_anew_leaves_what_there_was),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests(tests, set_up, tear_down));
}
