/* test_training.c - training's products of rows that stand anywhere, of every table, against double. */
#include <math.h>

#include "kernels/kernels.h"
#include "support/guard.h"

enum { MOST = 9, MOST_DIM = 150 };
#define UNIT 5.9604644775390625e-8

static const struct nlsh__kernels *tables[NLSH__N_TABLES];
static size_t n_tables;
static struct nlsh__rng rng;

/* n rows, each before a page of its own that may not be touched. */
static void rows_new(size_t n, size_t dim, struct guarded *rows, float **out)
{
    for (size_t i = 0; i < n; i++) {
        rows[i] = guarded_alloc(dim * sizeof(float));
        out[i] = rows[i].data;
        for (size_t d = 0; d < dim; d++) out[i][d] = (float)nlsh__rng_normal(&rng);
    }
}

static void check_dots(size_t n_x, size_t n_w, size_t dim)
{
    struct guarded x_rows[MOST], out_rows[MOST];
    struct guarded weights = guarded_alloc(n_w * dim * sizeof(float));
    float *x[MOST], *out[MOST], bias[MOST], *w = weights.data;
    rows_new(n_x, dim, x_rows, x);
    rows_new(n_x, n_w, out_rows, out);
    for (size_t i = 0; i < n_w * dim; i++) w[i] = (float)nlsh__rng_normal(&rng);
    for (size_t j = 0; j < n_w; j++) bias[j] = (float)nlsh__rng_normal(&rng);
    for (size_t t = 0; t < n_tables; t++) {
        for (size_t i = 0; i < n_x; i++)
            for (size_t j = 0; j < n_w; j++) out[i][j] = NAN;
        tables[t]->dots_f32((const float *const *)x, n_x, w, n_w, bias, dim, out);
        for (size_t i = 0; i < n_x; i++)
            for (size_t j = 0; j < n_w; j++) {
                double sum = (double)bias[j], size = fabs(sum);
                for (size_t d = 0; d < dim; d++) {
                    double product = (double)x[i][d] * (double)w[j * dim + d];
                    sum += product;
                    size += fabs(product);
                }
                if (!(fabs((double)out[i][j] - sum) <= UNIT * (double)(dim + 2) * size))
                    fail_msg("%s: %zu x %zu of %zu: (%zu, %zu) is %.9g, not %.9g", tables[t]->name,
                             n_x, n_w, dim, i, j, (double)out[i][j], sum);
            }
    }
    for (size_t i = 0; i < n_x; i++) {
        guarded_free(&x_rows[i]);
        guarded_free(&out_rows[i]);
    }
    guarded_free(&weights);
}

/* a row after the other, or a column. */
static void check_mix(size_t n_c, size_t n_b, size_t dim, size_t row, size_t term)
{
    struct guarded b_rows[MOST], c_rows[MOST];
    struct guarded factors = guarded_alloc(n_c * n_b * sizeof(float));
    float *b[MOST], *c[MOST], *a = factors.data, before[MOST][MOST_DIM];
    rows_new(n_b, dim, b_rows, b);
    rows_new(n_c, dim, c_rows, c);
    for (size_t i = 0; i < n_c * n_b; i++) a[i] = (float)nlsh__rng_normal(&rng);
    for (size_t i = 0; i < n_c; i++) memcpy(before[i], c[i], dim * sizeof(float));
    for (size_t t = 0; t < n_tables; t++) {
        for (size_t i = 0; i < n_c; i++) memcpy(c[i], before[i], dim * sizeof(float));
        tables[t]->mix_f32(c, n_c, a, row, term, (const float *const *)b, n_b, dim);
        for (size_t i = 0; i < n_c; i++)
            for (size_t d = 0; d < dim; d++) {
                double sum = (double)before[i][d], size = fabs(sum);
                for (size_t j = 0; j < n_b; j++) {
                    sum += (double)a[i * row + j * term] * (double)b[j][d];
                    size += fabs((double)a[i * row + j * term] * (double)b[j][d]);
                }
                if (!(fabs((double)c[i][d] - sum) <= UNIT * (double)(n_b + 2) * size))
                    fail_msg("%s: %zu rows of %zu, of %zu: (%zu, %zu) is %.9g, not %.9g",
                             tables[t]->name, n_c, dim, n_b, i, d, (double)c[i][d], sum);
            }
    }
    for (size_t i = 0; i < n_b; i++) guarded_free(&b_rows[i]);
    for (size_t i = 0; i < n_c; i++) guarded_free(&c_rows[i]);
    guarded_free(&factors);
}

