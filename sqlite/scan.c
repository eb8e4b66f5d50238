/*
 * scan.c - see scan.h.
 *
 * The steps are those of libnlsh's searches (search/scan.c, round.c), in another order of costs. There an exact score
 * takes a memory access; here it is a lookup in a table of SQLite, 10 to 20 times as dear as the score of an entry's
 * code. So all entries of all chosen buckets are scored first. The best of them are ranked exactly and give a limit.
 * What may lie within the limit, its margin of errors allowed for, is then ranked in the order of what its score is at
 * least: the limit falls as fast as it can, and the first entry beyond it is the end.
 */
#include "scan.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "cache.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/select.h"
#include "kernels/topk.h"
#include "model.h"
#include "promise/budget.h"
#include "store.h"

SQLITE_EXTENSION_INIT3

/* The error of a vector that came later and is farther off than codes can say: it is ranked in any case. */
enum { UNKNOWN = 255 };
/* Vectors that are asked for before they are looked up: of the nearest by codes about so many are. */
enum { MOST_AHEAD = 64 };

/* Scored entries of one chunk, which the cache keeps. */
struct piece {
    size_t first; /* in scores */
    const struct nlsh__sqlite_chunk *chunk;
    float unit; /* of the errors */
};

/* Memory of one search. */
struct scan {
    struct nlsh__sqlite_table *table;
    const struct nlsh__sqlite_exact *exact;
    const struct nlsh__sqlite_filter *filter;
    struct nlsh__plan plan;
    struct nlsh__routed routed;
    struct nlsh__units units;
    uint8_t *is_scanned;         /* [m] */
    size_t n_scanned, n_allowed; /* entries of scanned buckets; those that the filter allows */
    /* Of entries, those of a chunk from a multiple of 16 on: */
    float *scores;
    size_t n, room;
    struct piece *pieces;
    size_t n_pieces, piece_room;
    /* Chosen of them: */
    uint32_t *places;
    float *least;
    uint64_t *order;
    /* Rowids that were ranked, in a table of twice as many places; an entry may be there twice. */
    int64_t *ranked;
    uint8_t *is_used;
    size_t n_ranked, ranked_room;
};

static void scan_free(struct scan *s)
{
    nlsh__free(s->is_scanned);
    nlsh__free(s->scores);
    nlsh__free(s->pieces);
    nlsh__free(s->places);
    nlsh__free(s->least);
    nlsh__free(s->order);
    nlsh__free(s->ranked);
    nlsh__free(s->is_used);
}

/* ---- rooms ----------------------------------------------------------------------------------- */

/* Moves n things of a size into an array with room for more. */
static int grow_array(void *array, size_t n, size_t room, size_t size)
{
    void *old, *more;
    memcpy(&old, array, sizeof old);
    if (nlsh__alloc(&more, room, size, NULL) != NLSH_OK) return SQLITE_NOMEM;
    if (n > 0) memcpy(more, old, n * size);
    nlsh__free(old);
    memcpy(array, &more, sizeof more);
    return SQLITE_OK;
}

static int reserve_entries(struct scan *s, size_t n)
{
    if (s->n + n <= s->room) return SQLITE_OK;
    size_t room = s->room + s->room / 2 > s->n + n ? s->room + s->room / 2 : s->n + n;
    int rc = grow_array(&s->scores, s->n, room, sizeof *s->scores);
    if (rc == SQLITE_OK) s->room = room;
    return rc;
}

static int reserve_piece(struct scan *s)
{
    if (s->n_pieces < s->piece_room) return SQLITE_OK;
    size_t room = 2 * s->piece_room + 64;
    int rc = grow_array(&s->pieces, s->n_pieces, room, sizeof *s->pieces);
    if (rc == SQLITE_OK) s->piece_room = room;
    return rc;
}

/* ---- scores ---------------------------------------------------------------------------------- */

/* Entries that a filter hides are the farthest. */
static void hide(struct scan *s, const struct piece *piece)
{
    const struct nlsh__sqlite_chunk *chunk = piece->chunk;
    float *scores = s->scores + piece->first;
    s->n_scanned += chunk->n;
    s->n_allowed += chunk->n;
    if (!nlsh__sqlite_filter_is_set(s->filter)) return;
    for (size_t i = 0; i < chunk->n; i++) {
        if (nlsh__sqlite_filter_allows(s->filter, chunk->rowids[i])) continue;
        scores[i] = INFINITY;
        s->n_allowed--;
    }
}

