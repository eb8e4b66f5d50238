/*
 * nearest.c - the nearest centroids of rows, by panels of f32 (kernels/panel.h).
 */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "partition/kmeans.h"

enum {
    BLOCK = 96,      /* rows a task */
    TILE_GROUPS = 16 /* 256 centroids between two updates of the thresholds */
};

struct nearest {
    const float *rows;
    size_t n, dim, n_best;
    struct nlsh__panel_f32 panel; /* centroids less their mean: scores lose fewer digits so */
    float *mean;                  /* [dim] */
    float *centred;               /* [n_threads][BLOCK x dim] */
    struct nlsh__hits *hits;      /* [n_threads] */
    uint32_t *best;
    float *l2sq; /* [n x n_best] */
};

static void insert(uint32_t *ids, float *scores, size_t k, uint32_t id, float score)
{
    if (!(score < scores[k - 1])) return;
    size_t i = k - 1;
    for (; i > 0 && scores[i - 1] > score; i--) {
        scores[i] = scores[i - 1];
        ids[i] = ids[i - 1];
    }
    scores[i] = score;
    ids[i] = id;
}

static void nearest_task(void *ctx, size_t task, size_t worker)
{
    const struct nearest *c = ctx;
    struct nlsh__hits *hits = &c->hits[worker];
    size_t first = task * BLOCK, n = c->n - first < BLOCK ? c->n - first : BLOCK;
    float thresholds[BLOCK], *centred = c->centred + worker * BLOCK * c->dim;
    const struct nlsh__limits_f32 limits = {thresholds, NULL, NULL};
    for (size_t i = 0; i < n; i++) thresholds[i] = INFINITY;
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < c->dim; d++)
            centred[i * c->dim + d] = c->rows[(first + i) * c->dim + d] - c->mean[d];
    for (size_t i = 0; i < n * c->n_best; i++) {
        c->l2sq[first * c->n_best + i] = INFINITY;
        c->best[first * c->n_best + i] = 0;
    }
    for (size_t g = 0; g < c->panel.n_groups; g += TILE_GROUPS) {
        size_t n_groups = c->panel.n_groups - g;
        if (n_groups > TILE_GROUPS) n_groups = TILE_GROUPS;
        nlsh__kernels()->panel_f32(&c->panel, g, n_groups, centred, n, &limits, hits);
        for (size_t i = 0; i < n; i++) {
            uint32_t *best = c->best + (first + i) * c->n_best;
            float *scores = c->l2sq + (first + i) * c->n_best;
            for (size_t h = 0; h < hits->n[i]; h++)
                insert(best, scores, c->n_best, hits->ids[i * hits->capacity + h],
                       hits->scores.f32[i * hits->capacity + h]);
            hits->n[i] = 0;
            thresholds[i] = scores[c->n_best - 1];
        }
    }
    for (size_t i = 0; i < n; i++) {
        double norm = 0;
        for (size_t d = 0; d < c->dim; d++)
            norm += (double)centred[i * c->dim + d] * (double)centred[i * c->dim + d];
        for (size_t j = 0; j < c->n_best; j++) {
            float *l2sq = &c->l2sq[(first + i) * c->n_best + j];
            *l2sq = (float)fmax(0, (double)*l2sq + norm);
        }
    }
}

static enum nlsh_status mean_of(const float *rows, size_t n, size_t dim, float *mean,
                                struct nlsh_error *error)
{
    double *sums;
    enum nlsh_status status = nlsh__calloc(&sums, dim, sizeof *sums, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < dim; d++) sums[d] += (double)rows[i * dim + d];
    for (size_t d = 0; d < dim; d++) mean[d] = (float)(sums[d] / (double)n);
    nlsh__free(sums);
    return NLSH_OK;
}

enum nlsh_status nlsh__nearest_cells(const float *rows, size_t n, size_t dim,
                                     const float *centroids, const float *penalty, size_t k,
                                     size_t n_best, const struct nlsh__job *job, uint32_t *best,
                                     float *l2sq, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_threads = nlsh__pool_n_threads(job->pool);
    float *own = NULL;
    struct nearest c = {.rows = rows, .n = n, .dim = dim, .n_best = n_best, .best = best};
    NLSH_TRY(nlsh__calloc(&c.hits, n_threads, sizeof *c.hits, error));
    if (l2sq == NULL) NLSH_TRY(nlsh__alloc(&own, n * n_best, sizeof *own, error));
    c.l2sq = l2sq != NULL ? l2sq : own;
    NLSH_TRY(nlsh__alloc(&c.mean, dim, sizeof *c.mean, error));
    NLSH_TRY(mean_of(centroids, k, dim, c.mean, error));
    NLSH_TRY(nlsh__alloc(&c.centred, n_threads * BLOCK * dim, sizeof *c.centred, error));
    NLSH_TRY(nlsh__panel_f32_create(centroids, c.mean, k, dim, &c.panel, error));
    for (size_t j = 0; penalty != NULL && j < k; j++) c.panel.bias[j] += penalty[j];
    for (size_t i = 0; i < n_threads; i++) {
        struct nlsh__hits *hits = &c.hits[i];
        hits->capacity = NLSH__GROUP * (TILE_GROUPS + 1);
        NLSH_TRY(nlsh__calloc(&hits->n, BLOCK, sizeof *hits->n, error));
        NLSH_TRY(nlsh__alloc(&hits->ids, BLOCK * hits->capacity, sizeof *hits->ids, error));
        NLSH_TRY(nlsh__alloc(&hits->scores.f32, BLOCK * hits->capacity, sizeof(float), error));
    }
    nlsh__pool_run(job->pool, (n + BLOCK - 1) / BLOCK, nearest_task, &c);
out:
    for (size_t i = 0; c.hits != NULL && i < n_threads; i++) {
        nlsh__free(c.hits[i].n);
        nlsh__free(c.hits[i].ids);
        nlsh__free(c.hits[i].scores.f32);
    }
    nlsh__free(c.hits);
    nlsh__free(c.mean);
    nlsh__free(c.centred);
    nlsh__free(own);
    nlsh__panel_f32_free(&c.panel);
    return status;
}
