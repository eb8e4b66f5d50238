/* calibrate.c - see calibrate.h. Thresholds are tried on a geometric grid. */
#include "measure/calibrate.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/select.h"
#include "measure/askers.h"
#include "promise/weights.h"
#include "search/route.h"

enum { BLOCK = 64 }; /* queries a task */

/* From .5 down by a factor of .87 a step to 1e-6, and by a fourth a step to 1e-20: beyond a millionth buckets
 * are in good order yet, and nobody asks for a fine choice. */
#define FIRST 0.5
#define STEP 0.87
enum { FINE = 96 };
#define COARSE_STEP 0.25

static double grid(size_t i)
{
    size_t fine = i < FINE ? i : FINE - 1;
    return FIRST * pow(STEP, (double)fine) * pow(COARSE_STEP, (double)(i - fine));
}

const size_t nlsh__calibration_ks[NLSH__CALIBRATION_KS] = {1,  2,   5,   10,  20,
                                                           50, 100, 200, 500, 1000};

enum { POINTS = NLSH__CALIBRATION_POINTS, KS = NLSH__CALIBRATION_KS };

/* Of some queries, what lies in the buckets that count from a grid point on (scanned, found), and the squares
 * of what each query has found from there on. */
struct counts {
    uint64_t scanned[POINTS];
    double expected[POINTS]; /* sums of the probabilities of these buckets */
    uint64_t found[KS][POINTS];
    double squares[KS][POINTS];
};

struct nlsh__tally {
    size_t k, n_queries;
    double n_rows; /* sum over queries of the rows that each was asked of */
    struct counts counts;
};

struct calibrate {
    const struct nlsh__played *played;
    const struct nlsh__bucketed *bucketed;
    const uint32_t *truth_buckets; /* [n x k] */
    size_t k;
    struct nlsh__askers askers;
    uint32_t *sizes;      /* [m] */
    float *weights;       /* [m] */
    float *group_weights; /* [n_groups] the largest of a group's */
    uint8_t *points;      /* [n_workers x m] */
    uint8_t *from;        /* [n_workers x n_groups] */
    const struct nlsh__groups *groups;
    struct counts *tasks; /* [n_tasks] */
    uint32_t *best;       /* [n], or NULL */
    double grid[POINTS];
};

static const float *ask(const struct calibrate *c, size_t i, size_t worker)
{
    return nlsh__ask_row(&c->askers.of[worker], c->played->queries, c->played->rows[i]);
}

/* The first grid point that a probability per vector is above; POINTS where it is above none. */
static size_t point_of(const double grid_points[POINTS], double p)
{
    size_t first = 0, n = POINTS; /* it is among the n from first on, or behind them */
    if (!(p > grid_points[POINTS - 1])) return POINTS;
    while (n > 1) {
        size_t half = n / 2;
        first += p > grid_points[first + half - 1] ? 0 : half;
        n -= half;
    }
    return first;
}

/* What one query's neighbours add; points [m] say from where on each bucket counts. */
static void count_neighbours(const struct calibrate *c, size_t query, const uint8_t *points,
                             struct counts *counts)
{
    const uint32_t *buckets = c->truth_buckets + query * c->k;
    uint32_t found[POINTS + 1] = {0};
    for (size_t i = 0, j = 0; i < KS; i++) {
        size_t k = nlsh__calibration_ks[i] < c->k ? nlsh__calibration_ks[i] : c->k;
        for (; j < k; j++) found[points[buckets[j]]]++;
        uint64_t sum = 0;
        for (size_t point = 0; point < POINTS; point++) {
            sum += found[point];
            counts->found[i][point] += found[point];
            counts->squares[i][point] += (double)(sum * sum);
        }
    }
}

/* From which grid point on a search computes each group, and what the probability of a bucket, among all buckets, has to be
 * above from each point on. The buckets that are computed share their groups' probabilities (search/route.c): where the
 * network's two answers differ, they are worth more or less than they are among all. */
