/* test_leaves.c - where a log holds many rows they stand in leaves, as those of a file do: live/leaves.c. */
#include "support/leaves.h"
#include "support/live.h"

enum { BASE = 2900, PUT = 1040, K = 10 };

static struct nlsh_matrix pool;
static const char *path;

/* An index with a log of PUT rows. */
static struct nlsh_index *with_log(enum kind kind, size_t leaves)
{
    static uint64_t keys[PUT];
    struct nlsh_build_options o;
    struct nlsh_index *index;
    path = test_path("leaves");
    pool = matrix_new(kind, LIVE_POOL, LIVE_DIM, 40, 12, 7);
    struct nlsh_matrix base = pool;
    base.n_rows = BASE;
    small_options(&o, LIVE_BUCKETS);
    o.leaves = leaves;
    nlsh_index_close(built_index(&base, &o, "leaves"));
    struct nlsh_writer *w = writer_opened(path, NULL);
    for (size_t i = 0; i < PUT; i++) keys[i] = BASE + i;
    const struct nlsh_matrix rows = {(const uint8_t *)pool.data +
                                         BASE * pool.dim * value_bytes(&pool),
                                     PUT, pool.dim, pool.type, 0};
    assert_int_equal(nlsh_writer_put(w, keys, &rows, NULL), NLSH_OK);
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
    index = index_opened(path);
    return index;
}

static void clean(struct nlsh_index *index)
{
    nlsh_index_close(index);
    (void)unlink(path);
    (void)unlink(log_path_of(path));
    matrix_free(&pool);
}

/* The mean number of rows that searches of the log's rows look at; hits: of those rows, which find themselves. */
static double asked(const struct nlsh_index *index, size_t *hits)
{
    static uint64_t keys[PUT * K];
    static uint32_t candidates[PUT];
    struct nlsh_search_options o;
    struct nlsh_search_stats stats = {.struct_size = sizeof stats, .candidates = candidates};
    const struct nlsh_matrix queries = {(const uint8_t *)pool.data +
                                            BASE * pool.dim * value_bytes(&pool),
                                        PUT, pool.dim, pool.type, 0};
    double sum = 0;
    nlsh_search_options_init(&o, sizeof o);
    o.k = K;
    o.recall = .95f;
    assert_int_equal(nlsh_search_batch(index, &queries, &o, keys, NULL, &stats, NULL), NLSH_OK);
    *hits = 0;
    for (size_t i = 0; i < PUT; i++) {
        sum += candidates[i];
        for (size_t j = 0; j < K; j++) *hits += keys[i * K + j] == BASE + i;
    }
    return sum / PUT;
}

static void rows_of_a_log_stand_in_leaves(void **state)
{
    static const enum kind kinds[] = {KIND_U8, KIND_F32};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct nlsh_index *index = with_log(kinds[i], 1);
        assert_true(index->n_segments >= 2);
        const struct nlsh__segment *s = &index->segments[1];
        assert_int_equal(s->n_rows, 1024); /* two of 512 */
        check_leaves(index, s);
        uint8_t seen[1024] = {0};
        for (size_t j = 0; j < s->n_rows; j++) seen[s->rows[j]]++;
        for (size_t j = 0; j < s->n_rows; j++) assert_int_equal(seen[j], 1);
        clean(index);
    }
}

static void a_search_leaves_out_leaves_of_a_log(void **state)
{
    size_t hits[2];
    double scanned[2];
    (void)state;
    for (size_t leaves = 0; leaves < 2; leaves++) {
        struct nlsh_index *index = with_log(KIND_U8, leaves);
        assert_int_equal(index->segments[1].leaves != NULL, leaves);
        scanned[leaves] = asked(index, &hits[leaves]);
        clean(index);
    }
    print_message("%.0f candidates of %d, with leaves %.0f; found %zu and %zu\n", scanned[0],
                  BASE + PUT, scanned[1], hits[0], hits[1]);
    assert_true(hits[0] > PUT * 92 / 100 && hits[1] > PUT * 92 / 100);
    assert_true(scanned[1] < .9 * scanned[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_a_log_stand_in_leaves),
        cmocka_unit_test(a_search_leaves_out_leaves_of_a_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
