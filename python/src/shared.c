/*
 * shared.c - see shared.h.
 *
 * A search takes a searcher from the list of idle ones, or makes one, and gives it back: there are as many as
 * searches ever ran at one time, up to N_SEARCHERS that wait. Pools are fewer, since each has threads. After a
 * fork the child has its parent's lists, but none of the pools' threads: pools remember their process, and one
 * of another process is left alone, since to free it would mean to wait for threads that are not there.
 *
 * An index and the files that it is of must belong together, though both may be replaced at any moment: the files
 * are opened before the index, and their names looked at again after it.
 */
#include "shared.h"

#include <sys/types.h>
#include <unistd.h>

#include "failure.h"

enum { N_SEARCHERS = 64, N_POOLS = 4 };
/* How often an index is opened again when its files were replaced meanwhile. */
enum { TRIES = 5 };

struct idle_pool {
    struct nlsh_searcher_pool *pool;
    size_t n_threads;
    pid_t process;
};

struct shared {
    size_t n_holders;
    struct nlsh_index *index;
    struct nlsh_index_info info;
    enum nlsh_memory memory;
    struct content *content;
    size_t n_searchers, n_pools; /* idle */
    struct nlsh_searcher *searchers[N_SEARCHERS];
    struct idle_pool pools[N_POOLS];
};

/* ---- states ---------------------------------------------------------------------------------- */

static struct shared *shared_new(enum nlsh_memory memory)
{
    struct shared *shared = PyMem_Calloc(1, sizeof *shared);
    if (shared == NULL) return (struct shared *)PyErr_NoMemory();
    shared->n_holders = 1;
    shared->memory = memory;
    shared->info.struct_size = sizeof shared->info;
    return shared;
}

/* An index and the very files that it is of. No GIL is needed. */
static enum nlsh_status open_all(const char *path, struct shared *shared, struct nlsh_error *error)
{
    struct nlsh_open_options options;
    nlsh_open_options_init(&options, sizeof options);
    options.memory = shared->memory;
    for (int i = 0; i < TRIES; i++) {
        nlsh_index_close(shared->index);
        content_drop(shared->content);
        shared->content = content_open(path);
        enum nlsh_status status = nlsh_index_open(path, &options, &shared->index, error);
        if (status == NLSH_OK) status = nlsh_index_info(shared->index, &shared->info, error);
        if (status != NLSH_OK || shared->content == NULL) return status;
        if (content_fd(shared->content) >= 0 && content_is_current(shared->content)) return NLSH_OK;
    }
    content_drop(shared->content); /* an index all the same, but nobody can say of which files */
    shared->content = NULL;
    return NLSH_OK;
}

struct shared *shared_open(const char *path, enum nlsh_memory memory)
{
    struct nlsh_error error;
    struct shared *shared = shared_new(memory);
    if (shared == NULL) return NULL;
    PyThreadState *state = PyEval_SaveThread();
    enum nlsh_status status = open_all(path, shared, &error);
    PyEval_RestoreThread(state);
    if (status == NLSH_OK && shared->content != NULL) return shared;
    if (status != NLSH_OK)
        raise_error(&error);
    else
        PyErr_Format(PyExc_OSError, "%s: its files cannot be kept open, or change all the time",
                     path);
    shared_drop(shared);
    return NULL;
}

/* Searchers that wait serve another state of the same file from now on: to make one costs more. */
static void hand_over(struct shared *from, struct shared *to)
{
    struct nlsh_error error;
    while (from->n_searchers > 0) {
        struct nlsh_searcher *searcher = from->searchers[--from->n_searchers];
        if (nlsh_searcher_use(searcher, to->index, &error) == NLSH_OK)
            searcher_give(to, searcher);
        else
            nlsh_searcher_free(searcher);
    }
}

struct shared *shared_of_state(struct nlsh_index *index, struct content *content,
                               enum nlsh_memory memory, struct shared *before)
{
    struct nlsh_error error;
    struct shared *shared = shared_new(memory);
    if (shared == NULL) {
        nlsh_index_close(index);
        return NULL;
    }
    shared->index = index;
    shared->content = content_hold(content);
    if (nlsh_index_info(index, &shared->info, &error) != NLSH_OK) {
        shared_drop(shared);
        return (struct shared *)raise_error(&error);
    }
    if (before != NULL) hand_over(before, shared);
    return shared;
}

struct shared *shared_refresh(struct shared *shared)
{
    struct nlsh_error error;
    struct nlsh_index *now = NULL;
    enum nlsh_status status = NLSH_OK;
    const struct content *content = shared->content;
    PyThreadState *state = PyEval_SaveThread();
    int same_files = content_is_current(content);
    if (same_files) status = nlsh_index_refresh(shared->index, &now, &error);
    if (now != NULL) same_files = content_is_current(content);
    if (!same_files) nlsh_index_close(now);
    PyEval_RestoreThread(state);
    if (!same_files) return shared_open(content_path(content), shared->memory);
    if (status != NLSH_OK) return (struct shared *)raise_error(&error);
    if (now == NULL) return shared_hold(shared);
    return shared_of_state(now, shared->content, shared->memory, shared);
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
    content_drop(shared->content);
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

const struct content *shared_content(const struct shared *shared)
{
    return shared->content;
}

/* ---- searchers and pools --------------------------------------------------------------------- */

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
