/*
 * exact.c - exact nearest neighbours by brute force.
 *
 * The base is packed once into a panel (kernels/panel.h); blocks of queries go over it, tile by
 * tile, each query with its k best so far and the worst of them as its threshold (choice.c). Nearly all
 * products fail the threshold inside a register, so the cost is that of the products alone. The
 * method is ours; blocking as in Goto and van de Geijn, "Anatomy of high-performance matrix
 * multiplication", 2008.
 *
 * In a graph base and queries are the same rows, and a product serves both of its rows: half of them are made.
 * Two blocks meet once, in rounds in which no block is in two pairs (the circle method of tournaments: Kirkman,
 * "On a problem in combinations", 1847), so that tasks do not share a list. Which keys a list ends with does not
 * depend on their order, and so not on threads.
 *
 * This takes the place of library matrix products: on the 2-core AVX-512 machine of the design
 * those needed a second pass over the products, 40 % of the time.
 *
 * Floats: |x|^2 - 2 x.q + |q|^2 loses digits where norms are large beside distances. The mean of the base
 * is taken away first, SPARE more than k are kept, and these are ranked by direct distances. Where
 * a bound on the rounding cannot exclude that a row left out is nearer (tight clusters far from the
 * mean, more copies of a row than are kept), the query goes over the base once more, and every row
 * that may be among the nearest is measured directly.
 *
 * Inner products go the same way: nothing is taken away, a row's own length does not count, and the
 * direct measure is the negated product.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "graph/choice.h"
#include "graph/graph.h"
#include "kernels/kernels.h"
#include "kernels/topk.h"

enum { SPARE = 8 };

struct exact {
    struct nlsh__choice choice;
    size_t k;
    size_t n_blocks;
    size_t round;                 /* of pairs of blocks */
    size_t most;                  /* neighbours that there are */
    double longest;               /* inner product: length of the longest base row */
    struct nlsh__picker *pickers; /* [n_threads] */
    struct nlsh__neighbors *out;
};

/* ---- bytes ----------------------------------------------------------------------------------- */

static void answer_u8(const struct exact *e, size_t first, size_t n, uint64_t *keys)
{
    size_t keep = e->choice.keep;
    for (size_t q = 0; q < n; q++) {
        nlsh__topk_sort(keys + q * keep, keep);
        for (size_t i = 0; i < e->k; i++) {
            uint64_t key = keys[q * keep + i];
            e->out->ids[(first + q) * e->k + i] = (uint32_t)key;
            e->out->l2sq[(first + q) * e->k + i] =
                key == UINT64_MAX ? INFINITY : (float)(uint32_t)(key >> 32);
        }
    }
}

/* ---- floats ---------------------------------------------------------------------------------- */

/* The key of base row id for query row. */
static uint64_t direct_key(const struct exact *e, size_t row, uint32_t id)
{
    size_t dim = e->choice.base->dim;
    const float *query = (const float *)e->choice.queries->data + row * dim;
    const float *x = (const float *)e->choice.base->data + (size_t)id * dim;
    if (e->choice.inner)
        return nlsh__key_u32(nlsh__ordered_f32(-nlsh__kernels()->dot_f32(query, x, dim)), id);
    return nlsh__key_f32(nlsh__kernels()->l2sq_f32(query, x, dim), id);
}

static float direct_score(const struct exact *e, uint64_t key)
{
    if (key == UINT64_MAX) return INFINITY;
    return e->choice.inner ? nlsh__from_ordered_f32((uint32_t)(key >> 32))
                           : nlsh__key_score_f32(key);
}

/* Ranks what was kept by direct distances. */
static void rerank_f32(const struct exact *e, uint64_t *keys, size_t row)
{
    size_t n = 0;
    while (n < e->choice.keep && keys[n] != UINT64_MAX) n++;
    for (size_t i = 0; i < n; i++) keys[i] = direct_key(e, row, (uint32_t)keys[i]);
    for (size_t i = 1; i < n; i++) {
        uint64_t key = keys[i];
        size_t j = i;
        for (; j > 0 && keys[j - 1] > key; j--) keys[j] = keys[j - 1];
        keys[j] = key;
    }
}

