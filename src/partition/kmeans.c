/*
 * kmeans.c - Lloyd's iteration (1982) on a sample.
 *
 * Where there are many cells, a row of a later iteration looks at the CLOSE centroids that are nearest to its cell's,
 * nearest first, until no other can be nearer (Phillips, "Acceleration of k-means and related clustering
 * algorithms", 2002). Whether its nearest is among these (Wang et al., "Fast approximate k-means via cluster
 * closures", 2012) is looked at in iteration TRIED. Where it often is not all cells are looked at to the end.
 */
#include "partition/kmeans.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernels/kernels.h"

enum {
    SAMPLE_A_CENTROID = 256, /* as faiss: more rows move centroids by less than they cost */
    TRIED = 2,               /* the iteration that tries close cells, */
    MOST_MISSED = 100,       /* and the share of rows that they may miss: one in so many */
    CLOSE = 48,
    MANY = 256,  /* cells; of fewer all are looked at each time */
    BLOCK = 1024 /* rows a task */
};

struct lloyd {
    const float *rows; /* the sample */
    size_t n, dim, k;
    uint32_t *cell_of; /* [n] */
    size_t *sizes;     /* [k] */
    float *centroids;
    uint32_t *close; /* [k x CLOSE] each centroid's nearest, itself among them, */
    float *apart;    /* [k x CLOSE] and how far they are, squared */
    int close_do;    /* 1: looking at these is enough */
    struct nlsh__rng rng;
};

/* ---- rows to cells --------------------------------------------------------------------------- */

/* A centroid c' is no nearer to x than c is where |c - c'| >= 2 |x - c|. */
static void close_task(void *ctx, size_t task, size_t worker)
{
    const struct lloyd *s = ctx;
    size_t end = (task + 1) * BLOCK < s->n ? (task + 1) * BLOCK : s->n;
    (void)worker;
    for (size_t i = task * BLOCK; i < end; i++) {
        const float *x = s->rows + i * s->dim;
        uint32_t own = s->cell_of[i], best = own;
        float l2sq = nlsh__kernels()->l2sq_f32(x, s->centroids + own * s->dim, s->dim);
        float least = l2sq;
        for (size_t j = 0; j < CLOSE && s->apart[own * CLOSE + j] < 4 * l2sq; j++) {
            uint32_t cell = s->close[own * CLOSE + j];
            float other = nlsh__kernels()->l2sq_f32(x, s->centroids + cell * s->dim, s->dim);
            if (!(other < least)) continue;
            least = other;
            best = cell;
        }
        s->cell_of[i] = best;
    }
}

static enum nlsh_status find_close(struct lloyd *s, const struct nlsh__job *job,
                                   struct nlsh_error *error)
{
    return nlsh__near_cells(s->centroids, s->k, s->dim, s->centroids, NULL, s->k, CLOSE, NULL, job,
                            s->close, s->apart, error);
}

static enum nlsh_status assign_whole(struct lloyd *s, const struct nlsh__job *job,
                                     struct nlsh_error *error)
{
    return nlsh__near_cells(s->rows, s->n, s->dim, s->centroids, NULL, s->k, 1, NULL, job,
                            s->cell_of, NULL, error);
}

/* Looks at all cells, and whether close ones would have done. */
static enum nlsh_status try_close(struct lloyd *s, const struct nlsh__job *job,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *before = NULL;
    size_t n_missed = 0;
    NLSH_TRY(nlsh__alloc(&before, s->n, sizeof *before, error));
    memcpy(before, s->cell_of, s->n * sizeof *before);
    NLSH_TRY(find_close(s, job, error));
    NLSH_TRY(assign_whole(s, job, error));
    for (size_t i = 0; i < s->n; i++) {
        const uint32_t *close = s->close + before[i] * CLOSE;
        size_t j = 0;
        while (j < CLOSE && close[j] != s->cell_of[i]) j++;
        n_missed += s->cell_of[i] != before[i] && j == CLOSE;
    }
    s->close_do = n_missed * MOST_MISSED <= s->n;
out:
    nlsh__free(before);
    return status;
}

static enum nlsh_status assign(struct lloyd *s, size_t iteration, const struct nlsh__job *job,
                               struct nlsh_error *error)
{
    if (iteration == TRIED && s->k >= MANY) return try_close(s, job, error);
    if (!s->close_do) return assign_whole(s, job, error);
    enum nlsh_status status = find_close(s, job, error);
    if (status == NLSH_OK) nlsh__pool_run(job->pool, (s->n + BLOCK - 1) / BLOCK, close_task, s);
    return status;
}

