/*
 * walk.h - a query's way through an index that lies in shards: what is asked next.
 *
 * A search decides by what it found so far which leaves and rows it looks at (search/scan.c). So that shards together
 * answer with the very bytes of one file, they go in step: rank 0 asks all of them for what it needs to decide, decides as
 * one file would, and says so. Every rank has a walk of each query and moves it on by the same replies.
 */
#ifndef NLSH_SHARDS_WALK_H
#define NLSH_SHARDS_WALK_H

#include "search/search.h"

/* The index that the shards are of. */
struct nlsh__whole {
    size_t n_rows, n_buckets, n_shards;
    uint32_t *sizes;  /* [n_buckets] rows */
    uint32_t *owners; /* [n_buckets] the shard that holds it */
    uint8_t *missing; /* [n_shards] 1: nobody has it */
};

/* What shards are asked for, and what the reply to their answers is. */
enum nlsh__ask {
    NLSH__ASK_LEAVES, /* the least scores of leaves, by column; a bound */
    NLSH__ASK_COUNTS, /* how many leaves of each bucket were chosen; the same of all */
    NLSH__ASK_BOUND,  /* the least scores of a round's rows, by column; a bound */
    NLSH__ASK_FIRST,  /* rows up to that bound, exactly; a limit */
    NLSH__ASK_NEAR,   /* rows that may be within the limit, exactly; a limit */
    NLSH__ASK_ALL,    /* the k best rows of all buckets that are scanned; nothing */
    NLSH__ASK_KEYS,   /* the keys of rows, which is the end */
    NLSH__ASK_NOTHING
};

/* What rank 0 found out. */
struct nlsh__reply {
    float value;   /* a bound or a limit */
    uint32_t full; /* 1: k rows were found, and the limit is one */
};

struct nlsh__walk {
    const struct nlsh__whole *whole;
    const struct nlsh__plan *plan;
    struct nlsh__routed routed;
    struct nlsh__units units;
    enum nlsh__ask ask;
    int by_leaves;
    size_t n_shares;         /* that leaves were chosen with */
    float share, leaf_limit; /* that they are to be chosen with */
    /* Groups of 16 rows that are to be scored, bucket behind bucket in the query's order. A round is n_round of them, from
     * the first-th on. */
    uint32_t *
        counts; /* [n_buckets of the whole] of leaves: how many were chosen of the query's i-th bucket */
    size_t n_groups, first, n_round;
    size_t round;      /* its number, of all of the query */
    float done, limit; /* scores up to done were ranked; limit of those that may be */
    int full;
};

/* A query that was routed. walk->counts has room for all buckets. */
void nlsh__walk_begin(struct nlsh__walk *walk, const struct nlsh__whole *whole,
                      const struct nlsh__plan *plan, const struct nlsh__routed *routed,
                      int has_codes, int has_leaves);
/* Goes on by a reply; for NLSH__ASK_COUNTS the counts have been set. */
void nlsh__walk_on(struct nlsh__walk *walk, const struct nlsh__reply *reply);

/* Groups of the query's i-th bucket that are to be scored. */
size_t nlsh__walk_groups(const struct nlsh__walk *walk, size_t i);

/* Columns of the bound that is asked for; 0: it is +infinity. And of how many scores it is. */
size_t nlsh__walk_columns(const struct nlsh__walk *walk);
size_t nlsh__walk_scores(const struct nlsh__walk *walk);

/* Groups of rows, and of leaves, that a bucket of so many rows has. */
static inline size_t nlsh__groups_of_rows(size_t n_rows)
{
    return (n_rows + 15) / 16;
}

#endif
