/* walker.h - a shard's answers to what a walk asks: of the buckets that it has. */
#ifndef NLSH_SHARDS_WALKER_H
#define NLSH_SHARDS_WALKER_H

#include "base/bytes.h"
#include "shards/walk.h"

/* A scored piece of a round, and where in the whole round it stands. */
struct nlsh__placed_piece {
    struct nlsh__piece piece;
    uint32_t position; /* of its first score */
};

/* A row that may be within the limit, as it is sent: 16 bytes without gaps. */
struct nlsh__near_row {
    uint64_t key;      /* exact score and row of the whole: nlsh__topk_push() */
    uint32_t position; /* in the round: rows are judged in this order */
    float least;       /* what its score is at least */
};

/* One query in one shard. */
struct nlsh__walker {
    const struct nlsh_index *index;
    const uint32_t *rows; /* of the whole, by row; or NULL: it is the whole */
    uint32_t number;      /* of the shard */
    struct nlsh__scan scan;
    struct nlsh__placed_piece *pieces; /* [NLSH__ROUND / 16] */
    size_t n_pieces, n_scores;         /* of the round that is scored */
    size_t round;                      /* its number; 0: none yet */
    uint64_t *best;                    /* [n_best] */
    size_t n_best;
    uint32_t candidates; /* rows that were scored, or ranked without */
};

enum nlsh_status nlsh__walker_create(const struct nlsh_index *index, const uint32_t *rows,
                                     uint32_t number, struct nlsh__walker *out,
                                     struct nlsh_error *error);
void nlsh__walker_free(struct nlsh__walker *walker);
/* Zeros are fine. Another query comes; room for k. NLSH_E_NOMEM. */
enum nlsh_status nlsh__walker_begin(struct nlsh__walker *walker, size_t k,
                                    struct nlsh_error *error);
/* The row of this shard that a row of the whole is; UINT32_MAX: none. */
uint32_t nlsh__walker_row(const struct nlsh__walker *walker, uint32_t row);

/*
 * nlsh__walker_answer() - what this shard has to say to the walk's question, behind *to.
 *
 *  best  [k] rows of the whole, where keys are asked for
 * LEAVES, BOUND  columns f32; COUNTS  u32 of each of its buckets in the query's order; FIRST, ALL  u32 n, n keys of best;
 * NEAR  u32 n, n struct nlsh__near_row; KEYS  u32 candidates, u32 n, n pairs of u32 (place in best) and the key's u64.
 */
void nlsh__walker_answer(struct nlsh__walker *walker, const struct nlsh__walk *walk,
                         const struct nlsh__query *query, const uint64_t *best,
                         struct nlsh__bytes *to);

#endif
