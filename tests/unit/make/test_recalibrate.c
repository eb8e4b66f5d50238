/* test_recalibrate.c - an index made for other queries: what is asked comes back afterwards, nothing else of the
 * file changes, and a refusal leaves it as it was. */
#include "index/index.h"
#include "support/built.h"
#include "support/counting.h"

enum { N = 4000, DIM = 24, M = 40, SAMPLE = 300, Q = 400, K = 10 };

/* Queries that no row is like: the mean of two rows of the base, and noise. */
static struct nlsh_matrix strange_queries(const struct nlsh_matrix *base, size_t n, uint64_t seed)
{
    struct nlsh__rng rng;
    float *out = malloc(n * base->dim * sizeof *out);
    const float *rows = base->data;
    nlsh__rng_init(&rng, seed, 3);
    for (size_t i = 0; i < n; i++) {
        const float *a = rows + nlsh__rng_below(&rng, base->n_rows) * base->dim;
        const float *b = rows + nlsh__rng_below(&rng, base->n_rows) * base->dim;
        for (size_t j = 0; j < base->dim; j++)
            out[i * base->dim + j] = (a[j] + b[j]) / 2 + (float)nlsh__rng_normal(&rng);
    }
    return (struct nlsh_matrix){out, n, base->dim, NLSH_F32, 0};
}

static double reached(const char *path, const struct nlsh_matrix *base,
                      const struct nlsh_matrix *queries, double recall)
{
    static uint64_t keys[Q * K];
    static float distances[Q * K];
    struct nlsh_neighbors truth = {.struct_size = sizeof truth};
    struct nlsh_index *index;
    struct nlsh_search_options o;
    double sum = 0;
    nlsh_search_options_init(&o, sizeof o);
    o.k = K;
    o.recall = recall;
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    assert_int_equal(nlsh_ground_truth(base, queries, NLSH_L2, K, NULL, &truth, NULL), NLSH_OK);
    assert_int_equal(nlsh_search_batch(index, queries, &o, keys, distances, NULL, NULL), NLSH_OK);
    for (size_t i = 0; i < queries->n_rows; i++)
        sum += nlsh_recall(keys + i * K, distances + i * K, truth.ids + i * K,
                           truth.distances + i * K, K);
    nlsh_neighbors_free(&truth);
    nlsh_index_close(index);
    return sum / (double)queries->n_rows;
}

