/* margins.c - how far scores by code may be off: see encode.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "codes/make/encode.h"
#include "codes/score.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/select.h"
#include "kernels/topk.h"

enum { MAX_QUERIES = 500, MOST_K = 100, COUNT_K = 10 };

static const uint32_t margin_ks[NLSH__MARGIN_KS] = {1, 10, MOST_K};
static const float margin_losses[NLSH__MARGIN_LOSSES] = {0.0005f, 0.001f, 0.002f, 0.005f, 0.01f};

struct measure {
    const struct nlsh__encode *in;
    const struct nlsh__router *router;
    const struct nlsh__codes *codes;
    const uint32_t *rows;
    float threshold;
    size_t lanes;
    struct scratch {
        float *inputs, *probabilities, *work, *origin;
        int8_t *weights;
        float *scores, *units;       /* [lanes] */
        uint64_t *keys;              /* [lanes] exact score, place */
    } * scratch;                     /* [n_threads] */
    float *margins[NLSH__MARGIN_KS]; /* [n_queries x k]; NaN where there are fewer rows */
    float margin;                    /* for COUNT_K, and what it comes to: */
    uint32_t *candidates, *ranked;   /* [n_queries] */
};

/* The query's distance to a row as code scores are, and as a key that orders alike. */
static float exact_score(const struct measure *c, size_t query, size_t row)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    const struct nlsh_matrix *base = c->in->base;
    size_t dim = base->dim;
    if (base->type == NLSH_U8) {
        const uint8_t *x = base->data;
        return (float)kernels->l2sq_u8(x + query * dim, x + row * dim, dim);
    }
    const float *x = base->data, *q = c->in->queries->data;
    return c->in->inner ? -kernels->dot_f32(q + query * dim, x + row * dim, dim)
                        : kernels->l2sq_f32(x + query * dim, x + row * dim, dim);
}

/* Scores, errors' units and exact scores of all rows in the buckets of a query; how many. */
static size_t scan_query(const struct measure *c, size_t query, struct scratch *s,
                         struct nlsh__units *u)
{
    const struct nlsh__encode *in = c->in;
    const struct nlsh__codes *codes = c->codes;
    size_t p = in->projection->n_components, n = 0;
    memcpy(s->inputs, in->query_inputs + query * p, p * sizeof *s->inputs);
    nlsh__router_forward(c->router, s->inputs, s->work, s->probabilities);
    nlsh__score_units(codes, in->inner, s->inputs, nlsh__encode_whole(in, codes, query), u);
    float mean = (float)in->base->n_rows / (float)in->n_buckets;
    for (size_t b = 0; b < in->n_buckets; b++) {
        size_t first = in->bucket_offsets[b], rows = in->bucket_offsets[b + 1] - first;
        /* a threshold on the probability per vector, as search/route.c has it */
        if (rows == 0 || !(s->probabilities[b] * mean / (float)rows > c->threshold)) continue;
        size_t group = codes->group_offsets[b];
        /* kernels write to whole groups; what the rows themselves leave free is closed below */
        float *scores = s->scores + (n + NLSH__GROUP - 1) / NLSH__GROUP * NLSH__GROUP;
        struct nlsh__probe probe;
        nlsh__probe_bucket(codes, in->inner, s->inputs, u->outside, b, s->origin, s->weights,
                           &probe);
        nlsh__score_rows(codes, &probe, s->weights, group, codes->group_offsets[b + 1] - group,
                         scores);
        float unit = codes->header.error_unit * probe.length;
        size_t kept = n;
        for (size_t i = 0; i < rows; i++) {
            size_t row = in->ids[first + i];
            if (row == query) continue;
            s->scores[kept] = scores[i];
            s->units[kept] = unit * (float)codes->errors[group * NLSH__GROUP + i];
            s->keys[kept] =
                nlsh__key_u32(nlsh__ordered_f32(exact_score(c, query, row)), (uint32_t)kept);
            kept++;
        }
        n = kept;
    }
    return n;
}

