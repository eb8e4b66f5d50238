/*
 * round.c - see round.h.
 *
 * The first round's rows that are the best by score are ranked exactly. That gives a limit: the k-th
 * exact distance so far. A score differs from the exact distance, and the code knows how large that
 * difference can be (errors[]). The margin says how many such errors we allow. So a row is ranked too
 * where its score, less margin errors, is within the limit; and the limit tightens with each row.
 * Margins are measured when the index is made (measure/rowmargins.c). Such bounds from a code's own error
 * are RaBitQ's idea (Gao and Long, SIGMOD 2024, 3.2.2); the codes and the errors here are others.
 *
 * Choosing rows takes no branch that depends on a score: the kernels bound_f32 and near_f32.
 */
#include "search/round.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/select.h"
#include "kernels/topk.h"
#include "promise/budget.h"
#include "search/allowed.h"

enum {
    ROUND = NLSH__ROUND,
    MOST_QUICK = 16,    /* rows that bound_f32() counts at most */
    QUICK_COLUMNS = 64, /* its columns */
    MOST_COLUMNS = 4096 /* for 1,500 rows, of 1,000 neighbours, a bound of some 1,870 */
};

enum nlsh_status nlsh__chooser_create(struct nlsh__chooser *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = ROUND + NLSH__GROUP; /* near_f32() writes whole registers */
    *out = (struct nlsh__chooser){.n_kept = 0};
    NLSH_TRY(nlsh__alloc(&out->places, n, sizeof *out->places, error));
    NLSH_TRY(nlsh__alloc(&out->least, n, sizeof *out->least, error));
    NLSH_TRY(nlsh__alloc(&out->columns, MOST_COLUMNS, sizeof *out->columns, error));
    NLSH_TRY(nlsh__alloc(&out->column_keys, MOST_COLUMNS, sizeof *out->column_keys, error));
out:
    return status;
}

enum nlsh_status nlsh__chooser_reserve(struct nlsh__chooser *c, size_t rerank,
                                       struct nlsh_error *error)
{
    size_t need = 2 * rerank + ROUND;
    if (rerank == 0 || need <= c->room) return NLSH_OK;
    nlsh__free(c->kept);
    c->kept = NULL;
    c->room = 0;
    enum nlsh_status status = nlsh__alloc(&c->kept, need, sizeof *c->kept, error);
    if (status == NLSH_OK) c->room = need;
    return status;
}

void nlsh__chooser_free(struct nlsh__chooser *c)
{
    nlsh__free(c->places);
    nlsh__free(c->least);
    nlsh__free(c->columns);
    nlsh__free(c->column_keys);
    nlsh__free(c->kept);
    *c = (struct nlsh__chooser){.n_kept = 0};
}

/* Of n scores, at most a group's, those whose bit is 0 become +infinity. */
static void hide_group(uint32_t bits, uint32_t n, float *scores)
{
    float kept[NLSH__GROUP];
    if (bits == (1u << n) - 1) return;
    for (uint32_t left = bits; left != 0; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left);
        kept[i] = scores[i];
    }
    for (uint32_t i = 0; i < n; i++) scores[i] = INFINITY;
    for (uint32_t left = bits; left != 0; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left);
        scores[i] = kept[i];
    }
}

void nlsh__hide_rows(const struct nlsh__ranking *r, const struct nlsh__piece *piece, float *scores)
{
    if (r->allowed == NULL) {
        for (uint32_t i = 0; i < piece->n_rows; i++)
            if (scores[i] < INFINITY && nlsh__is_hidden(r, nlsh__place_of(piece, i)))
                scores[i] = INFINITY;
        return;
    }
    for (uint32_t i = 0; i < piece->n_rows; i += NLSH__GROUP) {
        size_t first = nlsh__place_of(piece, i), n = piece->n_rows - i;
        if (n > NLSH__GROUP) n = NLSH__GROUP;
        /* the last leaf may be short */
        if (n > r->segment->n_rows - first) n = r->segment->n_rows - first;
        hide_group(nlsh__allowed_bits(r->allowed, first, first + n), (uint32_t)n, scores + i);
    }
}

size_t nlsh__bound_columns(size_t n_scores, size_t n)
{
    if (n <= MOST_QUICK) return QUICK_COLUMNS;
    size_t columns = (4 * n + NLSH__GROUP - 1) / NLSH__GROUP * NLSH__GROUP;
    if (columns > n_scores) columns = n_scores;
    if (columns > MOST_COLUMNS) columns = MOST_COLUMNS;
    return n > columns ? 0 : columns;
}