static void see_groups(const struct calibrate *c, const float *of_groups, const float *p,
                       uint8_t *from, double thresholds[POINTS])
{
    const struct nlsh__groups *groups = c->groups;
    double of_group[POINTS + 1] = {0}, of_buckets[POINTS + 1] = {0}, by_group = 0, by_bucket = 0;
    for (size_t g = 0; g < groups->n; g++) {
        double weighted = (double)(of_groups[g] * c->group_weights[g]);
        size_t point = point_of(c->grid, weighted / (double)NLSH__GROUP_MARGIN);
        from[g] = (uint8_t)point;
        of_group[point] += (double)of_groups[g];
        for (size_t b = groups->first[g]; b < groups->first[g + 1]; b++)
            of_buckets[point] += (double)p[b];
    }
    for (size_t i = 0; i < POINTS; i++) {
        by_group += of_group[i];
        by_bucket += of_buckets[i];
        thresholds[i] = by_group > 0 ? c->grid[i] * by_bucket / by_group : c->grid[i];
    }
    /* A bucket that one group more takes out again does not count before. */
    for (size_t i = POINTS - 1; i > 0; i--)
        thresholds[i - 1] = fmax(thresholds[i - 1], thresholds[i]);
}

/* Where no bucket is above the threshold a search takes the most probable one of the most probable groups, else that of what
 * is computed with those above: it is above any threshold of interest. */
static void count_best(const struct calibrate *c, const float *of_groups, const float *p,
                       const uint8_t *from, uint8_t *points)
{
    const struct nlsh__groups *groups = c->groups;
    float least = of_groups[nlsh__argmax(of_groups, groups->n)] * NLSH__TOP_GROUP_MARGIN;
    size_t best_of[POINTS + 1], alone = SIZE_MAX, best = SIZE_MAX, first = POINTS;
    for (size_t i = 0; i <= POINTS; i++) best_of[i] = SIZE_MAX;
    for (size_t g = 0; g < groups->n; g++) {
        size_t of = groups->first[g], n = groups->first[g + 1] - of,
               b = of + nlsh__argmax(p + of, n);
        if (best_of[from[g]] == SIZE_MAX || p[b] > p[best_of[from[g]]]) best_of[from[g]] = b;
        if (of_groups[g] > least && (alone == SIZE_MAX || p[b] > p[alone])) alone = b;
    }
    for (size_t b = 0; b < c->bucketed->m; b++)
        if (points[b] < first) first = points[b];
    if (alone != SIZE_MAX) points[alone] = 0;
    for (size_t i = 0; i < POINTS; i++) {
        size_t now = best_of[i];
        if (now != SIZE_MAX && (best == SIZE_MAX || p[now] > p[best])) best = now;
        if (best != SIZE_MAX && i >= first && points[best] > i) points[best] = (uint8_t)i;
    }
}

/* Each bucket counts from the first grid point at which a search computes its group and finds it above the threshold. */
static void curve_task(void *ctx, size_t task, size_t worker)
{
    const struct calibrate *c = ctx;
    struct counts *counts = &c->tasks[task];
    size_t m = c->bucketed->m, n_groups = c->groups->n;
    uint8_t *points = c->points + worker * m, *from = c->from + worker * n_groups;
    double thresholds[POINTS];
    for (size_t i = task * BLOCK; i < (task + 1) * BLOCK && i < c->played->n; i++) {
        const float *p = ask(c, i, worker), *of_groups = c->askers.of[worker].pass.groups;
        see_groups(c, of_groups, p, from, thresholds);
        for (size_t g = 0; g < n_groups; g++)
            for (size_t b = c->groups->first[g]; b < c->groups->first[g + 1]; b++) {
                size_t point = point_of(thresholds, (double)(p[b] * c->weights[b]));
                points[b] = point > from[g] ? (uint8_t)point : from[g];
            }
        count_best(c, of_groups, p, from, points);
        for (size_t b = 0; b < m; b++) {
            if (points[b] == POINTS) continue;
            counts->scanned[points[b]] += c->sizes[b];
            counts->expected[points[b]] += (double)p[b];
        }
        count_neighbours(c, i, points, counts);
    }
}

