/*
 * batch.c - many queries over threads, which share what they read.
 *
 * A part of the batch at a time is routed; then its queries are ordered by the bucket that comes
 * first for each, so that neighbours in that order want the same codes and rows, and are scanned in
 * blocks (block.h). A task's answers depend on its queries alone, and are those of one query after
 * another. Where every distance is exact, queries are simply shared out.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "router/router.h"
#include "search/block.h"
#include "search/search.h"

enum {
    TASK = (int)NLSH__BLOCK, /* queries that are routed, or ranked exactly, in one task */
    MOST_PART = 16384,       /* queries routed before any is scanned */
    MOST_INPUTS = 16 << 20   /* floats of their inputs */
};

/* The buckets of a task's queries and their probabilities, one list behind the other. */
struct lists {
    uint32_t *buckets;
    float *probabilities;
    size_t n, room;
};

struct batch {
    const struct nlsh_index *index;
    struct nlsh_searcher **searchers; /* [n_threads] */
    struct nlsh__block **blocks;      /* [n_threads] */
    struct nlsh_error *errors;        /* [tasks of the whole batch] */
    const struct nlsh_matrix *queries;
    const struct nlsh_search_options *options;
    struct nlsh__plan plan;
    uint32_t *ids;
    float *l2sq;
    struct nlsh_search_stats *stats;
    /* a part: queries first .. first + n - 1 */
    size_t first, n, stride, byte_stride;
    struct routing *routing;     /* [n_threads] */
    float *inputs;               /* [part x stride] */
    struct nlsh__routed *routed; /* [part] */
    size_t *list_at;             /* [part] where in its task's list a query's buckets begin */
    struct lists *lists;         /* [tasks of a part] */
    uint32_t *order;             /* [part] */
    size_t *cuts;                /* [part + 1] where in order each block begins */
};

/* ---- exactly --------------------------------------------------------------------------------- */

static void exact_task(void *ctx, size_t number, size_t worker)
{
    const struct batch *b = ctx;
    size_t first = number * TASK, left = b->queries->n_rows - first;
    struct nlsh_error *error = &b->errors[number];
    error->status = nlsh__search_rows(b->searchers[worker], b->queries, first,
                                      first + (left < TASK ? left : TASK), b->options, b->ids,
                                      b->l2sq, b->stats, error);
}

/* ---- routing --------------------------------------------------------------------------------- */

static void lists_free(struct lists *list)
{
    free(list->buckets);
    free(list->probabilities);
}

static enum nlsh_status append(struct lists *list, const uint32_t *buckets,
                               const float *probabilities, size_t n, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct lists more = {.n = list->n, .room = 2 * (list->n + n)};
    if (list->n + n > list->room) {
        NLSH_TRY(nlsh__alloc(&more.buckets, more.room, sizeof *more.buckets, error));
        NLSH_TRY(nlsh__alloc(&more.probabilities, more.room, sizeof(float), error));
        if (list->n > 0) {
            memcpy(more.buckets, list->buckets, list->n * sizeof *list->buckets);
            memcpy(more.probabilities, list->probabilities, list->n * sizeof(float));
        }
        lists_free(list);
        *list = more;
    }
    memcpy(list->buckets + list->n, buckets, n * sizeof *buckets);
    memcpy(list->probabilities + list->n, probabilities, n * sizeof *probabilities);
    list->n += n;
out:
    if (status != NLSH_OK) lists_free(&more);
    return status;
}

/* A worker's memory for routing. */
struct routing {
    struct nlsh__router_block *block;
    uint8_t *bytes; /* [NLSH__BLOCK x byte_stride], and a block more */
    float *inputs;  /* [NLSH__BLOCK x stride] */
};

/* Queries first .. end - 1 of the part, at most a block, projected into b->inputs: those of bytes
 * together. */
