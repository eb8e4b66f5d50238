/*
 * scan.c - see scan.h.
 *
 * Buckets are scanned by their codes in rounds whose scores stay in the cache. Of the first round
 * the rows that are surely or nearly the k best by score are ranked exactly, which gives a limit: the
 * k-th exact distance. What else may lie below it, its score being off by so and so many times the
 * error that its code is known to have, is ranked too, and the limit tightens. The margin was measured
 * when the index was built (build/encode.c). Such bounds from a code's own error are RaBitQ's idea
 * (Gao and Long, SIGMOD 2024, 3.2.2); the codes and the errors here are others.
 *
 * Selecting the rows takes no branch that depends on a score: nlsh__kernels' bound_f32, below_f32.
 */
#include "search/scan.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/metric.h"
#include "kernels/panel.h"
#include "kernels/prefetch.h"
#include "kernels/select.h"
#include "kernels/topk.h"
#include "search/leaves.h"

/* Shares of the margin with which leaves are chosen one after another. SIFT-1M at --recall .95: with the
 * whole margin at once 8,694 vectors are scanned for recall .9652, with these 6,300 for .9576. */
static const float margin_shares[] = {0.8f, 1};

enum {
    ROUND = NLSH__ROUND,
    BATCH = 16,         /* rows ranked at the same limit */
    FETCHED_GROUPS = 8, /* of a bucket, before it is scanned */
    MOST_QUICK_K = 16   /* bound_f32's */
};

enum nlsh_status nlsh__scan_create(const struct nlsh_index *index, struct nlsh__scan *scan,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    if (index->codes_view == NULL) return NLSH_OK;
    size_t stride = index->codes_view->layout.stride;
    NLSH_TRY(nlsh__calloc(&scan->origin, stride, sizeof(float), error));
    NLSH_TRY(nlsh__alloc(&scan->weights, stride, 1, error));
    NLSH_TRY(nlsh__alloc(&scan->scores, ROUND, sizeof(float), error));
    NLSH_TRY(nlsh__alloc(&scan->rows, ROUND + NLSH__GROUP, sizeof *scan->rows, error));
    NLSH_TRY(nlsh__alloc(&scan->least, ROUND + NLSH__GROUP, sizeof *scan->least, error));
    NLSH_TRY(nlsh__alloc(&scan->pieces, ROUND / NLSH__GROUP, sizeof *scan->pieces, error));
    if (index->leaves_view == NULL) return NLSH_OK;
    NLSH_TRY(nlsh__alloc(&scan->slots, ROUND / NLSH__GROUP, sizeof *scan->slots, error));
    NLSH_TRY(nlsh__alloc(&scan->errors, ROUND, 1, error));
out:
    return status;
}

enum nlsh_status nlsh__scan_reserve(struct nlsh__scan *scan, size_t rerank,
                                    struct nlsh_error *error)
{
    size_t need = 2 * rerank + ROUND;
    if (rerank == 0 || need <= scan->n_kept) return NLSH_OK;
    nlsh__free(scan->kept);
    scan->kept = NULL;
    scan->n_kept = 0;
    enum nlsh_status status = nlsh__alloc(&scan->kept, need, sizeof *scan->kept, error);
    if (status == NLSH_OK) scan->n_kept = need;
    return status;
}

void nlsh__scan_free(struct nlsh__scan *scan)
{
    nlsh__free(scan->origin);
    nlsh__free(scan->weights);
    nlsh__free(scan->scores);
    nlsh__free(scan->rows);
    nlsh__free(scan->least);
    nlsh__free(scan->pieces);
    nlsh__free(scan->slots);
    nlsh__free(scan->errors);
    nlsh__free(scan->kept);
}

/* ---- exactly --------------------------------------------------------------------------------- */

void nlsh__scan_rows(const struct nlsh_searcher *s, size_t first, size_t end, uint64_t *keys,
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

static size_t scan_exactly(struct nlsh_searcher *s, size_t n_buckets, size_t k)
{
    const uint32_t *offsets = s->index->bucket_offsets;
    size_t candidates = 0;
    for (size_t i = 0; i < n_buckets; i++) {
        uint32_t b = s->buckets[i];
        nlsh__scan_rows(s, offsets[b], offsets[b + 1], s->keys, k);
        candidates += offsets[b + 1] - offsets[b];
    }
    return candidates;
}

/* ---- scores ---------------------------------------------------------------------------------- */

float nlsh__query_whole(const struct nlsh_searcher *s)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    const float *mean = s->index->codes_view->mean;
    size_t dim = s->index->meta.dim;
    if (s->index->metric == NLSH_IP) return kernels->dot_f32(s->query.routed, s->query.routed, dim);
    return s->query.as_bytes ? kernels->l2sq_f32_u8(mean, s->query.bytes, dim)
                             : kernels->l2sq_f32(mean, s->query.floats, dim);
}

