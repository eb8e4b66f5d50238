/* test_matrix.c - values of every type as floats, against their definition; rows with gaps; what no matrix
 * may be. */
#include "base/matrix.h"

#include <math.h>

#include "testing.h"

static const enum nlsh_type all_types[] = {NLSH_U8,  NLSH_I8,   NLSH_F32, NLSH_I32,
                                           NLSH_F16, NLSH_BF16, NLSH_F64};
static const size_t all_sizes[] = {1, 1, 4, 4, 2, 2, 8};

static void types_have_names_and_sizes(void **state)
{
    (void)state;
    static const char *const names[] = {"u8", "i8", "f32", "i32", "f16", "bf16", "f64"};
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(nlsh__type_size(all_types[i]), all_sizes[i]);
        assert_string_equal(nlsh__type_name(all_types[i]), names[i]);
        assert_int_equal(nlsh__is_vector_type(all_types[i]), all_types[i] != NLSH_I32);
    }
    static const int none[] = {0, -1, 8, 1000};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(nlsh__type_size((enum nlsh_type)none[i]), 0);
        assert_string_equal(nlsh__type_name((enum nlsh_type)none[i]), "unknown");
        assert_int_equal(nlsh__is_vector_type((enum nlsh_type)none[i]), 0);
    }
}

/* A binary floating-point number by its fields: sign, exponent, and a fraction of so many bits. */
static double by_definition(uint32_t bits, int exponent_bits, int fraction_bits)
{
    uint32_t most = (1u << exponent_bits) - 1, exponent = bits >> fraction_bits & most;
    double fraction = ldexp(bits & ((1u << fraction_bits) - 1), -fraction_bits);
    double sign = bits >> (exponent_bits + fraction_bits) ? -1 : 1;
    int bias = (1 << (exponent_bits - 1)) - 1;
    if (exponent == most) return fraction > 0 ? (double)NAN : sign * HUGE_VAL;
    if (exponent == 0) return sign * ldexp(fraction, 1 - bias);
    return sign * ldexp(1 + fraction, (int)exponent - bias);
}

static void check_halves(enum nlsh_type type, int exponent_bits, int fraction_bits)
{
    static uint16_t halves[65536];
    static float got[65536];
    for (uint32_t i = 0; i < 65536; i++) halves[i] = (uint16_t)i;
    nlsh__row_to_f32(halves, type, 65536, got);
    for (uint32_t i = 0; i < 65536; i++) {
        double want = by_definition(i, exponent_bits, fraction_bits);
        int same = isnan(want) ? isnan(got[i])
                               : (double)got[i] == want && !signbit(got[i]) == !signbit(want);
        if (!same)
            fail_msg("%s %04x: %.9g, not %.9g", nlsh__type_name(type), i, (double)got[i], want);
    }
}

static void every_half(void **state)
{
    (void)state;
    check_halves(NLSH_F16, 5, 10);
    check_halves(NLSH_BF16, 8, 7);
}

static void bytes_and_doubles(void **state)
{
    (void)state;
    uint8_t bytes[256];
    float got[256];
    for (int i = 0; i < 256; i++) bytes[i] = (uint8_t)i;
    nlsh__row_to_f32(bytes, NLSH_U8, 256, got);
    for (int i = 0; i < 256; i++) assert_true(got[i] == (float)i);
    nlsh__row_to_f32(bytes, NLSH_I8, 256, got);
    for (int i = 0; i < 256; i++) assert_true(got[i] == (float)(i < 128 ? i : i - 256));

    static const double wide[] = {0, -0.0, 1.0 / 3, -1e300, 1e300, 1e39, -1e-50, 16777217, 2.5};
    static const float narrow[] = {0,        -0.0f, 1.0f / 3, -INFINITY, INFINITY,
                                   INFINITY, -0.0f, 16777216, 2.5f};
    nlsh__row_to_f32(wide, NLSH_F64, 9, got);
    assert_memory_equal(got, narrow, sizeof narrow);
    const double none[] = {(double)NAN, (double)INFINITY};
    nlsh__row_to_f32(none, NLSH_F64, 2, got);
    assert_true(isnan(got[0]) && isinf(got[1]));
    static const float floats[] = {1.5f, -INFINITY, 3e-45f};
    nlsh__row_to_f32(floats, NLSH_F32, 3, got);
    assert_memory_equal(got, floats, sizeof floats);
}

