/*
 * leafmargins.c - nlsh__measure_leaves(): see leaves.h.
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
#include "codes/make/leaves.h"
#include "codes/score.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"

enum { MOST_K = 100, MAX_COUNTED = 500, COUNT_K = 10, N_SLOPES = 10 };

static const uint32_t leaf_ks[NLSH__MARGIN_KS] = {1, COUNT_K, MOST_K};
static const float leaf_losses[NLSH__LEAF_LOSSES] = {0.0005f, 0.001f, 0.002f, 0.005f,
                                                     0.01f,   0.02f,  0.05f,  0.1f};
static const size_t counted_loss =
    5; /* .02: what a search for recall .95 leaves to leaves, about */
static const float slopes[N_SLOPES] = {0,     0.02f, 0.04f, 0.06f, 0.08f,
                                       0.11f, 0.15f, 0.2f,  0.3f,  0.45f};

struct scratch {
    float *inputs, *probabilities, *work, *origin;
    int8_t *weights;
    float *scores; /* [of the largest bucket's leaves] */
};

/* A neighbour: how far its leaf lies above the limits, in errors, and ln(100 p). */
struct neighbour {
    float score, error, log_p; /* NaN: its bucket has no probability */
};

struct measure {
    const struct nlsh__encode *in;
    const struct nlsh__codes *codes;
    const struct nlsh__leaves *leaves;
    const struct nlsh__router *router;
    const uint32_t *rows;
    const struct nlsh__neighbors *truth;
    float thresholds[NLSH__MARGIN_KS];
    size_t k;                     /* neighbours of each: at most MOST_K */
    uint32_t *place;              /* [n_rows] where a base row stands */
    uint32_t *bucket_of;          /* [n_rows] by place */
    struct scratch *scratch;      /* [n_threads] */
    struct neighbour *neighbours; /* [n_held x k] */
    float *limits;                /* [n_held x NLSH__MARGIN_KS] */
    float margins[N_SLOPES];      /* for COUNT_K and counted_loss */
    uint32_t *counts;             /* [MAX_COUNTED x N_SLOPES] */
};

/* Routes a row; its units, and what the k-th neighbours score. */
static void route(const struct measure *c, size_t query, struct scratch *s, struct nlsh__units *u,
                  float *limits)
{
    size_t p = c->in->projection->n_components, row = c->rows[query];
    memcpy(s->inputs, c->in->query_inputs + row * p, p * sizeof *s->inputs);
    nlsh__router_forward(c->router, s->inputs, s->work, s->probabilities);
    nlsh__score_units(c->codes, c->in->inner, s->inputs, nlsh__encode_whole(c->in, c->codes, row),
                      u);
    for (size_t i = 0; i < NLSH__MARGIN_KS; i++)
        limits[i] =
            leaf_ks[i] <= c->k
                ? c->truth->l2sq[query * c->truth->k + leaf_ks[i] - 1] * u->factor - u->offset
                : NAN;
}

/* A bucket's probability per vector. */
static float probability(const struct measure *c, const struct scratch *s, size_t bucket)
{
    const uint32_t *offsets = c->in->bucket_offsets;
    float mean = (float)c->in->base->n_rows / (float)c->in->n_buckets;
    float n = (float)(offsets[bucket + 1] - offsets[bucket]);
    return n > 0 ? s->probabilities[bucket] * mean / n : 0;
}

/* Scores of a bucket's leaves, and the unit of their errors. */
static float score_bucket(const struct measure *c, struct scratch *s, const struct nlsh__units *u,
                          size_t bucket)
{
    struct nlsh__probe probe;
    nlsh__probe_bucket(c->codes, c->in->inner, s->inputs, u->outside, bucket, s->origin, s->weights,
                       &probe);
    nlsh__score_leaves(c->leaves, &probe, s->weights, bucket, s->scores);
    return c->leaves->header.error_unit * probe.length;
}

/* The query is one of its own leaf's 16 rows and draws their mean nearer: as if it were not. */
static float score_without(const struct measure *c, const struct nlsh__units *u, float score,
                           uint8_t error)
{
    float radius = (float)error * c->leaves->header.error_unit;
    float l2sq = score + u->offset - radius * radius;
    return c->in->inner || l2sq < 0 ? score : score + l2sq * (256.0f / 225 - 1);
}