void nlsh__query_units(const struct nlsh_searcher *s, const float *inputs, float whole,
                       struct nlsh__units *u)
{
    const struct nlsh_index *index = s->index;
    int inner = index->metric == NLSH_IP;
    nlsh__score_units(index->codes_view, inner, inputs, whole, u);
    if (!inner) return;
    double length = nlsh__length(s->query.floats, index->meta.dim); /* of zeros all scores are 0 */
    u->factor =
        length > 0 ? (float)((double)(u->factor * index->metric_meta.query_norm) / length) : 0;
}

void nlsh__score_piece(struct nlsh_searcher *s, const float *inputs, float outside, uint32_t bucket,
                       size_t first, size_t n_groups, float *scores, struct nlsh__piece *out)
{
    const struct nlsh__codes *codes = s->index->codes_view;
    const uint32_t *offsets = s->index->bucket_offsets;
    uint32_t skipped = (uint32_t)(first * NLSH__GROUP);
    size_t left = offsets[bucket + 1] - offsets[bucket] - skipped;
    struct nlsh__probe probe;
    nlsh__probe_bucket(codes, s->index->metric == NLSH_IP, inputs, outside, bucket, s->scan.origin,
                       s->scan.weights, &probe);
    nlsh__score_rows(codes, &probe, s->scan.weights, codes->group_offsets[bucket] + first, n_groups,
                     scores);
    *out = (struct nlsh__piece){
        .first_row = offsets[bucket] + skipped,
        .n_rows = (uint32_t)(left < n_groups * NLSH__GROUP ? left : n_groups * NLSH__GROUP),
        .errors = codes->errors + codes->group_offsets[bucket] * NLSH__GROUP + skipped,
        .unit = codes->header.error_unit * probe.length,
    };
}

/* ---- choosing rows --------------------------------------------------------------------------- */

/* A score that at least k of the round have or are below. */
static float bound(struct nlsh__scan *scan, size_t k)
{
    if (k <= MOST_QUICK_K) return nlsh__kernels()->bound_f32(scan->scores, scan->n_scores, k);
    /* The same as bound_f32() with more columns: their least, of which the k-th is selected. */
    size_t columns = (4 * k + NLSH__GROUP - 1) / NLSH__GROUP * NLSH__GROUP, n = scan->n_scores;
    if (columns > n) columns = n;
    if (k > columns) return INFINITY;
    float *least = scan->columns;
    if (columns > sizeof scan->columns / sizeof *least) return INFINITY;
    memcpy(least, scan->scores, columns * sizeof *least);
    for (size_t first = columns; first < n; first += columns) {
        size_t end = n - first < columns ? n - first : columns;
        for (size_t i = 0; i < end; i++) {
            float score = scan->scores[first + i];
            least[i] = score < least[i] ? score : least[i];
        }
    }
    uint64_t *keys = scan->column_keys;
    for (size_t i = 0; i < columns; i++) keys[i] = nlsh__key_u32(nlsh__ordered_f32(least[i]), i);
    nlsh__select_smallest(keys, columns, k);
    uint64_t worst = 0;
    for (size_t i = 0; i < k; i++) worst = keys[i] > worst ? keys[i] : worst;
    return nlsh__from_ordered_f32((uint32_t)(worst >> 32));
}

/* The k-th exact score as a code's score; +infinity where there are not k yet. */
static float current_limit(const struct nlsh_searcher *s, size_t k)
{
    const struct nlsh__units *u = &s->scan.units;
    uint64_t key = s->keys[k - 1];
    if (key == UINT64_MAX) return INFINITY;
    uint32_t bits = (uint32_t)(key >> 32);
    float score = s->query.as_bytes             ? (float)bits
                  : s->index->metric == NLSH_IP ? nlsh__from_ordered_f32(bits)
                                                : nlsh__key_score_f32(key);
    return score * u->factor - u->offset;
}

