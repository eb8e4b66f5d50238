/*
 * scan.c - see scan.h.
 *
 * Buckets are scanned by their codes in rounds whose scores stay in the cache (round.h says what follows), or
 * leaf by leaf (leaves.h); exactly, where there are no codes or all buckets are asked for. Segments come one
 * after the other, and each goes on from the best rows of those before it.
 */
#include "search/scan.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/metric.h"
#include "kernels/panel.h"
#include "kernels/prefetch.h"
#include "kernels/topk.h"

enum {
    ROUND = NLSH__ROUND,
    MOST_BETWEEN = 2,   /* groups without an allowed row: scored sooner than a run is begun anew */
    FETCHED_GROUPS = 8, /* of a bucket, before it is scanned */
    FEW_A_BUCKET = 16,  /* rows that are ranked with those of other buckets */
    FEW_TOGETHER = 256,
    FEW_AT_ONCE = 4,
    FETCHED_OF_ROW = 256 /* bytes */
};

/* ---- scratch --------------------------------------------------------------------------------- */

enum nlsh_status nlsh__scan_create(const struct nlsh_index *index, struct nlsh__scan *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    size_t stride = 0, n_groups = ROUND / NLSH__GROUP;
    *out = (struct nlsh__scan){.scores = NULL};
    for (size_t i = 0; i < index->n_segments; i++)
        if (index->segments[i].codes != NULL && index->segments[i].codes->stride > stride)
            stride = index->segments[i].codes->stride;
    if (stride == 0) return NLSH_OK;
    NLSH_TRY(nlsh__chooser_create(&out->chooser, error));
    NLSH_TRY(nlsh__leaf_scan_fit(&out->leaves, index, error));
    NLSH_TRY(nlsh__calloc(&out->origin, stride, sizeof(float), error));
    NLSH_TRY(nlsh__alloc(&out->weights, stride, 1, error));
    NLSH_TRY(nlsh__alloc(&out->scores, ROUND, sizeof(float), error));
    NLSH_TRY(nlsh__alloc(&out->pieces, n_groups, sizeof *out->pieces, error));
    NLSH_TRY(nlsh__alloc(&out->places, n_groups, sizeof *out->places, error));
    NLSH_TRY(nlsh__alloc(&out->errors, ROUND, 1, error));
out:
    return status;
}

void nlsh__scan_free(struct nlsh__scan *scan)
{
    nlsh__chooser_free(&scan->chooser);
    nlsh__leaf_scan_free(&scan->leaves);
    nlsh__free(scan->origin);
    nlsh__free(scan->weights);
    nlsh__free(scan->scores);
    nlsh__free(scan->pieces);
    nlsh__free(scan->places);
    nlsh__free(scan->errors);
}

/* ---- a query in the codes' units ------------------------------------------------------------- */

struct nlsh__query_sizes nlsh__query_sizes(const struct nlsh_index *index,
                                           const struct nlsh__segment *segment,
                                           const struct nlsh__query *query)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    const float *mean = segment->codes->mean;
    size_t dim = index->meta.dim;
    struct nlsh__query_sizes out = {.length = 0};
    if (index->metric == NLSH_IP) {
        out.whole = kernels->dot_f32(query->routed, query->routed, dim);
        out.length = nlsh__length(query->floats, dim);
    } else {
        out.whole = query->as_bytes ? kernels->l2sq_f32_u8(mean, query->bytes, dim)
                                    : kernels->l2sq_f32(mean, query->floats, dim);
    }
    return out;
}

void nlsh__sizes_units(const struct nlsh_index *index, const struct nlsh__segment *segment,
                       const struct nlsh__query_sizes *sizes, const float *inputs,
                       struct nlsh__units *out)
{
    int inner = index->metric == NLSH_IP;
    nlsh__score_units(segment->codes, inner, inputs, sizes->whole, out);
    if (!inner) return;
    double norm = (double)(out->factor * index->query_norm);
    out->factor =
        sizes->length > 0 ? (float)(norm / sizes->length) : 0; /* of zeros all scores are 0 */
}

