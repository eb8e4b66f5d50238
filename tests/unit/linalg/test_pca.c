/* test_pca.c - principal components against a power iteration in double. */
#include "linalg/pca.h"

#include <math.h>

#include "testing.h"

static struct nlsh__rng rng;

static struct nlsh__job job_of(size_t n_threads)
{
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = n_threads};
    struct nlsh__job job;
    assert_int_equal(nlsh__job_begin(&run, &job, NULL), NLSH_OK);
    return job;
}

static double value_at(const struct nlsh_matrix *m, size_t row, size_t d)
{
    size_t at = row * m->dim + d;
    return m->type == NLSH_U8 ? ((const uint8_t *)m->data)[at]
                              : (double)((const float *)m->data)[at];
}

/* Rows around a point off the origin, whose spread falls from direction to direction; the
 * directions are mixed, so that no axis is a component. Freed through .data. */
static struct nlsh_matrix make_rows(enum nlsh_type type, size_t n, size_t dim)
{
    double *mix = malloc(dim * dim * sizeof *mix), *z = malloc(dim * sizeof *z);
    float *data = malloc(n * dim * sizeof *data);
    assert_true(mix && z && data);
    for (size_t i = 0; i < dim * dim; i++) mix[i] = nlsh__rng_normal(&rng) / sqrt((double)dim);
    for (size_t i = 0; i < n; i++) {
        for (size_t d = 0; d < dim; d++) z[d] = nlsh__rng_normal(&rng) * 30 * pow(0.8, (double)d);
        for (size_t d = 0; d < dim; d++) {
            double v = 120;
            for (size_t e = 0; e < dim; e++) v += mix[d * dim + e] * z[e];
            if (type == NLSH_U8)
                ((uint8_t *)data)[i * dim + d] = (uint8_t)fmax(0, fmin(255, floor(v)));
            else
                data[i * dim + d] = (float)v;
        }
    }
    free(mix);
    free(z);
    return (struct nlsh_matrix){data, n, dim, type, 0};
}

static double *covariance(const struct nlsh_matrix *m)
{
    double *mean = calloc(m->dim, sizeof *mean), *c = calloc(m->dim * m->dim, sizeof *c);
    assert_true(mean && c);
    for (size_t i = 0; i < m->n_rows; i++)
        for (size_t d = 0; d < m->dim; d++) mean[d] += value_at(m, i, d) / (double)m->n_rows;
    for (size_t i = 0; i < m->n_rows; i++)
        for (size_t d = 0; d < m->dim; d++)
            for (size_t e = 0; e < m->dim; e++)
                c[d * m->dim + e] += (value_at(m, i, d) - mean[d]) * (value_at(m, i, e) - mean[e]) /
                                     (double)m->n_rows;
    free(mean);
    return c;
}

/* v' C v of the largest eigenvector, which is taken out of C. */
static double power_iteration(double *c, size_t dim)
{
    double *v = malloc(dim * sizeof *v), *w = malloc(dim * sizeof *w), value = 0;
    for (size_t d = 0; d < dim; d++) v[d] = nlsh__rng_normal(&rng);
    for (int round = 0; round < 3000; round++) {
        double length = 0;
        for (size_t d = 0; d < dim; d++) {
            w[d] = 0;
            for (size_t e = 0; e < dim; e++) w[d] += c[d * dim + e] * v[e];
            length += w[d] * w[d];
        }
        value = sqrt(length);
        for (size_t d = 0; d < dim; d++) v[d] = w[d] / fmax(value, 1e-300);
    }
    for (size_t d = 0; d < dim; d++)
        for (size_t e = 0; e < dim; e++) c[d * dim + e] -= value * v[d] * v[e];
    free(v);
    free(w);
    return value;
}

static double form(const double *c, const float *a, const float *b, size_t dim)
{
    double sum = 0;
    for (size_t d = 0; d < dim; d++)
        for (size_t e = 0; e < dim; e++) sum += (double)a[d] * c[d * dim + e] * (double)b[e];
    return sum;
}

