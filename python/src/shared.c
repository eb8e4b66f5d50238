/*
 * shared.c - see shared.h.
 *
 * A search takes a searcher from the list of idle ones, or makes one, and gives it back: there are as many as
 * searches ever ran at one time, up to N_SEARCHERS that wait. Pools are fewer, since each has threads. After a
 * fork the child has its parent's lists, but none of the pools' threads: pools remember their process, and one
 * of another process is left alone, since to free it would mean to wait for threads that are not there.
 */
#include "shared.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include "failure.h"

enum { N_SEARCHERS = 64, N_POOLS = 4 };

struct idle_pool {
    struct nlsh_searcher_pool *pool;
    size_t n_threads;
    pid_t process;
};

struct shared {
    size_t n_holders;
    struct nlsh_index *index;
    struct nlsh_index_info info;
    int fd;
    size_t n_searchers, n_pools; /* idle */
    struct nlsh_searcher *searchers[N_SEARCHERS];
    struct idle_pool pools[N_POOLS];
};

/* Everything but memory of Python's, which the caller frees: no GIL is needed. */
static enum nlsh_status open_all(const char *path, enum nlsh_memory memory, struct shared *shared,
                                 struct nlsh_error *error)
{
    struct nlsh_open_options options;
    nlsh_open_options_init(&options, sizeof options);
    options.memory = memory;
    enum nlsh_status status = nlsh_index_open(path, &options, &shared->index, error);
    if (status != NLSH_OK) return status;
    shared->info.struct_size = sizeof shared->info;
    status = nlsh_index_info(shared->index, &shared->info, error);
    if (status == NLSH_OK) shared->fd = open(path, O_RDONLY | O_CLOEXEC);
    return status;
}

struct shared *shared_open(const char *path, enum nlsh_memory memory)
{
    struct nlsh_error error;
    struct shared *shared = PyMem_Calloc(1, sizeof *shared);
    if (shared == NULL) return (struct shared *)PyErr_NoMemory();
    shared->n_holders = 1;
    shared->fd = -1;
    PyThreadState *state = PyEval_SaveThread();
    enum nlsh_status status = open_all(path, memory, shared, &error);
    int reason = errno;
    PyEval_RestoreThread(state);
    if (status == NLSH_OK && shared->fd >= 0) return shared;
    if (status != NLSH_OK) {
        raise_error(&error);
    } else {
        errno = reason;
        PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
    }
    shared_drop(shared);
    return NULL;
}

struct shared *shared_hold(struct shared *shared)
{
    shared->n_holders++;
    return shared;
}

void shared_drop(struct shared *shared)
{
    if (shared == NULL || --shared->n_holders > 0) return;
    for (size_t i = 0; i < shared->n_searchers; i++) nlsh_searcher_free(shared->searchers[i]);
    for (size_t i = 0; i < shared->n_pools; i++)
        if (shared->pools[i].process == getpid()) nlsh_searcher_pool_free(shared->pools[i].pool);
    nlsh_index_close(shared->index);
    if (shared->fd >= 0) close(shared->fd);
    PyMem_Free(shared);
}

const struct nlsh_index *shared_index(const struct shared *shared)
{
    return shared->index;
}

const struct nlsh_index_info *shared_info(const struct shared *shared)
{
    return &shared->info;
}

int shared_fd(const struct shared *shared)
{
    return shared->fd;
}

struct nlsh_searcher *searcher_take(struct shared *shared)
{
    if (shared->n_searchers > 0) return shared->searchers[--shared->n_searchers];
    struct nlsh_error error;
    struct nlsh_searcher *searcher;
    if (nlsh_searcher_create(shared->index, &searcher, &error) != NLSH_OK) raise_error(&error);
    return searcher;
}

void searcher_give(struct shared *shared, struct nlsh_searcher *searcher)
{
    if (shared->n_searchers < N_SEARCHERS)
        shared->searchers[shared->n_searchers++] = searcher;
    else
        nlsh_searcher_free(searcher);
}

struct nlsh_searcher_pool *pool_take(struct shared *shared, size_t n_threads)
{
    for (size_t i = shared->n_pools; i-- > 0;) {
        struct idle_pool idle = shared->pools[i];
        if (idle.n_threads != n_threads || idle.process != getpid()) continue;
        shared->pools[i] = shared->pools[--shared->n_pools];
        return idle.pool;
    }
    struct nlsh_error error;
    struct nlsh_searcher_pool *pool;
    if (nlsh_searcher_pool_create(shared->index, n_threads, &pool, &error) != NLSH_OK)
        raise_error(&error);
    return pool;
}

void pool_give(struct shared *shared, size_t n_threads, struct nlsh_searcher_pool *pool)
{
    struct idle_pool idle = {pool, n_threads, getpid()};
    if (shared->n_pools < N_POOLS) {
        shared->pools[shared->n_pools++] = idle;
        return;
    }
    /* The list is full: the oldest goes. */
    struct idle_pool oldest = shared->pools[0];
    for (size_t i = 1; i < N_POOLS; i++) shared->pools[i - 1] = shared->pools[i];
    shared->pools[N_POOLS - 1] = idle;
    if (oldest.process == getpid()) nlsh_searcher_pool_free(oldest.pool);
}
