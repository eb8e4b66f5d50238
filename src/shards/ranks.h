/* ranks.h - the processes that search together, and how they speak with each other: one alone, or whoever fills this in. */
#ifndef NLSH_SHARDS_RANKS_H
#define NLSH_SHARDS_RANKS_H

#include "shards/bytes.h"

struct nlsh__ranks {
    size_t n, own; /* rank 0 decides */
    void *user;
    /* All ranks' bytes to rank 0, in the order of ranks: rank i's end at ends[i] [n]. Others' *all stays empty. */
    enum nlsh_status (*gather)(void *user, const struct nlsh__bytes *own, struct nlsh__bytes *all,
                               size_t *ends, struct nlsh_error *error);
    /* Rank 0's bytes to all. */
    enum nlsh_status (*tell)(void *user, struct nlsh__bytes *bytes, struct nlsh_error *error);
};

/* One process alone: it speaks with nobody. */
#define NLSH__ALONE ((struct nlsh__ranks){.n = 1})

#endif
