/* pca.c - see pca.h. */
#include "linalg/pca.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "linalg/gemm.h"

enum { SAMPLE = 32768, MAX_DIM = 4096, BLOCK = 512 };

/* Rows first .. first + n - 1, less mean, as floats. */
static void centred(const struct nlsh_matrix *m, size_t row, const float *mean, float *out)
{
    if (m->type == NLSH_U8) {
        const uint8_t *x = (const uint8_t *)m->data + row * m->dim;
        for (size_t d = 0; d < m->dim; d++) out[d] = (float)x[d] - mean[d];
    } else {
        const float *x = (const float *)m->data + row * m->dim;
        for (size_t d = 0; d < m->dim; d++) out[d] = x[d] - mean[d];
    }
}

/* The covariance of the chosen rows as a dense f64 matrix. */
static enum nlsh_status covariance(const struct nlsh_matrix *base, const uint32_t *chosen, size_t n,
                                   const float *mean, double *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t dim = base->dim;
    float *rows = NULL, *product = NULL;
    NLSH_TRY(nlsh__alloc(&rows, BLOCK * dim, sizeof *rows, error));
    NLSH_TRY(nlsh__alloc(&product, dim * dim, sizeof *product, error));
    memset(out, 0, dim * dim * sizeof *out);
    for (size_t first = 0; first < n; first += BLOCK) {
        size_t count = n - first < BLOCK ? n - first : BLOCK;
        for (size_t i = 0; i < count; i++) centred(base, chosen[first + i], mean, rows + i * dim);
        NLSH_TRY(nlsh__gemm(1, 0, dim, dim, count, rows, dim, rows, dim, 0, product, dim, error));
        for (size_t i = 0; i < dim * dim; i++) out[i] += (double)product[i] / (double)n;
    }
    for (size_t i = 0; i < dim * dim; i++)
        if (!isfinite(out[i])) {
            status = nlsh__fail(error, NLSH_E_DATA, "scale the vectors down",
                                "the vectors' squares do not fit in f32");
            goto out;
        }
out:
    nlsh__free(rows);
    nlsh__free(product);
    return status;
}

/* The eigenvectors of the n largest eigenvalues, largest first; returns the mean of those. */
static enum nlsh_status eigenvectors(double *matrix, size_t dim, size_t n, float *out,
                                     double *mean_value, struct nlsh_error *error)
{
    enum nlsh_status status;
    double *values = NULL, *vectors = NULL;
    lapack_int *support = NULL, found = 0;
    NLSH_TRY(nlsh__alloc(&values, dim, sizeof *values, error));
    NLSH_TRY(nlsh__alloc(&vectors, dim * n, sizeof *vectors, error));
    NLSH_TRY(nlsh__alloc(&support, 2 * dim, sizeof *support, error));
    lapack_int result =
        LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'I', 'U', (lapack_int)dim, matrix, (lapack_int)dim, 0,
                       0, (lapack_int)(dim - n + 1), (lapack_int)dim, 0, &found, values, vectors,
                       (lapack_int)dim, support);
    if (result == LAPACK_WORK_MEMORY_ERROR || result == LAPACK_TRANSPOSE_MEMORY_ERROR) {
        status = nlsh__fail(error, NLSH_E_NOMEM, "free some memory",
                            "LAPACK: out of memory for dsyevr of %zu x %zu", dim, dim);
        goto out;
    }
    if (result != 0 || found != (lapack_int)n) {
        status = nlsh__fail(error, NLSH_E_INTERNAL, "please report it",
                            "LAPACK: dsyevr of %zu x %zu failed with %d", dim, dim, (int)result);
        goto out;
    }
    *mean_value = 0;
    for (size_t c = 0; c < n; c++) {
        const double *v = vectors + (n - 1 - c) * dim;
        /* A sign that does not depend on the library: the largest entry is positive. */
        size_t largest = 0;
        for (size_t d = 1; d < dim; d++)
            if (fabs(v[d]) > fabs(v[largest])) largest = d;
        double sign = v[largest] < 0 ? -1 : 1;
        for (size_t d = 0; d < dim; d++) out[c * dim + d] = (float)(sign * v[d]);
        *mean_value += fmax(0, values[c]) / (double)n;
    }
out:
    nlsh__free(values);
    nlsh__free(vectors);
    nlsh__free(support);
    return status;
}

