/*
 * test_bf16.c - what training does in bf16, on every table that has it: tiles hold what bf16.h says,
 * products of tiles against double, the passes against loops.
 *
 * Buffers end at a page that may not be touched.
 */
#include <math.h>

#include "kernels/bf16.h"
#include "kernels/kernels.h"
#include "support/guard.h"

enum { SIDE = 32, TILE = 512, MOST_TILES = 8, MOST_K = 5, LD = 37 };
#define UNIT 5.9604644775390625e-8

static const struct nlsh__bf16 *tables[NLSH__N_TABLES];
static const char *names[NLSH__N_TABLES];
static size_t n_tables;
static struct nlsh__rng rng;

/* To the nearest of the values whose lower half is zero, ties to the even one. */
static uint16_t rounded(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static double value(uint16_t bf16)
{
    uint32_t bits = (uint32_t)bf16 << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

/* ---- packing --------------------------------------------------------------------------------- */

typedef void pack_fn(const float *x, size_t ld, uint16_t *first, uint16_t *second);

/* Where value (row, column) of the block stands; a side is [16 rows or columns][32 of k]. */
static void check_pack(const char *name, pack_fn *pack, int right, int transposed)
{
    struct guarded x = guarded_alloc((31 * LD + SIDE) * sizeof(float));
    struct guarded out[2] = {guarded_alloc(TILE * 2), guarded_alloc(TILE * 2)};
    for (size_t i = 0; i < 31 * LD + SIDE; i++) {
        float v = (float)nlsh__rng_normal(&rng);
        if (i % 7 == 0) v = 1 + (float)(i % 5) / 256; /* half-way between two */
        if (i % 11 == 0) v *= 1e-20f;
        ((float *)x.data)[i] = v;
    }
    pack(x.data, LD, out[0].data, out[1].data);
    for (size_t r = 0; r < SIDE; r++)
        for (size_t c = 0; c < SIDE; c++) {
            /* a left side's rows are the block's; a right side's k is */
            size_t k = right == transposed ? c : r, line = right == transposed ? r : c;
            size_t at = right ? k / 2 * 32 + line % 16 * 2 + k % 2 : line % 16 * 32 + k;
            uint16_t found = ((uint16_t *)out[line / 16].data)[at];
            uint16_t expected = rounded(((float *)x.data)[r * LD + c]);
            if (found != expected)
                fail_msg("%s, right %d, transposed %d: (%zu, %zu) is %x, not %x", name, right,
                         transposed, r, c, (unsigned)found, (unsigned)expected);
        }
    guarded_free(&x);
    guarded_free(&out[0]);
    guarded_free(&out[1]);
}

static void tiles_hold_what_they_should(void **state)
{
    (void)state;
    for (size_t t = 0; t < n_tables; t++) {
        check_pack(names[t], tables[t]->left, 0, 0);
        check_pack(names[t], tables[t]->left_t, 0, 1);
        check_pack(names[t], tables[t]->right, 1, 0);
        check_pack(names[t], tables[t]->right_t, 1, 1);
    }
}

/* ---- products -------------------------------------------------------------------------------- */

static void check_product(size_t t, size_t ni, size_t nj, size_t nk)
{
    size_t a_step = (nk + 1) * TILE, b_step = (nk + 2) * TILE, ldc = 16 * nj + 16;
    struct guarded a = guarded_alloc(((ni - 1) * a_step + nk * TILE) * 2);
    struct guarded b = guarded_alloc(((nj - 1) * b_step + nk * TILE) * 2);
    struct guarded c = guarded_alloc(((16 * ni - 1) * ldc + 16 * nj) * 4);
    uint16_t *left = a.data, *right = b.data;
    float *out = c.data;
    for (size_t i = 0; i < (ni - 1) * a_step + nk * TILE; i++)
        left[i] = rounded((float)nlsh__rng_normal(&rng));
    for (size_t i = 0; i < (nj - 1) * b_step + nk * TILE; i++)
        right[i] = rounded((float)nlsh__rng_normal(&rng));
    for (size_t i = 0; i < (16 * ni - 1) * ldc + 16 * nj; i++) out[i] = 7;
    tables[t]->begin();
    tables[t]->product(left, a_step, right, b_step, ni, nj, nk, out, ldc);
    tables[t]->end();
    for (size_t i = 0; i < 16 * ni; i++)
        for (size_t j = 0; j < 16 * nj; j++) {
            double sum = 0, size = 0;
            for (size_t k = 0; k < 32 * nk; k++) {
                double x = value(left[i / 16 * a_step + k / 32 * TILE + i % 16 * 32 + k % 32]);
                double y = value(
                    right[j / 16 * b_step + k / 32 * TILE + k % 32 / 2 * 32 + j % 16 * 2 + k % 2]);
                sum += x * y;
                size += fabs(x * y);
            }
            if (fabs((double)out[i * ldc + j] - sum) > UNIT * (double)(32 * nk + 2) * size)
                fail_msg("%s: %zu x %zu tiles over %zu: (%zu, %zu) is %.9g, not %.9g", names[t], ni,
                         nj, nk, i, j, (double)out[i * ldc + j], sum);
        }
    for (size_t i = 0; i + 1 < 16 * ni; i++)
        for (size_t j = 16 * nj; j < ldc; j++) assert_true(out[i * ldc + j] == 7);
    guarded_free(&a);
    guarded_free(&b);
    guarded_free(&c);
}

static void products_equal_a_loop(void **state)
{
    (void)state;
    for (size_t t = 0; t < n_tables; t++)
        for (size_t ni = 2; ni <= 4; ni += 2)
            for (size_t nj = 2; nj <= MOST_TILES; nj += 2)
                for (size_t nk = 1; nk <= MOST_K; nk += 2) check_product(t, ni, nj, nk);
}

/* ---- passes ---------------------------------------------------------------------------------- */

static void passes_equal_loops(void **state)
{
    (void)state;
    for (size_t t = 0; t < n_tables; t++) {
        struct guarded room = guarded_alloc((31 * LD + SIDE) * sizeof(float));
        float *x = room.data, before[SIDE * LD], bias[SIDE], sums[SIDE], kept[SIDE];
        _Alignas(64) uint16_t tiles[2][TILE];
        for (size_t i = 0; i < SIDE; i++) bias[i] = sums[i] = (float)nlsh__rng_normal(&rng);
        for (size_t i = 0; i < 31 * LD + SIDE; i++) x[i] = (float)nlsh__rng_normal(&rng);
        memcpy(before, x, (31 * LD + SIDE) * sizeof *x);
        memcpy(kept, sums, sizeof sums);
        tables[t]->columns(x, LD, 31, sums);
        for (int relu = 0; relu < 2; relu++) {
            memcpy(x, before, (31 * LD + SIDE) * sizeof *x);
            x[3] = NAN;
            tables[t]->add(x, LD, SIDE, bias, relu);
            assert_true(isnan(x[3]));
            x[3] = before[3] + bias[3];
            if (relu && x[3] < 0) x[3] = 0;
            for (size_t r = 0; r < SIDE; r++)
                for (size_t c = 0; c < SIDE; c++) {
                    float v = before[r * LD + c] + bias[c];
                    assert_true(x[r * LD + c] == (relu && v < 0 ? 0 : v));
                }
        }
        tables[t]->left(x, LD, tiles[0], tiles[1]); /* x is what ReLU left */
        memcpy(x, before, (31 * LD + SIDE) * sizeof *x);
        tables[t]->gate(x, LD, tiles[0], tiles[1], 1.25f);
        size_t closed = 0;
        for (size_t r = 0; r < SIDE; r++)
            for (size_t c = 0; c < SIDE; c++) {
                int open = before[r * LD + c] + bias[c] > 0;
                closed += !open;
                assert_true(x[r * LD + c] == (open ? before[r * LD + c] * 1.25f : 0));
            }
        assert_true(closed > 200 && closed < 800);
        for (size_t c = 0; c < SIDE; c++) {
            double sum = (double)kept[c];
            for (size_t r = 0; r < 31; r++) sum += (double)before[r * LD + c];
            assert_float_equal(sums[c], sum, 1e-5);
        }
        guarded_free(&room);
    }
}

/* Three steps against AdamW in double; what is not among the columns stays. */
static void check_adamw(size_t t, size_t n_rows, size_t n_columns)
{
    size_t count = (n_rows - 1) * LD + n_columns;
    struct guarded room[4];
    double p[SIDE * LD], m[SIDE * LD] = {0}, v[SIDE * LD] = {0};
    for (size_t i = 0; i < 3; i++) room[i] = guarded_alloc(count * sizeof(float));
    room[3] = guarded_alloc(SIDE * SIDE * sizeof(float));
    float *parameters = room[0].data, *first = room[1].data, *second = room[2].data;
    float *gradient = room[3].data;
    for (size_t i = 0; i < count; i++) {
        parameters[i] = (float)nlsh__rng_normal(&rng);
        p[i] = (double)parameters[i];
        first[i] = second[i] = 0;
    }
    for (int s = 1; s <= 3; s++) {
        struct nlsh__adamw step = {0.5f, (float)(0.01 / (1 - pow(0.9, s + 1))),
                                   (float)(1 / sqrt(1 - pow(0.999, s))), 0.999f};
        for (size_t i = 0; i < SIDE * SIDE; i++) {
            const float sizes[] = {0, 1e-12f, 1e-6f, 1, 1e5f};
            gradient[i] = sizes[i % 5] * (float)nlsh__rng_normal(&rng);
        }
        tables[t]->adamw(parameters, first, second, LD, gradient, n_rows, n_columns, &step);
        for (size_t r = 0; r < n_rows; r++)
            for (size_t c = 0; c < LD; c++) {
                size_t i = r * LD + c;
                if (i >= count) break;
                double g = 0.5 * (double)gradient[r * SIDE + (c < SIDE ? c : 0)];
                if (c < n_columns) {
                    m[i] = 0.9 * m[i] + 0.1 * g;
                    v[i] = 0.999 * v[i] + 0.001 * g * g;
                    p[i] = p[i] * 0.999 - 0.01 * (0.9 * m[i] + 0.1 * g) / (1 - pow(0.9, s + 1)) /
                                              (sqrt(v[i] / (1 - pow(0.999, s))) + 1e-8);
                }
                if (fabs((double)parameters[i] - p[i]) > 3e-6 * (1 + fabs(p[i])))
                    fail_msg("%s: step %d, (%zu, %zu) of %zu x %zu is %.9g, not %.9g", names[t], s,
                             r, c, n_rows, n_columns, (double)parameters[i], p[i]);
            }
    }
    for (size_t i = 0; i < 4; i++) guarded_free(&room[i]);
}

static void adamw_is_adamw(void **state)
{
    static const size_t columns[] = {1, 15, 16, 17, 31, 32};
    (void)state;
    for (size_t t = 0; t < n_tables; t++)
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
            check_adamw(t, 1, columns[c]);
            check_adamw(t, SIDE, columns[c]);
        }
}

/* Scores bias - 2 dots: the least of each lane, and those up to a limit. */
static void check_scores(size_t t, size_t n)
{
    struct guarded dots = guarded_alloc(n * 4), bias = guarded_alloc(n * 4);
    struct guarded scores = guarded_alloc((n + 16) * 4), ids = guarded_alloc((n + 16) * 4);
    float *d = dots.data, *b = bias.data, lanes[64], expected[64];
    for (size_t i = 0; i < 64; i++) expected[i] = INFINITY;
    for (size_t i = 0; i < n; i++) {
        d[i] = (float)nlsh__rng_normal(&rng);
        b[i] = i % 9 == 5 ? INFINITY : (float)nlsh__rng_below(&rng, 7);
        if (i % 50 == 17) d[i] = NAN;
        if (b[i] - 2 * d[i] < expected[i % 64]) expected[i % 64] = b[i] - 2 * d[i];
    }
    tables[t]->least(d, b, n, lanes);
    assert_memory_equal(lanes, expected, sizeof lanes);
    const float limits[] = {-INFINITY, expected[3], 2, INFINITY};
    for (size_t l = 0; l < 4; l++) {
        size_t found = tables[t]->below(d, b, n, limits[l], 1000, scores.data, ids.data), count = 0;
        for (size_t i = 0; i < n; i++) {
            float score = b[i] - 2 * d[i];
            if (!(score <= limits[l])) continue;
            assert_true(count < found && ((uint32_t *)ids.data)[count] == 1000 + i);
            assert_true(((float *)scores.data)[count++] == score);
        }
        assert_int_equal(found, count);
    }
    guarded_free(&dots);
    guarded_free(&bias);
    guarded_free(&scores);
    guarded_free(&ids);
}

static void scores_equal_a_loop(void **state)
{
    (void)state;
    for (size_t t = 0; t < n_tables; t++)
        for (size_t n = 64; n <= 1024; n += 192) check_scores(t, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_equal_a_loop),   cmocka_unit_test(tiles_hold_what_they_should),
        cmocka_unit_test(products_equal_a_loop), cmocka_unit_test(passes_equal_loops),
        cmocka_unit_test(adamw_is_adamw),
    };
    const struct nlsh__kernels *all[NLSH__N_TABLES];
    size_t n = nlsh__kernels_all(all, NLSH__N_TABLES);
    for (size_t i = 0; i < n; i++)
        if (all[i]->bf16 != NULL) {
            names[n_tables] = all[i]->name;
            tables[n_tables++] = all[i]->bf16;
        }
    if (n_tables == 0) {
        printf("skipped: this processor has no products in bf16\n");
        return 77;
    }
    test_rng(&rng, 0);
    return cmocka_run_group_tests_name("kernels/bf16", tests, NULL, NULL);
}
