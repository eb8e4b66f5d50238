/*
 * test_panel.c - panels and the kernels that go over them, against scores computed one by one.
 *
 * Whatever a kernel touches ends at a page that may not be touched, the hits included: lists of
 * exactly the capacity that panel.h asks for.
 */
#include <math.h>

#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "support/guard.h"

enum { MOST_ROWS = 1075, MOST_QUERIES = 70, MOST_DIM = 160, CALLS = 3 };
#define UNIT 5.9604644775390625e-8

static const size_t row_counts[] = {1, 15, 16, 17, 63, 64, 65, 130};
static const size_t dims[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 64, 129};
enum thresholds { NONE, ALL, SOME, N_THRESHOLDS };

static const struct nlsh__kernels *tables[NLSH__N_TABLES];
static size_t n_tables;
static struct nlsh__rng rng;

/* Room for the largest case, each at a guard; the buffers of a case are their tails. */
static struct guarded room[9];

struct buffers {
    void *values, *bias, *queries, *thresholds, *norms, *rows;
    struct nlsh__hits hits;
};

static struct buffers buffers(size_t n_groups, size_t values, size_t n_queries, size_t queries)
{
    struct buffers b;
    size_t lists;
    b.hits.capacity = NLSH__GROUP * (n_groups + 1);
    lists = n_queries * b.hits.capacity * 4;
    b.values = guarded_tail(&room[0], values);
    b.bias = guarded_tail(&room[1], n_groups * NLSH__GROUP * 4);
    b.queries = guarded_tail(&room[2], queries);
    b.thresholds = guarded_tail(&room[3], n_queries * 4);
    b.hits.n = guarded_tail(&room[4], n_queries * 4);
    b.hits.ids = guarded_tail(&room[5], lists);
    b.hits.scores.i32 = guarded_tail(&room[6], lists);
    b.norms = guarded_tail(&room[7], n_queries * 4);
    b.rows = guarded_tail(&room[8], n_groups * NLSH__GROUP * 4);
    memset(b.hits.n, 0, n_queries * 4);
    return b;
}

static int setup(void **state)
{
    size_t groups = (MOST_ROWS + 15) / 16;
    (void)state;
    room[0] = guarded_alloc(groups * 16 * MOST_DIM * sizeof(float));
    room[1] = guarded_alloc(groups * 16 * 4);
    room[2] = guarded_alloc(MOST_QUERIES * MOST_DIM * sizeof(float));
    room[3] = guarded_alloc(MOST_QUERIES * 4);
    room[4] = guarded_alloc(MOST_QUERIES * 4);
    room[5] = guarded_alloc(MOST_QUERIES * (groups + 1) * 16 * 4);
    room[6] = guarded_alloc(MOST_QUERIES * (groups + 1) * 16 * 4);
    room[7] = guarded_alloc(MOST_QUERIES * 4);
    room[8] = guarded_alloc(groups * 16 * 4);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof room / sizeof *room; i++) guarded_free(&room[i]);
    return 0;
}