static enum nlsh_status principal(const struct nlsh_matrix *base, size_t n_components, int centre,
                                  uint64_t seed, const struct nlsh__job *job,
                                  struct nlsh__projection *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t dim = base->dim, n = base->n_rows < SAMPLE ? base->n_rows : SAMPLE;
    uint32_t *chosen = NULL;
    double *sums = NULL, *matrix = NULL, variance = 0;
    float *row = NULL;
    struct nlsh__rng rng;
    *out = (struct nlsh__projection){.dim = dim, .n_components = n_components};
    if (n_components >= dim || dim > MAX_DIM) out->n_components = dim;
    NLSH_TRY(nlsh__job_progress(job, "principal components", 0, 1, error));
    NLSH_TRY(nlsh__calloc(&out->mean, dim, sizeof *out->mean, error));
    NLSH_TRY(nlsh__alloc(&chosen, n, sizeof *chosen, error));
    NLSH_TRY(nlsh__calloc(&sums, dim, sizeof *sums, error));
    nlsh__rng_init(&rng, seed, 0x706361);
    nlsh__rng_sample(&rng, base->n_rows, n, chosen);
    NLSH_TRY(nlsh__alloc(&row, dim, sizeof *row, error));
    for (size_t i = 0; i < n && centre; i++) {
        centred(base, chosen[i], out->mean, row);
        for (size_t d = 0; d < dim; d++) sums[d] += (double)row[d];
    }
    for (size_t d = 0; d < dim; d++) out->mean[d] = (float)(sums[d] / (double)n);
    if (out->n_components < dim) {
        NLSH_TRY(nlsh__alloc(&matrix, dim * dim, sizeof *matrix, error));
        NLSH_TRY(nlsh__alloc(&out->components, n_components * dim, sizeof(float), error));
        NLSH_TRY(covariance(base, chosen, n, out->mean, matrix, error));
        NLSH_TRY(eigenvectors(matrix, dim, n_components, out->components, &variance, error));
    } else {
        for (size_t i = 0; i < n; i++) {
            centred(base, chosen[i], out->mean, row);
            for (size_t d = 0; d < dim; d++)
                variance += (double)row[d] * (double)row[d] / (double)(n * dim);
        }
    }
    out->scale = variance > 0 ? (float)(1 / sqrt(variance)) : 1;
    for (size_t i = 0; out->components != NULL && i < n_components * dim; i++)
        out->components[i] *= out->scale;
    NLSH_TRY(nlsh__job_progress(job, "principal components", 1, 1, error));
out:
    nlsh__free(row);
    nlsh__free(chosen);
    nlsh__free(sums);
    nlsh__free(matrix);
    if (status != NLSH_OK) nlsh__projection_free(out);
    return status;
}

enum nlsh_status nlsh__pca(const struct nlsh_matrix *base, size_t n_components, uint64_t seed,
                           const struct nlsh__job *job, struct nlsh__projection *out,
                           struct nlsh_error *error)
{
    return principal(base, n_components, 1, seed, job, out, error);
}

enum nlsh_status nlsh__pca_uncentred(const struct nlsh_matrix *base, size_t n_components,
                                     uint64_t seed, const struct nlsh__job *job,
                                     struct nlsh__projection *out, struct nlsh_error *error)
{
    return principal(base, n_components, 0, seed, job, out, error);
}

void nlsh__projection_free(struct nlsh__projection *projection)
{
    nlsh__free(projection->mean);
    nlsh__free(projection->components);
    *projection = (struct nlsh__projection){0};
}

/* ---- projecting ------------------------------------------------------------------------------ */

struct project {
    const struct nlsh__projection *projection;
    const struct nlsh_matrix *rows;
    float *scratch; /* [n_threads][BLOCK x dim] */
    float *out;
    enum nlsh_status *statuses; /* [n_threads] */
};

static void project_task(void *ctx, size_t task, size_t worker)
{
    const struct project *c = ctx;
    const struct nlsh__projection *p = c->projection;
    size_t first = task * BLOCK, left = c->rows->n_rows - first, n = left < BLOCK ? left : BLOCK;
    float *block = c->scratch + worker * BLOCK * p->dim;
    float *out = c->out + first * p->n_components;
    if (p->components == NULL) {
        for (size_t i = 0; i < n; i++) {
            centred(c->rows, first + i, p->mean, out + i * p->dim);
            for (size_t d = 0; d < p->dim; d++) out[i * p->dim + d] *= p->scale;
        }
        return;
    }
    for (size_t i = 0; i < n; i++) centred(c->rows, first + i, p->mean, block + i * p->dim);
    enum nlsh_status status = nlsh__gemm(0, 1, n, p->n_components, p->dim, block, p->dim,
                                         p->components, p->dim, 0, out, p->n_components, NULL);
    if (status != NLSH_OK) c->statuses[worker] = status;
}

enum nlsh_status nlsh__project(const struct nlsh__projection *projection,
                               const struct nlsh_matrix *rows, const struct nlsh__job *job,
                               float *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_threads = nlsh__pool_n_threads(job->pool);
    struct project c = {.projection = projection, .rows = rows, .out = out};
    NLSH_TRY(nlsh__alloc(&c.scratch, n_threads * BLOCK * rows->dim, sizeof *c.scratch, error));
    NLSH_TRY(nlsh__calloc(&c.statuses, n_threads, sizeof *c.statuses, error));
    nlsh__pool_run(job->pool, (rows->n_rows + BLOCK - 1) / BLOCK, project_task, &c);
    for (size_t i = 0; i < n_threads; i++)
        if (c.statuses[i] != NLSH_OK)
            status = nlsh__fail(error, c.statuses[i], "please report it",
                                "a product failed while projecting");
out:
    nlsh__free(c.scratch);
    nlsh__free(c.statuses);
    return status;
}