static enum nlsh_status project_block(struct batch *b, size_t first, size_t end, size_t worker,
                                      struct nlsh_error *error)
{
    const struct nlsh__router *router = b->index->router_view;
    struct nlsh_searcher *s = b->searchers[worker];
    const struct routing *r = &b->routing[worker];
    size_t dim = b->index->meta.dim, n_together = 0;
    float whole[NLSH__BLOCK];
    uint8_t together[NLSH__BLOCK];
    for (size_t i = first; i < end; i++) {
        size_t at = i - first;
        float *inputs = b->inputs + i * b->stride;
        enum nlsh_status status =
            nlsh__query_set(&s->query, b->index, b->queries, b->first + i, error);
        if (status != NLSH_OK) return status;
        b->routed[i].inputs = inputs;
        whole[at] = nlsh__query_whole(s);
        together[at] = s->query.as_bytes && nlsh__router_projects_bytes(router);
        n_together += together[at];
        if (together[at]) {
            memcpy(r->bytes + at * b->byte_stride, s->query.bytes, dim);
            continue;
        }
        memset(inputs, 0, b->stride * sizeof *inputs); /* what fills up stays zero */
        nlsh__router_project(router, s->query.routed, s->query.as_bytes ? s->query.bytes : NULL,
                             inputs);
        nlsh__query_units(s, inputs, whole[at], &b->routed[i].units);
    }
    if (n_together == 0) return NLSH_OK;
    nlsh__router_project_block(router, r->bytes, b->byte_stride, end - first, r->inputs);
    for (size_t i = first; i < end; i++) {
        float *inputs = b->inputs + i * b->stride;
        if (!together[i - first]) continue;
        memcpy(inputs, r->inputs + (i - first) * b->stride, b->stride * sizeof *inputs);
        nlsh__score_units(b->index->codes_view, 0, inputs, whole[i - first], &b->routed[i].units);
    }
    return NLSH_OK;
}

static enum nlsh_status choose(struct batch *b, size_t i, const struct nlsh__router_pass *pass,
                               struct nlsh_searcher *s, struct lists *list,
                               struct nlsh_error *error)
{
    const uint32_t *groups = b->index->codes_view->group_offsets;
    struct nlsh__answer answer;
    nlsh__answer_from(b->index->router_view, pass, &answer);
    size_t n_groups = 0;
    size_t n =
        nlsh__choose_buckets(&answer, &b->plan.rule, s->buckets, s->probabilities, s->bucket_keys);
    for (size_t j = 0; j < n; j++) n_groups += groups[s->buckets[j] + 1] - groups[s->buckets[j]];
    size_t most = UINT32_MAX / NLSH__GROUP;
    b->routed[i].n_buckets = (uint32_t)n;
    b->routed[i].n_scores = (uint32_t)((n_groups < most ? n_groups : most) * NLSH__GROUP);
    if (b->plan.by_leaves) b->routed[i].n_scores = UINT32_MAX; /* which, the leaves say */
    b->list_at[i] = list->n;
    return append(list, s->buckets, s->probabilities, n, error);
}

static void route_task(void *ctx, size_t number, size_t worker)
{
    struct batch *b = ctx;
    struct nlsh_error *error = &b->errors[b->first / TASK + number];
    struct nlsh__router_block *block = b->routing[worker].block;
    struct lists *list = &b->lists[number];
    size_t first = number * TASK, end = first + TASK < b->n ? first + TASK : b->n;
    list->n = 0;
    error->status = project_block(b, first, end, worker, error);
    if (error->status != NLSH_OK) return;
    nlsh__router_begin_block(b->index->router_view, block, b->inputs + first * b->stride,
                             end - first);
    for (size_t i = first; i < end && error->status == NLSH_OK; i++) {
        struct nlsh__router_pass pass;
        nlsh__router_block_pass(block, i - first, &pass);
        error->status = choose(b, i, &pass, b->searchers[worker], list, error);
    }
    for (size_t i = first; i < end; i++) {
        b->routed[i].buckets = list->buckets + b->list_at[i];
        b->routed[i].probabilities = list->probabilities + b->list_at[i];
    }
}

static enum nlsh_status routing_create(struct batch *b, size_t n_threads, struct nlsh_error *error)
{
    enum nlsh_status status;
    b->byte_stride = (b->index->meta.dim + 63) / 64 * 64;
    NLSH_TRY(nlsh__calloc(&b->routing, n_threads, sizeof *b->routing, error));
    for (size_t i = 0; i < n_threads; i++) {
        struct routing *r = &b->routing[i];
        NLSH_TRY(nlsh__router_block_create(b->index->router_view, &r->block, error));
        NLSH_TRY(nlsh__calloc(&r->bytes, NLSH__BLOCK * b->byte_stride + NLSH__BLOCK, 1, error));
        NLSH_TRY(nlsh__alloc(&r->inputs, NLSH__BLOCK * b->stride, sizeof *r->inputs, error));
    }
out:
    return status;
}

