/*
 * exact.c - exact nearest neighbours by brute force.
 *
 * The base is packed once into a panel (kernels/panel.h); blocks of queries go over it, tile by
 * tile, each query with its k best so far and the worst of them as its threshold. Nearly all
 * products fail the threshold inside a register, so the cost is that of the products alone. The
 * method is ours; blocking as in Goto and van de Geijn, "Anatomy of high-performance matrix
 * multiplication", 2008.
 *
 * This takes the place of library matrix products: on the 2-core AVX-512 machine of the design
 * those needed a second pass over the products, 40 % of the time.
 *
 * Floats: |x|^2 - 2 x.q loses digits where norms are large beside distances. The mean of the base
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
#include "graph/graph.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/topk.h"

enum {
    /* Queries a task. Each block goes over the whole base, which comes from memory or the third-level
     * cache: as many as stay in the second-level one, fewer where there are few. */
    MOST_BLOCK = 1024,
    LEAST_BLOCK = 96,
    BLOCK_BYTES = 600 << 10,
    /* Groups between two updates of the thresholds, fewer while these fall fast. */
    TILE_GROUPS = 64,
    FIRST_TILE_GROUPS = 16,
    FIRST_GROUPS = 256,
    SPARE = 8
};

/* One worker's. */
struct scratch {
    void *queries; /* [block x padded dim] i8, or [block x dim] f32 */
    union {
        int32_t *i32;
        float *f32;
    } thresholds;   /* [block] */
    uint64_t *keys; /* [block x keep] */
    struct nlsh__hits hits;
};

struct exact {
    const struct nlsh_matrix *base, *queries;
    struct nlsh__panel_u8 panel_u8;
    struct nlsh__panel_f32 panel_f32;
    float *mean; /* [dim], floats only */
    size_t k, keep;
    size_t block; /* queries a task */
    size_t most;  /* neighbours that there are */
    int exclude_self;
    int inner;               /* 1: by inner product */
    double longest;          /* inner: length of the longest base row */
    struct scratch *scratch; /* [n_threads] */
    struct nlsh__neighbors *out;
};

static void scratch_free(struct scratch *s)
{
    nlsh__free(s->queries);
    nlsh__free(s->thresholds.i32);
    nlsh__free(s->keys);
    nlsh__free(s->hits.n);
    nlsh__free(s->hits.ids);
    nlsh__free(s->hits.scores.i32);
}

/* A multiple of 32, which is what the widest kernel takes at once. */
static size_t block_size(const struct nlsh_matrix *queries)
{
    size_t bytes = queries->dim * (queries->type == NLSH_U8 ? 1 : sizeof(float));
    size_t n = BLOCK_BYTES / bytes, few = queries->n_rows / 32;
    if (n > few) n = few;
    n = n / 32 * 32;
    return n < LEAST_BLOCK ? LEAST_BLOCK : n > MOST_BLOCK ? MOST_BLOCK : n;
}

/* How many groups to take behind group g before thresholds are brought up to date. */
static size_t groups_from(size_t g, size_t n_groups)
{
    size_t n = g < FIRST_GROUPS ? FIRST_TILE_GROUPS : TILE_GROUPS;
    return n < n_groups - g ? n : n_groups - g;
}

