/*
 * search.c - route, scan, answer.
 *
 * The buckets that the router names are scanned by their codes (index/codes.h); rows whose code
 * comes near, a few times k, are then ranked by their exact distance. Where there are no codes, or
 * all buckets are asked for, every distance is exact.
 */
#include "search/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "index/codes.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/prefetch.h"
#include "kernels/select.h"
#include "kernels/topk.h"
#include "router/router.h"

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
    NLSH_TRY(
        nlsh__alloc(&s->inputs, nlsh__router_input_size(index->router_view), sizeof(float), error));
    NLSH_TRY(nlsh__alloc(&s->probabilities, nlsh__router_output_size(index->router_view),
                         sizeof(float), error));
    if (index->codes_view != NULL)
        NLSH_TRY(nlsh__alloc(&s->code, index->codes_view->header.n_bytes, 1, error));
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
    free(s->code);
    free(s->scanned);
    free(s);
}

/* ---- one query ------------------------------------------------------------------------------- */

/* Exact distances of rows first .. end - 1 as keys of (score, id): score_of() reads them. */
static void scan_rows(const struct nlsh_searcher *s, size_t first, size_t end, uint64_t *keys,
                      size_t k)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    const struct nlsh_index *index = s->index;
    const uint32_t *ids = index->ids;
    size_t dim = index->meta.dim;
    if (index->meta.storage_type == NLSH_F32) {
        const float *rows = index->vectors;
        for (size_t r = first; r < end && index->metric == NLSH_IP; r++) {
            float dot = kernels->dot_f32(s->query.floats, rows + r * dim, dim);
            nlsh__topk_insert(keys, k, nlsh__key_u32(nlsh__ordered_f32(-dot), ids[r]));
        }
        for (size_t r = first; r < end && index->metric != NLSH_IP; r++)
            nlsh__topk_insert(
                keys, k,
                nlsh__key_f32(kernels->l2sq_f32(s->query.floats, rows + r * dim, dim), ids[r]));
        return;
    }
    const uint8_t *rows = index->vectors;
    if (s->query.as_bytes)
        for (size_t r = first; r < end; r++)
            nlsh__topk_insert(
                keys, k,
                nlsh__key_u32(kernels->l2sq_u8(s->query.bytes, rows + r * dim, dim), ids[r]));
    else
        for (size_t r = first; r < end; r++)
            nlsh__topk_insert(
                keys, k,
                nlsh__key_f32(kernels->l2sq_f32_u8(s->query.floats, rows + r * dim, dim), ids[r]));
}

static void project(struct nlsh_searcher *s)
{
    nlsh__router_project(s->index->router_view, s->query.routed,
                         s->query.as_bytes ? s->query.bytes : NULL, s->inputs);
}

static size_t route(struct nlsh_searcher *s, const struct nlsh__rule *rule)
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

static void answer(const struct nlsh_searcher *s, size_t k, uint32_t *ids, float *l2sq)
{
    for (size_t i = 0; i < k; i++) {
        int missing = s->keys[i] == UINT64_MAX;
        ids[i] = missing ? NLSH_NO_ID : (uint32_t)s->keys[i];
        if (l2sq != NULL) l2sq[i] = missing ? INFINITY : score_of(s, s->keys[i]);
    }
}

static size_t scan_exactly(struct nlsh_searcher *s, size_t n_buckets, size_t k)
{
    const uint32_t *offsets = s->index->bucket_offsets;
    size_t candidates = 0;
    for (size_t i = 0; i < n_buckets; i++) {
        uint32_t b = s->buckets[i];
        scan_rows(s, offsets[b], offsets[b + 1], s->keys, k);
        candidates += offsets[b + 1] - offsets[b];
    }
    return candidates;
}

/* Rows are collected until this many times rerank, and never fewer than MIN_COLLECT, are there;
 * then only the rerank best stay and the worst of them is the threshold for what follows. */
enum { COLLECT = 8, MIN_COLLECT = 1024 };

static size_t collect_limit(size_t rerank)
{
    return COLLECT * rerank > MIN_COLLECT ? COLLECT * rerank : MIN_COLLECT;
}

/* Rows that are on their way while one is ranked; 4 and 16 measured the same. */
enum { AHEAD = 8 };

static void prefetch_row(const struct nlsh_searcher *s, size_t row)
{
    const struct nlsh_index *index = s->index;
    size_t row_bytes = index->meta.dim * (index->meta.storage_type == NLSH_U8 ? 1 : sizeof(float));
    if (row >= index->meta.n_rows) return;
    nlsh__prefetch_bytes((const char *)index->vectors + row * row_bytes, row_bytes);
    nlsh__prefetch(index->ids + row);
}

/* Exact distances of the rows in s->scanned. */
static void rank_rows(struct nlsh_searcher *s, size_t n, size_t k)
{
    for (size_t i = 0; i < n && i < AHEAD; i++) prefetch_row(s, (uint32_t)s->scanned[i]);
    for (size_t i = 0; i < n; i++) {
        size_t row = (uint32_t)s->scanned[i];
        if (i + AHEAD < n) prefetch_row(s, (uint32_t)s->scanned[i + AHEAD]);
        if (row < s->index->meta.n_rows) scan_rows(s, row, row + 1, s->keys, k);
    }
}

