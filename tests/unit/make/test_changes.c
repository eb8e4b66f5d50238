/*
 * test_changes.c - when a compaction measures promises again, and when it leaves them: of vectors that come and go by chance
 * they still hold; of others they are measured, and hold then.
 */
#include "base/rng.h"
#include "index/index.h"
#include "nlsh/learn.h"
#include "support/built.h"

/* So many rows that some are held out of training. */
enum { N = 10000, DIM = 24, M = 40, POOL = 3000, Q = 500, K = 10 };

static struct nlsh_matrix base, more, other; /* other: from where none of the base is */
static uint8_t *built;
static size_t built_size;
static char path[512], log_path[600];

/* What the index holds: rows of all three, under their places here. */
static struct {
    float *rows; /* [n x DIM], those that went too */
    uint8_t *gone;
    size_t n;
} held;

static int set_up(void **state)
{
    struct nlsh_build_options o;
    (void)state;
    base = matrix_new(KIND_F32, N, DIM, 60, 22, 1);
    more = matrix_new(KIND_F32, POOL, DIM, 60, 22, 2);
    other = matrix_new(KIND_F32, POOL, DIM, 60, 22, 3);
    float *rows = (float *)(uintptr_t)other.data;
    for (size_t i = 0; i < (size_t)POOL * DIM; i++) rows[i] = -rows[i];
    small_options(&o, M);
    o.epochs = 10;
    o.nodes = 64;
    nlsh_index_close(built_index(&base, &o, "changes"));
    snprintf(path, sizeof path, "%s", test_path("changes"));
    snprintf(log_path, sizeof log_path, "%s-log", path);
    built = test_read_file(path, &built_size);
    held.rows = malloc((N + 2 * POOL) * DIM * sizeof *held.rows);
    held.gone = malloc(N + 2 * POOL);
    return held.rows == NULL || held.gone == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    free(built);
    free(held.rows);
    free(held.gone);
    matrix_free(&base);
    matrix_free(&more);
    matrix_free(&other);
    return unlink(path);
}

/* The index as it was built. */
static void fresh(void)
{
    (void)unlink(log_path);
    test_write_file(path, built, built_size);
    memcpy(held.rows, base.data, (size_t)N * DIM * sizeof *held.rows);
    memset(held.gone, 0, N + 2 * POOL);
    held.n = N;
}

static struct nlsh_writer *opened(void)
{
    struct nlsh_writer *w;
    struct nlsh_error error;
    if (nlsh_writer_open(path, NULL, &w, &error) != NLSH_OK) fail_msg("%s", error.message);
    return w;
}

static void put(const struct nlsh_matrix *from, size_t first, size_t n)
{
    static uint64_t keys[POOL];
    struct nlsh_writer *w = opened();
    const struct nlsh_matrix some = {(const float *)from->data + first * DIM, n, DIM, NLSH_F32, 0};
    for (size_t i = 0; i < n; i++) keys[i] = held.n + i;
    memcpy(held.rows + held.n * DIM, some.data, n * DIM * sizeof *held.rows);
    held.n += n;
    assert_int_equal(nlsh_writer_put(w, keys, &some, NULL), NLSH_OK);
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
}

static void delete (const uint64_t *keys, size_t n)
{
    struct nlsh_writer *w = opened();
    for (size_t i = 0; i < n; i++) held.gone[keys[i]] = 1;
    assert_int_equal(nlsh_writer_delete(w, keys, n, NULL, NULL), NLSH_OK);
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
}

/* Every so many-th of the base: rows lie there by chance. */
static void delete_each(size_t step)
{
    static uint64_t keys[N];
    size_t n = 0;
    for (size_t i = 0; i < N; i += step) keys[n++] = i;
    delete (keys, n);
}

static struct nlsh_compact_report compacted(int automatic)
{
    struct nlsh_compact_report report = {.struct_size = sizeof report};
    struct nlsh_compact_options how;
    struct nlsh_error error;
    nlsh_compact_options_init(&how, sizeof how);
    how.automatic = automatic;
    if (nlsh_compact(path, &how, NULL, &report, &error) != NLSH_OK) fail_msg("%s", error.message);
    return report;
}

static size_t n_changed(void)
{
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct nlsh_index *index;
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    nlsh_index_close(index);
    return info.n_changed;
}

