/*
 * batch.c - many queries over threads, which share what they read: nlsh_searcher_pool.
 *
 * A part of the batch at a time is routed; then its queries are ordered by the bucket that comes
 * first for each, so that neighbours in that order want the same codes and rows, and are scanned in
 * blocks (block.h). A task's answers depend on its queries alone, and are those of one query after
 * another. Where every distance is exact, queries are simply shared out.
 */
#include <math.h>
#include <string.h>

#include "base/buckets.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "router/router.h"
#include "search/block.h"
#include "search/filtered.h"
#include "search/likeness.h"
#include "search/search.h"

enum {
    TASK = (int)NLSH__BLOCK, /* queries that are routed, or ranked exactly, in one task */
    MOST_PART = 16384,       /* queries routed before any is scanned */
    MOST_INPUTS = 16 << 20,  /* floats of their inputs */
    MOST_THREADS = 4096
};

/* The buckets of a task's queries and their probabilities, one list behind the other. */
struct lists {
    uint32_t *buckets;
    float *probabilities;
    size_t n, room;
};

/* A worker's memory for routing. */
struct routing {
    struct nlsh__router_block *block;
    uint8_t *bytes; /* [NLSH__BLOCK x byte_stride], and a block more */
    float *inputs;  /* [NLSH__BLOCK x stride] */
};

/* What lives as long as the pool: a worker's scratch, and the memory of a part. */
struct nlsh_searcher_pool {
    const struct nlsh_index *index;
    struct nlsh__pool *threads;
    size_t n_threads, stride, byte_stride;
    struct nlsh_searcher **searchers; /* [n_threads] */
    struct nlsh__block **blocks;      /* [n_threads] where queries are scanned in blocks */
    struct routing *routing;          /* [n_threads] where queries are scanned in blocks */
    size_t most_part, room;           /* queries that a part may have, and that there is room for */
    float *inputs;                    /* [room x stride] */
    struct nlsh__member *members;     /* [room] */
    size_t *list_at;                  /* [room] where in its task's list a query's buckets begin */
    struct lists *lists;              /* [room / TASK] */
    uint32_t *first_bucket;           /* [room] of each query's list */
    uint32_t *order;                  /* [room] queries by first_bucket */
    uint32_t *offsets;                /* [m + 1] where in order a bucket's queries begin */
    size_t *cuts;                     /* [room + 1] where in order each block begins */
    struct nlsh_error *errors;        /* [n_errors] of the tasks of a whole batch */
    size_t n_errors;
    struct nlsh__allowed allowed; /* of a call's filter */
};

/* One call. */
struct batch {
    struct nlsh_searcher_pool *pool;
    const struct nlsh_matrix *queries;
    struct nlsh__plan plan;
    struct nlsh__answers out;
    size_t first, n; /* of a part: queries first .. first + n - 1 */
};

/* Blocks are of codes, and of one segment: an index of several is searched query by query. */
static int in_blocks(const struct nlsh_index *index)
{
    return index->n_segments == 1 && index->segments[0].codes != NULL;
}

static int by_leaves(const struct batch *b)
{
    return b->plan.leaf_margin < INFINITY && b->pool->index->segments[0].leaves != NULL &&
           b->plan.rerank == 0 && b->plan.rule.top == 0;
}

/* ---- query by query --------------------------------------------------------------------------------- */

static void exact_task(void *ctx, size_t number, size_t worker)
{
    const struct batch *b = ctx;
    size_t first = number * TASK, left = b->queries->n_rows - first;
    struct nlsh_error *error = &b->pool->errors[number];
    error->status =
        nlsh__search_rows(b->pool->searchers[worker], b->queries, first,
                          first + (left < TASK ? left : TASK), &b->plan, &b->out, error);
}

/* ---- routing --------------------------------------------------------------------------------- */