/* The rows nearest by their codes into s->scanned; returns how many, rerank at most. */
static size_t scan_codes(struct nlsh_searcher *s, size_t n_buckets, size_t rerank,
                         size_t *candidates)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    const struct nlsh__codes *codes = s->index->codes_view;
    const uint32_t *offsets = s->index->bucket_offsets;
    size_t n_chunks = codes->header.n_bytes / 4, limit = collect_limit(rerank), n = 0;
    const size_t most_groups = MIN_COLLECT / NLSH__GROUP; /* a call's, so that the room is known */
    int32_t threshold = INT32_MAX;
    nlsh__codes_query(codes, s->inputs, nlsh__router_n_inputs(s->index->router_view), s->code);
    for (size_t i = 0; i < n_buckets; i++) {
        uint32_t b = s->buckets[i];
        *candidates += offsets[b + 1] - offsets[b];
        size_t first = codes->group_offsets[b], end = codes->group_offsets[b + 1];
        for (size_t g = first; g < end; g += most_groups) {
            size_t n_groups = end - g < most_groups ? end - g : most_groups;
            n += kernels->scan_u8(codes->values + g * n_chunks * 64, codes->bias + g * NLSH__GROUP,
                                  n_groups, n_chunks, s->code, threshold,
                                  offsets[b] + (uint32_t)((g - first) * NLSH__GROUP),
                                  s->scanned + n);
            if (n < limit) continue;
            nlsh__select_smallest(s->scanned, n, rerank);
            n = rerank;
            uint64_t worst = 0;
            for (size_t j = 0; j < n; j++) worst = s->scanned[j] > worst ? s->scanned[j] : worst;
            threshold = (int32_t)((uint32_t)(worst >> 32) ^ 0x80000000u);
        }
    }
    if (n <= rerank) return n;
    nlsh__select_smallest(s->scanned, n, rerank);
    return rerank;
}

static size_t scan_by_codes(struct nlsh_searcher *s, size_t n_buckets, size_t rerank, size_t k,
                            size_t *reranked)
{
    size_t candidates = 0, n = scan_codes(s, n_buckets, rerank, &candidates);
    rank_rows(s, n, k);
    *reranked = n;
    return candidates;
}

/* rerank 0: exact distances throughout. */
static void search_one(struct nlsh_searcher *s, const struct nlsh__rule *rule, size_t rerank,
                       size_t k, uint32_t *ids, float *l2sq, struct nlsh_search_stats *stats)
{
    size_t n_buckets = route(s, rule), candidates, reranked;
    nlsh__topk_clear(s->keys, k);
    if (rerank > 0)
        candidates = scan_by_codes(s, n_buckets, rerank, k, &reranked);
    else
        candidates = reranked = scan_exactly(s, n_buckets, k);
    answer(s, k, ids, l2sq);
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

/* How many rows to rank exactly, and room for them; 0 where every distance is to be exact. */
static enum nlsh_status
reserve_scanned(struct nlsh_searcher *s, const struct nlsh_search_options *options,
                const struct nlsh__rule *rule, size_t *rerank, struct nlsh_error *error)
{
    const struct nlsh_index *index = s->index;
    *rerank = 0;
    if (index->codes_view == NULL || rule->top >= index->meta.n_buckets) return NLSH_OK;
    *rerank =
        options->rerank > 0 ? options->rerank : nlsh__codes_rerank(index->codes_view, options->k);
    if (*rerank < options->k) *rerank = options->k;
    if (*rerank > index->meta.n_rows) *rerank = index->meta.n_rows;
    size_t need = collect_limit(*rerank) + MIN_COLLECT + NLSH__GROUP;
    if (need <= s->n_scanned) return NLSH_OK;
    free(s->scanned);
    s->scanned = NULL;
    s->n_scanned = 0;
    enum nlsh_status status = nlsh__alloc(&s->scanned, need, sizeof *s->scanned, error);
    if (status == NLSH_OK) s->n_scanned = need;
    return status;
}

static enum nlsh_status check_options(const struct nlsh_index *index,
                                      const struct nlsh_search_options *options,
                                      struct nlsh__rule *rule, struct nlsh_error *error)
{
    if (options->k < 1 || options->k > index->meta.n_rows)
        return nlsh__fail(error, NLSH_E_ARG, "ask for at least 1 and at most all vectors",
                          "k is %zu for an index of %llu vectors", options->k,
                          (unsigned long long)index->meta.n_rows);
    return nlsh__rule_from_options(index, options, rule, error);
}

enum nlsh_status
nlsh__search_rows(struct nlsh_searcher *s, const struct nlsh_matrix *queries, size_t first,
                  size_t end, const struct nlsh_search_options *options, uint32_t *ids, float *l2sq,
                  struct nlsh_search_stats *stats, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__rule rule;
    size_t k = options->k, rerank;
    NLSH_TRY(nlsh__queries_check(s->index, queries, error));
    NLSH_TRY(check_options(s->index, options, &rule, error));
    NLSH_TRY(reserve_keys(s, k, error));
    NLSH_TRY(reserve_scanned(s, options, &rule, &rerank, error));
    for (size_t i = first; i < end; i++) {
        NLSH_TRY(nlsh__query_set(&s->query, s->index, queries, i, error));
        search_one(s, &rule, rerank, k, ids + i * k, l2sq != NULL ? l2sq + i * k : NULL,
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
    size_t n_buckets = route(s, &rule);
    for (size_t i = 0; i < n_buckets; i++) {
        uint32_t b = s->buckets[i];
        for (size_t r = index->bucket_offsets[b]; r < index->bucket_offsets[b + 1]; r++) {
            s->keys[found] = UINT64_MAX;
            scan_rows(s, r, r + 1, s->keys + found, 1);
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
