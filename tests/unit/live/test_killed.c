/*
 * test_killed.c - processes that write are killed, at any moment of many calls, and of compactions. What was acknowledged is
 * there afterwards; of the call that was under way all or nothing; and the next process goes on. NLSH_KILLS says how
 * many are killed (200), NLSH_TEST_SEED which calls they make, and when they are killed.
 *
 * A process is a copy of this one: it makes the calls that the model here makes afterwards, and counts them in
 * memory that both see. tests/cli/test_live.sh kills the command.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "support/live.h"

enum { KILLS = 200, CALLS = 400 /* of a process that nobody kills */, MOST_VECTORS = 4000 };

static struct nlsh_matrix pool;
static struct model holds;
static struct nlsh__rng calls, when; /* the calls that come; the moments */
static char path[512];
static volatile size_t *acknowledged; /* of the process that runs */

static void pause_for(double seconds)
{
    const struct timespec time = {(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)};
    (void)nanosleep(&time, NULL);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* The next call; where much is there, it deletes. */
static void next_call(struct change *c)
{
    draw_change(&calls, &holds, c);
    if (holds.n > MOST_VECTORS && c->is_put) {
        c->is_put = 0;
        for (size_t i = 0; i < c->n; i++) c->keys[i] = holds.keys[i];
    }
}

/* ---- processes that are killed ------------------------------------------------------------------ */

/* Calls one after another; the exit code is 0, or what went wrong. */
static int make_calls(enum nlsh_sync sync)
{
    struct nlsh_writer_options o;
    struct nlsh_writer *w;
    nlsh_writer_options_init(&o, sizeof o);
    o.sync = sync;
    o.sync_seconds = .001;
    if (nlsh_writer_open(path, &o, &w, NULL) != NLSH_OK) return 2;
    for (size_t i = 0; i < CALLS; i++) {
        struct change c;
        size_t deleted;
        next_call(&c);
        if (writer_change(w, &pool, &c, &deleted, NULL) != NLSH_OK) return 3;
        (void)model_change(&holds, &c);
        *acknowledged = i + 1;
    }
    return nlsh_writer_close(w, NULL) == NLSH_OK ? 0 : 4;
}

static int compact(void)
{
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    return nlsh_compact(path, NULL, &run, NULL, NULL) == NLSH_OK ? 0 : 5;
}

static int build_base(void)
{
    struct nlsh_build_options o;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    struct nlsh_matrix base = pool;
    base.n_rows = LIVE_BASE;
    small_options(&o, LIVE_BUCKETS);
    return nlsh_build(&base, &o, path, &run, NULL, NULL) == NLSH_OK ? 0 : 6;
}

enum doing { BUILD, COMPACT, CALL /* and what else there is to sync */ };

static pid_t begin(enum doing what, enum nlsh_sync sync)
{
    *acknowledged = 0;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(what == BUILD ? build_base() : what == COMPACT ? compact() : make_calls(sync));
    return child;
}

/* Whether it was killed, and had not ended before. */
static int ended(pid_t child)
{
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    if (WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL) return 1;
    if (!WIFEXITED(how) || WEXITSTATUS(how) != 0) fail_msg("it ended with %d", WEXITSTATUS(how));
    return 0;
}

/* Seconds that it takes to its end. */
static double time_of(enum doing what)
{
    double start = now();
    assert_int_equal(ended(begin(what, NLSH_SYNC_FLUSH)), 0);
    return now() - start;
}

/* ---- what is there afterwards ------------------------------------------------------------------- */

/* The model makes the calls that were acknowledged, and one more if that is there, too. */
static void catch_up(size_t n, const struct nlsh_index *index)
{
    struct change c;
    for (size_t i = 0; i < n; i++) {
        next_call(&c);
        (void)model_change(&holds, &c);
    }
    const char *differs = model_differs(&holds, index, &pool);
    if (differs == NULL) return;
    next_call(&c);
    (void)model_change(&holds, &c);
    const char *again = model_differs(&holds, index, &pool);
    if (again != NULL) fail_msg("%zu calls were acknowledged, and %s", n, again);
}

static void check(enum doing what)
{
    struct nlsh_error error;
    struct nlsh_index *index = index_opened(path);
    catch_up(what == CALL ? *acknowledged : 0, index);
    assert_int_equal(index->log_now.damaged, 0);
    nlsh_index_close(index);
    if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);
}

/* Files that a process writes beside the index until they are whole. */
static size_t n_temporaries(void)
{
    size_t n = 0;
    DIR *directory = opendir(test_dir());
    assert_non_null(directory);
    for (const struct dirent *e; (e = readdir(directory)) != NULL;)
        n += strstr(e->d_name, "killed.nlsh") != NULL && strstr(e->d_name, ".tmp") != NULL;
    closedir(directory);
    return n;
}

static void what_was_acknowledged_outlives_its_writer(void **state)
{
    static const enum nlsh_sync syncs[] = {NLSH_SYNC_FLUSH, NLSH_SYNC_INTERVAL, NLSH_SYNC_ALWAYS};
    const char *wanted = getenv("NLSH_KILLS");
    size_t kills = wanted != NULL ? strtoul(wanted, NULL, 10) : KILLS, in_time = 0, n_calls = 0;
    double takes[] = {0, time_of(COMPACT), .02};
    (void)state;
    for (size_t i = 0; i < kills; i++) {
        enum doing what = nlsh__rng_below(&when, 10) < 3 ? COMPACT : CALL;
        pid_t child = begin(what, syncs[nlsh__rng_below(&when, 3)]);
        pause_for(takes[what] * nlsh__rng_uniform(&when));
        (void)kill(child, SIGKILL);
        in_time += (size_t)ended(child);
        n_calls += what == CALL ? *acknowledged : 0;
        check(what);
    }
    print_message("%zu of %zu killed in time, of %zu calls\n", in_time, kills, n_calls);
    assert_true(3 * in_time > kills);
    assert_true(n_calls > kills / 4);
    assert_int_equal(ended(begin(COMPACT, NLSH_SYNC_FLUSH)), 0);
    check(COMPACT);
    assert_int_equal(n_temporaries(), 0);
}

static int set_up(void **state)
{
    struct nlsh_matrix base;
    (void)state;
    snprintf(path, sizeof path, "%s", test_path("killed.nlsh"));
    (void)unlink(log_path_of(path));
    test_rng(&calls, 61);
    test_rng(&when, 62);
    pool = matrix_new(KIND_U8, LIVE_POOL, LIVE_DIM, 10, 12, 7);
    model_init(&holds);
    base_of(&pool, NULL, &holds, &base);
    acknowledged =
        mmap(NULL, sizeof *acknowledged, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (acknowledged == MAP_FAILED) return -1;
    (void)time_of(BUILD); /* in a process, so that this one starts no threads */
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(log_path_of(path));
    model_free(&holds);
    matrix_free(&pool);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_acknowledged_outlives_its_writer)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
