/* search.c - the calls: a query is set (query.h), routed (route.h), and its buckets are scanned
 * (scan.h). */
#include "search/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/topk.h"
#include "router/router.h"
#include "search/leaves.h"
#include "search/scan.h"

void nlsh_search_options_init(struct nlsh_search_options *options)
{
    *options = (struct nlsh_search_options){.k = 10, .probes = 0, .recall = 0.95, .n_threads = 1};
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
    if (s->query.routed != s->query.floats) free(s->query.routed);
    free(s->query.floats);
    free(s->query.bytes);
    free(s->router_scratch);
    free(s->inputs);
    free(s->probabilities);
    free(s->buckets);
    free(s->bucket_keys);
    free(s->keys);
    nlsh__scan_free(&s->scan);
    nlsh__leaves_free(&s->leaves);
    free(s);
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

/* As enum nlsh_metric has it, before bytes' are rounded to a float. */
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

static float score_of(const struct nlsh_searcher *s, uint64_t key)
{
    return (float)exact_score_of(s, key);
}

/* The largest score within a radius. */
static double reach_of(enum nlsh_metric metric, double radius)
{
    return metric == NLSH_IP ? -radius : metric == NLSH_COSINE ? radius : radius * radius;
}

void nlsh__answer_query(const struct nlsh_searcher *s, size_t k, uint32_t *ids, float *l2sq)
{
    for (size_t i = 0; i < k; i++) {
        int missing = s->keys[i] == UINT64_MAX;
        ids[i] = missing ? NLSH_NO_ID : (uint32_t)s->keys[i];
        if (l2sq != NULL) l2sq[i] = missing ? INFINITY : score_of(s, s->keys[i]);
    }
}

static void search_one(struct nlsh_searcher *s, const struct nlsh__plan *plan, uint32_t *ids,
                       float *l2sq, struct nlsh_search_stats *stats)
{
    size_t reranked, n_buckets = nlsh__route_query(s, &plan->rule);
    size_t candidates = nlsh__scan_buckets(s, plan, n_buckets, &reranked);
    nlsh__answer_query(s, plan->k, ids, l2sq);
    if (stats != NULL)
        *stats = (struct nlsh_search_stats){
            .n_probes = (uint32_t)n_buckets,
            .candidates = (uint32_t)candidates,
            .reranked = (uint32_t)reranked,
        };
}

/* ---- many ------------------------------------------------------------------------------------ */

static enum nlsh_status reserve_keys(struct nlsh_searcher *s, size_t k, struct nlsh_error *error)
{
    if (k <= s->n_keys) return NLSH_OK;
    free(s->keys);
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

enum nlsh_status
nlsh__search_rows(struct nlsh_searcher *s, const struct nlsh_matrix *queries, size_t first,
                  size_t end, const struct nlsh_search_options *options, uint32_t *ids, float *l2sq,
                  struct nlsh_search_stats *stats, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__plan plan;
    size_t k = options->k;
    NLSH_TRY(nlsh__search_prepare(s, queries, options, &plan, error));
    for (size_t i = first; i < end; i++) {
        NLSH_TRY(nlsh__query_set(&s->query, s->index, queries, i, error));
        search_one(s, &plan, ids + i * k, l2sq != NULL ? l2sq + i * k : NULL,
                   stats != NULL ? stats + i : NULL);
    }
out:
    return status;
}

enum nlsh_status nlsh_search(struct nlsh_searcher *s, const struct nlsh_matrix *queries,
                             const struct nlsh_search_options *options, uint32_t *ids, float *l2sq,
                             struct nlsh_search_stats *stats, struct nlsh_error *error)
{
    nlsh__error_clear(error);
    return nlsh__search_rows(s, queries, 0, queries != NULL ? queries->n_rows : 0, options, ids,
                             l2sq, stats, error);
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
                                   uint32_t *ids, float *l2sq, size_t capacity, size_t *n_found,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__rule rule;
    const struct nlsh_index *index = s->index;
    size_t found = 0;
    nlsh__error_clear(error);
    *n_found = 0;
    NLSH_TRY(nlsh__queries_check(index, query, error));
    int within = index->metric == NLSH_IP ? !isnan(radius) : radius >= 0;
    if (query->n_rows != 1 || !within) {
        status = nlsh__fail(error, NLSH_E_ARG, "give one query and a radius >= 0",
                            "%zu queries with radius %g", query->n_rows, radius);
        goto out;
    }
    const double reach = reach_of(index->metric, radius);
    NLSH_TRY(nlsh__rule_from_options(index, options, &rule, error));
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
        ids[i] = (uint32_t)s->keys[i];
        if (l2sq != NULL) l2sq[i] = score_of(s, s->keys[i]);
    }
    *n_found = found;
out:
    return status;
}