/* The share of the K nearest that comes back where .95 is asked for, of queries: n_other of them from elsewhere. */
static double reached(size_t n_other)
{
    static uint64_t keys[Q * K], true_keys[Q * K];
    static float distances[Q * K], true_distances[Q * K];
    static float rows[Q * DIM];
    struct nlsh_search_options o, all;
    struct nlsh_index *index;
    double sum = 0;
    for (size_t i = 0; i < Q; i++) { /* the last rows are put nowhere */
        const struct nlsh_matrix *from = i < n_other ? &other : &more;
        memcpy(rows + i * DIM, (const float *)from->data + (POOL - 1 - i) * DIM,
               sizeof(float[DIM]));
    }
    const struct nlsh_matrix queries = {rows, Q, DIM, NLSH_F32, 0};
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    nlsh_search_options_init(&o, sizeof o);
    o.k = K;
    all = o;
    o.recall = .95;
    all.probes = M;
    assert_int_equal(nlsh_search_batch(index, &queries, &o, keys, distances, NULL, NULL), NLSH_OK);
    assert_int_equal(
        nlsh_search_batch(index, &queries, &all, true_keys, true_distances, NULL, NULL), NLSH_OK);
    for (size_t i = 0; i < Q * K; i++) assert_false(held.gone[true_keys[i]]);
    for (size_t i = 0; i < Q; i++)
        sum += nlsh_recall(keys + i * K, distances + i * K, true_keys + i * K,
                           true_distances + i * K, K);
    nlsh_index_close(index);
    return sum / Q;
}

/* Two standard errors of what 500 queries say are .01. */
static void check_promise(size_t n_other)
{
    double now = reached(n_other);
    print_message("%.4f\n", now);
    if (now < .93) fail_msg("asked .95, reached %g", now);
}

static void what_comes_and_goes_by_chance_leaves_promises(void **state)
{
    (void)state;
    fresh();
    check_promise(0);
    put(&more, 0, 900);
    delete_each(11);
    assert_int_equal(n_changed(), 1810);
    struct nlsh_compact_report report = compacted(0);
    assert_int_equal(report.done, NLSH_COMPACT_MERGED);
    assert_int_equal(report.measured, 0);
    assert_int_equal(n_changed(), 1810); /* they count on */
    check_promise(0);
    put(&more, 900, 400); /* together more than a fifth */
    assert_int_equal(compacted(0).measured, 1);
    assert_int_equal(n_changed(), 0);
    check_promise(0);
}

/* Of every seventh row fewer the ten nearest are about the twelve nearest of before. */
static void what_goes_by_chance_leaves_promises(void **state)
{
    (void)state;
    fresh();
    delete_each(7);
    assert_int_equal(compacted(0).measured, 0);
    check_promise(0);
}

static void what_comes_from_elsewhere_is_measured_for(void **state)
{
    (void)state;
    fresh();
    put(&other, 0, 500);
    assert_int_equal(compacted(0).measured, 1);
    check_promise(Q / 20);
    /* in small lots, none of which alone is much */
    fresh();
    put(&other, 0, 150);
    assert_int_equal(compacted(0).measured, 0);
    check_promise(Q / 60);
    put(&other, 150, 150);
    assert_int_equal(compacted(0).measured, 1);
    check_promise(Q / 30);
}

static void what_goes_from_one_place_is_measured_for(void **state)
{
    static uint64_t keys[N];
    size_t n = 0;
    (void)state;
    fresh();
    struct nlsh_index *index;
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    const struct nlsh__segment *s = &index->segments[0];
    for (size_t place = s->bucket_offsets[2]; place < s->bucket_offsets[5]; place++)
        keys[n++] = s->rows[place];
    nlsh_index_close(index);
    assert_true(n > N / 40 && n < N / 8);
    delete (keys, n);
    assert_int_equal(compacted(0).measured, 1);
    check_promise(0);
}

static void it_compacts_by_itself_for_what_is_unlike(void **state)
{
    (void)state;
    fresh();
    put(&more, 0, 500);
    assert_int_equal(compacted(1).done, NLSH_COMPACT_NOTHING);
    fresh();
    put(&other, 0, 500);
    struct nlsh_compact_report report = compacted(1);
    assert_int_not_equal(report.done, NLSH_COMPACT_NOTHING);
    assert_int_equal(report.measured, 1);
    check_promise(Q / 20);
    /* so few that they do not matter */
    fresh();
    put(&other, 0, 100);
    assert_int_equal(compacted(1).done, NLSH_COMPACT_NOTHING);
}

static struct nlsh__meter_header meter_now(void)
{
    struct nlsh_index *index;
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    const struct nlsh__meter_header meter = index->meter;
    nlsh_index_close(index);
    return meter;
}

/* One neighbour needs fewer vectors than 10, and 100 need more. What was needed when the router was trained stays; what is
 * needed now is that of then, until it is measured. */
static void the_meter_looks_at_few_and_many(void **state)
{
    (void)state;
    fresh();
    const struct nlsh__meter_header built_then = meter_now();
    assert_true(built_then.few_trained > 0 && (double)built_then.few_trained < built_then.trained &&
                built_then.trained < (double)built_then.many_trained);
    assert_true(built_then.few_now == built_then.few_trained &&
                built_then.now == built_then.trained &&
                built_then.many_now == built_then.many_trained);
    put(&other, 0, 1500);
    assert_int_equal(compacted(0).measured, 1);
    const struct nlsh__meter_header then = meter_now();
    assert_true(then.few_trained == built_then.few_trained && then.trained == built_then.trained &&
                then.many_trained == built_then.many_trained);
    assert_true(then.few_now > then.few_trained && then.now > then.trained &&
                then.many_now > then.many_trained);
    assert_true((double)then.few_now < then.now && then.now < (double)then.many_now);
}