/* What nlsh__panel_f32_rounding() says, for the score -2 x.q and the negated product: the terms of either add up to at most
 * |x| |q| (Cauchy and Schwarz). */
static float reach_inner(const struct exact *e, double norm, const uint64_t *keys)
{
    double product = sqrt(norm) * e->longest, worst = (double)direct_score(e, keys[e->k - 1]);
    if (!(product < FLT_MAX / 16)) return INFINITY;
    double slack = 4 * (((double)e->choice.base->dim + 6) * (FLT_EPSILON / 2.0) * product +
                        (double)e->choice.base->dim * FLT_MIN);
    return nextafterf((float)(2 * worst + slack), INFINITY);
}

/* What the score of a row's key must be below for the row to come into question beside the k of keys. Infinity
 * where scores of such rows may have overflowed. */
static float reach_f32(const struct exact *e, const float *centred, const uint64_t *keys)
{
    size_t dim = e->choice.base->dim;
    double norm = 0;
    for (size_t d = 0; d < dim; d++) norm += (double)centred[d] * (double)centred[d];
    if (e->choice.inner) return reach_inner(e, norm, keys);
    double l2sq = (double)nlsh__key_score_f32(keys[e->k - 1]);
    if (!(norm < FLT_MAX / 16 && l2sq < FLT_MAX / 16)) return INFINITY;
    return nextafterf((float)(l2sq + nlsh__panel_f32_rounding(dim, norm, l2sq)), INFINITY);
}

/* The second pass, over the n queries of the block that again names: every row below a query's reach is measured.
 * A threshold is rounded once more than a key's score is. */
static void measure_f32(const struct exact *e, struct nlsh__picker *s, size_t first,
                        const uint32_t *again, size_t n, uint64_t *keys)
{
    const struct nlsh__choice *c = &e->choice;
    const struct nlsh__limits_f32 limits = {s->thresholds.f32, NULL, NULL};
    size_t dim = c->base->dim, keep = c->keep;
    float *queries = s->queries;
    for (size_t i = 0; i < n; i++) {
        memmove(queries + i * dim, queries + again[i] * dim, dim * sizeof *queries);
        s->thresholds.f32[i] =
            nextafterf(s->thresholds.f32[again[i]] - s->norms.f32[again[i]], INFINITY);
        nlsh__topk_clear(keys + again[i] * keep, keep);
    }
    for (size_t g = 0, n_groups; g < c->panel_f32.n_groups; g += n_groups) {
        n_groups = nlsh__choose_groups(g, c->panel_f32.n_groups);
        nlsh__kernels()->panel_f32(&c->panel_f32, g, n_groups, queries, n, &limits, &s->hits);
        for (size_t i = 0; i < n; i++) {
            const uint32_t *ids = s->hits.ids + i * s->hits.capacity;
            for (size_t h = 0; h < s->hits.n[i]; h++)
                if (!c->exclude_self || ids[h] != first + again[i])
                    nlsh__topk_push(keys + again[i] * keep, keep,
                                    direct_key(e, first + again[i], ids[h]));
            s->hits.n[i] = 0;
        }
    }
    for (size_t i = 0; i < n; i++) nlsh__topk_sort(keys + again[i] * keep, keep);
}

/* The block is loaded, and keys hold its choice. */
static void answer_f32(const struct exact *e, struct nlsh__picker *s, size_t first, size_t n,
                       uint64_t *keys)
{
    size_t dim = e->choice.base->dim, keep = e->choice.keep;
    uint32_t again[NLSH__MOST_BLOCK];
    size_t n_again = 0;
    for (size_t q = 0; q < n; q++) {
        uint64_t *own = keys + q * keep, last = own[keep - 1];
        nlsh__topk_sort(own, keep);
        rerank_f32(e, own, first + q);
        if (last == UINT64_MAX || keep == e->most) continue; /* nothing was left out */
        s->thresholds.f32[q] = reach_f32(e, (float *)s->queries + q * dim, own);
        if (s->thresholds.f32[q] == INFINITY)
            own[e->k - 1] = UINT64_MAX; /* which check_overflow() finds */
        else if (!(nlsh__from_ordered_f32((uint32_t)(last >> 32)) >= s->thresholds.f32[q]))
            again[n_again++] = (uint32_t)q;
    }
    if (n_again > 0) measure_f32(e, s, first, again, n_again, keys);
    for (size_t q = 0; q < n; q++)
        for (size_t i = 0; i < e->k; i++) {
            uint64_t key = keys[q * keep + i];
            e->out->ids[(first + q) * e->k + i] = (uint32_t)key;
            e->out->l2sq[(first + q) * e->k + i] = direct_score(e, key);
        }
}

