/*
 * projections.c - hash functions of vectors that near ones share (Datar, Immorlica, Indyk and
 * Mirrokni, "Locality-Sensitive Hashing Scheme Based on p-Stable Distributions", SoCG 2004, section
 * 3.1, with the normal distribution, which is 2-stable: Euclidean distance).
 */
#include "baselines/projections.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "baselines/scan.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/topk.h"

enum { ROWS_A_TASK = 256, SAMPLE = 100, NEIGHBOUR = 10 };

enum nlsh_status nlsh__projections_create(size_t n, size_t dim, double window, uint64_t seed,
                                          struct nlsh__projections *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_groups = (n + NLSH__GROUP - 1) / NLSH__GROUP;
    *out = (struct nlsh__projections){.n = n, .dim = dim, .n_groups = n_groups};
    NLSH_TRY(nlsh__calloc(&out->values, n_groups * dim, NLSH__GROUP * sizeof(float), error));
    NLSH_TRY(nlsh__calloc(&out->bias, n_groups, NLSH__GROUP * sizeof(float), error));
    for (size_t i = 0; i < n; i++) {
        struct nlsh__rng rng;
        float *group = out->values + i / NLSH__GROUP * dim * NLSH__GROUP;
        nlsh__rng_init(&rng, seed, i);
        for (size_t d = 0; d < dim; d++)
            group[d * NLSH__GROUP + i % NLSH__GROUP] = (float)(nlsh__rng_normal(&rng) / window);
        out->bias[i] = (float)nlsh__rng_uniform(&rng);
    }
    return NLSH_OK;
out:
    nlsh__projections_free(out);
    return status;
}

void nlsh__projections_free(struct nlsh__projections *projections)
{
    nlsh__free(projections->values);
    nlsh__free(projections->bias);
    *projections = (struct nlsh__projections){0};
}

size_t nlsh__projections_bytes(const struct nlsh__projections *p)
{
    return p->n_groups * NLSH__GROUP * (p->dim + 1) * sizeof(float);
}

void nlsh__project_hash(const struct nlsh__projections *p, const float *x, float *out)
{
    nlsh__kernels()->matvec_f32(p->values, p->bias, p->n_groups, p->dim, x, out);
    for (size_t i = 0; i < p->n; i++) out[i] = floorf(out[i]);
}

/* ---- all rows -------------------------------------------------------------------------------- */

struct pass {
    const struct nlsh__projections *projections;
    const struct nlsh_matrix *rows;
    nlsh__hashed_fn *fn;
    void *ctx;
    float *scratch; /* [n_threads][dim + 16 x n_groups, padded] */
    size_t stride;
};

static size_t padded(size_t n)
{
    return (n + NLSH__GROUP - 1) / NLSH__GROUP * NLSH__GROUP;
}

static void pass_task(void *ctx, size_t task, size_t worker)
{
    const struct pass *p = ctx;
    const struct nlsh_matrix *m = p->rows;
    float *x = p->scratch + worker * p->stride, *hashes = x + padded(m->dim);
    size_t end = (task + 1) * ROWS_A_TASK < m->n_rows ? (task + 1) * ROWS_A_TASK : m->n_rows;
    for (size_t i = task * ROWS_A_TASK; i < end; i++) {
        if (m->type == NLSH_U8) {
            const uint8_t *row = (const uint8_t *)m->data + i * m->dim;
            for (size_t d = 0; d < m->dim; d++) x[d] = (float)row[d];
        } else {
            const float *row = (const float *)m->data + i * m->dim;
            for (size_t d = 0; d < m->dim; d++) x[d] = row[d];
        }
        nlsh__project_hash(p->projections, x, hashes);
        p->fn(p->ctx, i, hashes);
    }
}

enum nlsh_status nlsh__project_rows(const struct nlsh__projections *projections,
                                    const struct nlsh_matrix *rows, const struct nlsh__job *job,
                                    nlsh__hashed_fn *fn, void *ctx, struct nlsh_error *error)
{
    size_t n_threads = nlsh__pool_n_threads(job->pool);
    struct pass pass = {projections, rows, fn,
                        ctx,         NULL, padded(rows->dim) + projections->n_groups * NLSH__GROUP};
    enum nlsh_status status =
        nlsh__alloc(&pass.scratch, n_threads * pass.stride, sizeof(float), error);
    if (status != NLSH_OK) return status;
    status = nlsh__job_tasks(job, "hashing", (rows->n_rows + ROWS_A_TASK - 1) / ROWS_A_TASK,
                             pass_task, &pass, error);
    nlsh__free(pass.scratch);
    return status;
}