float nlsh__bound(struct nlsh__chooser *c, const float *scores, size_t n_scores, size_t n)
{
    if (n <= MOST_QUICK) return nlsh__kernels()->bound_f32(scores, n_scores, n);
    /* The same as bound_f32() with more columns: their least, of which the n-th is selected. */
    size_t columns = nlsh__bound_columns(n_scores, n);
    if (columns == 0) return INFINITY;
    memcpy(c->columns, scores, columns * sizeof *scores);
    for (size_t first = columns; first < n_scores; first += columns) {
        size_t end = n_scores - first < columns ? n_scores - first : columns;
        for (size_t i = 0; i < end; i++) {
            float score = scores[first + i];
            c->columns[i] = score < c->columns[i] ? score : c->columns[i];
        }
    }
    for (size_t i = 0; i < columns; i++)
        c->column_keys[i] = nlsh__key_u32(nlsh__ordered_f32(c->columns[i]), (uint32_t)i);
    nlsh__select_smallest(c->column_keys, columns, n);
    uint64_t worst = 0;
    for (size_t i = 0; i < n; i++) worst = c->column_keys[i] > worst ? c->column_keys[i] : worst;
    return nlsh__from_ordered_f32((uint32_t)(worst >> 32));
}

/* The rows whose score lies above `above` and may be, margin errors off, at the limit or below: their
 * places, and what their scores are at least; returns how many. */
static size_t near_rows(struct nlsh__chooser *c, const struct nlsh__round *round, float margin,
                        float above, float limit)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    size_t n = 0;
    for (size_t p = 0; p < round->n_pieces; p++) {
        const struct nlsh__piece *piece = &round->pieces[p];
        uint32_t *places = c->places + n;
        size_t found = kernels->near_f32(
            round->scores + piece->first_score, piece->errors, piece->n_rows, margin * piece->unit,
            above, fminf(limit, FLT_MAX), piece->first_place, places, c->least + n);
        for (size_t i = 0; i < found && piece->places != NULL; i++)
            places[i] = nlsh__place_of(piece, places[i]);
        n += found;
    }
    return n;
}

/* Whether scores may be of rows that were deleted: a filter's scores are not (nlsh__hide_rows()). */
static int may_be_deleted(const struct nlsh__ranking *r)
{
    return r->allowed == NULL && nlsh__may_hide(r);
}

/* The first n of the chooser's places without those that were deleted; returns how many are left. */
static size_t leave_deleted(struct nlsh__chooser *c, const struct nlsh__ranking *r, size_t n)
{
    size_t left = 0;
    if (!may_be_deleted(r)) return n;
    for (size_t i = 0; i < n; i++) {
        if (nlsh__is_hidden(r, c->places[i])) continue;
        c->places[left] = c->places[i];
        c->least[left++] = c->least[i];
    }
    return left;
}

/* Ranks the best rows by score, until there are k; returns how many. *done: the scores that were. Where many of the best
 * were deleted, more are taken. */
static size_t rank_first(struct nlsh__chooser *c, const struct nlsh__round *round,
                         const struct nlsh__ranking *r, const struct nlsh__units *units,
                         float *done)
{
    size_t ranked = 0;
    for (size_t wanted = nlsh__first_rows(r->k);; wanted *= 4) {
        float bound = fminf(nlsh__bound(c, round->scores, round->n_scores, wanted), FLT_MAX);
        size_t n = leave_deleted(c, r, near_rows(c, round, 0, *done, bound));
        for (size_t i = 0; i < n; i++) c->least[i] = -INFINITY;
        ranked += nlsh__rank_places(r, units, c->places, c->least, n);
        *done = bound;
        if (!may_be_deleted(r) || r->best[r->k - 1] != UINT64_MAX || !(bound < FLT_MAX))
            return ranked;
    }
}

size_t nlsh__finish_round(struct nlsh__chooser *c, const struct nlsh__round *round,
                          const struct nlsh__ranking *r, const struct nlsh__units *units,
                          float margin)
{
    float done = -INFINITY;
    size_t ranked = 0;
    if (r->best[r->k - 1] == UINT64_MAX) ranked = rank_first(c, round, r, units, &done);
    size_t n = near_rows(c, round, margin, done, nlsh__rank_limit(r, units));
    return ranked + nlsh__rank_places(r, units, c->places, c->least, leave_deleted(c, r, n));
}

void nlsh__keep_round(struct nlsh__chooser *c, const struct nlsh__round *round, size_t rerank)
{
    size_t n = near_rows(c, round, 0, -INFINITY, FLT_MAX);
    for (size_t i = 0; i < n; i++)
        c->kept[c->n_kept++] = nlsh__key_u32(nlsh__ordered_f32(c->least[i]), c->places[i]);
    if (c->n_kept <= rerank) return;
    nlsh__select_smallest(c->kept, c->n_kept, rerank);
    c->n_kept = rerank;
}

size_t nlsh__rank_kept(struct nlsh__chooser *c, const struct nlsh__ranking *r,
                       const struct nlsh__units *units)
{
    size_t ranked = 0;
    for (size_t first = 0; first < c->n_kept; first += ROUND) {
        size_t n = c->n_kept - first < ROUND ? c->n_kept - first : ROUND;
        for (size_t i = 0; i < n; i++) {
            c->places[i] = (uint32_t)c->kept[first + i];
            c->least[i] = -INFINITY;
        }
        ranked += nlsh__rank_places(r, units, c->places, c->least, n);
    }
    c->n_kept = 0;
    return ranked;
}
