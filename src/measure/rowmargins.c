/* rowmargins.c - nlsh__measure_rows(): see margins.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/select.h"
#include "kernels/topk.h"
#include "measure/asked.h"

enum { MOST_QUERIES = 500, MOST_K = 100, COUNT_K = 10 };

static const uint32_t margin_ks[NLSH__MARGIN_KS] = {1, COUNT_K, MOST_K};
static const float margin_losses[NLSH__ROW_LOSSES] = {0.0005f, 0.001f, 0.002f, 0.005f,
                                                      0.01f,   0.02f,  0.05f};
static const size_t counted_k = 1;    /* COUNT_K */
static const size_t counted_loss = 2; /* .002: what a search for recall .99 leaves to codes */

/* What one thread found out about a query: all rows of its buckets but itself. */
struct found {
    float *scores, *errors; /* [room] */
    uint64_t *keys;         /* [room] exact score, place among these */
};

struct measure {
    const struct nlsh__measured *of;
    const float *thresholds; /* [NLSH__MARGIN_KS] */
    struct nlsh__askers askers;
    struct nlsh__asked_row *asked;   /* [n_threads] */
    struct found *found;             /* [n_threads] */
    float *margins[NLSH__MARGIN_KS]; /* [n_queries x k]; NaN where there are fewer rows */
    float margin;                    /* for COUNT_K, and what it comes to: */
    uint32_t *candidates, *ranked;   /* [n_queries] */
};

/* The query's exact score against a row, as code scores are. */
static float exact_score(const struct nlsh__encode *in, size_t query, size_t row)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    size_t dim = in->base->dim;
    if (in->base->type == NLSH_U8) {
        const uint8_t *x = in->base->data;
        return (float)kernels->l2sq_u8(x + query * dim, x + row * dim, dim);
    }
    const float *x = in->base->data, *q = in->queries->data;
    return in->inner ? -kernels->dot_f32(q + query * dim, x + row * dim, dim)
                     : kernels->l2sq_f32(x + query * dim, x + row * dim, dim);
}

/* Adds the rows of a bucket, but for the query itself, behind the n that are there; returns how many then. */
static size_t add_bucket(const struct measure *c, struct nlsh__asked_row *a, size_t query, size_t b,
                         struct found *f, size_t n)
{
    const struct nlsh__encode *in = c->of->encode;
    const struct nlsh__codes *codes = c->of->codes;
    size_t first = in->bucket_offsets[b], rows = in->bucket_offsets[b + 1] - first;
    size_t group = codes->group_offsets[b];
    const uint8_t *errors = codes->rows.errors + group * NLSH__GROUP;
    struct nlsh__probe probe;
    nlsh__asked_probe(c->of, a, b, &probe);
    nlsh__score_groups(&codes->rows, &probe, a->weights, group, codes->group_offsets[b + 1] - group,
                       a->scores);
    float unit = codes->error_unit * probe.length;
    for (size_t i = 0; i < rows; i++) {
        size_t row = in->ids[first + i];
        if (row == query) continue;
        f->scores[n] = a->scores[i];
        f->errors[n] = unit * (float)errors[i];
        f->keys[n] = nlsh__key_u32(nlsh__ordered_f32(exact_score(in, query, row)), (uint32_t)n);
        n++;
    }
    return n;
}

static size_t scan_query(const struct measure *c, size_t query, float threshold, size_t worker)
{
    struct nlsh__asked_row *a = &c->asked[worker];
    size_t n = 0;
    nlsh__ask_base_row(c->of, a, query);
    for (size_t b = 0; b < c->of->encode->n_buckets; b++)
        if (nlsh__asked_probability(c->of, a, b) > threshold)
            n = add_bucket(c, a, query, b, &c->found[worker], n);
    return n;
}

/* The k-th exact score as codes score; the k nearest are first in keys then. */
static float limit_of(const struct nlsh__units *u, uint64_t *keys, size_t n, size_t k)
{
    uint64_t worst = 0;
    nlsh__select_smallest(keys, n, k);
    for (size_t j = 0; j < k; j++) worst = keys[j] > worst ? keys[j] : worst;
    return nlsh__from_ordered_f32((uint32_t)(worst >> 32)) * u->factor - u->offset;
}

static void measure_task(void *ctx, size_t number, size_t worker)
{
    const struct measure *c = ctx;
    const struct found *f = &c->found[worker];
    size_t n = 0;
    for (size_t i = NLSH__MARGIN_KS; i-- > 0;) { /* the larger first: the smaller are among them */
        size_t k = margin_ks[i];
        if (i + 1 == NLSH__MARGIN_KS || c->thresholds[i] != c->thresholds[i + 1])
            n = scan_query(c, c->of->rows[number], c->thresholds[i], worker);
        float *out = c->margins[i] + number * k;
        for (size_t j = 0; j < k && n < k; j++) out[j] = NAN;
        if (n < k) continue;
        float limit = limit_of(&c->asked[worker].units, f->keys, n, k);
        n = k;
        for (size_t j = 0; j < k; j++) {
            uint32_t place = (uint32_t)f->keys[j];
            float beyond = f->scores[place] - limit;
            out[j] = beyond <= 0 || f->errors[place] <= 0 ? 0 : beyond / f->errors[place];
        }
    }
}

/* The rows whose score may be at the limit or below: all that a search ranks once it has it. */
static void count_task(void *ctx, size_t number, size_t worker)
{
    const struct measure *c = ctx;
    const struct found *f = &c->found[worker];
    size_t n = scan_query(c, c->of->rows[number], c->thresholds[counted_k], worker),
           k = n < COUNT_K ? n : COUNT_K;
    size_t ranked = 0;
    float limit = limit_of(&c->asked[worker].units, f->keys, n, k);
    for (size_t i = 0; i < n; i++) ranked += f->scores[i] - c->margin * f->errors[i] <= limit;
    c->candidates[number] = (uint32_t)n;
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
    NLSH_TRY(nlsh__askers_create(c->of->router, job, &c->askers, error));
    NLSH_TRY(nlsh__asked_create(c->of, &c->askers, room, &c->asked, error));
    NLSH_TRY(nlsh__calloc(&c->found, c->askers.n, sizeof *c->found, error));
    for (size_t i = 0; i < c->askers.n; i++) {
        NLSH_TRY(nlsh__alloc(&c->found[i].scores, room, sizeof(float), error));
        NLSH_TRY(nlsh__alloc(&c->found[i].errors, room, sizeof(float), error));
        NLSH_TRY(nlsh__alloc(&c->found[i].keys, room, sizeof(uint64_t), error));
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
        nlsh__free(c->found[i].scores);
        nlsh__free(c->found[i].errors);
        nlsh__free(c->found[i].keys);
    }
    nlsh__free(c->found);
    nlsh__asked_free(c->asked, c->askers.n);
    nlsh__askers_free(&c->askers);
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
