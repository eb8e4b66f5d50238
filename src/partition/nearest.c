/*
 * nearest.c - the nearest centroids of rows, by panels of f32 (kernels/panel.h).
 */
#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/select.h"
#include "kernels/topk.h"
#include "partition/kmeans.h"

enum {
    BLOCK = 96,      /* rows a task */
    WIDE = 4,        /* groups that panels take at once */
    TILE_GROUPS = 16 /* 256 centroids between two updates of the thresholds, and fewer at first */
};

/* One worker's. */
struct scratch {
    float *centred; /* [BLOCK x dim] */
    double norms[BLOCK];
    struct nlsh__hits hits;
    uint64_t *keys; /* [BLOCK x n_best] the nearest so far */
    uint64_t *came; /* [hits of a row + n_best], then the nearest in order */
};

struct nearest {
    const float *rows;
    size_t n, dim, n_best, block; /* rows a task: no more than there are */
    struct nlsh__panel_f32 panel; /* centroids less their mean: scores lose fewer digits so */
    float *mean;                  /* [dim] */
    struct scratch *scratch;      /* [n_threads] */
    const float *at_most;         /* [n] or NULL */
    uint32_t *best;
    float *l2sq; /* [n x n_best] or NULL */
};

/* Of the first centroids all come out nearer than nothing, and later ones the fewer the more were seen: so what was seen
 * doubles. Panels take whole WIDE groups sooner. */
static size_t tile_groups(const struct nearest *c, size_t group)
{
    size_t left = c->panel.n_groups - group;
    size_t n = group > 0 ? group : (c->n_best + 4 * WIDE - 1) / (4 * WIDE) * WIDE;
    if (c->at_most != NULL || n > TILE_GROUPS) n = TILE_GROUPS;
    return n < left ? n : left;
}

/* The block's rows about the mean, and their squared lengths. */
static void centre(const struct nearest *c, struct scratch *s, size_t first, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float *row = c->rows + (first + i) * c->dim;
        float *x = s->centred + i * c->dim;
        s->norms[i] = 0;
        for (size_t d = 0; d < c->dim; d++) x[d] = row[d] - c->mean[d];
        for (size_t d = 0; d < c->dim; d++) s->norms[i] += (double)x[d] * (double)x[d];
    }
}

/* A score that none of the n_best of row i of the block is above. */
static float first_threshold(const struct nearest *c, const struct scratch *s, size_t first,
                             size_t i)
{
    if (c->at_most == NULL) return INFINITY;
    double l2sq = (double)c->at_most[first + i];
    double off = nlsh__panel_f32_rounding(c->dim, s->norms[i], fmax(l2sq, 0));
    double score = l2sq - s->norms[i] + off;
    return isfinite(score) ? nextafterf((float)score, INFINITY) : INFINITY;
}

/* The hits of row i of the block, to those that are kept. Returns its threshold from now on. */
static float merge(const struct nearest *c, struct scratch *s, size_t i, float before)
{
    const struct nlsh__hits *hits = &s->hits;
    uint64_t *keys = s->keys + i * c->n_best;
    for (size_t h = 0; h < hits->n[i]; h++) {
        size_t at = i * hits->capacity + h;
        s->came[h] = nlsh__key_u32(nlsh__ordered_f32(hits->scores.f32[at]), hits->ids[at]);
    }
    nlsh__keep_smallest(keys, c->n_best, s->came, hits->n[i]);
    hits->n[i] = 0;
    uint64_t worst = keys[c->n_best - 1];
    return worst == UINT64_MAX ? before : nlsh__from_ordered_f32((uint32_t)(worst >> 32));
}

/* Row i of the block to the caller's, in order; what is near nothing stands for the first centroid. */
static void give(const struct nearest *c, const struct scratch *s, size_t first, size_t i)
{
    uint64_t *sorted = s->came;
    nlsh__topk_clear(sorted, c->n_best);
    for (size_t j = 0; j < c->n_best; j++)
        nlsh__topk_push(sorted, c->n_best, s->keys[i * c->n_best + j]);
    nlsh__topk_sort(sorted, c->n_best);
    for (size_t j = 0; j < c->n_best; j++) {
        int none = sorted[j] == UINT64_MAX;
        float score = none ? INFINITY : nlsh__from_ordered_f32((uint32_t)(sorted[j] >> 32));
        c->best[(first + i) * c->n_best + j] = none ? 0 : (uint32_t)sorted[j];
        if (c->l2sq == NULL) continue;
        c->l2sq[(first + i) * c->n_best + j] = (float)fmax(0, (double)score + s->norms[i]);
    }
}

