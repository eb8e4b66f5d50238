/* step.c - a block of queries through all shards in step: see walk.h. The way is the same on every rank; what only rank 0
 * does is marked by s->ranks.own == 0. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "shards/merge.h"
#include "shards/shards.h"

struct nlsh__shards_block {
    struct nlsh__pool *pool;
    size_t n_own;                                        /* shards of this rank that are here */
    uint32_t *own;                                       /* [n_own] their numbers */
    struct nlsh_searcher *searchers[NLSH__SHARDS_BLOCK]; /* of lead: each asks the router */
    struct nlsh__walker *walkers;                        /* [n_own][NLSH__SHARDS_BLOCK] */
    uint32_t **places; /* [n_own] of a shard's rows; NULL until rows are asked for by number */
    struct nlsh__walk walks[NLSH__SHARDS_BLOCK];
    struct nlsh__merge merges[NLSH__SHARDS_BLOCK]; /* of rank 0; of others best alone */
    struct nlsh__bytes answers[NLSH__SHARDS_BLOCK];
    struct nlsh__bytes mine, all, reply;
    struct nlsh__reader *from; /* [ranks] */
    size_t *ends;              /* [ranks] */
    struct nlsh__plan plan;
    size_t n;          /* queries of the block */
    size_t n_reserved; /* that there is scratch for */
};

/* ---- scratch ----------------------------------------------------------------------------------- */

/* For each query and shard, once there are so many queries. */
static enum nlsh_status reserve(struct nlsh__shards *s, size_t n, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh__shards_block *b = s->block;
    for (; b->n_reserved < n; b->n_reserved++) {
        size_t q = b->n_reserved;
        if (b->searchers[q] == NULL)
            NLSH_TRY(nlsh__searcher_create(s->lead, &b->searchers[q], error));
        if (b->walks[q].counts == NULL)
            NLSH_TRY(nlsh__alloc(&b->walks[q].counts, s->whole.n_buckets, sizeof(uint32_t), error));
        for (size_t i = 0; i < b->n_own; i++) {
            const struct nlsh_index *index = s->own[b->own[i]];
            struct nlsh__walker *walker = &b->walkers[i * NLSH__SHARDS_BLOCK + q];
            nlsh__walker_free(walker);
            NLSH_TRY(nlsh__walker_create(index, index->shard.rows, b->own[i], walker, error));
        }
    }
out:
    return status;
}

enum nlsh_status nlsh__shards_block_create(struct nlsh__shards *s, size_t n_threads,
                                           struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__shards_block *b = NULL;
    NLSH_TRY(nlsh__calloc(&b, 1, sizeof *b, error));
    s->block = b;
    NLSH_TRY(nlsh__pool_create(n_threads, &b->pool, error));
    NLSH_TRY(nlsh__calloc(&b->from, s->ranks.n, sizeof *b->from, error));
    NLSH_TRY(nlsh__calloc(&b->ends, s->ranks.n, sizeof *b->ends, error));
    NLSH_TRY(nlsh__alloc(&b->own, s->manifest.n, sizeof *b->own, error));
    for (size_t i = 0; i < s->manifest.n; i++)
        if (s->own[i] != NULL && !s->whole.missing[i]) b->own[b->n_own++] = (uint32_t)i;
    NLSH_TRY(nlsh__calloc(&b->walkers, b->n_own * NLSH__SHARDS_BLOCK, sizeof *b->walkers, error));
    NLSH_TRY(nlsh__calloc(&b->places, b->n_own, sizeof *b->places, error));
out:
    return status;
}

void nlsh__shards_block_free(struct nlsh__shards *s)
{
    struct nlsh__shards_block *b = s->block;
    if (b == NULL) return;
    nlsh__pool_free(b->pool);
    for (size_t q = 0; q < NLSH__SHARDS_BLOCK; q++) {
        nlsh_searcher_free(b->searchers[q]);
        nlsh__free(b->walks[q].counts);
        nlsh__merge_free(&b->merges[q]);
        nlsh__bytes_free(&b->answers[q]);
    }
    for (size_t i = 0; b->walkers != NULL && i < b->n_own * NLSH__SHARDS_BLOCK; i++)
        nlsh__walker_free(&b->walkers[i]);
    for (size_t i = 0; b->places != NULL && i < b->n_own; i++) nlsh__free(b->places[i]);
    nlsh__free(b->walkers);
    nlsh__free(b->places);
    nlsh__free(b->own);
    nlsh__free(b->from);
    nlsh__free(b->ends);
    nlsh__bytes_free(&b->mine);
    nlsh__bytes_free(&b->all);
    nlsh__bytes_free(&b->reply);
    nlsh__free(b);
}