/* ---- cells to centroids ---------------------------------------------------------------------- */

/* An empty cell takes a row at random out of the largest cell, which loses least by it. */
static void fill_empty_cells(struct lloyd *s)
{
    for (size_t j = 0; j < s->k; j++) {
        if (s->sizes[j] > 0) continue;
        size_t largest = 0;
        for (size_t c = 1; c < s->k; c++)
            if (s->sizes[c] > s->sizes[largest]) largest = c;
        size_t pick = (size_t)nlsh__rng_below(&s->rng, s->sizes[largest]);
        for (size_t i = 0; i < s->n; i++)
            if (s->cell_of[i] == largest && pick-- == 0) {
                s->cell_of[i] = (uint32_t)j;
                break;
            }
        s->sizes[largest]--;
        s->sizes[j] = 1;
    }
}

static enum nlsh_status update_centroids(struct lloyd *s, struct nlsh_error *error)
{
    double *sums;
    enum nlsh_status status = nlsh__calloc(&sums, s->k * s->dim, sizeof *sums, error);
    if (status != NLSH_OK) return status;
    memset(s->sizes, 0, s->k * sizeof *s->sizes);
    for (size_t i = 0; i < s->n; i++) s->sizes[s->cell_of[i]]++;
    fill_empty_cells(s);
    for (size_t i = 0; i < s->n; i++) {
        double *sum = sums + s->cell_of[i] * s->dim;
        const float *row = s->rows + i * s->dim;
        for (size_t d = 0; d < s->dim; d++) sum[d] += (double)row[d];
    }
    for (size_t j = 0; j < s->k; j++)
        for (size_t d = 0; d < s->dim; d++)
            s->centroids[j * s->dim + d] = (float)(sums[j * s->dim + d] / (double)s->sizes[j]);
    nlsh__free(sums);
    return NLSH_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

enum nlsh_status nlsh__kmeans(const float *rows, size_t n, size_t dim, size_t k, size_t iterations,
                              uint64_t seed, const struct nlsh__job *job, float *centroids,
                              uint32_t *cell_of, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *chosen = NULL;
    float *sample = NULL;
    struct lloyd s = {.n = n, .dim = dim, .k = k, .rows = rows, .centroids = centroids};
    nlsh__rng_init(&s.rng, seed, 0x6b6d);
    if (n / SAMPLE_A_CENTROID > k) s.n = SAMPLE_A_CENTROID * k;
    NLSH_TRY(nlsh__alloc(&chosen, s.n, sizeof *chosen, error));
    NLSH_TRY(nlsh__alloc(&s.cell_of, s.n, sizeof *s.cell_of, error));
    NLSH_TRY(nlsh__calloc(&s.sizes, k, sizeof *s.sizes, error));
    if (k >= MANY) NLSH_TRY(nlsh__alloc(&s.close, k * CLOSE, sizeof *s.close, error));
    if (k >= MANY) NLSH_TRY(nlsh__alloc(&s.apart, k * CLOSE, sizeof *s.apart, error));
    if (s.n < n) {
        NLSH_TRY(nlsh__alloc(&sample, s.n * dim, sizeof *sample, error));
        nlsh__rng_sample(&s.rng, n, s.n, chosen);
        for (size_t i = 0; i < s.n; i++)
            memcpy(sample + i * dim, rows + (size_t)chosen[i] * dim, dim * sizeof *sample);
        s.rows = sample;
    }
    nlsh__rng_sample(&s.rng, s.n, k, chosen);
    for (size_t j = 0; j < k; j++)
        memcpy(centroids + j * dim, s.rows + (size_t)chosen[j] * dim, dim * sizeof *centroids);
    for (size_t it = 0; it < iterations; it++) {
        NLSH_TRY(nlsh__job_progress(job, "k-means", it, iterations, error));
        NLSH_TRY(assign(&s, it, job, error));
        NLSH_TRY(update_centroids(&s, error));
    }
    if (cell_of != NULL)
        NLSH_TRY(nlsh__nearest_cells(rows, n, dim, centroids, NULL, k, 1, NULL, job, cell_of, NULL,
                                     error));
    NLSH_TRY(nlsh__job_progress(job, "k-means", iterations, iterations, error));
out:
    nlsh__free(chosen);
    nlsh__free(sample);
    nlsh__free(s.cell_of);
    nlsh__free(s.sizes);
    nlsh__free(s.close);
    nlsh__free(s.apart);
    return status;
}
