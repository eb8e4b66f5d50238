/*
 * curve.c - see curve.h. Ours. A query costs one radix sort of its m probabilities and a look at
 * each point of the grid; the oracle needs only the counts of true neighbours, sorted.
 */
#include "evaluate/curve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/sized.h"

/* ---- the grid -------------------------------------------------------------------------------- */

enum { N_THRESHOLDS = 60, DENSE_TOPS = 32 };

static uint32_t next_top(uint32_t top)
{
    return top < DENSE_TOPS ? top + 1 : top + (top * 2 + 24) / 25; /* 8 %, rounded up */
}

/* value to three significant digits, as the double that reading those digits gives. */
static double three_digits(double value)
{
    double scale = pow(10.0, 2 - floor(log10(value))); /* a whole power of ten, hence exact */
    return round(value * scale) / scale;
}

enum nlsh_status nlsh__curve_grid_init(size_t m, size_t k, const uint32_t *sizes,
                                       struct nlsh__curve_grid *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    *out = (struct nlsh__curve_grid){.m = m, .k = k, .sizes = sizes};
    for (uint32_t top = 1; top < m; top = next_top(top)) out->n_tops++;
    out->n_tops++;
    out->n_thresholds = N_THRESHOLDS;
    NLSH_TRY(nlsh__alloc(&out->tops, out->n_tops, sizeof *out->tops, error));
    NLSH_TRY(nlsh__alloc(&out->thresholds, N_THRESHOLDS, sizeof *out->thresholds, error));
    uint32_t top = 1;
    for (size_t i = 0; i < out->n_tops; i++, top = next_top(top))
        out->tops[i] = top < m ? top : (uint32_t)m;
    const double first = log(0.9), last = log(1e-6);
    for (int i = 0; i < N_THRESHOLDS; i++)
        out->thresholds[i] = three_digits(exp(first + (last - first) * i / (N_THRESHOLDS - 1)));
    return NLSH_OK;
out:
    nlsh__curve_grid_free(out);
    return status;
}

void nlsh__curve_grid_free(struct nlsh__curve_grid *grid)
{
    nlsh__free(grid->tops);
    nlsh__free(grid->thresholds);
    *grid = (struct nlsh__curve_grid){0};
}

size_t nlsh__curve_n_points(const struct nlsh__curve_grid *grid)
{
    return grid->n_tops + grid->n_thresholds;
}

/* ---- one query ------------------------------------------------------------------------------- */

enum nlsh_status nlsh__curve_worker_init(const struct nlsh__curve_grid *grid, size_t n_truth_max,
                                         struct nlsh__curve_worker *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = grid->m;
    *out = (struct nlsh__curve_worker){0};
    NLSH_TRY(nlsh__calloc(&out->sums, nlsh__curve_n_points(grid), sizeof *out->sums, error));
    NLSH_TRY(nlsh__alloc(&out->order, m, sizeof *out->order, error));
    NLSH_TRY(nlsh__alloc(&out->spare, m, sizeof *out->spare, error));
    NLSH_TRY(nlsh__calloc(&out->hits_in, m, sizeof *out->hits_in, error));
    NLSH_TRY(nlsh__alloc(&out->candidates, m, sizeof *out->candidates, error));
    NLSH_TRY(nlsh__alloc(&out->hits, m, sizeof *out->hits, error));
    NLSH_TRY(nlsh__alloc(&out->oracle, n_truth_max, sizeof *out->oracle, error));
    return NLSH_OK;
out:
    nlsh__curve_worker_free(out);
    return status;
}

void nlsh__curve_worker_free(struct nlsh__curve_worker *worker)
{
    nlsh__free(worker->sums);
    nlsh__free(worker->order);
    nlsh__free(worker->spare);
    nlsh__free(worker->hits_in);
    nlsh__free(worker->candidates);
    nlsh__free(worker->hits);
    nlsh__free(worker->oracle);
    *worker = (struct nlsh__curve_worker){0};
}

/* Sorts m values ascending by their upper halves, equal ones left in place. */
static uint64_t *radix_sort(uint64_t *values, uint64_t *spare, size_t m)
{
    for (int shift = 32; shift < 64; shift += 8) {
        size_t start[257] = {0};
        for (size_t i = 0; i < m; i++) start[(values[i] >> shift & 255) + 1]++;
        if (start[(values[0] >> shift & 255) + 1] == m) continue; /* all alike */
        for (int d = 0; d < 256; d++) start[d + 1] += start[d];
        for (size_t i = 0; i < m; i++) spare[start[values[i] >> shift & 255]++] = values[i];
        uint64_t *t = values;
        values = spare;
        spare = t;
    }
    return values;
}

/* Buckets by falling probability. The bits of floats >= 0 order as the floats do. */
static const uint64_t *sort_buckets(struct nlsh__curve_worker *w, const float *probabilities,
                                    size_t m)
{
    for (size_t b = 0; b < m; b++) {
        uint32_t bits;
        memcpy(&bits, &probabilities[b], sizeof bits);
        w->order[b] = (uint64_t)~bits << 32 | b;
    }
    return radix_sort(w->order, w->spare, m);
}

static uint32_t at_most(uint32_t value, size_t k)
{
    return value < k ? value : (uint32_t)k;
}

static int descending_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x < y) - (x > y);
}

