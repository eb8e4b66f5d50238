/* calibrate.c - see calibrate.h. Thresholds are tried on a geometric grid; a query's buckets are
 * those whose probability exceeds the threshold, and its best one, as search does it. */
#include "build/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/select.h"

enum { BLOCK = 64 }; /* queries a task */

/* From .5 down by a factor of .87 a step to 1e-6. */
static double grid(size_t i)
{
    return 0.5 * pow(0.87, (double)i);
}

struct calibrate {
    const struct nlsh__router *router;
    const struct nlsh_matrix *base;
    const uint32_t *rows;
    size_t n, k, m;
    const struct nlsh_neighbors *neighbors;
    const uint32_t *bucket_of;
    uint32_t *sizes;   /* [m] */
    uint32_t *found;   /* [n x points] true neighbours in the buckets */
    uint64_t *scanned; /* [n_tasks x points] */
    float **scratch;   /* [n_threads] */
    uint32_t *best;    /* [n], or NULL */
};

static float *probabilities_of(const struct calibrate *c, size_t row, size_t worker)
{
    float *query = c->scratch[worker];
    float *inputs = query + (c->base->dim + 15) / 16 * 16;
    float *probabilities = inputs + nlsh__router_input_size(c->router);
    float *work = probabilities + nlsh__router_output_size(c->router);
    if (c->base->type == NLSH_U8) {
        const uint8_t *x = (const uint8_t *)c->base->data + row * c->base->dim;
        for (size_t d = 0; d < c->base->dim; d++) query[d] = x[d];
    } else {
        memcpy(query, (const float *)c->base->data + row * c->base->dim,
               c->base->dim * sizeof *query);
    }
    nlsh__router_project(c->router, query, NULL, inputs);
    nlsh__router_forward(c->router, inputs, work, probabilities);
    return probabilities;
}

/* Each bucket counts from the first grid point whose threshold its probability exceeds. */
static void curve_task(void *ctx, size_t task, size_t worker)
{
    const struct calibrate *c = ctx;
    const double log_step = log(0.87);
    uint64_t *scanned = c->scanned + task * NLSH__CALIBRATION_POINTS;
    for (size_t i = task * BLOCK; i < (task + 1) * BLOCK && i < c->n; i++) {
        size_t row = c->rows[i];
        float *p = probabilities_of(c, row, worker);
        const uint32_t *truth = c->neighbors->ids + row * c->neighbors->k;
        uint32_t *found = c->found + i * NLSH__CALIBRATION_POINTS;
        size_t best = nlsh__argmax(p, c->m);
        for (size_t b = 0; b < c->m; b++) {
            double first = b == best ? 0 : log((double)p[b] / 0.5) / log_step;
            if (!(first < NLSH__CALIBRATION_POINTS)) continue;
            size_t point = first <= 0 ? 0 : (size_t)ceil(first);
            while (point < NLSH__CALIBRATION_POINTS && b != best && (double)p[b] <= grid(point))
                point++;
            if (point == NLSH__CALIBRATION_POINTS) continue;
            scanned[point] += c->sizes[b];
            for (size_t j = 0; j < c->k; j++) found[point] += c->bucket_of[truth[j]] == b;
        }
    }
}

static void best_task(void *ctx, size_t task, size_t worker)
{
    const struct calibrate *c = ctx;
    for (size_t i = task * BLOCK; i < (task + 1) * BLOCK && i < c->n; i++)
        c->best[i] = (uint32_t)nlsh__argmax(probabilities_of(c, c->rows[i], worker), c->m);
}

static enum nlsh_status scratch_create(struct calibrate *c, size_t n_threads,
                                       struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t size = (c->base->dim + 15) / 16 * 16 + nlsh__router_input_size(c->router) +
                  nlsh__router_output_size(c->router) + nlsh__router_scratch_size(c->router);
    NLSH_TRY(nlsh__calloc(&c->scratch, n_threads, sizeof *c->scratch, error));
    for (size_t i = 0; i < n_threads; i++)
        NLSH_TRY(nlsh__alloc(&c->scratch[i], size, sizeof(float), error));
out:
    return status;
}

