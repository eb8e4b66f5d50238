/*
 * test_pool.c - every task once and only once, on a worker that does one thing at a time; the same
 * answer from any number of threads; stopping in the middle leaves a pool that works.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/pool.h"
#include "base/rng.h"

#define MAX_TASKS 5000
#define MAX_THREADS 16

struct counts {
    size_t n_threads, n_tasks;
    atomic_int runs[MAX_TASKS];
    atomic_int busy[MAX_THREADS];
    atomic_int wrong; /* cmocka's assertions may only fail on the main thread */
    atomic_int total;
    unsigned microseconds; /* a task takes */
};

static void count_task(void *ctx, size_t task, size_t worker)
{
    struct counts *counts = ctx;
    if (task >= counts->n_tasks || worker >= counts->n_threads) {
        atomic_store(&counts->wrong, 1);
        return;
    }
    if (atomic_exchange(&counts->busy[worker], 1) != 0) atomic_store(&counts->wrong, 2);
    atomic_fetch_add(&counts->runs[task], 1);
    atomic_fetch_add(&counts->total, 1);
    if (counts->microseconds > 0) usleep(counts->microseconds);
    atomic_store(&counts->busy[worker], 0);
}

static struct counts *counts_new(size_t n_threads, size_t n_tasks)
{
    struct counts *counts = calloc(1, sizeof *counts);
    assert_non_null(counts);
    counts->n_threads = n_threads;
    counts->n_tasks = n_tasks;
    return counts;
}

static struct nlsh__pool *pool_new(size_t n_threads)
{
    struct nlsh__pool *pool;
    assert_int_equal(nlsh__pool_create(n_threads, &pool, NULL), NLSH_OK);
    assert_int_equal(nlsh__pool_n_threads(pool), n_threads);
    return pool;
}

static void test_every_task_once(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 3, 17, 1000, MAX_TASKS};
    for (size_t n_threads = 1; n_threads <= MAX_THREADS; n_threads += n_threads < 4 ? 1 : 6) {
        struct nlsh__pool *pool = pool_new(n_threads);
        for (int i = 0; i < 7; i++) {
            struct counts *counts = counts_new(n_threads, sizes[i]);
            nlsh__pool_run(pool, sizes[i], count_task, counts);
            assert_int_equal(atomic_load(&counts->wrong), 0);
            assert_int_equal(atomic_load(&counts->total), sizes[i]);
            for (size_t t = 0; t < MAX_TASKS; t++)
                assert_int_equal(atomic_load(&counts->runs[t]), t < sizes[i]);
            free(counts);
        }
        nlsh__pool_free(pool);
    }
}

static void test_many_jobs_in_a_row(void **state)
{
    (void)state;
    struct nlsh__pool *pool = pool_new(4);
    struct counts *counts = counts_new(4, 3);
    for (int job = 1; job <= 5000; job++) {
        nlsh__pool_run(pool, 3, count_task, counts);
        /* nothing of a job may be left when it returns */
        assert_int_equal(atomic_load(&counts->total), 3 * job);
    }
    assert_int_equal(atomic_load(&counts->wrong), 0);
    free(counts);
    nlsh__pool_free(pool);
}

static void test_made_and_freed(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) nlsh__pool_free(pool_new(1 + (size_t)i % 5)); /* never used */
    nlsh__pool_free(NULL);
}

/* A stand-in for a stage: each task draws from its own stream into its own slot; plain stores, so
 * that a thread sanitizer sees whether the pool orders them before the caller's reads. */
static void draw_task(void *ctx, size_t task, size_t worker)
{
    (void)worker;
    double *sums = ctx;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 99, task);
    sums[task] = 0;
    for (int i = 0; i < 50; i++) sums[task] += nlsh__rng_normal(&rng);
}

static void test_same_answer(void **state)
{
    (void)state;
    static double expected[300], got[300];
    for (size_t n_threads = 1; n_threads <= 8; n_threads++) {
        struct nlsh__pool *pool = pool_new(n_threads);
        memset(got, 0, sizeof got);
        nlsh__pool_run(pool, 300, draw_task, n_threads == 1 ? expected : got);
        if (n_threads > 1) assert_memory_equal(got, expected, sizeof got);
        nlsh__pool_free(pool);
    }
}

/* ---- progress --------------------------------------------------------------------------------- */

struct watch {
    pthread_t thread;
    size_t calls;
    uint64_t last, total, stop_from; /* stops when done >= stop_from */
    int wrong, stopped;
    const char *stage;
};

static int watch_progress(void *user, const char *stage, uint64_t done, uint64_t total)
{
    struct watch *watch = user;
    if (!pthread_equal(pthread_self(), watch->thread)) watch->wrong = 1;
    if (strcmp(stage, watch->stage) != 0 || total != watch->total) watch->wrong = 2;
    if (done < watch->last || done > total) watch->wrong = 3;
    if (watch->stopped) watch->wrong = 4; /* nothing is said after the wish to stop */
    watch->last = done;
    watch->calls++;
    watch->stopped = done >= watch->stop_from;
    return watch->stopped;
}

