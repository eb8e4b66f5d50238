/*
 * turns.c - builds of the search library against each other, by turns, on a machine that others use too.
 *
 *   ninja -C build/release bench_turns
 *   taskset -c 1 build/release/bench_turns [-k K] [-t] QUERIES RECALL N ROUNDS LIB INDEX [LIB INDEX]...
 *
 * A LIB is a libnlsh.so, each loaded into a name space of its own, and searches its INDEX; NLSH_CPU caps all
 * alike. The first N queries are asked in pieces of a few milliseconds, one query a call and all in one
 * call, and each piece goes to every LIB before the next one comes. What counts is processor time, so that
 * who is preempted loses nothing; what others do to caches falls on all alike. A line has for each LIB
 * the sum of every piece's fastest round, as microseconds a query, and in brackets the median over
 * pieces and rounds of the first LIB's time over its own. With -t a query alone is a piece, and the 50th and the 99th
 * of 100 queries are shown, in microseconds: some .3 of them are the clock's. Ours.
 */
#define _GNU_SOURCE /* dlmopen */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nlsh/learn.h"

enum { MOST_LIBS = 8, MODES = 2 };

static size_t piece_of[MODES] = {50, 200}; /* queries */

struct lib {
    const char *file;
    struct nlsh_index *index;
    struct nlsh_searcher *searcher;
    struct nlsh_searcher_pool *pool;
    __typeof__(&nlsh_search) search;
    __typeof__(&nlsh_searcher_pool_search) search_pool;
    double *us[MODES]; /* [rounds][pieces] */
};

static struct {
    struct nlsh_matrix queries;
    size_t n, rounds, n_libs;
    struct nlsh_search_options options;
    struct lib libs[MOST_LIBS];
    uint64_t *keys;
    float *distances;
    uint32_t *candidates, *ranked;
} g;

static void must(enum nlsh_status status, const struct nlsh_error *error)
{
    if (status == NLSH_OK) return;
    fprintf(stderr, "error: %s\n", error->message);
    exit(70);
}

static void *room(size_t count, size_t size)
{
    void *out = calloc(count, size);
    if (out == NULL) abort();
    return out;
}

static double processor_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static void *named(void *handle, const char *name)
{
    void *out = dlsym(handle, name);
    if (out == NULL) {
        fprintf(stderr, "error: %s\n", dlerror());
        exit(69);
    }
    return out;
}

/* A function of a library, as this one's header declares it. */
#define OF(handle, function) ((__typeof__(&(function)))named(handle, #function))

static void lib_open(struct lib *lib, const char *file, const char *index)
{
    struct nlsh_error error;
    struct nlsh_open_options how;
    void *handle = dlmopen(LM_ID_NEWLM, file, RTLD_NOW);
    if (handle == NULL) {
        fprintf(stderr, "error: %s\n", dlerror());
        exit(69);
    }
    lib->file = file;
    OF(handle, nlsh_open_options_init)(&how, sizeof how);
    how.memory = NLSH_MEMORY_ALL;
    must(OF(handle, nlsh_index_open)(index, &how, &lib->index, &error), &error);
    must(OF(handle, nlsh_searcher_create)(lib->index, &lib->searcher, &error), &error);
    must(OF(handle, nlsh_searcher_pool_create)(lib->index, 1, &lib->pool, &error), &error);
    lib->search = OF(handle, nlsh_search);
    lib->search_pool = OF(handle, nlsh_searcher_pool_search);
    for (int mode = 0; mode < MODES; mode++)
        lib->us[mode] = room(g.rounds * (g.n / piece_of[mode]), sizeof(double));
}

static struct nlsh_matrix queries_of(size_t first, size_t n)
{
    struct nlsh_matrix out = g.queries;
    size_t size = out.type == NLSH_U8 ? 1 : sizeof(float);
    out.data = (const char *)g.queries.data + first * out.dim * size;
    out.n_rows = n;
    return out;
}

static void ask(const struct lib *lib, int mode, size_t first, size_t n,
                struct nlsh_search_stats *stats)
{
    struct nlsh_error error;
    size_t step = mode == 0 ? 1 : n;
    for (size_t i = 0; i < n; i += step) {
        const struct nlsh_matrix q = queries_of(first + i, step);
        must(mode == 0
                 ? lib->search(lib->searcher, &q, &g.options, g.keys, g.distances, stats, &error)
                 : lib->search_pool(lib->pool, &q, &g.options, g.keys, g.distances, stats, &error),
             &error);
    }
}