/* ---- the beginning ----------------------------------------------------------------------------- */

static void route(void *ctx, size_t q, size_t worker)
{
    struct nlsh__shards *s = ctx;
    struct nlsh__shards_block *b = s->block;
    struct nlsh_searcher *searcher = b->searchers[q];
    const struct nlsh__segment *segment = &s->lead->segments[0];
    struct nlsh__plan own = b->plan;
    const struct nlsh__routed routed = nlsh__route_query(searcher, &own);
    (void)worker;
    nlsh__walk_begin(&b->walks[q], &s->whole, &b->plan, &routed, segment->codes != NULL,
                     segment->leaves != NULL);
    if (b->walks[q].ask != NLSH__ASK_ALL)
        nlsh__query_units(s->lead, segment, &searcher->query, routed.inputs, &b->walks[q].units);
}

/* What is wrong with the queries is wrong on every rank, before anything is said. Where one rank has no memory, others
 * wait. */
static enum nlsh_status begin(struct nlsh__shards *s, const struct nlsh_matrix *queries,
                              const struct nlsh__plan *plan, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh__shards_block *b = s->block;
    b->n = queries->n_rows;
    b->plan = *plan;
    s->in_step = 0;
    NLSH_TRY(reserve(s, b->n, error));
    s->in_step = 1;
    for (size_t q = 0; q < b->n; q++)
        NLSH_TRY(nlsh__query_set(&b->searchers[q]->query, s->lead, queries, q, error));
    s->in_step = 0;
    for (size_t q = 0; q < b->n; q++) {
        NLSH_TRY(nlsh__merge_begin(&b->merges[q], plan->k, error));
        for (size_t i = 0; i < b->n_own; i++)
            NLSH_TRY(nlsh__walker_begin(&b->walkers[i * NLSH__SHARDS_BLOCK + q], plan->k, error));
    }
    nlsh__pool_run(b->pool, b->n, route, s);
    for (size_t q = 0; q < b->n && s->ranks.own == 0; q++)
        NLSH_TRY(nlsh__merge_ask(&b->merges[q], &b->walks[q], error));
out:
    return status;
}

/* ---- a question, its answers, the reply -------------------------------------------------------- */

static void answer(void *ctx, size_t q, size_t worker)
{
    struct nlsh__shards_block *b = ctx;
    (void)worker;
    b->answers[q].n = 0;
    if (b->walks[q].ask == NLSH__ASK_NOTHING) return;
    for (size_t i = 0; i < b->n_own; i++)
        nlsh__walker_answer(&b->walkers[i * NLSH__SHARDS_BLOCK + q], &b->walks[q],
                            &b->searchers[q]->query, b->merges[q].best, &b->answers[q]);
}

/* Rank 0 reads what each rank has to say of a query, shard by shard. */
static enum nlsh_status take_answers(struct nlsh__shards *s, size_t q, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh__shards_block *b = s->block;
    for (size_t r = 0; r < s->ranks.n; r++)
        for (size_t i = r; i < s->manifest.n; i += s->ranks.n)
            if (!s->whole.missing[i])
                NLSH_TRY(nlsh__merge_take(&b->merges[q], &b->walks[q], (uint32_t)i, &b->from[r],
                                          s->work.candidates, error));
out:
    return status;
}

/* The reply to a query's question, and what belongs to the next. */
static enum nlsh_status decide(struct nlsh__shards *s, size_t q, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__shards_block *b = s->block;
    struct nlsh__walk *walk = &b->walks[q];
    struct nlsh_searcher *searcher = b->searchers[q];
    struct nlsh__reply reply;
    NLSH_TRY(take_answers(s, q, error));
    nlsh__merge_reply(&b->merges[q], walk, s->lead, &searcher->query, &searcher->scan.chooser,
                      &reply);
    nlsh__bytes_add(&b->reply, &reply, sizeof reply);
    if (walk->ask == NLSH__ASK_COUNTS)
        nlsh__bytes_add(&b->reply, walk->counts, walk->routed.n_buckets * sizeof *walk->counts);
    nlsh__walk_on(walk, &reply);
    NLSH_TRY(nlsh__merge_ask(&b->merges[q], walk, error));
    if (walk->ask == NLSH__ASK_KEYS && s->lead->segments[0].keys != NULL)
        nlsh__bytes_add(&b->reply, b->merges[q].best, walk->plan->k * sizeof(uint64_t));
out:
    return status;
}