static void routing_free(struct batch *b, size_t n_threads)
{
    for (size_t i = 0; b->routing != NULL && i < n_threads; i++) {
        nlsh__router_block_free(b->routing[i].block);
        free(b->routing[i].bytes);
        free(b->routing[i].inputs);
    }
    free(b->routing);
}

/* Queries by the bucket that is first in their list, counted into order; then cut into blocks. */
static enum nlsh_status make_blocks(struct batch *b, size_t *n_blocks, struct nlsh_error *error)
{
    size_t m = b->index->meta.n_buckets, scores = 0;
    uint32_t *counts;
    enum nlsh_status status = nlsh__calloc(&counts, m + 1, sizeof *counts, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < b->n; i++) counts[b->routed[i].buckets[0] + 1]++;
    for (size_t j = 1; j < m; j++) counts[j + 1] += counts[j];
    for (size_t i = 0; i < b->n; i++) b->order[counts[b->routed[i].buckets[0]]++] = (uint32_t)i;
    free(counts);
    *n_blocks = 0;
    for (size_t i = 0; i < b->n; i++) {
        size_t more = b->routed[b->order[i]].n_scores,
               first = *n_blocks ? b->cuts[*n_blocks - 1] : 0;
        if (more > NLSH__ROUND) more = 0; /* it is scanned alone */
        if (i == 0 || scores + more > NLSH__BLOCK_SCORES || i - first == NLSH__BLOCK_QUERIES) {
            b->cuts[(*n_blocks)++] = i;
            scores = 0;
        }
        scores += more;
    }
    b->cuts[*n_blocks] = b->n;
    return NLSH_OK;
}

/* ---- scanning -------------------------------------------------------------------------------- */

static void scan_task(void *ctx, size_t number, size_t worker)
{
    const struct batch *b = ctx;
    struct nlsh_searcher *s = b->searchers[worker];
    const struct nlsh__routed *queries[NLSH__BLOCK_QUERIES] = {NULL};
    size_t first = b->cuts[number], n = b->cuts[number + 1] - first, k = b->plan.k, reranked;
    for (size_t i = 0; i < n; i++) queries[i] = &b->routed[b->order[first + i]];
    nlsh__block_scores(b->blocks[worker], s, queries, n);
    for (size_t i = 0; i < n; i++) {
        size_t q = b->first + b->order[first + i];
        /* it was taken before, without an error */
        (void)!nlsh__query_set(&s->query, b->index, b->queries, q, NULL);
        size_t candidates =
            nlsh__block_finish(b->blocks[worker], s, queries[i], i, &b->plan, &reranked);
        nlsh__answer_query(s, k, b->ids + q * k, b->l2sq != NULL ? b->l2sq + q * k : NULL);
        if (b->stats != NULL)
            b->stats[q] = (struct nlsh_search_stats){queries[i]->n_buckets, (uint32_t)candidates,
                                                     (uint32_t)reranked};
    }
}

static enum nlsh_status search_part(struct batch *b, struct nlsh__pool *pool,
                                    struct nlsh_error *error)
{
    size_t n_tasks = (b->n + TASK - 1) / TASK, n_blocks;
    nlsh__pool_run(pool, n_tasks, route_task, b);
    for (size_t t = 0; t < n_tasks; t++) {
        const struct nlsh_error *one = &b->errors[b->first / TASK + t];
        if (one->status == NLSH_OK) continue;
        if (error != NULL) *error = *one;
        return one->status;
    }
    enum nlsh_status status = make_blocks(b, &n_blocks, error);
    if (status == NLSH_OK) nlsh__pool_run(pool, n_blocks, scan_task, b);
    return status;
}