/* Takes a chunk's entries with their scores. Without codes all scores are equal. */
static int add_chunk(struct scan *s, const struct nlsh__sqlite_chunk *chunk,
                     const struct nlsh__probe *probe, const int8_t *weights)
{
    const struct nlsh__codes *codes = s->table->model->index->segments[0].codes;
    size_t lanes = chunk->n_groups * NLSH__GROUP;
    int rc = reserve_entries(s, lanes);
    if (rc == SQLITE_OK) rc = reserve_piece(s);
    if (rc != SQLITE_OK) return rc;
    struct piece *piece = &s->pieces[s->n_pieces++];
    float *scores = s->scores + s->n;
    *piece = (struct piece){s->n, chunk, 0};
    if (codes != NULL) {
        const struct nlsh__grouped rows = {chunk->n_groups, chunk->code_bytes / 4, chunk->biases,
                                           chunk->errors, chunk->codes};
        piece->unit = codes->error_unit * probe->error_length;
        nlsh__score_groups(&rows, probe, weights, 0, chunk->n_groups, scores);
        for (size_t i = 0; i < chunk->n; i++)
            if (chunk->errors[i] == UNKNOWN) scores[i] = -FLT_MAX;
    } else {
        memset(scores, 0, lanes * sizeof *scores);
    }
    for (size_t i = chunk->n; i < lanes; i++) scores[i] = INFINITY;
    hide(s, piece);
    s->n += lanes;
    return SQLITE_OK;
}

static int score_bucket(struct scan *s, uint32_t bucket)
{
    struct nlsh__sqlite_model *model = s->table->model;
    const struct nlsh__codes *codes = model->index->segments[0].codes;
    struct nlsh__scan *scratch = &model->searcher->scan;
    const struct nlsh__sqlite_bucket *entries;
    struct nlsh__probe probe = {0};
    int rc = nlsh__sqlite_cache_get(s->table, bucket, &entries);
    if (rc == SQLITE_OK && codes != NULL)
        nlsh__probe_bucket(codes, s->table->metric == NLSH_IP, s->routed.inputs, s->units.outside,
                           bucket, scratch->origin, scratch->weights, &probe);
    for (size_t i = 0; rc == SQLITE_OK && i < entries->n; i++)
        rc = add_chunk(s, &entries->chunks[i], &probe, scratch->weights);
    return rc;
}

/* ---- exact scores ---------------------------------------------------------------------------- */

static size_t slot_of(const struct scan *s, int64_t rowid)
{
    uint64_t hash = (uint64_t)rowid * UINT64_C(0x9E3779B97F4A7C15);
    size_t mask = s->ranked_room - 1, slot = (size_t)(hash >> 20) & mask;
    while (s->is_used[slot] && s->ranked[slot] != rowid) slot = (slot + 1) & mask;
    return slot;
}

static int grow_ranked(struct scan *s)
{
    size_t old_room = s->ranked_room;
    int64_t *old = s->ranked;
    uint8_t *old_used = s->is_used;
    s->ranked_room = old_room > 0 ? 4 * old_room : 1024;
    s->ranked = NULL;
    s->is_used = NULL;
    int rc = nlsh__alloc(&s->ranked, s->ranked_room, sizeof *s->ranked, NULL) == NLSH_OK &&
                     nlsh__calloc(&s->is_used, s->ranked_room, 1, NULL) == NLSH_OK
                 ? SQLITE_OK
                 : SQLITE_NOMEM;
    for (size_t i = 0; i < old_room && rc == SQLITE_OK; i++) {
        if (!old_used[i]) continue;
        size_t slot = slot_of(s, old[i]);
        s->ranked[slot] = old[i];
        s->is_used[slot] = 1;
    }
    nlsh__free(old);
    nlsh__free(old_used);
    return rc;
}