/* Who begins changes from round to round. */
static void run_round(size_t round, int mode)
{
    size_t n_pieces = g.n / piece_of[mode];
    for (size_t p = 0; p < n_pieces; p++)
        for (size_t i = 0; i < g.n_libs; i++) {
            struct lib *lib = &g.libs[(i + round) % g.n_libs];
            double start = processor_us();
            ask(lib, mode, p * piece_of[mode], piece_of[mode], NULL);
            lib->us[mode][round * n_pieces + p] = processor_us() - start;
        }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void show_mode(const struct lib *lib, int mode)
{
    size_t n_pieces = g.n / piece_of[mode], n = n_pieces * g.rounds;
    double sum = 0, *ratios = room(n, sizeof *ratios), *least = room(n_pieces, sizeof *least);
    for (size_t p = 0; p < n_pieces; p++) {
        least[p] = INFINITY;
        for (size_t r = 0; r < g.rounds; r++)
            least[p] = fmin(least[p], lib->us[mode][r * n_pieces + p]);
        sum += least[p];
    }
    for (size_t i = 0; i < n; i++) ratios[i] = g.libs[0].us[mode][i] / lib->us[mode][i];
    qsort(ratios, n, sizeof *ratios, ascending);
    printf("  %s %.2f us (%.3f)", mode == 0 ? "single" : "batch",
           sum / (double)(n_pieces * piece_of[mode]), ratios[n / 2]);
    if (piece_of[mode] == 1) {
        qsort(least, n_pieces, sizeof *least, ascending);
        printf(" p50 %.1f p99 %.1f", least[n_pieces / 2], least[n_pieces * 99 / 100]);
    }
    free(ratios);
    free(least);
}

static void show(const struct lib *lib)
{
    double candidates = 0, ranked = 0;
    struct nlsh_search_stats stats = {
        .struct_size = sizeof stats, .candidates = g.candidates, .ranked = g.ranked};
    for (int mode = 0; mode < MODES; mode++) show_mode(lib, mode);
    ask(lib, 1, 0, g.n, &stats);
    for (size_t i = 0; i < g.n; i++) {
        candidates += g.candidates[i];
        ranked += g.ranked[i];
    }
    printf("  %.1f scanned, %.1f ranked: %s\n", candidates / (double)g.n, ranked / (double)g.n,
           lib->file);
}

int main(int argc, char **argv)
{
    struct nlsh_error error;
    struct nlsh_vectors *read;
    nlsh_search_options_init(&g.options, sizeof g.options);
    for (int i; (i = getopt(argc, argv, "k:t")) != -1;) {
        if (i == 'k') g.options.k = strtoul(optarg, NULL, 10);
        if (i == 't') piece_of[0] = 1;
        if (i == '?') return 2;
    }
    argv += optind - 1;
    argc -= optind - 1;
    if (argc < 7 || argc % 2 == 0 || (argc - 5) / 2 > MOST_LIBS) {
        fprintf(
            stderr,
            "usage: bench_turns [-k K] [-t] QUERIES RECALL N ROUNDS LIB INDEX [LIB INDEX]...\n");
        return 2;
    }
    must(nlsh_vectors_read(argv[1], NLSH_FORMAT_AUTO, &read, &error), &error);
    g.queries = *nlsh_vectors_matrix(read);
    g.options.recall = atof(argv[2]);
    g.options.n_threads = 1;
    g.n = strtoul(argv[3], NULL, 10) / piece_of[1] * piece_of[1];
    g.rounds = strtoul(argv[4], NULL, 10);
    if (g.n == 0 || g.rounds == 0 || g.n > g.queries.n_rows) {
        fprintf(stderr, "error: N is a multiple of %zu, up to the queries' number\n", piece_of[1]);
        return 2;
    }
    g.keys = room(g.n * g.options.k, sizeof *g.keys);
    g.distances = room(g.n * g.options.k, sizeof *g.distances);
    g.candidates = room(g.n, sizeof *g.candidates);
    g.ranked = room(g.n, sizeof *g.ranked);
    for (int i = 5; i < argc; i += 2) lib_open(&g.libs[g.n_libs++], argv[i], argv[i + 1]);
    for (size_t round = 0; round < g.rounds; round++)
        for (int mode = 0; mode < MODES; mode++) run_round(round, mode);
    for (size_t i = 0; i < g.n_libs; i++) show(&g.libs[i]);
    return 0;
}
