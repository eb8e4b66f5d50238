/*
 * served.h - the index that is served: its state of now, those that are still searched, and the searchers.
 *
 * A seat is a searcher with a state under it, for one thread at a time. Searches never wait for a change: they end on
 * the state that they began with.
 */
#ifndef NLSH_SERVE_SERVED_H
#define NLSH_SERVE_SERVED_H

#include "nlsh/nlsh.h"

struct nlsh__served;

/* A state of the index, held by whoever works on it. */
struct nlsh__served_state {
    const struct nlsh_index *index;
    struct nlsh_index_info info;
    uint64_t number; /* counts states, from 1 */
    uint64_t file;   /* counts files: buckets and router are the same while this is */
};

struct nlsh__seat {
    struct nlsh_searcher *searcher;
    const struct nlsh__served_state *state;
};

/*
 * nlsh__served_open() - opens an index to serve.
 *
 *  writes  1: for writing too, so that nobody else may; syncs says when what is put is durable. 0: the index is
 *          followed while others write it
 * Statuses are nlsh_index_open()'s and nlsh_writer_open()'s.
 */
enum nlsh_status nlsh__served_open(const char *path, enum nlsh_memory memory, int writes,
                                   enum nlsh_sync sync, struct nlsh__served **out,
                                   struct nlsh_error *error);
/* Every seat must have been given back. What was put is made durable first. Accepts NULL. */
enum nlsh_status nlsh__served_close(struct nlsh__served *served, struct nlsh_error *error);

int nlsh__served_writes(const struct nlsh__served *served);

/* A seat on the state of now, for nlsh__served_give(). NLSH_E_NOMEM. Any thread. */
enum nlsh_status nlsh__served_take(struct nlsh__served *served, struct nlsh__seat **out,
                                   struct nlsh_error *error);
void nlsh__served_give(struct nlsh__served *served, struct nlsh__seat *seat);

/* Looks whether others have changed the index. Without effect on one that is open for writing. One thread at a time. */
enum nlsh_status nlsh__served_refresh(struct nlsh__served *served, struct nlsh_error *error);

/* nlsh_writer_put(); without keys (NULL) the next free ones, of which *first_key becomes the first. n_rows: of the
 * index afterwards. NLSH_E_UNSUPPORTED where the index is not open for writing, NLSH_E_CANT_CREATE where
 * another file has come to its place. Any thread; they take turns. */
enum nlsh_status nlsh__served_put(struct nlsh__served *served, const uint64_t *keys,
                                  const struct nlsh_matrix *vectors, uint64_t *first_key,
                                  size_t *n_rows, struct nlsh_error *error);
/* The same of nlsh_writer_delete(). */
enum nlsh_status nlsh__served_delete(struct nlsh__served *served, const uint64_t *keys, size_t n,
                                     size_t *n_deleted, size_t *n_rows, struct nlsh_error *error);

#endif
