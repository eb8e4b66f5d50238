/*
 * range.c - nlsh_search_range(): everything within a radius.
 *
 * How many vectors lie within a radius nobody knows, and the buckets of ten neighbours do not hold a thousand. So a
 * sample of all rows, at least as many as were scanned, says how many are left elsewhere, whatever the router thinks of
 * them. With what was found they are the number of nearest neighbours that is searched for, as it was measured; beyond
 * what was measured everything is compared. Where that is not enough, or the later half of the scanned rows still brings
 * some, half as many again are scanned, by falling probability, until the sample agrees. Every candidate is ranked
 * exactly. Ours.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "search/search.h"

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The largest score within a radius: nlsh__exact_score()'s. */
static double reach_of(enum nlsh_metric metric, double radius)
{
    return metric == NLSH_L2 ? radius * radius : radius;
}

/* Rows of a bucket within reach, behind those that were found; returns how many there are now. */
static size_t find_in_bucket(struct nlsh_searcher *s, uint32_t bucket,
                             const struct nlsh__allowed *allowed, double reach, size_t found)
{
    const struct nlsh_index *index = s->index;
    for (size_t i = 0; i < index->n_segments; i++) {
        const struct nlsh__segment *segment = &index->segments[i];
        const uint32_t *offsets = segment->bucket_offsets;
        const uint64_t *bits = nlsh__allowed_in(allowed, index, i);
        for (size_t place = offsets[bucket]; place < offsets[bucket + 1]; place++) {
            const struct nlsh__ranking one = {index, segment, &s->query, bits, s->best + found, 1};
            s->best[found] = UINT64_MAX;
            nlsh__rank_range(&one, place, place + 1);
            found += s->best[found] != UINT64_MAX &&
                     nlsh__exact_score(index, &s->query, s->best[found]) <= reach;
        }
    }
    return found;
}

/* Rows of a sample, at least. */
#define SAMPLE 1000

/* A search under way. */
struct within {
    struct nlsh_searcher *s;
    const struct nlsh__allowed *allowed; /* or NULL */
    double reach;
    size_t n; /* buckets scanned: s->scanned */
    size_t found;
    size_t stride; /* rows that one of the sample stands for; 0: there is none yet */
};

static size_t n_rows_in(const struct within *w)
{
    return w->n > 0 ? w->s->scanned[w->n - 1].rows : 0;
}

static void scan_bucket(struct within *w, uint32_t bucket)
{
    struct nlsh__range_bucket *now = &w->s->scanned[w->n];
    size_t rows = n_rows_in(w);
    for (size_t i = 0; i < w->s->index->n_segments; i++) {
        const uint32_t *offsets = w->s->index->segments[i].bucket_offsets;
        rows += offsets[bucket + 1] - offsets[bucket];
    }
    w->found = find_in_bucket(w->s, bucket, w->allowed, w->reach, w->found);
    *now = (struct nlsh__range_bucket){(uint32_t)rows, (uint32_t)w->found};
    w->s->is_scanned[bucket] = 1;
    w->n++;
}

/* Buckets by falling probability per vector into s->bucket_keys, of n those that were not scanned; how many. */
static size_t sort_buckets(const struct within *w, const uint32_t *buckets,
                           const float *probabilities, size_t n)
{
    const struct nlsh_searcher *s = w->s;
    size_t left = 0;
    for (size_t j = 0; j < n; j++) {
        uint32_t b = buckets != NULL ? buckets[j] : (uint32_t)j;
        if (s->is_scanned[b]) continue;
        float p = probabilities[j] * s->index->weights[b];
        s->bucket_keys[left++] = nlsh__probability_key(p > 0 ? p : 0, b);
    }
    qsort(s->bucket_keys, left, sizeof *s->bucket_keys, ascending);
    return left;
}

/* What the plan asks for. */
static void scan_plan(struct within *w, struct nlsh__plan *plan)
{
    struct nlsh__routed routed = nlsh__route_query(w->s, plan);
    size_t n = sort_buckets(w, routed.buckets, routed.probabilities, routed.n_buckets);
    for (size_t j = 0; j < n; j++) scan_bucket(w, (uint32_t)w->s->bucket_keys[j]);
}

/* Half as many rows again. */
static void scan_more(struct within *w)
{
    size_t rows = n_rows_in(w), m = w->s->index->meta.n_buckets;
    const float *probabilities = nlsh__ask_probabilities(&w->s->asker);
    size_t n = sort_buckets(w, NULL, probabilities, m);
    for (size_t j = 0; j < n && n_rows_in(w) < rows + rows / 2 + 1; j++)
        scan_bucket(w, (uint32_t)w->s->bucket_keys[j]);
}

/* Whether the later half of the rows brought more than half of what may be missing; one row may be chance. */
static int is_late(const struct within *w, double recall)
{
    size_t rows = n_rows_in(w), half = 0, early = 0;
    for (; half < w->n && w->s->scanned[half].rows <= rows / 2; half++)
        early = w->s->scanned[half].found;
    if (half == 0) early = w->s->scanned[0].found; /* the best bucket is never late */
    return (double)(w->found - early) > (1 - recall) / 2 * (double)w->found + 1;
}