/* The groups in as many calls as CALLS: the lists are appended to. */
static size_t piece(size_t n_groups, size_t call)
{
    return n_groups * call / CALLS;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static int32_t reference_u8(const uint8_t *x, const uint8_t *q, size_t dim)
{
    int64_t sum = 0;
    for (size_t d = 0; d < dim; d++)
        sum += (int64_t)x[d] * ((int64_t)x[d] - 256) - 2 * (int64_t)x[d] * ((int64_t)q[d] - 128);
    assert_true(sum >= INT32_MIN && sum < INT32_MAX);
    return (int32_t)sum;
}

/* Each list holds the rows whose score is below a limit, ascending, and nothing else. */
static void check_hits_u8(const char *name, const struct nlsh__hits *hits, const int32_t *scores,
                          const struct nlsh__limits_u8 *limits, size_t n_rows, size_t n_queries)
{
    for (size_t q = 0; q < n_queries; q++) {
        size_t n = 0;
        for (size_t row = 0; row < n_rows; row++) {
            int32_t limit = limits->queries[q];
            if (limits->rows != NULL && limits->rows[row] - limits->norms[q] > limit)
                limit = limits->rows[row] - limits->norms[q];
            if (scores[q * n_rows + row] >= limit) continue;
            size_t slot = q * hits->capacity + n++;
            if (n > hits->n[q] || hits->ids[slot] != row ||
                hits->scores.i32[slot] != scores[q * n_rows + row])
                fail_msg("%s: %zu rows, query %zu of %zu: row %zu is missing or wrong", name,
                         n_rows, q, n_queries, row);
        }
        assert_int_equal(hits->n[q], n);
    }
}

static void check_u8(size_t n_rows, size_t dim, size_t n_queries, enum thresholds kind, int both)
{
    static uint8_t rows[MOST_ROWS * MOST_DIM], queries[MOST_QUERIES * MOST_DIM];
    static int32_t scores[MOST_QUERIES * MOST_ROWS];
    struct nlsh__panel_u8 panel;
    for (size_t i = 0; i < n_rows * dim; i++) rows[i] = (uint8_t)nlsh__rng_below(&rng, 256);
    for (size_t i = 0; i < n_queries * dim; i++) queries[i] = (uint8_t)nlsh__rng_below(&rng, 256);
    assert_int_equal(nlsh__panel_u8_create(rows, n_rows, dim, &panel, NULL), NLSH_OK);
    assert_int_equal(panel.n_rows, n_rows);
    assert_int_equal(panel.dim, dim);
    assert_int_equal(panel.n_groups, (n_rows + 15) / 16);
    assert_int_equal(panel.n_chunks, (dim + 3) / 4);
    size_t padded = panel.n_chunks * 4;
    struct buffers b =
        buffers(panel.n_groups, panel.n_groups * 16 * padded, n_queries, n_queries * padded);
    memcpy(b.values, panel.values, panel.n_groups * 16 * padded);
    memcpy(b.bias, panel.bias, panel.n_groups * 16 * 4);
    for (size_t q = 0; q < n_queries; q++) {
        const uint8_t *query = queries + q * dim;
        nlsh__panel_u8_query(query, dim, (int8_t *)b.queries + q * padded);
        for (size_t row = 0; row < n_rows; row++)
            scores[q * n_rows + row] = reference_u8(rows + row * dim, query, dim);
        int32_t one = scores[q * n_rows + nlsh__rng_below(&rng, n_rows)];
        int32_t some = one + (int32_t)nlsh__rng_below(&rng, 2); /* it, or all but it and worse */
        ((int32_t *)b.thresholds)[q] = kind == NONE ? INT32_MIN : kind == ALL ? INT32_MAX : some;
        ((int32_t *)b.norms)[q] = nlsh__norm_u8(query, dim);
    }
    /* each row's limit is the distance of a query, or one more; with none, and with all, let through */
    for (size_t row = 0; row < panel.n_groups * 16; row++) {
        size_t q = nlsh__rng_below(&rng, n_queries), way = nlsh__rng_below(&rng, 20);
        int32_t *limit = (int32_t *)b.rows + row;
        *limit = 0;
        if (row >= n_rows || way == 0) continue;
        *limit = scores[q * n_rows + row] + ((int32_t *)b.norms)[q] + (int32_t)(way % 2);
        if (way == 1) *limit = INT32_MAX;
    }
    const struct nlsh__limits_u8 limits = {b.thresholds, both ? b.rows : NULL, b.norms};
    struct nlsh__panel_u8 view = panel;
    view.values = b.values;
    view.bias = b.bias;
    for (size_t t = 0; t < n_tables; t++)
        for (size_t calls = 1; calls <= CALLS; calls += CALLS - 1) {
            memset(b.hits.n, 0, n_queries * 4);
            for (size_t c = 0; c < calls; c++) {
                size_t from = calls == 1 ? 0 : piece(panel.n_groups, c);
                size_t to = calls == 1 ? panel.n_groups : piece(panel.n_groups, c + 1);
                tables[t]->panel_u8(&view, from, to - from, b.queries, n_queries, &limits, &b.hits);
            }
            check_hits_u8(tables[t]->name, &b.hits, scores, &limits, n_rows, n_queries);
        }
    nlsh__panel_u8_free(&panel);
    assert_null(panel.values);
}

static void bytes_equal_a_scan(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof row_counts / sizeof *row_counts; i++)
        for (size_t j = 0; j < sizeof dims / sizeof *dims; j++)
            for (size_t n_queries = 1; n_queries <= 13; n_queries++)
                for (enum thresholds kind = NONE; kind < N_THRESHOLDS; kind++)
                    for (int both = 0; both < 2; both++)
                        check_u8(row_counts[i], dims[j], n_queries, kind, both);
    /* more than one block of what the widest kernels take at once, and what is left over */
    static const size_t many[] = {31, 32, 33, 64, MOST_QUERIES};
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        for (enum thresholds kind = NONE; kind < N_THRESHOLDS; kind++)
            for (size_t dim = 1; dim <= MOST_DIM; dim += dim < 63 ? 31 : 32) {
                check_u8(31, dim, many[i], kind, dim % 2);
                check_u8(130, dim, many[i], kind, 1 - dim % 2);
            }
    check_u8(MOST_ROWS, 66, 33, SOME, 0);
    check_u8(MOST_ROWS, 66, 33, SOME, 1);
    check_u8(MOST_ROWS, 64, 64, NONE, 1);
    /* longer than what kernels hold of a query at once */
    for (enum thresholds kind = NONE; kind < N_THRESHOLDS; kind++) {
        check_u8(17, 1027, 9, kind, 0);
        check_u8(33, 2100, 5, kind, 1);
    }
}