static void prefetch_row(const struct nlsh_index *index, size_t row)
{
    size_t row_bytes = index->meta.dim * (index->meta.storage_type == NLSH_U8 ? 1 : sizeof(float));
    nlsh__prefetch_bytes((const char *)index->vectors + row * row_bytes, row_bytes);
}

/* Exact scores of rows[n], n at most BATCH, into s->keys. n_more rows behind them may be next. */
static void rank_batch(struct nlsh_searcher *s, const uint32_t *rows, size_t n, size_t n_more,
                       size_t k)
{
    const struct nlsh_index *index = s->index;
    uint32_t l2sq[BATCH];
    for (size_t i = 0; i < n; i++) nlsh__prefetch(index->ids + rows[i]);
    if (s->query.as_bytes) {
        nlsh__kernels()->l2sq_u8_rows(s->query.bytes, index->vectors, index->meta.dim, rows, n,
                                      n_more, l2sq);
        for (size_t i = 0; i < n; i++)
            nlsh__topk_insert(s->keys, k, nlsh__key_u32(l2sq[i], index->ids[rows[i]]));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (i + NLSH__AHEAD < n + n_more) prefetch_row(index, rows[i + NLSH__AHEAD]);
        nlsh__scan_rows(s, rows[i], rows[i] + 1, s->keys, k);
    }
}

/* Ranks scan->rows[n] exactly, but for those whose least possible score is beyond the limit by
 * then; returns how many. */
static size_t rank_rows(struct nlsh_searcher *s, size_t n, size_t k)
{
    const struct nlsh__scan *scan = &s->scan;
    uint32_t batch[BATCH + NLSH__AHEAD];
    size_t from[BATCH + NLSH__AHEAD], ranked = 0;
    for (size_t i = 0; i < n && i < NLSH__AHEAD; i++) prefetch_row(s->index, scan->rows[i]);
    for (size_t i = 0; i < n;) {
        float limit = current_limit(s, k);
        size_t found = 0, j = i;
        for (; j < n && found < BATCH + NLSH__AHEAD; j++) {
            batch[found] = scan->rows[j];
            from[found] = j;
            found += scan->least[j] <= limit;
        }
        size_t now = found < BATCH ? found : BATCH;
        i = now < found ? from[now] : j;
        rank_batch(s, batch, now, found - now, k);
        ranked += now;
    }
    return ranked;
}

/* The rows of the round whose score lies above `above` and may be, margin errors off, at the limit
 * or below, into scan->rows; returns how many. */
static size_t near_rows(struct nlsh__scan *scan, float margin, float above, float limit)
{
    size_t n = 0;
    for (size_t p = 0; p < scan->n_pieces; p++) {
        const struct nlsh__piece *piece = &scan->pieces[p];
        n += nlsh__kernels()->near_f32(
            scan->scores + piece->first_score, piece->errors, piece->n_rows, margin * piece->unit,
            above, fminf(limit, FLT_MAX), piece->first_row, scan->rows + n, scan->least + n);
    }
    for (size_t i = 0; i < n && scan->by_slots; i++)
        scan->rows[i] = scan->slots[scan->rows[i] / NLSH__GROUP] + scan->rows[i] % NLSH__GROUP;
    return n;
}

/* The rows of a round that can be among the k best, ranked; returns how many. */
static size_t finish_round(struct nlsh_searcher *s, size_t k, float margin)
{
    struct nlsh__scan *scan = &s->scan;
    size_t ranked = 0, n;
    float done = -INFINITY;
    if (s->keys[k - 1] == UINT64_MAX) {
        done = fminf(bound(scan, k + k / 2), FLT_MAX);
        n = near_rows(scan, 0, -INFINITY, done);
        for (size_t i = 0; i < n; i++) scan->least[i] = -INFINITY;
        ranked = rank_rows(s, n, k);
    }
    n = near_rows(scan, margin, done, current_limit(s, k));
    return ranked + rank_rows(s, n, k);
}

/* Keeps the rerank best of all rounds by score. */
static void keep_round(struct nlsh__scan *scan, size_t rerank)
{
    size_t n = near_rows(scan, 0, -INFINITY, FLT_MAX);
    for (size_t i = 0; i < n; i++)
        scan->kept[scan->kept_now++] =
            nlsh__key_u32(nlsh__ordered_f32(scan->least[i]), scan->rows[i]);
    if (scan->kept_now <= rerank) return;
    nlsh__select_smallest(scan->kept, scan->kept_now, rerank);
    scan->kept_now = rerank;
}