static enum nlsh_status scratch_create(struct scratch *s, size_t block, size_t dim, size_t keep,
                                       struct nlsh_error *error)
{
    enum nlsh_status status;
    s->hits.capacity = NLSH__GROUP * (TILE_GROUPS + 1);
    NLSH_TRY(nlsh__alloc(&s->queries, block, (dim + 3) / 4 * 16, error));
    NLSH_TRY(nlsh__alloc(&s->thresholds.i32, block, 4, error));
    NLSH_TRY(nlsh__alloc(&s->keys, block * keep, sizeof *s->keys, error));
    NLSH_TRY(nlsh__calloc(&s->hits.n, block, 4, error));
    NLSH_TRY(nlsh__alloc(&s->hits.ids, block * s->hits.capacity, 4, error));
    NLSH_TRY(nlsh__alloc(&s->hits.scores.i32, block * s->hits.capacity, 4, error));
out:
    return status;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void merge_u8(const struct exact *e, struct scratch *s, size_t first, size_t n,
                     const int32_t *norms)
{
    for (size_t q = 0; q < n; q++) {
        uint64_t *keys = s->keys + q * e->keep;
        const uint32_t *ids = s->hits.ids + q * s->hits.capacity;
        const int32_t *scores = s->hits.scores.i32 + q * s->hits.capacity;
        if (s->hits.n[q] == 0) continue;
        for (size_t h = 0; h < s->hits.n[q]; h++) {
            if (e->exclude_self && ids[h] == first + q) continue;
            nlsh__topk_push(keys, e->keep, nlsh__key_u32((uint32_t)(scores[h] + norms[q]), ids[h]));
        }
        s->hits.n[q] = 0;
        uint64_t worst = keys[e->keep - 1];
        if (worst != UINT64_MAX) s->thresholds.i32[q] = (int32_t)(worst >> 32) - norms[q];
    }
}

static void block_u8(const struct exact *e, struct scratch *s, size_t first, size_t n)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    size_t dim = e->base->dim, padded = e->panel_u8.n_chunks * 4;
    int32_t norms[MOST_BLOCK];
    for (size_t q = 0; q < n; q++) {
        const uint8_t *query = (const uint8_t *)e->queries->data + (first + q) * dim;
        nlsh__panel_u8_query(query, dim, (int8_t *)s->queries + q * padded);
        norms[q] = nlsh__norm_u8(query, dim);
        s->thresholds.i32[q] = INT32_MAX;
    }
    for (size_t g = 0, n_groups; g < e->panel_u8.n_groups; g += n_groups) {
        n_groups = groups_from(g, e->panel_u8.n_groups);
        kernels->panel_u8(&e->panel_u8, g, n_groups, s->queries, n, s->thresholds.i32, &s->hits);
        merge_u8(e, s, first, n, norms);
    }
    for (size_t q = 0; q < n; q++) {
        nlsh__topk_sort(s->keys + q * e->keep, e->keep);
        for (size_t i = 0; i < e->k; i++) {
            uint64_t key = s->keys[q * e->keep + i];
            e->out->ids[(first + q) * e->k + i] = (uint32_t)key;
            e->out->l2sq[(first + q) * e->k + i] =
                key == UINT64_MAX ? INFINITY : (float)(uint32_t)(key >> 32);
        }
    }
}

/* ---- floats ---------------------------------------------------------------------------------- */

static void merge_f32(const struct exact *e, struct scratch *s, size_t first, size_t n)
{
    for (size_t q = 0; q < n; q++) {
        uint64_t *keys = s->keys + q * e->keep;
        const uint32_t *ids = s->hits.ids + q * s->hits.capacity;
        const float *scores = s->hits.scores.f32 + q * s->hits.capacity;
        if (s->hits.n[q] == 0) continue;
        for (size_t h = 0; h < s->hits.n[q]; h++) {
            if (e->exclude_self && ids[h] == first + q) continue;
            nlsh__topk_push(keys, e->keep, nlsh__key_u32(nlsh__ordered_f32(scores[h]), ids[h]));
        }
        s->hits.n[q] = 0;
        uint64_t worst = keys[e->keep - 1];
        if (worst != UINT64_MAX)
            s->thresholds.f32[q] = nlsh__from_ordered_f32((uint32_t)(worst >> 32));
    }
}

/* The key of base row id for query row. */
static uint64_t direct_key(const struct exact *e, size_t row, uint32_t id)
{
    size_t dim = e->base->dim;
    const float *query = (const float *)e->queries->data + row * dim;
    const float *x = (const float *)e->base->data + (size_t)id * dim;
    if (e->inner)
        return nlsh__key_u32(nlsh__ordered_f32(-nlsh__kernels()->dot_f32(query, x, dim)), id);
    return nlsh__key_f32(nlsh__kernels()->l2sq_f32(query, x, dim), id);
}

static float direct_score(const struct exact *e, uint64_t key)
{
    if (key == UINT64_MAX) return INFINITY;
    return e->inner ? nlsh__from_ordered_f32((uint32_t)(key >> 32)) : nlsh__key_score_f32(key);
}

/* Ranks what was kept by direct distances. */
static void rerank_f32(const struct exact *e, uint64_t *keys, size_t row)
{
    size_t n = 0;
    while (n < e->keep && keys[n] != UINT64_MAX) n++;
    for (size_t i = 0; i < n; i++) keys[i] = direct_key(e, row, (uint32_t)keys[i]);
    for (size_t i = 1; i < n; i++) {
        uint64_t key = keys[i];
        size_t j = i;
        for (; j > 0 && keys[j - 1] > key; j--) keys[j] = keys[j - 1];
        keys[j] = key;
    }
}

/*
 * How far a score plus norm = |q|^2, and a direct distance, may together be off, for a row no
 * farther than l2sq. Such a row's own length is at most |q| + sqrt(l2sq), so that the terms of either
 * add up to at most (2 |q| + sqrt(l2sq))^2, and each goes through at most dim + 6 roundings (Higham,
 * "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1); the rest is for underflow.
 */
