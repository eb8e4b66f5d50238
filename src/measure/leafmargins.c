/*
 * leafmargins.c - nlsh__measure_leaves(): see margins.h.
 *
 * For a held-out row that plays a query, with L the score of its k-th neighbour: a neighbour's leaf scores
 * S, with an error E, and lies in a bucket of probability p a vector. A search scans leaves with
 *   (S - L) / E <= margin + slope ln(100 p),
 * so of each neighbour (S - L) / E - slope ln(100 p) is the margin that finds it. The slope is the one
 * of a few that scans fewest leaves; margins are then quantiles.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/panel.h"
#include "measure/asked.h"
#include "promise/budget.h"

enum { MOST_K = 100, MOST_COUNTED = 500, COUNT_K = 10, N_SLOPES = 10 };

static const uint32_t leaf_ks[NLSH__MARGIN_KS] = {1, COUNT_K, MOST_K};
static const float leaf_losses[NLSH__LEAF_LOSSES] = {0.0005f, 0.001f, 0.002f, 0.005f,
                                                     0.01f,   0.02f,  0.05f,  0.1f};
/* .02: what a search for recall .95 leaves to leaves, about */
static const size_t counted_loss = 5;
static const float slopes[N_SLOPES] = {0,     0.02f, 0.04f, 0.06f, 0.08f,
                                       0.11f, 0.15f, 0.2f,  0.3f,  0.45f};

/* A neighbour: its leaf's score and error, and ln(100 p) of its bucket. */
struct neighbour {
    float score, error, log_p; /* NaN: its bucket has no probability */
};

struct measure {
    const struct nlsh__measured *of;
    const struct nlsh__leaves *leaves;
    const float *thresholds; /* [NLSH__MARGIN_KS] */
    size_t k;                /* neighbours of each: at most MOST_K */
    struct nlsh__places places;
    struct nlsh__askers askers;
    struct nlsh__asked_row *asked; /* [n_threads] */
    struct neighbour *neighbours;  /* [n_rows x k] */
    float *limits;                 /* [n_rows x NLSH__MARGIN_KS] */
    float margins[N_SLOPES];       /* for COUNT_K and counted_loss */
    uint32_t *counts;              /* [MOST_COUNTED x N_SLOPES] */
};

/* Asks a query, and says what its k-th neighbours score. */
static void ask(const struct measure *c, size_t query, struct nlsh__asked_row *a, float *limits)
{
    nlsh__ask_base_row(c->of, a, c->of->rows[query]);
    const float *scores = c->of->truth->l2sq + query * c->of->truth->k;
    for (size_t i = 0; i < NLSH__MARGIN_KS; i++)
        limits[i] =
            leaf_ks[i] <= c->k ? scores[leaf_ks[i] - 1] * a->units.factor - a->units.offset : NAN;
}

/* Scores of a bucket's leaves; returns the unit of their errors. */
static float score_bucket(const struct measure *c, struct nlsh__asked_row *a, size_t bucket)
{
    const uint32_t *groups = c->leaves->group_offsets;
    struct nlsh__probe probe;
    nlsh__asked_probe(c->of, a, bucket, &probe);
    nlsh__score_groups(&c->leaves->leaves, &probe, a->weights, groups[bucket],
                       groups[bucket + 1] - groups[bucket], a->scores);
    return c->leaves->error_unit * probe.length;
}

/* The query is one of its own leaf's 16 rows and draws their mean nearer: as if it were not. With 15 of 16
 * rows left the mean lies 16/15 as far from the query. */
static float score_without(const struct measure *c, const struct nlsh__units *u, float score,
                           uint8_t error)
{
    float radius = (float)error * c->leaves->error_unit;
    float l2sq = score + u->offset - radius * radius;
    return c->of->encode->inner || l2sq < 0 ? score : score + l2sq * (256.0f / 225 - 1);
}

