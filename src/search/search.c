/* search.c - the calls: a query is set (query.h), routed (route.h), and its buckets are scanned
 * (scan.h). */
#include "search/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/sized.h"
#include "kernels/topk.h"
#include "router/router.h"
#include "search/leaves.h"
#include "search/scan.h"

void nlsh_search_options_init(struct nlsh_search_options *options, size_t size)
{
    static const struct nlsh_search_options defaults = {.k = 10, .recall = 0.95, .n_threads = 1};
    nlsh__options_init(options, size, &defaults, sizeof defaults);
}

enum nlsh_status nlsh__take_search(const struct nlsh_search_options *options,
                                   const struct nlsh_search_stats *stats, struct nlsh__wanted *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    nlsh_search_options_init(&out->options, sizeof out->options);
    out->stats = (struct nlsh_search_stats){0};
    NLSH_TRY(nlsh__options_take(&out->options, sizeof out->options, options, "nlsh_search_options",
                                error));
    NLSH_TRY(nlsh__options_take(&out->stats, sizeof out->stats, stats, "nlsh_search_stats", error));
out:
    return status;
}

enum nlsh_status nlsh_searcher_create(const struct nlsh_index *index, struct nlsh_searcher **out,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_searcher *s = NULL;
    nlsh__error_clear(error);
    *out = NULL;
    if (index == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "no index");
    size_t dim = index->meta.dim, m = index->meta.n_buckets;
    NLSH_TRY(nlsh__calloc(&s, 1, sizeof *s, error));
    s->index = index;
    NLSH_TRY(nlsh__alloc(&s->query.floats, dim, sizeof(float), error));
    s->query.routed = s->query.floats;
    if (index->metric == NLSH_IP)
        NLSH_TRY(nlsh__alloc(&s->query.routed, dim, sizeof(float), error));
    NLSH_TRY(nlsh__calloc(&s->query.bytes, (dim + 3) / 4 * 4, 1, error)); /* padded: projection */
    NLSH_TRY(nlsh__alloc(&s->router_scratch, nlsh__router_scratch_size(index->router_view),
                         sizeof(float), error));
    NLSH_TRY(nlsh__calloc(&s->inputs, nlsh__router_input_size(index->router_view), sizeof(float),
                          error));
    NLSH_TRY(nlsh__alloc(&s->probabilities, nlsh__router_output_size(index->router_view),
                         sizeof(float), error));
    NLSH_TRY(nlsh__scan_create(index, &s->scan, error));
    NLSH_TRY(nlsh__leaves_create(index, &s->leaves, error));
    NLSH_TRY(nlsh__alloc(&s->buckets, m, sizeof *s->buckets, error));
    NLSH_TRY(nlsh__alloc(&s->bucket_keys, m, sizeof *s->bucket_keys, error));
    *out = s;
    return NLSH_OK;
out:
    nlsh_searcher_free(s);
    return status;
}

void nlsh_searcher_free(struct nlsh_searcher *s)
{
    if (s == NULL) return;
    if (s->query.routed != s->query.floats) nlsh__free(s->query.routed);
    nlsh__free(s->query.floats);
    nlsh__free(s->query.bytes);
    nlsh__free(s->router_scratch);
    nlsh__free(s->inputs);
    nlsh__free(s->probabilities);
    nlsh__free(s->buckets);
    nlsh__free(s->bucket_keys);
    nlsh__free(s->keys);
    nlsh__scan_free(&s->scan);
    nlsh__leaves_free(&s->leaves);
    nlsh__free(s);
}

/* ---- one query ------------------------------------------------------------------------------- */

static void project(struct nlsh_searcher *s)
{
    nlsh__router_project(s->index->router_view, s->query.routed,
                         s->query.as_bytes ? s->query.bytes : NULL, s->inputs);
}

size_t nlsh__route_query(struct nlsh_searcher *s, const struct nlsh__rule *rule)
{
    struct nlsh__answer answer;
    project(s);
    nlsh__ask_router(s->index->router_view, s->inputs, s->router_scratch, &answer);
    return nlsh__choose_buckets(&answer, rule, s->buckets, s->probabilities, s->bucket_keys);
}

