/* test_resolve_rows.c - what a build in a part of the memory would come to: settings, and a forecast that grows with the rows. */
#include <string.h>

#include "nlsh/learn.h"
#include "testing.h"

enum { DIM = 32 };

/* Rows of a hash, as bytes or as floats that are whole numbers, or not quite. */
struct made {
    enum nlsh_type type;
    float more; /* than a whole number */
    size_t n_calls;
    enum nlsh_status answer;
};

static enum nlsh_status read_made(void *user, size_t first, size_t n, void *values,
                                  struct nlsh_error *error)
{
    struct made *made = user;
    (void)error;
    made->n_calls++;
    if (made->answer != NLSH_OK) return made->answer;
    for (size_t i = 0; i < n * DIM; i++) {
        uint64_t hash = (first * DIM + i + 1) * 0x9e3779b97f4a7c15u;
        if (made->type == NLSH_U8)
            ((uint8_t *)values)[i] = (uint8_t)(hash >> 56);
        else
            ((float *)values)[i] = (float)(hash >> 56) + made->more;
    }
    return NLSH_OK;
}

static struct nlsh_rows rows_of(struct made *made, size_t n)
{
    struct nlsh_rows rows;
    nlsh_rows_init(&rows, sizeof rows);
    rows.n_rows = n;
    rows.dim = DIM;
    rows.type = made->type;
    rows.user = made;
    rows.read = read_made;
    return rows;
}

static struct nlsh_build_forecast foretold(struct made *made, size_t n, uint64_t memory,
                                           struct nlsh_build_options *o)
{
    struct nlsh_build_forecast f = {.struct_size = sizeof f};
    struct nlsh_error error;
    const struct nlsh_rows rows = rows_of(made, n);
    nlsh_build_options_init(o, sizeof *o);
    if (nlsh_build_rows_resolve(&rows, o, memory, NULL, &f, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    return f;
}

static void more_rows_take_more(void **state)
{
    struct made made = {.type = NLSH_U8};
    struct nlsh_build_options o;
    struct nlsh_build_forecast before = {.seconds = 0};
    (void)state;
    for (size_t n = 1000000; n <= 64000000; n *= 4) {
        uint64_t memory = 500000000 + (uint64_t)n * 64;
        struct nlsh_build_forecast f = foretold(&made, n, memory, &o);
        assert_int_equal(o.n_buckets, n < 8000000 ? 1024 : 2048);
        assert_int_equal(o.leaves, 1); /* of all rows, not of the sample's few */
        assert_int_equal(o.components, NLSH_AUTO);
        assert_int_equal(f.peak_bytes, memory);
        assert_true(f.seconds > before.seconds && f.index_bytes > (uint64_t)n * DIM);
        /* vectors in their places, what the router sees of them, and the index */
        assert_true(f.disk_bytes > f.index_bytes + (uint64_t)n * DIM * 5);
        assert_true(f.disk_bytes < f.index_bytes + (uint64_t)n * DIM * 6 + 500000000);
        before = f;
    }
}

static void what_fits_is_foretold_as_ever(void **state)
{
    enum { N = 5000 };
    struct made made = {.type = NLSH_U8};
    struct nlsh_build_options o, in_memory;
    struct nlsh_build_forecast of = {.struct_size = sizeof of};
    struct nlsh_error error;
    uint8_t *values = malloc((size_t)N * DIM);
    struct nlsh_build_forecast f = foretold(&made, N, 1000000000, &o);
    (void)state;
    assert_int_equal(read_made(&made, 0, N, values, &error), NLSH_OK);
    const struct nlsh_matrix base = {values, N, DIM, NLSH_U8, 0};
    nlsh_build_options_init(&in_memory, sizeof in_memory);
    assert_int_equal(nlsh_build_resolve(&base, &in_memory, NULL, &of, &error), NLSH_OK);
    assert_int_equal(f.peak_bytes, of.peak_bytes);
    assert_int_equal(f.index_bytes, of.index_bytes);
    assert_int_equal(f.disk_bytes, f.index_bytes);
    assert_int_equal(o.n_buckets, in_memory.n_buckets);
    assert_int_equal(o.epochs, in_memory.epochs);
    free(values);
}

/* Whole numbers are stored as bytes, and by cosine as floats. */
static void values_say_how_they_are_stored(void **state)
{
    enum { N = 1000000, MEMORY = 300000000 };
    struct made bytes = {.type = NLSH_U8}, whole = {.type = NLSH_F32},
                real = {.type = NLSH_F32, .more = .5F};
    struct nlsh_build_options o;
    struct nlsh_error error;
    struct nlsh_build_forecast by_cosine = {.struct_size = sizeof by_cosine};
    (void)state;
    struct nlsh_build_forecast of_bytes = foretold(&bytes, N, MEMORY, &o),
                               of_whole = foretold(&whole, N, MEMORY, &o),
                               of_real = foretold(&real, N, MEMORY, &o);
    assert_int_equal(of_whole.index_bytes, of_bytes.index_bytes);
    /* of floats the router has one layer less */
    assert_int_equal(of_real.index_bytes - of_bytes.index_bytes, (uint64_t)N * DIM * 3 - 256 * 256);
    const struct nlsh_rows rows = rows_of(&bytes, N);
    nlsh_build_options_init(&o, sizeof o);
    o.metric = NLSH_COSINE;
    assert_int_equal(nlsh_build_rows_resolve(&rows, &o, MEMORY, NULL, &by_cosine, &error), NLSH_OK);
    assert_int_equal(by_cosine.index_bytes, of_real.index_bytes);
}

static void what_cannot_be_is_said(void **state)
{
    struct made made = {.type = NLSH_U8};
    struct nlsh_build_options o;
    struct nlsh_error error;
    struct nlsh_rows rows = rows_of(&made, 1000000000);
    (void)state;
    nlsh_build_options_init(&o, sizeof o);
    assert_int_equal(nlsh_build_rows_resolve(&rows, &o, 1000000000, NULL, NULL, &error),
                     NLSH_E_ARG);
    assert_non_null(strstr(error.message, "1000 MB of memory are too little"));
    assert_int_equal(made.n_calls, 0);
    made.answer = NLSH_E_IO;
    rows.n_rows = 1000000;
    assert_int_equal(nlsh_build_rows_resolve(&rows, &o, 300000000, NULL, NULL, &error), NLSH_E_IO);
    struct nlsh_build_forecast unsaid = {.struct_size = 0};
    assert_int_equal(nlsh_build_rows_resolve(&rows, &o, 300000000, NULL, &unsaid, &error),
                     NLSH_E_ARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_rows_take_more),
        cmocka_unit_test(what_fits_is_foretold_as_ever),
        cmocka_unit_test(values_say_how_they_are_stored),
        cmocka_unit_test(what_cannot_be_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
