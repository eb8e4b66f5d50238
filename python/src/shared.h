/*
 * shared.h - an open index that several Python objects and running searches hold, with the searchers and
 * pools that wait for the next search.
 *
 * All functions want the GIL: it is what guards the counts and lists here.
 */
#ifndef NLSH_PYTHON_SHARED_H
#define NLSH_PYTHON_SHARED_H

#include "content.h"
#include "nlsh/nlsh.h"
#include "python.h"

struct shared;

/*
 * shared_open() - opens an index file, without the GIL meanwhile. Its holder is the caller: shared_drop().
 *
 * NULL with an exception on error.
 */
struct shared *shared_open(const char *path, enum nlsh_memory memory);

/* The index as its files are now: shared itself, held, where nothing has changed. Searchers that wait go over to
 * the new state. Otherwise shared_open(). */
struct shared *shared_refresh(struct shared *shared);

/*
 * shared_of_state() - a state that a writer gave.
 *
 *  index    taken over, on an error too
 *  content  the writer's files, which are held
 *  before   an earlier state of the same writer, whose waiting searchers go over; or NULL
 */
struct shared *shared_of_state(struct nlsh_index *index, struct content *content,
                               enum nlsh_memory memory, struct shared *before);

struct shared *shared_hold(struct shared *shared);
/* The last holder's call closes the index. */
void shared_drop(struct shared *shared);

const struct nlsh_index *shared_index(const struct shared *shared);
const struct nlsh_index_info *shared_info(const struct shared *shared);
/* What of its files can be read when their names are gone. */
const struct content *shared_content(const struct shared *shared);

/* A searcher that nobody uses, for searcher_give(); NULL with an exception. */
struct nlsh_searcher *searcher_take(struct shared *shared);
void searcher_give(struct shared *shared, struct nlsh_searcher *searcher);

/* A pool of so many threads that nobody uses. The same rules. */
struct nlsh_searcher_pool *pool_take(struct shared *shared, size_t n_threads);
void pool_give(struct shared *shared, size_t n_threads, struct nlsh_searcher_pool *pool);

#endif