/* Rows need no alignment: the same values, one byte farther on. */
static void rows_at_odd_places(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 1);
    uint8_t even[64], odd[65];
    for (size_t i = 0; i < sizeof even; i++)
        even[i] = (uint8_t)nlsh__rng_below(&rng, 60); /* no NaN */
    memcpy(odd + 1, even, sizeof even);
    for (size_t t = 0; t < 7; t++) {
        float a[64], b[64];
        size_t dim = sizeof even / all_sizes[t];
        if (all_types[t] == NLSH_I32) continue;
        nlsh__row_to_f32(even, all_types[t], dim, a);
        nlsh__row_to_f32(odd + 1, all_types[t], dim, b);
        assert_memory_equal(a, b, dim * sizeof *a);
    }
}

static void rows_stand_a_stride_apart(void **state)
{
    (void)state;
    static const uint8_t data[400];
    for (size_t t = 0; t < 7; t++) {
        struct nlsh_matrix m = {data, 5, 3, all_types[t], 0};
        size_t row = 3 * all_sizes[t];
        assert_int_equal(nlsh__row_bytes(&m), row);
        for (m.stride = 0; m.stride <= row + 9; m.stride += m.stride == 0 ? row : 1) {
            assert_int_equal(nlsh__matrix_check(&m, "rows", NULL), NLSH_OK);
            assert_int_equal(nlsh__is_dense(&m), m.stride <= row);
            for (size_t i = 0; i < 5; i++)
                assert_ptr_equal(nlsh__row(&m, i), data + i * (m.stride ? m.stride : row));
        }
    }
}

static void refused(struct nlsh_matrix m, const char *words)
{
    struct nlsh_error error;
    assert_int_equal(nlsh__matrix_check(&m, "the set", &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "the set"));
    if (strstr(error.message, words) == NULL) fail_msg("no '%s' in '%s'", words, error.message);
    assert_int_equal(nlsh__matrix_check(&m, "the set", NULL), NLSH_E_ARG);
}

static void what_no_matrix_may_be(void **state)
{
    (void)state;
    static const uint8_t data[64];
    refused((struct nlsh_matrix){NULL, 1, 1, NLSH_U8, 0}, "no data");
    refused((struct nlsh_matrix){data, 1, 1, (enum nlsh_type)0, 0}, "0 is no type");
    refused((struct nlsh_matrix){data, 1, 1, (enum nlsh_type)8, 0}, "8 is no type");
    refused((struct nlsh_matrix){data, 2, 3, NLSH_F32, 11}, "stride of 11 bytes for rows of 12");
    refused((struct nlsh_matrix){data, 2, 3, NLSH_U8, 1}, "stride of 1");
    refused((struct nlsh_matrix){data, SIZE_MAX / 2, 3, NLSH_F32, 0}, "overflow");
    refused((struct nlsh_matrix){data, 1, SIZE_MAX / 2, NLSH_F64, 0}, "overflow");
    refused((struct nlsh_matrix){data, 3, 1, NLSH_U8, SIZE_MAX / 2}, "overflow");
    struct nlsh_error error;
    assert_int_equal(nlsh__matrix_check(NULL, "the set", &error), NLSH_E_ARG);
    struct nlsh_matrix none = {NULL, 0, 7, NLSH_F16, 0}; /* no rows need no data */
    assert_int_equal(nlsh__matrix_check(&none, "the set", &error), NLSH_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_have_names_and_sizes), cmocka_unit_test(every_half),
        cmocka_unit_test(bytes_and_doubles),          cmocka_unit_test(rows_at_odd_places),
        cmocka_unit_test(rows_stand_a_stride_apart),  cmocka_unit_test(what_no_matrix_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
