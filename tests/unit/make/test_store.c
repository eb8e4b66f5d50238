/*
 * test_store.c - vectors that are kept as f16, as bf16 or as bytes with a scale: an index of them answers as the index
 * of the rounded vectors does, to the bit; what comes to it later is rounded alike; and what does not fit is said.
 * Not every store with every metric: a build takes a second, and ten with the sanitizers.
 */
#include <math.h>
#include <sys/stat.h>

#include "base/matrix.h"
#include "index/index.h"
#include "make/scale.h"
#include "support/streamed.h"

/* A build's time goes with its rows: SOME where answers of searches for a recall are compared, FEW where only what is
 * stored is asked. Of stores and metrics a sanitizer gets one in EVERY. */
enum { Q = 200, K = 10, N_STORES = 3 };
enum { SOME = TEST_STRIDE == 1 ? 2000 : 1000, FEW = 400, EVERY = TEST_STRIDE == 1 ? 1 : 2 };

static const struct nlsh__memory_plan room_for_some = {
    .sample = SOME / 4, .block = SOME / 6, .asking = SOME / 4, .teaching_bytes = SOME / 2 * 200};
static const struct nlsh__memory_plan room_for_few = {
    .sample = FEW / 4, .block = FEW / 6, .asking = FEW / 4, .teaching_bytes = FEW / 2 * 200};

static const struct {
    enum nlsh_store store;
    enum nlsh_type type;
    size_t bytes;      /* of a value */
    double mean, most; /* that a vector moves, over its length */
} stores[N_STORES] = {
    {NLSH_STORE_F16, NLSH_F16, 2, 0x1p-12, 0x1p-11},
    {NLSH_STORE_BF16, NLSH_BF16, 2, 0x1p-9, 0x1p-8},
    {NLSH_STORE_I8, NLSH_I8, 1, .04, .27},
};

static const struct nlsh__rounding as_f16 = {NLSH_F16, 0};

static struct nlsh_matrix rounded(const struct nlsh_matrix *base, const struct nlsh__rounding *to)
{
    struct nlsh_matrix out = *base;
    size_t dim = base->dim;
    const float *given = base->data;
    float *values = malloc(base->n_rows * dim * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < base->n_rows; i++)
        assert_int_equal(nlsh__round_row(to, given + i * dim, dim, values + i * dim), dim);
    out.data = values;
    return out;
}

