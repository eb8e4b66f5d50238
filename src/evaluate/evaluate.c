/*
 * evaluate.c - nlsh_evaluate(): route every query once, and read the whole curve from the answer.
 *
 * Queries go through in rounds, each cut into blocks that are the pool's tasks; a block's
 * probabilities live in its worker's scratch, so memory does not grow with queries x buckets.
 * Sums are integers and percentiles do not depend on order: any number of threads gives the same
 * curve.
 *
 * What counts as found is a true neighbour whose bucket is probed. A vector at exactly the k-th
 * true distance is as good as the k-th, so where the ground truth has more than k neighbours and
 * their distances, those tied with the k-th count too, at most k in all.
 */
#include <stdlib.h>

#include "base/error.h"
#include "base/job.h"
#include "base/memory.h"
#include "evaluate/check.h"
#include "evaluate/curve.h"

static const char stage[] = "evaluate";

struct worker {
    struct nlsh__curve_worker curve;
    struct nlsh_searcher *searcher;
    float *probabilities;    /* [block x m] */
    uint32_t *truth_buckets; /* [truth->k] */
    size_t failed_block;     /* the first block of this worker that failed, or SIZE_MAX */
    struct nlsh_error error;
};

struct evaluation {
    const struct nlsh_index *index;
    const struct nlsh_matrix *queries;
    struct nlsh__neighbors truth;
    size_t k, m, n_points;
    size_t block, round; /* queries */
    size_t first;        /* query of this round */
    size_t n_in_round;
    uint32_t *bucket_of;      /* [n_rows] */
    uint32_t *sizes;          /* [m] */
    uint32_t *candidates;     /* [round x n_points] */
    uint32_t *tail_values;    /* [n_points x 2 x n_kept] */
    struct nlsh__tail *tails; /* [n_points] */
    struct nlsh__curve_grid grid;
    struct worker *workers;
    size_t n_workers;
};

/* ---- a block of queries ---------------------------------------------------------------------- */

/* The neighbours that count: the first k, and those tied with the k-th. */
static size_t n_that_count(const struct evaluation *e, size_t query)
{
    const struct nlsh__neighbors *t = &e->truth;
    size_t n = e->k;
    if (t->l2sq == NULL) return n;
    const float *l2sq = t->l2sq + query * t->k;
    while (n < t->k && l2sq[n] == l2sq[e->k - 1] && t->ids[query * t->k + n] != NLSH__NO_ROW) n++;
    return n;
}

static enum nlsh_status evaluate_block(struct evaluation *e, struct worker *w, size_t first,
                                       size_t n)
{
    const struct nlsh_matrix *queries = e->queries;
    struct nlsh_matrix block = nlsh__some_queries(queries, first, n);
    enum nlsh_status status = nlsh_route(w->searcher, &block, w->probabilities, &w->error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < n; i++) {
        size_t query = first + i, n_truth = n_that_count(e, query);
        const uint32_t *ids = e->truth.ids + query * e->truth.k;
        for (size_t j = 0; j < n_truth; j++) w->truth_buckets[j] = e->bucket_of[ids[j]];
        nlsh__curve_query(&e->grid, &w->curve, w->probabilities + i * e->m, w->truth_buckets,
                          n_truth, e->candidates + (query - e->first) * e->n_points);
    }
    return NLSH_OK;
}

static void block_task(void *ctx, size_t task, size_t worker)
{
    struct evaluation *e = ctx;
    struct worker *w = &e->workers[worker];
    size_t start = task * e->block, n = e->n_in_round - start;
    if (w->failed_block != SIZE_MAX) return; /* later ones cannot be the first that failed */
    if (n > e->block) n = e->block;
    enum nlsh_status status = evaluate_block(e, w, e->first + start, n);
    if (status == NLSH_OK) return;
    w->error.status = status;
    w->failed_block = task;
}

static void tail_task(void *ctx, size_t point, size_t worker)
{
    struct evaluation *e = ctx;
    (void)worker;
    for (size_t q = 0; q < e->n_in_round; q++)
        nlsh__tail_add(&e->tails[point], e->candidates[q * e->n_points + point]);
}

/* The error of the first block that failed, whichever thread had it. */
static enum nlsh_status first_failure(const struct evaluation *e, struct nlsh_error *error)
{
    const struct worker *first = NULL;
    for (size_t i = 0; i < e->n_workers; i++) {
        const struct worker *w = &e->workers[i];
        if (w->failed_block == SIZE_MAX) continue;
        if (first == NULL || w->failed_block < first->failed_block) first = w;
    }
    if (first == NULL) return NLSH_OK;
    if (error != NULL) *error = first->error;
    return first->error.status;
}

