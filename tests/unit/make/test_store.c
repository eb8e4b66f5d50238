/* test_store.c - vectors that are kept as f16: an index of them answers as the index of the rounded vectors does, to the bit; what
 * comes to it later is rounded alike; and what does not fit is said. */
#include <math.h>
#include <sys/stat.h>

#include "base/matrix.h"
#include "index/index.h"
#include "support/streamed.h"

enum { Q = 200, K = 10 };

static struct nlsh_matrix rounded(const struct nlsh_matrix *base)
{
    struct nlsh_matrix out = *base;
    size_t n = base->n_rows * base->dim;
    float *values = malloc(n * sizeof *values);
    assert_non_null(values);
    assert_int_equal(nlsh__round_f16(base->data, n, values), n);
    out.data = values;
    return out;
}

static void search(const char *path, const struct nlsh_matrix *queries, double recall,
                   uint64_t *keys, float *distances)
{
    struct nlsh_index *index;
    struct nlsh_search_options o;
    struct nlsh_error error;
    nlsh_search_options_init(&o, sizeof o);
    o.k = K;
    o.recall = recall;
    if (nlsh_index_open(path, NULL, &index, &error) != NLSH_OK ||
        nlsh_search_batch(index, queries, &o, keys, distances, NULL, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    nlsh_index_close(index);
}

/* Both files say the same of the same queries. */
static void same_answers(const char *a, const char *b, const struct nlsh_matrix *queries)
{
    static uint64_t keys[2][Q * K];
    static float distances[2][Q * K];
    static const double recalls[] = {.8, .95, .99999}; /* the last is exact */
    for (size_t i = 0; i < 3; i++) {
        search(a, queries, recalls[i], keys[0], distances[0]);
        search(b, queries, recalls[i], keys[1], distances[1]);
        assert_memory_equal(keys[0], keys[1], sizeof keys[0]);
        assert_memory_equal(distances[0], distances[1], sizeof distances[0]);
    }
}

static void build_into(const struct nlsh_matrix *base, const struct nlsh_build_options *o,
                       const char *path, struct nlsh_build_report *report)
{
    struct nlsh_error error;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
    *report = (struct nlsh_build_report){.struct_size = sizeof *report};
    if (nlsh_build(base, o, path, &run, report, &error) != NLSH_OK ||
        nlsh_index_verify(path, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
}

static void answers_are_those_of_the_rounded_vectors(void **state)
{
    (void)state;
    for (int metric = NLSH_L2; metric <= NLSH_IP; metric++)
        for (size_t leaves = 0; leaves < 2; leaves++) {
            struct nlsh_build_options o;
            struct nlsh_build_report report, plain;
            struct nlsh_matrix base = matrix_new(KIND_F32, N, 24, 60, 30, 1);
            struct nlsh_matrix queries = matrix_new(KIND_F32, Q, 24, 60, 30, 2);
            struct nlsh_matrix exact = rounded(&base);
            char f16[512], f32[512];
            struct stat a, b;
            snprintf(f16, sizeof f16, "%s", test_path("f16"));
            snprintf(f32, sizeof f32, "%s", test_path("f32"));
            settings(&o, (enum nlsh_metric)metric);
            o.leaves = leaves;
            o.epochs = 3;
            o.store = NLSH_STORE_F32;
            build_into(&exact, &o, f32, &plain);
            o.store = NLSH_STORE_F16;
            build_into(&base, &o, f16, &report);
            same_answers(f16, f32, &queries);
            assert_true(plain.store_error_most == 0);
            assert_true(report.store_error > 1e-5 && report.store_error < report.store_error_most);
            assert_true(report.store_error_most <= 0x1p-11);
            assert_true(stat(f16, &a) == 0 && stat(f32, &b) == 0);
            assert_true((size_t)(b.st_size - a.st_size) > N * 24 * 2 - 4096);
            matrix_free(&base);
            matrix_free(&exact);
            matrix_free(&queries);
        }
}

static double length_between(const float *a, const float *b, size_t dim)
{
    double sum = 0;
    for (size_t d = 0; d < dim; d++)
        sum += ((double)a[d] - (double)b[d]) * ((double)a[d] - (double)b[d]);
    return sqrt(sum);
}

/* Vectors of the file's log are rounded as the file's are, and stay what they are when a file is made of both. */
static void what_comes_later_is_rounded_alike(void **state)
{
    enum { FIRST = N - Q };
    static uint64_t keys[Q], found[2][Q * K];
    static float distances[2][Q * K];
    (void)state;
    for (int metric = NLSH_L2; metric <= NLSH_COSINE; metric++) {
        struct nlsh_build_options o;
        struct nlsh_build_report report;
        struct nlsh_writer *writer;
        struct nlsh_error error;
        struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
        struct nlsh_matrix base = matrix_new(KIND_F32, N, 24, 60, 30, 3), first = base,
                           later = base;
        char path[512];
        snprintf(path, sizeof path, "%s", test_path("live"));
        first.n_rows = FIRST;
        later.n_rows = Q;
        later.data = (const float *)base.data + (size_t)FIRST * 24;
        settings(&o, (enum nlsh_metric)metric);
        o.epochs = 3;
        o.store = NLSH_STORE_F16;
        build_into(&first, &o, path, &report);
        for (size_t i = 0; i < Q; i++) keys[i] = 100000 + i;
        assert_int_equal(nlsh_writer_open(path, NULL, &writer, &error), NLSH_OK);
        if (nlsh_writer_put(writer, keys, &later, &error) != NLSH_OK) fail_msg("%s", error.message);
        assert_int_equal(nlsh_writer_close(writer, &error), NLSH_OK);
        if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);
        search(path, &later, .99999, found[0], distances[0]);
        for (size_t i = 0; i < Q && metric != NLSH_IP; i++) {
            assert_int_equal(found[0][i * K], keys[i]);
            assert_true(distances[0][i * K] < .03f);
        }
        if (nlsh_compact(path, NULL, &run, NULL, &error) != NLSH_OK) fail_msg("%s", error.message);
        if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);
        search(path, &later, .99999, found[1], distances[1]);
        assert_memory_equal(found[0], found[1], sizeof found[0]);
        assert_memory_equal(distances[0], distances[1], sizeof distances[0]);
        matrix_free(&base);
    }
}

/* Streamed: each row is there, as near to itself as rounding leaves it, whatever the threads. */
static void vectors_that_pass_by_are_rounded_alike(void **state)
{
    static const enum nlsh_metric metrics[] = {NLSH_L2, NLSH_IP, NLSH_COSINE};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct nlsh_build_options o;
        struct nlsh_error error;
        struct nlsh_index *index;
        struct nlsh_vectors *stored;
        struct nlsh_matrix base = matrix_new(KIND_F32, N, 24, 60, 30, 4);
        uint8_t *bytes[2];
        size_t size[2];
        settings(&o, metrics[i]);
        o.epochs = 3;
        o.store = NLSH_STORE_F16;
        for (size_t t = 0; t < 2; t++) {
            struct of_matrix of = {.matrix = &base};
            const struct nlsh_rows rows = rows_of(&of);
            struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1 + 2 * t};
            const char *path = test_path("passed");
            if (nlsh__build_planned(&rows, &o, &few, path, &run, NULL, &error) != NLSH_OK ||
                nlsh_index_verify(path, &error) != NLSH_OK)
                fail_msg("%s (%s)", error.message, error.hint);
            bytes[t] = test_read_file(path, &size[t]);
        }
        assert_int_equal(size[0], size[1]);
        assert_memory_equal(bytes[0], bytes[1], size[0]);
        assert_int_equal(nlsh_index_open(test_path("passed"), NULL, &index, NULL), NLSH_OK);
        assert_int_equal(index->meta.storage_type, NLSH_F16);
        assert_int_equal(index->meta.data_hash, nlsh_data_hash(&base));
        assert_int_equal(nlsh_index_vectors(index, &stored, NULL), NLSH_OK);
        const float *values = nlsh_vectors_matrix(stored)->data, *given = base.data;
        for (size_t row = 0; row < N; row++) {
            const float *x = values + row * 24, *y = given + row * 24;
            float zero[24] = {0}, scaled[24];
            double length = length_between(y, zero, 24);
            for (size_t d = 0; d < 24; d++)
                scaled[d] = metrics[i] == NLSH_COSINE ? (float)((double)y[d] / length) : y[d];
            if (metrics[i] == NLSH_COSINE) length = 1;
            assert_true(length_between(x, scaled, 24) <= length * 0x1p-11 * 1.01);
        }
        nlsh_vectors_free(stored);
        nlsh_index_close(index);
        free(bytes[0]);
        free(bytes[1]);
        matrix_free(&base);
    }
}