static struct watch watch_new(uint64_t total, uint64_t stop_from)
{
    return (struct watch){
        .thread = pthread_self(), .total = total, .stop_from = stop_from, .stage = "stage"};
}

static void test_progress(void **state)
{
    (void)state;
    for (size_t n_threads = 1; n_threads <= 4; n_threads++) {
        struct nlsh__pool *pool = pool_new(n_threads);
        for (size_t n_tasks = 0; n_tasks <= 400; n_tasks += 200) {
            struct counts *counts = counts_new(n_threads, n_tasks);
            struct watch watch = watch_new(n_tasks, UINT64_MAX);
            counts->microseconds = 500;
            assert_int_equal(nlsh__pool_run_progress(pool, n_tasks, count_task, counts,
                                                     watch_progress, &watch, "stage", NULL),
                             NLSH_OK);
            assert_int_equal(watch.wrong, 0);
            assert_true(watch.last == n_tasks); /* the end is told */
            assert_true(watch.calls >= (n_tasks > 0 ? 2 : 1));
            assert_int_equal(atomic_load(&counts->total), n_tasks);
            free(counts);
        }
        nlsh__pool_free(pool);
    }
}

static void test_cancelled(void **state)
{
    (void)state;
    static const uint64_t stops[] = {0, 1, 50};
    for (size_t n_threads = 1; n_threads <= 4; n_threads++) {
        struct nlsh__pool *pool = pool_new(n_threads);
        for (int i = 0; i < 3; i++) {
            struct nlsh_error error;
            struct counts *counts = counts_new(n_threads, 2000);
            struct watch watch = watch_new(2000, stops[i]);
            counts->microseconds = 1000;
            assert_int_equal(nlsh__pool_run_progress(pool, 2000, count_task, counts, watch_progress,
                                                     &watch, "stage", &error),
                             NLSH_E_INTERRUPTED);
            assert_int_equal(error.status, NLSH_E_INTERRUPTED);
            assert_non_null(strstr(error.message, "stage"));
            assert_int_equal(watch.wrong, 0);
            int total = atomic_load(&counts->total);
            assert_true(stops[i] == 0 ? total == 0 : total >= (int)stops[i] && total < 2000);
            for (size_t t = 0; t < 2000; t++) assert_true(atomic_load(&counts->runs[t]) <= 1);
            for (size_t w = 0; w < n_threads; w++)
                assert_int_equal(atomic_load(&counts->busy[w]), 0); /* all out of their tasks */
            usleep(5000);
            assert_int_equal(atomic_load(&counts->total), total); /* and none came after */

            /* the pool goes on as if nothing had been */
            struct counts *next = counts_new(n_threads, 500);
            nlsh__pool_run(pool, 500, count_task, next);
            assert_int_equal(atomic_load(&next->total), 500);
            free(next);
            free(counts);
        }
        nlsh__pool_free(pool);
    }
}

/* Asked to stop after the last task: stopped all the same. */
static void test_cancelled_at_the_end(void **state)
{
    (void)state;
    struct nlsh__pool *pool = pool_new(2);
    struct counts *counts = counts_new(2, 10);
    struct watch watch = watch_new(10, 10);
    assert_int_equal(nlsh__pool_run_progress(pool, 10, count_task, counts, watch_progress, &watch,
                                             "stage", NULL),
                     NLSH_E_INTERRUPTED);
    assert_int_equal(atomic_load(&counts->total), 10);
    free(counts);
    nlsh__pool_free(pool);
}

/* ---- where threads cannot be had -------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* A limit on address space leaves room for a few stacks only: the pool has fewer threads. */
static void test_fewer_threads(void **state)
{
    (void)state;
    if (SANITIZED) skip(); /* a sanitizer needs its address space */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit limit = {(rlim_t)200 << 20, (rlim_t)200 << 20};
        struct nlsh__pool *pool;
        if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(2);
        if (nlsh__pool_create(1000, &pool, NULL) != NLSH_OK) _exit(3);
        size_t n = nlsh__pool_n_threads(pool);
        static double sums[300];
        nlsh__pool_run(pool, 300, draw_task, sums);
        for (int i = 0; i < 300; i++)
            if (sums[i] == 0) _exit(4);
        nlsh__pool_free(pool);
        _exit(n >= 1 && n < 1000 ? 0 : 5);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
}

static void test_n_processors(void **state)
{
    (void)state;
    assert_true(nlsh__n_processors() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_once),
        cmocka_unit_test(test_many_jobs_in_a_row),
        cmocka_unit_test(test_made_and_freed),
        cmocka_unit_test(test_same_answer),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_cancelled_at_the_end),
        cmocka_unit_test(test_fewer_threads),
        cmocka_unit_test(test_n_processors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