static int64_t rowid_at(const struct scan *s, size_t place)
{
    size_t low = 0, high = s->n_pieces; /* the piece is one of low to high - 1 */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (s->pieces[middle].first <= place)
            low = middle;
        else
            high = middle;
    }
    return s->pieces[low].chunk->rowids[place - s->pieces[low].first];
}

/* Ranks an entry's vector, unless it was already. */
static int rank(struct scan *s, uint32_t place)
{
    int64_t rowid = rowid_at(s, place);
    int rc = 2 * s->n_ranked >= s->ranked_room ? grow_ranked(s) : SQLITE_OK;
    if (rc != SQLITE_OK) return rc;
    size_t slot = slot_of(s, rowid);
    if (s->is_used[slot]) return SQLITE_OK;
    s->is_used[slot] = 1;
    s->ranked[slot] = rowid;
    s->n_ranked++;
    return nlsh__sqlite_rank(s->exact, rowid);
}

/* The limit of exact scores as a code's score. */
static float limit_of(const struct scan *s)
{
    float limit = nlsh__sqlite_best_limit(s->exact->best);
    return limit < INFINITY ? limit * s->units.factor - s->units.offset : INFINITY;
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Entries with a score above `above` that may be at the limit or below, into places and least; how many. */
static size_t near_entries(struct scan *s, float margin, float above, float limit)
{
    size_t n = 0;
    static const uint8_t none[NLSH__SQL_CHUNK_BYTES];
    for (size_t p = 0; p < s->n_pieces; p++) {
        const struct piece *piece = &s->pieces[p];
        const uint8_t *errors = piece->chunk->errors != NULL ? piece->chunk->errors : none;
        n += nlsh__kernels()->near_f32(s->scores + piece->first, errors, piece->chunk->n,
                                       margin * piece->unit, above, fminf(limit, FLT_MAX),
                                       (uint32_t)piece->first, s->places + n, s->least + n);
    }
    return n;
}

/* A score that at least n entries have or are below. */
static float bound_of(struct scan *s, size_t n)
{
    if (n <= 16) return nlsh__kernels()->bound_f32(s->scores, s->n, n);
    for (size_t i = 0; i < s->n; i++)
        s->order[i] = nlsh__key_u32(nlsh__ordered_f32(s->scores[i]), (uint32_t)i);
    if (n < s->n) nlsh__select_smallest(s->order, s->n, n);
    uint64_t worst = 0;
    for (size_t i = 0; i < n && i < s->n; i++) worst = s->order[i] > worst ? s->order[i] : worst;
    return nlsh__from_ordered_f32((uint32_t)(worst >> 32));
}

/* Asks for the vectors of places[n], or of those of them that are ranked first. */
static void vectors_ahead(const struct scan *s, const uint64_t *places, size_t n)
{
    sqlite3_int64 rowids[MOST_AHEAD];
    if (!s->table->ahead.is_on) return;
    if (n > MOST_AHEAD) n = MOST_AHEAD;
    for (size_t i = 0; i < n; i++) rowids[i] = rowid_at(s, (uint32_t)places[i]);
    nlsh__sqlite_ahead_rows(s->table, NLSH__SQL_AHEAD_VECTORS, rowids, n, 0);
}

/* Ranks places[n] in the order of what their scores are at least, up to the limit. */
static int rank_in_order(struct scan *s, size_t n)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < n; i++)
        s->order[i] = nlsh__key_u32(nlsh__ordered_f32(s->least[i]), s->places[i]);
    qsort(s->order, n, sizeof *s->order, ascending);
    vectors_ahead(s, s->order, n);
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++) {
        if (nlsh__from_ordered_f32((uint32_t)(s->order[i] >> 32)) > limit_of(s)) break;
        rc = rank(s, (uint32_t)s->order[i]);
    }
    return rc;
}

