/*
 * test_types.c - bases and queries of every type, with gaps between rows, are the plain ones that they
 * stand for: the same file, the same answers. The values are whole numbers that all types hold exactly.
 */
#include "support/built.h"
#include "support/counts.h"

enum { N = 260, Q = 70, DIM = 10, K = 6, M = 6 };

static const size_t gaps[] = {0, 1, 8, 33};

static uint16_t as_f16(double value)
{
    if (value == 0) return 0;
    int exponent = ilogb(value);
    double fraction = ldexp(fabs(value), -exponent) - 1;
    uint32_t bits = (uint32_t)(exponent + 15) << 10 | (uint32_t)(fraction * 1024);
    return (uint16_t)(bits | (value < 0 ? 0x8000 : 0));
}

static uint16_t as_bf16(double value)
{
    float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    return (uint16_t)(bits >> 16);
}

static void put(uint8_t *at, enum nlsh_type type, double value)
{
    float narrow = (float)value;
    uint16_t half = type == NLSH_F16 ? as_f16(value) : as_bf16(value);
    int8_t byte = (int8_t)(value < 128 ? value : 0);
    switch (type) {
    case NLSH_F16:
    case NLSH_BF16: memcpy(at, &half, sizeof half); break;
    case NLSH_F32: memcpy(at, &narrow, sizeof narrow); break;
    case NLSH_F64: memcpy(at, &value, sizeof value); break;
    case NLSH_U8: *at = (uint8_t)value; break;
    default: memcpy(at, &byte, 1);
    }
}

static size_t size_of(enum nlsh_type type)
{
    return type == NLSH_F64 ? 8 : type == NLSH_F32 ? 4 : type == NLSH_U8 || type == NLSH_I8 ? 1 : 2;
}

/* The same values in another type, each row so many bytes behind the end of the one before; freed with
 * matrix_free(). Nothing stands behind the last row. */
static struct nlsh_matrix converted(const struct nlsh_matrix *m, enum nlsh_type type, size_t gap)
{
    size_t row = m->dim * size_of(type), stride = row + gap, all = (m->n_rows - 1) * stride + row;
    uint8_t *data = malloc(all);
    assert_non_null(data);
    memset(data, 0xa5, all);
    for (size_t i = 0; i < m->n_rows; i++)
        for (size_t d = 0; d < m->dim; d++)
            put(data + i * stride + d * size_of(type), type, matrix_at(m, i, d));
    return (struct nlsh_matrix){data, m->n_rows, m->dim, type, gap > 0 ? stride : 0};
}

/* Types that hold the values of a kind; a type of 0 ends the list. */
static const enum nlsh_type *types_of(enum kind kind)
{
    static const enum nlsh_type unsigned_types[] = {NLSH_U8,   NLSH_F32, NLSH_F16,
                                                    NLSH_BF16, NLSH_F64, (enum nlsh_type)0};
    static const enum nlsh_type signed_types[] = {NLSH_I8,   NLSH_F32, NLSH_F16,
                                                  NLSH_BF16, NLSH_F64, (enum nlsh_type)0};
    return kind == KIND_I8 ? signed_types : unsigned_types;
}

/* A sanitizer gets each type with each gap at one of three turns. */
static int left_to_others(size_t turn)
{
    return turn % TEST_STRIDE != 0;
}

/* ---- queries --------------------------------------------------------------------------------- */

struct answers {
    uint64_t keys[Q * K], batch_keys[Q * K], range_keys[N];
    float distances[Q * K], batch_distances[Q * K], range_distances[N], probabilities[Q * M];
    struct counts counts;
    size_t n_found;
};

