/* walker.c - see walker.h. */
#include "shards/walker.h"

#include <float.h>
#include <math.h>

#include "kernels/kernels.h"
#include "kernels/topk.h"

_Static_assert(sizeof(struct nlsh__near_row) == 16, "no padding");

enum nlsh_status nlsh__walker_create(const struct nlsh_index *index, const uint32_t *rows,
                                     uint32_t number, struct nlsh__walker *out,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    *out = (struct nlsh__walker){.index = index, .rows = rows, .number = number};
    NLSH_TRY(nlsh__scan_create(index, &out->scan, error));
    NLSH_TRY(nlsh__alloc(&out->pieces, NLSH__ROUND / NLSH__GROUP, sizeof *out->pieces, error));
out:
    return status;
}

void nlsh__walker_free(struct nlsh__walker *w)
{
    nlsh__scan_free(&w->scan);
    nlsh__free(w->pieces);
    nlsh__free(w->best);
    *w = (struct nlsh__walker){.index = NULL};
}

enum nlsh_status nlsh__walker_begin(struct nlsh__walker *w, size_t k, struct nlsh_error *error)
{
    w->round = w->candidates = 0;
    w->n_pieces = w->n_scores = 0;
    if (k <= w->n_best) return NLSH_OK;
    nlsh__free(w->best);
    w->best = NULL;
    w->n_best = 0;
    enum nlsh_status status = nlsh__alloc(&w->best, k, sizeof *w->best, error);
    if (status == NLSH_OK) w->n_best = k;
    return status;
}

static int is_own(const struct nlsh__walker *w, const struct nlsh__walk *walk, size_t i)
{
    return walk->whole->owners[walk->routed.buckets[i]] == w->number;
}

/* A key of this shard's as the whole has it. Rows ascend, so that the order of keys stays. */
static uint64_t key_of_whole(const struct nlsh__walker *w, uint64_t key)
{
    return w->rows == NULL ? key : key >> 32 << 32 | w->rows[(uint32_t)key];
}

/* ---- columns ----------------------------------------------------------------------------------- */

/* n scores, the first of which stands at a position of all. */
static void fill_columns(const float *scores, size_t n, size_t position, float *columns,
                         size_t n_columns)
{
    for (size_t i = 0; i < n && n_columns > 0; i++) {
        size_t c = (position + i) % n_columns;
        columns[c] = scores[i] < columns[c] ? scores[i] : columns[c];
    }
}

static void send_columns(const struct nlsh__walk *walk, const float *columns,
                         struct nlsh__bytes *to)
{
    nlsh__bytes_add(to, columns, nlsh__walk_columns(walk) * sizeof *columns);
}

/* ---- leaves ------------------------------------------------------------------------------------ */

static void answer_leaves(struct nlsh__walker *w, const struct nlsh__walk *walk,
                          struct nlsh__bytes *to)
{
    struct nlsh__leaf_scan *l = &w->scan.leaves;
    size_t n_columns = nlsh__walk_columns(walk), position = 0, probe = 0;
    const struct nlsh__leaves_of of = {
        .index = w->index,
        .inputs = walk->routed.inputs,
        .origin = w->scan.origin,
        .outside = walk->units.outside,
        .buckets = walk->routed.buckets,
        .probabilities = walk->routed.probabilities,
        .n_buckets = walk->routed.n_buckets,
        .margin = walk->plan->leaf_margin,
    };
    float *columns = w->scan.scores; /* nothing else is scored yet */
    for (size_t c = 0; c < n_columns; c++) columns[c] = INFINITY;
    nlsh__leaves_begin(l);
    nlsh__leaves_add(l, &w->index->segments[0], NULL);
    nlsh__leaves_score(l, &of);
    for (size_t i = 0; i < walk->routed.n_buckets; i++) {
        uint32_t b = walk->routed.buckets[i];
        size_t n = nlsh__groups_of_rows(nlsh__groups_of_rows(walk->whole->sizes[b])) * NLSH__GROUP;
        if (probe < l->segments[0].n_probes && l->probes[probe].bucket == b)
            fill_columns(l->scores + l->probes[probe++].first_score, n, position, columns,
                         n_columns);
        position += n;
    }
    send_columns(walk, columns, to);
}

/* The leaves that were chosen of a bucket; NULL: none. */
static const struct nlsh__leaf_part *part_of(const struct nlsh__leaf_scan *l, uint32_t bucket)
{
    for (size_t i = 0; i < l->n_parts; i++)
        if (l->probes[l->parts[i].probe].bucket == bucket) return &l->parts[i];
    return NULL;
}

static void answer_counts(struct nlsh__walker *w, const struct nlsh__walk *walk,
                          struct nlsh__bytes *to)
{
    struct nlsh__leaf_scan *l = &w->scan.leaves;
    nlsh__leaves_within(l, walk->share, walk->leaf_limit);
    for (size_t i = 0; i < walk->routed.n_buckets; i++) {
        if (!is_own(w, walk, i)) continue;
        const struct nlsh__leaf_part *part = part_of(l, walk->routed.buckets[i]);
        uint32_t n = part != NULL ? part->n : 0;
        nlsh__bytes_add(to, &n, sizeof n);
    }
}