/* The other ranks hear it. */
static void hear(struct nlsh__shards *s, size_t q, struct nlsh__reader *from)
{
    struct nlsh__shards_block *b = s->block;
    struct nlsh__walk *walk = &b->walks[q];
    struct nlsh__reply reply;
    nlsh__bytes_take(from, &reply, sizeof reply);
    if (walk->ask == NLSH__ASK_COUNTS)
        nlsh__bytes_take(from, walk->counts, walk->routed.n_buckets * sizeof *walk->counts);
    nlsh__walk_on(walk, &reply);
    if (walk->ask == NLSH__ASK_KEYS && s->lead->segments[0].keys != NULL)
        nlsh__bytes_take(from, b->merges[q].best, walk->plan->k * sizeof(uint64_t));
}

static enum nlsh_status say(struct nlsh__shards *s, struct nlsh_error *error)
{
    struct nlsh__shards_block *b = s->block;
    b->mine.n = 0;
    for (size_t q = 0; q < b->n; q++) {
        nlsh__bytes_add(&b->mine, b->answers[q].at, b->answers[q].n);
        b->mine.failed |= b->answers[q].failed;
    }
    if (b->mine.failed) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    return nlsh__shards_gather(s, &b->mine, &b->all, b->ends, error);
}

/* One step of all queries that are under way. */
static enum nlsh_status step(struct nlsh__shards *s, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__shards_block *b = s->block;
    nlsh__pool_run(b->pool, b->n, answer, b);
    NLSH_TRY(say(s, error));
    b->reply.n = 0;
    for (size_t r = 0; r < s->ranks.n && s->ranks.own == 0; r++) {
        size_t begin_at = r > 0 ? b->ends[r - 1] : 0;
        b->from[r] = (struct nlsh__reader){b->all.at + begin_at, b->ends[r] - begin_at, 0};
    }
    for (size_t q = 0; q < b->n && s->ranks.own == 0; q++)
        if (b->walks[q].ask != NLSH__ASK_NOTHING) NLSH_TRY(decide(s, q, error));
    if (b->reply.failed) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    NLSH_TRY(nlsh__shards_tell(s, &b->reply, error));
    struct nlsh__reader from = {b->reply.at, b->reply.n, 0};
    for (size_t q = 0; q < b->n && s->ranks.own != 0; q++)
        if (b->walks[q].ask != NLSH__ASK_NOTHING) hear(s, q, &from);
    if (from.failed)
        return nlsh__fail(error, NLSH_E_INTERNAL, "please report this",
                          "rank 0 said less than it had to");
out:
    return status;
}

static int under_way(const struct nlsh__shards_block *b)
{
    for (size_t q = 0; q < b->n; q++)
        if (b->walks[q].ask != NLSH__ASK_NOTHING) return 1;
    return 0;
}

/* ---- the end ----------------------------------------------------------------------------------- */

/* Buckets that are not here, of those that the query asked for. */
static void count_missing(struct nlsh__shards *s, const struct nlsh__walk *walk)
{
    for (size_t i = 0; i < walk->routed.n_buckets; i++) {
        uint32_t b = walk->routed.buckets[i];
        if (!s->whole.missing[s->whole.owners[b]]) continue;
        s->work.buckets_missing++;
        s->work.candidates_missing += s->whole.sizes[b];
    }
    s->work.buckets += walk->routed.n_buckets;
}

static void give_answer(struct nlsh__shards *s, size_t q, const struct nlsh__answers *out, size_t i)
{
    const struct nlsh__merge *m = &s->block->merges[q];
    const struct nlsh__walk *walk = &s->block->walks[q];
    const struct nlsh__query *query = &s->block->searchers[q]->query;
    size_t k = walk->plan->k;
    memcpy(out->keys + i * k, m->keys, k * sizeof *m->keys);
    for (size_t j = 0; j < k && out->distances != NULL; j++)
        out->distances[i * k + j] =
            m->best[j] == UINT64_MAX ? INFINITY : nlsh__exact_distance(s->lead, query, m->best[j]);
    if (out->stats.probes != NULL) out->stats.probes[i] = (uint32_t)walk->routed.n_buckets;
    if (out->stats.candidates != NULL) out->stats.candidates[i] = (uint32_t)m->candidates;
    if (out->stats.ranked != NULL) out->stats.ranked[i] = (uint32_t)m->ranked;
    if (out->stats.outside != NULL) out->stats.outside[i] = walk->routed.outside;
}

static void give(struct nlsh__shards *s, size_t q, const struct nlsh__shards_found *out, size_t i)
{
    const struct nlsh__walk *walk = &s->block->walks[q];
    size_t k = walk->plan->k, m = s->whole.n_buckets;
    if (out->answers.keys != NULL) give_answer(s, q, &out->answers, i);
    if (out->best != NULL)
        memcpy(out->best + i * k, s->block->merges[q].best, k * sizeof *out->best);
    if (out->scanned != NULL) {
        memset(out->scanned + i * m, 0, m);
        for (size_t j = 0; j < walk->routed.n_buckets; j++)
            out->scanned[i * m + walk->routed.buckets[j]] = 1;
    }
    count_missing(s, walk);
    s->work.queries++;
}