static void measure_task(void *ctx, size_t query, size_t worker)
{
    const struct measure *c = ctx;
    struct scratch *s = &c->scratch[worker];
    struct nlsh__units u;
    size_t scored = SIZE_MAX, own = c->place[c->rows[query]];
    float unit = 0;
    route(c, query, s, &u, c->limits + query * NLSH__MARGIN_KS);
    for (size_t j = 0; j < c->k; j++) {
        struct neighbour *out = &c->neighbours[query * c->k + j];
        size_t place = c->place[c->truth->ids[query * c->truth->k + j]];
        size_t bucket = c->bucket_of[place], first = c->in->bucket_offsets[bucket];
        float p = probability(c, s, bucket);
        *out = (struct neighbour){NAN, NAN, NAN};
        if (!(p > 0)) continue;
        if (bucket != scored) unit = score_bucket(c, s, &u, bucket);
        scored = bucket;
        size_t leaf = (place - first) / NLSH__GROUP;
        uint8_t error = c->leaves->errors[c->leaves->group_offsets[bucket] * NLSH__GROUP + leaf];
        float score = s->scores[leaf];
        if (c->bucket_of[own] == bucket && (own - first) / NLSH__GROUP == leaf)
            score = score_without(c, &u, score, error);
        *out = (struct neighbour){score, unit * (float)error, logf(100 * p)};
    }
}

/* What a search with each slope would scan. */
static void count_task(void *ctx, size_t query, size_t worker)
{
    const struct measure *c = ctx;
    struct scratch *s = &c->scratch[worker];
    struct nlsh__units u;
    float limits[NLSH__MARGIN_KS];
    uint32_t *counts = c->counts + query * N_SLOPES;
    route(c, query, s, &u, limits);
    for (size_t b = 0; b < c->in->n_buckets; b++) {
        float p = probability(c, s, b);
        if (!(p > c->thresholds[1])) continue;
        float unit = score_bucket(c, s, &u, b), log_p = logf(100 * p);
        size_t n = (c->in->bucket_offsets[b + 1] - c->in->bucket_offsets[b] + NLSH__GROUP - 1) /
                   NLSH__GROUP;
        const uint8_t *errors = c->leaves->errors + c->leaves->group_offsets[b] * NLSH__GROUP;
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < N_SLOPES; j++)
                counts[j] +=
                    s->scores[i] - (c->margins[j] + slopes[j] * log_p) * unit * (float)errors[i] <=
                    limits[1];
    }
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* Margins of all neighbours among the k nearest with a slope, descending, into out; how many. Those whose
 * bucket a search for k would not scan are lost before leaves are looked at. */
static size_t sorted_margins(const struct measure *c, size_t n_held, size_t i, float slope,
                             float *out)
{
    size_t n = 0;
    for (size_t q = 0; q < n_held; q++)
        for (size_t j = 0; j < leaf_ks[i] && j < c->k; j++) {
            const struct neighbour *x = &c->neighbours[q * c->k + j];
            float above = x->score - c->limits[q * NLSH__MARGIN_KS + i];
            if (isnan(above) || !(x->log_p > logf(100 * c->thresholds[i]))) continue;
            float margin = x->error > 0 ? above / x->error : above > 0 ? 1e9f : -1e9f;
            out[n++] = fmaxf(fminf(margin - slope * x->log_p, 1e9f), -1e9f);
        }
    qsort(out, n, sizeof *out, descending);
    return n;
}

static float margin_at(const float *sorted, size_t n, size_t loss)
{
    return n > 0 ? sorted[(size_t)((double)leaf_losses[loss] * (double)n)] : 1e9f;
}

