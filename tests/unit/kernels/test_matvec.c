/* test_matvec.c - the router's layers, of every table, against sums in double and in 64 bits. */
#include <math.h>
#include <stdlib.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "support/guard.h"

enum { MOST_GROUPS = 19, MOST_DIM = 784, MOST_ROWS = MOST_GROUPS * 16 };
#define UNIT 5.9604644775390625e-8

static const size_t group_counts[] = {1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 16, MOST_GROUPS};
static const size_t dims[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 64, 65, 129, MOST_DIM};

static const struct nlsh__kernels *tables[NLSH__N_TABLES];
static size_t n_tables;
static struct nlsh__rng rng;
static struct guarded room[8];

static float at(const float *values, size_t dim, size_t row, size_t d)
{
    return values[(row / 16 * dim + d) * 16 + row % 16];
}

static void check_f32(size_t n_groups, size_t dim)
{
    float *values = guarded_tail(&room[0], n_groups * 16 * dim * sizeof(float));
    float *bias = guarded_tail(&room[1], n_groups * 16 * sizeof(float));
    float *x = guarded_tail(&room[2], dim * sizeof(float));
    float *out = guarded_tail(&room[3], n_groups * 16 * sizeof(float));
    for (size_t i = 0; i < n_groups * 16 * dim; i++) values[i] = (float)nlsh__rng_normal(&rng);
    for (size_t i = 0; i < n_groups * 16; i++) bias[i] = (float)(10 * nlsh__rng_normal(&rng));
    for (size_t i = 0; i < dim; i++) x[i] = (float)nlsh__rng_normal(&rng);
    for (size_t t = 0; t < n_tables; t++) {
        for (size_t i = 0; i < n_groups * 16; i++) out[i] = NAN;
        tables[t]->matvec_f32(values, bias, n_groups, dim, x, out);
        for (size_t row = 0; row < n_groups * 16; row++) {
            double sum = (double)bias[row], size = fabs(sum);
            for (size_t d = 0; d < dim; d++) {
                double product = (double)at(values, dim, row, d) * (double)x[d];
                sum += product;
                size += fabs(product);
            }
            /* dim additions and as many products, each rounded once */
            double bound = UNIT * 1.01 * (double)(dim + 2) * size;
            if (!(fabs((double)out[row] - sum) <= bound))
                fail_msg("%s: row %zu of %zu x %zu is %.9g, not %.9g", tables[t]->name, row,
                         n_groups * 16, dim, (double)out[row], sum);
        }
    }
}

static void floats_stay_inside_the_bound(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof group_counts / sizeof *group_counts; i++)
        for (size_t j = 0; j < sizeof dims / sizeof *dims; j++) check_f32(group_counts[i], dims[j]);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Of the last three the pairs fit. */
enum values { RANDOM, LARGEST, SMALLEST, FITTING, FITTING_LARGEST, FITTING_SMALLEST, N_VALUES };

/* Value i of a row, behind the value before. */
static int8_t weight(enum values kind, size_t i, int8_t before)
{
    int any = (int)nlsh__rng_below(&rng, 256) - 128;
    switch (kind) {
    case LARGEST: return 127;
    case SMALLEST: return -128;
    case FITTING_LARGEST: return i % 2 == 0 ? (int8_t)(any & 127) : (int8_t)(128 - before);
    case FITTING_SMALLEST: return i % 2 == 0 ? (int8_t)(any | -128) : (int8_t)(-128 - before);
    case FITTING:
        while (i % 2 == 1 && abs(any + before) > NLSH__MOST_PAIR)
            any = (int)nlsh__rng_below(&rng, 256) - 128;
        return (int8_t)any;
    default: return (int8_t)any;
    }
}

/* Every table gives the same bits: the integers are exact, and what follows is three operations
 * that no table may join. */
static void check_i8(size_t n_groups, size_t n_chunks, enum values kind, int relu)
{
    size_t n_rows = n_groups * 16, dim = n_chunks * 4;
    int8_t *values = guarded_tail(&room[0], n_rows * dim);
    float *bias = guarded_tail(&room[1], n_rows * sizeof(float));
    uint8_t *x = guarded_tail(&room[2], dim);
    float *out = guarded_tail(&room[3], n_rows * sizeof(float));
    float *scale = guarded_tail(&room[4], n_rows * sizeof(float));
    int32_t *sums = guarded_tail(&room[5], n_rows * sizeof(int32_t));
    float x_scale = (float)(0.01 * nlsh__rng_uniform(&rng));
    int zero = (int)nlsh__rng_below(&rng, 256);
    memset(sums, 0, n_rows * sizeof *sums);
    for (size_t i = 0; i < dim; i++)
        x[i] = kind == RANDOM || kind == FITTING ? (uint8_t)nlsh__rng_below(&rng, 256) : 255;
    for (size_t row = 0; row < n_rows; row++) {
        bias[row] = (float)nlsh__rng_normal(&rng);
        scale[row] = (float)(0.1 * nlsh__rng_uniform(&rng));
        int8_t w = 0;
        for (size_t i = 0; i < dim; i++) {
            w = weight(kind, i, w);
            values[(row / 16 * n_chunks + i / 4) * 64 + row % 16 * 4 + i % 4] = w;
            sums[row] += w;
        }
    }
    struct nlsh__layer_i8 layer = {n_groups, n_chunks, values, scale, bias, sums, kind >= FITTING};
    for (size_t t = 0; t < n_tables; t++) {
        for (size_t i = 0; i < n_rows; i++) out[i] = NAN;
        tables[t]->matvec_i8(&layer, x, x_scale, zero, relu, out);
        for (size_t row = 0; row < n_rows; row++) {
            int64_t dot = 0;
            for (size_t i = 0; i < dim; i++)
                dot += (int64_t)values[(row / 16 * n_chunks + i / 4) * 64 + row % 16 * 4 + i % 4] *
                       ((int64_t)x[i] - zero);
            float expected = (float)dot * (scale[row] * x_scale);
            expected += bias[row];
            if (relu && expected < 0) expected = 0;
            if (out[row] == expected) continue;
            fail_msg("%s: row %zu of %zu x %zu is %.9g, not %.9g", tables[t]->name, row, n_rows,
                     dim, (double)out[row], (double)expected);
        }
    }
}