static void best_task(void *ctx, size_t task, size_t worker)
{
    const struct calibrate *c = ctx;
    size_t m = nlsh__router_n_buckets(c->askers.of[worker].router);
    for (size_t i = task * BLOCK; i < (task + 1) * BLOCK && i < c->played->n; i++)
        c->best[i] = (uint32_t)nlsh__argmax(ask(c, i, worker), m);
}

/* ---- the tally ------------------------------------------------------------------------------- */

enum nlsh_status nlsh__tally_create(size_t k, struct nlsh__tally **out, struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__calloc(out, 1, sizeof **out, error);
    if (status == NLSH_OK) (*out)->k = k;
    return status;
}

void nlsh__tally_free(struct nlsh__tally *tally)
{
    nlsh__free(tally);
}

static void add_counts(struct counts *sum, const struct counts *more)
{
    for (size_t point = 0; point < POINTS; point++) {
        sum->scanned[point] += more->scanned[point];
        sum->expected[point] += more->expected[point];
        for (size_t i = 0; i < KS; i++) {
            sum->found[i][point] += more->found[i][point];
            sum->squares[i][point] += more->squares[i][point];
        }
    }
}

enum nlsh_status nlsh__tally_add(struct nlsh__tally *tally, const struct nlsh__router *router,
                                 const struct nlsh__played *played,
                                 const struct nlsh__bucketed *bucketed,
                                 const uint32_t *truth_buckets, const struct nlsh__job *job,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__groups *groups = nlsh__router_groups(router);
    size_t m = bucketed->m, n = bucketed->n_rows, n_tasks = (played->n + BLOCK - 1) / BLOCK;
    struct calibrate c = {.played = played,
                          .bucketed = bucketed,
                          .truth_buckets = truth_buckets,
                          .k = tally->k,
                          .groups = groups};
    NLSH_TRY(nlsh__askers_create(router, job, &c.askers, error));
    NLSH_TRY(nlsh__calloc(&c.sizes, m, sizeof *c.sizes, error));
    NLSH_TRY(nlsh__alloc(&c.weights, m, sizeof *c.weights, error));
    NLSH_TRY(nlsh__calloc(&c.group_weights, groups->n, sizeof *c.group_weights, error));
    NLSH_TRY(nlsh__alloc(&c.points, c.askers.n, m, error));
    NLSH_TRY(nlsh__alloc(&c.from, c.askers.n, groups->n, error));
    NLSH_TRY(nlsh__calloc(&c.tasks, n_tasks, sizeof *c.tasks, error));
    for (size_t i = 0; i < POINTS; i++) c.grid[i] = grid(i);
    for (size_t i = 0; i < n; i++) c.sizes[bucketed->bucket_of[i]]++;
    for (size_t b = 0; b < m; b++) c.weights[b] = nlsh__bucket_weight(n, m, c.sizes[b]);
    for (size_t g = 0; g < groups->n; g++)
        for (size_t b = groups->first[g]; b < groups->first[g + 1]; b++)
            c.group_weights[g] = fmaxf(c.group_weights[g], c.weights[b]);
    nlsh__pool_run(job->pool, n_tasks, curve_task, &c);
    for (size_t t = 0; t < n_tasks; t++) add_counts(&tally->counts, &c.tasks[t]);
    tally->n_queries += played->n;
    tally->n_rows += (double)played->n * (double)n;
out:
    nlsh__askers_free(&c.askers);
    nlsh__free(c.sizes);
    nlsh__free(c.weights);
    nlsh__free(c.group_weights);
    nlsh__free(c.points);
    nlsh__free(c.from);
    nlsh__free(c.tasks);
    return status;
}

