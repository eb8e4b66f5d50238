/* test_components.c - how many components are chosen, on rows whose spectrum is known. */
#include "make/components.h"

#include <math.h>

#include "support/refused.h"
#include "testing.h"

enum { N = 6000, MOST_DIM = 160 };

static float rows[N * MOST_DIM];

/* Rows whose component d has the standard deviation spread(d), turned by a few random reflections, so that
 * no component is a dimension. */
static struct nlsh_matrix rows_of(size_t dim, double (*spread)(size_t d), uint64_t stream)
{
    struct nlsh__rng rng;
    test_rng(&rng, stream);
    for (size_t i = 0; i < N * dim; i++)
        rows[i] = (float)(nlsh__rng_normal(&rng) * spread(i % dim));
    for (int turn = 0; turn < 4; turn++) {
        double mirror[MOST_DIM], length = 0;
        for (size_t d = 0; d < dim; d++) mirror[d] = nlsh__rng_normal(&rng);
        for (size_t d = 0; d < dim; d++) length += mirror[d] * mirror[d];
        for (size_t i = 0; i < N; i++) {
            double dot = 0;
            for (size_t d = 0; d < dim; d++) dot += mirror[d] * (double)rows[i * dim + d];
            for (size_t d = 0; d < dim; d++)
                rows[i * dim + d] -= (float)(2 * dot / length * mirror[d]);
        }
    }
    return (struct nlsh_matrix){rows, N, dim, NLSH_F32, 0};
}

static double flat(size_t d)
{
    (void)d;
    return 1;
}

static double steep(size_t d)
{
    return pow(0.93, (double)d);
}

/* 90 components alike and next to nothing behind them. */
static double ninety(size_t d)
{
    return d < 90 ? 1 : 0.01;
}

static struct nlsh_build_options options(void)
{
    struct nlsh_build_options o;
    nlsh_build_options_init(&o, sizeof o);
    o.n_buckets = 16;
    o.groups = 0;
    o.layers = 2;
    return o;
}

static size_t chosen(const struct nlsh_matrix *base, const struct nlsh_build_options *o)
{
    size_t n = 0;
    assert_int_equal(nlsh__auto_components(base, o, &n, NULL), NLSH_OK);
    return n;
}

static void few_components_that_say_all_are_enough(void **state)
{
    (void)state;
    struct nlsh_build_options o = options();
    struct nlsh_matrix base = rows_of(MOST_DIM, steep, 1);
    assert_int_equal(chosen(&base, &o), 64);
}

static void as_many_as_there_are(void **state)
{
    (void)state;
    struct nlsh_build_options o = options();
    struct nlsh_matrix base = rows_of(MOST_DIM, ninety, 2);
    assert_int_equal(chosen(&base, &o), 96);
    o.metric = NLSH_COSINE;
    assert_int_equal(chosen(&base, &o), 96);
    base = rows_of(80, flat, 3);
    assert_int_equal(chosen(&base, &o), 80);
}

/* The usual number, whatever the rows say. */
static void nothing_to_measure(void **state)
{
    (void)state;
    struct nlsh_build_options o = options();
    struct nlsh_matrix base = rows_of(MOST_DIM, ninety, 4);
    base.n_rows = 4000;
    assert_int_equal(chosen(&base, &o), 64);
    base.n_rows = N;
    o.metric = NLSH_IP;
    assert_int_equal(chosen(&base, &o), 64);
    o.metric = NLSH_L2;
    o.code_bytes = 0;
    assert_int_equal(chosen(&base, &o), 64);
    o.code_bytes = 8; /* of a code that short a wider router is no better */
    assert_int_equal(chosen(&base, &o), 64);
    o.code_bytes = NLSH_AUTO;
    base = rows_of(60, flat, 5);
    assert_int_equal(chosen(&base, &o), 60);
}

/* What a build refuses later, with words of its own, is no error here. */
static void values_that_do_not_fit(void **state)
{
    (void)state;
    struct nlsh_build_options o = options();
    struct nlsh_matrix base = rows_of(MOST_DIM, ninety, 6);
    for (size_t i = 0; i < N * MOST_DIM; i++) rows[i] *= 1e30f;
    assert_int_equal(chosen(&base, &o), 64);
    for (size_t i = 0; i < N * MOST_DIM; i++) rows[i] = 0;
    assert_int_equal(chosen(&base, &o), 64);
    o.metric = NLSH_COSINE;
    assert_int_equal(chosen(&base, &o), 64);
}

static enum nlsh_status choose(void *ctx, struct nlsh_error *error)
{
    struct nlsh_build_options o = options();
    size_t n = 0;
    return nlsh__auto_components(ctx, &o, &n, error);
}

static void memory_that_is_refused(void **state)
{
    (void)state;
    struct nlsh_matrix base = rows_of(70, flat, 7);
    assert_true(refuse_each(choose, &base) >= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_components_that_say_all_are_enough),
        cmocka_unit_test(as_many_as_there_are),
        cmocka_unit_test(nothing_to_measure),
        cmocka_unit_test(values_that_do_not_fit),
        cmocka_unit_test(memory_that_is_refused),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests_name("make/components", tests, NULL, NULL));
}