static double rounding(size_t dim, double norm, double l2sq)
{
    double length = 2 * sqrt(norm) + sqrt(l2sq);
    return 2 * ((double)dim + 6) * (FLT_EPSILON / 2.0) * length * length + (double)dim * FLT_MIN;
}

/* The same for the score -2 x.q and the negated product: the terms of either add up to at most
 * |x| |q| (Cauchy and Schwarz). */
static float reach_inner(const struct exact *e, double norm, const uint64_t *keys)
{
    double product = sqrt(norm) * e->longest, worst = (double)direct_score(e, keys[e->k - 1]);
    if (!(product < FLT_MAX / 16)) return INFINITY;
    double slack = 4 * (((double)e->base->dim + 6) * (FLT_EPSILON / 2.0) * product +
                        (double)e->base->dim * FLT_MIN);
    return nextafterf((float)(2 * worst + slack), INFINITY);
}

/* What a row's score must be below for the row to come into question beside the k of keys. Infinity
 * where scores of such rows may have overflowed. */
static float reach_f32(const struct exact *e, const float *centred, const uint64_t *keys)
{
    size_t dim = e->base->dim;
    double norm = 0;
    for (size_t d = 0; d < dim; d++) norm += (double)centred[d] * (double)centred[d];
    if (e->inner) return reach_inner(e, norm, keys);
    double l2sq = (double)nlsh__key_score_f32(keys[e->k - 1]);
    if (!(norm < FLT_MAX / 16 && l2sq < FLT_MAX / 16)) return INFINITY;
    return nextafterf((float)(l2sq - norm + rounding(dim, norm, l2sq)), INFINITY);
}

/* The second pass, over the n queries of the block that again names. */
static void measure_f32(const struct exact *e, struct scratch *s, size_t first,
                        const uint32_t *again, size_t n)
{
    size_t dim = e->base->dim;
    float *queries = s->queries;
    for (size_t i = 0; i < n; i++) {
        memmove(queries + i * dim, queries + again[i] * dim, dim * sizeof *queries);
        s->thresholds.f32[i] = s->thresholds.f32[again[i]];
        nlsh__topk_clear(s->keys + again[i] * e->keep, e->keep);
    }
    for (size_t g = 0, n_groups; g < e->panel_f32.n_groups; g += n_groups) {
        n_groups = groups_from(g, e->panel_f32.n_groups);
        nlsh__kernels()->panel_f32(&e->panel_f32, g, n_groups, queries, n, s->thresholds.f32,
                                   &s->hits);
        for (size_t i = 0; i < n; i++) {
            const uint32_t *ids = s->hits.ids + i * s->hits.capacity;
            for (size_t h = 0; h < s->hits.n[i]; h++)
                if (!e->exclude_self || ids[h] != first + again[i])
                    nlsh__topk_push(s->keys + again[i] * e->keep, e->keep,
                                    direct_key(e, first + again[i], ids[h]));
            s->hits.n[i] = 0;
        }
    }
    for (size_t i = 0; i < n; i++) nlsh__topk_sort(s->keys + again[i] * e->keep, e->keep);
}

static void block_f32(const struct exact *e, struct scratch *s, size_t first, size_t n)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    size_t dim = e->base->dim;
    const float *rows = (const float *)e->queries->data + first * dim;
    for (size_t q = 0; q < n; q++) {
        for (size_t d = 0; d < dim; d++)
            ((float *)s->queries)[q * dim + d] = rows[q * dim + d] - e->mean[d];
        s->thresholds.f32[q] = INFINITY;
    }
    for (size_t g = 0, n_groups; g < e->panel_f32.n_groups; g += n_groups) {
        n_groups = groups_from(g, e->panel_f32.n_groups);
        kernels->panel_f32(&e->panel_f32, g, n_groups, s->queries, n, s->thresholds.f32, &s->hits);
        merge_f32(e, s, first, n);
    }
    uint32_t again[MOST_BLOCK];
    size_t n_again = 0;
    for (size_t q = 0; q < n; q++) {
        uint64_t *keys = s->keys + q * e->keep;
        uint64_t last = keys[e->keep - 1];
        nlsh__topk_sort(keys, e->keep);
        rerank_f32(e, keys, first + q);
        if (last == UINT64_MAX || e->keep == e->most) continue; /* nothing was left out */
        s->thresholds.f32[q] = reach_f32(e, (float *)s->queries + q * dim, keys);
        if (s->thresholds.f32[q] == INFINITY)
            keys[e->k - 1] = UINT64_MAX; /* which check_overflow() finds */
        else if (!(nlsh__from_ordered_f32((uint32_t)(last >> 32)) >= s->thresholds.f32[q]))
            again[n_again++] = (uint32_t)q;
    }
    if (n_again > 0) measure_f32(e, s, first, again, n_again);
    for (size_t q = 0; q < n; q++)
        for (size_t i = 0; i < e->k; i++) {
            uint64_t key = s->keys[q * e->keep + i];
            e->out->ids[(first + q) * e->k + i] = (uint32_t)key;
            e->out->l2sq[(first + q) * e->k + i] = direct_score(e, key);
        }
}

