/* test_l2sq.c - squared distances and products of every table, every length, every place in a page. */
#include <math.h>

#include "base/half.h"
#include "kernels/kernels.h"
#include "support/guard.h"

#define LONGEST 960
#define UNIT 5.9604644775390625e-8 /* 2^-24: half a unit in the last place of a float near 1 */

static const struct nlsh__kernels *tables[NLSH__N_TABLES];
static size_t n_tables;
static struct guarded left, right; /* room for LONGEST floats and 64 bytes each */
static struct nlsh__rng rng;

static uint64_t reference_u8(const uint8_t *a, const uint8_t *b, size_t dim)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < dim; i++) {
        int64_t d = (int64_t)a[i] - b[i];
        sum += (uint64_t)(d * d);
    }
    return sum;
}

static double reference_f32(const float *a, const float *b, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++) {
        double d = (double)a[i] - (double)b[i];
        sum += d * d;
    }
    return sum;
}

/* Every term is >= 0 and rounded thrice, so the relative error is at most 4 units and one for every
 * addition that a term goes through: dim of them in order, dim / 8 and a tail in lanes. */
static void assert_close(const struct nlsh__kernels *table, double expected, float found,
                         size_t dim)
{
    size_t additions = table == tables[0] ? dim + 4 : dim / 8 + 24;
    if (fabs((double)found - expected) <= 1.01 * UNIT * (double)additions * expected) return;
    fail_msg("%s, %zu dimensions: %.9g, not %.9g", table->name, dim, (double)found, expected);
}

static void check_u8(const uint8_t *a, const uint8_t *b, size_t dim)
{
    uint64_t expected = reference_u8(a, b, dim);
    for (size_t t = 0; t < n_tables; t++) {
        uint32_t found = tables[t]->l2sq_u8(a, b, dim);
        if (found == expected) continue;
        fail_msg("%s, %zu dimensions: %u, not %llu", tables[t]->name, dim, (unsigned)found,
                 (unsigned long long)expected);
    }
}

static void check_f32(const float *a, const float *b, size_t dim)
{
    double expected = reference_f32(a, b, dim);
    for (size_t t = 0; t < n_tables; t++)
        assert_close(tables[t], expected, tables[t]->l2sq_f32(a, b, dim), dim);
}

/* Products have both signs: their sum of sizes takes the place of the sum. */
static void check_dot(const float *a, const float *b, size_t dim)
{
    double expected = 0, sizes = 0;
    for (size_t i = 0; i < dim; i++) {
        expected += (double)a[i] * (double)b[i];
        sizes += fabs((double)a[i] * (double)b[i]);
    }
    for (size_t t = 0; t < n_tables; t++) {
        size_t additions = t == 0 ? dim + 4 : dim / 8 + 24;
        float found = tables[t]->dot_f32(a, b, dim);
        if (fabs((double)found - expected) > 1.01 * UNIT * (double)additions * sizes)
            fail_msg("%s, %zu dimensions: %.9g, not %.9g", tables[t]->name, dim, (double)found,
                     expected);
    }
}

static void check_f32_u8(const float *a, const uint8_t *b, size_t dim)
{
    float wide[LONGEST];
    for (size_t i = 0; i < dim; i++) wide[i] = b[i];
    double expected = reference_f32(a, wide, dim);
    for (size_t t = 0; t < n_tables; t++)
        assert_close(tables[t], expected, tables[t]->l2sq_f32_u8(a, b, dim), dim);
}

/* To the bit what the table says of the same values as f32. */
static void check_f16(const float *a, uint16_t *b, size_t dim)
{
    float wide[LONGEST];
    for (size_t i = 0; i < dim; i++) b[i] = nlsh__to_f16((float)(100 * nlsh__rng_normal(&rng)));
    for (size_t i = 0; i < dim; i++) wide[i] = nlsh__from_f16(b[i]);
    for (size_t t = 0; t < n_tables; t++) {
        float l2sq = tables[t]->l2sq_f32_f16(a, b, dim), dot = tables[t]->dot_f32_f16(a, b, dim);
        if (l2sq != tables[t]->l2sq_f32(a, wide, dim) || dot != tables[t]->dot_f32(a, wide, dim))
            fail_msg("%s, %zu dimensions: f16 differs from f32", tables[t]->name, dim);
    }
}