static enum nlsh_status run_rounds(struct evaluation *e, const struct nlsh__job *job,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = e->queries->n_rows;
    NLSH_TRY(nlsh__job_progress(job, stage, 0, n, error));
    for (e->first = 0; e->first < n; e->first += e->n_in_round) {
        e->n_in_round = n - e->first < e->round ? n - e->first : e->round;
        nlsh__pool_run(job->pool, (e->n_in_round + e->block - 1) / e->block, block_task, e);
        NLSH_TRY(first_failure(e, error));
        nlsh__pool_run(job->pool, e->n_points, tail_task, e);
        NLSH_TRY(nlsh__job_progress(job, stage, e->first + e->n_in_round, n, error));
    }
out:
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum nlsh_status set_up(struct evaluation *e, const struct nlsh__job *job,
                               struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    NLSH_TRY(nlsh_index_info(e->index, &info, error));
    e->m = info.n_buckets;
    NLSH_TRY(nlsh__alloc(&e->bucket_of, nlsh__index_rows(e->index), sizeof *e->bucket_of, error));
    NLSH_TRY(nlsh__alloc(&e->sizes, e->m, sizeof *e->sizes, error));
    nlsh__buckets_of_rows(e->index, e->m, e->bucket_of, e->sizes);
    NLSH_TRY(nlsh__curve_grid_init(e->m, e->k, e->sizes, &e->grid, error));
    e->n_points = nlsh__curve_n_points(&e->grid);

    /* Blocks of up to 64 queries and 2 MiB of probabilities; rounds of up to 4096 queries, fewer
     * where buckets are many, so that progress is heard of several times a second. */
    const size_t block_values = (size_t)1 << 19, round_values = (size_t)1 << 24;
    e->block = block_values / e->m < 1 ? 1 : block_values / e->m > 64 ? 64 : block_values / e->m;
    e->round = round_values / e->m < 256    ? 256
               : round_values / e->m > 4096 ? 4096
                                            : round_values / e->m;
    if (e->round > e->queries->n_rows) e->round = e->queries->n_rows;
    NLSH_TRY(nlsh__alloc(&e->candidates, e->round, e->n_points * sizeof *e->candidates, error));

    size_t n_kept = nlsh__tail_n_kept(e->queries->n_rows);
    NLSH_TRY(nlsh__alloc(&e->tail_values, n_kept, 2 * e->n_points * sizeof *e->tail_values, error));
    NLSH_TRY(nlsh__alloc(&e->tails, e->n_points, sizeof *e->tails, error));
    for (size_t i = 0; i < e->n_points; i++)
        e->tails[i] =
            (struct nlsh__tail){.values = e->tail_values + 2 * n_kept * i, .n_kept = n_kept};

    size_t n_workers = nlsh__pool_n_threads(job->pool);
    NLSH_TRY(nlsh__calloc(&e->workers, n_workers, sizeof *e->workers, error));
    e->n_workers = n_workers;
    for (size_t i = 0; i < n_workers; i++) {
        struct worker *w = &e->workers[i];
        w->failed_block = SIZE_MAX;
        NLSH_TRY(nlsh__curve_worker_init(&e->grid, e->truth.k, &w->curve, error));
        NLSH_TRY(nlsh__alloc(&w->probabilities, e->block, e->m * sizeof(float), error));
        NLSH_TRY(nlsh__alloc(&w->truth_buckets, e->truth.k, sizeof *w->truth_buckets, error));
        NLSH_TRY(nlsh_searcher_create(e->index, &w->searcher, error));
    }
out:
    return status;
}

static void tear_down(struct evaluation *e)
{
    for (size_t i = 0; i < e->n_workers; i++) {
        struct worker *w = &e->workers[i];
        nlsh__curve_worker_free(&w->curve);
        nlsh_searcher_free(w->searcher);
        nlsh__free(w->probabilities);
        nlsh__free(w->truth_buckets);
    }
    nlsh__free(e->workers);
    nlsh__curve_grid_free(&e->grid);
    nlsh__free(e->tails);
    nlsh__free(e->tail_values);
    nlsh__free(e->candidates);
    nlsh__free(e->sizes);
    nlsh__free(e->bucket_of);
    nlsh__neighbors_free(&e->truth);
}

static enum nlsh_status finish(struct evaluation *e, struct nlsh_curve **out,
                               struct nlsh_error *error)
{
    uint32_t *p95;
    struct nlsh__curve_sum *total = e->workers[0].curve.sums;
    enum nlsh_status status = nlsh__alloc(&p95, e->n_points, sizeof *p95, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < e->n_points; i++) {
        p95[i] = nlsh__tail_p95(&e->tails[i]);
        for (size_t w = 1; w < e->n_workers; w++) {
            const struct nlsh__curve_sum *sum = &e->workers[w].curve.sums[i];
            total[i].hits += sum->hits;
            total[i].candidates += sum->candidates;
            total[i].probes += sum->probes;
            total[i].oracle_hits += sum->oracle_hits;
        }
    }
    status = nlsh__curve_finish(&e->grid, total, p95, e->queries->n_rows, out, error);
    nlsh__free(p95);
    return status;
}

enum nlsh_status nlsh_evaluate(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                               const struct nlsh_neighbors *truth, size_t k,
                               const struct nlsh_run *run, struct nlsh_curve **out,
                               struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {0};
    struct evaluation e = {.index = index, .queries = queries, .k = k};
    nlsh__error_clear(error);
    *out = NULL;
    NLSH_TRY(nlsh__take_truth(index, queries, truth, k, &e.truth, error));
    NLSH_TRY(nlsh__job_begin(run, &job, error));
    NLSH_TRY(set_up(&e, &job, error));
    NLSH_TRY(run_rounds(&e, &job, error));
    status = finish(&e, out, error);
out:
    tear_down(&e);
    nlsh__job_end(&job);
    return status;
}