static size_t rank_kept(struct nlsh_searcher *s, size_t k)
{
    struct nlsh__scan *scan = &s->scan;
    size_t ranked = 0;
    for (size_t first = 0; first < scan->kept_now; first += ROUND) {
        size_t n = scan->kept_now - first < ROUND ? scan->kept_now - first : ROUND;
        for (size_t i = 0; i < n; i++) {
            scan->rows[i] = (uint32_t)scan->kept[first + i];
            scan->least[i] = -INFINITY;
        }
        ranked += rank_rows(s, n, k);
    }
    return ranked;
}

static size_t finish(struct nlsh_searcher *s, const struct nlsh__plan *plan)
{
    size_t ranked = 0;
    if (plan->rerank > 0)
        keep_round(&s->scan, plan->rerank);
    else
        ranked = finish_round(s, plan->k, plan->margin);
    s->scan.n_scores = s->scan.n_pieces = 0;
    return ranked;
}

/* What nlsh__score_piece() will read of a bucket, or of a large one its beginning. */
void nlsh__prefetch_bucket(const struct nlsh__codes *codes, uint32_t bucket)
{
    size_t group = codes->group_offsets[bucket], row = codes->header.n_components / 8 * 64;
    size_t n_groups = codes->group_offsets[bucket + 1] - group, stride = codes->layout.stride;
    if (n_groups > FETCHED_GROUPS) n_groups = FETCHED_GROUPS;
    nlsh__prefetch_bytes(codes->centroids + bucket * stride, stride * sizeof(float));
    nlsh__prefetch_bytes(codes->bias + group * NLSH__GROUP, n_groups * NLSH__GROUP * sizeof(float));
    nlsh__prefetch_bytes(codes->errors + group * NLSH__GROUP, n_groups * NLSH__GROUP);
    nlsh__prefetch_bytes(codes->values + group * row, n_groups * row);
}

static void add_piece(struct nlsh_searcher *s, uint32_t bucket, size_t first, size_t n_groups)
{
    struct nlsh__scan *scan = &s->scan;
    struct nlsh__piece *piece = &scan->pieces[scan->n_pieces++];
    nlsh__score_piece(s, s->inputs, scan->units.outside, bucket, first, n_groups,
                      scan->scores + scan->n_scores, piece);
    piece->first_score = (uint32_t)scan->n_scores;
    scan->n_scores += n_groups * NLSH__GROUP;
}

size_t nlsh__finish_scores(struct nlsh_searcher *s, const struct nlsh__plan *plan,
                           const struct nlsh__units *units, float *scores, size_t n_scores,
                           struct nlsh__piece *pieces, size_t n_pieces)
{
    struct nlsh__scan *scan = &s->scan;
    float *own_scores = scan->scores;
    struct nlsh__piece *own_pieces = scan->pieces;
    size_t ranked = 0;
    nlsh__topk_clear(s->keys, plan->k);
    scan->units = *units;
    scan->scores = scores;
    scan->pieces = pieces;
    scan->n_scores = n_scores;
    scan->n_pieces = n_pieces;
    scan->kept_now = 0;
    if (n_scores > 0) ranked = finish(s, plan);
    if (plan->rerank > 0) ranked = rank_kept(s, plan->k);
    scan->scores = own_scores;
    scan->pieces = own_pieces;
    return ranked;
}

/* n leaves of one part, from first on, as a piece; returns how many rows they hold. */
static size_t add_leaves(struct nlsh_searcher *s, const struct nlsh__leaf_part *part, size_t first,
                         size_t n)
{
    const struct nlsh__codes *codes = s->index->codes_view;
    const struct nlsh__leaf_scan *l = &s->leaves;
    const struct nlsh__leaf_probe *p = &l->probes[part->probe];
    struct nlsh__scan *scan = &s->scan;
    size_t at = scan->n_scores, end = s->index->bucket_offsets[p->bucket + 1], n_rows = 0;
    uint32_t first_row = s->index->bucket_offsets[p->bucket];
    uint32_t first_group = codes->group_offsets[p->bucket];
    const uint32_t *groups = l->chosen + first;
    nlsh__score_rows_at(codes, &p->probe, l->weights + part->probe * codes->layout.stride, groups,
                        n, l->n_chosen - first - n, scan->scores + at);
    for (size_t i = 0; i < n; i++) {
        uint32_t row = first_row + (groups[i] - first_group) * (uint32_t)NLSH__GROUP;
        scan->slots[at / NLSH__GROUP + i] = row;
        memcpy(scan->errors + at + i * NLSH__GROUP, codes->errors + groups[i] * (size_t)NLSH__GROUP,
               NLSH__GROUP);
        n_rows += end - row < NLSH__GROUP ? end - row : NLSH__GROUP;
    }
    scan->pieces[scan->n_pieces++] = (struct nlsh__piece){
        .first_row = (uint32_t)at,
        .n_rows = (uint32_t)(n * NLSH__GROUP),
        .first_score = (uint32_t)at,
        .errors = scan->errors + at,
        .unit = codes->header.error_unit * p->probe.length,
    };
    scan->n_scores += n * NLSH__GROUP;
    return n_rows;
}