/* Of the sample's rows of a segment that no bucket scanned, those within reach, into s->hits by bucket. */
static void sample_segment(const struct within *w, size_t number)
{
    const struct nlsh_index *index = w->s->index;
    const struct nlsh__segment *segment = &index->segments[number];
    const uint64_t *bits = nlsh__allowed_in(w->allowed, index, number);
    size_t b = 0;
    for (size_t place = w->stride / 2; place < segment->n_rows; place += w->stride) {
        uint64_t best = UINT64_MAX;
        const struct nlsh__ranking one = {index, segment, &w->s->query, bits, &best, 1};
        while (segment->bucket_offsets[b + 1] <= place) b++;
        if (w->s->is_scanned[b]) continue;
        nlsh__rank_range(&one, place, place + 1);
        w->s->hits[b] +=
            best != UINT64_MAX && nlsh__exact_score(index, &w->s->query, best) <= w->reach;
    }
}

static void take_sample(struct within *w)
{
    size_t n = (size_t)w->s->index->meta.n_rows, wanted = n_rows_in(w);
    if (wanted < SAMPLE) wanted = SAMPLE;
    w->stride = n > wanted ? n / wanted : 1;
    memset(w->s->hits, 0, w->s->index->meta.n_buckets * sizeof *w->s->hits);
    for (size_t i = 0; i < w->s->index->n_segments; i++) sample_segment(w, i);
}

/* How many rows there likely are, scanned or not. */
static double likely(const struct within *w)
{
    size_t hits = 0;
    for (size_t b = 0; b < w->s->index->meta.n_buckets; b++)
        if (!w->s->is_scanned[b]) hits += w->s->hits[b];
    return (double)w->found + (double)hits * (double)w->stride;
}

/* Into s->best, which has room for all. */
static enum nlsh_status find_within(struct within *w, const struct nlsh_search_options *options,
                                    struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    const struct nlsh_index *index = w->s->index;
    size_t n = (size_t)index->meta.n_rows, m = index->meta.n_buckets;
    struct nlsh_search_options now = *options;
    struct nlsh__plan plan;
    memset(w->s->is_scanned, 0, m);
    for (size_t k = SIZE_MAX; k != now.k;) {
        k = now.k;
        NLSH_TRY(nlsh__plan_from_options(index, &now, &plan, error));
        if (w->allowed != NULL) nlsh__plan_allowed(index, w->allowed, &plan);
        int whole = plan.exactly || options->probes != 0;
        scan_plan(w, &plan);
        if (whole) return NLSH_OK;
        if (w->stride == 0) take_sample(w);
        double wanted = fmax(likely(w), ceil((double)w->found / options->recall));
        if (wanted > (double)now.k) now.k = wanted < (double)n ? (size_t)wanted : n;
        while (now.k == k && w->n < m &&
               (is_late(w, options->recall) || (double)w->found < options->recall * likely(w)))
            scan_more(w);
    }
out:
    return status;
}

static enum nlsh_status check(const struct nlsh_index *index, const struct nlsh_matrix *query,
                              double radius, struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__queries_check(index, query, error);
    int within = index->metric == NLSH_IP ? !isnan(radius) : radius >= 0;
    if (status != NLSH_OK || (query->n_rows == 1 && within)) return status;
    return nlsh__fail(error, NLSH_E_ARG, "give one query and a radius >= 0",
                      "%zu queries with radius %g", query->n_rows, radius);
}

enum nlsh_status nlsh_search_range(struct nlsh_searcher *s, const struct nlsh_matrix *query,
                                   const struct nlsh_search_options *options, double radius,
                                   uint64_t *keys, float *distances, size_t capacity,
                                   size_t *n_found, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__wanted wanted;
    struct nlsh__plan plan;
    const struct nlsh_index *index = s->index;
    struct within w = {.s = s, .reach = reach_of(index->metric, radius)};
    nlsh__error_clear(error);
    *n_found = 0;
    NLSH_TRY(nlsh__take_search(options, NULL, &wanted, error));
    NLSH_TRY(check(index, query, radius, error));
    NLSH_TRY(nlsh__plan_from_options(index, &wanted.options, &plan, error));
    NLSH_TRY(nlsh__reserve_best(s, (size_t)index->meta.n_rows, error));
    NLSH_TRY(nlsh__plan_filter(index, &wanted.options, &s->allowed, &plan, error));
    NLSH_TRY(nlsh__query_set(&s->query, index, query, 0, error));
    w.allowed = plan.allowed;
    NLSH_TRY(find_within(&w, &wanted.options, error));
    qsort(s->best, w.found, sizeof *s->best, ascending);
    for (size_t i = 0; i < w.found && i < capacity; i++) {
        keys[i] = nlsh__key_of_row(index, (uint32_t)s->best[i]);
        if (distances != NULL) distances[i] = nlsh__exact_distance(index, &s->query, s->best[i]);
    }
    *n_found = w.found;
out:
    return status;
}
