/* test_streamed.c - an index of vectors that pass by: the same as in memory where they fit; else every vector is there
 * once, what is asked comes back, whatever the threads; and a refusal leaves nothing behind. */
#include "index/index.h"
#include "support/streamed.h"

enum { Q = 1500, K = 10 };

/* Where no promise is asked: what rows that ask cost is most of a build. */
static const struct nlsh__memory_plan quick = {
    .sample = N / 4, .block = 700, .asking = 150, .teaching_bytes = N / 2 * 200};

static void stream(const struct nlsh_matrix *base, const struct nlsh_build_options *o,
                   const struct nlsh__memory_plan *plan, size_t n_threads, const char *path)
{
    struct of_matrix of = {.matrix = base};
    const struct nlsh_rows rows = rows_of(&of);
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = n_threads};
    struct nlsh_build_report report = {.struct_size = sizeof report};
    struct nlsh_error error;
    if (nlsh__build_planned(&rows, o, plan, path, &run, &report, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    assert_int_equal(of.begun, plan->sample < base->n_rows ? 3 : 1);
    if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);
    assert_true(report.index_bytes > base->n_rows);
}

/* ---- what comes of it --------------------------------------------------------------------------- */

static double reached(const struct nlsh_index *index, const struct nlsh_matrix *base,
                      const struct nlsh_matrix *queries, enum nlsh_metric metric, double recall)
{
    static uint64_t keys[Q * K];
    static float distances[Q * K];
    struct nlsh_neighbors truth = {.struct_size = sizeof truth};
    struct nlsh_search_options o;
    double sum = 0;
    nlsh_search_options_init(&o, sizeof o);
    o.k = K;
    o.recall = recall;
    assert_int_equal(nlsh_ground_truth(base, queries, metric, K, NULL, &truth, NULL), NLSH_OK);
    assert_int_equal(nlsh_search_batch(index, queries, &o, keys, distances, NULL, NULL), NLSH_OK);
    for (size_t i = 0; i < Q; i++)
        sum += nlsh_recall(keys + i * K, distances + i * K, truth.ids + i * K,
                           truth.distances + i * K, K);
    nlsh_neighbors_free(&truth);
    return sum / Q;
}

/* Every row is there once, at a distance of 0 from itself, in a bucket that is not too large. */
static void check_rows(const struct nlsh_index *index, const struct nlsh_matrix *base)
{
    struct nlsh_vectors *stored;
    assert_int_equal(index->meta.n_rows, base->n_rows);
    assert_int_equal(index->meta.data_hash, nlsh_data_hash(base));
    assert_true(index->bucket_max <= 1.5 * N / M + 1);
    assert_int_equal(nlsh_index_vectors(index, &stored, NULL), NLSH_OK);
    const struct nlsh_matrix *m = nlsh_vectors_matrix(stored);
    if (index->metric == NLSH_L2) assert_int_equal(nlsh_data_hash(m), nlsh_data_hash(base));
    nlsh_vectors_free(stored);
}

static void what_is_asked_comes_back(void **state)
{
    static const struct {
        enum kind kind;
        enum nlsh_metric metric;
    } cases[] = {{KIND_U8, NLSH_L2},    {KIND_I8, NLSH_L2},  {KIND_F32, NLSH_L2},
                 {KIND_WHOLE, NLSH_L2}, {KIND_F32, NLSH_IP}, {KIND_F32, NLSH_COSINE},
                 {KIND_U8, NLSH_COSINE}};
    (void)state;
    /* a sanitizer gets the first and the last */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i += TEST_STRIDE == 1 ? 1 : 6) {
        struct nlsh_build_options o;
        struct nlsh_index *index;
        settings(&o, cases[i].metric);
        struct nlsh_matrix base = matrix_new(cases[i].kind, N, 24, 60, 30, 1);
        struct nlsh_matrix queries = matrix_new(cases[i].kind, Q, 24, 60, 30, 2);
        stream(&base, &o, &few, 2, test_path("streamed"));
        assert_int_equal(nlsh_index_open(test_path("streamed"), NULL, &index, NULL), NLSH_OK);
        check_rows(index, &base);
        assert_non_null(index->segments[0].leaves);
        for (double recall = .8; recall < .96; recall += .15) {
            double got = reached(index, &base, &queries, cases[i].metric, recall);
            printf("%s, metric %d: asked %.2f, reached %.4f\n", kind_names[cases[i].kind],
                   (int)cases[i].metric, recall, got);
            assert_true(got >= recall - .01);
        }
        nlsh_index_close(index);
        matrix_free(&base);
        matrix_free(&queries);
    }
}

