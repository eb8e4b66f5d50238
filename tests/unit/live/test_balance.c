/*
 * test_balance.c - once all is one file, no bucket holds more than 1.5 times the mean, and one: whatever was put, whatever
 * was deleted. Nothing is lost on the way.
 */
#include "support/live.h"

enum { M = 20, LIKE = 3000, BATCH = 100 };

static struct nlsh_matrix pool, base;
static struct model holds;
static char path[512];

static void begin(double imbalance)
{
    struct nlsh_build_options o;
    pool = matrix_new(KIND_U8, LIVE_POOL, LIVE_DIM, 10, 12, 7);
    snprintf(path, sizeof path, "%s", test_path("balance"));
    (void)unlink(log_path_of(path));
    model_init(&holds);
    base_of(&pool, NULL, &holds, &base);
    small_options(&o, M);
    o.imbalance = imbalance;
    nlsh_index_close(built_index(&base, &o, "balance"));
}

static void done(void)
{
    (void)unlink(path);
    (void)unlink(log_path_of(path));
    model_free(&holds);
    matrix_free(&pool);
}

/* Rows in each bucket, deleted or not: sizes [M]; returns the most. */
static size_t sizes_of(const struct nlsh_index *index, size_t *sizes)
{
    size_t most = 0;
    for (size_t b = 0; b < M; b++) {
        sizes[b] = 0;
        for (size_t i = 0; i < index->n_segments; i++)
            sizes[b] +=
                index->segments[i].bucket_offsets[b + 1] - index->segments[i].bucket_offsets[b];
        most = sizes[b] > most ? sizes[b] : most;
    }
    return most;
}

static void check_balanced(const struct nlsh_index *index)
{
    size_t sizes[M], most = sizes_of(index, sizes);
    if (most > 3 * (size_t)index->meta.n_rows / (2 * M) + 1)
        fail_msg("a bucket holds %zu of %zu rows", most, (size_t)index->meta.n_rows);
}

/* Compacted by so many threads; the file's bytes. */
static uint8_t *compacted(size_t n_threads, size_t *size)
{
    struct nlsh_error error;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = n_threads};
    if (nlsh_compact(path, NULL, &run, NULL, &error) != NLSH_OK) fail_msg("%s", error.message);
    struct nlsh_index *index = index_opened(path);
    check_holds(&holds, index, &pool);
    check_balanced(index);
    nlsh_index_close(index);
    if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);
    return test_read_file(path, size);
}

/* Vectors that are all alike stand where they are looked for, until a compaction spreads them. */
static void what_is_put_is_spread_by_a_compaction(void **state)
{
    struct model *m = &holds;
    uint64_t keys[BATCH];
    uint32_t of[BATCH];
    size_t size;
    (void)state;
    begin(.5);
    struct nlsh_writer *w = writer_opened(path, NULL);
    for (size_t put = 0; put < LIKE; put += BATCH) {
        for (size_t i = 0; i < BATCH; i++) {
            keys[i] = 10000 + put + i;
            of[i] = 17;
            model_put(m, keys[i], 17);
        }
        struct nlsh_matrix rows = pool_rows(&pool, of, BATCH);
        assert_int_equal(nlsh_writer_put(w, keys, &rows, NULL), NLSH_OK);
        matrix_free(&rows);
    }
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
    free(compacted(2, &size));
    done();
}

/* Of all rows those of two buckets are left. */
static void leave_two_buckets(void)
{
    struct nlsh_index *index = index_opened(path);
    const struct nlsh__segment *s = &index->segments[0];
    uint64_t keys[LIVE_BASE];
    size_t n = 0, deleted;
    for (size_t b = 0; b < M; b++)
        for (size_t place = s->bucket_offsets[b];
             b != 3 && b != 7 && place < s->bucket_offsets[b + 1]; place++)
            keys[n++] = s->rows[place];
    nlsh_index_close(index);
    struct nlsh_writer *w = writer_opened(path, NULL);
    assert_int_equal(nlsh_writer_delete(w, keys, n, &deleted, NULL), NLSH_OK);
    assert_int_equal(deleted, n);
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
    for (size_t i = 0; i < n; i++) (void)model_delete(&holds, keys[i]);
}

static void what_is_left_in_a_few_buckets_is_spread(void **state)
{
    size_t size, again_size, log_size, base_size;
    (void)state;
    begin(.5);
    leave_two_buckets();
    uint8_t *file = test_read_file(path, &base_size);
    uint8_t *log = test_read_file(log_path_of(path), &log_size);
    uint8_t *one = compacted(1, &size);
    test_write_file(path, file, base_size);
    test_write_file(log_path_of(path), log, log_size);
    uint8_t *three = compacted(3, &again_size);
    assert_int_equal(size, again_size);
    assert_memory_equal(one, three, size);
    free(file);
    free(log);
    free(one);
    free(three);
    done();
}

/* Who asks for larger buckets gets them, and keeps them: rows move for a limit alone. */
static void a_bucket_within_its_limit_keeps_its_rows(void **state)
{
    size_t before[M], after[M];
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        begin(wide ? 4 : .5);
        struct nlsh_index *index = index_opened(path);
        size_t most = sizes_of(index, before);
        if (wide && most <= 3 * LIVE_BASE / (2 * M) + 1) fail_msg("%zu is not much", most);
        nlsh_index_close(index);
        struct nlsh_error error;
        if (nlsh_compact(path, NULL, NULL, NULL, &error) != NLSH_OK) fail_msg("%s", error.message);
        index = index_opened(path);
        (void)sizes_of(index, after);
        assert_memory_equal(before, after, sizeof before);
        nlsh_index_close(index);
        done();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_spread_by_a_compaction),
        cmocka_unit_test(what_is_left_in_a_few_buckets_is_spread),
        cmocka_unit_test(a_bucket_within_its_limit_keeps_its_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