void nlsh__query_units(const struct nlsh_index *index, const struct nlsh__segment *segment,
                       const struct nlsh__query *query, const float *inputs,
                       struct nlsh__units *out)
{
    const struct nlsh__query_sizes sizes = nlsh__query_sizes(index, segment, query);
    nlsh__sizes_units(index, segment, &sizes, inputs, out);
}

/* What nlsh__score_piece() will read of a bucket, or of a large one its beginning. */
void nlsh__prefetch_bucket(const struct nlsh__codes *codes, uint32_t bucket)
{
    size_t group = codes->group_offsets[bucket], row = codes->rows.n_chunks * 64;
    size_t n_groups = codes->group_offsets[bucket + 1] - group, stride = codes->stride;
    if (n_groups > FETCHED_GROUPS) n_groups = FETCHED_GROUPS;
    nlsh__prefetch_bytes(codes->centroids + bucket * stride, stride * sizeof(float));
    nlsh__prefetch_bytes(codes->rows.bias + group * NLSH__GROUP,
                         n_groups * NLSH__GROUP * sizeof(float));
    nlsh__prefetch_bytes(codes->rows.errors + group * NLSH__GROUP, n_groups * NLSH__GROUP);
    nlsh__prefetch_bytes(codes->rows.values + group * row, n_groups * row);
}

void nlsh__score_piece(struct nlsh__scan *scan, const struct nlsh_index *index,
                       const struct nlsh__segment *segment, const float *inputs, float outside,
                       const struct nlsh__groups_of *g, float *scores, struct nlsh__piece *out)
{
    const struct nlsh__codes *codes = segment->codes;
    const uint32_t *offsets = segment->bucket_offsets;
    uint32_t skipped = (uint32_t)(g->first * NLSH__GROUP);
    size_t n = g->n_groups * NLSH__GROUP, first = codes->group_offsets[g->bucket] + g->first;
    size_t left = offsets[g->bucket + 1] - offsets[g->bucket] - skipped;
    struct nlsh__probe probe;
    nlsh__probe_bucket(codes, index->metric == NLSH_IP, inputs, outside, g->bucket, scan->origin,
                       scan->weights, &probe);
    nlsh__score_groups(&codes->rows, &probe, scan->weights, first, g->n_groups, scores);
    /* behind the bucket's last row nothing is, whatever a file says */
    for (size_t i = left; i < n; i++) scores[i] = INFINITY;
    *out = (struct nlsh__piece){
        .first_place = offsets[g->bucket] + skipped,
        .n_rows = (uint32_t)(left < n ? left : n),
        .errors = codes->rows.errors + first * NLSH__GROUP,
        .unit = codes->error_unit * probe.error_length,
    };
}

/* ---- rounds ---------------------------------------------------------------------------------- */

/* A query on its way through a segment. */
struct pass {
    struct nlsh__scan *scan;
    const struct nlsh__plan *plan;
    const struct nlsh__routed *routed;
    struct nlsh__ranking ranking;
    struct nlsh__units units;
    int may_hide;
    struct nlsh__cost *cost;
};

/* The pass goes on in segment i, whose codes' units it has. */
static void enter(struct pass *p, size_t i)
{
    const struct nlsh_index *index = p->ranking.index;
    p->ranking.segment = &index->segments[i];
    p->ranking.allowed = nlsh__allowed_in(p->plan->allowed, index, i);
    p->may_hide = nlsh__may_hide(&p->ranking);
}

/* The round's rows ranked, or kept for later; the round is empty then. */
static void end_round(const struct pass *p, struct nlsh__round *round)
{
    if (round->n_scores == 0) return;
    if (p->plan->rerank > 0)
        nlsh__keep_round(&p->scan->chooser, round, p->plan->rerank);
    else
        p->cost->ranked +=
            nlsh__finish_round(&p->scan->chooser, round, &p->ranking, &p->units, p->plan->margin);
    round->n_scores = round->n_pieces = 0;
}