/* ---- both ------------------------------------------------------------------------------------ */

static size_t rows_of(const struct exact *e, size_t block)
{
    size_t left = e->choice.queries->n_rows - block * e->choice.block;
    return left < e->choice.block ? left : e->choice.block;
}

static void answer(const struct exact *e, struct nlsh__picker *s, size_t block, uint64_t *keys)
{
    size_t first = block * e->choice.block, n = rows_of(e, block);
    if (e->choice.base->type == NLSH_U8)
        answer_u8(e, first, n, keys);
    else
        answer_f32(e, s, first, n, keys);
}

/* Queries of a block against the base. */
static void query_task(void *ctx, size_t block, size_t worker)
{
    const struct exact *e = ctx;
    const struct nlsh__choice *c = &e->choice;
    struct nlsh__picker *s = &e->pickers[worker];
    size_t first = block * c->block, n = rows_of(e, block);
    size_t n_groups = (c->base->n_rows + NLSH__GROUP - 1) / NLSH__GROUP;
    nlsh__choose_load(c, s, first, n);
    nlsh__choose(c, s, first, n, s->keys, 0, n_groups);
    answer(e, s, block, s->keys);
}

/* ---- graphs ---------------------------------------------------------------------------------- */

static void inside_task(void *ctx, size_t block, size_t worker)
{
    const struct exact *e = ctx;
    nlsh__choose_inside(&e->choice, &e->pickers[worker], block);
}

/* Blocks in a circle, filled up to an even number with one that is empty: of n, the last stays where it is and
 * meets number round, the others meet across. After n - 1 rounds all have met. */
static void pair_task(void *ctx, size_t pair, size_t worker)
{
    const struct exact *e = ctx;
    size_t circle = (e->n_blocks + 1) / 2 * 2 - 1;
    size_t a = (e->round + pair) % circle, b = (e->round + circle - pair) % circle;
    if (pair == 0) b = circle;
    if (a >= e->n_blocks || b >= e->n_blocks) return;
    nlsh__choose_between(&e->choice, &e->pickers[worker], a < b ? a : b, a < b ? b : a);
}

static void answer_task(void *ctx, size_t block, size_t worker)
{
    const struct exact *e = ctx;
    const struct nlsh__choice *c = &e->choice;
    if (c->base->type != NLSH_U8)
        nlsh__choose_load(c, &e->pickers[worker], block * c->block, rows_of(e, block));
    answer(e, &e->pickers[worker], block, c->keys + block * c->block * c->keep);
}