/* score + |q|^2 is the squared distance, and neither overflows at the largest dimension. */
static void bytes_fit_at_the_largest_dimension(void **state)
{
    static const int levels[] = {0, 1, 127, 128, 129, 254, 255};
    enum { N = sizeof levels / sizeof *levels };
    size_t dim = NLSH__MAX_DIM_U8;
    struct nlsh__panel_u8 panel;
    (void)state;
    uint8_t *rows = malloc(N * dim);
    int8_t *query = malloc(dim + 4);
    assert_true(rows && query);
    for (size_t i = 0; i < N; i++) memset(rows + i * dim, levels[i], dim);
    assert_int_equal(nlsh__panel_u8_create(rows, N, dim, &panel, NULL), NLSH_OK);
    for (size_t q = 0; q < N; q++) {
        uint32_t n, ids[2 * NLSH__GROUP];
        int32_t scores[2 * NLSH__GROUP], threshold = INT32_MAX;
        struct nlsh__hits hits = {2 * NLSH__GROUP, &n, ids, {scores}};
        int64_t norm = nlsh__norm_u8(rows + q * dim, dim);
        int32_t norms = (int32_t)norm, limits_of_rows[NLSH__GROUP] = {0}, none = INT32_MIN;
        assert_int_equal(norm, (int64_t)levels[q] * levels[q] * (int64_t)dim);
        nlsh__panel_u8_query(rows + q * dim, dim, query);
        for (size_t t = 0; t < n_tables; t++) {
            n = 0;
            struct nlsh__limits_u8 limits = {&threshold, NULL, NULL};
            tables[t]->panel_u8(&panel, 0, 1, query, 1, &limits, &hits);
            assert_int_equal(n, N);
            for (size_t i = 0; i < N; i++) {
                int64_t gap = levels[i] - levels[q];
                assert_int_equal(scores[i] + norm, gap * gap * (int64_t)dim);
                limits_of_rows[i] = (int32_t)(scores[i] + norm) + (i % 2 == 0);
            }
            limits = (struct nlsh__limits_u8){&none, limits_of_rows, &norms};
            n = 0;
            tables[t]->panel_u8(&panel, 0, 1, query, 1, &limits, &hits);
            assert_int_equal(n, (N + 1) / 2);
        }
    }
    nlsh__panel_u8_free(&panel);
    free(rows);
    free(query);
}