/* Takes a piece whose scores begin at the round's end. */
static void add_piece(const struct pass *p, struct nlsh__round *round,
                      const struct nlsh__piece *piece, size_t n_scores)
{
    float *scores = round->scores + round->n_scores;
    struct nlsh__piece *added = &round->pieces[round->n_pieces++];
    *added = *piece;
    added->first_score = (uint32_t)round->n_scores;
    /* of deleted rows few are ever worth an exact distance, and those are left out then */
    if (p->may_hide && (p->ranking.allowed != NULL || p->plan->rerank > 0))
        nlsh__hide_rows(&p->ranking, added, scores);
    round->n_scores += n_scores;
}

static size_t room_for(const struct nlsh__round *round, size_t n_groups)
{
    size_t room = (ROUND - round->n_scores) / NLSH__GROUP;
    return n_groups < room ? n_groups : room;
}

size_t nlsh__finish_last(struct nlsh__chooser *chooser, const struct nlsh__round *round,
                         const struct nlsh__ranking *ranking, const struct nlsh__units *units,
                         const struct nlsh__plan *plan)
{
    if (plan->rerank == 0) {
        return round->n_scores > 0
                   ? nlsh__finish_round(chooser, round, ranking, units, plan->margin)
                   : 0;
    }
    if (round->n_scores > 0) nlsh__keep_round(chooser, round, plan->rerank);
    return nlsh__rank_kept(chooser, ranking, units);
}

/* Whether a group of a bucket's rows has one that is allowed. */
static int any_allowed(const struct pass *p, uint32_t b, size_t group)
{
    const uint32_t *offsets = p->ranking.segment->bucket_offsets;
    size_t first = offsets[b] + group * NLSH__GROUP, end = offsets[b + 1];
    if (first >= end) return 0;
    if (end - first > NLSH__GROUP) end = first + NLSH__GROUP;
    return nlsh__any_allowed(p->ranking.allowed, first, end);
}

/* The groups behind g, of its bucket, that are scanned together: all that are left, or with a filter the next
 * run of those that have a row that is allowed, and a few between. 0 where there are none. */
static int next_groups(const struct pass *p, struct nlsh__groups_of *g)
{
    const uint32_t *groups = p->ranking.segment->codes->group_offsets;
    size_t n = groups[g->bucket + 1] - groups[g->bucket];
    g->first += g->n_groups;
    g->n_groups = n - g->first;
    if (p->ranking.allowed == NULL) return g->n_groups > 0;
    while (g->first < n && !any_allowed(p, g->bucket, g->first)) g->first++;
    size_t end = g->first;
    for (size_t i = end; i < n && i - end <= MOST_BETWEEN; i++)
        if (any_allowed(p, g->bucket, i)) end = i + 1;
    g->n_groups = end - g->first;
    return g->n_groups > 0;
}

static void scan_by_codes(const struct pass *p)
{
    const struct nlsh__segment *segment = p->ranking.segment;
    const struct nlsh__codes *codes = segment->codes;
    const uint32_t *buckets = p->routed->buckets;
    struct nlsh__round round = {.scores = p->scan->scores, .pieces = p->scan->pieces};
    for (size_t i = 0; i < p->routed->n_buckets; i++) {
        struct nlsh__groups_of g = {.bucket = buckets[i]};
        if (i + 1 < p->routed->n_buckets) nlsh__prefetch_bucket(codes, buckets[i + 1]);
        while (next_groups(p, &g)) {
            struct nlsh__piece piece;
            g.n_groups = room_for(&round, g.n_groups);
            nlsh__score_piece(p->scan, p->ranking.index, segment, p->routed->inputs,
                              p->units.outside, &g, round.scores + round.n_scores, &piece);
            p->cost->candidates += piece.n_rows;
            add_piece(p, &round, &piece, g.n_groups * NLSH__GROUP);
            if (round.n_scores == ROUND) end_round(p, &round);
        }
    }
    p->cost->ranked +=
        nlsh__finish_last(&p->scan->chooser, &round, &p->ranking, &p->units, p->plan);
}

/* ---- leaf by leaf ---------------------------------------------------------------------------- */

