/*
 * strange.h - whether vectors of a log lie elsewhere than those of its file.
 *
 * The router knows nothing of places where it has seen no vectors: who asks from there is sent anywhere. So some rows of the
 * log ask the file for their neighbours, as they come, and it is seen whether one is as near as is usual.
 */
#ifndef NLSH_LIVE_STRANGE_H
#define NLSH_LIVE_STRANGE_H

#include "live/store.h"

struct nlsh__strange {
    struct nlsh_searcher *searcher; /* of the file; NULL: nobody has asked yet */
    size_t next;                    /* the row that asks next */
    size_t n_asked, n_far;
    double distances; /* of those that are far, to the nearest that they found: a sum */
    double longest;   /* of their lengths */
};

/* Rows that came since the last call ask. What comes of it depends on file and rows alone. NLSH_E_NOMEM. Cost: a search of the
 * file for one row in 64 of the first 8,192, then for 64 rows more each time that their number doubles. */
enum nlsh_status nlsh__strange_ask(struct nlsh__strange *strange, const struct nlsh__store *store,
                                   struct nlsh_error *error);
void nlsh__strange_free(struct nlsh__strange *strange);

/* Where more of them were far from the file's vectors than chance makes of vectors that are like these: how far, in the mean; by
 * inner product, how near they can be to any query (nlsh__routed_distance()). Else 0. */
float nlsh__how_strange(const struct nlsh__strange *strange);

#endif