/* ---- floats ---------------------------------------------------------------------------------- */

struct floats {
    size_t n_rows, dim, n_queries;
    float rows[MOST_ROWS * MOST_DIM], offset[MOST_DIM], queries[MOST_QUERIES * MOST_DIM];
    double scores[MOST_QUERIES * MOST_ROWS], bounds[MOST_QUERIES * MOST_ROWS];
};

/* score = |x|^2 - 2 x.q, x less the offset, and what rounding may do to it: dim + 2 units of the
 * sum of the products' sizes, and a few of the result's parts. whole: numbers of which floats hold
 * every sum, so that nothing is rounded. */
static void fill_floats(struct floats *f, int whole)
{
    for (size_t d = 0; d < f->dim; d++) f->offset[d] = (float)(int)nlsh__rng_below(&rng, 9);
    for (size_t i = 0; i < f->n_rows * f->dim; i++)
        f->rows[i] = whole ? (float)((int)nlsh__rng_below(&rng, 41) - 20)
                           : (float)(3 * nlsh__rng_normal(&rng));
    for (size_t i = 0; i < f->n_queries * f->dim; i++)
        f->queries[i] = whole ? (float)((int)nlsh__rng_below(&rng, 41) - 20)
                              : (float)(3 * nlsh__rng_normal(&rng));
    for (size_t q = 0; q < f->n_queries; q++)
        for (size_t row = 0; row < f->n_rows; row++) {
            double norm = 0, dot = 0, size = 0;
            for (size_t d = 0; d < f->dim; d++) {
                double x = (double)(f->rows[row * f->dim + d] - f->offset[d]);
                double y = (double)f->queries[q * f->dim + d];
                norm += x * x;
                dot += x * y;
                size += fabs(x * y);
            }
            f->scores[q * f->n_rows + row] = norm - 2 * dot;
            f->bounds[q * f->n_rows + row] =
                whole ? 0 : UNIT * (2 * (double)(f->dim + 2) * size + 2 * norm);
        }
}

/* What lies beyond the bound on either side of the threshold must be in the list, or not in it. */
static void check_hits_f32(const char *name, const struct nlsh__hits *hits, const struct floats *f,
                           const struct nlsh__limits_f32 *limits)
{
    for (size_t q = 0; q < f->n_queries; q++) {
        const uint32_t *ids = hits->ids + q * hits->capacity;
        const float *found = hits->scores.f32 + q * hits->capacity;
        size_t n = 0;
        assert_true(hits->n[q] <= f->n_rows);
        for (size_t row = 0; row < f->n_rows; row++) {
            double score = f->scores[q * f->n_rows + row], bound = f->bounds[q * f->n_rows + row];
            int listed = n < hits->n[q] && ids[n] == row;
            double threshold = (double)limits->queries[q];
            if (limits->rows != NULL)
                threshold = fmax(threshold, (double)(limits->rows[row] - limits->norms[q]));
            if (listed ? score - bound >= threshold || fabs((double)found[n] - score) > bound
                       : score + bound < threshold)
                fail_msg("%s: %zu rows x %zu, query %zu of %zu: row %zu is missing or wrong", name,
                         f->n_rows, f->dim, q, f->n_queries, row);
            n += (size_t)listed;
        }
        assert_int_equal(hits->n[q], n);
    }
}

