/*
 * shared.h - an open index that several Python objects and running searches hold, with the searchers and
 * pools that wait for the next search.
 *
 * All functions want the GIL: it is what guards the counts and lists here.
 */
#ifndef NLSH_PYTHON_SHARED_H
#define NLSH_PYTHON_SHARED_H

#include "nlsh/nlsh.h"
#include "python.h"

struct shared;

/*
 * shared_open() - opens an index file, without the GIL meanwhile. Its holder is the caller: shared_drop().
 *
 * The file is also kept open for reading, so that its content can be had when its name is gone. NULL with an
 * exception on error.
 */
struct shared *shared_open(const char *path, enum nlsh_memory memory);
struct shared *shared_hold(struct shared *shared);
/* The last holder's call closes the index. */
void shared_drop(struct shared *shared);

const struct nlsh_index *shared_index(const struct shared *shared);
const struct nlsh_index_info *shared_info(const struct shared *shared);
int shared_fd(const struct shared *shared);

/* A searcher that nobody uses, for searcher_give(); NULL with an exception. */
struct nlsh_searcher *searcher_take(struct shared *shared);
void searcher_give(struct shared *shared, struct nlsh_searcher *searcher);

/* A pool of so many threads that nobody uses. The same rules. */
struct nlsh_searcher_pool *pool_take(struct shared *shared, size_t n_threads);
void pool_give(struct shared *shared, size_t n_threads, struct nlsh_searcher_pool *pool);

#endif
