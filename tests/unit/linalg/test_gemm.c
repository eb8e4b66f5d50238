/* test_gemm.c - products of every layout against a loop in double. */
#include "linalg/gemm.h"

#include <math.h>

#include "testing.h"

enum { MOST = 70 * 90, PADDING = 3 };
#define UNIT 5.9604644775390625e-8

static struct nlsh__rng rng;

static void fill(float *out, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = (float)nlsh__rng_normal(&rng);
}

/* Rows of A, B and C are wider in memory than used: what lies between must not matter, and in C
 * must stay. */
static void check(int ta, int tb, size_t m, size_t n, size_t k, float beta)
{
    static float a[MOST], b[MOST], c[MOST], before[MOST];
    size_t lda = (ta ? m : k) + PADDING, ldb = (tb ? k : n) + PADDING, ldc = n + PADDING;
    struct nlsh_error error = {0};
    fill(a, MOST);
    fill(b, MOST);
    fill(c, MOST);
    if (beta == 0)
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) c[i * ldc + j] = NAN; /* not read */
    memcpy(before, c, sizeof c);
    assert_int_equal(nlsh__gemm(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc, &error), NLSH_OK);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = beta == 0 ? 0 : (double)beta * (double)before[i * ldc + j];
            double size = fabs(sum);
            for (size_t t = 0; t < k; t++) {
                double x = (double)(ta ? a[t * lda + i] : a[i * lda + t]);
                double y = (double)(tb ? b[j * ldb + t] : b[t * ldb + j]);
                sum += x * y;
                size += fabs(x * y);
            }
            if (!(fabs((double)c[i * ldc + j] - sum) <= 1.01 * UNIT * (double)(k + 3) * size))
                fail_msg("%d%d %zu x %zu x %zu, beta %g: [%zu][%zu] is %.9g, not %.9g", ta, tb, m,
                         n, k, (double)beta, i, j, (double)c[i * ldc + j], sum);
        }
    for (size_t i = 0; i < MOST; i++)
        if (i / ldc >= m || i % ldc >= n) assert_true(c[i] == before[i]);
}

static void equals_a_loop(void **state)
{
    static const size_t sizes[][3] = {{1, 1, 1},    {1, 7, 5},    {5, 1, 7},    {7, 5, 1},
                                      {16, 16, 16}, {17, 33, 65}, {64, 48, 31}, {65, 87, 66}};
    static const float betas[] = {0, 1, -0.5f};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int transposes = 0; transposes < 4; transposes++)
            for (size_t b = 0; b < 3; b++)
                check(transposes & 1, transposes >> 1, sizes[s][0], sizes[s][1], sizes[s][2],
                      betas[b]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_a_loop)};
    test_rng(&rng, 0);
    return cmocka_run_group_tests_name("linalg/gemm", tests, NULL, NULL);
}