enum nlsh_status nlsh__shards_block_run(struct nlsh__shards *s, const struct nlsh_matrix *queries,
                                        const struct nlsh__plan *plan,
                                        const struct nlsh__shards_found *out, size_t first,
                                        struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(begin(s, queries, plan, error));
    while (under_way(s->block)) {
        NLSH_TRY(step(s, error));
        s->work.messages++;
    }
    s->in_step = 1;
    for (size_t q = 0; q < queries->n_rows && out != NULL; q++) give(s, q, out, first + q);
out:
    return status;
}

/* ---- exact scores of known rows ---------------------------------------------------------------- */

/* One of the rows that were asked for, which stands in a shard. */
struct known_row {
    uint64_t key;   /* that the caller knows it by */
    uint32_t at;    /* its number among those asked for */
    uint32_t score; /* exact */
};

_Static_assert(sizeof(struct known_row) == 16, "no padding");

/* Where each row of a shard stands. It is made once: a pass over all places costs more than a few rows' scores. */
static enum nlsh_status find_places(const struct nlsh_index *index, uint32_t **places,
                                    struct nlsh_error *error)
{
    const struct nlsh__segment *segment = &index->segments[0];
    if (*places != NULL) return NLSH_OK;
    enum nlsh_status status = nlsh__alloc(places, segment->n_rows, sizeof **places, error);
    for (size_t i = 0; status == NLSH_OK && i < segment->n_rows; i++)
        (*places)[segment->rows[i]] = (uint32_t)i;
    return status;
}

/* Those that the i-th shard of this rank has, of rows [n x n_each]. */
static void score_own(struct nlsh__shards *s, size_t i, size_t n, const uint32_t *rows,
                      size_t n_each)
{
    struct nlsh__shards_block *b = s->block;
    const struct nlsh__walker *walker = &b->walkers[i * NLSH__SHARDS_BLOCK];
    const struct nlsh_index *index = walker->index;
    for (size_t at = 0; at < n * n_each; at++) {
        uint32_t row = nlsh__walker_row(walker, rows[at]);
        if (row == UINT32_MAX) continue;
        uint64_t best = nlsh__exact_key(index, &index->segments[0],
                                        &b->searchers[at / n_each]->query, b->places[i][row]);
        uint64_t key = index->segments[0].keys != NULL ? nlsh__key_of_row(index, row) : rows[at];
        const struct known_row known = {key, (uint32_t)at, (uint32_t)(best >> 32)};
        nlsh__bytes_add(&b->mine, &known, sizeof known);
    }
}

/* What a shard said of one of them. */
static void take_known(const struct nlsh__shards *s, const struct known_row *known, size_t n_each,
                       const struct nlsh__shards_known *out)
{
    const struct nlsh__query *query = &s->block->searchers[known->at / n_each]->query;
    if (out->scores != NULL) out->scores[known->at] = known->score;
    if (out->keys != NULL) out->keys[known->at] = known->key;
    if (out->distances != NULL)
        out->distances[known->at] =
            nlsh__exact_distance(s->lead, query, (uint64_t)known->score << 32);
}

enum nlsh_status nlsh__shards_block_know(struct nlsh__shards *s, const struct nlsh_matrix *queries,
                                         const uint32_t *rows, size_t n_each,
                                         const struct nlsh__shards_known *out,
                                         struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__shards_block *b = s->block;
    b->mine.n = 0;
    s->in_step = 0;
    NLSH_TRY(reserve(s, queries->n_rows, error));
    for (size_t q = 0; q < queries->n_rows; q++)
        NLSH_TRY(nlsh__query_set(&b->searchers[q]->query, s->lead, queries, q, error));
    for (size_t i = 0; i < b->n_own; i++) {
        NLSH_TRY(find_places(s->own[b->own[i]], &b->places[i], error));
        score_own(s, i, queries->n_rows, rows, n_each);
    }
    if (b->mine.failed) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    NLSH_TRY(nlsh__shards_gather(s, &b->mine, &b->all, b->ends, error));
    s->in_step = 1;
    struct nlsh__reader from = {b->all.at, b->all.n, 0};
    while (out != NULL && from.left > 0) {
        struct known_row known;
        nlsh__bytes_take(&from, &known, sizeof known);
        if (known.at < queries->n_rows * n_each) take_known(s, &known, n_each, out);
    }
out:
    return status;
}