static void compare_sections(const char *a, const char *b)
{
    struct nlsh_index *one, *other;
    struct nlsh_section_info s = {.struct_size = sizeof s}, t = {.struct_size = sizeof t};
    size_t i = 0, n = 0;
    assert_int_equal(nlsh_index_open(a, NULL, &one, NULL), NLSH_OK);
    assert_int_equal(nlsh_index_open(b, NULL, &other, NULL), NLSH_OK);
    for (; nlsh_index_section(one, i, &s); i++) {
        size_t j = 0;
        if (strcmp(s.name, "efforts") == 0 || strcmp(s.name, "outside") == 0) continue;
        do assert_true(nlsh_index_section(other, j++, &t));
        while (strcmp(s.name, t.name) != 0);
        assert_int_equal(s.size_bytes, t.size_bytes);
        assert_memory_equal(one->map.data + s.offset, other->map.data + t.offset, s.size_bytes);
        n++;
    }
    assert_false(nlsh_index_section(other, i, &t));
    assert_true(n >= 8);
    assert_int_equal(one->efforts_header.sampled, 0);
    assert_int_equal(other->efforts_header.sampled, 1);
    assert_int_equal(other->efforts_header.n_queries, SAMPLE);
    assert_true(one->outside.n == other->outside.n && one->outside.n > 0);
    for (float threshold = .3f; threshold > .01f; threshold *= .5f) /* of such more is usual */
        assert_true(nlsh__outside_at(&other->outside, threshold) >
                    nlsh__outside_at(&one->outside, threshold));
    struct nlsh_promise p = {.struct_size = sizeof p}, unset = {0};
    static const size_t ks[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
    assert_int_equal(nlsh_index_promise(one, 0, &unset), 0);
    for (i = 0; i < 10; i++) {
        assert_int_equal(nlsh_index_promise(one, i, &p), 1);
        assert_true(p.k == ks[i] && !p.sampled && p.n_queries >= 1000);
        assert_true(p.most > .98 && p.most < 1);
        assert_int_equal(nlsh_index_promise(other, i, &p), 1);
        assert_true(p.k == ks[i] && p.sampled && p.n_queries == SAMPLE);
    }
    assert_int_equal(nlsh_index_promise(one, 10, &p), 0);
    nlsh_index_close(one);
    nlsh_index_close(other);
}

static void what_is_asked_comes_back(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_F32, N, DIM, 60, 22, 1);
    struct nlsh_matrix sample = strange_queries(&base, SAMPLE, 5);
    struct nlsh_matrix queries = strange_queries(&base, Q, 6);
    struct nlsh_calibrate_report report = {.struct_size = sizeof report};
    struct nlsh_error error;
    char before[512], after[512];
    size_t size, again_size;
    small_options(&o, M);
    strcpy(before, test_path("before"));
    strcpy(after, test_path("after"));
    assert_int_equal(nlsh_build(&base, &o, before, NULL, NULL, &error), NLSH_OK);
    double was = reached(before, &base, &queries, .95);
    if (was > .9) fail_msg("these queries are no strangers: %g", was);
    if (nlsh_calibrate(before, &sample, after, NULL, &report, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    assert_int_equal(report.n_queries, SAMPLE);
    assert_true(report.recall >= .95 && report.recall > report.recall_before);
    assert_true(report.candidates > report.candidates_before && report.candidates < N);
    compare_sections(before, after);
    assert_int_equal(nlsh_index_verify(after, NULL), NLSH_OK);
    for (double asked = .8; asked < .96; asked += .05) {
        double now = reached(after, &base, &queries, asked);
        if (now < asked - .02) fail_msg("asked %g, reached %g", asked, now);
    }
    /* in place, and by any number of threads: the same bytes */
    struct nlsh_run one = {.struct_size = sizeof one, .n_threads = 1};
    assert_int_equal(nlsh_calibrate(before, &sample, NULL, &one, NULL, &error), NLSH_OK);
    uint8_t *bytes = test_read_file(after, &size), *again = test_read_file(before, &again_size);
    assert_int_equal(size, again_size);
    assert_memory_equal(bytes, again, size);
    free(bytes);
    free(again);
    matrix_free(&base);
    matrix_free(&sample);
    matrix_free(&queries);
}

static size_t changed(const char *path, size_t *n_rows)
{
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct nlsh_index *index;
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    nlsh_index_close(index);
    *n_rows = info.n_rows;
    return info.n_changed;
}

static void change_some(const char *path, const struct nlsh_matrix *rows, size_t n_put,
                        uint64_t gone, size_t n_gone)
{
    uint64_t keys[1000];
    struct nlsh_writer *w;
    struct nlsh_matrix some = *rows;
    some.n_rows = n_put;
    assert_int_equal(nlsh_writer_open(path, NULL, &w, NULL), NLSH_OK);
    for (size_t i = 0; i < n_put; i++) keys[i] = nlsh_writer_next_key(w) + i;
    assert_int_equal(nlsh_writer_put(w, keys, &some, NULL), NLSH_OK);
    for (size_t i = 0; i < n_gone; i++) keys[i] = gone + i;
    assert_int_equal(nlsh_writer_delete(w, keys, n_gone, NULL, NULL), NLSH_OK);
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
}

/* Promises that were measured with the log count no change of it; later ones do, also once they are in one file. */
static void calibration_counts_changes_anew(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_F32, N, DIM, 60, 22, 1);
    struct nlsh_matrix sample = strange_queries(&base, SAMPLE, 5);
    struct nlsh_error error;
    char path[512];
    size_t n_rows;
    small_options(&o, M);
    strcpy(path, test_path("changing"));
    assert_int_equal(nlsh_build(&base, &o, path, NULL, NULL, &error), NLSH_OK);
    change_some(path, &base, 700, 100, 300);
    assert_int_equal(changed(path, &n_rows), 1000);
    assert_int_equal(nlsh_calibrate(path, &sample, NULL, NULL, NULL, &error), NLSH_OK);
    assert_int_equal(changed(path, &n_rows), 0);
    assert_int_equal(n_rows, N + 400);
    change_some(path, &base, 20, 1000, 5);
    assert_int_equal(changed(path, &n_rows), 25);
    struct nlsh_compact_report report = {.struct_size = sizeof report};
    assert_int_equal(nlsh_compact(path, NULL, NULL, &report, &error), NLSH_OK);
    /* they are too few to measure for: what was measured with the queries stays */
    assert_int_equal(report.measured, 0);
    assert_int_equal(changed(path, &n_rows), 25);
    assert_int_equal(n_rows, N + 415);
    struct nlsh_promise p = {.struct_size = sizeof p};
    struct nlsh_index *index;
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    assert_int_equal(nlsh_index_promise(index, 0, &p), 1);
    assert_int_equal(p.sampled, 1);
    nlsh_index_close(index);
    matrix_free(&base);
    matrix_free(&sample);
}

/* Where every row had to teach, nothing was measured: a search for a recall compares everything. */
static void few_rows_are_searched_exactly(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_F32, 40, 6, 60, 22, 1);
    struct nlsh_promise p = {.struct_size = sizeof p};
    struct nlsh_search_options how;
    uint64_t keys[40];
    float distances[40];
    uint32_t candidates[40];
    struct nlsh_search_stats stats = {.struct_size = sizeof stats, .candidates = candidates};
    small_options(&o, 4);
    struct nlsh_index *index = built_index(&base, &o, "few");
    assert_int_equal(nlsh_index_promise(index, 0, &p), 0);
    nlsh_search_options_init(&how, sizeof how);
    how.k = 1;
    how.recall = .5;
    assert_int_equal(nlsh_search_batch(index, &base, &how, keys, distances, &stats, NULL), NLSH_OK);
    for (size_t i = 0; i < 40; i++) assert_true(candidates[i] == 40 && distances[i] == 0);
    nlsh_index_close(index);
    matrix_free(&base);
}