static void what_does_not_fit_is_said(void **state)
{
    struct nlsh_build_options o;
    struct nlsh_build_report report = {.struct_size = sizeof report};
    struct nlsh_writer *writer;
    struct nlsh_error error;
    const uint64_t key = 99999;
    (void)state;
    settings(&o, NLSH_L2);
    o.epochs = 1;
    o.store = NLSH_STORE_F16;
    struct nlsh_matrix base = matrix_new(KIND_F32, N, 24, 60, 30, 5), one = base;
    float *value = (float *)(uintptr_t)base.data + 77 * 24 + 3, before = *value;
    *value = 70000;
    assert_int_equal(nlsh_build(&base, &o, test_path("large"), NULL, &report, &error), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "row 77, column 3 is 70000"));
    assert_non_null(strstr(error.hint, "store f32"));
    *value = before;
    build_into(&base, &o, test_path("large"), &report);
    one.n_rows = 1;
    *(float *)(uintptr_t)one.data = -66000;
    assert_int_equal(nlsh_writer_open(test_path("large"), NULL, &writer, NULL), NLSH_OK);
    assert_int_equal(nlsh_writer_put(writer, &key, &one, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "vector 0: value 0 is -66000"));
    assert_int_equal(nlsh_writer_close(writer, NULL), NLSH_OK);
    matrix_free(&base);
}

