/*
 * capped.c - buckets of k-means cells with a cap on their size.
 *
 * Capped cells are a power diagram: each centroid carries a penalty that is added to its squared
 * distance. Penalties of cells over the cap rise, of those under it fall, until nearly all fit
 * (the multipliers of the transport problem: Aurenhammer, Hoffmann and Aronov, "Minkowski-type
 * theorems and least-squares clustering", 1998); cells stay convex, which a router can learn. What
 * is still over is moved, cheapest first, to the nearest cell with room.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "partition/kmeans.h"
#include "partition/partition.h"

enum {
    ITERATIONS = 12,
    BALANCE_ROUNDS = 40,
    BALANCE_CHOICES = 16, /* cells that a row may go to between two looks at all of them, */
    LOOKS_AFTER = 8,      /* every so many rounds */
    BLOCK = 4096,         /* rows a task */
    SPILL_CHOICES = 16    /* cells a row may be moved to */
};

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

/* Where a row may go, nearest first, and how far that is without penalties. */
struct choices {
    struct capped *c;
    size_t n; /* a row */
    uint32_t *cells;
    float *l2sq;    /* [n_rows x n] */
    float *at_most; /* [n_rows] what the farthest has under the penalties as they are */
    float most;     /* of the penalties that were taken off */
};

static void take_off_penalty(void *ctx, size_t task, size_t worker)
{
    struct choices *s = ctx;
    size_t end = (task + 1) * BLOCK < s->c->n ? (task + 1) * BLOCK : s->c->n;
    (void)worker;
    for (size_t i = task * BLOCK * s->n; i < end * s->n; i++)
        s->l2sq[i] -= s->c->penalty[s->cells[i]];
}

/* Each row to the best of its choices under the penalties as they are; the first among equals. */
static void assign_task(void *ctx, size_t task, size_t worker)
{
    struct choices *s = ctx;
    size_t end = (task + 1) * BLOCK < s->c->n ? (task + 1) * BLOCK : s->c->n;
    (void)worker;
    for (size_t i = task * BLOCK; i < end; i++) {
        const uint32_t *cells = s->cells + i * s->n;
        const float *l2sq = s->l2sq + i * s->n;
        size_t best = 0;
        for (size_t j = 1; j < s->n; j++)
            if (l2sq[j] + s->c->penalty[cells[j]] < l2sq[best] + s->c->penalty[cells[best]])
                best = j;
        s->c->bucket_of[i] = cells[best];
    }
}

/* Penalties have changed since the choices were looked for: these are as many cells, so the n nearest are no farther, but
 * for what was rounded where penalties were taken off. */
static void bound_task(void *ctx, size_t task, size_t worker)
{
    struct choices *s = ctx;
    size_t end = (task + 1) * BLOCK < s->c->n ? (task + 1) * BLOCK : s->c->n;
    (void)worker;
    for (size_t i = task * BLOCK; i < end; i++) {
        s->at_most[i] = 0;
        for (size_t j = i * s->n; j < (i + 1) * s->n; j++)
            s->at_most[i] = fmaxf(s->at_most[i], s->l2sq[j] + s->c->penalty[s->cells[j]]);
        s->at_most[i] += 4 * FLT_EPSILON * s->most;
    }
}

static enum nlsh_status look(struct choices *s, int again, const struct nlsh__job *job,
                             struct nlsh_error *error)
{
    struct capped *c = s->c;
    if (again) nlsh__pool_run(job->pool, (c->n + BLOCK - 1) / BLOCK, bound_task, s);
    enum nlsh_status status =
        nlsh__near_cells(c->rows, c->n, c->dim, c->centroids, c->penalty, c->m, s->n,
                         again ? s->at_most : NULL, job, s->cells, s->l2sq, error);
    if (status != NLSH_OK) return status;
    nlsh__pool_run(job->pool, (c->n + BLOCK - 1) / BLOCK, take_off_penalty, s);
    s->most = 0;
    for (size_t j = 0; j < c->m; j++) s->most = fmaxf(s->most, c->penalty[j]);
    return NLSH_OK;
}

/* Raises the penalties of what is over and lowers the others', until 1 % of the rows are over. A look
 * at all cells costs as much as hundreds of rounds among the nearest. */