static void check_f32(struct floats *f, int whole, enum thresholds kind, int both)
{
    struct nlsh__panel_f32 panel;
    fill_floats(f, whole);
    assert_int_equal(nlsh__panel_f32_create(f->rows, f->offset, f->n_rows, f->dim, &panel, NULL),
                     NLSH_OK);
    size_t bytes = panel.n_groups * f->dim * 16 * sizeof(float);
    size_t query_bytes = f->n_queries * f->dim * sizeof(float);
    struct buffers b = buffers(panel.n_groups, bytes, f->n_queries, query_bytes);
    memcpy(b.values, panel.values, bytes);
    memcpy(b.bias, panel.bias, panel.n_groups * 16 * 4);
    memcpy(b.queries, f->queries, query_bytes);
    for (size_t q = 0; q < f->n_queries; q++) {
        float some = (float)f->scores[q * f->n_rows + nlsh__rng_below(&rng, f->n_rows)];
        ((float *)b.thresholds)[q] = kind == NONE ? -INFINITY : kind == ALL ? INFINITY : some;
        ((float *)b.norms)[q] = (float)nlsh__rng_below(&rng, 100);
    }
    for (size_t row = 0; row < panel.n_groups * 16; row++) {
        size_t q = nlsh__rng_below(&rng, f->n_queries), way = nlsh__rng_below(&rng, 20);
        float *limit = (float *)b.rows + row;
        *limit = -INFINITY;
        if (row >= f->n_rows || way == 0) continue;
        *limit = (float)f->scores[q * f->n_rows + row] + ((float *)b.norms)[q];
        if (way == 1) *limit = INFINITY;
    }
    const struct nlsh__limits_f32 limits = {b.thresholds, both ? b.rows : NULL, b.norms};
    struct nlsh__panel_f32 view = panel;
    view.values = b.values;
    view.bias = b.bias;
    for (size_t t = 0; t < n_tables; t++)
        for (size_t calls = 1; calls <= CALLS; calls += CALLS - 1) {
            memset(b.hits.n, 0, f->n_queries * 4);
            for (size_t c = 0; c < calls; c++) {
                size_t from = calls == 1 ? 0 : piece(panel.n_groups, c);
                size_t to = calls == 1 ? panel.n_groups : piece(panel.n_groups, c + 1);
                tables[t]->panel_f32(&view, from, to - from, b.queries, f->n_queries, &limits,
                                     &b.hits);
            }
            check_hits_f32(tables[t]->name, &b.hits, f, &limits);
        }
    nlsh__panel_f32_free(&panel);
    assert_null(panel.values);
}

static void floats_equal_a_scan(void **state)
{
    static struct floats f;
    (void)state;
    for (size_t i = 0; i < sizeof row_counts / sizeof *row_counts; i++)
        for (size_t j = 0; j < sizeof dims / sizeof *dims; j++)
            for (f.n_queries = 1; f.n_queries <= 13; f.n_queries++)
                for (enum thresholds kind = NONE; kind < N_THRESHOLDS; kind++) {
                    f.n_rows = row_counts[i];
                    f.dim = dims[j];
                    for (int both = 0; both < 2; both++)
                        check_f32(&f, f.n_queries % 2 == 0, kind, both);
                }
}

/* Without an offset the rows are taken as they are. */
static void floats_need_no_offset(void **state)
{
    static float rows[17 * 5], zeros[5];
    struct nlsh__panel_f32 a, b;
    (void)state;
    for (size_t i = 0; i < 17 * 5; i++) rows[i] = (float)nlsh__rng_normal(&rng);
    assert_int_equal(nlsh__panel_f32_create(rows, NULL, 17, 5, &a, NULL), NLSH_OK);
    assert_int_equal(nlsh__panel_f32_create(rows, zeros, 17, 5, &b, NULL), NLSH_OK);
    assert_memory_equal(a.values, b.values, 2 * 16 * 5 * sizeof(float));
    assert_memory_equal(a.bias, b.bias, 2 * 16 * sizeof(float));
    for (size_t r = 17; r < 32; r++) assert_true(a.bias[r] == INFINITY);
    nlsh__panel_f32_free(&a);
    nlsh__panel_f32_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_equal_a_scan),
        cmocka_unit_test(bytes_fit_at_the_largest_dimension),
        cmocka_unit_test(floats_equal_a_scan),
        cmocka_unit_test(floats_need_no_offset),
    };
    test_rng(&rng, 0);
    n_tables = nlsh__kernels_all(tables, NLSH__N_TABLES);
    return cmocka_run_group_tests_name("kernels/panel", tests, setup, teardown);
}
