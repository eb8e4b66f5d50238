/*
 * choice.h - the rows that come into question for each of many queries, chosen by panels
 * (kernels/panel.h): the work that the exact graph's tasks share.
 *
 * A list of keep keys is a query's choice so far, the worst at its end: nlsh__topk_push() keeps it. The score of a
 * key is the squared distance, of bytes exact, of floats as products give it; by inner product it is -2 x.q.
 */
#ifndef NLSH_GRAPH_CHOICE_H
#define NLSH_GRAPH_CHOICE_H

#include "kernels/panel.h"
#include "nlsh/nlsh.h"

enum {
    /* Queries a block. Each block goes over base rows that come from memory or the third-level cache:
     * as many as stay in the second-level one, fewer where there are few. */
    NLSH__MOST_BLOCK = 1024
};

struct nlsh__choice {
    const struct nlsh_matrix *base, *queries;
    struct nlsh__panel_u8 panel_u8; /* of the base, where it is U8 */
    struct nlsh__panel_f32 panel_f32;
    float *mean; /* [dim] what is taken from base and queries; floats only */
    size_t keep, block;
    int exclude_self; /* 1: query i is base row i */
    int inner;        /* 1: by inner product */
    /* Where queries and base are the same rows and one product serves both; else NULL. */
    uint64_t *keys; /* [n_rows x keep] */
    union {
        int32_t *i32;
        float *f32;
    } limits; /* [16 x n_groups] what a row's next key must stay below */
};

/* A query's keys where it keeps many: as they came, twice as many as are kept at the most. */
struct nlsh__long_list {
    size_t n;
    uint64_t worst; /* what the next has to be below */
};

/* One worker's. */
struct nlsh__picker {
    void *queries; /* [block x padded dim] i8, or [block x dim] f32 less the mean */
    union {
        int32_t *i32;
        float *f32;
    } thresholds, norms;           /* [block] */
    uint64_t *keys;                /* [block x keep] */
    struct nlsh__long_list *lists; /* [block], and */
    uint64_t *taken;               /* [block x 2 keep] their keys; or NULL */
    struct nlsh__hits hits;
};

/* Block, panel and mean. base, queries, keep and the two wishes are set; all else is 0. NLSH_E_NOMEM. */
enum nlsh_status nlsh__choice_prepare(struct nlsh__choice *c, struct nlsh_error *error);
/* Room for choices of both sides. NLSH_E_NOMEM. */
enum nlsh_status nlsh__choice_of_both(struct nlsh__choice *c, struct nlsh_error *error);
void nlsh__choice_free(struct nlsh__choice *c);
enum nlsh_status nlsh__picker_create(const struct nlsh__choice *c, struct nlsh__picker *out,
                                     struct nlsh_error *error);
void nlsh__picker_free(struct nlsh__picker *s);

/* Takes up queries first .. first + n - 1: their values, and norms. */
void nlsh__choose_load(const struct nlsh__choice *c, struct nlsh__picker *s, size_t first,
                       size_t n);
/* Loaded queries against the base rows of some groups; keys [n x keep] are theirs, and begin empty. */
void nlsh__choose(const struct nlsh__choice *c, struct nlsh__picker *s, size_t first, size_t n,
                  uint64_t *keys, size_t group, size_t n_groups);
/* Rows of two blocks against each other, and each block's rows among themselves, to c->keys. No other thread may
 * have one of the blocks in hand. Every row has to have met its own block first. */
void nlsh__choose_inside(const struct nlsh__choice *c, struct nlsh__picker *s, size_t block);
void nlsh__choose_between(const struct nlsh__choice *c, struct nlsh__picker *s, size_t block,
                          size_t other);

/* How many groups to take behind group g of n_groups before thresholds are brought up to date. */
size_t nlsh__choose_groups(size_t g, size_t n_groups);

#endif