static const size_t dims[] = {1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 80, MOST_DIM};
enum { N_DIMS = sizeof dims / sizeof *dims };

static void dots_equal_a_loop(void **state)
{
    (void)state;
    for (size_t d = 0; d < N_DIMS; d++)
        for (size_t n_x = 1; n_x <= MOST; n_x++)
            for (size_t n_w = 1; n_w <= MOST; n_w += n_w < 5 ? 1 : 4) check_dots(n_x, n_w, dims[d]);
}

static void mixes_equal_a_loop(void **state)
{
    (void)state;
    for (size_t d = 0; d < N_DIMS; d++)
        for (size_t n_c = 1; n_c <= MOST; n_c++)
            for (size_t n_b = 1; n_b <= MOST; n_b += 4) {
                check_mix(n_c, n_b, dims[d], n_b, 1);
                check_mix(n_c, n_b, dims[d], 1, n_c);
            }
}

/* Three steps in double; the last values of each array are at a page's end. */
static void adamw_is_adamw(void **state)
{
    (void)state;
    for (size_t t = 0; t < n_tables; t++)
        for (size_t n = 1; n <= 70; n++) {
            struct guarded room[4];
            float *x[4]; /* parameters, moments, gradient */
            double p[70], m[70] = {0}, v[70] = {0};
            rows_new(4, n, room, x);
            for (size_t i = 0; i < n; i++) {
                p[i] = (double)x[0][i];
                x[1][i] = x[2][i] = 0;
            }
            for (int s = 1; s <= 3; s++) {
                const struct nlsh__adamw step = {
                    .scale = 0.5f,
                    .rate = (float)(0.01 / (1 - pow((double)0.9f, s + 1))),
                    .correction = (float)(1 / sqrt(1 - pow((double)0.999f, s))),
                    .keep = 0.999f,
                };
                for (size_t i = 0; i < n; i++)
                    x[3][i] = i % 9 == 4 ? 0 : (float)nlsh__rng_normal(&rng);
                tables[t]->adamw_f32(x[0], x[3], x[1], x[2], n, &step);
                for (size_t i = 0; i < n; i++) {
                    double g = 0.5 * (double)x[3][i];
                    m[i] = 0.9 * m[i] + 0.1 * g;
                    v[i] = 0.999 * v[i] + 0.001 * g * g;
                    p[i] = p[i] * 0.999 - 0.01 * (0.9 * m[i] + 0.1 * g) / (1 - pow(0.9, s + 1)) /
                                              (sqrt(v[i] / (1 - pow(0.999, s))) + 1e-8);
                    if (fabs((double)x[0][i] - p[i]) > 3e-6 * (1 + fabs(p[i])))
                        fail_msg("%s: step %d, %zu of %zu is %.9g, not %.9g", tables[t]->name, s, i,
                                 n, (double)x[0][i], p[i]);
                }
            }
            for (size_t i = 0; i < 4; i++) guarded_free(&room[i]);
        }
}

/* No rows, or nothing to add: nothing is touched. */
static void nothing_changes_nothing(void **state)
{
    (void)state;
    float row[4] = {1, 2, 3, 4}, *rows[1] = {row};
    const float *none[1] = {NULL}, kept[4] = {1, 2, 3, 4};
    for (size_t t = 0; t < n_tables; t++) {
        tables[t]->dots_f32(none, 0, row, 1, row, 4, rows);
        tables[t]->mix_f32(rows, 0, row, 1, 1, none, 1, 4);
        tables[t]->mix_f32(rows, 1, row, 1, 1, none, 0, 4);
        assert_memory_equal(row, kept, sizeof row);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dots_equal_a_loop),
        cmocka_unit_test(mixes_equal_a_loop),
        cmocka_unit_test(adamw_is_adamw),
        cmocka_unit_test(nothing_changes_nothing),
    };
    n_tables = nlsh__kernels_all(tables, NLSH__N_TABLES);
    test_rng(&rng, 0);
    return cmocka_run_group_tests_name("kernels/training", tests, NULL, NULL);
}
