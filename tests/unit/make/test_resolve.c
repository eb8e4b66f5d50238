/* test_resolve.c - settings that were left to the build, worked by hand from what settings and code say of
 * them. */
#include "make/resolve.h"

#include "base/rng.h"
#include "testing.h"

/* Settings for so many vectors; only their number and dimension are looked at. */
static struct nlsh_build_options resolved(size_t n, size_t dim)
{
    static const uint8_t none;
    struct nlsh_build_options o;
    struct nlsh_error error;
    const struct nlsh_matrix base = {&none, n, dim, NLSH_U8, 0};
    nlsh_build_options_init(&o, sizeof o);
    if (nlsh__resolve(&base, &o, &error) != NLSH_OK) fail_msg("%s", error.message);
    return o;
}

/* A power of two near n / 60, from 1 to 1,024. */
static void buckets(void **state)
{
    (void)state;
    static const size_t worked[][2] = {
        {2, 1},          {79, 1},         {80, 2},           {159, 2},      {160, 4},
        {10000, 128},    {10239, 128},    {10240, 256},      {60000, 1024}, {1000000, 1024},
        {7999999, 1024}, {8000000, 2048}, {2000000000, 2048}};
    for (size_t i = 0; i < sizeof worked / sizeof *worked; i++)
        assert_int_equal(resolved(worked[i][0], 16).n_buckets, worked[i][1]);
}

/* About 360,000 vectors seen: 6 of 60,000. */
static void epochs(void **state)
{
    (void)state;
    static const size_t worked[][2] = {{60000, 6}, {10000, 25}, {1000000, 3}, {100000000, 3},
                                       {5000, 50}, {1000, 100}, {100, 100},   {30000, 12},
                                       {48000, 8}, {100000, 4}, {499999, 2},  {59999, 7}};
    for (size_t i = 0; i < sizeof worked / sizeof *worked; i++)
        assert_int_equal(resolved(worked[i][0], 16).epochs, worked[i][1]);
}

/* Two for bytes, one for floats; what was asked for stays. */
static void layers(void **state)
{
    (void)state;
    static const float floats[4000] = {0.5f};
    struct nlsh_build_options o;
    struct nlsh_error error;
    const struct nlsh_matrix base = {floats, 1000, 4, NLSH_F32, 0};
    assert_int_equal(resolved(1000, 4).layers, 2);
    nlsh_build_options_init(&o, sizeof o);
    assert_int_equal(nlsh__resolve(&base, &o, &error), NLSH_OK);
    assert_int_equal(o.layers, 1);
    nlsh_build_options_init(&o, sizeof o);
    o.layers = 2;
    assert_int_equal(nlsh__resolve(&base, &o, &error), NLSH_OK);
    assert_int_equal(o.layers, 2);
}

/* Of too few rows to measure anything. */
static void components_and_codes(void **state)
{
    (void)state;
    static const size_t worked[][2] = {{1, 1},    {20, 20},   {64, 64},   {128, 64},
                                       {511, 64}, {512, 128}, {784, 128}, {4096, 128}};
    for (size_t i = 0; i < sizeof worked / sizeof *worked; i++) {
        struct nlsh_build_options o = resolved(4000, worked[i][0]);
        assert_int_equal(o.components, worked[i][1]);
        assert_int_equal(nlsh__whole_code(&o), (worked[i][1] + 1) / 2);
        assert_int_equal(o.code_bytes, NLSH_AUTO); /* by measurement, later */
    }
}

/* Twice the root of m, from 256 buckets on. */
static void groups(void **state)
{
    (void)state;
    static const size_t worked[][2] = {{1, 0},    {255, 0},   {256, 32},
                                       {512, 45}, {1024, 64}, {4096, 128}};
    static const uint8_t none;
    for (size_t i = 0; i < sizeof worked / sizeof *worked; i++) {
        struct nlsh_build_options o;
        const struct nlsh_matrix base = {&none, 50000, 32, NLSH_U8, 0};
        nlsh_build_options_init(&o, sizeof o);
        o.n_buckets = worked[i][0];
        assert_int_equal(nlsh__resolve(&base, &o, NULL), NLSH_OK);
        assert_int_equal(o.groups, worked[i][1]);
    }
}

static void leaves(void **state)
{
    (void)state;
    static const struct {
        size_t n, m, leaves, code_bytes, want;
    } worked[] = {
        {1280, 10, NLSH_AUTO, NLSH_AUTO, NLSH_AUTO}, /* 128 a bucket: measured later */
        {1279, 10, NLSH_AUTO, NLSH_AUTO, 0},
        {1279, 10, 1, NLSH_AUTO, 1},
        {5000, 10, 0, NLSH_AUTO, 0},
        {5000, 10, 1, 0, 0}, /* no leaves without codes */
        {5000, 10, NLSH_AUTO, 0, 0},
    };
    static const uint8_t none;
    for (size_t i = 0; i < sizeof worked / sizeof *worked; i++) {
        struct nlsh_build_options o;
        const struct nlsh_matrix base = {&none, worked[i].n, 32, NLSH_U8, 0};
        nlsh_build_options_init(&o, sizeof o);
        o.n_buckets = worked[i].m;
        o.leaves = worked[i].leaves;
        o.code_bytes = worked[i].code_bytes;
        assert_int_equal(nlsh__resolve(&base, &o, NULL), NLSH_OK);
        assert_int_equal(o.leaves, worked[i].want);
        assert_int_equal(nlsh__in_leaves(&o, worked[i].n), worked[i].want != 0);
    }
}

