/*
 * near.c - the nearest centroids of rows where the processor has products in bf16.
 *
 * Products in bf16 name a few more centroids than are wanted, distances in f32 rank them. A block of
 * rows goes over CHUNK centroids at a time: the least scores of 64 interleaved lists bound what the
 * row's k best can be, and behind the first chunk the worst that is kept does.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/bf16.h"
#include "kernels/kernels.h"
#include "kernels/topk.h"
#include "partition/kmeans.h"

enum {
    ROWS = 64,    /* a task */
    CHUNK = 1024, /* centroids: 64 x 1,024 scores stay in the second-level cache */
    SPARE = 3,    /* centroids kept besides: Fashion-MNIST's 1,024 cells change places within 2 */
    FEWEST = 128, /* centroids, below which panels are as fast */
    LISTS = 64,   /* whose least values bound the rest */
    SIDE = (int)NLSH__SIDE
};

struct worker {
    uint16_t *left; /* [ROWS x dim] */
    float *scores;  /* [ROWS x CHUNK] */
    float *found;   /* [CHUNK + 16] */
    uint32_t *ids;  /* [CHUNK + 16] */
    uint64_t *keys; /* [ROWS x keep] */
};

struct near {
    const float *rows, *centroids, *penalty, *mean;
    size_t n, dim, k, n_best, keep, n_dim, n_cells; /* the last two in blocks of SIDE */
    uint16_t *right;                                /* [dim x k] */
    float *bias; /* [SIDE n_cells] infinite where there is none */
    struct worker *workers;
    uint32_t *best;
    float *l2sq; /* or NULL */
};

/* A block of 32 x 32 values of rows less the mean; zeros behind the last row and column. */
static void centred(const struct near *c, const float *rows, size_t n_rows, size_t row,
                    size_t column, float *x)
{
    size_t height = row < n_rows ? n_rows - row : 0, width = c->dim - column;
    if (height > NLSH__SIDE) height = NLSH__SIDE;
    if (width > NLSH__SIDE) width = NLSH__SIDE;
    if (height < NLSH__SIDE || width < NLSH__SIDE) memset(x, 0, SIDE * SIDE * sizeof *x);
    for (size_t i = 0; i < height; i++)
        for (size_t d = 0; d < width; d++)
            x[i * NLSH__SIDE + d] = rows[(row + i) * c->dim + column + d] - c->mean[column + d];
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* No row of the k best of these scores is above it. */
static float bound(const struct near *c, const float *dots, const float *bias, size_t n)
{
    float least[LISTS], kept[LISTS];
    nlsh__kernels()->bf16->least(dots, bias, n, least);
    for (size_t i = 0; i < LISTS; i++) kept[i] = INFINITY;
    for (size_t i = 0; i < LISTS; i++) {
        if (!(least[i] < kept[c->keep - 1])) continue;
        size_t j = c->keep - 1;
        for (; j > 0 && kept[j - 1] > least[i]; j--) kept[j] = kept[j - 1];
        kept[j] = least[i];
    }
    return kept[c->keep - 1];
}

static void take_chunk(const struct near *c, struct worker *w, size_t n_rows, size_t first,
                       size_t n)
{
    const struct nlsh__bf16 *bf16 = nlsh__kernels()->bf16;
    for (size_t r = 0; r < n_rows; r++) {
        uint64_t *keys = w->keys + r * c->keep, worst = keys[c->keep - 1];
        const float *dots = w->scores + r * CHUNK, *bias = c->bias + first;
        float most = worst == UINT64_MAX ? bound(c, dots, bias, n)
                                         : nlsh__from_ordered_f32((uint32_t)(worst >> 32));
        size_t found = bf16->below(dots, bias, n, most, (uint32_t)first, w->found, w->ids);
        for (size_t i = 0; i < found; i++)
            nlsh__topk_insert(keys, c->keep,
                              nlsh__key_u32(nlsh__ordered_f32(w->found[i]), w->ids[i]));
    }
}

/* The kept centroids of a row by distance; where there is none (what is not a number is near nothing)
 * the first centroid. */
static void rank(const struct near *c, size_t row, uint64_t *keys)
{
    const float *x = c->rows + row * c->dim;
    for (size_t i = 0; i < c->keep; i++) {
        if (keys[i] == UINT64_MAX) continue;
        uint32_t id = (uint32_t)keys[i];
        float l2sq = nlsh__kernels()->l2sq_f32(x, c->centroids + (size_t)id * c->dim, c->dim) +
                     (c->penalty != NULL ? c->penalty[id] : 0);
        uint64_t key = nlsh__key_f32(l2sq, id);
        size_t j = i;
        for (; j > 0 && keys[j - 1] > key; j--) keys[j] = keys[j - 1];
        keys[j] = key;
    }
    for (size_t i = 0; i < c->n_best; i++) {
        int none = keys[i] == UINT64_MAX;
        c->best[row * c->n_best + i] = none ? 0 : (uint32_t)keys[i];
        if (c->l2sq != NULL)
            c->l2sq[row * c->n_best + i] = none ? INFINITY : nlsh__key_score_f32(keys[i]);
    }
}

static void rows_task(void *ctx, size_t task, size_t worker)
{
    const struct near *c = ctx;
    struct worker *w = &c->workers[worker];
    const struct nlsh__bf16 *bf16 = nlsh__kernels()->bf16;
    _Alignas(64) float x[SIDE * SIDE];
    size_t first = task * ROWS, n_rows = c->n - first < ROWS ? c->n - first : ROWS;
    size_t step = c->n_dim * NLSH__TILE;
    nlsh__topk_clear(w->keys, n_rows * c->keep);
    bf16->begin();
    for (size_t b = 0; b < 2; b++)
        for (size_t d = 0; d < c->n_dim; d++) {
            uint16_t *out = w->left + 2 * b * step + d * NLSH__TILE;
            centred(c, c->rows + first * c->dim, n_rows, b * NLSH__SIDE, d * NLSH__SIDE, x);
            bf16->left(x, NLSH__SIDE, out, out + step);
        }
    for (size_t cell = 0; cell < c->n_cells * NLSH__SIDE; cell += CHUNK) {
        size_t n = c->n_cells * NLSH__SIDE - cell;
        if (n > CHUNK) n = CHUNK;
        bf16->product(w->left, step, c->right + cell / 16 * step, step, ROWS / 16, n / 16, c->n_dim,
                      w->scores, CHUNK);
        take_chunk(c, w, n_rows, cell, n);
    }
    bf16->end();
    for (size_t r = 0; r < n_rows; r++) rank(c, first + r, w->keys + r * c->keep);
}

/* ---- centroids ------------------------------------------------------------------------------- */

static void mean_of(const struct near *c, double *sums, float *mean)
{
    for (size_t j = 0; j < c->k; j++)
        for (size_t d = 0; d < c->dim; d++) sums[d] += (double)c->centroids[j * c->dim + d];
    for (size_t d = 0; d < c->dim; d++) mean[d] = (float)(sums[d] / (double)c->k);
}

static void pack_task(void *ctx, size_t cell, size_t worker)
{
    const struct near *c = ctx;
    _Alignas(64) float x[SIDE * SIDE];
    double norms[SIDE] = {0};
    size_t step = c->n_dim * NLSH__TILE, first = cell * NLSH__SIDE;
    (void)worker;
    for (size_t d = 0; d < c->n_dim; d++) {
        uint16_t *out = c->right + 2 * cell * step + d * NLSH__TILE;
        centred(c, c->centroids, c->k, first, d * NLSH__SIDE, x);
        nlsh__kernels()->bf16->right_t(x, NLSH__SIDE, out, out + step);
        for (size_t i = 0; i < SIDE * SIDE; i++) norms[i / SIDE] += (double)x[i] * (double)x[i];
    }
    for (size_t i = 0; i < SIDE; i++) {
        size_t j = first + i;
        float penalty = c->penalty != NULL && j < c->k ? c->penalty[j] : 0;
        c->bias[j] = j < c->k ? (float)norms[i] + penalty : INFINITY;
    }
}

static enum nlsh_status make_worker(const struct near *c, struct worker *w,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__calloc(&w->left, ROWS / 16 * c->n_dim, NLSH__TILE * sizeof *w->left, error));
    NLSH_TRY(nlsh__alloc(&w->scores, ROWS * CHUNK, sizeof *w->scores, error));
    NLSH_TRY(nlsh__alloc(&w->found, CHUNK + 16, sizeof *w->found, error));
    NLSH_TRY(nlsh__alloc(&w->ids, CHUNK + 16, sizeof *w->ids, error));
    NLSH_TRY(nlsh__alloc(&w->keys, ROWS * c->keep, sizeof *w->keys, error));
out:
    return status;
}