/* The rows of the chosen leaves, ranked; returns how many there are. */
static size_t scan_chosen(struct nlsh_searcher *s, const struct nlsh__plan *plan, size_t *ranked)
{
    struct nlsh__scan *scan = &s->scan;
    size_t n_rows = 0;
    for (size_t i = 0; i < s->leaves.n_parts; i++) {
        const struct nlsh__leaf_part *part = &s->leaves.parts[i];
        size_t first = part->first, left = part->n;
        while (left > 0) {
            size_t room = (ROUND - scan->n_scores) / NLSH__GROUP, n = left < room ? left : room;
            n_rows += add_leaves(s, part, first, n);
            first += n;
            left -= n;
            if (scan->n_scores == ROUND) *ranked += finish(s, plan);
        }
    }
    if (scan->n_scores > 0) *ranked += finish(s, plan);
    return n_rows;
}

/* The best leaves give a limit, and the limit says which others can matter: at first with a smaller
 * margin, since the limit falls yet. */
static size_t scan_by_leaves(struct nlsh_searcher *s, const struct nlsh__plan *plan,
                             size_t *reranked)
{
    s->scan.n_scores = s->scan.n_pieces = s->scan.kept_now = 0;
    s->scan.by_slots = 1;
    *reranked = 0;
    nlsh__leaves_first(s, plan->k);
    size_t n = scan_chosen(s, plan, reranked);
    for (size_t i = 0; i < sizeof margin_shares / sizeof *margin_shares; i++) {
        nlsh__leaves_within(s, margin_shares[i], current_limit(s, plan->k));
        n += scan_chosen(s, plan, reranked);
    }
    s->scan.by_slots = 0;
    return n;
}

static size_t scan_by_codes(struct nlsh_searcher *s, const struct nlsh__plan *plan,
                            size_t n_buckets, size_t *reranked)
{
    const struct nlsh__codes *codes = s->index->codes_view;
    const uint32_t *offsets = s->index->bucket_offsets;
    struct nlsh__scan *scan = &s->scan;
    size_t candidates = 0, ranked = 0;
    nlsh__prefetch_bucket(codes, s->buckets[0]);
    nlsh__query_units(s, s->inputs, nlsh__query_whole(s), &scan->units);
    if (plan->by_leaves && nlsh__leaves_score(s, plan, n_buckets))
        return scan_by_leaves(s, plan, reranked);
    scan->n_scores = scan->n_pieces = scan->kept_now = 0;
    for (size_t i = 0; i < n_buckets; i++) {
        uint32_t b = s->buckets[i];
        size_t left = codes->group_offsets[b + 1] - codes->group_offsets[b], first = 0;
        candidates += offsets[b + 1] - offsets[b];
        if (i + 1 < n_buckets) nlsh__prefetch_bucket(codes, s->buckets[i + 1]);
        while (left > 0) {
            size_t room = (ROUND - scan->n_scores) / NLSH__GROUP, n = left < room ? left : room;
            if (n > 0) add_piece(s, b, first, n);
            first += n;
            left -= n;
            if (scan->n_scores == ROUND) ranked += finish(s, plan);
        }
    }
    if (scan->n_scores > 0) ranked += finish(s, plan);
    if (plan->rerank > 0) ranked = rank_kept(s, plan->k);
    *reranked = ranked;
    return candidates;
}

size_t nlsh__scan_buckets(struct nlsh_searcher *s, const struct nlsh__plan *plan, size_t n_buckets,
                          size_t *reranked)
{
    nlsh__topk_clear(s->keys, plan->k);
    if (plan->by_codes) return scan_by_codes(s, plan, n_buckets, reranked);
    return *reranked = scan_exactly(s, n_buckets, plan->k);
}
