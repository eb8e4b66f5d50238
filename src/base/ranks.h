/* ranks.h - processes that work together, and how they speak with each other: one alone, or whoever fills this in. */
#ifndef NLSH_BASE_RANKS_H
#define NLSH_BASE_RANKS_H

#include "base/bytes.h"

struct nlsh__ranks {
    size_t n, own; /* rank 0 decides */
    void *user;
    /* All ranks' bytes to rank 0, in the order of ranks: rank i's end at ends[i] [n]. Others' *all stays empty. */
    enum nlsh_status (*gather)(void *user, const struct nlsh__bytes *own, struct nlsh__bytes *all,
                               size_t *ends, struct nlsh_error *error);
    /* Rank 0's bytes to all. */
    enum nlsh_status (*tell)(void *user, struct nlsh__bytes *bytes, struct nlsh_error *error);
    /* What each rank has for each other, to [n]; from gets what all have for this one, as gather has it. */
    enum nlsh_status (*swap)(void *user, const struct nlsh__bytes *to, struct nlsh__bytes *from,
                             size_t *ends, struct nlsh_error *error);
};

/* One process alone: it speaks with nobody. */
#define NLSH__ALONE ((struct nlsh__ranks){.n = 1})

/* gather() and tell(), of one alone too: it hears itself. *all is emptied first. */
enum nlsh_status nlsh__ranks_gather(const struct nlsh__ranks *ranks, const struct nlsh__bytes *own,
                                    struct nlsh__bytes *all, size_t *ends,
                                    struct nlsh_error *error);
enum nlsh_status nlsh__ranks_tell(const struct nlsh__ranks *ranks, struct nlsh__bytes *bytes,
                                  struct nlsh_error *error);

/* Rank 0's values of a size that all know. */
enum nlsh_status nlsh__ranks_tell_values(const struct nlsh__ranks *ranks, void *values, size_t size,
                                         struct nlsh_error *error);

/* All ranks come here with what became of them so far, and leave with the first one's error, or none. */
enum nlsh_status nlsh__ranks_agree(const struct nlsh__ranks *ranks, enum nlsh_status status,
                                   struct nlsh_error *error);

#endif