/* ---- a round ----------------------------------------------------------------------------------- */

/* n groups of the query's i-th bucket, from its first-th on. */
static void score_groups(struct nlsh__walker *w, const struct nlsh__walk *walk, size_t i,
                         size_t first, size_t n, size_t position)
{
    struct nlsh__placed_piece *p = &w->pieces[w->n_pieces++];
    uint32_t b = walk->routed.buckets[i];
    if (walk->by_leaves) {
        const struct nlsh__leaf_part *part = part_of(&w->scan.leaves, b);
        w->candidates += (uint32_t)nlsh__score_leaves(&w->scan, part, part->first + first, n,
                                                      w->n_scores, &p->piece);
    } else {
        const struct nlsh__groups_of g = {b, first, n};
        nlsh__score_piece(&w->scan, w->index, &w->index->segments[0], walk->routed.inputs,
                          walk->units.outside, &g, w->scan.scores + w->n_scores, &p->piece);
        w->candidates += p->piece.n_rows;
    }
    p->piece.first_score = (uint32_t)w->n_scores;
    p->position = (uint32_t)position;
    w->n_scores += n * NLSH__GROUP;
}

/* What of the walk's round stands here, scored once. */
static void score_round(struct nlsh__walker *w, const struct nlsh__walk *walk)
{
    size_t begin = 0, last = walk->first + walk->n_round;
    if (w->round == walk->round) return;
    w->round = walk->round;
    w->n_pieces = w->n_scores = 0;
    for (size_t i = 0; i < walk->routed.n_buckets && begin < last; i++) {
        size_t end = begin + nlsh__walk_groups(walk, i);
        size_t from = begin > walk->first ? begin : walk->first, to = end < last ? end : last;
        if (from < to && is_own(w, walk, i))
            score_groups(w, walk, i, from - begin, to - from, (from - walk->first) * NLSH__GROUP);
        begin = end;
    }
}

static void answer_bound(struct nlsh__walker *w, const struct nlsh__walk *walk,
                         struct nlsh__bytes *to)
{
    float *columns = w->scan.chooser.columns;
    size_t n_columns = nlsh__walk_columns(walk);
    score_round(w, walk);
    for (size_t c = 0; c < n_columns; c++) columns[c] = INFINITY;
    for (size_t i = 0; i < w->n_pieces; i++) {
        const struct nlsh__placed_piece *p = &w->pieces[i];
        size_t n = (p->piece.n_rows + NLSH__GROUP - 1) / NLSH__GROUP * NLSH__GROUP;
        fill_columns(w->scan.scores + p->piece.first_score, n, p->position, columns, n_columns);
    }
    send_columns(walk, columns, to);
}

/* Rows of a piece whose score lies above `above` and may be, margin errors off, at the limit or below, into the chooser's
 * places, as numbers of the piece's scores, and least; returns how many. */
static size_t near_rows(struct nlsh__walker *w, const struct nlsh__piece *piece, float margin,
                        float above, float limit)
{
    return nlsh__kernels()->near_f32(
        w->scan.scores + piece->first_score, piece->errors, piece->n_rows, margin * piece->unit,
        above, fminf(limit, FLT_MAX), 0, w->scan.chooser.places, w->scan.chooser.least);
}

/* Asks for those rows of all pieces together, where they may have to come from a disk. */
static void fetch_near(struct nlsh__walker *w, float margin, float above, float limit)
{
    const struct nlsh__segment *segment = &w->index->segments[0];
    struct nlsh__fetch fetch;
    if (!nlsh__rows_on_disk(w->index)) return;
    nlsh__fetch_begin(&fetch);
    for (size_t i = 0; i < w->n_pieces; i++) {
        const struct nlsh__piece *piece = &w->pieces[i].piece;
        size_t found = near_rows(w, piece, margin, above, limit);
        for (size_t j = 0; j < found; j++)
            nlsh__fetch_rows(&fetch, w->index, segment,
                             nlsh__place_of(piece, w->scan.chooser.places[j]), 1);
    }
    nlsh__fetch_all(&fetch);
}

static uint64_t exact_key(const struct nlsh__walker *w, const struct nlsh__query *query,
                          const struct nlsh__piece *piece, uint32_t score)
{
    return key_of_whole(
        w, nlsh__exact_key(w->index, &w->index->segments[0], query, nlsh__place_of(piece, score)));
}

/* Room for a number that is not known yet; and when it is. */
static size_t begin_list(struct nlsh__bytes *to)
{
    uint32_t none = 0;
    nlsh__bytes_add(to, &none, sizeof none);
    return to->n - sizeof none;
}

static void end_list(struct nlsh__bytes *to, size_t at, uint32_t n)
{
    if (!to->failed) memcpy(to->at + at, &n, sizeof n);
}

