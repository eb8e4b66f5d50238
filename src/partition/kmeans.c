/*
 * kmeans.c - Lloyd's iteration (1982) on panels, and buckets cut from it with a cap on their size.
 *
 * Capped cells are a power diagram: each centroid carries a penalty that is added to its squared
 * distance. Penalties of cells over the cap rise, of those under it fall, until nearly all fit
 * (the multipliers of the transport problem: Aurenhammer, Hoffmann and Aronov, "Minkowski-type
 * theorems and least-squares clustering", 1998); cells stay convex, which a router can learn. What
 * is still over is moved, cheapest first, to the nearest cell with room.
 */
#include "partition/kmeans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "partition/partition.h"

enum {
    BLOCK = 96,              /* rows a task */
    TILE_GROUPS = 16,        /* 256 centroids between two updates of the thresholds */
    SAMPLE_A_CENTROID = 256, /* as faiss: more rows move centroids by less than they cost */
    ITERATIONS = 12,
    BALANCE_ROUNDS = 40,
    SPILL_CHOICES = 16 /* cells a row may be moved to */
};

/* ---- the nearest centroids of rows ----------------------------------------------------------- */

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
        nlsh__kernels()->panel_f32(&c->panel, g, n_groups, centred, n, thresholds, hits);
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
    free(sums);
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
        free(c.hits[i].n);
        free(c.hits[i].ids);
        free(c.hits[i].scores.f32);
    }
    free(c.hits);
    free(c.mean);
    free(c.centred);
    free(own);
    nlsh__panel_f32_free(&c.panel);
    return status;
}

/* ---- Lloyd ----------------------------------------------------------------------------------- */

struct lloyd {
    const float *rows; /* the sample */
    size_t n, dim, k;
    uint32_t *cell_of; /* [n] */
    size_t *sizes;     /* [k] */
    float *centroids;
    struct nlsh__rng rng;
};

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
    free(sums);
    return NLSH_OK;
}

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
        NLSH_TRY(nlsh__nearest_cells(s.rows, s.n, dim, centroids, NULL, k, 1, job, s.cell_of, NULL,
                                     error));
        NLSH_TRY(update_centroids(&s, error));
    }
    if (cell_of != NULL)
        NLSH_TRY(
            nlsh__nearest_cells(rows, n, dim, centroids, NULL, k, 1, job, cell_of, NULL, error));
    NLSH_TRY(nlsh__job_progress(job, "k-means", iterations, iterations, error));
out:
    free(chosen);
    free(sample);
    free(s.cell_of);
    free(s.sizes);
    return status;
}

/* ---- buckets with a cap ---------------------------------------------------------------------- */

struct capped {
    const float *rows, *centroids;
    size_t n, dim, m, cap;
    uint32_t *bucket_of;
    size_t *sizes;
    float *penalty;
};

static size_t count_sizes(struct capped *c)
{
    size_t over = 0;
    memset(c->sizes, 0, c->m * sizeof *c->sizes);
    for (size_t i = 0; i < c->n; i++) c->sizes[c->bucket_of[i]]++;
    for (size_t j = 0; j < c->m; j++)
        if (c->sizes[j] > c->cap) over += c->sizes[j] - c->cap;
    return over;
}

/* Raises the penalties of what is over and lowers the others', until 1 % of the rows are over. */
static enum nlsh_status balance(struct capped *c, const struct nlsh__job *job,
                                struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    float *l2sq = NULL;
    NLSH_TRY(nlsh__alloc(&l2sq, c->n, sizeof *l2sq, error));
    /* The step's unit: a row's mean squared distance to its centroid. */
    NLSH_TRY(nlsh__nearest_cells(c->rows, c->n, c->dim, c->centroids, NULL, c->m, 1, job,
                                 c->bucket_of, l2sq, error));
    double unit = 0;
    for (size_t i = 0; i < c->n; i++) unit += (double)l2sq[i];
    unit /= (double)c->n;
    for (int round = 0; round < BALANCE_ROUNDS; round++) {
        NLSH_TRY(nlsh__job_progress(job, "balance", (uint64_t)round, BALANCE_ROUNDS, error));
        if (count_sizes(c) * 100 <= c->n) break;
        double step = 0.3 * unit / (1 + 0.1 * round);
        for (size_t j = 0; j < c->m; j++) {
            double fill = (double)c->sizes[j] / (double)c->cap;
            double change = step * log(fmax(fill, 0.05));
            double penalty = (double)c->penalty[j] + change;
            c->penalty[j] = (float)fmax(0, penalty);
        }
        NLSH_TRY(nlsh__nearest_cells(c->rows, c->n, c->dim, c->centroids, c->penalty, c->m, 1, job,
                                     c->bucket_of, NULL, error));
    }
    count_sizes(c);
    NLSH_TRY(nlsh__job_progress(job, "balance", BALANCE_ROUNDS, BALANCE_ROUNDS, error));
out:
    free(l2sq);
    return status;
}

struct move {
    float loss;
    uint32_t row, choice;
};

static int by_loss(const void *a, const void *b)
{
    const struct move *x = a, *y = b;
    if (x->loss != y->loss) return x->loss < y->loss ? -1 : 1;
    if (x->row != y->row) return x->row < y->row ? -1 : 1;
    return (x->choice > y->choice) - (x->choice < y->choice);
}