/* The slope that scans least, and the leaves that it scans. */
static size_t choose_slope(struct measure *c, size_t n_held, const struct nlsh__job *job,
                           float *sorted, double *leaves)
{
    size_t n_counted = n_held < MAX_COUNTED ? n_held : MAX_COUNTED, best = 0;
    uint64_t sums[N_SLOPES] = {0};
    for (size_t j = 0; j < N_SLOPES; j++) {
        size_t n = sorted_margins(c, n_held, 1, slopes[j], sorted);
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

static enum nlsh_status measure_create(struct measure *c, size_t n_threads, size_t n_held,
                                       struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__encode *in = c->in;
    size_t n = in->base->n_rows, stride = c->codes->layout.stride, most = 0;
    NLSH_TRY(nlsh__alloc(&c->place, n, sizeof *c->place, error));
    NLSH_TRY(nlsh__alloc(&c->bucket_of, n, sizeof *c->bucket_of, error));
    for (size_t b = 0; b < in->n_buckets; b++) {
        size_t groups = c->leaves->group_offsets[b + 1] - c->leaves->group_offsets[b];
        if (groups > most) most = groups;
        for (size_t i = in->bucket_offsets[b]; i < in->bucket_offsets[b + 1]; i++) {
            c->place[in->ids[i]] = (uint32_t)i;
            c->bucket_of[i] = (uint32_t)b;
        }
    }
    NLSH_TRY(nlsh__calloc(&c->scratch, n_threads, sizeof *c->scratch, error));
    for (size_t i = 0; i < n_threads; i++) {
        struct scratch *s = &c->scratch[i];
        NLSH_TRY(nlsh__calloc(&s->inputs, nlsh__router_input_size(c->router), 4, error));
        NLSH_TRY(nlsh__alloc(&s->probabilities, nlsh__router_output_size(c->router), 4, error));
        NLSH_TRY(nlsh__alloc(&s->work, nlsh__router_scratch_size(c->router), 4, error));
        NLSH_TRY(nlsh__calloc(&s->origin, stride, sizeof *s->origin, error));
        NLSH_TRY(nlsh__alloc(&s->weights, stride, 1, error));
        NLSH_TRY(nlsh__alloc(&s->scores, most * NLSH__GROUP, sizeof *s->scores, error));
    }
    NLSH_TRY(nlsh__alloc(&c->neighbours, n_held * c->k, sizeof *c->neighbours, error));
    NLSH_TRY(nlsh__alloc(&c->limits, n_held * NLSH__MARGIN_KS, sizeof *c->limits, error));
    NLSH_TRY(nlsh__calloc(&c->counts, (size_t)MAX_COUNTED * N_SLOPES, sizeof *c->counts, error));
out:
    return status;
}

static void measure_free(struct measure *c, size_t n_threads)
{
    for (size_t i = 0; c->scratch != NULL && i < n_threads; i++) {
        struct scratch *s = &c->scratch[i];
        void *all[] = {s->inputs, s->probabilities, s->work, s->origin, s->weights, s->scores};
        for (size_t j = 0; j < sizeof all / sizeof *all; j++) nlsh__free(all[j]);
    }
    nlsh__free(c->scratch);
    nlsh__free(c->place);
    nlsh__free(c->bucket_of);
    nlsh__free(c->neighbours);
    nlsh__free(c->limits);
    nlsh__free(c->counts);
}

enum nlsh_status
nlsh__measure_leaves(const struct nlsh__encode *in, const struct nlsh__codes *codes,
                     const struct nlsh__router *router, const uint32_t *rows, size_t n_held,
                     const struct nlsh__neighbors *truth, const float *thresholds,
                     const struct nlsh__job *job, void *bytes, size_t size, double *leaves,
                     struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_threads = nlsh__pool_n_threads(job->pool);
    struct nlsh__leaves *view = NULL;
    struct nlsh__leaves_header *header = bytes;
    float *sorted = NULL;
    struct measure c = {.in = in,
                        .codes = codes,
                        .router = router,
                        .rows = rows,
                        .truth = truth,
                        .k = truth->k < MOST_K ? truth->k : MOST_K};
    memcpy(c.thresholds, thresholds, sizeof c.thresholds);
    memcpy(header->margin_k, leaf_ks, sizeof leaf_ks); /* so that it opens */
    memcpy(header->margin_loss, leaf_losses, sizeof leaf_losses);
    NLSH_TRY(nlsh__leaves_open(bytes, size, codes, in->n_buckets, &view, error));
    c.leaves = view;
    NLSH_TRY(measure_create(&c, n_threads, n_held, error));
    NLSH_TRY(nlsh__alloc(&sorted, n_held * c.k, sizeof *sorted, error));
    nlsh__pool_run(job->pool, n_held, measure_task, &c);
    size_t slope = choose_slope(&c, n_held, job, sorted, leaves);
    header->slope = slopes[slope];
    for (size_t i = 0; i < NLSH__MARGIN_KS; i++) {
        size_t n = sorted_margins(&c, n_held, i, slopes[slope], sorted);
        for (size_t l = 0; l < NLSH__LEAF_LOSSES; l++)
            header->margin[i * NLSH__LEAF_LOSSES + l] = margin_at(sorted, n, l);
    }
out:
    measure_free(&c, n_threads);
    nlsh__free(sorted);
    nlsh__leaves_close(view);
    return status;
}