static enum nlsh_status search_by_codes(struct batch *b, struct nlsh__pool *pool,
                                        struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = b->queries->n_rows, n_threads = nlsh__pool_n_threads(pool), part = MOST_PART;
    b->stride = nlsh__router_input_size(b->index->router_view);
    while (part > TASK && part * b->stride > MOST_INPUTS) part /= 2;
    if (part > n) part = (n + TASK - 1) / TASK * TASK;
    NLSH_TRY(nlsh__calloc(&b->blocks, n_threads, sizeof *b->blocks, error));
    for (size_t i = 0; i < n_threads; i++)
        NLSH_TRY(nlsh__block_create(b->index, &b->blocks[i], error));
    NLSH_TRY(routing_create(b, n_threads, error));
    NLSH_TRY(nlsh__alloc(&b->inputs, part * b->stride, sizeof *b->inputs, error));
    NLSH_TRY(nlsh__calloc(&b->routed, part, sizeof *b->routed, error));
    NLSH_TRY(nlsh__calloc(&b->list_at, part, sizeof *b->list_at, error));
    NLSH_TRY(nlsh__calloc(&b->lists, part / TASK, sizeof *b->lists, error));
    NLSH_TRY(nlsh__alloc(&b->order, part, sizeof *b->order, error));
    NLSH_TRY(nlsh__alloc(&b->cuts, part + 1, sizeof *b->cuts, error));
    for (b->first = 0; b->first < n; b->first += part) {
        b->n = n - b->first < part ? n - b->first : part;
        NLSH_TRY(search_part(b, pool, error));
    }
out:
    for (size_t i = 0; b->blocks != NULL && i < n_threads; i++) nlsh__block_free(b->blocks[i]);
    for (size_t i = 0; b->lists != NULL && i < part / TASK; i++) lists_free(&b->lists[i]);
    routing_free(b, n_threads);
    free(b->blocks);
    free(b->inputs);
    free(b->routed);
    free(b->list_at);
    free(b->lists);
    free(b->order);
    free(b->cuts);
    return status;
}

/* ---- the call -------------------------------------------------------------------------------- */

static enum nlsh_status search_exactly(struct batch *b, struct nlsh__pool *pool,
                                       struct nlsh_error *error)
{
    size_t n_tasks = (b->queries->n_rows + TASK - 1) / TASK;
    nlsh__pool_run(pool, n_tasks, exact_task, b);
    for (size_t t = 0; t < n_tasks; t++) {
        if (b->errors[t].status == NLSH_OK) continue;
        if (error != NULL) *error = b->errors[t];
        return b->errors[t].status;
    }
    return NLSH_OK;
}

enum nlsh_status
nlsh_search_batch(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                  const struct nlsh_search_options *options, uint32_t *ids, float *l2sq,
                  struct nlsh_search_stats *stats, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__pool *pool = NULL;
    size_t n_tasks = queries != NULL ? (queries->n_rows + TASK - 1) / TASK : 0;
    size_t n_threads = options->n_threads;
    struct batch b = {.index = index,
                      .queries = queries,
                      .options = options,
                      .ids = ids,
                      .l2sq = l2sq,
                      .stats = stats};
    nlsh__error_clear(error);
    if (n_threads < 1 || n_threads > 4096)
        return nlsh__fail(error, NLSH_E_ARG, "use the number of cores, or 1",
                          "threads is %zu: it must lie between 1 and 4096", n_threads);
    if (n_threads > n_tasks) n_threads = n_tasks > 0 ? n_tasks : 1;
    NLSH_TRY(nlsh__calloc(&b.searchers, n_threads, sizeof *b.searchers, error));
    NLSH_TRY(nlsh__calloc(&b.errors, n_tasks, sizeof *b.errors, error));
    for (size_t i = 0; i < n_threads; i++) {
        NLSH_TRY(nlsh_searcher_create(index, &b.searchers[i], error));
        /* what is wrong with the call shows here, with or without queries */
        NLSH_TRY(nlsh__search_prepare(b.searchers[i], queries, options, &b.plan, error));
    }
    if (queries->n_rows == 0) goto out;
    NLSH_TRY(nlsh__pool_create(n_threads, &pool, error));
    status = b.plan.by_codes ? search_by_codes(&b, pool, error) : search_exactly(&b, pool, error);
out:
    for (size_t i = 0; b.searchers != NULL && i < n_threads; i++)
        nlsh_searcher_free(b.searchers[i]);
    free(b.searchers);
    free(b.errors);
    nlsh__pool_free(pool);
    return status;
}