static enum nlsh_status balance(struct capped *c, const struct nlsh__job *job,
                                struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct choices s = {.c = c, .n = c->m < BALANCE_CHOICES ? c->m : BALANCE_CHOICES};
    double unit = 0; /* the step's: a row's mean squared distance to its centroid */
    NLSH_TRY(nlsh__alloc(&s.cells, c->n * s.n, sizeof *s.cells, error));
    NLSH_TRY(nlsh__alloc(&s.l2sq, c->n * s.n, sizeof *s.l2sq, error));
    NLSH_TRY(nlsh__alloc(&s.at_most, c->n, sizeof *s.at_most, error));
    for (int round = 0; round < BALANCE_ROUNDS; round++) {
        NLSH_TRY(nlsh__job_progress(job, "balance", (uint64_t)round, BALANCE_ROUNDS, error));
        if (round % LOOKS_AFTER == 0) NLSH_TRY(look(&s, round > 0, job, error));
        if (round == 0)
            for (size_t i = 0; i < c->n; i++) unit += (double)s.l2sq[i * s.n] / (double)c->n;
        nlsh__pool_run(job->pool, (c->n + BLOCK - 1) / BLOCK, assign_task, &s);
        if (count_sizes(c) * 100 <= c->n) break;
        double step = 0.3 * unit / (1 + 0.1 * round);
        for (size_t j = 0; j < c->m; j++) {
            double fill = (double)c->sizes[j] / (double)c->cap;
            double change = step * log(fmax(fill, 0.05));
            double penalty = (double)c->penalty[j] + change;
            c->penalty[j] = (float)fmax(0, penalty);
        }
    }
    NLSH_TRY(nlsh__job_progress(job, "balance", BALANCE_ROUNDS, BALANCE_ROUNDS, error));
out:
    nlsh__free(s.cells);
    nlsh__free(s.l2sq);
    nlsh__free(s.at_most);
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
    NLSH_TRY(nlsh__near_cells(rows, n_rows, c->dim, c->centroids, c->penalty, c->m, choices, NULL,
                              job, best, l2sq, error));
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
    nlsh__free(row_of);
    nlsh__free(rows);
    nlsh__free(best);
    nlsh__free(l2sq);
    nlsh__free(moves);
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
    NLSH_TRY(nlsh__kmeans(rows, n, dim, m, ITERATIONS, seed, job, centroids, NULL, error));
    c.centroids = centroids;
    NLSH_TRY(balance(&c, job, error));
    NLSH_TRY(spill(&c, job, error));
    fill_empty_buckets(&c);
    NLSH_TRY(nlsh__partition_check(bucket_of, n, m, c.cap, error));
out:
    nlsh__free(centroids);
    nlsh__free(c.sizes);
    nlsh__free(c.penalty);
    return status;
}

static void find_means(const float *rows, size_t n, size_t dim, const uint32_t *bucket_of, size_t m,
                       double *sums, float *out)
{
    for (size_t i = 0; i < n; i++) {
        double *sum = sums + bucket_of[i] * (dim + 1);
        for (size_t d = 0; d < dim; d++) sum[d] += (double)rows[i * dim + d];
        sum[dim]++;
    }
    for (size_t b = 0; b < m; b++) {
        const double *sum = sums + b * (dim + 1);
        for (size_t d = 0; d < dim; d++) out[b * dim + d] = (float)(sum[d] / fmax(sum[dim], 1));
    }
}

enum nlsh_status nlsh__capped_cells(const float *rows, size_t n, size_t dim, size_t m,
                                    double imbalance, const uint32_t *bucket_of,
                                    const struct nlsh__job *job, float *centroids, float *penalty,
                                    size_t *n_stay, struct nlsh_error *error)
{
    enum nlsh_status status;
    double *sums = NULL;
    struct capped c = {.rows = rows,
                       .centroids = centroids,
                       .n = n,
                       .dim = dim,
                       .m = m,
                       .cap = nlsh__bucket_cap(n, m, imbalance),
                       .penalty = penalty};
    NLSH_TRY(nlsh__calloc(&sums, m * (dim + 1), sizeof *sums, error));
    NLSH_TRY(nlsh__calloc(&c.sizes, m, sizeof *c.sizes, error));
    NLSH_TRY(nlsh__alloc(&c.bucket_of, n, sizeof *c.bucket_of, error));
    find_means(rows, n, dim, bucket_of, m, sums, centroids);
    memset(penalty, 0, m * sizeof *penalty);
    NLSH_TRY(balance(&c, job, error));
    *n_stay = 0;
    for (size_t i = 0; i < n; i++) *n_stay += c.bucket_of[i] == bucket_of[i];
out:
    nlsh__free(sums);
    nlsh__free(c.sizes);
    nlsh__free(c.bucket_of);
    return status;
}