static int rank_best(struct scan *s)
{
    size_t k = s->exact->best->k;
    if (s->n == 0) return SQLITE_OK;
    if (nlsh__alloc(&s->places, s->n + NLSH__GROUP, sizeof *s->places, NULL) != NLSH_OK ||
        nlsh__alloc(&s->least, s->n + NLSH__GROUP, sizeof *s->least, NULL) != NLSH_OK ||
        nlsh__alloc(&s->order, s->n, sizeof *s->order, NULL) != NLSH_OK)
        return SQLITE_NOMEM;
    float done = fminf(bound_of(s, nlsh__first_rows(k)), FLT_MAX);
    int rc = SQLITE_OK;
    size_t n = near_entries(s, 0, -INFINITY, done);
    for (size_t i = 0; i < n; i++) s->order[i] = s->places[i];
    vectors_ahead(s, s->order, n);
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++) rc = rank(s, s->places[i]);
    if (rc != SQLITE_OK) return rc;
    return rank_in_order(s, near_entries(s, s->plan.margin, done, limit_of(s)));
}

/* ---- how much -------------------------------------------------------------------------------- */

/* Nanoseconds: of a vector that is looked up by its rowid, of one that is stepped over, of an entry in a chunk. By
 * bench_sqlite on GloVe-100, with the pages in SQLite's cache. */
#define LOOKUP_NS 2500.0
#define STEP_NS 600.0
#define ENTRY_NS 50.0

/* What a search thinks of: so many neighbours of all, with so much recall. */
struct reach {
    double k, recall;
};

/* Vectors that the filter may allow at most. */
static double most_allowed(const struct scan *s)
{
    double rows = (double)s->table->state.rows;
    double span = (double)s->filter->high - (double)s->filter->low + 1;
    if (span < rows) rows = span;
    if (s->filter->rowids != NULL && (double)s->filter->n < rows) rows = (double)s->filter->n;
    return rows;
}

static double exactly_costs(const struct scan *s)
{
    return most_allowed(s) * (s->filter->rowids != NULL ? LOOKUP_NS : STEP_NS);
}

/* Entries of the routed buckets. */
static double entries_of(const struct scan *s)
{
    double entries = 0;
    for (size_t i = 0; i < s->routed.n_buckets; i++)
        entries += s->table->model->sizes[s->routed.buckets[i]];
    return entries;
}

/* Buckets for a reach. 0 where everything is to be compared: nothing less was measured, or it costs less. */
static int route(struct scan *s, const struct reach *reach)
{
    struct nlsh__sqlite_model *model = s->table->model;
    const struct nlsh_index *index = model->index;
    double rows = (double)s->table->state.rows;
    size_t k = (size_t)ceil(fmin(fmax(reach->k, (double)s->exact->best->k), rows));
    s->plan = (struct nlsh__plan){.k = s->exact->best->k, .leaf_margin = INFINITY};
    nlsh__plan_recall(index, k, reach->recall, &s->plan);
    if (s->plan.exactly) return 0;
    s->routed = nlsh__route_query(model->searcher, &s->plan);
    return entries_of(s) * ENTRY_NS < exactly_costs(s);
}

/*
 * How much farther a search has to reach through a filter, from what the scanned buckets show; as search/filtered.c
 * has it. Of the entries there a share is allowed, so the k nearest that are allowed are among the k / share nearest of
 * all. Where elsewhere more is allowed, e times more, what is missed counts e times as much: the recall r' with
 * (1 - r') / r' e^2 = (1 - r) / r is asked for, sqrt(e) times farther. 0 where what was scanned is enough.
 */
static int reach_farther(const struct scan *s, const struct nlsh__sqlite_question *question,
                         struct reach *reach)
{
    double k = (double)s->exact->best->k, inside = (double)s->n_allowed,
           scanned = (double)s->n_scanned;
    double elsewhere = (double)s->table->model->n_entries - scanned, excess = 1;
    if (inside < k) inside = k / 2; /* by chance there are so few */
    double share = fmin(inside / fmax(scanned, 1), 1);
    if (s->filter->rowids != NULL && elsewhere > 0)
        excess = fmax(((double)s->filter->n - inside) / elsewhere / share, 1);
    struct reach needed = {
        k / share * sqrt(excess),
        1 / (1 + (1 - question->recall) / question->recall / (excess * excess)),
    };
    if (needed.k <= reach->k * 1.1 && (needed.recall <= reach->recall || excess < 1.2)) return 0;
    *reach = needed;
    return 1;
}

/* Chunks that a bucket has, where they are full but for the last. */
static size_t chunks_of(const struct nlsh__sqlite_model *model, uint32_t bucket)
{
    size_t room = nlsh__sqlite_chunk_room(model->code_bytes);
    return (model->sizes[bucket] + room - 1) / room;
}