static void measure_task(void *ctx, size_t number, size_t worker)
{
    const struct measure *c = ctx;
    struct scratch *s = &c->scratch[worker];
    struct nlsh__units u;
    size_t n = scan_query(c, c->rows[number], s, &u);
    for (size_t i = NLSH__MARGIN_KS; i-- > 0;) { /* the larger first: the smaller are among them */
        size_t k = margin_ks[i];
        float *out = c->margins[i] + number * k;
        if (n < k) {
            for (size_t j = 0; j < k; j++) out[j] = NAN;
            continue;
        }
        nlsh__select_smallest(s->keys, n, k);
        n = k;
        uint64_t worst = 0;
        for (size_t j = 0; j < k; j++) worst = s->keys[j] > worst ? s->keys[j] : worst;
        float limit = nlsh__from_ordered_f32((uint32_t)(worst >> 32)) * u.factor - u.offset;
        for (size_t j = 0; j < k; j++) {
            uint32_t place = (uint32_t)s->keys[j];
            float beyond = s->scores[place] - limit;
            out[j] = beyond <= 0 || s->units[place] <= 0 ? 0 : beyond / s->units[place];
        }
    }
}

/* The rows whose score may be at the limit or below: all that search/scan.c ranks once it has it. */
static void count_task(void *ctx, size_t number, size_t worker)
{
    const struct measure *c = ctx;
    struct scratch *s = &c->scratch[worker];
    struct nlsh__units u;
    size_t n = scan_query(c, c->rows[number], s, &u), k = n < COUNT_K ? n : COUNT_K, ranked = 0;
    uint64_t worst = 0;
    nlsh__select_smallest(s->keys, n, k);
    for (size_t j = 0; j < k; j++) worst = s->keys[j] > worst ? s->keys[j] : worst;
    float limit = nlsh__from_ordered_f32((uint32_t)(worst >> 32)) * u.factor - u.offset;
    for (size_t i = 0; i < n; i++) ranked += s->scores[i] - c->margin * s->units[i] <= limit;
    c->candidates[number] = (uint32_t)n;
    c->ranked[number] = (uint32_t)ranked;
}

