/*
 * speed.c - how fast an index changes, and how fast it is searched meanwhile, for docs/live.md.
 *
 *   ninja -C build/release bench_live
 *   build/release/bench_live INDEX NEW QUERIES [DIRECTORY]
 *
 * INDEX is copied into DIRECTORY (default: that of INDEX) and thrown away at the end. NEW are vectors to insert, at
 * least 20,000, better a tenth of what INDEX holds. A line for each measurement: its name, the value, the unit.
 * Searches are one at a time, recall .95 of 10 neighbours; their rates are of processor time, and those that are compared
 * are taken by many short turns.
 */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

enum {
    BATCH = 1000,
    SINGLES = 10000,
    K = 10,
    TURNS = 60,
    TURN_QUERIES = 500,
    MOST_TIMES = 1 << 20
};
#define TURN_SECONDS 0.1

static struct nlsh_matrix added, queries;
static char copy[4096], copy_log[4200];

static void say(const char *name, double value, const char *unit)
{
    printf("%-44s %12.4g %s\n", name, value, unit);
    fflush(stdout);
}

static void copy_file(const char *from, const char *to)
{
    static char buffer[1 << 20];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    if (in == NULL || out == NULL) {
        perror(in == NULL ? from : to);
        exit(1);
    }
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, in)) > 0;) fwrite(buffer, 1, n, out);
    fclose(in);
    if (fclose(out) != 0) exit(1);
}

static struct nlsh_writer *open_writer(enum nlsh_sync sync)
{
    struct nlsh_error error = {0};
    struct nlsh_writer_options options;
    struct nlsh_writer *writer;
    nlsh_writer_options_init(&options, sizeof options);
    options.sync = sync;
    options.memory = NLSH_MEMORY_ALL;
    must(nlsh_writer_open(copy, &options, &writer, &error), &error);
    return writer;
}

/* Rows first .. end - 1 of those to add, under new keys, in batches; returns seconds. */
static double put(struct nlsh_writer *writer, size_t first, size_t end, size_t batch)
{
    struct nlsh_error error = {0};
    uint64_t keys[BATCH], next = nlsh_writer_next_key(writer);
    double start = nlsh__now();
    for (size_t i = first; i < end; i += batch) {
        size_t n = end - i < batch ? end - i : batch;
        const struct nlsh_matrix some = rows_of(&added, i, n);
        for (size_t j = 0; j < n; j++) keys[j] = next++;
        must(nlsh_writer_put(writer, keys, &some, &error), &error);
    }
    return nlsh__now() - start;
}

/* ---- searches -------------------------------------------------------------------------------- */

/* Processor time of this thread: what else the machine does is not in it, but for the caches. */
static double own_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* What searches of one kind took, of all turns and of the last one. */
struct taken {
    double *times; /* [MOST_TIMES] seconds each */
    size_t n;
    double sum, last_sum;
    size_t last_n;
};

static void begin_turn(struct taken *t)
{
    t->last_sum = 0;
    t->last_n = 0;
}

/* One query, on the newest state of writer, or if that is NULL on what the searcher has; how long it took. */
static void ask(struct nlsh_writer *writer, struct nlsh_index **state,
                struct nlsh_searcher *searcher, size_t i, struct taken *t)
{
    struct nlsh_error error = {0};
    uint64_t keys[K];
    const struct nlsh_matrix one = rows_of(&queries, i % queries.n_rows, 1);
    double start = own_time();
    if (writer != NULL) {
        struct nlsh_index *before = *state;
        must(nlsh_writer_snapshot(writer, state, &error), &error);
        must(nlsh_searcher_use(searcher, *state, &error), &error);
        nlsh_index_close(before);
    }
    must(nlsh_search(searcher, &one, NULL, keys, NULL, NULL, &error), &error);
    double seconds = own_time() - start;
    if (t->n < MOST_TIMES) t->times[t->n++] = seconds;
    t->sum += seconds;
    t->last_sum += seconds;
    t->last_n++;
}