static void bytes_agree_bit_for_bit(void **state)
{
    static const size_t chunks[] = {0, 1, 2, 3, 4, 5, 16, 17, 33, MOST_DIM / 4};
    (void)state;
    for (size_t i = 0; i < sizeof group_counts / sizeof *group_counts; i++)
        for (size_t j = 0; j < sizeof chunks / sizeof *chunks; j++)
            for (enum values kind = RANDOM; kind < N_VALUES; kind++)
                check_i8(group_counts[i], chunks[j], kind, (int)((i + j) % 2));
}

/* Many inputs at once: the bits of one after another, and nothing beside them. */
static void check_many(size_t n_groups, size_t n_chunks, size_t n)
{
    enum values kind = nlsh__rng_below(&rng, 2) ? RANDOM : FITTING;
    size_t n_rows = n_groups * 16, dim = n_chunks * 4, stride = dim + 4 * nlsh__rng_below(&rng, 3);
    size_t out_stride = n_rows + 16 * nlsh__rng_below(&rng, 2);
    size_t padded = (n + NLSH__BLOCK - 1) / NLSH__BLOCK * NLSH__BLOCK;
    static float want[2 * NLSH__BLOCK * (MOST_ROWS + 16)];
    float *scales = guarded_tail(&room[2], n * sizeof *scales);
    float *out = guarded_tail(&room[7], n * out_stride * sizeof *out);
    _Alignas(64) static float aligned[2][MOST_ROWS];
    _Alignas(64) static int32_t sums[MOST_ROWS];
    int8_t *values = guarded_tail(&room[0], n_rows * dim);
    uint8_t *x = guarded_tail(&room[6], padded * stride + NLSH__BLOCK);
    for (size_t i = 0; i < n_rows * dim; i++)
        values[i] = weight(kind, i, i > 0 ? values[i - 1] : 0);
    for (size_t i = 0; i < padded * stride + NLSH__BLOCK; i++)
        x[i] = (uint8_t)nlsh__rng_below(&rng, 256);
    for (size_t i = 0; i < n; i++) scales[i] = (float)nlsh__rng_uniform(&rng);
    for (size_t i = 0; i < n_rows; i++) {
        aligned[0][i] = (float)nlsh__rng_uniform(&rng);
        aligned[1][i] = (float)nlsh__rng_normal(&rng);
        sums[i] = 0;
        for (size_t d = 0; d < dim; d++)
            sums[i] += values[(i / 16 * n_chunks + d / 4) * 64 + i % 16 * 4 + d % 4];
    }
    struct nlsh__layer_i8 layer = {n_groups,   n_chunks, values,         aligned[0],
                                   aligned[1], sums,     kind == FITTING};
    for (size_t t = 0; t < n_tables; t++) {
        for (size_t i = 0; i < n * out_stride; i++) out[i] = want[i] = 7;
        for (size_t i = 0; i < n; i++)
            tables[t]->matvec_i8(&layer, x + i * stride, scales[i], 128, n % 2,
                                 want + i * out_stride);
        tables[t]->matmat_i8(&layer, x, stride, n, scales, 128, n % 2, out, out_stride);
        assert_memory_equal(out, want, n * out_stride * sizeof *out);
    }
}

static void many_inputs_as_one(void **state)
{
    static const size_t chunks[] = {0, 1, 5, 16, 17, 32, 49};
    static const size_t counts[] = {1, 5, 6, 7, 8, 9, 31, 32, 33, 64, 65, 100};
    (void)state;
    for (size_t i = 0; i < sizeof group_counts / sizeof *group_counts; i++)
        for (size_t j = 0; j < sizeof chunks / sizeof *chunks; j++)
            for (size_t k = 0; k < sizeof counts / sizeof *counts; k++)
                check_many(group_counts[i], chunks[j], counts[k]);
    /* longer than what kernels hold of an input at once */
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) check_many(3, 257, counts[k]);
    check_many(2, 525, 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_stay_inside_the_bound),
        cmocka_unit_test(bytes_agree_bit_for_bit),
        cmocka_unit_test(many_inputs_as_one),
    };
    test_rng(&rng, 0);
    n_tables = nlsh__kernels_all(tables, NLSH__N_TABLES);
    room[0] = guarded_alloc(MOST_ROWS * MOST_DIM * sizeof(float));
    room[2] = guarded_alloc(MOST_DIM * sizeof(float));
    room[1] = guarded_alloc(MOST_ROWS * sizeof(float));
    for (size_t i = 3; i < 6; i++) room[i] = guarded_alloc(MOST_ROWS * sizeof(float));
    room[6] = guarded_alloc((2 * NLSH__BLOCK + 1) * 4 * 530);
    room[7] = guarded_alloc(2 * NLSH__BLOCK * (MOST_ROWS + 16) * sizeof(float));
    int failed = cmocka_run_group_tests_name("kernels/matvec", tests, NULL, NULL);
    for (size_t i = 0; i < 8; i++) guarded_free(&room[i]);
    return failed;
}