static int stop(void *user, const char *stage, uint64_t done, uint64_t total)
{
    (void)user;
    (void)stage;
    (void)done;
    (void)total;
    return 1;
}

static void refusals_leave_the_file(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_F32, 600, 12, 60, 22, 1), queries = base, wrong;
    struct nlsh_run stopped = {.struct_size = sizeof stopped, .n_threads = 1, .progress = stop};
    char path[512];
    size_t size, now_size;
    small_options(&o, 8);
    strcpy(path, test_path("stays"));
    assert_int_equal(nlsh_build(&base, &o, path, NULL, NULL, NULL), NLSH_OK);
    uint8_t *bytes = test_read_file(path, &size);
    queries.n_rows = 29;
    assert_int_equal(nlsh_calibrate(path, &queries, NULL, NULL, NULL, NULL), NLSH_E_ARG);
    queries.n_rows = 100;
    assert_int_equal(nlsh_calibrate(path, &queries, NULL, &stopped, NULL, NULL),
                     NLSH_E_INTERRUPTED);
    assert_int_equal(nlsh_calibrate(path, NULL, NULL, NULL, NULL, NULL), NLSH_E_ARG);
    assert_int_equal(nlsh_calibrate(NULL, &queries, NULL, NULL, NULL, NULL), NLSH_E_ARG);
    assert_int_equal(nlsh_calibrate(test_path("nowhere"), &queries, NULL, NULL, NULL, NULL),
                     NLSH_E_NO_INPUT);
    wrong = queries;
    wrong.dim = 11;
    assert_int_equal(nlsh_calibrate(path, &wrong, NULL, NULL, NULL, NULL), NLSH_E_MISMATCH);
    ((float *)(uintptr_t)base.data)[12 * 70 + 3] = NAN;
    assert_int_equal(nlsh_calibrate(path, &queries, NULL, NULL, NULL, NULL), NLSH_E_ARG);
    uint8_t *now = test_read_file(path, &now_size);
    assert_int_equal(size, now_size);
    assert_memory_equal(bytes, now, size);
    /* an index of version 2 is searched, and stays */
    uint8_t *old = test_read_file(GOLDEN "/v2/floats.nlsh", &now_size);
    test_write_file(path, old, now_size);
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    nlsh_index_close(index);
    float *zeros = calloc(100 * info.dim, sizeof *zeros);
    const struct nlsh_matrix of_old = {zeros, 100, info.dim, NLSH_F32, 0};
    assert_int_equal(nlsh_calibrate(path, &of_old, NULL, NULL, NULL, NULL), NLSH_E_UNSUPPORTED);
    free(zeros);
    free(old);
    free(bytes);
    free(now);
    matrix_free(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_comes_back),
        cmocka_unit_test(calibration_counts_changes_anew),
        cmocka_unit_test(few_rows_are_searched_exactly),
        cmocka_unit_test(refusals_leave_the_file),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests_name("make/recalibrate", tests, NULL, NULL));
}
