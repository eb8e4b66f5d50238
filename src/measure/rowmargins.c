/* rowmargins.c - nlsh__measure_rows(): see margins.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/panel.h"
#include "measure/asked.h"

enum { MOST_QUERIES = 500, MOST_K = 100, COUNT_K = 10 };

static const uint32_t margin_ks[NLSH__MARGIN_KS] = {1, COUNT_K, MOST_K};
static const float margin_losses[NLSH__ROW_LOSSES] = {0.0005f, 0.001f, 0.002f, 0.005f,
                                                      0.01f,   0.02f,  0.05f};
static const size_t counted_k = 1;    /* COUNT_K */
static const size_t counted_loss = 2; /* .002: what a search for recall .99 leaves to codes */

/* What one thread found out about a query: the scores of all rows of the buckets that it scanned, a bucket after
 * the other. */
struct found {
    size_t *first;          /* [buckets] where a bucket's stand; NOT_SCANNED */
    size_t n;               /* scores, */
    float *scores, *errors; /* [room] */
};

static const size_t NOT_SCANNED = SIZE_MAX;

struct measure {
    const struct nlsh__measured *of;
    const float *thresholds; /* [NLSH__MARGIN_KS] */
    struct nlsh__places places;
    struct nlsh__askers askers;
    struct nlsh__asked_row *asked;   /* [n_threads] */
    struct found *found;             /* [n_threads] */
    float *margins[NLSH__MARGIN_KS]; /* [n_queries x k]; NaN where there are fewer rows */
    float margin;                    /* for COUNT_K, and what it comes to: */
    uint32_t *candidates, *ranked;   /* [n_queries] */
};

/* Adds the rows of a bucket. */
static void add_bucket(const struct measure *c, struct nlsh__asked_row *a, size_t b,
                       struct found *f)
{
    const struct nlsh__encode *in = c->of->encode;
    const struct nlsh__codes *codes = c->of->codes;
    size_t rows = in->bucket_offsets[b + 1] - in->bucket_offsets[b];
    size_t group = codes->group_offsets[b];
    const uint8_t *errors = codes->rows.errors + group * NLSH__GROUP;
    struct nlsh__probe probe;
    nlsh__asked_probe(c->of, a, b, &probe);
    nlsh__score_groups(&codes->rows, &probe, a->weights, group, codes->group_offsets[b + 1] - group,
                       a->scores);
    float unit = codes->error_unit * probe.error_length;
    memcpy(f->scores + f->n, a->scores, rows * sizeof *f->scores);
    for (size_t i = 0; i < rows; i++) f->errors[f->n + i] = unit * (float)errors[i];
    f->first[b] = f->n;
    f->n += rows;
}

static void scan_query(const struct measure *c, size_t query, float threshold, size_t worker)
{
    struct nlsh__asked_row *a = &c->asked[worker];
    struct found *f = &c->found[worker];
    f->n = 0;
    nlsh__ask_base_row(c->of, a, query);
    for (size_t b = 0; b < c->of->encode->n_buckets; b++) {
        f->first[b] = NOT_SCANNED;
        if (nlsh__asked_probability(c->of, a, b) > threshold) add_bucket(c, a, b, f);
    }
}

/* Where a base row's score stands; NOT_SCANNED. */
static size_t score_of(const struct measure *c, const struct found *f, size_t row)
{
    size_t place = c->places.of[row], bucket = c->places.bucket[place];
    if (f->first[bucket] == NOT_SCANNED) return NOT_SCANNED;
    return f->first[bucket] + place - c->of->encode->bucket_offsets[bucket];
}

/* The k nearest of the scanned rows, as far as the truth knows them: where their scores stand, and what the last of
 * them scores exactly, as codes score. Returns how many. */
static size_t nearest(const struct measure *c, size_t number, size_t k, size_t worker,
                      size_t *scores, float *limit)
{
    const struct nlsh__neighbors *truth = c->of->truth;
    const struct nlsh__units *u = &c->asked[worker].units;
    size_t n = 0, first = number * truth->k;
    size_t known = truth->k < NLSH__MARGINS_K ? truth->k : NLSH__MARGINS_K;
    for (size_t i = first; i < first + known && n < k; i++) {
        size_t at = score_of(c, &c->found[worker], truth->ids[i]);
        if (at == NOT_SCANNED) continue;
        scores[n++] = at;
        *limit = truth->l2sq[i] * u->factor - u->offset;
    }
    return n;
}

static void measure_task(void *ctx, size_t number, size_t worker)
{
    const struct measure *c = ctx;
    const struct found *f = &c->found[worker];
    size_t scores[MOST_K];
    float limit;
    for (size_t i = NLSH__MARGIN_KS; i-- > 0;) { /* the larger first: the smaller are among them */
        size_t k = margin_ks[i];
        if (i + 1 == NLSH__MARGIN_KS || c->thresholds[i] != c->thresholds[i + 1])
            scan_query(c, c->of->rows[number], c->thresholds[i], worker);
        float *out = c->margins[i] + number * k;
        size_t n = f->n > k ? nearest(c, number, k, worker, scores, &limit) : 0;
        for (size_t j = 0; j < n; j++) {
            float beyond = f->scores[scores[j]] - limit, error = f->errors[scores[j]];
            out[j] = beyond <= 0 || error <= 0 ? 0 : beyond / error;
        }
        for (size_t j = n; j < k; j++) out[j] = NAN;
    }
}

