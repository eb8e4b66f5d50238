/* test_pool.c - every task runs exactly once, whatever the number of threads, and a stop stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/pool.h"

enum { MAX_TASKS = 5000, MAX_THREADS = 9 };

struct work {
    int times[MAX_TASKS];       /* written by the task's own worker: TSan sees a second one */
    size_t in_worker[MAX_THREADS];
    size_t n_threads;
    atomic_int bad_worker;
};

static void count(void *ctx, size_t task, size_t worker)
{
    struct work *w = ctx;
    w->times[task]++;
    if (worker >= w->n_threads)
        atomic_store(&w->bad_worker, 1);
    else
        w->in_worker[worker]++; /* scratch of one worker: never two threads at a time */
}

static struct nlsh__pool *pool_of(size_t n_threads)
{
    struct nlsh__pool *pool;
    assert_int_equal(nlsh__pool_create(n_threads, &pool, NULL), NLSH_OK);
    assert_in_range(nlsh__pool_n_threads(pool), 1, n_threads);
    return pool;
}

static void check_once(const struct work *w, size_t n_tasks)
{
    size_t sum = 0;
    for (size_t i = 0; i < MAX_TASKS; i++) assert_int_equal(w->times[i], i < n_tasks);
    for (size_t i = 0; i < MAX_THREADS; i++) sum += w->in_worker[i];
    assert_int_equal(sum, n_tasks);
    assert_false(atomic_load(&w->bad_worker));
}

static void every_task_runs_once(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 3, 7, 8, 9, 100, MAX_TASKS};
    static struct work w;
    (void)state;
    for (size_t n_threads = 1; n_threads <= MAX_THREADS; n_threads++) {
        struct nlsh__pool *pool = pool_of(n_threads);
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            memset(&w, 0, sizeof w);
            w.n_threads = nlsh__pool_n_threads(pool);
            nlsh__pool_run(pool, sizes[s], count, &w);
            check_once(&w, sizes[s]); /* at once: pool_run has returned, so all is done */
        }
        nlsh__pool_free(pool);
    }
}

/* Many short jobs, one after another: a helper that is late for a job must not take part in the
 * next one with the last one's function. */
static void short_jobs_do_not_mix(void **state)
{
    static struct work w;
    (void)state;
    struct nlsh__pool *pool = pool_of(4);
    for (int round = 0; round < 2000; round++) {
        memset(&w, 0, sizeof w);
        w.n_threads = nlsh__pool_n_threads(pool);
        nlsh__pool_run(pool, 3, count, &w);
        check_once(&w, 3);
    }
    nlsh__pool_free(pool);
}

struct watch {
    uint64_t last;
    uint64_t total;
    int calls;
    int stop_at; /* call that asks to stop; 0: none does */
    pthread_t thread;
    int wrong;
};

static int watch_progress(void *user, const char *stage, uint64_t done, uint64_t total)
{
    struct watch *w = user;
    w->calls++;
    if (done < w->last || done > total || strcmp(stage, "stage") != 0) w->wrong = 1;
    if (!pthread_equal(w->thread, pthread_self())) w->wrong = 1;
    w->last = done;
    w->total = total;
    return w->calls == w->stop_at;
}

static void slow(void *ctx, size_t task, size_t worker)
{
    struct timespec pause = {.tv_nsec = 200000};
    nanosleep(&pause, NULL);
    count(ctx, task, worker);
}

static void progress_rises_to_the_end(void **state)
{
    static struct work w;
    (void)state;
    for (size_t n_threads = 1; n_threads <= 3; n_threads++) {
        struct nlsh__pool *pool = pool_of(n_threads);
        struct watch watch = {.thread = pthread_self()};
        memset(&w, 0, sizeof w);
        w.n_threads = nlsh__pool_n_threads(pool);
        assert_int_equal(nlsh__pool_run_progress(pool, 1000, slow, &w, watch_progress, &watch,
                                                 "stage", NULL),
                         NLSH_OK);
        check_once(&w, 1000);
        assert_int_equal(watch.last, 1000);
        assert_int_equal(watch.total, 1000);
        assert_true(watch.calls >= 3);
        assert_false(watch.wrong);
        nlsh__pool_free(pool);
    }
}

static void a_stop_stops_and_the_pool_lives_on(void **state)
{
    static struct work w;
    (void)state;
    struct nlsh__pool *pool = pool_of(3);
    for (int stop_at = 1; stop_at <= 2; stop_at++) {
        struct watch watch = {.thread = pthread_self(), .stop_at = stop_at};
        struct nlsh_error error;
        memset(&w, 0, sizeof w);
        w.n_threads = nlsh__pool_n_threads(pool);
        assert_int_equal(nlsh__pool_run_progress(pool, MAX_TASKS, slow, &w, watch_progress, &watch,
                                                 "stage", &error),
                         NLSH_E_INTERRUPTED);
        assert_non_null(strstr(error.message, "stage"));
        assert_int_equal(watch.calls, stop_at); /* nothing is reported after the wish to stop */
        assert_int_equal(w.times[MAX_TASKS - 1], 0);
        for (size_t i = 0; i < MAX_TASKS; i++) assert_true(w.times[i] <= 1);

        memset(&w, 0, sizeof w);
        w.n_threads = nlsh__pool_n_threads(pool);
        nlsh__pool_run(pool, MAX_TASKS, count, &w);
        check_once(&w, MAX_TASKS);
    }
    nlsh__pool_free(pool);
}

static void free_accepts_null(void **state)
{
    (void)state;
    nlsh__pool_free(NULL);
    assert_true(nlsh__n_processors() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once),
        cmocka_unit_test(short_jobs_do_not_mix),
        cmocka_unit_test(progress_rises_to_the_end),
        cmocka_unit_test(a_stop_stops_and_the_pool_lives_on),
        cmocka_unit_test(free_accepts_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
