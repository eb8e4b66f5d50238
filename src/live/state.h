/*
 * state.h - an index file with its log, as it is read: from both come states, one behind the other, and each is an
 * index that never changes.
 */
#ifndef NLSH_LIVE_STATE_H
#define NLSH_LIVE_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "index/layout.h"
#include "live/keys.h"
#include "live/rest.h"
#include "live/store.h"
#include "live/strange.h"

/* Tombstones of a segment, or of the whole log. */
struct nlsh__dead {
    uint64_t *words;
    size_t n_words, room;
    uint64_t *shared; /* a copy that states read; NULL: there is none, or it is old */
};

/* All that was read of a log. One thread at a time works on it: lock. */
struct nlsh__live {
    _Atomic size_t owners;
    pthread_mutex_t lock;
    struct nlsh_index *file; /* owned */
    char *log_path;
    int fd; /* of the log */
    struct nlsh__log_at at;
    struct nlsh__store store;
    struct nlsh__keys keys; /* of the log's rows, and where the file has keys of its rows */
    int knows_file_keys;
    struct nlsh__dead *dead; /* [file->n_segments + 1] the last of the log's rows */
    size_t n_dead;           /* that were not in the file's tombstones */
    uint32_t *sizes;         /* [m] rows in each bucket */
    float *weights;          /* shared: of buckets [m], then of groups */
    size_t weighed;          /* chunks of rows that weights are of, + 1 */
    struct nlsh__strange strange;
    uint64_t next_key; /* larger than every key so far */
    struct nlsh__log_rest rest;
};

/* What of a state is shared with others. */
struct nlsh__state {
    struct nlsh__live *live;
    uint64_t number; /* of the record that comes next */
    /* parts; tombstones of the file's segments and of the log; weights */
    void *kept[NLSH__MOST_PARTS + NLSH__MAX_SEGMENTS + 2];
    size_t n_kept;
};

/*
 * nlsh__live_create() - the log of an index file that is open, as far as it is whole.
 *
 *  file      taken: closed with the answer, and on an error
 *  log_path  copied
 *  fd        of the log, open for reading; taken as the file is
 * NLSH_E_DATA (the file is no log), NLSH_E_MISMATCH (it belongs to another index), NLSH_E_UNSUPPORTED (of a newer
 * nlsh), NLSH_E_IO, NLSH_E_NOMEM.
 */
enum nlsh_status nlsh__live_create(struct nlsh_index *file, const char *log_path, int fd,
                                   struct nlsh__live **out, struct nlsh_error *error);
struct nlsh__live *nlsh__live_keep(struct nlsh__live *live);
void nlsh__live_drop(struct nlsh__live *live);

/* Reads what is new of the log. On NLSH_E_IO and NLSH_E_NOMEM what was read before stands. */
enum nlsh_status nlsh__live_read(struct nlsh__live *live, struct nlsh_error *error);

/* Room for a record of n rows: nlsh__live_apply() does not fail then. */
enum nlsh_status nlsh__live_reserve(struct nlsh__live *live, size_t n, struct nlsh_error *error);
/* What a record says. 0: it cannot be so, and nothing was done. */
int nlsh__live_apply(struct nlsh__live *live, const struct nlsh__record_header *record);

/* The row of a key that was not deleted, or NLSH__NO_ROW. */
uint32_t nlsh__live_find(const struct nlsh__live *live, uint64_t key);

/* The state as an index, closed with nlsh_index_close(). */
enum nlsh_status nlsh__live_publish(struct nlsh__live *live, struct nlsh_index **out,
                                    struct nlsh_error *error);
/* Of such an index, when nobody owns it any more. */
void nlsh__state_free(struct nlsh_index *index);

#endif