static enum nlsh_type storage_of(const char *path)
{
    struct nlsh_index *index;
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    enum nlsh_type type = (enum nlsh_type)index->meta.storage_type;
    nlsh_index_close(index);
    return type;
}

/* The rows at length 1, and rounded until that is no change any more: as a model's vectors come. */
static void bring_to_unit(struct nlsh_matrix *base)
{
    float *values = (float *)(uintptr_t)base->data, zero[24] = {0};
    for (size_t i = 0; i < base->n_rows; i++) {
        float *row = values + i * 24;
        double length = length_between(row, zero, 24);
        for (size_t d = 0; d < 24; d++) row[d] = (float)((double)row[d] / length);
        (void)nlsh__round_f16(row, 24, row);
    }
}

/* Left to the build, f16 is taken where it keeps each value that was given, and not where a single one is lost. */
static void auto_keeps_what_was_given(void **state)
{
    (void)state;
    for (int metric = NLSH_L2; metric <= NLSH_COSINE; metric++)
        for (int streamed = 0; streamed < 2; streamed++) {
            struct nlsh_build_options o;
            struct nlsh_build_report report = {.struct_size = sizeof report};
            struct nlsh_error error;
            struct nlsh_matrix base = matrix_new(KIND_F32, N, 24, 60, 30, 8);
            struct nlsh_matrix exact = rounded(&base);
            struct of_matrix of = {.matrix = &exact};
            const struct nlsh_rows rows = rows_of(&of);
            const char *path = test_path("auto");
            settings(&o, (enum nlsh_metric)metric);
            o.epochs = 1;
            if (metric == NLSH_COSINE) bring_to_unit(&exact);
            for (int spoiled = 0; spoiled < 2; spoiled++) {
                float *value = (float *)(uintptr_t)exact.data + (size_t)(N - 7) * 24 + 5;
                if (spoiled) *value = nextafterf(*value, 9);
                if ((streamed ? nlsh__build_planned(&rows, &o, &few, path, NULL, NULL, &error)
                              : nlsh_build(&exact, &o, path, NULL, &report, &error)) != NLSH_OK ||
                    nlsh_index_verify(path, &error) != NLSH_OK)
                    fail_msg("%s (%s)", error.message, error.hint);
                assert_int_equal(storage_of(path), spoiled ? NLSH_F32 : NLSH_F16);
                assert_true(report.store_error_most == 0);
                if (spoiled) continue;
                struct nlsh_index *index;
                struct nlsh_vectors *stored;
                assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
                assert_int_equal(nlsh_index_vectors(index, &stored, NULL), NLSH_OK);
                assert_memory_equal(nlsh_vectors_matrix(stored)->data, exact.data,
                                    (size_t)N * 24 * sizeof(float));
                nlsh_vectors_free(stored);
                nlsh_index_close(index);
            }
            matrix_free(&base);
            matrix_free(&exact);
        }
}