/* Many vectors about one; others about it find their neighbours among them. With a limit on buckets that is kept at any price
 * most of them stand where no search for .95 looks. */
static void many_alike_are_found_at_once(void **state)
{
    enum { ASKED = 200 };
    static uint64_t keys[POOL], found[ASKED * K], truth[ASKED * K];
    static float values[POOL * DIM], distances[ASKED * K], true_distances[ASKED * K];
    struct nlsh_search_options o, all;
    struct nlsh_index *now;
    struct nlsh__rng rng;
    double sum = 0;
    (void)state;
    fresh();
    nlsh__rng_init(&rng, 5, 1);
    for (size_t i = 0; i < POOL; i++) {
        keys[i] = N + i;
        for (size_t d = 0; d < DIM; d++)
            values[i * DIM + d] =
                ((const float *)base.data)[7 * DIM + d] + (float)nlsh__rng_below(&rng, 1000) / 2000;
    }
    const struct nlsh_matrix put = {values + ASKED * DIM, POOL - ASKED, DIM, NLSH_F32, 0};
    const struct nlsh_matrix asked = {values, ASKED, DIM, NLSH_F32, 0};
    struct nlsh_writer *w = opened();
    assert_int_equal(nlsh_writer_put(w, keys, &put, NULL), NLSH_OK);
    assert_int_equal(nlsh_writer_snapshot(w, &now, NULL), NLSH_OK);
    nlsh_search_options_init(&o, sizeof o);
    o.k = K;
    all = o;
    all.probes = M;
    assert_int_equal(nlsh_search_batch(now, &asked, &o, found, distances, NULL, NULL), NLSH_OK);
    assert_int_equal(nlsh_search_batch(now, &asked, &all, truth, true_distances, NULL, NULL),
                     NLSH_OK);
    for (size_t i = 0; i < ASKED; i++)
        sum +=
            nlsh_recall(found + i * K, distances + i * K, truth + i * K, true_distances + i * K, K);
    print_message("recall %.3f\n", sum / ASKED);
    assert_true(sum / ASKED > .95);
    nlsh_index_close(now);
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
}

/* Where a bucket loses one row or two, chance makes large shares. */
static void of_few_rows_chance_is_no_change(void **state)
{
    enum { FEW = 1000, LOT = 20, TIMES = 40 };
    struct nlsh_build_options o;
    struct nlsh__rng rng;
    uint8_t *bytes;
    size_t size, n_measured = 0;
    (void)state;
    const struct nlsh_matrix few = {base.data, FEW, DIM, NLSH_F32, 0};
    (void)unlink(log_path);
    small_options(&o, 16);
    o.epochs = 100; /* as by default: a router that has not learned says nothing of what it knows */
    nlsh_index_close(built_index(&few, &o, "changes"));
    bytes = test_read_file(path, &size);
    nlsh__rng_init(&rng, 1, 1);
    for (size_t i = 0; i < TIMES; i++) {
        uint64_t keys[2 * LOT];
        for (size_t j = 0; j < LOT; j++) keys[j] = nlsh__rng_below(&rng, FEW);
        for (size_t j = 0; j < LOT; j++) keys[LOT + j] = FEW + j;
        (void)unlink(log_path);
        test_write_file(path, bytes, size);
        struct nlsh_writer *w = opened();
        const struct nlsh_matrix some = {(const float *)base.data + (FEW + LOT * i) * DIM, LOT, DIM,
                                         NLSH_F32, 0};
        assert_int_equal(nlsh_writer_put(w, keys + LOT, &some, NULL), NLSH_OK);
        assert_int_equal(nlsh_writer_delete(w, keys, LOT, NULL, NULL), NLSH_OK);
        assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
        n_measured += (size_t)compacted(0).measured;
    }
    free(bytes);
    print_message("measured %zu times of %d\n", n_measured, TIMES);
    assert_true(n_measured <= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_and_goes_by_chance_leaves_promises),
        cmocka_unit_test(what_goes_by_chance_leaves_promises),
        cmocka_unit_test(what_comes_from_elsewhere_is_measured_for),
        cmocka_unit_test(what_goes_from_one_place_is_measured_for),
        cmocka_unit_test(it_compacts_by_itself_for_what_is_unlike),
        cmocka_unit_test(the_meter_looks_at_few_and_many),
        cmocka_unit_test(many_alike_are_found_at_once),
        cmocka_unit_test(of_few_rows_chance_is_no_change),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