static void check_bf16(const float *a, uint16_t *b, size_t dim)
{
    float wide[LONGEST];
    for (size_t i = 0; i < dim; i++) b[i] = nlsh__to_bf16((float)(100 * nlsh__rng_normal(&rng)));
    for (size_t i = 0; i < dim; i++) wide[i] = nlsh__from_bf16(b[i]);
    for (size_t t = 0; t < n_tables; t++) {
        float l2sq = tables[t]->l2sq_f32_bf16(a, b, dim), dot = tables[t]->dot_f32_bf16(a, b, dim);
        if (l2sq != tables[t]->l2sq_f32(a, wide, dim) || dot != tables[t]->dot_f32(a, wide, dim))
            fail_msg("%s, %zu dimensions: bf16 differs from f32", tables[t]->name, dim);
    }
}

/* A scale of no few bits: a product with it has to be rounded, and before the subtraction. */
static void check_i8(const float *a, int8_t *b, size_t dim)
{
    const float scale = 1.2345678f;
    float wide[LONGEST];
    for (size_t i = 0; i < dim; i++) b[i] = (int8_t)((int)nlsh__rng_below(&rng, 256) - 128);
    for (size_t i = 0; i < dim; i++) wide[i] = scale * (float)b[i];
    for (size_t t = 0; t < n_tables; t++) {
        float l2sq = tables[t]->l2sq_f32_i8(a, b, scale, dim);
        float dot = tables[t]->dot_f32_i8(a, b, scale, dim);
        if (l2sq != tables[t]->l2sq_f32(a, wide, dim) || dot != tables[t]->dot_f32(a, wide, dim))
            fail_msg("%s, %zu dimensions: scaled bytes differ from f32", tables[t]->name, dim);
    }
}

static void fill_u8(uint8_t *out, size_t n)
{
    uint64_t kind = nlsh__rng_below(&rng, 4); /* all 0, all 255, and twice anything */
    for (size_t i = 0; i < n; i++)
        out[i] = kind == 0 ? 0 : kind == 1 ? 255 : (uint8_t)nlsh__rng_below(&rng, 256);
}

static void fill_f32(float *out, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = (float)(100 * nlsh__rng_normal(&rng));
}

static void at_the_end_of_a_page(size_t dim)
{
    uint8_t *a = guarded_tail(&left, dim), *b = guarded_tail(&right, dim);
    float *x = guarded_tail(&left, dim * sizeof *x), *y = guarded_tail(&right, dim * sizeof *y);
    fill_u8(a, dim);
    fill_u8(b, dim);
    check_u8(a, b, dim);
    fill_f32(x, dim);
    check_f32_u8(x, b, dim);
    fill_f32(y, dim);
    check_f32(x, y, dim);
    check_dot(x, y, dim);
    check_f16(x, guarded_tail(&right, dim * sizeof(uint16_t)), dim);
    check_bf16(x, guarded_tail(&right, dim * sizeof(uint16_t)), dim);
    check_i8(x, guarded_tail(&right, dim), dim);
}

static void anywhere(size_t dim)
{
    size_t i = nlsh__rng_below(&rng, 64), j = nlsh__rng_below(&rng, 64);
    uint8_t *a = (uint8_t *)left.pages + i, *b = (uint8_t *)right.pages + j;
    float *x = (float *)left.pages + i % 16, *y = (float *)right.pages + j % 16;
    fill_u8(a, dim);
    fill_u8(b, dim);
    check_u8(a, b, dim);
    fill_f32(x, dim);
    check_f32_u8(x, b, dim);
    fill_f32(y, dim);
    check_f32(x, y, dim);
    check_dot(x, y, dim);
    check_f16(x, (uint16_t *)right.pages + j, dim);
    check_bf16(x, (uint16_t *)right.pages + j, dim);
    check_i8(x, (int8_t *)right.pages + j, dim);
}