static enum nlsh_status near_bf16(struct near *c, const struct nlsh__job *job,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_threads = nlsh__pool_n_threads(job->pool);
    double *sums = NULL;
    float *mean = NULL;
    NLSH_TRY(nlsh__calloc(&sums, c->dim, sizeof *sums, error));
    NLSH_TRY(nlsh__alloc(&mean, c->dim, sizeof *mean, error));
    NLSH_TRY(nlsh__calloc(&c->workers, n_threads, sizeof *c->workers, error));
    NLSH_TRY(
        nlsh__alloc(&c->right, 2 * c->n_cells * c->n_dim, NLSH__TILE * sizeof *c->right, error));
    NLSH_TRY(nlsh__alloc(&c->bias, c->n_cells, NLSH__SIDE * sizeof *c->bias, error));
    for (size_t i = 0; i < n_threads; i++) NLSH_TRY(make_worker(c, &c->workers[i], error));
    mean_of(c, sums, mean);
    c->mean = mean;
    nlsh__pool_run(job->pool, c->n_cells, pack_task, c);
    nlsh__pool_run(job->pool, (c->n + ROWS - 1) / ROWS, rows_task, c);
out:
    for (size_t i = 0; c->workers != NULL && i < n_threads; i++) {
        nlsh__free(c->workers[i].left);
        nlsh__free(c->workers[i].scores);
        nlsh__free(c->workers[i].found);
        nlsh__free(c->workers[i].ids);
        nlsh__free(c->workers[i].keys);
    }
    nlsh__free(c->workers);
    nlsh__free(c->right);
    nlsh__free(c->bias);
    nlsh__free(sums);
    nlsh__free(mean);
    return status;
}

enum nlsh_status nlsh__near_cells(const float *rows, size_t n, size_t dim, const float *centroids,
                                  const float *penalty, size_t k, size_t n_best,
                                  const float *at_most, const struct nlsh__job *job, uint32_t *best,
                                  float *l2sq, struct nlsh_error *error)
{
    struct near c = {.rows = rows,
                     .n = n,
                     .dim = dim,
                     .centroids = centroids,
                     .penalty = penalty,
                     .k = k,
                     .n_best = n_best,
                     .keep = n_best + SPARE,
                     .n_dim = (dim + NLSH__SIDE - 1) / NLSH__SIDE,
                     .n_cells = (k + 63) / 64 * 2, /* whole rows of the 64 lists */
                     .best = best,
                     .l2sq = l2sq};
    if (nlsh__kernels()->bf16 == NULL || k < FEWEST || c.keep > LISTS)
        return nlsh__nearest_cells(rows, n, dim, centroids, penalty, k, n_best, at_most, job, best,
                                   l2sq, error);
    return near_bf16(&c, job, error);
}
