/*
 * round.h - scores of some rows, and which of the rows are worth an exact distance.
 *
 * A round is what is scored together: pieces of buckets, or leaves. It is made by who scores, and handed
 * on whole.
 */
#ifndef NLSH_SEARCH_ROUND_H
#define NLSH_SEARCH_ROUND_H

#include "kernels/panel.h"
#include "search/rank.h"

/* Scores of a round: 64 KiB of them stay in the cache. */
#define NLSH__ROUND 16384

/* Scored rows of one bucket. */
struct nlsh__piece {
    uint32_t first_score;
    uint32_t n_rows; /* scores that may be a row's; what else fills up their last 16 is +infinity */
    /* Where the rows stand: from first_place on; or where places is not NULL, each 16 scores from places[i]
     * on, and first_place is 0. */
    uint32_t first_place;
    const uint32_t *places;
    const uint8_t *errors; /* [n_rows] */
    float unit;            /* of the errors, for this query */
};

/* Where the row of a piece's score stands. */
static inline uint32_t nlsh__place_of(const struct nlsh__piece *piece, uint32_t score)
{
    return piece->places == NULL
               ? piece->first_place + score
               : piece->places[score / NLSH__GROUP] + score % (uint32_t)NLSH__GROUP;
}

struct nlsh__round {
    float *scores; /* aligned to 64 */
    size_t n_scores;
    struct nlsh__piece *pieces;
    size_t n_pieces;
};

/* Scratch of one thread. */
struct nlsh__chooser {
    uint32_t *places; /* [NLSH__ROUND + 16] to rank */
    float *least;     /* [NLSH__ROUND + 16] what their scores are at least */
    float *columns;   /* [MOST_COLUMNS of round.c] */
    uint64_t *column_keys;
    uint64_t *kept; /* [room] the best places by score, where the caller says how many to rank */
    size_t room, n_kept;
};

enum nlsh_status nlsh__chooser_create(struct nlsh__chooser *out, struct nlsh_error *error);
/* Room for keeping rerank rows; 0: none are kept. */
enum nlsh_status nlsh__chooser_reserve(struct nlsh__chooser *chooser, size_t rerank,
                                       struct nlsh_error *error);
void nlsh__chooser_free(struct nlsh__chooser *chooser);

/* Gives hidden rows of a piece the score +infinity. */
void nlsh__hide_rows(const struct nlsh__ranking *r, const struct nlsh__piece *piece, float *scores);

/* A score that at least n of the scores [n_scores] have or are below; +infinity where there are not so many. Scores are
 * dealt out to columns, and only each column's least counts: nlsh__bound_columns() says how many there are, 0 where the
 * bound is +infinity whatever the scores are. */
float nlsh__bound(struct nlsh__chooser *c, const float *scores, size_t n_scores, size_t n);
size_t nlsh__bound_columns(size_t n_scores, size_t n);

/* The rows of a round that can be among the k best, margin errors off, ranked; returns how many. */
size_t nlsh__finish_round(struct nlsh__chooser *c, const struct nlsh__round *round,
                          const struct nlsh__ranking *r, const struct nlsh__units *units,
                          float margin);

/* Keeps the rerank best places of all rounds by score, and then ranks them; returns how many. */
void nlsh__keep_round(struct nlsh__chooser *c, const struct nlsh__round *round, size_t rerank);
size_t nlsh__rank_kept(struct nlsh__chooser *c, const struct nlsh__ranking *r,
                       const struct nlsh__units *units);

#endif
