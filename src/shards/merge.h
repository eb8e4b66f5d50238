/* merge.h - rank 0's part of a search in shards: it takes all shards' answers to a question, and decides. */
#ifndef NLSH_SHARDS_MERGE_H
#define NLSH_SHARDS_MERGE_H

#include "shards/walker.h"

/* One query. */
struct nlsh__merge {
    uint64_t *best; /* [room] the k best so far: score and row of the whole */
    uint64_t *keys; /* [room] of these, where callers' are known */
    size_t room;
    float *columns;            /* [n_columns] */
    size_t n_columns;          /* that there is room for */
    struct nlsh__bytes near;   /* struct nlsh__near_row of all shards */
    size_t candidates, ranked; /* of all shards */
};

void nlsh__merge_free(struct nlsh__merge *merge);
/* Another query comes. NLSH_E_NOMEM. */
enum nlsh_status nlsh__merge_begin(struct nlsh__merge *merge, size_t k, struct nlsh_error *error);

/* Before a question is answered; behind it, shard by shard, what each has to say (nlsh__walker_answer()); and when all
 * have. *reply goes to all. work: [n_shards] rows that each scored, added to. NLSH_E_NOMEM, NLSH_E_INTERNAL. */
enum nlsh_status nlsh__merge_ask(struct nlsh__merge *merge, struct nlsh__walk *walk,
                                 struct nlsh_error *error);
enum nlsh_status nlsh__merge_take(struct nlsh__merge *merge, struct nlsh__walk *walk,
                                  uint32_t shard, struct nlsh__reader *from, uint64_t *work,
                                  struct nlsh_error *error);
void nlsh__merge_reply(struct nlsh__merge *merge, const struct nlsh__walk *walk,
                       const struct nlsh_index *index, const struct nlsh__query *query,
                       struct nlsh__chooser *chooser, struct nlsh__reply *reply);

#endif
