/*
 * pool.c - threads wait on a condition variable for a job (a function and a number of tasks), take
 * task numbers from a shared counter, and report when none is left. The caller works as worker 0.
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

struct worker {
    struct nlsh__pool *pool;
    size_t number;
    pthread_t thread;
};

struct nlsh__pool {
    pthread_mutex_t mutex;
    pthread_cond_t work_ready; /* a new job, or stop */
    pthread_cond_t work_done;  /* the last helper has left the job */
    struct worker *workers;
    size_t n_threads; /* the caller included */
    int stop;
    uint64_t job;      /* counts up; a helper that has seen it waits */
    size_t n_inside;   /* helpers still in the job */
    nlsh__task_fn *fn; /* the job */
    void *ctx;
    size_t n_tasks;
    atomic_size_t next;
    atomic_size_t finished;
    atomic_int cancelled;
};

static void take_task(struct nlsh__pool *pool, size_t task, size_t worker)
{
    pool->fn(pool->ctx, task, worker);
    atomic_fetch_add_explicit(&pool->finished, 1, memory_order_relaxed);
}

static void *helper_main(void *arg)
{
    struct worker *self = arg;
    struct nlsh__pool *pool = self->pool;
    uint64_t seen = 0;
    for (;;) {
        pthread_mutex_lock(&pool->mutex);
        while (!pool->stop && pool->job == seen) pthread_cond_wait(&pool->work_ready, &pool->mutex);
        seen = pool->job;
        int stop = pool->stop;
        pthread_mutex_unlock(&pool->mutex);
        if (stop) return NULL;

        for (;;) {
            if (atomic_load_explicit(&pool->cancelled, memory_order_relaxed)) break;
            size_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
            if (task >= pool->n_tasks) break;
            take_task(pool, task, self->number);
        }
        pthread_mutex_lock(&pool->mutex);
        if (--pool->n_inside == 0) pthread_cond_signal(&pool->work_done);
        pthread_mutex_unlock(&pool->mutex);
    }
}

enum nlsh_status nlsh__pool_create(size_t n_threads, struct nlsh__pool **out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__pool *pool = NULL;
    *out = NULL;
    NLSH_TRY(nlsh__calloc(&pool, 1, sizeof *pool, error));
    NLSH_TRY(nlsh__calloc(&pool->workers, n_threads, sizeof *pool->workers, error));
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work_ready, NULL);
    pthread_cond_init(&pool->work_done, NULL);
    pool->n_threads = 1;
    while (pool->n_threads < n_threads) {
        struct worker *w = &pool->workers[pool->n_threads];
        w->pool = pool;
        w->number = pool->n_threads;
        if (pthread_create(&w->thread, NULL, helper_main, w) != 0) break;
        pool->n_threads++;
    }
    *out = pool;
    return NLSH_OK;
out:
    nlsh__free(pool);
    return status;
}

void nlsh__pool_free(struct nlsh__pool *pool)
{
    if (pool == NULL) return;
    pthread_mutex_lock(&pool->mutex);
    pool->stop = 1;
    pthread_cond_broadcast(&pool->work_ready);
    pthread_mutex_unlock(&pool->mutex);
    for (size_t i = 1; i < pool->n_threads; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->work_done);
    pthread_cond_destroy(&pool->work_ready);
    pthread_mutex_destroy(&pool->mutex);
    nlsh__free(pool->workers);
    nlsh__free(pool);
}

size_t nlsh__pool_n_threads(const struct nlsh__pool *pool)
{
    return pool->n_threads;
}

static void start_job(struct nlsh__pool *pool, size_t n_tasks, nlsh__task_fn *fn, void *ctx)
{
    pthread_mutex_lock(&pool->mutex);
    pool->fn = fn;
    pool->ctx = ctx;
    pool->n_tasks = n_tasks;
    atomic_store(&pool->next, 0);
    atomic_store(&pool->finished, 0);
    atomic_store(&pool->cancelled, 0);
    pool->n_inside = pool->n_threads - 1;
    pool->job++;
    pthread_cond_broadcast(&pool->work_ready);
    pthread_mutex_unlock(&pool->mutex);
}

static void wait_for_helpers(struct nlsh__pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    while (pool->n_inside > 0) pthread_cond_wait(&pool->work_done, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}

void nlsh__pool_run(struct nlsh__pool *pool, size_t n_tasks, nlsh__task_fn *fn, void *ctx)
{
    if (n_tasks == 0) return;
    start_job(pool, n_tasks, fn, ctx);
    for (;;) {
        size_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (task >= n_tasks) break;
        take_task(pool, task, 0);
    }
    wait_for_helpers(pool);
}

enum nlsh_status nlsh__pool_run_progress(struct nlsh__pool *pool, size_t n_tasks, nlsh__task_fn *fn,
                                         void *ctx, nlsh_progress_fn *progress, void *user,
                                         const char *stage, struct nlsh_error *error)
{
    /* The caller reports between its own tasks, at most 20 times a second. */
    const double interval = 0.05;
    if (progress == NULL) {
        nlsh__pool_run(pool, n_tasks, fn, ctx);
        return NLSH_OK;
    }
    int stop = progress(user, stage, 0, n_tasks);
    if (!stop && n_tasks > 0) {
        double last = nlsh__now();
        start_job(pool, n_tasks, fn, ctx);
        while (!stop) {
            size_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
            if (task >= n_tasks) break;
            take_task(pool, task, 0);
            double now = nlsh__now();
            if (now - last < interval) continue;
            last = now;
            size_t done = atomic_load_explicit(&pool->finished, memory_order_relaxed);
            stop = progress(user, stage, done < n_tasks ? done : n_tasks - 1, n_tasks);
        }
        if (stop) atomic_store(&pool->cancelled, 1);
        wait_for_helpers(pool);
        if (!stop) stop = progress(user, stage, n_tasks, n_tasks);
    }
    if (!stop) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_INTERRUPTED, NULL, "stopped during: %s", stage);
}

size_t nlsh__n_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return (size_t)CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}