static enum nlsh_status mean_of(const struct nlsh_matrix *base, float *mean,
                                struct nlsh_error *error)
{
    double *sum;
    enum nlsh_status status = nlsh__calloc(&sum, base->dim, sizeof *sum, error);
    if (status != NLSH_OK) return status;
    const float *rows = base->data;
    for (size_t i = 0; i < base->n_rows; i++)
        for (size_t d = 0; d < base->dim; d++) sum[d] += (double)rows[i * base->dim + d];
    for (size_t d = 0; d < base->dim; d++) mean[d] = (float)(sum[d] / (double)base->n_rows);
    nlsh__free(sum);
    return NLSH_OK;
}

/* ---- both ------------------------------------------------------------------------------------ */

static void task(void *ctx, size_t number, size_t worker)
{
    const struct exact *e = ctx;
    struct scratch *s = &e->scratch[worker];
    size_t first = number * e->block;
    size_t n = e->queries->n_rows - first < e->block ? e->queries->n_rows - first : e->block;
    nlsh__topk_clear(s->keys, n * e->keep);
    if (e->base->type == NLSH_U8)
        block_u8(e, s, first, n);
    else
        block_f32(e, s, first, n);
}

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

/* By inner product scores are -2 x.q: a row that is there adds nothing of its own. */
static void prepare_inner(struct exact *e)
{
    const float *rows = e->base->data;
    double longest = 0;
    for (size_t i = 0; i < e->base->n_rows; i++) {
        double norm = 0;
        for (size_t d = 0; d < e->base->dim; d++) {
            double v = (double)rows[i * e->base->dim + d];
            norm += v * v;
        }
        longest = fmax(longest, norm);
        e->panel_f32.bias[i] = 0;
    }
    e->longest = sqrt(longest);
}

static enum nlsh_status neighbors(const struct nlsh_matrix *base, const struct nlsh_matrix *queries,
                                  size_t k, int inner, int exclude_self, const char *stage,
                                  const struct nlsh__job *job, struct nlsh__neighbors *out,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_threads = nlsh__pool_n_threads(job->pool);
    struct exact e = {.base = base,
                      .queries = queries,
                      .k = k,
                      .keep = k,
                      .block = block_size(queries),
                      .exclude_self = exclude_self,
                      .inner = inner,
                      .out = out};
    e.most = base->n_rows - (exclude_self ? 1 : 0);
    *out = (struct nlsh__neighbors){.n_rows = queries->n_rows, .k = k};
    NLSH_TRY(nlsh__calloc(&e.scratch, n_threads, sizeof *e.scratch, error));
    NLSH_TRY(nlsh__alloc(&out->ids, queries->n_rows * k, sizeof *out->ids, error));
    NLSH_TRY(nlsh__alloc(&out->l2sq, queries->n_rows * k, sizeof *out->l2sq, error));
    if (base->type == NLSH_U8) {
        NLSH_TRY(nlsh__panel_u8_create(base->data, base->n_rows, base->dim, &e.panel_u8, error));
    } else {
        e.keep = k + SPARE < e.most ? k + SPARE : e.most;
        NLSH_TRY(nlsh__calloc(&e.mean, base->dim, sizeof *e.mean, error));
        if (!inner) NLSH_TRY(mean_of(base, e.mean, error));
        NLSH_TRY(nlsh__panel_f32_create(base->data, e.mean, base->n_rows, base->dim, &e.panel_f32,
                                        error));
        if (inner) prepare_inner(&e);
    }
    for (size_t i = 0; i < n_threads; i++)
        NLSH_TRY(scratch_create(&e.scratch[i], e.block, base->dim, e.keep, error));
    NLSH_TRY(
        nlsh__job_tasks(job, stage, (queries->n_rows + e.block - 1) / e.block, task, &e, error));
    NLSH_TRY(check_overflow(out, error));
out:
    for (size_t i = 0; e.scratch != NULL && i < n_threads; i++) scratch_free(&e.scratch[i]);
    nlsh__free(e.scratch);
    nlsh__free(e.mean);
    nlsh__panel_u8_free(&e.panel_u8);
    nlsh__panel_f32_free(&e.panel_f32);
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
