/*
 * block.c - see block.h. The pairs of a query and a bucket are brought into the order of buckets, and
 * each bucket's codes are read once for all the queries that want them; a query's scores lie as if it
 * had been scanned alone, so that what follows, and the answer, are the same.
 */
#include "search/block.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/panel.h"
#include "kernels/topk.h"

/* One query's groups of one bucket. */
struct pair {
    uint32_t bucket, query;
    uint32_t first_score, piece;
};

struct nlsh__block {
    const struct nlsh_index *index;
    float *scores;              /* [NLSH__BLOCK_SCORES] */
    struct nlsh__piece *pieces; /* [n_room] in each query's own order */
    struct pair *pairs, *sorted;
    size_t n_room;
    uint32_t *counts; /* [m + 1] */
    size_t first_score[NLSH__BLOCK_QUERIES + 1], first_piece[NLSH__BLOCK_QUERIES + 1];
};

enum nlsh_status nlsh__block_create(const struct nlsh_index *index, struct nlsh__block **out,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__block *b = NULL;
    *out = NULL;
    NLSH_TRY(nlsh__calloc(&b, 1, sizeof *b, error));
    b->index = index;
    /* every bucket of a query has a group or none */
    b->n_room = NLSH__BLOCK_SCORES / NLSH__GROUP;
    NLSH_TRY(nlsh__alloc(&b->scores, NLSH__BLOCK_SCORES, sizeof *b->scores, error));
    NLSH_TRY(nlsh__alloc(&b->pieces, b->n_room, sizeof *b->pieces, error));
    NLSH_TRY(nlsh__alloc(&b->pairs, b->n_room, sizeof *b->pairs, error));
    NLSH_TRY(nlsh__alloc(&b->sorted, b->n_room, sizeof *b->sorted, error));
    NLSH_TRY(nlsh__alloc(&b->counts, index->meta.n_buckets + 1, sizeof *b->counts, error));
    *out = b;
    return NLSH_OK;
out:
    nlsh__block_free(b);
    return status;
}

void nlsh__block_free(struct nlsh__block *b)
{
    if (b == NULL) return;
    nlsh__free(b->scores);
    nlsh__free(b->pieces);
    nlsh__free(b->pairs);
    nlsh__free(b->sorted);
    nlsh__free(b->counts);
    nlsh__free(b);
}

/* The pairs of all members in block->pairs; returns how many. */
static size_t make_pairs(struct nlsh__block *b, const struct nlsh__codes *codes,
                         const struct nlsh__member *const *members, size_t n)
{
    size_t n_pairs = 0, score = 0;
    for (size_t q = 0; q < n; q++) {
        const struct nlsh__member *m = members[q];
        b->first_score[q] = score;
        b->first_piece[q] = n_pairs;
        for (size_t i = 0; i < m->routed.n_buckets && m->n_scores <= NLSH__ROUND; i++) {
            uint32_t bucket = m->routed.buckets[i];
            size_t groups = codes->group_offsets[bucket + 1] - codes->group_offsets[bucket];
            if (groups == 0) continue;
            b->pairs[n_pairs] =
                (struct pair){bucket, (uint32_t)q, (uint32_t)score, (uint32_t)n_pairs};
            n_pairs++;
            score += groups * NLSH__GROUP;
        }
    }
    b->first_score[n] = score;
    b->first_piece[n] = n_pairs;
    return n_pairs;
}

/* Into block->sorted, by bucket, queries ascending inside. */
static void sort_pairs(struct nlsh__block *b, size_t n_pairs)
{
    size_t m = b->index->meta.n_buckets;
    memset(b->counts, 0, (m + 1) * sizeof *b->counts);
    for (size_t i = 0; i < n_pairs; i++) b->counts[b->pairs[i].bucket + 1]++;
    for (size_t j = 1; j < m; j++) b->counts[j + 1] += b->counts[j];
    for (size_t i = 0; i < n_pairs; i++) b->sorted[b->counts[b->pairs[i].bucket]++] = b->pairs[i];
}

void nlsh__block_scores(struct nlsh__block *b, struct nlsh__scan *scan,
                        const struct nlsh__member *const *members, size_t n)
{
    const struct nlsh__segment *segment = &b->index->segments[0];
    const struct nlsh__codes *codes = segment->codes;
    size_t n_pairs = make_pairs(b, codes, members, n);
    sort_pairs(b, n_pairs);
    for (size_t i = 0; i < n_pairs; i++) {
        const struct pair *p = &b->sorted[i];
        const struct nlsh__member *m = members[p->query];
        size_t next = i + 1;
        if (next < n_pairs && b->sorted[next].bucket != p->bucket)
            nlsh__prefetch_bucket(codes, b->sorted[next].bucket);
        const struct nlsh__groups_of g = {
            p->bucket, 0, codes->group_offsets[p->bucket + 1] - codes->group_offsets[p->bucket]};
        nlsh__score_piece(scan, b->index, segment, m->routed.inputs, m->units.outside, &g,
                          b->scores + p->first_score, &b->pieces[p->piece]);
        b->pieces[p->piece].first_score = (uint32_t)(p->first_score - b->first_score[p->query]);
    }
}

struct nlsh__cost nlsh__block_finish(struct nlsh__block *b, struct nlsh__scan *scan,
                                     const struct nlsh__query *query,
                                     const struct nlsh__member *member, size_t i,
                                     const struct nlsh__plan *plan, uint64_t *best)
{
    const struct nlsh__segment *segment = &b->index->segments[0];
    const struct nlsh__routed *routed = &member->routed;
    struct nlsh__cost cost = {0};
    if (member->n_scores > NLSH__ROUND)
        return nlsh__scan_query(scan, b->index, query, plan, routed, best);
    for (size_t j = 0; j < routed->n_buckets; j++) {
        uint32_t bucket = routed->buckets[j];
        cost.candidates += segment->bucket_offsets[bucket + 1] - segment->bucket_offsets[bucket];
    }
    const struct nlsh__ranking ranking = {b->index, segment, query, NULL, best, plan->k};
    const struct nlsh__round round = {
        .scores = b->scores + b->first_score[i],
        .n_scores = b->first_score[i + 1] - b->first_score[i],
        .pieces = b->pieces + b->first_piece[i],
        .n_pieces = b->first_piece[i + 1] - b->first_piece[i],
    };
    nlsh__topk_clear(best, plan->k);
    for (size_t p = 0; p < round.n_pieces && plan->rerank > 0 && nlsh__may_hide(&ranking); p++)
        nlsh__hide_rows(&ranking, &round.pieces[p], round.scores + round.pieces[p].first_score);
    cost.ranked = nlsh__finish_last(&scan->chooser, &round, &ranking, &member->units, plan);
    nlsh__topk_sort(best, plan->k);
    return cost;
}