static void agree_with_the_reference(void **state)
{
    static const size_t longer[] = {511, 512, 513, 784, LONGEST};
    (void)state;
    for (size_t d = 0; d <= 257 + sizeof longer / sizeof *longer; d++) {
        size_t dim = d <= 257 ? d : longer[d - 258];
        for (int repeat = 0; repeat < 3; repeat++) at_the_end_of_a_page(dim);
        for (int repeat = 0; repeat < 16; repeat++) anywhere(dim);
    }
}

/* A one in every place: no value is skipped or taken twice. */
static void count_every_value_once(void **state)
{
    (void)state;
    for (size_t dim = 1; dim <= 200; dim++) {
        uint8_t *a = guarded_tail(&left, dim), *b = guarded_tail(&right, dim);
        memset(a, 7, dim);
        memset(b, 7, dim);
        for (size_t i = 0; i < dim; i++) {
            b[i] = 9;
            for (size_t t = 0; t < n_tables; t++)
                assert_int_equal(tables[t]->l2sq_u8(a, b, dim), 4);
            b[i] = 7;
        }
        float *x = guarded_tail(&left, dim * sizeof *x), *y = guarded_tail(&right, dim * sizeof *y);
        for (size_t i = 0; i < dim; i++) x[i] = y[i] = 3;
        for (size_t i = 0; i < dim; i++) {
            y[i] = 1.5f;
            for (size_t t = 0; t < n_tables; t++)
                assert_true(tables[t]->l2sq_f32(x, y, dim) == 2.25f);
            for (size_t t = 0; t < n_tables; t++)
                assert_true(tables[t]->dot_f32(x, y, dim) == 9.0f * (float)dim - 4.5f);
            y[i] = 3;
        }
        memset(b, 3, dim);
        for (size_t i = 0; i < dim; i++) {
            b[i] = 253;
            for (size_t t = 0; t < n_tables; t++)
                assert_true(tables[t]->l2sq_f32_u8(x, b, dim) == 62500.0f);
            b[i] = 3;
        }
    }
}

static void fit_at_the_largest_dimension(void **state)
{
    (void)state;
    size_t dim = NLSH__MAX_DIM_U8;
    struct guarded a = guarded_alloc(dim), b = guarded_alloc(dim);
    static const int values[][2] = {{0, 255}, {255, 0}, {0, 0}, {255, 255}, {127, 128}};
    for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
        memset(a.data, values[v][0], dim);
        memset(b.data, values[v][1], dim);
        check_u8(a.data, b.data, dim);
    }
    for (size_t i = 0; i < dim; i++) ((uint8_t *)b.data)[i] = i % 2 == 0 ? 0 : 255;
    check_u8(a.data, b.data, dim);
    guarded_free(&a);
    guarded_free(&b);
}

/* Too large for a float: infinity from every table, not NaN and no number. */
static void overflow_to_infinity(void **state)
{
    (void)state;
    float a[40], b[40];
    for (size_t i = 0; i < 40; i++) {
        a[i] = 1e30f;
        b[i] = -1e30f;
    }
    for (size_t t = 0; t < n_tables; t++)
        for (size_t dim = 1; dim <= 40; dim++) {
            assert_true(tables[t]->l2sq_f32(a, b, dim) == INFINITY);
            assert_true(tables[t]->l2sq_f32(a, a, dim) == 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agree_with_the_reference),
        cmocka_unit_test(count_every_value_once),
        cmocka_unit_test(fit_at_the_largest_dimension),
        cmocka_unit_test(overflow_to_infinity),
    };
    test_rng(&rng, 0);
    n_tables = nlsh__kernels_all(tables, NLSH__N_TABLES);
    left = guarded_alloc(LONGEST * sizeof(float) + 64);
    right = guarded_alloc(LONGEST * sizeof(float) + 64);
    int failed = cmocka_run_group_tests_name("kernels/l2sq", tests, NULL, NULL);
    guarded_free(&left);
    guarded_free(&right);
    return failed;
}