/* Asks for what score_routed() is going to read. */
static int read_ahead(const struct scan *s)
{
    const struct nlsh__sqlite_model *model = s->table->model;
    size_t n = 0, room = 0;
    sqlite3_int64 *ids = NULL;
    for (size_t i = 0; i < s->routed.n_buckets; i++) room += chunks_of(model, s->routed.buckets[i]);
    if (nlsh__alloc(&ids, room, sizeof *ids, NULL) != NLSH_OK) return SQLITE_NOMEM;
    for (size_t i = 0; i < s->routed.n_buckets; i++) {
        uint32_t bucket = s->routed.buckets[i];
        if (model->cache->buckets[bucket] != NULL) continue;
        for (size_t c = 0; c < chunks_of(model, bucket); c++)
            ids[n++] = bucket * NLSH__SQL_CHUNKS + (sqlite3_int64)c;
    }
    nlsh__sqlite_ahead_rows(s->table, NLSH__SQL_AHEAD_CHUNKS, ids, n, 1);
    nlsh__free(ids);
    return SQLITE_OK;
}

/* Scores what is not scored yet. */
static int score_routed(struct scan *s)
{
    /* of chunks whose last groups of 16 are not full; should there be more, the arrays grow */
    size_t room = (size_t)entries_of(s) + s->routed.n_buckets * NLSH__GROUP;
    int rc = reserve_entries(s, room > s->n ? room - s->n : 0);
    if (rc == SQLITE_OK && s->table->ahead.is_on) rc = read_ahead(s);
    for (size_t i = 0; i < s->routed.n_buckets && rc == SQLITE_OK; i++) {
        uint32_t bucket = s->routed.buckets[i];
        if (s->is_scanned[bucket]) continue;
        s->is_scanned[bucket] = 1;
        rc = score_bucket(s, bucket);
    }
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int begin(struct scan *s, const struct nlsh__sqlite_question *question)
{
    enum nlsh_status status;
    struct nlsh_error error = {.status = NLSH_OK};
    struct nlsh__sqlite_model *model = s->table->model;
    const struct nlsh__segment *segment = &model->index->segments[0];
    struct nlsh_searcher *searcher = model->searcher;
    const struct nlsh_matrix one = {question->query, 1, s->table->dim, NLSH_F32, 0};
    nlsh__sqlite_cache_begin(model->cache);
    NLSH_TRY(nlsh__query_set(&searcher->query, model->index, &one, 0, &error));
    NLSH_TRY(nlsh__calloc(&s->is_scanned, model->n_buckets, 1, &error));
    if (segment->codes != NULL)
        nlsh__query_units(model->index, segment, &searcher->query,
                          nlsh__ask_inputs(&searcher->asker, searcher->query.routed, NULL),
                          &s->units);
out:
    return status == NLSH_OK ? SQLITE_OK : nlsh__sqlite_failed(s->table, &error);
}

static int scan(struct scan *s, const struct nlsh__sqlite_question *question, int *done)
{
    int is_filtered = nlsh__sqlite_filter_is_set(s->filter);
    double rows = fmax((double)s->table->state.rows, 1), k = (double)s->exact->best->k;
    struct reach reach = {k * rows / fmax(most_allowed(s), 1), question->recall};
    *done = 0;
    if (is_filtered && most_allowed(s) <= k) return SQLITE_OK;
    int rc = begin(s, question);
    do {
        if (rc != SQLITE_OK || !route(s, &reach)) return rc;
        rc = score_routed(s);
    } while (rc == SQLITE_OK && is_filtered && reach_farther(s, question, &reach));
    if (rc == SQLITE_OK) rc = rank_best(s);
    *done = s->exact->best->n == s->exact->best->k; /* entries may be stale, and rowids not there */
    return rc;
}

int nlsh__sqlite_scan(const struct nlsh__sqlite_exact *exact,
                      const struct nlsh__sqlite_question *question, int *done)
{
    struct scan s = {.table = exact->table, .exact = exact, .filter = question->filter};
    int rc = scan(&s, question, done);
    scan_free(&s);
    return rc;
}