static double rate(const struct taken *t)
{
    return (double)t->n / t->sum;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double p99(struct taken *t)
{
    qsort(t->times, t->n, sizeof *t->times, ascending);
    return t->times[t->n * 99 / 100];
}

/* Ratios of turns, and what their mean is uncertain by. */
struct ratios {
    double sum, squares;
    size_t n;
};

/* How much of the rate of b a reached in the last turn. */
static void compare(struct ratios *r, const struct taken *a, const struct taken *b)
{
    if (a->last_n == 0 || b->last_n == 0) return;
    double ratio = b->last_sum / (double)b->last_n / (a->last_sum / (double)a->last_n);
    r->sum += ratio;
    r->squares += ratio * ratio;
    r->n++;
}

static void say_ratios(const struct ratios *r)
{
    double n = (double)r->n, mean = r->sum / n;
    say("  share, the mean of all turns", mean, "");
    say("  its standard error", sqrt(fmax(r->squares / n - mean * mean, 0) / n), "");
}

/* ---- a writer at work ------------------------------------------------------------------------ */

/* The writer inserts for a turn, and waits for the next one. */
static struct {
    struct nlsh_writer *writer;
    _Atomic int may_write, writing, done;
    double seconds; /* that it wrote */
} at_work;

static void *write_all(void *user)
{
    const struct timespec pause = {0, 100000};
    (void)user;
    for (size_t i = 0; i < added.n_rows; i += BATCH) {
        for (at_work.writing = 1; !at_work.may_write; at_work.writing = 1) {
            at_work.writing = 0;
            nanosleep(&pause, NULL);
        }
        at_work.seconds +=
            put(at_work.writer, i, i + BATCH < added.n_rows ? i + BATCH : added.n_rows, BATCH);
    }
    at_work.done = 1;
    return NULL;
}

/* Searches of the newest state for a turn. */
static void ask_for_a_turn(struct nlsh_index **state, struct nlsh_searcher *searcher, size_t *i,
                           struct taken *t)
{
    begin_turn(t);
    for (double start = nlsh__now(); nlsh__now() - start < TURN_SECONDS && !at_work.done; ++*i)
        ask(at_work.writer, state, searcher, *i, t);
}

static void under_writes(const char *index_path)
{
    pthread_t thread;
    struct nlsh_error error = {0};
    struct nlsh_index *state;
    struct nlsh_searcher *searcher;
    struct taken busy = {.times = room(MOST_TIMES, sizeof(double))};
    struct taken quiet = {.times = room(MOST_TIMES, sizeof(double))};
    struct taken warm = quiet;
    struct ratios ratios = {0};
    size_t i = 0;
    copy_file(index_path, copy);
    unlink(copy_log);
    at_work.writer = open_writer(NLSH_SYNC_ALWAYS);
    must(nlsh_writer_snapshot(at_work.writer, &state, &error), &error);
    must(nlsh_searcher_create(state, &searcher, &error), &error);
    ask_for_a_turn(&state, searcher, &i, &warm);
    pthread_create(&thread, NULL, write_all, NULL);
    while (!at_work.done) {
        at_work.may_write = 1;
        ask_for_a_turn(&state, searcher, &i, &busy);
        at_work.may_write = 0;
        while (at_work.writing && !at_work.done) sched_yield();
        if (at_work.done) break; /* half a turn */
        ask_for_a_turn(&state, searcher, &i, &quiet);
        compare(&ratios, &busy, &quiet);
    }
    pthread_join(thread, NULL);
    say("searches while a writer inserts at full speed", rate(&busy), "queries/s");
    say("  while it waits", rate(&quiet), "queries/s");
    say_ratios(&ratios);
    say("  p99 over that while it waits", p99(&busy) / p99(&quiet), "");
    say("  the writer meanwhile, by the clock", (double)added.n_rows / at_work.seconds,
        "vectors/s");
    nlsh_searcher_free(searcher);
    nlsh_index_close(state);
    (void)nlsh_writer_close(at_work.writer, NULL);
    free(busy.times);
    free(quiet.times);
}

/* ---- all ------------------------------------------------------------------------------------- */

static void insert(const char *index_path)
{
    copy_file(index_path, copy);
    unlink(copy_log);
    struct nlsh_writer *writer = open_writer(NLSH_SYNC_INTERVAL);
    double seconds = put(writer, 0, SINGLES, 1);
    say("inserts one by one, sync=interval", SINGLES / seconds, "vectors/s");
    (void)nlsh_writer_close(writer, NULL);
    writer = open_writer(NLSH_SYNC_ALWAYS);
    seconds = put(writer, SINGLES, added.n_rows, BATCH);
    say("inserts by 1,000, sync at each", (double)(added.n_rows - SINGLES) / seconds, "vectors/s");
    (void)nlsh_writer_close(writer, NULL);
}

static struct nlsh_index *open_copy(const char *path)
{
    struct nlsh_error error = {0};
    struct nlsh_index *index;
    const struct nlsh_open_options how = {sizeof how, NLSH_MEMORY_ALL};
    must(nlsh_index_open(path, &how, &index, &error), &error);
    return index;
}

/* The same queries of both, by turns, each first as often as the other. */
static void compare_searches(const struct nlsh_index *with_log, const struct nlsh_index *whole)
{
    struct nlsh_error error = {0};
    struct nlsh_searcher *searchers[2];
    struct taken taken[2] = {{.times = room(MOST_TIMES, sizeof(double))},
                             {.times = room(MOST_TIMES, sizeof(double))}};
    struct ratios ratios = {0};
    must(nlsh_searcher_create(with_log, &searchers[0], &error), &error);
    must(nlsh_searcher_create(whole, &searchers[1], &error), &error);
    for (size_t turn = 0; turn <= TURNS; turn++) {
        for (size_t half = 0; half < 2; half++) {
            size_t which = (turn + half) % 2;
            begin_turn(&taken[which]);
            for (size_t i = 0; i < TURN_QUERIES; i++)
                ask(NULL, NULL, searchers[which], turn * TURN_QUERIES + i, &taken[which]);
        }
        if (turn > 0) { /* the first one warms up */
            compare(&ratios, &taken[0], &taken[1]);
            continue;
        }
        for (size_t i = 0; i < 2; i++) taken[i] = (struct taken){.times = taken[i].times};
    }
    say("searches with the log", rate(&taken[0]), "queries/s");
    say("  compacted", rate(&taken[1]), "queries/s");
    say_ratios(&ratios);
    for (size_t i = 0; i < 2; i++) {
        nlsh_searcher_free(searchers[i]);
        free(taken[i].times);
    }
}

static void open_and_compact(void)
{
    struct nlsh_error error = {0};
    struct nlsh_index *index;
    struct nlsh_compact_report report = {.struct_size = sizeof report};
    double start = nlsh__now();
    must(nlsh_index_open(copy, NULL, &index, &error), &error);
    say("opening, with a log of all new vectors", nlsh__now() - start, "s");
    nlsh_index_close(index);
    index = open_copy(copy);
    start = nlsh__now();
    must(nlsh_compact(copy, NULL, NULL, &report, &error), &error);
    say("compaction", nlsh__now() - start, "s");
    struct nlsh_index *now = open_copy(copy);
    compare_searches(index, now);
    nlsh_index_close(index);
    nlsh_index_close(now);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "bench_live INDEX NEW QUERIES [DIRECTORY]\n");
        return 2;
    }
    added = read_matrix(argv[2]);
    queries = read_matrix(argv[3]);
    const char *slash = strrchr(argv[1], '/');
    snprintf(copy, sizeof copy, "%.*s/bench-live.nlsh",
             argc > 4        ? (int)strlen(argv[4])
             : slash != NULL ? (int)(slash - argv[1])
                             : 1,
             argc > 4        ? argv[4]
             : slash != NULL ? argv[1]
                             : ".");
    snprintf(copy_log, sizeof copy_log, "%s-log", copy);
    printf("# %s; %zu new vectors of dimension %zu\n", nlsh_cpu(), added.n_rows, added.dim);
    insert(argv[1]);
    open_and_compact();
    under_writes(argv[1]);
    unlink(copy);
    unlink(copy_log);
    return 0;
}
