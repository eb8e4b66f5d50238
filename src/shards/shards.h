/*
 * shards.h - an index in shards, open in one process or in several, and searched.
 *
 * Answers, candidates and ranked rows are those of the index that the shards were cut of, to the bit, for any number of
 * shards and ranks with one instruction set. No filters, no ranges, no rerank.
 */
#ifndef NLSH_SHARDS_SHARDS_H
#define NLSH_SHARDS_SHARDS_H

#include "base/ranks.h"
#include "shards/manifest.h"
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
    const struct nlsh_index **own; /* [n] those of this rank, i % ranks.n; else NULL */
    int borrowed;                  /* 1: who joined them closes them */
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

/* The same of shards that are open: each rank has one, that of its number, which outlives *out. NLSH_E_NOMEM. */
enum nlsh_status nlsh__shards_join(const struct nlsh_index *own, size_t n_threads,
                                   const struct nlsh__ranks *ranks, struct nlsh__shards **out,
                                   struct nlsh_error *error);

/* By rank 0: as nlsh_search(). Where in_step is 0 behind an error, the other ranks wait in vain: end them. */
enum nlsh_status nlsh__shards_search(struct nlsh__shards *shards, const struct nlsh_matrix *queries,
                                     const struct nlsh_search_options *options, uint64_t *keys,
                                     float *distances, struct nlsh_search_stats *stats,
                                     struct nlsh_error *error);
/* By rank 0, for who measures: by a plan; best [n x k] of the whole's rows, scanned [n x n_buckets] 1 where a bucket was. */
enum nlsh_status nlsh__shards_search_plan(struct nlsh__shards *shards,
                                          const struct nlsh_matrix *queries,
                                          const struct nlsh__plan *plan, uint64_t *best,
                                          uint8_t *scanned, struct nlsh_error *error);
/* What is known of rows that are asked for by number; each may be NULL, and stays as it is for a row that no shard here has. */
struct nlsh__shards_known {
    uint32_t *scores; /* exact, as best has them */
    uint64_t *keys;
    float *distances;
};

/* By rank 0: of rows of the whole [n x n_each], n_each a query. The first call has each shard look where its rows stand. */
enum nlsh_status nlsh__shards_know(struct nlsh__shards *shards, const struct nlsh_matrix *queries,
                                   const uint32_t *rows, size_t n_each,
                                   const struct nlsh__shards_known *out, struct nlsh_error *error);
/* By the others: answers until rank 0 closes. An error is to end all ranks. */
enum nlsh_status nlsh__shards_serve(struct nlsh__shards *shards, struct nlsh_error *error);

/* ---- inside ------------------------------------------------------------------------------------ */

/* Queries that are under way together: so many share a message, whose way takes its time. Scratch is about .15 MB each and
 * shard. */
#define NLSH__SHARDS_BLOCK 128

/* Scratch for a block of queries. */
enum nlsh_status nlsh__shards_block_create(struct nlsh__shards *shards, size_t n_threads,
                                           struct nlsh_error *error);
void nlsh__shards_block_free(struct nlsh__shards *shards);

/* Where what rank 0 found goes; each may be NULL. */
struct nlsh__shards_found {
    struct nlsh__answers answers; /* keys NULL: none of these */
    uint64_t *best;               /* [n x k] */
    uint8_t *scanned;             /* [n x n_buckets] */
};

/* By all ranks: the answers to at most a block of queries. out: of rank 0, from query `first` on; NULL of others. */
enum nlsh_status
nlsh__shards_block_run(struct nlsh__shards *shards, const struct nlsh_matrix *queries,
                       const struct nlsh__plan *plan, const struct nlsh__shards_found *out,
                       size_t first, struct nlsh_error *error);
/* By all ranks: the same of at most a block of queries. out: of rank 0; NULL of others. */
enum nlsh_status nlsh__shards_block_know(struct nlsh__shards *shards,
                                         const struct nlsh_matrix *queries, const uint32_t *rows,
                                         size_t n_each, const struct nlsh__shards_known *out,
                                         struct nlsh_error *error);
/* The others need not wait any more. */
void nlsh__shards_let_go(struct nlsh__shards *shards);

/* nlsh__ranks_gather() and nlsh__ranks_tell(), counted. */
enum nlsh_status nlsh__shards_gather(struct nlsh__shards *shards, const struct nlsh__bytes *own,
                                     struct nlsh__bytes *all, size_t *ends,
                                     struct nlsh_error *error);
enum nlsh_status nlsh__shards_tell(struct nlsh__shards *shards, struct nlsh__bytes *bytes,
                                   struct nlsh_error *error);

#endif
