/* calibrate.c - see calibrate.h. Thresholds are tried on a geometric grid. */
#include "measure/calibrate.h"

#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/select.h"
#include "measure/askers.h"
#include "promise/weights.h"

enum { BLOCK = 64 }; /* queries a task */

/* From .5 down by a factor of .87 a step to 1e-6. */
#define FIRST 0.5
#define STEP 0.87

static double grid(size_t i)
{
    return FIRST * pow(STEP, (double)i);
}

struct calibrate {
    const struct nlsh__played *played;
    const struct nlsh__bucketed *bucketed;
    const uint32_t *truth_buckets; /* [n x k] */
    size_t k;
    struct nlsh__askers askers;
    uint32_t *sizes;      /* [m] */
    float *weights;       /* [m] */
    struct counts *tasks; /* [n_tasks] */
    uint32_t *best;       /* [n], or NULL */
};

/* Of a task's queries, what lies in the buckets that count from a grid point on. */
struct counts {
    uint64_t scanned[NLSH__CALIBRATION_POINTS];
    uint64_t found[NLSH__CALIBRATION_KS][NLSH__CALIBRATION_POINTS]; /* of the k nearest */
};

static const size_t ks[NLSH__CALIBRATION_KS] = {1, 10, 100};

static const float *ask(const struct calibrate *c, size_t i, size_t worker)
{
    return nlsh__ask_row(&c->askers.of[worker], c->played->queries, c->played->rows[i]);
}

/* The first grid point that a probability per vector is above. */
static size_t point_of(double p)
{
    double first = log(p / FIRST) / log(STEP);
    if (!(first < NLSH__CALIBRATION_POINTS)) return NLSH__CALIBRATION_POINTS;
    size_t point = first <= 0 ? 0 : (size_t)ceil(first);
    while (point < NLSH__CALIBRATION_POINTS && p <= grid(point)) point++;
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

/* Each bucket counts from the first grid point whose threshold it exceeds, the most probable one from the
 * start: it is scanned where no other is, and above any threshold of interest. */
static void curve_task(void *ctx, size_t task, size_t worker)
{
    const struct calibrate *c = ctx;
    struct counts *counts = &c->tasks[task];
    size_t m = c->bucketed->m;
    for (size_t i = task * BLOCK; i < (task + 1) * BLOCK && i < c->played->n; i++) {
        const float *p = ask(c, i, worker);
        size_t best = nlsh__argmax(p, m);
        for (size_t b = 0; b < m; b++) {
            size_t point = b == best ? 0 : point_of((double)(p[b] * c->weights[b]));
            if (point < NLSH__CALIBRATION_POINTS) count_bucket(c, i, b, point, counts);
        }
    }
}

static void best_task(void *ctx, size_t task, size_t worker)
{
    const struct calibrate *c = ctx;
    size_t m = nlsh__router_n_buckets(c->askers.of[worker].router);
    for (size_t i = task * BLOCK; i < (task + 1) * BLOCK && i < c->played->n; i++)
        c->best[i] = (uint32_t)nlsh__argmax(ask(c, i, worker), m);
}

/* Sums the counts over tasks, then over grid points, and keeps where recall rises. */
static void make_table(const struct calibrate *c, size_t n_tasks, size_t i,
                       struct nlsh__calibration *out)
{
    size_t k = ks[i] < c->k ? ks[i] : c->k, n = 0;
    double total = (double)c->played->n * (double)k, recall = 0, candidates = 0, last = 0;
    double last_candidates = 0, at_95 = -1;
    float(*table)[2] = out->points[out->n];
    for (size_t point = 0; point < NLSH__CALIBRATION_POINTS; point++) {
        uint64_t found = 0, scanned = 0;
        for (size_t t = 0; t < n_tasks; t++) {
            found += c->tasks[t].found[i][point];
            scanned += c->tasks[t].scanned[point];
        }
        recall += (double)found / total;
        candidates += (double)scanned / (double)c->played->n;
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
    if (ks[i] == 10) out->candidates_95 = at_95 < 0 ? (double)c->bucketed->n_rows : at_95;
    if (n == 0 || k != ks[i]) return;
    out->k[out->n] = k;
    out->n_points[out->n++] = n;
}

enum nlsh_status
nlsh__calibrate(const struct nlsh__router *router, const struct nlsh__played *played,
                const struct nlsh__bucketed *bucketed, const uint32_t *truth_buckets, size_t k,
                const struct nlsh__job *job, struct nlsh__calibration *out,
                struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = bucketed->m, n = bucketed->n_rows, n_tasks = (played->n + BLOCK - 1) / BLOCK;
    struct calibrate c = {
        .played = played, .bucketed = bucketed, .truth_buckets = truth_buckets, .k = k};
    *out = (struct nlsh__calibration){.n = 0};
    NLSH_TRY(nlsh__askers_create(router, job, &c.askers, error));
    NLSH_TRY(nlsh__calloc(&c.sizes, m, sizeof *c.sizes, error));
    NLSH_TRY(nlsh__alloc(&c.weights, m, sizeof *c.weights, error));
    NLSH_TRY(nlsh__calloc(&c.tasks, n_tasks, sizeof *c.tasks, error));
    for (size_t i = 0; i < n; i++) c.sizes[bucketed->bucket_of[i]]++;
    for (size_t b = 0; b < m; b++) c.weights[b] = nlsh__bucket_weight(n, m, c.sizes[b]);
    nlsh__pool_run(job->pool, n_tasks, curve_task, &c);
    for (size_t i = 0; i < NLSH__CALIBRATION_KS; i++) make_table(&c, n_tasks, i, out);
out:
    nlsh__askers_free(&c.askers);
    nlsh__free(c.sizes);
    nlsh__free(c.weights);
    nlsh__free(c.tasks);
    return status;
}

struct nlsh__targets nlsh__calibrated(const struct nlsh__calibration *c,
                                      struct nlsh__target_table *tables)
{
    for (size_t i = 0; i < c->n; i++)
        tables[i] = (struct nlsh__target_table){c->k[i], c->n_points[i], c->points[i]};
    return (struct nlsh__targets){c->n, tables};
}

enum nlsh_status nlsh__best_buckets(const struct nlsh__router *router,
                                    const struct nlsh__played *played, const struct nlsh__job *job,
                                    uint32_t *best, struct nlsh_error *error)
{
    struct calibrate c = {.played = played, .best = best};
    enum nlsh_status status = nlsh__askers_create(router, job, &c.askers, error);
    if (status == NLSH_OK)
        nlsh__pool_run(job->pool, (played->n + BLOCK - 1) / BLOCK, best_task, &c);
    nlsh__askers_free(&c.askers);
    return status;
}