static void nearest_task(void *ctx, size_t task, size_t worker)
{
    const struct nearest *c = ctx;
    struct scratch *s = &c->scratch[worker];
    size_t first = task * c->block, n = c->n - first < c->block ? c->n - first : c->block;
    float thresholds[BLOCK];
    const struct nlsh__limits_f32 limits = {thresholds, NULL, NULL};
    nlsh__topk_clear(s->keys, n * c->n_best);
    centre(c, s, first, n);
    for (size_t i = 0; i < n; i++) thresholds[i] = first_threshold(c, s, first, i);
    for (size_t g = 0, step; g < c->panel.n_groups; g += step) {
        step = tile_groups(c, g);
        nlsh__kernels()->panel_f32(&c->panel, g, step, s->centred, n, &limits, &s->hits);
        for (size_t i = 0; i < n; i++)
            if (s->hits.n[i] > 0) thresholds[i] = merge(c, s, i, thresholds[i]);
    }
    for (size_t i = 0; i < n; i++) give(c, s, first, i);
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

static enum nlsh_status make_scratch(const struct nearest *c, struct scratch *s,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__hits *hits = &s->hits;
    hits->capacity = NLSH__GROUP * (TILE_GROUPS + 1);
    NLSH_TRY(nlsh__alloc(&s->centred, c->block * c->dim, sizeof *s->centred, error));
    NLSH_TRY(nlsh__alloc(&s->keys, c->block * c->n_best, sizeof *s->keys, error));
    NLSH_TRY(nlsh__alloc(&s->came, hits->capacity + c->n_best, sizeof *s->came, error));
    NLSH_TRY(nlsh__calloc(&hits->n, c->block, sizeof *hits->n, error));
    NLSH_TRY(nlsh__alloc(&hits->ids, c->block * hits->capacity, sizeof *hits->ids, error));
    NLSH_TRY(nlsh__alloc(&hits->scores.f32, c->block * hits->capacity, sizeof(float), error));
out:
    return status;
}

static void free_scratch(struct scratch *s)
{
    nlsh__free(s->centred);
    nlsh__free(s->keys);
    nlsh__free(s->came);
    nlsh__free(s->hits.n);
    nlsh__free(s->hits.ids);
    nlsh__free(s->hits.scores.f32);
}

enum nlsh_status nlsh__nearest_cells(const float *rows, size_t n, size_t dim,
                                     const float *centroids, const float *penalty, size_t k,
                                     size_t n_best, const float *at_most,
                                     const struct nlsh__job *job, uint32_t *best, float *l2sq,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_threads = nlsh__pool_n_threads(job->pool);
    struct nearest c = {.block = n > 0 && n < BLOCK ? n : BLOCK,
                        .rows = rows,
                        .n = n,
                        .dim = dim,
                        .n_best = n_best,
                        .at_most = at_most,
                        .best = best,
                        .l2sq = l2sq};
    NLSH_TRY(nlsh__calloc(&c.scratch, n_threads, sizeof *c.scratch, error));
    NLSH_TRY(nlsh__alloc(&c.mean, dim, sizeof *c.mean, error));
    NLSH_TRY(mean_of(centroids, k, dim, c.mean, error));
    NLSH_TRY(nlsh__panel_f32_create(centroids, c.mean, k, dim, &c.panel, error));
    for (size_t j = 0; penalty != NULL && j < k; j++) c.panel.bias[j] += penalty[j];
    for (size_t i = 0; i < n_threads; i++) NLSH_TRY(make_scratch(&c, &c.scratch[i], error));
    nlsh__pool_run(job->pool, (n + c.block - 1) / c.block, nearest_task, &c);
out:
    for (size_t i = 0; c.scratch != NULL && i < n_threads; i++) free_scratch(&c.scratch[i]);
    nlsh__free(c.scratch);
    nlsh__free(c.mean);
    nlsh__panel_f32_free(&c.panel);
    return status;
}