size_t nlsh__score_leaves(struct nlsh__scan *scan, const struct nlsh__leaf_part *part, size_t first,
                          size_t n, size_t at, struct nlsh__piece *out)
{
    const struct nlsh__leaf_scan *l = &scan->leaves;
    const struct nlsh__leaf_probe *probe = &l->probes[part->probe];
    const struct nlsh__segment *segment = probe->segment;
    const struct nlsh__codes *codes = segment->codes;
    size_t n_rows = 0;
    uint32_t first_place = segment->bucket_offsets[probe->bucket];
    uint32_t end = segment->bucket_offsets[probe->bucket + 1];
    uint32_t first_group = codes->group_offsets[probe->bucket];
    const uint32_t *groups = l->chosen + first;
    float *scores = scan->scores + at;
    nlsh__score_groups_at(&codes->rows, &probe->probe, probe->weights, groups, n,
                          part->end - first - n, scores);
    for (size_t i = 0; i < n; i++) {
        uint32_t place = first_place + (groups[i] - first_group) * (uint32_t)NLSH__GROUP;
        scan->places[at / NLSH__GROUP + i] = place;
        memcpy(scan->errors + at + i * NLSH__GROUP,
               codes->rows.errors + groups[i] * (size_t)NLSH__GROUP, NLSH__GROUP);
        /* behind the bucket's last row nothing is, whatever a file says */
        size_t left = end - place;
        for (size_t j = left; j < NLSH__GROUP; j++) scores[i * NLSH__GROUP + j] = INFINITY;
        n_rows += left < NLSH__GROUP ? left : NLSH__GROUP;
    }
    *out = (struct nlsh__piece){
        .n_rows = (uint32_t)(n * NLSH__GROUP),
        .places = scan->places + at / NLSH__GROUP,
        .errors = scan->errors + at,
        .unit = codes->error_unit * probe->probe.error_length,
    };
    return n_rows;
}

/* n leaves of one part, from first on, as a piece. */
static void add_leaves(const struct pass *p, struct nlsh__round *round,
                       const struct nlsh__leaf_part *part, size_t first, size_t n)
{
    struct nlsh__piece piece;
    p->cost->candidates += nlsh__score_leaves(p->scan, part, first, n, round->n_scores, &piece);
    add_piece(p, round, &piece, n * NLSH__GROUP);
}

/* A round's rows are of one segment. */
static void scan_chosen(struct pass *p)
{
    const struct nlsh__leaf_scan *l = &p->scan->leaves;
    struct nlsh__round round = {.scores = p->scan->scores, .pieces = p->scan->pieces};
    for (size_t i = 0; i < l->n_parts; i++) {
        const struct nlsh__leaf_part *part = &l->parts[i];
        const struct nlsh__segment *segment = l->probes[part->probe].segment;
        if (segment != p->ranking.segment) {
            end_round(p, &round);
            enter(p, (size_t)(segment - p->ranking.index->segments));
        }
        for (size_t done = 0; done < part->n;) {
            size_t n = room_for(&round, part->n - done);
            add_leaves(p, &round, part, part->first + done, n);
            done += n;
            if (round.n_scores == ROUND) end_round(p, &round);
        }
    }
    end_round(p, &round);
}

/* Rows of a log stand behind those of its file. */
static int is_of_log(const struct nlsh_index *index, size_t i)
{
    return index->segments[i].first_row >= index->meta.n_rows - index->log_now.rows;
}

/* Whether segment i's leaves are looked at together with those of segment with, whose codes say the same. */
static int leaves_together(const struct nlsh_index *index, size_t i, size_t with)
{
    const struct nlsh__segment *a = &index->segments[i], *b = &index->segments[with];
    if (index->strange != 0 && is_of_log(index, i) != is_of_log(index, with)) return 0;
    return a->leaves != NULL && b->leaves != NULL && a->codes->centroids == b->codes->centroids;
}

static int is_first_of_its_leaves(const struct nlsh_index *index, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (leaves_together(index, i, j)) return 0;
    return 1;
}

