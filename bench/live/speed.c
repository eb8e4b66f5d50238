/*
 * speed.c - how fast an index changes, and how fast it is searched meanwhile, for docs/live.md.
 *
 *   ninja -C build/release bench_live
 *   build/release/bench_live INDEX NEW QUERIES [DIRECTORY]
 *
 * INDEX is copied into DIRECTORY (default: that of INDEX) and thrown away at the end. NEW are vectors to insert, at
 * least 20,000, better a tenth of what INDEX holds. A line for each measurement: its name, the value, the unit.
 * Rates that are compared are of one run, by turns where they take long enough to drift.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common.h"

enum { BATCH = 1000, SINGLES = 10000, K = 10, TURNS = 5, MOST_TIMES = 1 << 20 };

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

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* All new rows were put. */
static _Atomic int all_put;

/* Queries one by one for so many seconds, or until all rows were put, each on the newest state; times [MOST_TIMES] in seconds, returns how
 * many. writer NULL: always of index. */
static size_t ask(struct nlsh_writer *writer, const struct nlsh_index *index, double seconds,
                  double *times)
{
    struct nlsh_error error = {0};
    struct nlsh_index *state = NULL;
    struct nlsh_searcher *searcher;
    uint64_t keys[K];
    size_t n = 0;
    if (writer != NULL) must(nlsh_writer_snapshot(writer, &state, &error), &error);
    must(nlsh_searcher_create(state != NULL ? state : index, &searcher, &error), &error);
    for (double start = nlsh__now(), now = start;
         now - start < seconds && n < MOST_TIMES && !all_put;) {
        const struct nlsh_matrix one = rows_of(&queries, n % queries.n_rows, 1);
        if (writer != NULL) {
            struct nlsh_index *before = state;
            must(nlsh_writer_snapshot(writer, &state, &error), &error);
            must(nlsh_searcher_use(searcher, state, &error), &error);
            nlsh_index_close(before);
        }
        must(nlsh_search(searcher, &one, NULL, keys, NULL, NULL, &error), &error);
        double end = nlsh__now();
        times[n++] = end - now;
        now = end;
    }
    nlsh_searcher_free(searcher);
    nlsh_index_close(state);
    return n;
}

struct rates {
    double qps, p99;
};

static struct rates rates_of(double *times, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += times[i];
    qsort(times, n, sizeof *times, ascending);
    return (struct rates){(double)n / sum, times[n * 99 / 100]};
}

static struct rates measure(struct nlsh_writer *writer, const struct nlsh_index *index,
                            double seconds)
{
    double *times = room(MOST_TIMES, sizeof *times);
    struct rates r = rates_of(times, ask(writer, index, seconds, times));
    free(times);
    return r;
}

/* ---- a writer at work ------------------------------------------------------------------------ */

static struct nlsh_writer *open_writer_of;

static void *write_all(void *user)
{
    double *seconds = user;
    struct nlsh_writer *writer = open_writer_of;
    *seconds = put(writer, 0, added.n_rows, BATCH);
    all_put = 1;
    return NULL;
}

static void under_writes(const char *index_path)
{
    pthread_t thread;
    double seconds;
    copy_file(index_path, copy);
    unlink(copy_log);
    struct nlsh_writer *writer = open_writer_of = open_writer(NLSH_SYNC_ALWAYS);
    struct rates before = measure(writer, NULL, 2);
    pthread_create(&thread, NULL, write_all, &seconds);
    struct rates busy = measure(writer, NULL, 3600);
    pthread_join(thread, NULL);
    all_put = 0;
    struct rates after = measure(writer, NULL, 2);
    say("searches of the quiet index, before", before.qps, "queries/s");
    say("  while a writer inserts at full speed", busy.qps, "queries/s");
    say("  of the quiet index, afterwards", after.qps, "queries/s");
    say("  share of the mean of both", 2 * busy.qps / (before.qps + after.qps), "");
    say("  p99 meanwhile over that afterwards", busy.p99 / after.p99, "");
    say("  the writer meanwhile", (double)added.n_rows / seconds, "vectors/s");
    (void)nlsh_writer_close(writer, NULL);
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

static void open_and_compact(void)
{
    struct nlsh_error error = {0};
    struct nlsh_index *index;
    struct nlsh_compact_report report = {.struct_size = sizeof report};
    struct rates logged[TURNS], whole[TURNS];
    double start = nlsh__now();
    must(nlsh_index_open(copy, NULL, &index, &error), &error);
    say("opening, with a log of all new vectors", nlsh__now() - start, "s");
    nlsh_index_close(index);
    index = open_copy(copy);
    start = nlsh__now();
    must(nlsh_compact(copy, NULL, NULL, &report, &error), &error);
    say("compaction", nlsh__now() - start, "s");
    struct nlsh_index *now = open_copy(copy);
    double sum_logged = 0, sum_whole = 0;
    for (size_t i = 0; i < TURNS; i++) {
        logged[i] = measure(NULL, index, 1);
        whole[i] = measure(NULL, now, 1);
        sum_logged += logged[i].qps;
        sum_whole += whole[i].qps;
    }
    say("searches with the log", sum_logged / TURNS, "queries/s");
    say("  compacted", sum_whole / TURNS, "queries/s");
    say("  share", sum_logged / sum_whole, "");
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