double nlsh__surely(double mean, double squares, double n)
{
    double m = mean * n / (n + 1), s = squares * n / (n + 1);
    return m - 2 * sqrt(fmax(s - m * m, 0) / n);
}

/* What recall@k of .95 needs, where so many neighbours were counted. */
static void note_needed(size_t k, double needed, size_t counted, struct nlsh__calibration *out)
{
    if (k == 10) out->candidates_95 = needed;
    if (k == 1) out->few_95 = needed;
    if (k == 100 && counted == k) out->many_95 = needed;
}

/* Sums the counts over grid points, and keeps where recall rises. */
static void make_table(const struct nlsh__tally *tally, size_t n_rows, size_t i,
                       struct nlsh__calibration *out)
{
    const struct counts *counts = &tally->counts;
    size_t k = nlsh__calibration_ks[i] < tally->k ? nlsh__calibration_ks[i] : tally->k, n = 0;
    double queries = (double)tally->n_queries, all = (double)k;
    double recall = 0, candidates = 0, last = 0, last_candidates = 0, at_95 = -1;
    uint64_t found = 0;
    float(*table)[2] = out->points[out->n];
    for (size_t point = 0; point < POINTS; point++) {
        found += counts->found[i][point];
        recall = (double)found / (queries * all);
        candidates += (double)counts->scanned[point] / queries;
        if (at_95 < 0 && recall >= 0.95) {
            double share = recall > last ? (0.95 - last) / (recall - last) : 1;
            at_95 = last_candidates + share * (candidates - last_candidates);
        }
        if (recall > last && recall < 1 && (float)recall < 1 &&
            (n == 0 || (float)recall > table[n - 1][0])) {
            double squares = counts->squares[i][point] / (queries * all * all);
            table[n][0] = (float)recall;
            out->surely[out->n][n] = (float)nlsh__surely(recall, squares, queries);
            table[n++][1] = (float)grid(point);
        }
        if (found == tally->n_queries * k && out->all[out->n] == 0)
            out->all[out->n] = (float)grid(point);
        last = recall;
        last_candidates = candidates;
    }
    note_needed(nlsh__calibration_ks[i], at_95 < 0 ? (double)n_rows : at_95, k, out);
    if (n == 0 || k != nlsh__calibration_ks[i]) {
        out->all[out->n] = 0;
        return;
    }
    out->k[out->n] = k;
    out->n_points[out->n++] = n;
}

/* What probabilities leave over from each grid point on. */
static void make_outside(const struct nlsh__tally *tally, struct nlsh__outside_point *out)
{
    double sum = 0;
    for (size_t point = 0; point < POINTS; point++) {
        sum += tally->counts.expected[point];
        double left = 1 - sum / (double)tally->n_queries;
        out[point] =
            (struct nlsh__outside_point){(float)grid(point), (float)fmin(fmax(left, 0), 1)};
    }
}

void nlsh__tally_end(const struct nlsh__tally *tally, size_t n_rows, struct nlsh__calibration *out)
{
    *out = (struct nlsh__calibration){.n_queries = tally->n_queries};
    for (size_t i = 0; i < KS; i++) make_table(tally, n_rows, i, out);
    make_outside(tally, out->outside);
}

/* ---- from one router to another -------------------------------------------------------------- */

/* The share of the rows that is scanned from each grid point on. */
static void shares_scanned(const struct nlsh__tally *tally, double out[POINTS])
{
    uint64_t sum = 0;
    for (size_t point = 0; point < POINTS; point++) {
        sum += tally->counts.scanned[point];
        out[point] = (double)sum / tally->n_rows;
    }
}

/* The threshold with which a share of the rows is scanned; 0 where no grid point scans so many. */
static double threshold_of(const double shares[POINTS], double share)
{
    size_t i = 0;
    while (i < POINTS && shares[i] < share) i++;
    if (i == POINTS) return 0;
    if (i == 0 || !(shares[i] > shares[i - 1])) return grid(i);
    double part = log(share / shares[i - 1]) / log(shares[i] / shares[i - 1]);
    return exp(log(grid(i - 1)) + part * (log(grid(i)) - log(grid(i - 1))));
}