/* Moves rows out of cells over the cap, cheapest first, to one of their nearest cells with room;
 * where those are full too, to the emptiest. */
static enum nlsh_status spill(struct capped *c, const struct nlsh__job *job,
                              struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    size_t choices = c->m < SPILL_CHOICES ? c->m : SPILL_CHOICES, n_rows = 0, n_moves = 0;
    uint32_t *row_of = NULL, *best = NULL;
    float *rows = NULL, *l2sq = NULL;
    struct move *moves = NULL;
    for (size_t i = 0; i < c->n; i++) n_rows += c->sizes[c->bucket_of[i]] > c->cap;
    if (n_rows == 0) return NLSH_OK;
    NLSH_TRY(nlsh__alloc(&row_of, n_rows, sizeof *row_of, error));
    NLSH_TRY(nlsh__alloc(&rows, n_rows * c->dim, sizeof *rows, error));
    NLSH_TRY(nlsh__alloc(&best, n_rows * choices, sizeof *best, error));
    NLSH_TRY(nlsh__alloc(&l2sq, n_rows * choices, sizeof *l2sq, error));
    NLSH_TRY(nlsh__alloc(&moves, n_rows * choices, sizeof *moves, error));
    for (size_t i = 0, r = 0; i < c->n; i++) {
        if (c->sizes[c->bucket_of[i]] <= c->cap) continue;
        row_of[r] = (uint32_t)i;
        memcpy(rows + r++ * c->dim, c->rows + i * c->dim, c->dim * sizeof *rows);
    }
    NLSH_TRY(nlsh__nearest_cells(rows, n_rows, c->dim, c->centroids, c->penalty, c->m, choices, job,
                                 best, l2sq, error));
    for (size_t r = 0; r < n_rows; r++)
        for (size_t a = 1; a < choices; a++)
            moves[n_moves++] = (struct move){l2sq[r * choices + a] - l2sq[r * choices], row_of[r],
                                             best[r * choices + a]};
    qsort(moves, n_moves, sizeof *moves, by_loss);
    for (size_t i = 0; i < n_moves; i++) {
        uint32_t from = c->bucket_of[moves[i].row], to = moves[i].choice;
        if (c->sizes[from] <= c->cap || c->sizes[to] >= c->cap) continue;
        c->bucket_of[moves[i].row] = to;
        c->sizes[from]--;
        c->sizes[to]++;
    }
    for (size_t i = 0; i < c->n; i++) {
        uint32_t from = c->bucket_of[i];
        if (c->sizes[from] <= c->cap) continue;
        size_t to = 0;
        for (size_t j = 1; j < c->m; j++)
            if (c->sizes[j] < c->sizes[to]) to = j;
        c->bucket_of[i] = (uint32_t)to;
        c->sizes[from]--;
        c->sizes[to]++;
    }
out:
    free(row_of);
    free(rows);
    free(best);
    free(l2sq);
    free(moves);
    return status;
}

/* An empty bucket takes a row of the largest. */
static void fill_empty_buckets(struct capped *c)
{
    for (size_t j = 0; j < c->m; j++) {
        if (c->sizes[j] > 0) continue;
        size_t largest = 0;
        for (size_t b = 1; b < c->m; b++)
            if (c->sizes[b] > c->sizes[largest]) largest = b;
        for (size_t i = 0; i < c->n; i++)
            if (c->bucket_of[i] == largest) {
                c->bucket_of[i] = (uint32_t)j;
                break;
            }
        c->sizes[largest]--;
        c->sizes[j]++;
    }
}

enum nlsh_status nlsh__partition_kmeans(const float *rows, size_t n, size_t dim, size_t m,
                                        double imbalance, uint64_t seed,
                                        const struct nlsh__job *job, uint32_t *bucket_of,
                                        struct nlsh_error *error)
{
    enum nlsh_status status;
    float *centroids = NULL;
    struct capped c = {.rows = rows,
                       .n = n,
                       .dim = dim,
                       .m = m,
                       .cap = nlsh__bucket_cap(n, m, imbalance),
                       .bucket_of = bucket_of};
    if (m < 1 || m > n)
        return nlsh__fail(error, NLSH_E_ARG, "ask for between 1 and n buckets",
                          "m is %zu for %zu vectors", m, n);
    NLSH_TRY(nlsh__alloc(&centroids, m * dim, sizeof *centroids, error));
    NLSH_TRY(nlsh__calloc(&c.sizes, m, sizeof *c.sizes, error));
    NLSH_TRY(nlsh__calloc(&c.penalty, m, sizeof *c.penalty, error));
    NLSH_TRY(nlsh__kmeans(rows, n, dim, m, ITERATIONS, seed, job, centroids, bucket_of, error));
    c.centroids = centroids;
    if (count_sizes(&c) > 0) {
        NLSH_TRY(balance(&c, job, error));
        NLSH_TRY(spill(&c, job, error));
    }
    fill_empty_buckets(&c);
    NLSH_TRY(nlsh__partition_check(bucket_of, n, m, c.cap, error));
out:
    free(centroids);
    free(c.sizes);
    free(c.penalty);
    return status;
}