/* Squared for L2, else as enum nlsh_metric has it; before bytes' are rounded to a float. */
static double exact_score_of(const struct nlsh_searcher *s, uint64_t key)
{
    uint32_t bits = (uint32_t)(key >> 32);
    switch (s->index->metric) {
    case NLSH_IP: return (double)nlsh__from_ordered_f32(bits);
    case NLSH_COSINE: return 0.5 * (double)nlsh__key_score_f32(key);
    case NLSH_L2: break;
    }
    return s->query.as_bytes ? (double)bits : (double)nlsh__key_score_f32(key);
}

/* The square root is of the rounded score, as ground truth has it: equal scores are equal distances. */
static float distance_of(const struct nlsh_searcher *s, uint64_t key)
{
    float score = (float)exact_score_of(s, key);
    return s->index->metric == NLSH_L2 ? sqrtf(score) : score;
}

/* The largest score within a radius. */
static double reach_of(enum nlsh_metric metric, double radius)
{
    return metric == NLSH_L2 ? radius * radius : radius;
}

void nlsh__answer_query(const struct nlsh_searcher *s, size_t k, uint64_t *keys, float *distances)
{
    for (size_t i = 0; i < k; i++) {
        int missing = s->keys[i] == UINT64_MAX;
        keys[i] = missing ? NLSH_NO_KEY : (uint32_t)s->keys[i];
        if (distances != NULL) distances[i] = missing ? INFINITY : distance_of(s, s->keys[i]);
    }
}

void nlsh__count_query(const struct nlsh_search_stats *stats, size_t i, size_t n_buckets,
                       size_t candidates, size_t ranked)
{
    if (stats->probes != NULL) stats->probes[i] = (uint32_t)n_buckets;
    if (stats->candidates != NULL) stats->candidates[i] = (uint32_t)candidates;
    if (stats->ranked != NULL) stats->ranked[i] = (uint32_t)ranked;
}

static void search_one(struct nlsh_searcher *s, const struct nlsh__plan *plan, uint64_t *keys,
                       float *distances, const struct nlsh_search_stats *stats, size_t i)
{
    size_t ranked, n_buckets = nlsh__route_query(s, &plan->rule);
    size_t candidates = nlsh__scan_buckets(s, plan, n_buckets, &ranked);
    nlsh__answer_query(s, plan->k, keys, distances);
    nlsh__count_query(stats, i, n_buckets, candidates, ranked);
}

/* ---- many ------------------------------------------------------------------------------------ */

static enum nlsh_status reserve_keys(struct nlsh_searcher *s, size_t k, struct nlsh_error *error)
{
    if (k <= s->n_keys) return NLSH_OK;
    nlsh__free(s->keys);
    s->keys = NULL;
    s->n_keys = 0;
    enum nlsh_status status = nlsh__alloc(&s->keys, k, sizeof *s->keys, error);
    if (status == NLSH_OK) s->n_keys = k;
    return status;
}

static enum nlsh_status check_options(const struct nlsh_index *index,
                                      const struct nlsh_search_options *options,
                                      struct nlsh__plan *plan, struct nlsh_error *error)
{
    if (options->k < 1 || options->k > index->meta.n_rows)
        return nlsh__fail(error, NLSH_E_ARG, "ask for at least 1 and at most all vectors",
                          "k is %zu for an index of %llu vectors", options->k,
                          (unsigned long long)index->meta.n_rows);
    return nlsh__plan_from_options(index, options, plan, error);
}

enum nlsh_status nlsh__search_prepare(struct nlsh_searcher *s, const struct nlsh_matrix *queries,
                                      const struct nlsh_search_options *options,
                                      struct nlsh__plan *plan, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__queries_check(s->index, queries, error));
    NLSH_TRY(check_options(s->index, options, plan, error));
    NLSH_TRY(reserve_keys(s, options->k, error));
    NLSH_TRY(nlsh__scan_reserve(&s->scan, plan->rerank, error));