static void check(enum nlsh_type type, size_t n, size_t dim, size_t n_components)
{
    struct nlsh_matrix m = make_rows(type, n, dim);
    struct nlsh__job job = job_of(1);
    struct nlsh__projection p;
    assert_int_equal(nlsh__pca(&m, n_components, 1, &job, &p, NULL), NLSH_OK);
    assert_int_equal(p.dim, dim);
    assert_int_equal(p.n_components, n_components);
    assert_non_null(p.components);
    double *c = covariance(&m), *rest = covariance(&m), captured = 0, scale = (double)p.scale;
    double total = 0;
    for (size_t d = 0; d < dim; d++) {
        double mean = 0;
        for (size_t i = 0; i < n; i++) mean += value_at(&m, i, d) / (double)n;
        assert_true(fabs((double)p.mean[d] - mean) <= 1e-5 * fabs(mean) + 1e-6);
        total += c[d * dim + d];
    }
    double largest = 0;
    for (size_t i = 0; i < n_components; i++) {
        const float *a = p.components + i * dim;
        for (size_t j = 0; j <= i; j++) { /* rows of one length, at right angles */
            const float *b = p.components + j * dim;
            double dot = 0;
            for (size_t d = 0; d < dim; d++) dot += (double)a[d] * (double)b[d];
            assert_true(fabs(dot / (scale * scale) - (i == j)) < 1e-5);
        }
        double variance = form(c, a, a, dim) / (scale * scale), wanted = power_iteration(rest, dim);
        if (i == 0) largest = wanted;
        if (fabs(variance - wanted) > 2e-4 * largest)
            fail_msg("component %zu of %zu holds %g, not %g", i, n_components, variance, wanted);
        captured += variance;
        float peak = 0;
        for (size_t d = 0; d < dim; d++) peak = fabsf(a[d]) > fabsf(peak) ? a[d] : peak;
        assert_true(peak > 0);
    }
    assert_true(captured <= total * 1.0001);
    /* the mean variance of a component comes out as 1 */
    assert_true(fabs(captured * scale * scale / (double)n_components - 1) < 1e-3);
    free(c);
    free(rest);
    free((void *)m.data);
    nlsh__projection_free(&p);
    assert_null(p.mean);
    nlsh__job_end(&job);
}

static void components_hold_the_variance(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        check(type ? NLSH_F32 : NLSH_U8, 700, 2, 1);
        check(type ? NLSH_F32 : NLSH_U8, 700, 12, 11);
        check(type ? NLSH_F32 : NLSH_U8, 1100, 30, 8);
    }
}

/* Fewer rows than components: what is left over spans nothing, and is still orthonormal. */
static void fewer_rows_than_components(void **state)
{
    (void)state;
    check(NLSH_F32, 5, 20, 10);
    check(NLSH_F32, 2, 9, 3);
}

/* Every dimension is kept, or there are too many for LAPACK: the identity times scale. */
static void all_components_are_the_identity(void **state)
{
    static const size_t shapes[][3] = {/* n, dim, components */
                                       {300, 1, 1},
                                       {300, 7, 7},
                                       {40, 5000, 64}};
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        size_t n = shapes[s][0], dim = shapes[s][1];
        struct nlsh_matrix m = {NULL, n, dim, NLSH_F32, 0};
        float *rows = malloc(n * dim * sizeof *rows), *out = malloc(n * dim * sizeof *out);
        struct nlsh__job job = job_of(2);
        struct nlsh__projection p;
        for (size_t i = 0; i < n * dim; i++) rows[i] = (float)(50 + 3 * nlsh__rng_normal(&rng));
        m.data = rows;
        assert_int_equal(nlsh__pca(&m, shapes[s][2], 1, &job, &p, NULL), NLSH_OK);
        assert_null(p.components);
        assert_int_equal(p.n_components, dim);
        assert_int_equal(nlsh__project(&p, &m, &job, out, NULL), NLSH_OK);
        double variance = 0;
        for (size_t i = 0; i < n * dim; i++) {
            float expected = (rows[i] - p.mean[i % dim]) * p.scale;
            assert_true(out[i] == expected);
            variance += (double)out[i] * (double)out[i] / (double)(n * dim);
        }
        assert_true(fabs(variance - 1) < 1e-3);
        nlsh__projection_free(&p);
        nlsh__job_end(&job);
        free(rows);
        free(out);
    }
}

/* Nothing varies: every row goes to 0, by finite numbers. */
static void constant_rows(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 600; n += 599)
        for (size_t n_components = 2; n_components <= 6; n_components += 4) {
            float rows[600 * 6], out[600 * 6];
            struct nlsh_matrix m = {rows, n, 6, NLSH_F32, 0};
            struct nlsh__job job = job_of(1);
            struct nlsh__projection p;
            for (size_t i = 0; i < n * 6; i++) rows[i] = 0.25f * (float)(i % 6);
            assert_int_equal(nlsh__pca(&m, n_components, 1, &job, &p, NULL), NLSH_OK);
            assert_true(isfinite(p.scale) && p.scale > 0);
            assert_int_equal(nlsh__project(&p, &m, &job, out, NULL), NLSH_OK);
            for (size_t i = 0; i < n * n_components; i++) assert_true(out[i] == 0);
            nlsh__projection_free(&p);
            nlsh__job_end(&job);
        }
}