static void measure_task(void *ctx, size_t query, size_t worker)
{
    const struct measure *c = ctx;
    const struct nlsh__encode *in = c->of->encode;
    struct nlsh__asked_row *a = &c->asked[worker];
    size_t scored = SIZE_MAX, own = c->places.of[c->of->rows[query]];
    float unit = 0;
    ask(c, query, a, c->limits + query * NLSH__MARGIN_KS);
    for (size_t j = 0; j < c->k; j++) {
        struct neighbour *out = &c->neighbours[query * c->k + j];
        size_t place = c->places.of[c->of->truth->ids[query * c->of->truth->k + j]];
        size_t bucket = c->places.bucket[place], first = in->bucket_offsets[bucket];
        float p = nlsh__asked_probability(c->of, a, bucket);
        *out = (struct neighbour){NAN, NAN, NAN};
        if (!(p > 0)) continue;
        if (bucket != scored) unit = score_bucket(c, a, bucket);
        scored = bucket;
        size_t leaf = (place - first) / NLSH__GROUP;
        uint8_t error =
            c->leaves->leaves.errors[c->leaves->group_offsets[bucket] * NLSH__GROUP + leaf];
        float score = a->scores[leaf];
        if (c->places.bucket[own] == bucket && (own - first) / NLSH__GROUP == leaf)
            score = score_without(c, &a->units, score, error);
        *out = (struct neighbour){score, unit * (float)error, logf(NLSH__LEAF_UNIT * p)};
    }
}

/* What a search with each slope would scan. */
static void count_task(void *ctx, size_t query, size_t worker)
{
    const struct measure *c = ctx;
    const struct nlsh__encode *in = c->of->encode;
    struct nlsh__asked_row *a = &c->asked[worker];
    float limits[NLSH__MARGIN_KS];
    uint32_t *counts = c->counts + query * N_SLOPES;
    ask(c, query, a, limits);
    for (size_t b = 0; b < in->n_buckets; b++) {
        float p = nlsh__asked_probability(c->of, a, b);
        if (!(p > c->thresholds[1])) continue;
        float unit = score_bucket(c, a, b), log_p = logf(NLSH__LEAF_UNIT * p);
        size_t n = c->of->codes->group_offsets[b + 1] - c->of->codes->group_offsets[b];
        const uint8_t *errors =
            c->leaves->leaves.errors + c->leaves->group_offsets[b] * NLSH__GROUP;
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < N_SLOPES; j++)
                counts[j] +=
                    a->scores[i] - (c->margins[j] + slopes[j] * log_p) * unit * (float)errors[i] <=
                    limits[1];
    }
}

/* Margins of all neighbours among the k nearest with a slope, descending, into out; how many. Those whose
 * bucket a search for k would not scan are lost before leaves are looked at. */
static size_t sorted_margins(const struct measure *c, size_t i, float slope, float *out)
{
    size_t n = 0;
    float least = logf(NLSH__LEAF_UNIT * c->thresholds[i]);
    for (size_t q = 0; q < c->of->n_rows; q++)
        for (size_t j = 0; j < leaf_ks[i] && j < c->k; j++) {
            const struct neighbour *x = &c->neighbours[q * c->k + j];
            float above = x->score - c->limits[q * NLSH__MARGIN_KS + i];
            if (isnan(above) || !(x->log_p > least)) continue;
            float margin = x->error > 0 ? above / x->error : above > 0 ? 1e9f : -1e9f;
            out[n++] = fmaxf(fminf(margin - slope * x->log_p, 1e9f), -1e9f);
        }
    qsort(out, n, sizeof *out, nlsh__descending_f32);
    return n;
}

static float margin_at(const float *sorted, size_t n, size_t loss)
{
    return n > 0 ? sorted[(size_t)((double)leaf_losses[loss] * (double)n)] : 1e9f;
}