static void ask(const struct nlsh_index *index, const struct nlsh_matrix *queries, double probes,
                struct answers *out)
{
    struct nlsh_searcher *s;
    struct nlsh_search_options how;
    struct nlsh_error error;
    struct nlsh_matrix one = *queries;
    nlsh_search_options_init(&how, sizeof how);
    how.k = K;
    how.probes = probes;
    how.n_threads = 2;
    one.n_rows = 1;
    memset(out, 0, sizeof *out);
    assert_int_equal(nlsh_searcher_create(index, &s, NULL), NLSH_OK);
    if (nlsh_search(s, queries, &how, out->keys, out->distances, COUNT_INTO(&out->counts),
                    &error) != NLSH_OK ||
        nlsh_search_batch(index, queries, &how, out->batch_keys, out->batch_distances, NULL,
                          &error) != NLSH_OK ||
        nlsh_route(s, queries, out->probabilities, &error) != NLSH_OK ||
        nlsh_search_range(s, &one, &how, 1e4, out->range_keys, out->range_distances, N,
                          &out->n_found, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    nlsh_searcher_free(s);
}

static void queries_of_every_type(void **state)
{
    static const double probes[] = {0, 2, M};
    static struct answers want, got;
    (void)state;
    for (int metric = NLSH_L2; metric <= NLSH_COSINE; metric++)
        for (enum kind kind = KIND_U8; kind <= KIND_I8; kind++) {
            struct nlsh_build_options o;
            struct nlsh_matrix base = matrix_new(kind, N, DIM, 8, 20, 1);
            struct nlsh_matrix queries = matrix_new(kind, Q, DIM, 8, 20, 2);
            small_options(&o, M);
            o.metric = (enum nlsh_metric)metric;
            struct nlsh_index *index = built_index(&base, &o, "types");
            for (size_t t = 0; t < 3; t++) {
                struct nlsh_matrix plain = converted(&queries, NLSH_F32, 0);
                ask(index, &plain, probes[t], &want);
                assert_true(want.n_found > 0);
                matrix_free(&plain);
                for (const enum nlsh_type *type = types_of(kind); *type != 0; type++)
                    for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++) {
                        if (left_to_others((size_t)(type - types_of(kind)) + g + t)) continue;
                        struct nlsh_matrix m = converted(&queries, *type, gaps[g]);
                        ask(index, &m, probes[t], &got);
                        if (memcmp(&want, &got, sizeof want) != 0)
                            fail_msg("%s, %s base: queries of type %d, gap %zu, differ",
                                     nlsh_metric_name(o.metric), kind_names[kind], (int)*type,
                                     gaps[g]);
                        matrix_free(&m);
                    }
            }
            nlsh_index_close(index);
            matrix_free(&base);
            matrix_free(&queries);
        }
}

/* ---- bases ----------------------------------------------------------------------------------- */

static void same_neighbors(const struct nlsh_neighbors *a, const struct nlsh_neighbors *b)
{
    size_t n = a->n_rows * a->k;
    assert_true(a->n_rows == b->n_rows && a->k == b->k && a->metric == b->metric);
    assert_memory_equal(a->ids, b->ids, n * sizeof *a->ids);
    assert_memory_equal(a->distances, b->distances, n * sizeof *a->distances);
}

static void bases_of_every_type(void **state)
{
    (void)state;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    for (int metric = NLSH_L2; metric <= NLSH_COSINE; metric++) {
        struct nlsh_build_options o;
        struct nlsh_neighbors truth = {.struct_size = sizeof truth}, graph = truth, other = truth;
        struct nlsh_error error;
        struct nlsh_matrix base = matrix_new(KIND_U8, N, DIM, 8, 20, 1);
        enum nlsh_metric m = (enum nlsh_metric)metric;
        size_t size;
        small_options(&o, M);
        o.metric = m;
        uint8_t *bytes = build(&base, &o, &run, NULL, &size);
        assert_int_equal(nlsh_ground_truth(&base, &base, m, K, &run, &truth, NULL), NLSH_OK);
        assert_int_equal(nlsh_graph_build(&base, m, NLSH_GRAPH_EXACT, K, 1, &run, &graph, NULL),
                         NLSH_OK);
        for (const enum nlsh_type *type = types_of(KIND_U8); *type != 0; type++)
            for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++) {
                if (left_to_others((size_t)(type - types_of(KIND_U8)) + g + m)) continue;
                struct nlsh_matrix c = converted(&base, *type, gaps[g]);
                double recall = 0;
                assert_true(nlsh_data_hash(&c) == nlsh_data_hash(&base));
                build_again(&c, &o, &run, bytes, size);
                if (nlsh_ground_truth(&c, &c, m, K, &run, &other, &error) != NLSH_OK)
                    fail_msg("%s", error.message);
                same_neighbors(&truth, &other);
                nlsh_neighbors_free(&other);
                assert_int_equal(
                    nlsh_graph_build(&c, m, NLSH_GRAPH_EXACT, K, 1, &run, &other, NULL), NLSH_OK);
                same_neighbors(&graph, &other);
                assert_int_equal(nlsh_graph_recall(&c, m, &other, 50, 1, &run, &recall, NULL),
                                 NLSH_OK);
                assert_true(recall == 1);
                nlsh_neighbors_free(&other);
                matrix_free(&c);
            }
        free(bytes);
        nlsh_neighbors_free(&truth);
        nlsh_neighbors_free(&graph);
        matrix_free(&base);
    }
}