/* Fills w->hits_in and w->oracle; returns the number of buckets that hold a true neighbour. */
static size_t count_truth(struct nlsh__curve_worker *w, const uint32_t *truth_buckets,
                          size_t n_truth)
{
    size_t n = 0;
    for (size_t i = 0; i < n_truth; i++) w->hits_in[truth_buckets[i]]++;
    for (size_t i = 0; i < n_truth; i++) {
        uint32_t *count = &w->hits_in[truth_buckets[i]];
        if (*count & 0x80000000u) continue; /* this bucket is listed */
        w->oracle[n++] = *count;
        *count |= 0x80000000u;
    }
    for (size_t i = 0; i < n_truth; i++) w->hits_in[truth_buckets[i]] &= 0x7fffffffu;
    qsort(w->oracle, n, sizeof *w->oracle, descending_u32);
    for (size_t i = 1; i < n; i++) w->oracle[i] += w->oracle[i - 1];
    return n;
}

void nlsh__curve_query(const struct nlsh__curve_grid *grid, struct nlsh__curve_worker *w,
                       const float *probabilities, const uint32_t *truth_buckets, size_t n_truth,
                       uint32_t *candidates)
{
    size_t m = grid->m, n_oracle = count_truth(w, truth_buckets, n_truth), n_probes = 1;
    const uint64_t *order = sort_buckets(w, probabilities, m);
    uint32_t n_candidates = 0, n_hits = 0;
    for (size_t i = 0; i < m; i++) {
        uint32_t bucket = (uint32_t)order[i];
        w->candidates[i] = n_candidates += grid->sizes[bucket];
        w->hits[i] = n_hits += w->hits_in[bucket];
    }
    for (size_t i = 0; i < n_truth; i++) w->hits_in[truth_buckets[i]] = 0;

    for (size_t point = 0; point < nlsh__curve_n_points(grid); point++) {
        if (point < grid->n_tops) {
            n_probes = grid->tops[point];
        } else {
            /* in f32, as a search compares */
            float threshold = (float)grid->thresholds[point - grid->n_tops];
            if (point == grid->n_tops) n_probes = 1; /* at least the best bucket */
            while (n_probes < m && probabilities[(uint32_t)order[n_probes]] > threshold) n_probes++;
        }
        struct nlsh__curve_sum *sum = &w->sums[point];
        size_t n_best = n_probes < n_oracle ? n_probes : n_oracle;
        candidates[point] = w->candidates[n_probes - 1];
        sum->candidates += w->candidates[n_probes - 1];
        sum->hits += at_most(w->hits[n_probes - 1], grid->k);
        sum->oracle_hits += n_best > 0 ? at_most(w->oracle[n_best - 1], grid->k) : 0;
        sum->probes += n_probes;
    }
}

/* ---- the 95th percentile --------------------------------------------------------------------- */

size_t nlsh__tail_n_kept(size_t n)
{
    return n / 20 + 1; /* n - ceil(0.95 n) + 1 */
}

static void tail_cut(struct nlsh__tail *tail)
{
    qsort(tail->values, tail->n, sizeof *tail->values, descending_u32);
    if (tail->n > tail->n_kept) tail->n = tail->n_kept;
}

void nlsh__tail_add(struct nlsh__tail *tail, uint32_t value)
{
    tail->values[tail->n++] = value;
    if (tail->n == 2 * tail->n_kept) tail_cut(tail);
}

uint32_t nlsh__tail_p95(struct nlsh__tail *tail)
{
    tail_cut(tail);
    return tail->values[tail->n - 1];
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void make_point(const struct nlsh__curve_grid *grid, size_t i,
                       const struct nlsh__curve_sum *sum, uint32_t p95, size_t n_queries,
                       struct nlsh_curve_point *out)
{
    double n = (double)n_queries, all = n * (double)grid->k;
    int top = i < grid->n_tops;
    out->rule = top ? NLSH_RULE_TOP : NLSH_RULE_THRESHOLD;
    out->value = top ? grid->tops[i] : grid->thresholds[i - grid->n_tops];
    out->recall = (double)sum->hits / all;
    out->candidates = (double)sum->candidates / n;
    out->candidates_p95 = p95;
    out->probes = (double)sum->probes / n;
    out->oracle_recall = (double)sum->oracle_hits / all;
}

enum nlsh_status nlsh__curve_finish(const struct nlsh__curve_grid *grid,
                                    const struct nlsh__curve_sum *sums, const uint32_t *p95,
                                    size_t n_queries, struct nlsh_curve **out,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_curve *curve = NULL;
    size_t n_points = nlsh__curve_n_points(grid);
    uint64_t all = (uint64_t)n_queries * grid->k;
    int whole = 0; /* this rule has reached recall 1 */
    NLSH_TRY(nlsh__calloc(&curve, 1, sizeof *curve, error));
    NLSH_TRY(nlsh__calloc(&curve->points, n_points, sizeof *curve->points, error));
    for (size_t i = 0; i < n_points; i++) {
        if (i == grid->n_tops) whole = 0;
        if (!whole || i == grid->n_tops - 1)
            make_point(grid, i, &sums[i], p95[i], n_queries, &curve->points[curve->n_points++]);
        whole |= sums[i].hits == all;
    }
    *out = curve;
    return NLSH_OK;
out:
    nlsh_curve_free(curve);
    return status;
}

size_t nlsh_curve_n_points(const struct nlsh_curve *curve)
{
    return curve->n_points;
}

int nlsh_curve_point(const struct nlsh_curve *curve, size_t i, struct nlsh_curve_point *out)
{
    if (i >= curve->n_points) return 0;
    if (nlsh__answer_check(out, "nlsh_curve_point", NULL) != NLSH_OK) return 0;
    nlsh__answer_give(out, &curve->points[i], sizeof curve->points[i]);
    return 1;
}

void nlsh_curve_free(struct nlsh_curve *curve)
{
    if (curve == NULL) return;
    nlsh__free(curve->points);
    nlsh__free(curve);
}