/* Squares beyond a float are the data's fault, and named so; the identity needs none. */
static void values_too_large(void **state)
{
    float rows[50 * 5], out[50 * 5];
    struct nlsh_matrix m = {rows, 50, 5, NLSH_F32, 0};
    struct nlsh__job job = job_of(1);
    struct nlsh__projection p;
    struct nlsh_error error = {0};
    (void)state;
    for (size_t i = 0; i < 50 * 5; i++) rows[i] = (float)(1e30 * nlsh__rng_normal(&rng));
    assert_int_equal(nlsh__pca(&m, 3, 1, &job, &p, &error), NLSH_E_DATA);
    assert_non_null(strstr(error.hint, "scale"));
    assert_null(p.mean);
    assert_int_equal(nlsh__pca(&m, 5, 1, &job, &p, NULL), NLSH_OK);
    assert_int_equal(nlsh__project(&p, &m, &job, out, NULL), NLSH_OK);
    for (size_t i = 0; i < 50 * 5; i++) assert_true(fabsf(out[i]) < 10);
    nlsh__projection_free(&p);
    nlsh__job_end(&job);
}

/* project() is components (x - mean), the same for any number of threads and block. */
static void projects_by_the_definition(void **state)
{
    static const size_t counts[] = {1, 511, 512, 513, 1300};
    (void)state;
    for (int type = 0; type < 2; type++)
        for (size_t s = 0; s < sizeof counts / sizeof *counts; s++) {
            size_t n = counts[s], dim = 19, wanted = 6;
            struct nlsh_matrix m = make_rows(type ? NLSH_F32 : NLSH_U8, n, dim);
            float *out[3];
            struct nlsh__job first = job_of(1);
            struct nlsh__projection p;
            assert_int_equal(nlsh__pca(&m, wanted, 4, &first, &p, NULL), NLSH_OK);
            nlsh__job_end(&first);
            for (size_t t = 0; t < 3; t++) {
                struct nlsh__job job = job_of(t + 1);
                out[t] = malloc(n * wanted * sizeof *out[t]);
                assert_int_equal(nlsh__project(&p, &m, &job, out[t], NULL), NLSH_OK);
                assert_memory_equal(out[t], out[0], n * wanted * sizeof *out[t]);
                nlsh__job_end(&job);
            }
            for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < wanted; j++) {
                    double sum = 0, size = 0;
                    for (size_t d = 0; d < dim; d++) {
                        double gap = value_at(&m, i, d) - (double)p.mean[d];
                        sum += gap * (double)p.components[j * dim + d];
                        size += fabs(gap * (double)p.components[j * dim + d]);
                    }
                    assert_true(fabs((double)out[0][i * wanted + j] - sum) <= 3e-6 * size);
                }
            for (size_t t = 0; t < 3; t++) free(out[t]);
            nlsh__projection_free(&p);
            free((void *)m.data);
        }
}

/* A sample of a large set, chosen by the seed alone. */
static void samples_by_the_seed(void **state)
{
    size_t n = 40000, dim = 3;
    struct nlsh_matrix m = make_rows(NLSH_F32, n, dim);
    struct nlsh__job job = job_of(1);
    struct nlsh__projection a, b;
    (void)state;
    assert_int_equal(nlsh__pca(&m, 2, 8, &job, &a, NULL), NLSH_OK);
    assert_int_equal(nlsh__pca(&m, 2, 8, &job, &b, NULL), NLSH_OK);
    assert_memory_equal(a.components, b.components, 2 * dim * sizeof(float));
    nlsh__projection_free(&b);
    assert_int_equal(nlsh__pca(&m, 2, 9, &job, &b, NULL), NLSH_OK);
    assert_memory_not_equal(a.components, b.components, 2 * dim * sizeof(float));
    for (size_t i = 0; i < 2 * dim; i++)
        assert_true(fabsf(a.components[i] - b.components[i]) < 0.05f * a.scale);
    nlsh__projection_free(&a);
    nlsh__projection_free(&b);
    nlsh__job_end(&job);
    free((void *)m.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(components_hold_the_variance),
        cmocka_unit_test(fewer_rows_than_components),
        cmocka_unit_test(all_components_are_the_identity),
        cmocka_unit_test(constant_rows),
        cmocka_unit_test(values_too_large),
        cmocka_unit_test(projects_by_the_definition),
        cmocka_unit_test(samples_by_the_seed),
    };
    test_rng(&rng, 0);
    return cmocka_run_group_tests_name("linalg/pca", tests, NULL, NULL);
}