static void answer_first(struct nlsh__walker *w, const struct nlsh__walk *walk,
                         const struct nlsh__query *query, struct nlsh__bytes *to)
{
    uint32_t n = 0;
    size_t at = begin_list(to);
    fetch_near(w, 0, -INFINITY, walk->done);
    for (size_t i = 0; i < w->n_pieces; i++) {
        const struct nlsh__piece *piece = &w->pieces[i].piece;
        size_t found = near_rows(w, piece, 0, -INFINITY, walk->done);
        for (size_t j = 0; j < found; j++, n++) {
            uint64_t key = exact_key(w, query, piece, w->scan.chooser.places[j]);
            nlsh__bytes_add(to, &key, sizeof key);
        }
    }
    end_list(to, at, n);
}

static void answer_near(struct nlsh__walker *w, const struct nlsh__walk *walk,
                        const struct nlsh__query *query, struct nlsh__bytes *to)
{
    uint32_t n = 0;
    size_t at = begin_list(to);
    score_round(w, walk);
    fetch_near(w, walk->plan->margin, walk->done, walk->limit);
    for (size_t i = 0; i < w->n_pieces; i++) {
        const struct nlsh__piece *piece = &w->pieces[i].piece;
        size_t found = near_rows(w, piece, walk->plan->margin, walk->done, walk->limit);
        for (size_t j = 0; j < found; j++, n++) {
            uint32_t score = w->scan.chooser.places[j];
            const struct nlsh__near_row row = {.key = exact_key(w, query, piece, score),
                                               .position = w->pieces[i].position + score,
                                               .least = w->scan.chooser.least[j]};
            nlsh__bytes_add(to, &row, sizeof row);
        }
    }
    end_list(to, at, n);
}

/* ---- all rows, and keys ------------------------------------------------------------------------ */

static void answer_all(struct nlsh__walker *w, const struct nlsh__walk *walk,
                       const struct nlsh__query *query, struct nlsh__bytes *to)
{
    uint32_t n = 0;
    size_t k = walk->plan->k, at = begin_list(to);
    const struct nlsh__ranking ranking = {.index = w->index,
                                          .segment = &w->index->segments[0],
                                          .query = query,
                                          .best = w->best,
                                          .k = k};
    const uint32_t *offsets = ranking.segment->bucket_offsets;
    nlsh__topk_clear(w->best, k);
    for (size_t i = 0; i < walk->routed.n_buckets; i++) {
        uint32_t b = walk->routed.buckets[i];
        w->candidates += (uint32_t)nlsh__rank_range(&ranking, offsets[b], offsets[b + 1]);
    }
    for (size_t j = 0; j < k; j++) {
        if (w->best[j] == UINT64_MAX) continue;
        uint64_t key = key_of_whole(w, w->best[j]);
        nlsh__bytes_add(to, &key, sizeof key);
        n++;
    }
    end_list(to, at, n);
}

uint32_t nlsh__walker_row(const struct nlsh__walker *w, uint32_t row)
{
    size_t low = 0, high = (size_t)w->index->meta.n_rows;
    if (w->rows == NULL) return row < high ? row : UINT32_MAX;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w->rows[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low < w->index->meta.n_rows && w->rows[low] == row ? (uint32_t)low : UINT32_MAX;
}

static void answer_keys(const struct nlsh__walker *w, const struct nlsh__walk *walk,
                        const uint64_t *best, struct nlsh__bytes *to)
{
    uint32_t n = 0;
    nlsh__bytes_add(to, &w->candidates, sizeof w->candidates);
    size_t at = begin_list(to);
    /* without keys of a caller's, a row's key is its number */
    for (uint32_t j = 0; j < walk->plan->k && w->index->segments[0].keys != NULL; j++) {
        uint32_t row = best[j] == UINT64_MAX ? UINT32_MAX : nlsh__walker_row(w, (uint32_t)best[j]);
        if (row == UINT32_MAX) continue;
        uint64_t key = nlsh__key_of_row(w->index, row);
        nlsh__bytes_add(to, &j, sizeof j);
        nlsh__bytes_add(to, &key, sizeof key);
        n++;
    }
    end_list(to, at, n);
}

void nlsh__walker_answer(struct nlsh__walker *w, const struct nlsh__walk *walk,
                         const struct nlsh__query *query, const uint64_t *best,
                         struct nlsh__bytes *to)
{
    switch (walk->ask) {
    case NLSH__ASK_LEAVES: answer_leaves(w, walk, to); break;
    case NLSH__ASK_COUNTS: answer_counts(w, walk, to); break;
    case NLSH__ASK_BOUND: answer_bound(w, walk, to); break;
    case NLSH__ASK_FIRST: answer_first(w, walk, query, to); break;
    case NLSH__ASK_NEAR: answer_near(w, walk, query, to); break;
    case NLSH__ASK_ALL: answer_all(w, walk, query, to); break;
    case NLSH__ASK_KEYS: answer_keys(w, walk, best, to); break;
    default: break;
    }
}