static void scratch_free(struct calibrate *c, size_t n_threads)
{
    for (size_t i = 0; c->scratch != NULL && i < n_threads; i++) free(c->scratch[i]);
    free(c->scratch);
}

/* Sums the counts over queries, then over grid points, and keeps where recall rises. */
static void make_table(const struct calibrate *c, size_t n_tasks, struct nlsh__calibration *out)
{
    double total = (double)c->n * (double)c->k, recall = 0, candidates = 0, last = 0;
    double last_candidates = 0;
    out->n = 0;
    out->candidates_95 = -1;
    for (size_t point = 0; point < NLSH__CALIBRATION_POINTS; point++) {
        uint64_t found = 0, scanned = 0;
        for (size_t i = 0; i < c->n; i++) found += c->found[i * NLSH__CALIBRATION_POINTS + point];
        for (size_t t = 0; t < n_tasks; t++)
            scanned += c->scanned[t * NLSH__CALIBRATION_POINTS + point];
        recall += (double)found / total;
        candidates += (double)scanned / (double)c->n;
        if (out->candidates_95 < 0 && recall >= 0.95) {
            double share = recall > last ? (0.95 - last) / (recall - last) : 1;
            out->candidates_95 = last_candidates + share * (candidates - last_candidates);
        }
        if (recall > last && recall < 1 && (float)recall < 1 &&
            (out->n == 0 || (float)recall > out->table[out->n - 1][0])) {
            out->table[out->n][0] = (float)recall;
            out->table[out->n++][1] = (float)grid(point);
        }
        last = recall;
        last_candidates = candidates;
    }
    if (out->candidates_95 < 0) out->candidates_95 = (double)c->base->n_rows;
}

enum nlsh_status nlsh__calibrate(const struct nlsh__router *router, const struct nlsh_matrix *base,
                                 const uint32_t *rows, size_t n_held,
                                 const struct nlsh_neighbors *neighbors, size_t k,
                                 const uint32_t *bucket_of, size_t m, const struct nlsh__job *job,
                                 struct nlsh__calibration *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_threads = nlsh__pool_n_threads(job->pool), n_tasks = (n_held + BLOCK - 1) / BLOCK;
    struct calibrate c = {.router = router,
                          .base = base,
                          .rows = rows,
                          .n = n_held,
                          .k = k,
                          .m = m,
                          .neighbors = neighbors,
                          .bucket_of = bucket_of};
    NLSH_TRY(scratch_create(&c, n_threads, error));
    NLSH_TRY(nlsh__calloc(&c.sizes, m, sizeof *c.sizes, error));
    NLSH_TRY(nlsh__calloc(&c.found, n_held * NLSH__CALIBRATION_POINTS, sizeof *c.found, error));
    NLSH_TRY(
        nlsh__calloc(&c.scanned, n_tasks * NLSH__CALIBRATION_POINTS, sizeof *c.scanned, error));
    for (size_t i = 0; i < base->n_rows; i++) c.sizes[bucket_of[i]]++;
    nlsh__pool_run(job->pool, n_tasks, curve_task, &c);
    make_table(&c, n_tasks, out);
out:
    scratch_free(&c, n_threads);
    free(c.sizes);
    free(c.found);
    free(c.scanned);
    return status;
}

enum nlsh_status nlsh__best_buckets(const struct nlsh__router *router,
                                    const struct nlsh_matrix *base, const uint32_t *rows, size_t n,
                                    const struct nlsh__job *job, uint32_t *best,
                                    struct nlsh_error *error)
{
    size_t n_threads = nlsh__pool_n_threads(job->pool);
    struct calibrate c = {.router = router, .base = base, .rows = rows, .n = n, .best = best};
    c.m = nlsh__router_n_buckets(router);
    enum nlsh_status status = scratch_create(&c, n_threads, error);
    if (status == NLSH_OK) nlsh__pool_run(job->pool, (n + BLOCK - 1) / BLOCK, best_task, &c);
    scratch_free(&c, n_threads);
    return status;
}