static void count(struct measure *c, size_t n_queries, const struct nlsh__job *job,
                  const struct nlsh__codes_header *header, struct nlsh__scan_cost *out)
{
    size_t k = 0, loss = 0;
    while (margin_ks[k] != COUNT_K) k++;
    while (margin_losses[loss] < 0.002f) loss++;
    c->margin = header->margin[k * NLSH__MARGIN_LOSSES + loss];
    nlsh__pool_run(job->pool, n_queries, count_task, c);
    *out = (struct nlsh__scan_cost){0};
    for (size_t i = 0; i < n_queries; i++) {
        out->candidates += (double)c->candidates[i] / (double)n_queries;
        out->ranked += (double)c->ranked[i] / (double)n_queries;
    }
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* From the sorted margins to the header. Where no query found so many rows, another k's stands. */
static void set_margins(struct measure *c, size_t n_queries, struct nlsh__codes_header *header)
{
    memcpy(header->margin_k, margin_ks, sizeof margin_ks);
    memcpy(header->margin_loss, margin_losses, sizeof margin_losses);
    for (size_t i = 0; i < NLSH__MARGIN_KS; i++) {
        float *all = c->margins[i], *out = header->margin + i * NLSH__MARGIN_LOSSES;
        size_t n = 0;
        for (size_t j = 0; j < n_queries * margin_ks[i]; j++)
            if (!isnan(all[j])) all[n++] = fminf(all[j], 1e9f);
        qsort(all, n, sizeof *all, descending);
        for (size_t l = 0; l < NLSH__MARGIN_LOSSES; l++)
            out[l] = n > 0   ? all[(size_t)((double)margin_losses[l] * (double)n)]
                     : i > 0 ? out[l - NLSH__MARGIN_LOSSES]
                             : 1e9f;
    }
}

static enum nlsh_status measure_create(struct measure *c, size_t n_threads, size_t n_queries,
                                       struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t stride = c->codes->layout.stride;
    NLSH_TRY(nlsh__calloc(&c->scratch, n_threads, sizeof *c->scratch, error));
    for (size_t i = 0; i < n_threads; i++) {
        struct scratch *s = &c->scratch[i];
        NLSH_TRY(nlsh__calloc(&s->inputs, nlsh__router_input_size(c->router), 4, error));
        NLSH_TRY(nlsh__alloc(&s->probabilities, nlsh__router_output_size(c->router), 4, error));
        NLSH_TRY(nlsh__alloc(&s->work, nlsh__router_scratch_size(c->router), 4, error));
        NLSH_TRY(nlsh__calloc(&s->origin, stride, sizeof *s->origin, error));
        NLSH_TRY(nlsh__alloc(&s->weights, stride, 1, error));
        NLSH_TRY(nlsh__alloc(&s->scores, c->lanes, sizeof *s->scores, error));
        NLSH_TRY(nlsh__alloc(&s->units, c->lanes, sizeof *s->units, error));
        NLSH_TRY(nlsh__alloc(&s->keys, c->lanes, sizeof *s->keys, error));
    }
    NLSH_TRY(nlsh__calloc(&c->candidates, n_queries, sizeof *c->candidates, error));
    NLSH_TRY(nlsh__calloc(&c->ranked, n_queries, sizeof *c->ranked, error));
    for (size_t i = 0; i < NLSH__MARGIN_KS; i++)
        NLSH_TRY(nlsh__alloc(&c->margins[i], n_queries * margin_ks[i], sizeof(float), error));
out:
    return status;
}

static void measure_free(struct measure *c, size_t n_threads)
{
    for (size_t i = 0; c->scratch != NULL && i < n_threads; i++) {
        struct scratch *s = &c->scratch[i];
        void *all[] = {s->inputs,  s->probabilities, s->work,  s->origin,
                       s->weights, s->scores,        s->units, s->keys};
        for (size_t j = 0; j < sizeof all / sizeof *all; j++) nlsh__free(all[j]);
    }
    nlsh__free(c->scratch);
    nlsh__free(c->candidates);
    nlsh__free(c->ranked);
    for (size_t i = 0; i < NLSH__MARGIN_KS; i++) nlsh__free(c->margins[i]);
}

enum nlsh_status nlsh__measure_margins(const struct nlsh__encode *in,
                                       const struct nlsh__router *router, const uint32_t *rows,
                                       size_t n_rows, float threshold, const struct nlsh__job *job,
                                       void *bytes, size_t size, struct nlsh__scan_cost *out,
                                       struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_threads = nlsh__pool_n_threads(job->pool);
    size_t n_queries = n_rows < MAX_QUERIES ? n_rows : MAX_QUERIES;
    struct nlsh__codes *codes = NULL;
    struct nlsh__codes_header *header = bytes;
    struct measure c = {.in = in, .router = router, .rows = rows, .threshold = threshold};
    memcpy(header->margin_k, margin_ks, sizeof margin_ks); /* so that it opens */
    memcpy(header->margin_loss, margin_losses, sizeof margin_losses);
    NLSH_TRY(nlsh__codes_open(bytes, size, in->bucket_offsets, in->n_buckets,
                              nlsh__router_n_inputs(router), in->base->dim, &codes, error));
    c.codes = codes;
    c.lanes = (codes->header.n_groups + 1) * NLSH__GROUP;
    NLSH_TRY(measure_create(&c, n_threads, n_queries, error));
    nlsh__pool_run(job->pool, n_queries, measure_task, &c);
    set_margins(&c, n_queries, header);
    count(&c, n_queries, job, header, out);
out:
    measure_free(&c, n_threads);
    nlsh__codes_close(codes);
    return status;
}