/* The leaves of segment i, where the pass is, and of all that stand together with it. */
static void score_leaves(struct pass *p, size_t i)
{
    const struct nlsh_index *index = p->ranking.index;
    struct nlsh__leaf_scan *l = &p->scan->leaves;
    const struct nlsh__leaves_of of = {
        .index = index,
        .inputs = p->routed->inputs,
        .origin = p->scan->origin,
        .outside = p->units.outside,
        .buckets = p->routed->buckets,
        .probabilities = p->routed->probabilities,
        .n_buckets = p->routed->n_buckets,
        .margin = p->plan->leaf_margin,
    };
    nlsh__leaves_begin(l);
    for (size_t j = i; j < index->n_segments; j++)
        if (leaves_together(index, i, j))
            nlsh__leaves_add(l, &index->segments[j], nlsh__allowed_in(p->plan->allowed, index, j));
    nlsh__leaves_score(l, &of);
}

/* The best leaves give a limit, and the limit says which others can matter: at first with a smaller
 * margin, since the limit falls yet. */
static void scan_by_leaves(struct pass *p, size_t i)
{
    struct nlsh__leaf_scan *l = &p->scan->leaves;
    score_leaves(p, i);
    nlsh__leaves_first(l, p->plan->k);
    scan_chosen(p);
    for (size_t s = 0; s < NLSH__LEAF_SHARES; s++) {
        nlsh__leaves_within(l, nlsh__leaf_shares[s], nlsh__rank_limit(&p->ranking, &p->units));
        scan_chosen(p);
    }
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Places [n] of which those of rows that were deleted are left out, ranked. */
static void rank_few(const struct pass *p, uint32_t *places, size_t n)
{
    const char *vectors = p->ranking.segment->vectors;
    size_t left = 0, row_bytes = nlsh__index_row_bytes(p->ranking.index);
    size_t fetched = row_bytes < FETCHED_OF_ROW ? row_bytes : FETCHED_OF_ROW;
    for (size_t i = 0; i < n; i++) {
        if (p->may_hide && nlsh__is_hidden(&p->ranking, places[i])) continue;
        nlsh__prefetch_bytes(vectors + places[i] * row_bytes, fetched);
        places[left++] = places[i];
    }
    nlsh__rank_all(&p->ranking, places, left);
    p->cost->ranked += left;
}

/* The buckets' rows, where those are few: some buckets' together. How many a bucket has cannot be foreseen, so FEW_AT_ONCE
 * are written down whether it has them or not. */
static void scan_few(const struct pass *p)
{
    const uint32_t *offsets = p->ranking.segment->bucket_offsets;
    uint32_t places[FEW_TOGETHER + FEW_AT_ONCE];
    size_t n = 0;
    for (size_t i = 0; i < p->routed->n_buckets; i++) {
        uint32_t b = p->routed->buckets[i];
        p->cost->candidates += offsets[b + 1] - offsets[b];
        for (uint32_t place = offsets[b], left = offsets[b + 1] - place;;) {
            for (uint32_t j = 0; j < FEW_AT_ONCE; j++) places[n + j] = place + j;
            n += left < FEW_AT_ONCE ? left : FEW_AT_ONCE;
            if (n >= FEW_TOGETHER) {
                rank_few(p, places, n);
                n = 0;
            }
            if (left <= FEW_AT_ONCE) break;
            place += FEW_AT_ONCE;
            left -= FEW_AT_ONCE;
        }
    }
    rank_few(p, places, n);
}

/* What a filter hides is not looked at. */
static void scan_exactly(const struct pass *p)
{
    const uint32_t *offsets = p->ranking.segment->bucket_offsets;
    size_t m = p->ranking.index->meta.n_buckets;
    if (p->ranking.allowed != NULL &&
        p->plan->rule.top >= m) { /* all that are allowed, as they come */
        size_t ranked = nlsh__rank_range(&p->ranking, 0, offsets[m]);
        p->cost->candidates += ranked;
        p->cost->ranked += ranked;
        return;
    }
    if (p->ranking.allowed == NULL && p->ranking.segment->n_rows < FEW_A_BUCKET * m) {
        scan_few(p);
        return;
    }
    for (size_t i = 0; i < p->routed->n_buckets; i++) {
        uint32_t b = p->routed->buckets[i];
        size_t ranked = nlsh__rank_range(&p->ranking, offsets[b], offsets[b + 1]);
        p->cost->candidates += p->ranking.allowed != NULL ? ranked : offsets[b + 1] - offsets[b];
        p->cost->ranked += ranked;
    }
}

/* ---- where a log's vectors are unlike those of the file ---------------------------------------- */

/* The nearest of the file's vectors that was found; +infinity where there is none. */
static float nearest_found(const struct nlsh__ranking *r)
{
    uint64_t nearest = UINT64_MAX;
    for (size_t i = 0; i < r->k; i++) nearest = r->best[i] < nearest ? r->best[i] : nearest;
    return nearest < UINT64_MAX ? nlsh__routed_distance(r->index, r->query, nearest) : INFINITY;
}

static float farthest_found(const struct nlsh__ranking *r)
{
    uint64_t worst = r->best[r->k - 1];
    return worst < UINT64_MAX ? nlsh__routed_distance(r->index, r->query, worst) : INFINITY;
}

/* Segments from the first on, whole. */
static void rank_segments(struct pass *p, size_t first)
{
    for (size_t i = first; i < p->ranking.index->n_segments; i++) {
        enter(p, i);
        size_t ranked = nlsh__rank_range(&p->ranking, 0, p->ranking.segment->n_rows);
        p->cost->ranked += ranked;
        p->cost->candidates += ranked;
    }
}

/* A query whose nearest vector of the file is farther than usual may come from where the log's are, and the file's are not.
 * What the router says of it is worth nothing, nor is what was measured: all is compared. The log alone is, where its
 * vectors may be among the k nearest of any query. Returns whether it was done; log is the first segment of it. */
static int scan_strange(struct pass *p, size_t log)
{
    const struct nlsh__ranking *r = &p->ranking;
    if (!(p->plan->recall > 0) || p->plan->allowed != NULL) return 0;
    int all = nearest_found(r) > r->index->far;
    if (!all && !(farthest_found(r) > r->index->strange)) return 0;
    if (all) nlsh__topk_clear(r->best, r->k);
    if (all) *p->cost = (struct nlsh__cost){0};
    rank_segments(p, all ? 0 : log);
    return 1;
}

/* ---- any query ----------------------------------------------------------------------------------- */

struct nlsh__cost nlsh__scan_query(struct nlsh__scan *scan, const struct nlsh_index *index,
                                   const struct nlsh__query *query, const struct nlsh__plan *plan,
                                   const struct nlsh__routed *routed, uint64_t *best)
{
    struct nlsh__cost cost = {0};
    struct pass p = {.scan = scan,
                     .plan = plan,
                     .routed = routed,
                     .ranking = {.index = index, .query = query, .best = best, .k = plan->k},
                     .cost = &cost};
    int by_leaves = plan->leaf_margin < INFINITY && plan->rerank == 0 && plan->rule.top == 0;
    int unjudged = index->strange != 0 && !plan->exactly;
    nlsh__topk_clear(best, plan->k);
    for (size_t i = 0; i < index->n_segments; i++) {
        const struct nlsh__segment *segment = &index->segments[i];
        if (unjudged && is_of_log(index, i)) {
            unjudged = 0;
            if (scan_strange(&p, i)) break;
        }
        enter(&p, i);
        if (plan->exactly || segment->codes == NULL) {
            scan_exactly(&p);
            continue;
        }
        if (by_leaves && segment->leaves != NULL && !is_first_of_its_leaves(index, i)) continue;
        int leaf_by_leaf = by_leaves && segment->leaves != NULL;
        if (!leaf_by_leaf) nlsh__prefetch_bucket(segment->codes, routed->buckets[0]);
        nlsh__query_units(index, segment, query, routed->inputs, &p.units);
        if (leaf_by_leaf)
            scan_by_leaves(&p, i);
        else
            scan_by_codes(&p);
    }
    nlsh__topk_sort(best, plan->k);
    return cost;
}