/* What a curve is made of is routed and looked up by row number. */
static void evaluated_with_every_type(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_neighbors truth = {.struct_size = sizeof truth};
    struct nlsh_matrix base = matrix_new(KIND_U8, N, DIM, 8, 20, 1);
    struct nlsh_matrix queries = matrix_new(KIND_U8, Q, DIM, 8, 20, 2);
    struct nlsh_curve *want, *got;
    struct nlsh_curve_point a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
    small_options(&o, M);
    struct nlsh_index *index = built_index(&base, &o, "types");
    assert_int_equal(nlsh_ground_truth(&base, &queries, NLSH_L2, K, NULL, &truth, NULL), NLSH_OK);
    assert_int_equal(nlsh_evaluate(index, &queries, &truth, K, NULL, &want, NULL), NLSH_OK);
    for (const enum nlsh_type *type = types_of(KIND_U8); *type != 0; type++)
        for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++) {
            struct nlsh_matrix c = converted(&queries, *type, gaps[g]);
            assert_int_equal(nlsh_evaluate(index, &c, &truth, K, NULL, &got, NULL), NLSH_OK);
            assert_int_equal(nlsh_curve_n_points(got), nlsh_curve_n_points(want));
            for (size_t i = 0; nlsh_curve_point(want, i, &a); i++) {
                assert_int_equal(nlsh_curve_point(got, i, &b), 1);
                assert_true(a.recall == b.recall && a.candidates == b.candidates);
            }
            nlsh_curve_free(got);
            matrix_free(&c);
        }
    nlsh_curve_free(want);
    nlsh_neighbors_free(&truth);
    nlsh_index_close(index);
    matrix_free(&base);
    matrix_free(&queries);
}

/* ---- what is not finite ---------------------------------------------------------------------- */

static void the_row_is_named(void **state)
{
    (void)state;
    static const uint16_t half_none[] = {0x7e00, 0x7c00, 0xfc00}; /* f16: NaN and both infinities */
    struct nlsh_build_options o;
    struct nlsh_error error;
    struct nlsh_matrix base = matrix_new(KIND_U8, N, DIM, 8, 20, 1);
    struct nlsh_matrix wide = converted(&base, NLSH_F64, 0), half = converted(&base, NLSH_F16, 2);
    uint8_t *wide_row = (uint8_t *)(uintptr_t)wide.data + 41 * 8 * DIM;
    uint8_t *half_row = (uint8_t *)(uintptr_t)half.data + 33 * half.stride;
    static uint64_t keys[N * 10];
    small_options(&o, M);
    struct nlsh_index *index = built_index(&base, &o, "types");
    for (int i = 0; i < 3; i++) {
        memcpy(half_row + 2, &half_none[i], 2);
        assert_int_equal(nlsh_search_batch(index, &half, NULL, keys, NULL, NULL, &error),
                         NLSH_E_ARG);
        assert_non_null(strstr(error.message, "query 33: value 1 "));
        assert_int_equal(nlsh_build(&half, &o, test_path("none"), NULL, NULL, &error), NLSH_E_DATA);
        assert_non_null(strstr(error.message, "row 33"));
    }
    put(wide_row, NLSH_F64, 1e39); /* finite, but not in f32 */
    struct nlsh_neighbors truth = {.struct_size = sizeof truth};
    struct nlsh_curve *curve;
    assert_int_equal(nlsh_ground_truth(&base, &base, NLSH_L2, K, NULL, &truth, NULL), NLSH_OK);
    assert_int_equal(nlsh_evaluate(index, &wide, &truth, K, NULL, &curve, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "query 41: value 0 "));
    assert_null(curve);
    nlsh_neighbors_free(&truth);
    assert_int_equal(nlsh_search_batch(index, &wide, NULL, keys, NULL, NULL, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "query 41: value 0 "));
    assert_int_equal(nlsh_build(&wide, &o, test_path("none"), NULL, NULL, &error), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "row 41"));
    assert_int_not_equal(access(test_path("none"), F_OK), 0);
    nlsh_index_close(index);
    matrix_free(&base);
    matrix_free(&wide);
    matrix_free(&half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_of_every_type),
        cmocka_unit_test(bases_of_every_type),
        cmocka_unit_test(evaluated_with_every_type),
        cmocka_unit_test(the_row_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