/* The rows whose score may be at the limit or below: all that a search ranks once it has it. */
static void count_task(void *ctx, size_t number, size_t worker)
{
    const struct measure *c = ctx;
    const struct found *f = &c->found[worker];
    size_t scores[COUNT_K], row = c->of->rows[number], ranked = 0;
    float limit = -INFINITY;
    scan_query(c, row, c->thresholds[counted_k], worker);
    (void)nearest(c, number, COUNT_K, worker, scores, &limit);
    size_t own = score_of(c, f, row);
    for (size_t i = 0; i < f->n; i++)
        ranked += i != own && f->scores[i] - c->margin * f->errors[i] <= limit;
    c->candidates[number] = (uint32_t)(f->n - (own != NOT_SCANNED));
    c->ranked[number] = (uint32_t)ranked;
}

static void count(struct measure *c, size_t n_queries, const struct nlsh__job *job,
                  struct nlsh__row_margins *out)
{
    c->margin = out->margin[counted_k * NLSH__ROW_LOSSES + counted_loss];
    nlsh__pool_run(job->pool, n_queries, count_task, c);
    for (size_t i = 0; i < n_queries; i++) {
        out->candidates += (double)c->candidates[i] / (double)n_queries;
        out->ranked += (double)c->ranked[i] / (double)n_queries;
    }
}

/* Where no query found so many rows, another k's margins stand. */
static void set_margins(const struct measure *c, size_t n_queries, struct nlsh__row_margins *out)
{
    memcpy(out->k, margin_ks, sizeof margin_ks);
    memcpy(out->loss, margin_losses, sizeof margin_losses);
    for (size_t i = 0; i < NLSH__MARGIN_KS; i++) {
        float *all = c->margins[i], *row = out->margin + i * NLSH__ROW_LOSSES;
        size_t n = 0, n_above = 0; /* most are 0, and none is below: the others are sorted */
        for (size_t j = 0; j < n_queries * margin_ks[i]; j++) {
            if (isnan(all[j])) continue;
            n++;
            if (all[j] > 0) all[n_above++] = fminf(all[j], 1e9f);
        }
        qsort(all, n_above, sizeof *all, nlsh__descending_f32);
        for (size_t l = 0; l < NLSH__ROW_LOSSES; l++) {
            size_t at = (size_t)((double)margin_losses[l] * (double)n);
            if (n > 0)
                row[l] = at < n_above ? all[at] : 0;
            else
                row[l] = i > 0 ? row[l - NLSH__ROW_LOSSES] : 1e9f;
        }
    }
}

static enum nlsh_status measure_create(struct measure *c, size_t n_queries,
                                       const struct nlsh__job *job, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t room = c->of->codes->rows.n_groups * NLSH__GROUP; /* all rows, at the most */
    NLSH_TRY(nlsh__places_create(c->of->encode, &c->places, error));
    NLSH_TRY(nlsh__askers_create(c->of->router, job, &c->askers, error));
    NLSH_TRY(nlsh__asked_create(c->of, &c->askers, room, &c->asked, error));
    NLSH_TRY(nlsh__calloc(&c->found, c->askers.n, sizeof *c->found, error));
    for (size_t i = 0; i < c->askers.n; i++) {
        NLSH_TRY(nlsh__alloc(&c->found[i].first, c->of->encode->n_buckets, sizeof(size_t), error));
        NLSH_TRY(nlsh__alloc(&c->found[i].scores, room, sizeof(float), error));
        NLSH_TRY(nlsh__alloc(&c->found[i].errors, room, sizeof(float), error));
    }
    NLSH_TRY(nlsh__calloc(&c->candidates, n_queries, sizeof *c->candidates, error));
    NLSH_TRY(nlsh__calloc(&c->ranked, n_queries, sizeof *c->ranked, error));
    for (size_t i = 0; i < NLSH__MARGIN_KS; i++)
        NLSH_TRY(nlsh__alloc(&c->margins[i], n_queries * margin_ks[i], sizeof(float), error));
out:
    return status;
}

static void measure_free(struct measure *c)
{
    for (size_t i = 0; c->found != NULL && i < c->askers.n; i++) {
        nlsh__free(c->found[i].first);
        nlsh__free(c->found[i].scores);
        nlsh__free(c->found[i].errors);
    }
    nlsh__free(c->found);
    nlsh__asked_free(c->asked, c->askers.n);
    nlsh__askers_free(&c->askers);
    nlsh__places_free(&c->places);
    nlsh__free(c->candidates);
    nlsh__free(c->ranked);
    for (size_t i = 0; i < NLSH__MARGIN_KS; i++) nlsh__free(c->margins[i]);
}

enum nlsh_status nlsh__measure_rows(const struct nlsh__measured *of, const float *thresholds,
                                    const struct nlsh__job *job, struct nlsh__row_margins *out,
                                    struct nlsh_error *error)
{
    size_t n_queries = of->n_rows < MOST_QUERIES ? of->n_rows : MOST_QUERIES;
    struct measure c = {.of = of, .thresholds = thresholds};
    *out = (struct nlsh__row_margins){.candidates = 0};
    enum nlsh_status status = measure_create(&c, n_queries, job, error);
    if (status == NLSH_OK) {
        nlsh__pool_run(job->pool, n_queries, measure_task, &c);
        set_margins(&c, n_queries, out);
        count(&c, n_queries, job, out);
    }
    measure_free(&c);
    return status;
}

struct nlsh__margins nlsh__row_margins_of(const struct nlsh__row_margins *m)
{
    return (struct nlsh__margins){NLSH__MARGIN_KS, NLSH__ROW_LOSSES, m->k, m->loss, m->margin};
}