/* The grid point of a threshold of a table. */
static size_t point_at(double threshold)
{
    size_t i = 0;
    while (i + 1 < POINTS && grid(i + 1) > threshold * .9999) i++;
    return i;
}

/* The recall that a calibration has at a threshold, that of the last point above it: one standard error below the
 * mean, which is half way to what is sure. 1 where it has no such table. */
static double likely_at(const struct nlsh__calibration *c, size_t k, double threshold)
{
    size_t t = 0, i = 0;
    while (t < c->n && c->k[t] != k) t++;
    if (t == c->n || (c->all[t] > 0 && threshold <= (double)c->all[t])) return 1;
    while (i < c->n_points[t] && (double)c->points[t][i][1] >= threshold * .9999) i++;
    if (i > 0) i--;
    return ((double)c->points[t][i][0] + (double)c->surely[t][i]) / 2;
}

/* The t-th table, its thresholds carried over and no recall above own's; how many points are left. */
static size_t carry_table(const double from[POINTS], const double to[POINTS],
                          const struct nlsh__calibration *own, size_t t,
                          struct nlsh__calibration *c)
{
    size_t n = 0;
    float(*table)[2] = c->points[t];
    if (c->all[t] > 0) {
        double all = threshold_of(to, from[point_at((double)c->all[t])]);
        c->all[t] = all > 0 && likely_at(own, c->k[t], all) >= 1 ? (float)all : 0;
    }
    for (size_t i = 0; i < c->n_points[t]; i++) {
        double threshold = threshold_of(to, from[point_at((double)table[i][1])]);
        float most = (float)likely_at(own, c->k[t], threshold);
        float recall = fminf(table[i][0], most), surely = fminf(c->surely[t][i], most);
        if (!(threshold > 0) || (n > 0 && !(recall > table[n - 1][0]))) continue;
        table[n][0] = recall;
        table[n][1] = (float)threshold;
        c->surely[t][n++] = surely;
    }
    return n;
}

void nlsh__tally_carry(const struct nlsh__tally *tally, const struct nlsh__tally *to,
                       const struct nlsh__calibration *own, size_t n_rows,
                       struct nlsh__calibration *out)
{
    double from_shares[POINTS], to_shares[POINTS];
    struct nlsh__calibration c;
    nlsh__tally_end(tally, n_rows, &c);
    shares_scanned(tally, from_shares);
    shares_scanned(to, to_shares);
    *out = (struct nlsh__calibration){.n_queries = c.n_queries,
                                      .candidates_95 = c.candidates_95,
                                      .few_95 = c.few_95,
                                      .many_95 = c.many_95};
    make_outside(to, out->outside);
    for (size_t t = 0; t < c.n; t++) {
        size_t n = carry_table(from_shares, to_shares, own, t, &c);
        if (n == 0) continue;
        out->k[out->n] = c.k[t];
        out->n_points[out->n] = n;
        out->all[out->n] = c.all[t];
        memcpy(out->surely[out->n], c.surely[t], sizeof c.surely[t]);
        memcpy(out->points[out->n++], c.points[t], sizeof c.points[t]);
    }
}

enum nlsh_status
nlsh__calibrate(const struct nlsh__router *router, const struct nlsh__played *played,
                const struct nlsh__bucketed *bucketed, const uint32_t *truth_buckets, size_t k,
                const struct nlsh__job *job, struct nlsh__calibration *out,
                struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__tally *tally = NULL;
    NLSH_TRY(nlsh__tally_create(k, &tally, error));
    NLSH_TRY(nlsh__tally_add(tally, router, played, bucketed, truth_buckets, job, error));
    nlsh__tally_end(tally, bucketed->n_rows, out);
out:
    nlsh__tally_free(tally);
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
