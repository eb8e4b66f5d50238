/* search.c - the calls: a query is set (query.h), routed (route.h), and its buckets are scanned
 * (scan.h). */
#include "search/search.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/sized.h"
#include "kernels/topk.h"
#include "search/filtered.h"
#include "search/likeness.h"

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
    nlsh__error_clear(error);
    *out = NULL;
    if (index == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "no index");
    enum nlsh_status status = nlsh__whole_check(index, "a search", error);
    return status != NLSH_OK ? status : nlsh__searcher_create(index, out, error);
}

enum nlsh_status nlsh__searcher_create(const struct nlsh_index *index, struct nlsh_searcher **out,
                                       struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_searcher *s = NULL;
    *out = NULL;
    size_t dim = index->meta.dim, m = index->meta.n_buckets;
    NLSH_TRY(nlsh__calloc(&s, 1, sizeof *s, error));
    s->index = index;
    NLSH_TRY(nlsh__alloc(&s->query.floats, dim, sizeof(float), error));
    s->query.routed = s->query.floats;
    if (index->metric == NLSH_IP)
        NLSH_TRY(nlsh__alloc(&s->query.routed, dim, sizeof(float), error));
    NLSH_TRY(nlsh__calloc(&s->query.bytes, (dim + 3) / 4 * 4, 1, error)); /* padded: projection */
    NLSH_TRY(nlsh__asker_create(index->router, &s->asker, error));
    nlsh__asker_round(&s->asker, nlsh__index_query_mean(index));
    NLSH_TRY(nlsh__alloc(&s->buckets, m, sizeof *s->buckets, error));
    NLSH_TRY(nlsh__alloc(&s->probabilities, nlsh__router_output_size(index->router), sizeof(float),
                         error));
    NLSH_TRY(nlsh__alloc(&s->bucket_keys, m, sizeof *s->bucket_keys, error));
    NLSH_TRY(nlsh__alloc(&s->scanned, m, sizeof *s->scanned, error));
    NLSH_TRY(nlsh__alloc(&s->is_scanned, m, 1, error));
    NLSH_TRY(nlsh__alloc(&s->hits, m, sizeof *s->hits, error));
    NLSH_TRY(nlsh__scan_create(index, &s->scan, error));
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
    nlsh__asker_free(&s->asker);
    nlsh__free(s->buckets);
    nlsh__free(s->probabilities);
    nlsh__free(s->bucket_keys);
    nlsh__free(s->scanned);
    nlsh__free(s->is_scanned);
    nlsh__free(s->hits);
    nlsh__free(s->best);
    nlsh__allowed_free(&s->allowed);
    nlsh__scan_free(&s->scan);
    nlsh__free(s);
}

/* Scratch depends on the file: states of one file's log have its buckets, router and codes, but leaves of their own. */
enum nlsh_status nlsh_searcher_use(struct nlsh_searcher *s, const struct nlsh_index *index,
                                   struct nlsh_error *error)
{
    nlsh__error_clear(error);
    if (s == NULL || index == NULL)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "no %s", s == NULL ? "searcher" : "index");
    enum nlsh_status status;
    if (s->index->router == index->router) {
        status = nlsh__leaf_scan_fit(&s->scan.leaves, index, error);
        if (status == NLSH_OK) s->index = index;
        return status;
    }
    struct nlsh_searcher *other = NULL;
    status = nlsh_searcher_create(index, &other, error);
    if (status != NLSH_OK) return status;
    const struct nlsh_searcher old = *s;
    *s = *other;
    *other = old;
    nlsh_searcher_free(other);
    return NLSH_OK;
}

/* ---- one query ------------------------------------------------------------------------------- */

static const uint8_t *bytes_of(const struct nlsh__query *query)
{
    return query->as_bytes ? query->bytes : NULL;
}

struct nlsh__routed nlsh__route_query(struct nlsh_searcher *s, struct nlsh__plan *plan)
{
    struct nlsh__answer answer;
    if (plan->exactly && plan->allowed != NULL)
        return (struct nlsh__routed){
            NULL, s->buckets, s->probabilities,
            nlsh__list_allowed(s->index, plan->allowed, s->buckets, s->probabilities), NAN};
    const float *inputs = nlsh__ask_inputs(&s->asker, s->query.routed, bytes_of(&s->query));
    if (!nlsh__asks_router(s->index, plan))
        return (struct nlsh__routed){inputs, s->buckets, s->probabilities,
                                     nlsh__choose_unasked(s->index, plan, inputs, s->buckets,
                                                          s->probabilities, s->bucket_keys),
                                     NAN};
    nlsh__ask_router(s->index->router, inputs, s->asker.scratch, &answer);
    float outside = NAN;
    size_t n = plan->allowed != NULL
                   ? nlsh__choose_allowed(s->index, &answer, plan, s->buckets, s->probabilities,
                                          s->bucket_keys)
                   : nlsh__choose_by_plan(&answer, plan, s->buckets, s->probabilities,
                                          s->bucket_keys, &outside);
    return (struct nlsh__routed){inputs, s->buckets, s->probabilities, n, outside};
}