static enum nlsh_status graph(struct exact *e, const char *stage, const struct nlsh__job *job,
                              struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_pairs = (e->n_blocks + 1) / 2, n_rounds = 2 * n_pairs - 1;
    NLSH_TRY(nlsh__job_progress(job, stage, 0, n_rounds, error));
    nlsh__pool_run(job->pool, e->n_blocks, inside_task, e);
    for (e->round = 0; e->round < n_rounds && e->n_blocks > 1; e->round++) {
        NLSH_TRY(nlsh__job_progress(job, stage, e->round, n_rounds, error));
        nlsh__pool_run(job->pool, n_pairs, pair_task, e);
    }
    nlsh__pool_run(job->pool, e->n_blocks, answer_task, e);
    NLSH_TRY(nlsh__job_progress(job, stage, n_rounds, n_rounds, error));
out:
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static enum nlsh_status check_overflow(const struct nlsh__neighbors *neighbors,
                                       struct nlsh_error *error)
{
    for (size_t i = 0; i < neighbors->n_rows; i++)
        if (!isfinite(neighbors->l2sq[(i + 1) * neighbors->k - 1]) ||
            !isfinite(neighbors->l2sq[i * neighbors->k]))
            return nlsh__fail(error, NLSH_E_DATA, "scale the vectors down",
                              "row %zu: its squared distances or products do not fit in f32", i);
    return NLSH_OK;
}

/* The length of the longest row. */
static double longest(const struct nlsh_matrix *base)
{
    const float *rows = base->data;
    double most = 0;
    for (size_t i = 0; i < base->n_rows; i++) {
        double norm = 0;
        for (size_t d = 0; d < base->dim; d++) {
            double v = (double)rows[i * base->dim + d];
            norm += v * v;
        }
        most = fmax(most, norm);
    }
    return sqrt(most);
}

static enum nlsh_status neighbors(const struct nlsh_matrix *base, const struct nlsh_matrix *queries,
                                  size_t k, int inner, int exclude_self, const char *stage,
                                  const struct nlsh__job *job, struct nlsh__neighbors *out,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_threads = nlsh__pool_n_threads(job->pool), most = base->n_rows;
    int same = exclude_self && queries->data == base->data && queries->n_rows == base->n_rows;
    if (exclude_self) most--;
    struct exact e = {.choice = {.base = base,
                                 .queries = queries,
                                 .keep = k,
                                 .exclude_self = exclude_self,
                                 .inner = inner},
                      .k = k,
                      .most = most,
                      .longest = inner ? longest(base) : 0,
                      .out = out};
    if (base->type != NLSH_U8) e.choice.keep = k + SPARE < most ? k + SPARE : most;
    *out = (struct nlsh__neighbors){.n_rows = queries->n_rows, .k = k};
    NLSH_TRY(nlsh__calloc(&e.pickers, n_threads, sizeof *e.pickers, error));
    NLSH_TRY(nlsh__alloc(&out->ids, queries->n_rows * k, sizeof *out->ids, error));
    NLSH_TRY(nlsh__alloc(&out->l2sq, queries->n_rows * k, sizeof *out->l2sq, error));
    NLSH_TRY(nlsh__choice_prepare(&e.choice, error));
    e.n_blocks = (queries->n_rows + e.choice.block - 1) / e.choice.block;
    if (same) NLSH_TRY(nlsh__choice_of_both(&e.choice, error));
    for (size_t i = 0; i < n_threads; i++)
        NLSH_TRY(nlsh__picker_create(&e.choice, &e.pickers[i], error));
    if (same)
        NLSH_TRY(graph(&e, stage, job, error));
    else
        NLSH_TRY(nlsh__job_tasks(job, stage, e.n_blocks, query_task, &e, error));
    NLSH_TRY(check_overflow(out, error));
out:
    for (size_t i = 0; e.pickers != NULL && i < n_threads; i++) nlsh__picker_free(&e.pickers[i]);
    nlsh__free(e.pickers);
    nlsh__choice_free(&e.choice);
    if (status != NLSH_OK) {
        nlsh__free(out->ids);
        nlsh__free(out->l2sq);
        *out = (struct nlsh__neighbors){0};
    }
    return status;
}

enum nlsh_status
nlsh__exact_neighbors(const struct nlsh_matrix *base, const struct nlsh_matrix *queries, size_t k,
                      int exclude_self, const char *stage, const struct nlsh__job *job,
                      struct nlsh__neighbors *out, struct nlsh_error *error)
{
    return neighbors(base, queries, k, 0, exclude_self, stage, job, out, error);
}

enum nlsh_status nlsh__exact_inner(const struct nlsh_matrix *base,
                                   const struct nlsh_matrix *queries, size_t k, int exclude_self,
                                   const char *stage, const struct nlsh__job *job,
                                   struct nlsh__neighbors *out, struct nlsh_error *error)
{
    return neighbors(base, queries, k, 1, exclude_self, stage, job, out, error);
}
