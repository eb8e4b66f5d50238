/* heldout.c - see heldout.h. A query's true neighbours lie in known buckets: evaluate/curve.h. */
#include "measure/heldout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "evaluate/curve.h"
#include "measure/askers.h"

enum { BLOCK = 64 }; /* queries a task */

struct worker {
    struct nlsh__curve_worker curve;
    uint32_t *buckets;    /* [k] of the true neighbours */
    uint32_t *candidates; /* [n_points] */
};

struct scoring {
    struct nlsh__askers askers;
    const struct nlsh__held_out *held;
    const uint32_t *bucket_of;
    size_t n;
    struct nlsh__curve_grid grid;
    struct worker *workers;
    size_t n_workers;
};

static void block_task(void *ctx, size_t task, size_t worker)
{
    struct scoring *s = ctx;
    struct worker *w = &s->workers[worker];
    size_t k = s->held->k;
    for (size_t i = task * BLOCK; i < (task + 1) * BLOCK && i < s->n; i++) {
        const float *p = nlsh__ask_row(&s->askers.of[worker], &s->held->queries, i);
        for (size_t j = 0; j < k; j++) w->buckets[j] = s->bucket_of[s->held->truth[i * k + j]];
        nlsh__curve_query(&s->grid, &w->curve, p, w->buckets, k, w->candidates);
    }
}

/* The whole grid of thresholds for the wanted recall, and one point for T. */
static enum nlsh_status make_grid(struct scoring *s, size_t m, double T, const uint32_t *sizes,
                                  struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__curve_grid_init(m, s->held->k, sizes, &s->grid, error);
    if (status != NLSH_OK) return status;
    s->grid.n_tops = 1;
    s->grid.tops[0] = T < 1 ? 1 : T < (double)m ? (uint32_t)T : (uint32_t)m;
    return NLSH_OK;
}

static enum nlsh_status workers_create(struct scoring *s, size_t n, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__calloc(&s->workers, n, sizeof *s->workers, error));
    s->n_workers = n;
    for (size_t i = 0; i < n; i++) {
        struct worker *w = &s->workers[i];
        NLSH_TRY(nlsh__curve_worker_init(&s->grid, s->held->k, &w->curve, error));
        NLSH_TRY(nlsh__alloc(&w->buckets, s->held->k, sizeof *w->buckets, error));
        NLSH_TRY(nlsh__alloc(&w->candidates, nlsh__curve_n_points(&s->grid), sizeof *w->candidates,
                             error));
    }
out:
    return status;
}

static void workers_free(struct scoring *s)
{
    for (size_t i = 0; i < s->n_workers; i++) {
        nlsh__curve_worker_free(&s->workers[i].curve);
        nlsh__free(s->workers[i].buckets);
        nlsh__free(s->workers[i].candidates);
    }
    nlsh__free(s->workers);
}

static void sum_point(const struct scoring *s, size_t point, double *recall, double *candidates)
{
    uint64_t hits = 0, scanned = 0;
    for (size_t w = 0; w < s->n_workers; w++) {
        hits += s->workers[w].curve.sums[point].hits;
        scanned += s->workers[w].curve.sums[point].candidates;
    }
    *recall = (double)hits / ((double)s->n * (double)s->held->k);
    *candidates = (double)scanned / (double)s->n;
}

/* Along falling thresholds, from one that finds nothing: what the wanted recall takes. Where even
 * the last leaves it, only a scan of all is sure to. */
static void at_recall(const struct scoring *s, size_t n_rows, double wanted,
                      struct nlsh__held_out_score *out)
{
    double last_recall = 0, last_candidates = 0, last_log = 0;
    out->candidates = (double)n_rows;
    out->threshold = 0;
    for (size_t i = 0; i < s->grid.n_thresholds; i++) {
        double recall, candidates, log_threshold = log(s->grid.thresholds[i]);
        sum_point(s, s->grid.n_tops + i, &recall, &candidates);
        if (recall >= wanted) {
            double share =
                recall > last_recall ? (wanted - last_recall) / (recall - last_recall) : 1;
            out->candidates = last_candidates + share * (candidates - last_candidates);
            out->threshold =
                exp(i == 0 ? log_threshold : last_log + share * (log_threshold - last_log));
            return;
        }
        last_recall = recall;
        last_candidates = candidates;
        last_log = log_threshold;
    }
}

enum nlsh_status nlsh__held_out_score(const struct nlsh__router *router,
                                      const struct nlsh__held_out *held, size_t n_queries,
                                      const uint32_t *bucket_of, size_t n_rows, size_t m, double T,
                                      double wanted, const struct nlsh__job *job,
                                      struct nlsh__held_out_score *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *sizes = NULL;
    double candidates;
    struct scoring s = {.held = held, .bucket_of = bucket_of, .n = held->queries.n_rows};
    if (n_queries < s.n) s.n = n_queries;
    NLSH_TRY(nlsh__askers_create(router, job, &s.askers, error));
    NLSH_TRY(nlsh__calloc(&sizes, m, sizeof *sizes, error));
    for (size_t i = 0; i < n_rows; i++) sizes[bucket_of[i]]++;
    NLSH_TRY(make_grid(&s, m, T, sizes, error));
    NLSH_TRY(workers_create(&s, nlsh__pool_n_threads(job->pool), error));
    nlsh__pool_run(job->pool, (s.n + BLOCK - 1) / BLOCK, block_task, &s);
    at_recall(&s, n_rows, wanted, out);
    sum_point(&s, 0, &out->recall, &candidates);
    if (T < 1) {
        /* Once more over the sums of a grid with this threshold alone. */
        workers_free(&s);
        s.workers = NULL;
        s.n_workers = 0;
        s.grid.thresholds[0] = T;
        s.grid.n_thresholds = 1;
        NLSH_TRY(workers_create(&s, nlsh__pool_n_threads(job->pool), error));
        nlsh__pool_run(job->pool, (s.n + BLOCK - 1) / BLOCK, block_task, &s);
        sum_point(&s, 1, &out->recall, &candidates);
    }
out:
    nlsh__askers_free(&s.askers);
    workers_free(&s);
    nlsh__curve_grid_free(&s.grid);
    nlsh__free(sizes);
    return status;
}