/* What cannot be is brought down to what can. */
static void more_than_there_is(void **state)
{
    (void)state;
    static const uint8_t none;
    struct nlsh_build_options o;
    const struct nlsh_matrix base = {&none, 30, 9, NLSH_U8, 0};
    nlsh_build_options_init(&o, sizeof o);
    o.knn = o.label_knn = 60;
    o.components = 64;
    o.code_bytes = 100;
    assert_int_equal(nlsh__resolve(&base, &o, NULL), NLSH_OK);
    assert_int_equal(o.knn, 29);
    assert_int_equal(o.label_knn, 29);
    assert_int_equal(o.components, 9);
    assert_int_equal(o.code_bytes, 5); /* 9 components of 4 bits */
    struct nlsh_error error;
    o.n_buckets = 31;
    assert_int_equal(nlsh__resolve(&base, &o, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "m is 31: it must lie between 1 and 30"));
    const struct nlsh_matrix one = {&none, 1, 9, NLSH_U8, 0};
    assert_int_equal(nlsh__resolve(&one, &o, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.hint, "two vectors"));
}

/* Bytes, the same as floats, and the same shifted into signed bytes: by whatever metric their own values are looked at. */
static void values_of_any_type(void **state)
{
    enum { N = 5000, DIM = 128 };
    static const enum nlsh_metric metrics[] = {NLSH_L2, NLSH_COSINE, NLSH_IP};
    uint8_t *bytes = malloc(N * DIM);
    int8_t *shifted = malloc(N * DIM);
    float *floats = malloc(N * DIM * sizeof *floats);
    struct nlsh__rng rng;
    (void)state;
    nlsh__rng_init(&rng, 1, 1);
    for (size_t i = 0; i < N; i++) {
        double z[4];
        for (size_t l = 0; l < 4; l++) z[l] = nlsh__rng_normal(&rng);
        for (size_t d = 0; d < DIM; d++) {
            double value = 120 + 25 * z[d % 4] + 5 * nlsh__rng_normal(&rng);
            size_t at = i * DIM + d;
            bytes[at] = (uint8_t)(value < 1 ? 1 : value > 255 ? 255 : value);
            floats[at] = bytes[at];
            shifted[at] = (int8_t)(bytes[at] - 128);
        }
    }
    const struct nlsh_matrix all[] = {
        {bytes, N, DIM, NLSH_U8, 0}, {floats, N, DIM, NLSH_F32, 0}, {shifted, N, DIM, NLSH_I8, 0}};
    for (size_t m = 0; m < 3; m++)
        for (size_t i = 0; i < 3; i++) {
            struct nlsh_build_options o, of_bytes;
            struct nlsh_error error;
            nlsh_build_options_init(&o, sizeof o);
            o.metric = metrics[m];
            o.n_buckets = 16;
            of_bytes = o;
            if (nlsh_build_resolve(&all[i], &o, NULL, NULL, &error) != NLSH_OK ||
                nlsh_build_resolve(&all[0], &of_bytes, NULL, NULL, &error) != NLSH_OK)
                fail_msg("%s", error.message);
            assert_true(o.components >= 1 && o.components <= DIM);
            /* a shift moves directions, but no distance */
            if (i == 1 || metrics[m] == NLSH_L2)
                assert_int_equal(o.components, of_bytes.components);
            assert_int_equal(o.graph, of_bytes.graph);
        }
    free(bytes);
    free(shifted);
    free(floats);
}

static void imbalance(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    nlsh_build_options_init(&o, sizeof o);
    assert_true(nlsh__imbalance(&o, NLSH_PARTITIONER_METIS) == .2);
    assert_true(nlsh__imbalance(&o, NLSH_PARTITIONER_KAHIP) == .2);
    assert_true(nlsh__imbalance(&o, NLSH_PARTITIONER_KMEANS) == .5);
    assert_true(nlsh__imbalance(&o, NLSH_PARTITIONER_VCYCLE) == .5);
    o.imbalance = 0;
    assert_true(nlsh__imbalance(&o, NLSH_PARTITIONER_METIS) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets),
        cmocka_unit_test(epochs),
        cmocka_unit_test(layers),
        cmocka_unit_test(components_and_codes),
        cmocka_unit_test(groups),
        cmocka_unit_test(leaves),
        cmocka_unit_test(more_than_there_is),
        cmocka_unit_test(values_of_any_type),
        cmocka_unit_test(imbalance),
    };
    return cmocka_run_group_tests_name("make/resolve", tests, NULL, NULL);
}
