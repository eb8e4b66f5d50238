/*
 * pool.h - a fixed set of threads that work through numbered tasks.
 *
 * Tasks are handed out as threads come free, so a task's result must depend on its number alone
 * and tasks must not write to the same place; reductions are done by the caller in task order.
 * That keeps answers the same for any number of threads.
 */
#ifndef NLSH_BASE_POOL_H
#define NLSH_BASE_POOL_H

#include <stddef.h>

#include "nlsh/nlsh.h"

struct nlsh__pool;

/* worker: 0 to n_threads - 1, for scratch. */
typedef void nlsh__task_fn(void *ctx, size_t task, size_t worker);

/* n_threads >= 1 counts the caller, who works too. Where a thread cannot be started the pool has
 * fewer; it never fails for that. */
enum nlsh_status nlsh__pool_create(size_t n_threads, struct nlsh__pool **out,
                                   struct nlsh_error *error);
void nlsh__pool_free(struct nlsh__pool *pool);
size_t nlsh__pool_n_threads(const struct nlsh__pool *pool);

/* Runs tasks 0 to n_tasks - 1 and returns when all are done. */
void nlsh__pool_run(struct nlsh__pool *pool, size_t n_tasks, nlsh__task_fn *fn, void *ctx);

/* The same, calling progress(user, stage, done, n_tasks) from the calling thread now and then.
 * NLSH_E_INTERRUPTED where it asked to stop: the tasks begun are finished, the others are not. */
enum nlsh_status nlsh__pool_run_progress(struct nlsh__pool *pool, size_t n_tasks, nlsh__task_fn *fn,
                                         void *ctx, nlsh_progress_fn *progress, void *user,
                                         const char *stage, struct nlsh_error *error);

/* Processors that this process may use. */
size_t nlsh__n_processors(void);

#endif
