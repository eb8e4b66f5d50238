/* test_apart.c - nlsh__apart(): what a child does stays with it, and how it may end. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "partition/apart.h"

enum { N = 1000 };

static enum nlsh_status apart(nlsh__apart_fn *fn, const struct nlsh__job *job, uint32_t *bucket_of,
                              int *answer, struct nlsh_error *error)
{
    int ours = 3;
    *error = (struct nlsh_error){0};
    return nlsh__apart("Fake", fn, &ours, bucket_of, N, job, answer, error);
}

static int elsewhere; /* a child's writes to it are lost */

static int counts(void *ctx, uint32_t *bucket_of)
{
    for (uint32_t i = 0; i < N; i++) bucket_of[i] = i * (uint32_t) * (int *)ctx;
    *(int *)ctx = 0;
    elsewhere = 1;
    return 7;
}

static void expect_counts(const struct nlsh__job *job)
{
    uint32_t bucket_of[N] = {0};
    int answer = 0;
    struct nlsh_error error;
    assert_int_equal(apart(counts, job, bucket_of, &answer, &error), NLSH_OK);
    assert_int_equal(answer, 7);
    assert_int_equal(elsewhere, 0);
    for (uint32_t i = 0; i < N; i++) assert_int_equal(bucket_of[i], 3 * i);
}

static void answers_come_back(void **state)
{
    (void)state;
    expect_counts(NULL);
}

static void on_signal(int number)
{
    (void)number;
    elsewhere = 2;
}

static void hosts_that_look_after_children(void **state)
{
    (void)state;
    signal(SIGCHLD, SIG_IGN); /* nothing is left for waitpid() */
    expect_counts(NULL);
    signal(SIGCHLD, SIG_DFL);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static int prints(void *ctx, uint32_t *bucket_of)
{
    (void)ctx;
    (void)bucket_of;
    printf("a word\n");
    fflush(stdout);
    return write(STDOUT_FILENO, "another\n", 8) == 8;
}

static void nothing_is_printed(void **state)
{
    (void)state;
    uint32_t bucket_of[N];
    int answer = 0, ends[2];
    char read_back[20];
    struct nlsh_error error;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    printf("mine"); /* the child has a copy, unwritten */
    enum nlsh_status status = apart(prints, NULL, bucket_of, &answer, &error);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    assert_int_equal(status, NLSH_OK);
    assert_int_equal(answer, 1);
    assert_int_equal(read(ends[0], read_back, sizeof read_back), 4);
    close(ends[0]);
    close(ends[1]);
}

static int dies(void *ctx, uint32_t *bucket_of)
{
    (void)ctx;
    (void)bucket_of;
    abort();
}

static int is_terminated(void *ctx, uint32_t *bucket_of)
{
    (void)ctx;
    (void)bucket_of;
    raise(SIGTERM);
    return 0;
}

static int is_killed(void *ctx, uint32_t *bucket_of)
{
    (void)ctx;
    (void)bucket_of;
    raise(SIGKILL); /* as a system without memory does */
    return 0;
}

static int leaves(void *ctx, uint32_t *bucket_of)
{
    (void)ctx;
    (void)bucket_of;
    _exit(0);
}

static void ends_without_an_answer(void **state)
{
    (void)state;
    static const struct {
        nlsh__apart_fn *fn;
        enum nlsh_status status;
        const char *word;
    } kinds[] = {{dies, NLSH_E_INTERNAL, "Fake was ended by signal 6"},
                 {is_terminated, NLSH_E_INTERRUPTED, "Fake was stopped by SIGTERM"},
                 {is_killed, NLSH_E_NOMEM, "Fake was killed"},
                 {leaves, NLSH_E_INTERNAL, "Fake ended without an answer"}};
    uint32_t bucket_of[N] = {5};
    int answer = 9;
    struct nlsh_error error;
    signal(SIGTERM, on_signal); /* the host's: not the child's */
    signal(SIGABRT, on_signal);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(apart(kinds[i].fn, NULL, bucket_of, &answer, &error), kinds[i].status);
        if (strstr(error.message, kinds[i].word) == NULL) fail_msg("message: %s", error.message);
        assert_int_equal(answer, 9);
        assert_int_equal(bucket_of[0], 5);
    }
    assert_true(signal(SIGTERM, SIG_DFL) == on_signal);
    assert_true(signal(SIGABRT, SIG_DFL) == on_signal);
    assert_int_equal(elsewhere, 0);
}

static int waits(void *ctx, uint32_t *bucket_of)
{
    (void)ctx;
    (void)bucket_of;
    return pause();
}

static int stop_at_the_fifth(void *user, const char *stage, uint64_t done, uint64_t total)
{
    assert_string_equal(stage, "graph partition");
    assert_true(done == 0 && total == 0);
    return ++*(int *)user == 5;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void a_stop_is_heard(void **state)
{
    (void)state;
    int times = 0, answer;
    uint32_t bucket_of[N];
    struct nlsh_run run;
    struct nlsh__job job;
    struct nlsh_error error;
    nlsh_run_init(&run, sizeof run);
    run.n_threads = 1;
    run.progress = stop_at_the_fifth;
    run.user = &times;
    assert_int_equal(nlsh__job_begin(&run, &job, &error), NLSH_OK);
    double before = seconds();
    assert_int_equal(apart(waits, &job, bucket_of, &answer, &error), NLSH_E_INTERRUPTED);
    assert_true(seconds() - before < 10.0);
    assert_int_equal(times, 5);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* none is left */
    times = 5;                                        /* it does not stop again */
    expect_counts(&job);
    nlsh__job_end(&job);
}

static void *many(void *ok)
{
    uint32_t bucket_of[N];
    int answer;
    struct nlsh_error error;
    for (int i = 0; i < 20; i++)
        if (apart(counts, NULL, bucket_of, &answer, &error) != NLSH_OK || bucket_of[N - 1] != 2997)
            return NULL;
    *(int *)ok = 1;
    return NULL;
}

static void threads_have_their_own(void **state)
{
    (void)state;
    pthread_t threads[4];
    int ok[4] = {0};
    for (size_t t = 0; t < 4; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, many, &ok[t]), 0);
    for (size_t t = 0; t < 4; t++) {
        pthread_join(threads[t], NULL);
        assert_int_equal(ok[t], 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_back),  cmocka_unit_test(hosts_that_look_after_children),
        cmocka_unit_test(nothing_is_printed), cmocka_unit_test(ends_without_an_answer),
        cmocka_unit_test(a_stop_is_heard),    cmocka_unit_test(threads_have_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