static struct nlsh__rounding rounding_of(const char *path)
{
    struct nlsh_index *index;
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    struct nlsh__rounding as = nlsh__index_rounding(index);
    nlsh_index_close(index);
    return as;
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
    size_t turn = 0;
    (void)state;
    for (size_t i = 0; i < N_STORES; i++)
        for (size_t which = 0; which < 4; which++) {
            if (stores[i].type == NLSH_BF16 && which != 3) continue;
            if (stores[i].type == NLSH_I8 && which != 0 && which != 3) continue;
            if (turn++ % EVERY != 0) continue;
            size_t leaves = which % 2;
            enum nlsh_metric metric = which / 2 == 0 ? NLSH_L2 : NLSH_IP;
            struct nlsh_build_options o;
            struct nlsh_build_report report, plain;
            struct nlsh_matrix base = matrix_new(KIND_F32, SOME, 24, 60, 30, 1);
            struct nlsh_matrix queries = matrix_new(KIND_F32, Q, 24, 60, 30, 2);
            char kept[512], f32[512];
            struct stat a, b;
            snprintf(kept, sizeof kept, "%s", test_path("kept"));
            snprintf(f32, sizeof f32, "%s", test_path("f32"));
            settings(&o, metric);
            o.leaves = leaves;
            o.epochs = 3;
            o.store = stores[i].store;
            build_into(&base, &o, kept, &report);
            const struct nlsh__rounding as = rounding_of(kept);
            assert_int_equal(as.type, stores[i].type);
            struct nlsh_matrix exact = rounded(&base, &as);
            o.store = NLSH_STORE_F32;
            build_into(&exact, &o, f32, &plain);
            same_answers(kept, f32, &queries);
            assert_true(plain.store_error_most == 0);
            assert_true(report.store_error > 1e-5 && report.store_error < report.store_error_most);
            assert_true(report.store_error <= stores[i].mean);
            assert_true(report.store_error_most <= stores[i].most);
            assert_true(stat(kept, &a) == 0 && stat(f32, &b) == 0);
            assert_true((size_t)(b.st_size - a.st_size) > SOME * 24 * (4 - stores[i].bytes) - 4096);
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
    enum { FIRST = SOME - Q };
    static uint64_t keys[Q], found[2][Q * K];
    static float distances[2][Q * K];
    (void)state;
    /* With a sanitizer each store with one metric. */
    for (size_t which = 0; which < 3 * N_STORES; which += TEST_STRIDE == 1 ? 1 : 4) {
        enum nlsh_metric metric = (enum nlsh_metric)(which % 3);
        const size_t of = which / 3;
        struct nlsh_build_options o;
        struct nlsh_build_report report;
        struct nlsh_writer *writer;
        struct nlsh_error error;
        struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
        if (stores[of].type == NLSH_F16 && metric == NLSH_COSINE) continue;
        if (stores[of].type == NLSH_BF16 && metric != NLSH_COSINE) continue;
        if (stores[of].type == NLSH_I8 && metric == NLSH_IP) continue;
        struct nlsh_matrix base = matrix_new(KIND_F32, SOME, 24, 60, 30, 3), first = base,
                           later = base;
        char path[512];
        snprintf(path, sizeof path, "%s", test_path("live"));
        first.n_rows = FIRST;
        later.n_rows = Q;
        later.data = (const float *)base.data + (size_t)FIRST * 24;
        settings(&o, metric);
        o.epochs = 3;
        o.store = stores[of].store;
        build_into(&first, &o, path, &report);
        const struct nlsh__rounding as = rounding_of(path);
        for (size_t i = 0; i < Q; i++) keys[i] = 100000 + i;
        assert_int_equal(nlsh_writer_open(path, NULL, &writer, &error), NLSH_OK);
        if (nlsh_writer_put(writer, keys, &later, &error) != NLSH_OK) fail_msg("%s", error.message);
        assert_int_equal(nlsh_writer_close(writer, &error), NLSH_OK);
        if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);
        search(path, &later, .99999, found[0], distances[0]);
        for (size_t i = 0; i < Q && metric != NLSH_IP; i++) {
            assert_int_equal(found[0][i * K], keys[i]);
            assert_true((double)distances[0][i * K] <
                        (metric == NLSH_L2 ? 150 : 1) * 2 * stores[of].mean);
        }
        if (nlsh_compact(path, NULL, &run, NULL, &error) != NLSH_OK) fail_msg("%s", error.message);
        if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);
        const struct nlsh__rounding now = rounding_of(path);
        assert_true(now.type == as.type && now.scale == as.scale);
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
    size_t turn = 0;
    (void)state;
    for (size_t which = 0; which < 3 * N_STORES; which++) {
        const size_t i = which % 3, of_stores = which / 3;
        if ((stores[of_stores].type == NLSH_BF16) != (i == 1)) continue;
        if (turn++ % EVERY != 0) continue;
        struct nlsh_build_options o;
        struct nlsh_error error;
        struct nlsh_index *index;
        struct nlsh_vectors *stored;
        struct nlsh_matrix base = matrix_new(KIND_F32, SOME, 24, 60, 30, 4);
        uint8_t *bytes[2];
        size_t size[2];
        settings(&o, metrics[i]);
        o.epochs = 3;
        o.store = stores[of_stores].store;
        for (size_t t = 0; t < 2; t++) {
            struct of_matrix of = {.matrix = &base};
            const struct nlsh_rows rows = rows_of(&of);
            struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1 + 2 * t};
            const char *path = test_path("passed");
            if (nlsh__build_planned(&rows, &o, &room_for_some, path, &run, NULL, &error) !=
                    NLSH_OK ||
                nlsh_index_verify(path, &error) != NLSH_OK)
                fail_msg("%s (%s)", error.message, error.hint);
            bytes[t] = test_read_file(path, &size[t]);
        }
        assert_int_equal(size[0], size[1]);
        assert_memory_equal(bytes[0], bytes[1], size[0]);
        assert_int_equal(nlsh_index_open(test_path("passed"), NULL, &index, NULL), NLSH_OK);
        assert_int_equal(index->meta.storage_type, stores[of_stores].type);
        float streamed_scale = index->meta.scale;
        assert_int_equal(index->meta.data_hash, nlsh_data_hash(&base));
        assert_int_equal(nlsh_index_vectors(index, &stored, NULL), NLSH_OK);
        const float *values = nlsh_vectors_matrix(stored)->data, *given = base.data;
        for (size_t row = 0; row < SOME; row++) {
            const float *x = values + row * 24, *y = given + row * 24;
            float zero[24] = {0}, scaled[24];
            double length = length_between(y, zero, 24);
            for (size_t d = 0; d < 24; d++)
                scaled[d] = metrics[i] == NLSH_COSINE ? (float)((double)y[d] / length) : y[d];
            if (metrics[i] == NLSH_COSINE) length = 1;
            assert_true(length_between(x, scaled, 24) <= length * stores[of_stores].most * 1.01);
        }
        nlsh_vectors_free(stored);
        nlsh_index_close(index);
        if (stores[of_stores].type == NLSH_I8) { /* all rows have a say, as in memory */
            struct nlsh_build_report report;
            build_into(&base, &o, test_path("passed"), &report);
            assert_true(rounding_of(test_path("passed")).scale == streamed_scale);
        }
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
    struct nlsh_matrix base = matrix_new(KIND_F32, FEW, 24, 60, 30, 5), one = base;
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
    return rounding_of(path).type;
}

