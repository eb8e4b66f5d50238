/* calibrate.c - see calibrate.h. Thresholds are tried on a geometric grid; a query's buckets are
 * those whose score exceeds the threshold, or else its most probable one, as search does it. */
#include "measure/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "graph/graph.h"
#include "kernels/select.h"

enum { BLOCK = 64 }; /* queries a task */

/* From .5 down by a factor of .87 a step to 1e-6. */
static double grid(size_t i)
{
    return 0.5 * pow(0.87, (double)i);
}

struct counts;

struct calibrate {
    const struct nlsh__router *router;
    const struct nlsh_matrix *base;
    const uint32_t *rows;
    size_t n, m;
    const uint32_t *truth_buckets; /* [n x k] */
    size_t k;
    uint32_t *sizes;      /* [m] */
    float *weights;       /* [m] the mean size over a bucket's own */
    struct counts *tasks; /* [n_tasks] */
    float **scratch;      /* [n_threads] */
    uint32_t *best;       /* [n], or NULL */
};

/* Of a task's queries, what lies in the buckets that count from a grid point on. */
struct counts {
    uint64_t scanned[NLSH__CALIBRATION_POINTS];
    uint64_t found[NLSH__CALIBRATION_KS][NLSH__CALIBRATION_POINTS]; /* of the k nearest */
};

static const size_t ks[NLSH__CALIBRATION_KS] = {1, 10, 100};

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

/* The first grid point that a score is above. */
static size_t point_of(double score)
{
    double first = log(score / 0.5) / log(0.87);
    if (!(first < NLSH__CALIBRATION_POINTS)) return NLSH__CALIBRATION_POINTS;
    size_t point = first <= 0 ? 0 : (size_t)ceil(first);
    while (point < NLSH__CALIBRATION_POINTS && score <= grid(point)) point++;
    return point;
}

static void count_bucket(const struct calibrate *c, size_t query, size_t b, size_t point,
                         struct counts *counts)
{
    const uint32_t *buckets = c->truth_buckets + query * c->k;
    counts->scanned[point] += c->sizes[b];
    for (size_t j = 0, n = 0; j < c->k; j++) {
        while (n < NLSH__CALIBRATION_KS && j >= ks[n]) n++;
        if (buckets[j] != b) continue;
        for (size_t i = n; i < NLSH__CALIBRATION_KS; i++) counts->found[i][point]++;
    }
}

/* Each bucket counts from the first grid point whose threshold its score exceeds, the most probable
 * one from the start: it is scanned where no other is, and above any threshold of interest. */
static void curve_task(void *ctx, size_t task, size_t worker)
{
    const struct calibrate *c = ctx;
    struct counts *counts = &c->tasks[task];
    for (size_t i = task * BLOCK; i < (task + 1) * BLOCK && i < c->n; i++) {
        const float *p = probabilities_of(c, c->rows[i], worker);
        size_t best = nlsh__argmax(p, c->m);
        for (size_t b = 0; b < c->m; b++) {
            size_t point = b == best ? 0 : point_of((double)(p[b] * c->weights[b]));
            if (point < NLSH__CALIBRATION_POINTS) count_bucket(c, i, b, point, counts);
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
    for (size_t i = 0; c->scratch != NULL && i < n_threads; i++) nlsh__free(c->scratch[i]);
    nlsh__free(c->scratch);
}

/* Sums the counts over tasks, then over grid points, and keeps where recall rises. */
static void make_table(const struct calibrate *c, size_t n_tasks, size_t i,
                       struct nlsh__calibration *out)
{
    size_t k = ks[i] < c->k ? ks[i] : c->k, n = 0;
    double total = (double)c->n * (double)k, recall = 0, candidates = 0, last = 0;
    double last_candidates = 0, at_95 = -1;
    float(*table)[2] = out->table[out->n];
    for (size_t point = 0; point < NLSH__CALIBRATION_POINTS; point++) {
        uint64_t found = 0, scanned = 0;
        for (size_t t = 0; t < n_tasks; t++) {
            found += c->tasks[t].found[i][point];
            scanned += c->tasks[t].scanned[point];
        }
        recall += (double)found / total;
        candidates += (double)scanned / (double)c->n;
        if (at_95 < 0 && recall >= 0.95) {
            double share = recall > last ? (0.95 - last) / (recall - last) : 1;
            at_95 = last_candidates + share * (candidates - last_candidates);
        }
        if (recall > last && recall < 1 && (float)recall < 1 &&
            (n == 0 || (float)recall > table[n - 1][0])) {
            table[n][0] = (float)recall;
            table[n++][1] = (float)grid(point);
        }
        last = recall;
        last_candidates = candidates;
    }
    if (ks[i] == 10) out->candidates_95 = at_95 < 0 ? (double)c->base->n_rows : at_95;
    if (n == 0 || k != ks[i]) return;
    out->k[out->n] = (uint32_t)k;
    out->n_points[out->n++] = (uint32_t)n;
}

enum nlsh_status nlsh__calibrate(const struct nlsh__router *router, const struct nlsh_matrix *base,
                                 const uint32_t *rows, size_t n_held, const uint32_t *truth_buckets,
                                 size_t k, const uint32_t *bucket_of, size_t m,
                                 const struct nlsh__job *job, struct nlsh__calibration *out,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_threads = nlsh__pool_n_threads(job->pool), n_tasks = (n_held + BLOCK - 1) / BLOCK;
    struct calibrate c = {.router = router,
                          .base = base,
                          .rows = rows,
                          .n = n_held,
                          .m = m,
                          .truth_buckets = truth_buckets,
                          .k = k};
    *out = (struct nlsh__calibration){0};
    NLSH_TRY(scratch_create(&c, n_threads, error));
    NLSH_TRY(nlsh__calloc(&c.sizes, m, sizeof *c.sizes, error));
    NLSH_TRY(nlsh__alloc(&c.weights, m, sizeof *c.weights, error));
    NLSH_TRY(nlsh__calloc(&c.tasks, n_tasks, sizeof *c.tasks, error));
    for (size_t i = 0; i < base->n_rows; i++) c.sizes[bucket_of[i]]++;
    double mean = (double)base->n_rows / (double)m;
    for (size_t b = 0; b < m; b++)
        c.weights[b] = c.sizes[b] > 0 ? (float)(mean / (double)c.sizes[b]) : 0;
    nlsh__pool_run(job->pool, n_tasks, curve_task, &c);
    for (size_t i = 0; i < NLSH__CALIBRATION_KS; i++) make_table(&c, n_tasks, i, out);
out:
    scratch_free(&c, n_threads);
    nlsh__free(c.sizes);
    nlsh__free(c.weights);
    nlsh__free(c.tasks);
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
