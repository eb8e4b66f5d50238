/*
 * store.h - the rows of a log, in the order in which they came, and as segments that a search reads.
 *
 * Rows are numbered from 0 on and stay. Segments of them are made in sizes of 64 x 8^i, as the digits of a number in
 * base 8 are: so a row is copied a few times at most, and a log of any length is a few segments. What the segments
 * are depends on the rows alone.
 */
#ifndef NLSH_LIVE_STORE_H
#define NLSH_LIVE_STORE_H

#include "live/part.h"

enum {
    NLSH__CHUNK = 64, /* rows of the smallest segment: a word of tombstones */
    NLSH__LEVELS =
        14, /* 64 x 4^13 rows are the smallest of the last: more than an index may have */
    NLSH__MOST_PARTS = NLSH__LEVELS + 1
};

struct nlsh__store {
    const struct nlsh_index *file; /* whose buckets and codes the rows have */
    struct nlsh__row_form form;
    struct nlsh__log_rows rows; /* arrays with room for more */
    size_t room;
    struct nlsh__part parts[NLSH__LEVELS]; /* by size */
};

/* An empty one; file must outlive it. */
void nlsh__store_init(const struct nlsh_index *file, struct nlsh__store *out);
void nlsh__store_free(struct nlsh__store *store);
/* Room for n more rows. NLSH_E_NOMEM. */
enum nlsh_status nlsh__store_reserve(struct nlsh__store *store, size_t n, struct nlsh_error *error);
/* Appends rows; there is room. */
void nlsh__store_add(struct nlsh__store *store, const struct nlsh__log_rows *rows);

/*
 * nlsh__store_parts() - all rows as segments, the oldest first, into out [NLSH__MOST_PARTS]; *n says how many.
 *
 * Each part's block is the caller's to drop. On NLSH_E_NOMEM there are none, and the store is as it was.
 */
enum nlsh_status nlsh__store_parts(struct nlsh__store *store, struct nlsh__part *out, size_t *n,
                                   struct nlsh_error *error);

#endif