/* ---- distances ------------------------------------------------------------------------------- */

double nlsh__collision_probability(double distance, double window)
{
    /* The integral of section 3.2 of the paper, in closed form for the normal distribution. */
    if (distance <= 0) return 1;
    double r = window / distance;
    return erf(r / sqrt(2)) - 2 / (sqrt(2 * acos(-1)) * r) * (1 - exp(-r * r / 2));
}

struct sample {
    const struct nlsh__dataset *base;
    const uint32_t *rows;
    size_t k;
    float *scratch; /* [n_threads x dim] */
    double *near, *far;
};

static double distance_of(uint64_t key, int integers)
{
    return sqrt(integers ? (double)(uint32_t)(key >> 32) : (double)nlsh__key_score_f32(key));
}

/* One sampled row against all. */
static void sample_task(void *ctx, size_t task, size_t worker)
{
    const struct sample *s = ctx;
    const struct nlsh_matrix *m = &s->base->matrix;
    uint64_t keys[NEIGHBOUR + 1], other;
    struct nlsh__query query = nlsh__query_row(s->base, s->rows[task], s->base->source_type,
                                               m->type, s->scratch + worker * m->dim);
    nlsh__topk_clear(keys, s->k + 1); /* the row itself is among them */
    nlsh__scan(nlsh__kernels(), query, m->data, m->type, m->n_rows, m->dim, NULL, keys, s->k + 1);
    s->near[task] = distance_of(keys[s->k], query.u8 != NULL);
    nlsh__topk_clear(&other, 1);
    nlsh__scan_places(nlsh__kernels(), query, m->data, m->type, &s->rows[(task + 1) % SAMPLE], 1,
                      m->dim, NULL, &other, 1);
    s->far[task] = distance_of(other, query.u8 != NULL);
}

enum nlsh_status nlsh__sample_distances(const struct nlsh__dataset *base, uint64_t seed,
                                        const struct nlsh__job *job, struct nlsh__distances *out,
                                        struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = base->matrix.n_rows, dim = base->matrix.dim;
    size_t n_threads = nlsh__pool_n_threads(job->pool);
    double near[SAMPLE], far[SAMPLE];
    uint32_t rows[SAMPLE];
    struct nlsh__rng rng;
    struct sample s = {base, rows, n - 1 < NEIGHBOUR ? n - 1 : NEIGHBOUR, NULL, near, far};
    nlsh__rng_init(&rng, seed, UINT64_C(1) << 40);
    for (size_t i = 0; i < SAMPLE; i++) rows[i] = (uint32_t)nlsh__rng_below(&rng, n);
    *out = (struct nlsh__distances){0};
    NLSH_TRY(nlsh__alloc(&s.scratch, n_threads * dim, sizeof(float), error));
    NLSH_TRY(nlsh__job_tasks(job, "distances", SAMPLE, sample_task, &s, error));
    for (size_t i = 0; i < SAMPLE; i++) {
        out->near += near[i] / SAMPLE;
        out->far += far[i] / SAMPLE;
    }
out:
    nlsh__free(s.scratch);
    return status;
}

enum nlsh_status nlsh__resolve_window(const struct nlsh__dataset *base,
                                      struct nlsh__baseline_options *options, double times,
                                      const struct nlsh__job *job, struct nlsh_error *error)
{
    struct nlsh__distances d;
    if (options->window == NLSH_AUTO_REAL) {
        enum nlsh_status status = nlsh__sample_distances(base, options->seed, job, &d, error);
        if (status != NLSH_OK) return status;
        options->window = d.near > 0 ? times * d.near : 1;
    }
    if (options->window > 0 && isfinite(options->window)) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, "a few times the distance of near neighbours is usual",
                      "the window is %g: it must be above 0", options->window);
}