/* Most rows are one vector: the eight buckets that it may go to first do not hold them. */
static void rows_that_are_alike_fill_no_bucket_beyond_the_limit(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_F32, N, 24, 60, 22, 1);
    float *rows = (float *)(uintptr_t)base.data;
    struct nlsh_index *index;
    char path[512];
    for (size_t i = 0; i < N; i++)
        if (i % 8 > 0) memcpy(rows + i * 24, rows, 24 * sizeof *rows);
    settings(&o, NLSH_L2);
    snprintf(path, sizeof path, "%s", test_path("alike"));
    stream(&base, &o, &quick, 2, path);
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    check_rows(index, &base);
    nlsh_index_close(index);
    matrix_free(&base);
}

/* The graph of a half of the sample may be cut. Where that wins it divides that half, else cells divide all; a row of other values than
 * bytes stays in the sample. */
static void partitions_are_compared_on_fewer_rows(void **state)
{
    static const size_t clusters[] = {60, 1};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct nlsh_build_options o;
        struct nlsh__memory_plan plan = quick;
        struct nlsh_index *index;
        struct nlsh_matrix base = matrix_new(KIND_WHOLE, N, 24, clusters[i], 30, 1);
        ((float *)(uintptr_t)base.data)[N / 3 * 24] = 3.1f; /* nor does f16 hold it */
        settings(&o, NLSH_L2);
        o.partitioner = NLSH_PARTITIONER_AUTO;
        plan.compared = plan.sample / 2;
        stream(&base, &o, &plan, 2, test_path("compared"));
        assert_int_equal(nlsh_index_open(test_path("compared"), NULL, &index, NULL), NLSH_OK);
        check_rows(index, &base);
        assert_int_equal(index->meta.storage_type, NLSH_F32);
        int by_cells = strstr(index->settings, "kmeans") != NULL;
        assert_int_equal(index->meter.n_trained, by_cells ? plan.sample : plan.compared);
        nlsh_index_close(index);
        matrix_free(&base);
    }
}

static void same_bytes_from_any_threads_and_blocks(void **state)
{
    struct nlsh_build_options o;
    struct nlsh__memory_plan other = quick;
    size_t size, again_size;
    (void)state;
    settings(&o, NLSH_L2);
    struct nlsh_matrix base = matrix_new(KIND_F32, N, 19, 40, 30, 3);
    stream(&base, &o, &quick, 1, test_path("one"));
    other.block = 1301;
    stream(&base, &o, &other, 3, test_path("three"));
    uint8_t *bytes = test_read_file(test_path("one"), &size);
    uint8_t *again = test_read_file(test_path("three"), &again_size);
    assert_int_equal(size, again_size);
    assert_memory_equal(bytes, again, size);
    free(bytes);
    free(again);
    matrix_free(&base);
}

static struct nlsh_matrix rows_from(const struct nlsh_matrix *m, size_t first, size_t n)
{
    struct nlsh_matrix rows = *m;
    rows.data = (const float *)m->data + first * m->dim;
    rows.n_rows = n;
    return rows;
}

