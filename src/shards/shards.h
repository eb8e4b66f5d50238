/*
 * shards.h - an index in shards, open in one process or in several, and searched.
 *
 * Answers, candidates and ranked rows are those of the index that the shards were cut of, to the bit, for any number of
 * shards and ranks with one instruction set. No filters, no ranges, no rerank.
 */
#ifndef NLSH_SHARDS_SHARDS_H
#define NLSH_SHARDS_SHARDS_H

#include "shards/manifest.h"
#include "shards/ranks.h"
#include "shards/walk.h"

struct nlsh__shards_options {
    enum nlsh_memory memory;
    int partial; /* 1: shards that are missing or damaged are left out, but for all of them */
    size_t n_threads;
};

/* What searches cost since the shards were opened; rank 0 knows. */
struct nlsh__shards_work {
    uint64_t queries, messages;             /* rounds of questions and replies */
    uint64_t sent;                          /* bytes between ranks */
    uint64_t buckets, buckets_missing;      /* that queries asked for */
    uint64_t candidates_missing;            /* vectors in those that are missing */
    uint64_t candidates[NLSH__MOST_SHARDS]; /* that each shard scored */
};

struct nlsh__shards {
    struct nlsh__ranks ranks;
    struct nlsh__manifest manifest;
    struct nlsh__whole whole;
    size_t n_missing;
    struct nlsh_error *why;        /* [n] of rank 0: what is wrong with those that are missing */
    struct nlsh_index **own;       /* [n] those of this rank, i % ranks.n; else NULL */
    const struct nlsh_index *lead; /* one of any shard: whose router is asked */
    struct nlsh_index *other;      /* lead, where it is of another rank */
    struct nlsh__shards_block *block;
    struct nlsh__shards_work work;
    int in_step; /* 1: the other ranks wait for a question */
};

/*
 * nlsh__shards_open() - by all ranks with the same manifest and options. All return the same status; rank 0's error says
 * which shard of which rank is wrong. NLSH_E_NO_INPUT, NLSH_E_DATA, NLSH_E_MISMATCH (another shard's file, or ranks of
 * other releases or instruction sets), NLSH_E_NOMEM.
 */
enum nlsh_status nlsh__shards_open(const char *path, const struct nlsh__shards_options *options,
                                   const struct nlsh__ranks *ranks, struct nlsh__shards **out,
                                   struct nlsh_error *error);
/* Rank 0 lets the others go. NULL is fine. */
void nlsh__shards_close(struct nlsh__shards *shards);

/* By rank 0: as nlsh_search(). Where in_step is 0 behind an error, the other ranks wait in vain: end them. */
enum nlsh_status nlsh__shards_search(struct nlsh__shards *shards, const struct nlsh_matrix *queries,
                                     const struct nlsh_search_options *options, uint64_t *keys,
                                     float *distances, struct nlsh_search_stats *stats,
                                     struct nlsh_error *error);
/* By the others: answers until rank 0 closes. An error is to end all ranks. */
enum nlsh_status nlsh__shards_serve(struct nlsh__shards *shards, struct nlsh_error *error);

/* ---- inside ------------------------------------------------------------------------------------ */

/* Queries that are under way together: so many share a message. */
#define NLSH__SHARDS_BLOCK 64

/* block.c: scratch for a block of queries. */
enum nlsh_status nlsh__shards_block_create(struct nlsh__shards *shards, size_t n_threads,
                                           struct nlsh_error *error);
void nlsh__shards_block_free(struct nlsh__shards *shards);

/* By all ranks: the answers to at most a block of queries. out: of rank 0, from query `first` on; NULL of others. */
enum nlsh_status
nlsh__shards_block_run(struct nlsh__shards *shards, const struct nlsh_matrix *queries,
                       const struct nlsh_search_options *options, const struct nlsh__answers *out,
                       size_t first, struct nlsh_error *error);

/* All ranks' bytes, shard by shard of each rank; rank 0's bytes to all. Of one rank alone: nothing but a copy. */
enum nlsh_status nlsh__shards_gather(struct nlsh__shards *shards, const struct nlsh__bytes *own,
                                     struct nlsh__bytes *all, size_t *ends,
                                     struct nlsh_error *error);
enum nlsh_status nlsh__shards_tell(struct nlsh__shards *shards, struct nlsh__bytes *bytes,
                                   struct nlsh_error *error);

#endif