/* Cut off where that is little, refused where it is much; and the scale stays when buckets are learned anew. */
static void what_bytes_do_not_reach(void **state)
{
    static uint64_t keys[2][Q * K];
    static float distances[2][Q * K];
    struct nlsh_build_options o;
    struct nlsh_build_report report = {.struct_size = sizeof report};
    struct nlsh_compact_options how;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct nlsh_index *index;
    struct nlsh_writer *writer;
    struct nlsh_error error;
    const char *path = test_path("steps");
    uint64_t key = 99999;
    (void)state;
    settings(&o, NLSH_L2);
    o.epochs = 1;
    o.store = NLSH_STORE_I8;
    struct nlsh_matrix base = matrix_new(KIND_F32, FEW, 24, 60, 30, 5), one = base, some = base;
    float row[24], zero[24] = {0};
    one.n_rows = 1;
    one.data = row;
    some.n_rows = Q;
    o.store_scale = 1e-3f;
    assert_int_equal(nlsh_build(&base, &o, path, NULL, &report, &error), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "row 0, column"));
    assert_non_null(strstr(error.message, "more than a quarter of its length"));
    o.store_scale = NAN;
    assert_int_equal(nlsh_build(&base, &o, path, NULL, &report, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "store_scale is"));
    o.store_scale = 0;
    build_into(&base, &o, path, &report);
    const struct nlsh__rounding as = rounding_of(path);
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    assert_true(info.type == NLSH_F32 && info.store_scale == as.scale && as.scale > 0);
    nlsh_index_close(index);
    for (size_t d = 0; d < 24; d++) row[d] = d % 2 ? 100 * as.scale : -100 * as.scale;
    row[7] = 140 * as.scale;
    assert_int_equal(nlsh_writer_open(path, NULL, &writer, NULL), NLSH_OK);
    if (nlsh_writer_put(writer, &key, &one, &error) != NLSH_OK) fail_msg("%s", error.message);
    row[7] = -400 * as.scale;
    assert_int_equal(nlsh_writer_put(writer, &key, &one, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "vector 0: value 7 is -"));
    assert_non_null(strstr(error.message, "bytes with the scale"));
    assert_int_equal(nlsh_writer_close(writer, NULL), NLSH_OK);
    row[7] = 127 * as.scale; /* what stands there */
    search(path, &one, .99999, keys[0], distances[0]);
    assert_int_equal(keys[0][0], key);
    assert_true((double)distances[0][0] < 1e-5 * length_between(row, zero, 24));
    search(path, &some, .99999, keys[0], distances[0]);
    nlsh_compact_options_init(&how, sizeof how);
    how.retrain = 1;
    if (nlsh_compact(path, &how, &run, NULL, &error) != NLSH_OK ||
        nlsh_index_verify(path, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    assert_true(rounding_of(path).scale == as.scale);
    search(path, &some, .99999, keys[1], distances[1]);
    assert_memory_equal(keys[0], keys[1], sizeof keys[0]);
    assert_memory_equal(distances[0], distances[1], sizeof distances[0]);
    matrix_free(&base);
}

/* A few far values are cut off rather than that all steps become large, and no row loses more than it may. */
static void the_scale_has_the_least_error(void **state)
{
    struct nlsh_matrix base = matrix_new(KIND_F32, SOME, 24, 60, 30, 12);
    const float *values = base.data;
    float scale, most = 0;
    double least = INFINITY, found = 0;
    (void)state;
    ((float *)(uintptr_t)values)[17 * 24 + 3] *= 3;
    assert_int_equal(nlsh__scale_of(&base, &scale, NULL), NLSH_OK);
    for (size_t i = 0; i < (size_t)SOME * 24; i++) most = fmaxf(most, fabsf(values[i]));
    for (int at = 0; at <= 60; at++) { /* the one that was found, and others */
        float other = at == 60 ? scale : most / 127 * (float)pow(.95, at);
        double sum = 0;
        int refused = 0;
        for (size_t i = 0; i < SOME; i++) {
            const struct nlsh__rounding to = {NLSH_I8, other};
            float row[24];
            refused |= nlsh__round_row(&to, values + i * 24, 24, row) != 24;
            double off = length_between(row, values + i * 24, 24);
            sum += off * off;
        }
        if (at == 60) assert_false(refused);
        if (at == 60) found = sum;
        if (!refused && sum < least) least = sum;
    }
    assert_true(found <= 1.02 * least);
    assert_true(scale < most / 127);
    matrix_free(&base);
}

/* The rows at length 1, and rounded until that is no change any more: as a model's vectors come. */
static void bring_to_unit(struct nlsh_matrix *base)
{
    float *values = (float *)(uintptr_t)base->data, zero[24] = {0};
    for (size_t i = 0; i < base->n_rows; i++) {
        float *row = values + i * 24;
        double length = length_between(row, zero, 24);
        for (size_t d = 0; d < 24; d++) row[d] = (float)((double)row[d] / length);
        (void)nlsh__round_row(&as_f16, row, 24, row);
    }
}

/* Left to the build, f16 is taken where it keeps each value that was given, and not where a single one is lost. */
static void auto_keeps_what_was_given(void **state)
{
    (void)state;
    for (int which = 0; which < 6; which += EVERY) {
        const int metric = which % 3, streamed = which / 3;
        struct nlsh_build_options o;
        struct nlsh_build_report report = {.struct_size = sizeof report};
        struct nlsh_error error;
        struct nlsh_matrix base = matrix_new(KIND_F32, FEW, 24, 60, 30, 8);
        struct nlsh_matrix exact = rounded(&base, &as_f16);
        struct of_matrix of = {.matrix = &exact};
        const struct nlsh_rows rows = rows_of(&of);
        const char *path = test_path("auto");
        settings(&o, (enum nlsh_metric)metric);
        o.epochs = 1;
        if (metric == NLSH_COSINE) bring_to_unit(&exact);
        for (int spoiled = 0; spoiled < 2; spoiled++) {
            float *value = (float *)(uintptr_t)exact.data + (size_t)(FEW - 7) * 24 + 5;
            if (spoiled) *value = nextafterf(*value, 9);
            if ((streamed ? nlsh__build_planned(&rows, &o, &room_for_few, path, NULL, NULL, &error)
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
                                (size_t)FEW * 24 * sizeof(float));
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
        struct nlsh_matrix base = matrix_new(KIND_WHOLE, FEW, 24, 60, 30, 9);
        settings(&o, (enum nlsh_metric)metric);
        o.epochs = 1;
        build_into(&base, &o, test_path("whole"), &report);
        assert_int_equal(storage_of(test_path("whole")), metric == NLSH_IP ? NLSH_F16 : NLSH_F32);
        matrix_free(&base);
    }
}

/* An index that was made to hold f16, or bf16, rounds what is put, and stays of f16 when buckets are learned. */
static void an_empty_index_of_f16(void **state)
{
    static uint64_t keys[SOME], found[2][Q * K];
    static float distances[2][Q * K];
    (void)state;
    assert_int_equal(nlsh_index_create(test_path("empty"), 24, NLSH_I8, NLSH_COSINE, NULL),
                     NLSH_E_ARG); /* without vectors there is no scale */
    for (int which = EVERY - 1; which < 4; which += EVERY) {
        const enum nlsh_metric metric = (enum nlsh_metric)(which % 3);
        const enum nlsh_type type = which < 3 ? NLSH_F16 : NLSH_BF16;
        struct nlsh_writer *writer;
        struct nlsh_error error;
        struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
        struct nlsh_compact_options how;
        struct nlsh_matrix base = matrix_new(KIND_F32, SOME, 24, 60, 30, 10), few_rows = base;
        const char *path = test_path("empty");
        few_rows.n_rows = Q;
        for (size_t i = 0; i < SOME; i++) keys[i] = i;
        if (nlsh_index_create(path, 24, type, metric, &error) != NLSH_OK ||
            nlsh_index_verify(path, &error) != NLSH_OK ||
            nlsh_writer_open(path, NULL, &writer, &error) != NLSH_OK ||
            nlsh_writer_put(writer, keys, &base, &error) != NLSH_OK ||
            nlsh_writer_close(writer, &error) != NLSH_OK)
            fail_msg("%s", error.message);
        assert_int_equal(storage_of(path), type);
        search(path, &few_rows, .99999, found[0], distances[0]);
        nlsh_compact_options_init(&how, sizeof how);
        how.retrain = 1;
        if (nlsh_compact(path, &how, &run, NULL, &error) != NLSH_OK ||
            nlsh_index_verify(path, &error) != NLSH_OK)
            fail_msg("%s", error.message);
        assert_int_equal(storage_of(path), type);
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
    struct nlsh_matrix base = matrix_new(KIND_WHOLE, FEW, 24, 60, 30, 6);
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
        cmocka_unit_test(what_bytes_do_not_reach),
        cmocka_unit_test(the_scale_has_the_least_error),
        cmocka_unit_test(bytes_stay_bytes),
        cmocka_unit_test(auto_keeps_what_was_given),
        cmocka_unit_test(bytes_by_other_metrics),
        cmocka_unit_test(an_empty_index_of_f16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