/* From the middle of one set of rows into the middle of another: as if there were no others. */
static void a_part_of_two_streams_as_if_alone(void **state)
{
    enum { BEFORE = 301, CUT = 1800, BEHIND = 50 };
    struct nlsh_build_options o;
    struct nlsh_rows halves[2], joined, part;
    struct nlsh_error error;
    size_t size, again_size;
    (void)state;
    settings(&o, NLSH_L2);
    struct nlsh_matrix all = matrix_new(KIND_F32, BEFORE + N + BEHIND, 19, 40, 30, 8);
    struct nlsh_matrix base = rows_from(&all, BEFORE, N);
    struct nlsh_matrix a = rows_from(&all, 0, CUT), b = rows_from(&all, CUT, all.n_rows - CUT);
    struct of_matrix of[2] = {{.matrix = &a}, {.matrix = &b}};
    for (int i = 0; i < 2; i++) halves[i] = rows_of(&of[i]);
    nlsh_rows_init(&joined, sizeof joined);
    nlsh_rows_init(&part, sizeof part);
    assert_int_equal(nlsh_rows_join(halves, 2, &joined, NULL), NLSH_OK);
    assert_int_equal(nlsh_rows_part(&joined, BEFORE, N, &part, NULL), NLSH_OK);
    if (nlsh__build_planned(&part, &o, &quick, test_path("part"), NULL, NULL, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    assert_true(of[0].begun == 3 && of[1].begun == 3);
    nlsh_rows_close(&part);
    nlsh_rows_close(&joined);
    stream(&base, &o, &quick, 2, test_path("alone"));
    uint8_t *bytes = test_read_file(test_path("alone"), &size);
    uint8_t *again = test_read_file(test_path("part"), &again_size);
    assert_int_equal(size, again_size);
    assert_memory_equal(bytes, again, size);
    free(bytes);
    free(again);
    matrix_free(&all);
}

/* What fits is what nlsh_build() makes of it, to the byte. */
static void what_fits_is_built_as_ever(void **state)
{
    struct nlsh_build_options o;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
    struct nlsh_error error;
    size_t size, again_size;
    (void)state;
    settings(&o, NLSH_L2);
    struct nlsh_matrix base = matrix_new(KIND_U8, N / 8, 24, 40, 30, 4);
    uint8_t *bytes = build(&base, &o, &run, NULL, &size);
    struct of_matrix of = {.matrix = &base};
    const struct nlsh_rows rows = rows_of(&of);
    if (nlsh_build_rows(&rows, &o, (uint64_t)1 << 30, test_path("fits"), &run, NULL, &error) !=
        NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    assert_int_equal(of.begun, 1);
    uint8_t *again = test_read_file(test_path("fits"), &again_size);
    assert_int_equal(size, again_size);
    assert_memory_equal(bytes, again, size);
    free(bytes);
    free(again);
    matrix_free(&base);
}

static void keys_are_the_callers(void **state)
{
    struct nlsh_build_options o;
    struct nlsh_index *index;
    struct nlsh_searcher *searcher;
    struct nlsh_search_options search;
    static uint64_t keys[N];
    (void)state;
    settings(&o, NLSH_L2);
    o.keys = keys;
    for (size_t i = 0; i < N; i++) keys[i] = 7 * i + 1000000;
    struct nlsh_matrix base = matrix_new(KIND_F32, N, 24, 40, 30, 5);
    stream(&base, &o, &quick, 2, test_path("keyed"));
    nlsh_search_options_init(&search, sizeof search);
    search.k = 1;
    assert_int_equal(nlsh_index_open(test_path("keyed"), NULL, &index, NULL), NLSH_OK);
    assert_int_equal(nlsh_searcher_create(index, &searcher, NULL), NLSH_OK);
    for (size_t i = 0; i < N; i += 97) {
        uint64_t found;
        struct nlsh_matrix query = base;
        query.data = (const float *)base.data + i * base.dim;
        query.n_rows = 1;
        search.probes = M;
        assert_int_equal(nlsh_search(searcher, &query, &search, &found, NULL, NULL, NULL), NLSH_OK);
        assert_int_equal(found, keys[i]);
    }
    nlsh_searcher_free(searcher);
    nlsh_index_close(index);
    matrix_free(&base);
}

/* One row in thousands is not bytes: then nothing is stored as bytes, whether the sample has that row or not. */
static void one_odd_row_makes_floats_of_all(void **state)
{
    struct nlsh_build_options o;
    (void)state;
    settings(&o, NLSH_L2);
    struct nlsh_matrix base = matrix_new(KIND_WHOLE, N, 24, 40, 30, 6);
    int by_f16 = 0; /* f16 holds one and a half, and not one and a tenth */
    for (size_t row = 1; row < N; row += 2500 * TEST_STRIDE, by_f16 = !by_f16) {
        struct nlsh_index *index;
        float *value = (float *)(uintptr_t)base.data + row * base.dim + 5, before = *value;
        *value = by_f16 ? 1.5f : 1.1f;
        stream(&base, &o, &quick, 2, test_path("odd"));
        assert_int_equal(nlsh_index_open(test_path("odd"), NULL, &index, NULL), NLSH_OK);
        assert_int_equal(index->meta.storage_type, by_f16 ? NLSH_F16 : NLSH_F32);
        check_rows(index, &base);
        nlsh_index_close(index);
        *value = before;
    }
    matrix_free(&base);
}

/* ---- refusals ----------------------------------------------------------------------------------- */

static size_t n_files(void)
{
    size_t n = 0;
    DIR *dir = opendir(test_dir());
    assert_non_null(dir);
    while (readdir(dir) != NULL) n++;
    closedir(dir);
    return n;
}

static enum nlsh_status try(struct of_matrix *of, const struct nlsh_build_options *o,
                            const struct nlsh_run *run, struct nlsh_error *error)
{
    const struct nlsh_rows rows = rows_of(of);
    return nlsh__build_planned(&rows, o, &quick, test_path("refused"), run, NULL, error);
}

/* What a build that is stopped keeps for the next. */
static void forget(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s.unfinished", test_path("refused"));
    (void)unlink(path);
    snprintf(path, sizeof path, "%s.unfinished-sample", test_path("refused"));
    (void)unlink(path);
}

static void a_refusal_leaves_nothing_but_what_is_done(void **state)
{
    struct nlsh_build_options o;
    struct nlsh_error error;
    (void)state;
    settings(&o, NLSH_L2);
    struct nlsh_matrix base = matrix_new(KIND_F32, N, 24, 40, 30, 7);
    struct of_matrix of = {.matrix = &base};
    size_t before = n_files(), n_calls = 3 * ((N + quick.block - 1) / quick.block);
    for (size_t at = 1; at <= n_calls; at += 6 * TEST_STRIDE) {
        of = (struct of_matrix){.matrix = &base, .fail_at = at};
        assert_int_equal(try(&of, &o, NULL, &error), NLSH_E_IO);
        assert_string_equal(error.message, "the disk was taken away");
        forget();
        assert_int_equal(n_files(), before);
    }
    float *value = (float *)(uintptr_t)base.data + 3210 * base.dim + 7;
    *value = NAN;
    of = (struct of_matrix){.matrix = &base};
    assert_int_equal(try(&of, &o, NULL, &error), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "row 3210, column 7"));
    assert_int_equal(n_files(), before);
    memset(value - 7, 0, base.dim * sizeof *value); /* no direction */
    o.metric = NLSH_COSINE;
    of = (struct of_matrix){.matrix = &base};
    assert_int_not_equal(try(&of, &o, NULL, &error), NLSH_OK);
    assert_non_null(strstr(error.message, "3210"));
    assert_int_equal(n_files(), before);
    matrix_free(&base);
}

/* Progress may stop it wherever it is told something. */
struct stopping {
    size_t n_calls, stop_at;
    char stage[32];
};

static int stop(void *user, const char *stage, uint64_t done, uint64_t total)
{
    struct stopping *s = user;
    (void)done;
    (void)total;
    snprintf(s->stage, sizeof s->stage, "%s", stage);
    return ++s->n_calls == s->stop_at;
}

static void it_can_be_stopped(void **state)
{
    struct nlsh_build_options o;
    struct nlsh_error error;
    struct stopping s = {0};
    (void)state;
    settings(&o, NLSH_L2);
    o.epochs = 2;
    struct nlsh_matrix base = matrix_new(KIND_U8, N, 24, 40, 30, 8);
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1, .progress = stop, .user = &s};
    struct of_matrix of = {.matrix = &base};
    assert_int_equal(try(&of, &o, &run, &error), NLSH_OK);
    assert_int_equal(unlink(test_path("refused")), 0);
    size_t all = s.n_calls, before = n_files();
    for (size_t at = 1; at + 1 < all; at += all / 7 * TEST_STRIDE + 1) {
        s = (struct stopping){.stop_at = at};
        of = (struct of_matrix){.matrix = &base};
        enum nlsh_status status = try(&of, &o, &run, &error);
        /* how often it is told something is a matter of time: this run may have ended before */
        if (status == NLSH_OK && s.n_calls <= at)
            assert_int_equal(unlink(test_path("refused")), 0);
        else if (status != NLSH_E_INTERRUPTED)
            fail_msg("stopped at %zu, %s: status %d", at, s.stage, (int)status);
        forget();
        assert_int_equal(n_files(), before);
    }
    matrix_free(&base);
}

static void what_cannot_be_is_said(void **state)
{
    struct nlsh_build_options o;
    struct nlsh_error error;
    uint64_t bytes;
    (void)state;
    settings(&o, NLSH_L2);
    struct nlsh_matrix base = matrix_new(KIND_U8, 100, 24, 4, 30, 9);
    struct of_matrix of = {.matrix = &base};
    struct nlsh_rows rows = rows_of(&of);
    rows.n_rows = 1000000000;
    assert_int_equal(nlsh_build_rows(&rows, &o, 1000000000, test_path("no"), NULL, NULL, &error),
                     NLSH_E_ARG);
    assert_non_null(strstr(error.message, "1000 MB of memory are too little"));
    assert_non_null(strstr(error.hint, "MB would begin to do"));
    assert_int_equal(of.n_calls, 0);
    assert_int_equal(nlsh_build_memory(&rows, &o, &bytes, &error), NLSH_OK);
    assert_true(bytes > 100000000000u);
    rows.n_rows = (size_t)INT32_MAX + 1;
    assert_int_equal(nlsh_build_rows(&rows, &o, UINT64_MAX / 2, "no", NULL, NULL, &error),
                     NLSH_E_ARG);
    rows = rows_of(&of);
    rows.type = NLSH_F64;
    assert_int_equal(nlsh_build_rows(&rows, &o, UINT64_MAX / 2, "no", NULL, NULL, &error),
                     NLSH_E_ARG);
    rows = rows_of(&of);
    rows.read = NULL;
    assert_int_equal(nlsh_build_rows(&rows, &o, UINT64_MAX / 2, "no", NULL, NULL, &error),
                     NLSH_E_ARG);
    rows = rows_of(&of);
    o.train_queries = &base;
    assert_int_equal(nlsh_build_rows(&rows, &o, UINT64_MAX / 2, "no", NULL, NULL, &error),
                     NLSH_E_UNSUPPORTED);
    matrix_free(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_comes_back),
        cmocka_unit_test(rows_that_are_alike_fill_no_bucket_beyond_the_limit),
        cmocka_unit_test(partitions_are_compared_on_fewer_rows),
        cmocka_unit_test(same_bytes_from_any_threads_and_blocks),
        cmocka_unit_test(a_part_of_two_streams_as_if_alone),
        cmocka_unit_test(what_fits_is_built_as_ever),
        cmocka_unit_test(keys_are_the_callers),
        cmocka_unit_test(one_odd_row_makes_floats_of_all),
        cmocka_unit_test(a_refusal_leaves_nothing_but_what_is_done),
        cmocka_unit_test(it_can_be_stopped),
        cmocka_unit_test(what_cannot_be_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