static void lists_free(struct lists *list)
{
    nlsh__free(list->buckets);
    nlsh__free(list->probabilities);
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

/* Queries first .. end - 1 of the part, at most a block, projected into pool->inputs: those that are projected in
 * bytes together. */
static enum nlsh_status project_block(const struct batch *b, size_t first, size_t end,
                                      size_t worker, struct nlsh_error *error)
{
    const struct nlsh_searcher_pool *pool = b->pool;
    const struct nlsh_index *index = pool->index;
    const struct nlsh__segment *segment = &index->segments[0];
    const struct nlsh__router *router = index->router;
    struct nlsh__query *query = &pool->searchers[worker]->query;
    struct nlsh__asker *asker = &pool->searchers[worker]->asker;
    const struct routing *r = &pool->routing[worker];
    size_t dim = index->meta.dim, stride = pool->stride, n_together = 0;
    int rounded = asker->mean != NULL; /* all queries, or none */
    struct nlsh__query_sizes sizes[NLSH__BLOCK];
    float scales[NLSH__BLOCK];
    uint8_t together[NLSH__BLOCK];
    for (size_t i = first; i < end; i++) {
        size_t at = i - first;
        float *inputs = pool->inputs + i * stride;
        uint8_t *bytes = r->bytes + at * pool->byte_stride;
        enum nlsh_status status = nlsh__query_set(query, index, b->queries, b->first + i, error);
        if (status != NLSH_OK) return status;
        pool->members[i].routed.inputs = inputs;
        sizes[at] = nlsh__query_sizes(index, segment, query);
        together[at] = rounded || (query->as_bytes && nlsh__router_projects_bytes(router));
        n_together += together[at];
        if (rounded)
            scales[at] = nlsh__ask_round(asker, query->routed, bytes);
        else if (together[at])
            memcpy(bytes, query->bytes, dim);
        if (together[at]) continue;
        memset(inputs, 0, stride * sizeof *inputs); /* what fills up stays zero */
        nlsh__router_project(router, query->routed, query->as_bytes ? query->bytes : NULL, inputs);
        nlsh__sizes_units(index, segment, &sizes[at], inputs, &pool->members[i].units);
    }
    if (n_together == 0) return NLSH_OK;
    nlsh__router_project_block(router, r->bytes, pool->byte_stride, rounded ? scales : NULL,
                               end - first, r->inputs);
    for (size_t i = first; i < end; i++) {
        float *inputs = pool->inputs + i * stride;
        if (!together[i - first]) continue;
        memcpy(inputs, r->inputs + (i - first) * stride, stride * sizeof *inputs);
        nlsh__sizes_units(index, segment, &sizes[i - first], inputs, &pool->members[i].units);
    }
    return NLSH_OK;
}

/* pass: the router's, or NULL where the plan asks it nothing. */
static enum nlsh_status choose(const struct batch *b, size_t i,
                               const struct nlsh__router_pass *pass, struct nlsh_searcher *s,
                               struct lists *list, struct nlsh_error *error)
{
    struct nlsh_searcher_pool *pool = b->pool;
    struct nlsh__member *member = &pool->members[i];
    const uint32_t *groups = pool->index->segments[0].codes->group_offsets;
    struct nlsh__answer answer;
    if (pass != NULL) nlsh__answer_from(pool->index->router, pass, &answer);
    size_t n_groups = 0, most = UINT32_MAX / NLSH__GROUP;
    size_t n;
    member->routed.outside = NAN;
    if (pass == NULL) {
        member->own = b->plan;
        n = nlsh__choose_unasked(pool->index, &b->plan, member->routed.inputs, s->buckets,
                                 s->probabilities, s->bucket_keys);
    } else if (b->plan.allowed != NULL) {
        member->own = b->plan;
        n = nlsh__choose_allowed(pool->index, &answer, &member->own, s->buckets, s->probabilities,
                                 s->bucket_keys);
    } else {
        n = nlsh__choose_by_plan(&answer, &b->plan, s->buckets, s->probabilities, s->bucket_keys,
                                 &member->routed.outside);
    }
    for (size_t j = 0; j < n; j++) n_groups += groups[s->buckets[j] + 1] - groups[s->buckets[j]];
    member->routed.n_buckets = n;
    member->n_scores = (uint32_t)((n_groups < most ? n_groups : most) * NLSH__GROUP);
    if (by_leaves(b) || b->plan.allowed != NULL)
        member->n_scores = UINT32_MAX; /* which, leaves and the filter say */
    pool->list_at[i] = list->n;
    return append(list, s->buckets, s->probabilities, n, error);
}

static void route_task(void *ctx, size_t number, size_t worker)
{
    const struct batch *b = ctx;
    struct nlsh_searcher_pool *pool = b->pool;
    struct nlsh_error *error = &pool->errors[b->first / TASK + number];
    struct nlsh__router_block *block = pool->routing[worker].block;
    struct lists *list = &pool->lists[number];
    size_t first = number * TASK, end = first + TASK < b->n ? first + TASK : b->n;
    list->n = 0;
    error->status = project_block(b, first, end, worker, error);
    if (error->status != NLSH_OK) return;
    int asks = nlsh__asks_router(pool->index, &b->plan);
    if (asks)
        nlsh__router_begin_block(pool->index->router, block, pool->inputs + first * pool->stride,
                                 end - first);
    for (size_t i = first; i < end && error->status == NLSH_OK; i++) {
        struct nlsh__router_pass pass;
        if (asks) nlsh__router_block_pass(block, i - first, &pass);
        error->status = choose(b, i, asks ? &pass : NULL, pool->searchers[worker], list, error);
    }
    for (size_t i = first; i < end; i++) {
        pool->members[i].routed.buckets = list->buckets + pool->list_at[i];
        pool->members[i].routed.probabilities = list->probabilities + pool->list_at[i];
    }
}

/* Queries by the bucket that is first in their list, then cut into blocks; returns how many. */
static size_t make_blocks(const struct batch *b)
{
    const struct nlsh_searcher_pool *pool = b->pool;
    const struct nlsh__member *members = pool->members;
    size_t scores = 0, n_blocks = 0;
    for (size_t i = 0; i < b->n; i++) pool->first_bucket[i] = members[i].routed.buckets[0];
    nlsh__count_sort(pool->first_bucket, b->n, pool->index->meta.n_buckets, pool->offsets,
                     pool->order);
    for (size_t i = 0; i < b->n; i++) {
        size_t more = members[pool->order[i]].n_scores;
        size_t first = n_blocks > 0 ? pool->cuts[n_blocks - 1] : 0;
        if (more > NLSH__ROUND) more = 0; /* it is scanned alone */
        if (i == 0 || scores + more > NLSH__BLOCK_SCORES || i - first == NLSH__BLOCK_QUERIES) {
            pool->cuts[n_blocks++] = i;
            scores = 0;
        }
        scores += more;
    }
    pool->cuts[n_blocks] = b->n;
    return n_blocks;
}

/* ---- scanning -------------------------------------------------------------------------------- */

static void scan_task(void *ctx, size_t number, size_t worker)
{
    const struct batch *b = ctx;
    const struct nlsh_searcher_pool *pool = b->pool;
    struct nlsh_searcher *s = pool->searchers[worker];
    struct nlsh__block *block = pool->blocks[worker];
    const struct nlsh__member *members[NLSH__BLOCK_QUERIES] = {NULL};
    size_t first = pool->cuts[number], n = pool->cuts[number + 1] - first;
    for (size_t i = 0; i < n; i++) members[i] = &pool->members[pool->order[first + i]];
    nlsh__block_scores(block, &s->scan, members, n);
    for (size_t i = 0; i < n; i++) {
        size_t q = b->first + pool->order[first + i];
        /* it was taken before, without an error */
        (void)!nlsh__query_set(&s->query, pool->index, b->queries, q, NULL);
        const struct nlsh__plan *plan = b->plan.allowed != NULL ? &members[i]->own : &b->plan;
        struct nlsh__cost cost =
            nlsh__block_finish(block, &s->scan, &s->query, members[i], i, plan, s->best);
        nlsh__give_answer(s, b->plan.k, q, &members[i]->routed, &cost, &b->out);
    }
}

/* The error of the first of n tasks that failed. */
static enum nlsh_status first_failure(const struct nlsh_error *errors, size_t n,
                                      struct nlsh_error *error)
{
    for (size_t t = 0; t < n; t++) {
        if (errors[t].status == NLSH_OK) continue;
        if (error != NULL) *error = errors[t];
        return errors[t].status;
    }
    return NLSH_OK;
}

static enum nlsh_status search_part(struct batch *b, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_tasks = (b->n + TASK - 1) / TASK;
    nlsh__pool_run(b->pool->threads, n_tasks, route_task, b);
    NLSH_TRY(first_failure(b->pool->errors + b->first / TASK, n_tasks, error));
    nlsh__pool_run(b->pool->threads, make_blocks(b), scan_task, b);
out:
    return status;
}

static void part_free(struct nlsh_searcher_pool *pool)
{
    for (size_t i = 0; pool->lists != NULL && i < pool->room / TASK; i++)
        lists_free(&pool->lists[i]);
    nlsh__free(pool->inputs);
    nlsh__free(pool->members);
    nlsh__free(pool->list_at);
    nlsh__free(pool->lists);
    nlsh__free(pool->first_bucket);
    nlsh__free(pool->order);
    nlsh__free(pool->cuts);
    pool->inputs = NULL;
    pool->members = NULL;
    pool->list_at = NULL;
    pool->lists = NULL;
    pool->first_bucket = NULL;
    pool->order = NULL;
    pool->cuts = NULL;
    pool->room = 0;
}

/* Room for a part of so many queries, a multiple of TASK; what is there is kept where it is enough. */
static enum nlsh_status part_reserve(struct nlsh_searcher_pool *pool, size_t part,
                                     struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    if (part <= pool->room) return NLSH_OK;
    part_free(pool);
    pool->room = part;
    NLSH_TRY(nlsh__alloc(&pool->inputs, part * pool->stride, sizeof *pool->inputs, error));
    NLSH_TRY(nlsh__calloc(&pool->members, part, sizeof *pool->members, error));
    NLSH_TRY(nlsh__calloc(&pool->list_at, part, sizeof *pool->list_at, error));
    NLSH_TRY(nlsh__calloc(&pool->lists, part / TASK, sizeof *pool->lists, error));
    NLSH_TRY(nlsh__alloc(&pool->first_bucket, part, sizeof *pool->first_bucket, error));
    NLSH_TRY(nlsh__alloc(&pool->order, part, sizeof *pool->order, error));
    NLSH_TRY(nlsh__alloc(&pool->cuts, part + 1, sizeof *pool->cuts, error));
out:
    if (status != NLSH_OK) part_free(pool);
    return status;
}

static enum nlsh_status search_in_blocks(struct batch *b, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = b->queries->n_rows, part = b->pool->most_part;
    if (part > n) part = (n + TASK - 1) / TASK * TASK;
    NLSH_TRY(part_reserve(b->pool, part, error));
    for (b->first = 0; b->first < n; b->first += part) {
        b->n = n - b->first < part ? n - b->first : part;
        NLSH_TRY(search_part(b, error));
    }
out:
    return status;
}

/* ---- the calls ------------------------------------------------------------------------------- */

static enum nlsh_status worker_create(struct nlsh_searcher_pool *pool, size_t i,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    struct routing *r = &pool->routing[i];
    NLSH_TRY(nlsh_searcher_create(pool->index, &pool->searchers[i], error));
    if (!in_blocks(pool->index)) return NLSH_OK;
    NLSH_TRY(nlsh__block_create(pool->index, &pool->blocks[i], error));
    NLSH_TRY(nlsh__router_block_create(pool->index->router, &r->block, error));
    NLSH_TRY(nlsh__calloc(&r->bytes, NLSH__BLOCK * pool->byte_stride + NLSH__BLOCK, 1, error));
    NLSH_TRY(nlsh__alloc(&r->inputs, NLSH__BLOCK * pool->stride, sizeof *r->inputs, error));
out:
    return status;
}

enum nlsh_status nlsh_searcher_pool_create(const struct nlsh_index *index, size_t n_threads,
                                           struct nlsh_searcher_pool **out,
                                           struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_searcher_pool *pool = NULL;
    nlsh__error_clear(error);
    *out = NULL;
    if (index == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "no index");
    if (n_threads < 1 || n_threads > MOST_THREADS)
        return nlsh__fail(error, NLSH_E_ARG, "use the number of cores, or 1",
                          "threads is %zu: it must lie between 1 and %d", n_threads, MOST_THREADS);
    NLSH_TRY(nlsh__calloc(&pool, 1, sizeof *pool, error));
    pool->index = index;
    pool->n_threads = n_threads;
    pool->stride = nlsh__router_input_size(index->router);
    pool->byte_stride = (index->meta.dim + 63) / 64 * 64;
    pool->most_part = MOST_PART;
    while (pool->most_part > TASK && pool->most_part * pool->stride > MOST_INPUTS)
        pool->most_part /= 2;
    NLSH_TRY(nlsh__calloc(&pool->searchers, n_threads, sizeof *pool->searchers, error));
    NLSH_TRY(nlsh__calloc(&pool->blocks, n_threads, sizeof *pool->blocks, error));
    NLSH_TRY(nlsh__calloc(&pool->routing, n_threads, sizeof *pool->routing, error));
    NLSH_TRY(nlsh__alloc(&pool->offsets, index->meta.n_buckets + 1, sizeof *pool->offsets, error));
    for (size_t i = 0; i < n_threads; i++) NLSH_TRY(worker_create(pool, i, error));
    NLSH_TRY(nlsh__pool_create(n_threads, &pool->threads, error));
    *out = pool;
    return NLSH_OK;
out:
    nlsh_searcher_pool_free(pool);
    return status;
}

void nlsh_searcher_pool_free(struct nlsh_searcher_pool *pool)
{
    if (pool == NULL) return;
    nlsh__pool_free(pool->threads);
    for (size_t i = 0; i < pool->n_threads; i++) {
        if (pool->searchers != NULL) nlsh_searcher_free(pool->searchers[i]);
        if (pool->blocks != NULL) nlsh__block_free(pool->blocks[i]);
        if (pool->routing == NULL) continue;
        nlsh__router_block_free(pool->routing[i].block);
        nlsh__free(pool->routing[i].bytes);
        nlsh__free(pool->routing[i].inputs);
    }
    part_free(pool);
    nlsh__free(pool->offsets);
    nlsh__allowed_free(&pool->allowed);
    nlsh__free(pool->errors);
    nlsh__free(pool->searchers);
    nlsh__free(pool->blocks);
    nlsh__free(pool->routing);
    nlsh__free(pool);
}

static enum nlsh_status errors_reserve(struct nlsh_searcher_pool *pool, size_t n,
                                       struct nlsh_error *error)
{
    if (n <= pool->n_errors) return NLSH_OK;
    nlsh__free(pool->errors);
    pool->errors = NULL;
    pool->n_errors = 0;
    enum nlsh_status status = nlsh__calloc(&pool->errors, n, sizeof *pool->errors, error);
    if (status == NLSH_OK) pool->n_errors = n;
    return status;
}

/* Where there is no matrix of queries there are none; nlsh__search_prepare() says so. */
static size_t count_tasks(const struct nlsh_matrix *queries)
{
    return queries != NULL ? (queries->n_rows + TASK - 1) / TASK : 0;
}

static enum nlsh_status search_taken(struct nlsh_searcher_pool *pool,
                                     const struct nlsh_matrix *queries,
                                     const struct nlsh__wanted *wanted, uint64_t *keys,
                                     float *distances, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct batch b = {
        .pool = pool,
        .queries = queries,
        .out = {.keys = keys, .distances = distances, .stats = wanted->stats},
    };
    /* what is wrong with the call shows here, with or without queries */
    for (size_t i = 0; i < pool->n_threads; i++)
        NLSH_TRY(
            nlsh__search_prepare(pool->searchers[i], queries, &wanted->options, &b.plan, error));
    size_t n_tasks = count_tasks(queries);
    if (n_tasks == 0) return NLSH_OK;
    NLSH_TRY(nlsh__plan_filter(pool->index, &wanted->options, &pool->allowed, &b.plan, error));
    NLSH_TRY(errors_reserve(pool, n_tasks, error));
    if (in_blocks(pool->index) && !b.plan.exactly) {
        status = search_in_blocks(&b, error);
    } else {
        nlsh__pool_run(pool->threads, n_tasks, exact_task, &b);
        status = first_failure(pool->errors, n_tasks, error);
    }
out:
    return status;
}

enum nlsh_status
nlsh_searcher_pool_search(struct nlsh_searcher_pool *pool, const struct nlsh_matrix *queries,
                          const struct nlsh_search_options *options, uint64_t *keys,
                          float *distances, struct nlsh_search_stats *stats,
                          struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__wanted wanted;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__take_search(options, stats, &wanted, error));
    NLSH_TRY(search_taken(pool, queries, &wanted, keys, distances, error));
out:
    return status;
}

enum nlsh_status
nlsh_search_batch(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                  const struct nlsh_search_options *options, uint64_t *keys, float *distances,
                  struct nlsh_search_stats *stats, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__wanted wanted;
    struct nlsh_searcher_pool *pool = NULL;
    size_t n_tasks = count_tasks(queries);
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__take_search(options, stats, &wanted, error));
    size_t n_threads = wanted.options.n_threads;
    if (n_threads >= 1 && n_threads <= MOST_THREADS && n_threads > n_tasks)
        n_threads = n_tasks > 0 ? n_tasks : 1; /* more would have nothing to do */
    NLSH_TRY(nlsh_searcher_pool_create(index, n_threads, &pool, error));
    NLSH_TRY(search_taken(pool, queries, &wanted, keys, distances, error));
out:
    nlsh_searcher_pool_free(pool);
    return status;
}