void nlsh__give_answer(const struct nlsh_searcher *s, size_t k, size_t i,
                       const struct nlsh__routed *routed, const struct nlsh__cost *cost,
                       const struct nlsh__answers *out)
{
    uint64_t *keys = out->keys + i * k;
    float *distances = out->distances != NULL ? out->distances + i * k : NULL;
    for (size_t j = 0; j < k; j++) {
        int missing = s->best[j] == UINT64_MAX;
        keys[j] = missing ? NLSH_NO_KEY : nlsh__key_of_row(s->index, (uint32_t)s->best[j]);
        if (distances != NULL)
            distances[j] =
                missing ? INFINITY : nlsh__exact_distance(s->index, &s->query, s->best[j]);
    }
    if (out->stats.probes != NULL) out->stats.probes[i] = (uint32_t)routed->n_buckets;
    if (out->stats.candidates != NULL) out->stats.candidates[i] = (uint32_t)cost->candidates;
    if (out->stats.ranked != NULL) out->stats.ranked[i] = (uint32_t)cost->ranked;
    if (out->stats.outside != NULL) out->stats.outside[i] = routed->outside;
}

/* ---- many ------------------------------------------------------------------------------------ */

enum nlsh_status nlsh__reserve_best(struct nlsh_searcher *s, size_t k, struct nlsh_error *error)
{
    if (k <= s->n_best) return NLSH_OK;
    nlsh__free(s->best);
    s->best = NULL;
    s->n_best = 0;
    enum nlsh_status status = nlsh__alloc(&s->best, k, sizeof *s->best, error);
    if (status == NLSH_OK) s->n_best = k;
    return status;
}

enum nlsh_status nlsh__search_prepare(struct nlsh_searcher *s, const struct nlsh_matrix *queries,
                                      const struct nlsh_search_options *options,
                                      struct nlsh__plan *plan, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint64_t n = s->index->meta.n_rows;
    NLSH_TRY(nlsh__queries_check(s->index, queries, error));
    if (options->k < 1 || options->k > n)
        return nlsh__fail(error, NLSH_E_ARG, "ask for at least 1 and at most all vectors",
                          "k is %zu for an index of %llu vectors", options->k,
                          (unsigned long long)n);
    NLSH_TRY(nlsh__plan_from_options(s->index, options, plan, error));
    NLSH_TRY(nlsh__reserve_best(s, options->k, error));
    NLSH_TRY(nlsh__chooser_reserve(&s->scan.chooser, plan->rerank, error));
out:
    return status;
}

enum nlsh_status
nlsh__plan_filter(const struct nlsh_index *index, const struct nlsh_search_options *options,
                  struct nlsh__allowed *allowed, struct nlsh__plan *plan, struct nlsh_error *error)
{
    if (options->filter == NULL && options->counted == NULL) return NLSH_OK;
    if (options->filter != NULL) {
        enum nlsh_status status = nlsh__allowed_count(index, options->filter, allowed, error);
        if (status != NLSH_OK) return status;
    }
    nlsh__plan_allowed(index, options->filter != NULL ? allowed : &options->counted->allowed, plan);
    return NLSH_OK;
}

void nlsh__plan_allowed(const struct nlsh_index *index, const struct nlsh__allowed *allowed,
                        struct nlsh__plan *plan)
{
    plan->allowed = allowed;
    if (!plan->exactly && plan->recall > 0 && allowed->by_content && allowed->n > plan->k) {
        nlsh__plan_by_content(index, plan);
        return;
    }
    if (!plan->exactly && !nlsh__rather_exactly(index, allowed, plan->k)) {
        if (plan->recall > 0) nlsh__plan_by_chance(index, plan);
        return;
    }
    plan->exactly = 1;
    plan->rule = (struct nlsh__rule){.top = index->meta.n_buckets};
}

void nlsh__search_by_plan(struct nlsh_searcher *s, const struct nlsh__plan *plan,
                          struct nlsh__routed *routed, struct nlsh__cost *cost)
{
    struct nlsh__plan own = *plan;
    *routed = nlsh__route_query(s, &own);
    *cost = nlsh__scan_query(&s->scan, s->index, &s->query, &own, routed, s->best);
}

enum nlsh_status nlsh__search_rows(struct nlsh_searcher *s, const struct nlsh_matrix *queries,
                                   size_t first, size_t end, const struct nlsh__plan *plan,
                                   const struct nlsh__answers *out, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    for (size_t i = first; i < end; i++) {
        struct nlsh__cost cost;
        struct nlsh__routed routed;
        NLSH_TRY(nlsh__query_set(&s->query, s->index, queries, i, error));
        nlsh__search_by_plan(s, plan, &routed, &cost);
        nlsh__give_answer(s, plan->k, i, &routed, &cost, out);
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
    struct nlsh__plan plan;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__take_search(options, stats, &wanted, error));
    const struct nlsh__answers out = {keys, distances, wanted.stats};
    NLSH_TRY(nlsh__search_prepare(s, queries, &wanted.options, &plan, error));
    NLSH_TRY(nlsh__plan_filter(s->index, &wanted.options, &s->allowed, &plan, error));
    NLSH_TRY(nlsh__search_rows(s, queries, 0, queries->n_rows, &plan, &out, error));
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
        nlsh__ask_inputs(&s->asker, s->query.routed, bytes_of(&s->query));
        memcpy(probabilities + i * m, nlsh__ask_probabilities(&s->asker),
               m * sizeof *probabilities);
    }
out:
    return status;
}