out:
    return status;
}

enum nlsh_status nlsh__search_rows(struct nlsh_searcher *s, const struct nlsh_matrix *queries,
                                   size_t first, size_t end, const struct nlsh__wanted *wanted,
                                   uint64_t *keys, float *distances, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__plan plan;
    size_t k = wanted->options.k;
    NLSH_TRY(nlsh__search_prepare(s, queries, &wanted->options, &plan, error));
    for (size_t i = first; i < end; i++) {
        NLSH_TRY(nlsh__query_set(&s->query, s->index, queries, i, error));
        search_one(s, &plan, keys + i * k, distances != NULL ? distances + i * k : NULL,
                   &wanted->stats, i);
    }
out:
    return status;
}

enum nlsh_status nlsh_search(struct nlsh_searcher *s, const struct nlsh_matrix *queries,
                             const struct nlsh_search_options *options, uint64_t *keys,
                             float *distances, struct nlsh_search_stats *stats,
                             struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__wanted wanted;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__take_search(options, stats, &wanted, error));
    NLSH_TRY(nlsh__search_rows(s, queries, 0, queries != NULL ? queries->n_rows : 0, &wanted, keys,
                               distances, error));
out:
    return status;
}

enum nlsh_status nlsh_route(struct nlsh_searcher *s, const struct nlsh_matrix *queries,
                            float *probabilities, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = s->index->meta.n_buckets;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__queries_check(s->index, queries, error));
    for (size_t i = 0; i < queries->n_rows; i++) {
        NLSH_TRY(nlsh__query_set(&s->query, s->index, queries, i, error));
        project(s);
        nlsh__router_forward(s->index->router_view, s->inputs, s->router_scratch, s->probabilities);
        memcpy(probabilities + i * m, s->probabilities, m * sizeof *probabilities);
    }
out:
    return status;
}

/* ---- a radius -------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

enum nlsh_status nlsh_search_range(struct nlsh_searcher *s, const struct nlsh_matrix *query,
                                   const struct nlsh_search_options *options, double radius,
                                   uint64_t *keys, float *distances, size_t capacity,
                                   size_t *n_found, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__wanted wanted;
    struct nlsh__rule rule;
    const struct nlsh_index *index = s->index;
    size_t found = 0;
    nlsh__error_clear(error);
    *n_found = 0;
    NLSH_TRY(nlsh__take_search(options, NULL, &wanted, error));
    NLSH_TRY(nlsh__queries_check(index, query, error));
    int within = index->metric == NLSH_IP ? !isnan(radius) : radius >= 0;
    if (query->n_rows != 1 || !within) {
        status = nlsh__fail(error, NLSH_E_ARG, "give one query and a radius >= 0",
                            "%zu queries with radius %g", query->n_rows, radius);
        goto out;
    }
    const double reach = reach_of(index->metric, radius);
    NLSH_TRY(nlsh__rule_from_options(index, &wanted.options, &rule, error));
    NLSH_TRY(reserve_keys(s, index->meta.n_rows, error));
    NLSH_TRY(nlsh__query_set(&s->query, index, query, 0, error));
    size_t n_buckets = nlsh__route_query(s, &rule);
    for (size_t i = 0; i < n_buckets; i++) {
        uint32_t b = s->buckets[i];
        for (size_t r = index->bucket_offsets[b]; r < index->bucket_offsets[b + 1]; r++) {
            s->keys[found] = UINT64_MAX;
            nlsh__scan_rows(s, r, r + 1, s->keys + found, 1);
            found += exact_score_of(s, s->keys[found]) <= reach;
        }
    }
    qsort(s->keys, found, sizeof *s->keys, by_key);
    for (size_t i = 0; i < found && i < capacity; i++) {
        keys[i] = (uint32_t)s->keys[i];
        if (distances != NULL) distances[i] = distance_of(s, s->keys[i]);
    }
    *n_found = found;
out:
    return status;
}