/* The slope that scans least, and the leaves that it scans. */
static size_t choose_slope(struct measure *c, const struct nlsh__job *job, float *sorted,
                           double *leaves)
{
    size_t n_counted = c->of->n_rows < MOST_COUNTED ? c->of->n_rows : MOST_COUNTED, best = 0;
    uint64_t sums[N_SLOPES] = {0};
    for (size_t j = 0; j < N_SLOPES; j++) {
        size_t n = sorted_margins(c, 1, slopes[j], sorted);
        c->margins[j] = margin_at(sorted, n, counted_loss);
    }
    nlsh__pool_run(job->pool, n_counted, count_task, c);
    for (size_t q = 0; q < n_counted; q++)
        for (size_t j = 0; j < N_SLOPES; j++) sums[j] += c->counts[q * N_SLOPES + j];
    for (size_t j = 1; j < N_SLOPES; j++)
        if (sums[j] < sums[best]) best = j;
    *leaves = (double)sums[best] / (double)n_counted;
    return best;
}

static enum nlsh_status measure_create(struct measure *c, const struct nlsh__job *job,
                                       struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__encode *in = c->of->encode;
    size_t n_held = c->of->n_rows, most = 0;
    for (size_t b = 0; b < in->n_buckets; b++) {
        size_t groups = c->leaves->group_offsets[b + 1] - c->leaves->group_offsets[b];
        if (groups > most) most = groups;
    }
    NLSH_TRY(nlsh__places_create(in, &c->places, error));
    NLSH_TRY(nlsh__askers_create(c->of->router, job, &c->askers, error));
    NLSH_TRY(nlsh__asked_create(c->of, &c->askers, most * NLSH__GROUP, &c->asked, error));
    NLSH_TRY(nlsh__alloc(&c->neighbours, n_held * c->k, sizeof *c->neighbours, error));
    NLSH_TRY(nlsh__alloc(&c->limits, n_held * NLSH__MARGIN_KS, sizeof *c->limits, error));
    NLSH_TRY(nlsh__calloc(&c->counts, (size_t)MOST_COUNTED * N_SLOPES, sizeof *c->counts, error));
out:
    return status;
}

static void measure_free(struct measure *c)
{
    nlsh__asked_free(c->asked, c->askers.n);
    nlsh__askers_free(&c->askers);
    nlsh__places_free(&c->places);
    nlsh__free(c->neighbours);
    nlsh__free(c->limits);
    nlsh__free(c->counts);
}

enum nlsh_status nlsh__measure_leaves(const struct nlsh__measured *of,
                                      const struct nlsh__leaves *leaves, const float *thresholds,
                                      const struct nlsh__job *job, struct nlsh__leaf_margins *out,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    float *sorted = NULL;
    struct measure c = {.of = of,
                        .leaves = leaves,
                        .thresholds = thresholds,
                        .k = of->truth->k < MOST_K ? of->truth->k : MOST_K};
    *out = (struct nlsh__leaf_margins){.slope = 0};
    memcpy(out->k, leaf_ks, sizeof leaf_ks);
    memcpy(out->loss, leaf_losses, sizeof leaf_losses);
    NLSH_TRY(measure_create(&c, job, error));
    NLSH_TRY(nlsh__alloc(&sorted, of->n_rows * c.k, sizeof *sorted, error));
    nlsh__pool_run(job->pool, of->n_rows, measure_task, &c);
    out->slope = slopes[choose_slope(&c, job, sorted, &out->scanned)];
    for (size_t i = 0; i < NLSH__MARGIN_KS; i++) {
        size_t n = sorted_margins(&c, i, out->slope, sorted);
        for (size_t l = 0; l < NLSH__LEAF_LOSSES; l++)
            out->margin[i * NLSH__LEAF_LOSSES + l] = margin_at(sorted, n, l);
    }
out:
    measure_free(&c);
    nlsh__free(sorted);
    return status;
}

struct nlsh__margins nlsh__leaf_margins_of(const struct nlsh__leaf_margins *m)
{
    return (struct nlsh__margins){NLSH__MARGIN_KS, NLSH__LEAF_LOSSES, m->k, m->loss, m->margin};
}