/* By inner product bytes are floats, and f16 keeps them. With cosine their rows of length 1 are none that were given. */
static void bytes_by_other_metrics(void **state)
{
    (void)state;
    for (int metric = NLSH_IP; metric <= NLSH_COSINE; metric++) {
        struct nlsh_build_options o;
        struct nlsh_build_report report;
        struct nlsh_matrix base = matrix_new(KIND_WHOLE, N, 24, 60, 30, 9);
        settings(&o, (enum nlsh_metric)metric);
        o.epochs = 1;
        build_into(&base, &o, test_path("whole"), &report);
        assert_int_equal(storage_of(test_path("whole")), metric == NLSH_IP ? NLSH_F16 : NLSH_F32);
        matrix_free(&base);
    }
}

/* An index that was made to hold f16 rounds what is put, and stays of f16 when buckets are learned. */
static void an_empty_index_of_f16(void **state)
{
    static uint64_t keys[N], found[2][Q * K];
    static float distances[2][Q * K];
    (void)state;
    for (int metric = NLSH_L2; metric <= NLSH_COSINE; metric++) {
        struct nlsh_writer *writer;
        struct nlsh_error error;
        struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
        struct nlsh_compact_options how;
        struct nlsh_matrix base = matrix_new(KIND_F32, N, 24, 60, 30, 10), few_rows = base;
        const char *path = test_path("empty");
        few_rows.n_rows = Q;
        for (size_t i = 0; i < N; i++) keys[i] = i;
        if (nlsh_index_create(path, 24, NLSH_F16, (enum nlsh_metric)metric, &error) != NLSH_OK ||
            nlsh_index_verify(path, &error) != NLSH_OK ||
            nlsh_writer_open(path, NULL, &writer, &error) != NLSH_OK ||
            nlsh_writer_put(writer, keys, &base, &error) != NLSH_OK ||
            nlsh_writer_close(writer, &error) != NLSH_OK)
            fail_msg("%s", error.message);
        assert_int_equal(storage_of(path), NLSH_F16);
        search(path, &few_rows, .99999, found[0], distances[0]);
        nlsh_compact_options_init(&how, sizeof how);
        how.retrain = 1;
        if (nlsh_compact(path, &how, &run, NULL, &error) != NLSH_OK ||
            nlsh_index_verify(path, &error) != NLSH_OK)
            fail_msg("%s", error.message);
        assert_int_equal(storage_of(path), NLSH_F16);
        search(path, &few_rows, .99999, found[1], distances[1]);
        assert_memory_equal(found[0], found[1], sizeof found[0]);
        matrix_free(&base);
    }
}

/* Bytes are smaller than f16, and exact. */
static void bytes_stay_bytes(void **state)
{
    struct nlsh_build_options o;
    struct nlsh_build_report report;
    struct nlsh_index *index;
    (void)state;
    settings(&o, NLSH_L2);
    o.epochs = 1;
    o.store = NLSH_STORE_F16;
    struct nlsh_matrix base = matrix_new(KIND_WHOLE, N, 24, 60, 30, 6);
    build_into(&base, &o, test_path("bytes"), &report);
    assert_true(report.store_error_most == 0);
    assert_int_equal(nlsh_index_open(test_path("bytes"), NULL, &index, NULL), NLSH_OK);
    assert_int_equal(index->meta.storage_type, NLSH_U8);
    nlsh_index_close(index);
    matrix_free(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_the_rounded_vectors),
        cmocka_unit_test(what_comes_later_is_rounded_alike),
        cmocka_unit_test(vectors_that_pass_by_are_rounded_alike),
        cmocka_unit_test(what_does_not_fit_is_said),
        cmocka_unit_test(bytes_stay_bytes),
        cmocka_unit_test(auto_keeps_what_was_given),
        cmocka_unit_test(bytes_by_other_metrics),
        cmocka_unit_test(an_empty_index_of_f16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
