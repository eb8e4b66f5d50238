/* test_short_memory.c - oneDNN and LAPACK say that memory ran out: so do we. Their functions are replaced by
 * ones that say so. */
#include <lapacke.h>
#include <oneapi/dnnl/dnnl.h>

#include "linalg/gemm.h"
#include "linalg/pca.h"
#include "testing.h"

enum { N = 40, DIM = 4 };

static dnnl_status_t product = dnnl_success;
static lapack_int eigenvectors = 0;

dnnl_status_t DNNL_API dnnl_sgemm(char transa, char transb, dnnl_dim_t m, dnnl_dim_t n,
                                  dnnl_dim_t k, float alpha, const float *a, dnnl_dim_t lda,
                                  const float *b, dnnl_dim_t ldb, float beta, float *c,
                                  dnnl_dim_t ldc)
{
    (void)transa, (void)transb, (void)k, (void)alpha, (void)a, (void)lda, (void)b, (void)ldb;
    for (dnnl_dim_t i = 0; i < m && beta == 0; i++)
        for (dnnl_dim_t j = 0; j < n; j++) c[i * ldc + j] = 0;
    return product;
}

lapack_int LAPACKE_dsyevr(int layout, char jobz, char range, char uplo, lapack_int n, double *a,
                          lapack_int lda, double vl, double vu, lapack_int il, lapack_int iu,
                          double abstol, lapack_int *m, double *w, double *z, lapack_int ldz,
                          lapack_int *isuppz)
{
    (void)layout, (void)jobz, (void)range, (void)uplo, (void)n, (void)a, (void)lda, (void)vl;
    (void)vu, (void)il, (void)iu, (void)abstol, (void)m, (void)w, (void)z, (void)ldz, (void)isuppz;
    return eigenvectors;
}

static void a_product_without_memory(void **state)
{
    const float a[DIM * DIM] = {1}, b[DIM * DIM] = {1};
    float c[DIM * DIM];
    struct nlsh_error error;
    (void)state;
    product = dnnl_out_of_memory;
    assert_int_equal(nlsh__gemm(0, 0, DIM, DIM, DIM, a, DIM, b, DIM, 0, c, DIM, &error),
                     NLSH_E_NOMEM);
    assert_non_null(strstr(error.message, "oneDNN"));
    product = dnnl_invalid_arguments; /* that is our fault */
    assert_int_equal(nlsh__gemm(0, 0, DIM, DIM, DIM, a, DIM, b, DIM, 0, c, DIM, &error),
                     NLSH_E_INTERNAL);
    product = dnnl_success;
}

static void components_without_memory(void **state)
{
    static const lapack_int answers[] = {LAPACK_WORK_MEMORY_ERROR, LAPACK_TRANSPOSE_MEMORY_ERROR,
                                         3};
    float rows[N * DIM];
    const struct nlsh_matrix base = {rows, N, DIM, NLSH_F32, 0};
    const struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    struct nlsh__job job;
    struct nlsh__rng rng;
    struct nlsh_error error;
    (void)state;
    test_rng(&rng, 1);
    for (size_t i = 0; i < N * DIM; i++) rows[i] = (float)nlsh__rng_normal(&rng);
    assert_int_equal(nlsh__job_begin(&run, &job, NULL), NLSH_OK);
    for (int i = 0; i < 3; i++) {
        struct nlsh__projection out;
        eigenvectors = answers[i];
        assert_int_equal(nlsh__pca(&base, 2, 1, &job, &out, &error),
                         i < 2 ? NLSH_E_NOMEM : NLSH_E_INTERNAL);
        assert_non_null(strstr(error.message, "LAPACK"));
    }
    nlsh__job_end(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_without_memory),
        cmocka_unit_test(components_without_memory),
    };
    return cmocka_run_group_tests_name("linalg/short_memory", tests, NULL, NULL);
}
