/*
 * churn.c - an index that changes all the time, beside other libraries, for docs/live.md.
 *
 *   cmake --preset bench && ninja -C build/bench bench_live_churn peer_hnswlib peer_faiss
 *   build/bench/bench_live_churn BASE QUERIES INDEX [--compactions N] [--sync S] [--operations N]
 *       [PEER.so]...
 *
 * INDEX is of the first half of BASE, or - for the peers alone; each peer builds one of the same rows by itself. Then
 * the other half comes in and as many rows, drawn by chance, go, in turns of 1,000: as many operations as BASE has rows, or
 * as --operations says.
 * At the end searches for 10 neighbours, one at a time on one thread, with ever more effort until their recall is .95;
 * the truth is that of the rows that are left. A line for each method. Ours compacts N times (10), evenly, the last time
 * behind the last turn; with 0 the searches have all in the log. Its time contains that. S is interval (every .1 s),
 * flush (when it is closed) or always (at each call). Times are of the processor, all threads.
 */
#include <dlfcn.h>
#include <getopt.h>
#include <time.h>
#include <unistd.h>

#include "../peers/peer.h"
#include "base/rng.h"
#include "common.h"

enum { TURN = 1000, K = 10, QUERIES = 2000, PASSES = 3 };
static const double asked = 0.95;

static struct {
    struct peer_data base, queries;
    struct nlsh_matrix bytes, byte_queries;
    uint32_t *live; /* [n_live] */
    size_t n_live;
    size_t n_turns;
    struct nlsh_neighbors truth; /* ids count in live */
} g;

/* ---- data ------------------------------------------------------------------------------------ */

/* As floats, which peers want; bytes beside them where the file has those. */
static void read_data(const char *path, struct nlsh_matrix *m, struct peer_data *out)
{
    *m = read_matrix(path);
    float *rows = room(m->n_rows * m->dim, sizeof *rows);
    const uint8_t *bytes = m->type == NLSH_U8 ? m->data : NULL;
    for (size_t i = 0; i < m->n_rows * m->dim; i++)
        rows[i] = bytes != NULL ? bytes[i] : ((const float *)m->data)[i];
    *out = (struct peer_data){rows, bytes, m->n_rows, m->dim};
}

/* What goes in one turn: drawn, and no longer in live. */
static void draw(struct nlsh__rng *rng, uint32_t *gone)
{
    for (size_t i = 0; i < TURN; i++) {
        size_t at = nlsh__rng_below(rng, g.n_live);
        gone[i] = g.live[at];
        g.live[at] = g.live[--g.n_live];
    }
}

static void start_live(void)
{
    g.n_live = g.base.n_rows / 2;
    for (size_t i = 0; i < g.n_live; i++) g.live[i] = (uint32_t)i;
}

/* The 10 nearest of the rows that are left. */
static void find_truth(void)
{
    struct nlsh_error error = {0};
    float *rows = room(g.n_live * g.base.dim, sizeof *rows);
    for (size_t i = 0; i < g.n_live; i++)
        memcpy(rows + i * g.base.dim, g.base.rows + g.live[i] * g.base.dim,
               g.base.dim * sizeof *rows);
    const struct nlsh_matrix left = {rows, g.n_live, g.base.dim, NLSH_F32, 0};
    const struct nlsh_matrix queries = {g.queries.rows, g.queries.n_rows, g.base.dim, NLSH_F32, 0};
    g.truth.struct_size = sizeof g.truth;
    must(nlsh_ground_truth(&left, &queries, NLSH_L2, K, NULL, &g.truth, &error), &error);
    free(rows);
}

/* ---- ours ------------------------------------------------------------------------------------ */

static struct {
    char path[4096], log[4200];
    struct nlsh_writer *writer;
    struct nlsh_index *index;
    struct nlsh_searcher *searcher;
    double recall;
    size_t n_compactions, n_since;
    enum nlsh_sync sync;
    double compacting; /* seconds */
} own = {.n_compactions = 10, .sync = NLSH_SYNC_INTERVAL};

static double processor_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void own_writer(void)
{
    struct nlsh_error error = {0};
    struct nlsh_writer_options how;
    nlsh_writer_options_init(&how, sizeof how);
    how.sync = own.sync;
    must(nlsh_writer_open(own.path, &how, &own.writer, &error), &error);
}

static void own_compact(void)
{
    struct nlsh_error error = {0};
    struct nlsh_compact_report report = {.struct_size = sizeof report};
    double start = processor_time();
    must(nlsh_writer_close(own.writer, &error), &error);
    must(nlsh_compact(own.path, NULL, NULL, &report, &error), &error);
    own_writer();
    own.n_since = 0;
    own.compacting += processor_time() - start;
    printf("# compacted in %.1f s%s\n", processor_time() - start,
           report.measured ? ", measured" : "");
}

static int own_add(void *index, const struct peer_data *data, const uint32_t *rows, size_t n)
{
    struct nlsh_error error = {0};
    uint64_t keys[TURN];
    const struct nlsh_matrix some =
        data->bytes != NULL
            ? rows_of(&g.bytes, rows[0], n)
            : (struct nlsh_matrix){data->rows + rows[0] * data->dim, n, data->dim, NLSH_F32, 0};
    (void)index;
    for (size_t i = 0; i < n; i++) keys[i] = rows[i];
    must(nlsh_writer_put(own.writer, keys, &some, &error), &error);
    own.n_since += n;
    if (own.n_compactions > 0 && own.n_since >= g.n_turns * TURN / own.n_compactions) own_compact();
    return 1;
}

static int own_remove(void *index, const uint32_t *rows, size_t n)
{
    struct nlsh_error error = {0};
    uint64_t keys[TURN];
    (void)index;
    for (size_t i = 0; i < n; i++) keys[i] = rows[i];
    must(nlsh_writer_delete(own.writer, keys, n, NULL, &error), &error);
    return 1;
}

static const char *own_setting(void *index, size_t k, int quick, size_t i)
{
    static char text[16];
    (void)index, (void)k, (void)quick;
    if (i > 8) return NULL;
    snprintf(text, sizeof text, "recall=.%zu", 91 + i);
    return text;
}

static void own_set(void *index, size_t k, const char *setting)
{
    struct nlsh_error error = {0};
    const struct nlsh_open_options how = {sizeof how, NLSH_MEMORY_ALL};
    (void)index, (void)k;
    own.recall = atof(strchr(setting, '=') + 1);
    if (own.index != NULL) return;
    must(nlsh_index_open(own.path, &how, &own.index, &error), &error);
    must(nlsh_searcher_create(own.index, &own.searcher, &error), &error);
}

static void own_search(void *index, const struct peer_data *queries, size_t first, size_t n,
                       size_t k, size_t n_threads, uint32_t *ids)
{
    struct nlsh_error error = {0};
    struct nlsh_search_options o;
    uint64_t keys[K];
    const struct nlsh_matrix one = queries->bytes != NULL
                                       ? rows_of(&g.byte_queries, first, n)
                                       : (struct nlsh_matrix){queries->rows + first * queries->dim,
                                                              n, queries->dim, NLSH_F32, 0};
    (void)index, (void)n_threads;
    nlsh_search_options_init(&o, sizeof o);
    o.k = k;
    o.recall = own.recall;
    must(nlsh_search(own.searcher, &one, &o, keys, NULL, NULL, &error), &error);
    for (size_t i = 0; i < k; i++) ids[i] = (uint32_t)keys[i];
}

static const struct peer own_peer = {.name = "nlsh",
                                     .version = NLSH_VERSION,
                                     .setting = own_setting,
                                     .set = own_set,
                                     .search = own_search,
                                     .add = own_add,
                                     .remove = own_remove};

/* A copy of the index, which changes. */
static void own_start(const char *from)
{
    static char buffer[1 << 16];
    struct nlsh_error error = {0};
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    must(nlsh_index_open(from, NULL, &index, &error), &error);
    must(nlsh_index_info(index, &info, &error), &error);
    nlsh_index_close(index);
    if (info.n_rows != g.base.n_rows / 2) {
        fprintf(stderr, "%s is of %llu vectors, not of the first %zu\n", from,
                (unsigned long long)info.n_rows, g.base.n_rows / 2);
        exit(2);
    }
    snprintf(own.path, sizeof own.path, "%s.churn", from);
    snprintf(own.log, sizeof own.log, "%s-log", own.path);
    unlink(own.log);
    FILE *in = fopen(from, "rb"), *out = fopen(own.path, "wb");
    if (in == NULL || out == NULL) exit(1);
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, in)) > 0;) fwrite(buffer, 1, n, out);
    fclose(in);
    if (fclose(out) != 0) exit(1);
    own_writer();
}

static void own_end(void)
{
    struct nlsh_error error = {0};
    nlsh_searcher_free(own.searcher);
    nlsh_index_close(own.index);
    must(nlsh_writer_close(own.writer, &error), &error);
    unlink(own.path);
    unlink(own.log);
}

/* ---- a method -------------------------------------------------------------------------------- */

/* All operations; returns seconds. */
static double churn(const struct peer *peer, void *index)
{
    struct nlsh__rng rng;
    uint32_t come[TURN], go[TURN];
    double seconds = 0;
    nlsh__rng_init(&rng, 1, 1);
    start_live();
    size_t next = g.n_live;
    for (size_t turn = 0; turn < g.n_turns; turn++, next += TURN) {
        draw(&rng, go);
        for (size_t i = 0; i < TURN; i++) come[i] = (uint32_t)(next + i);
        double start = processor_time();
        if (!peer->remove(index, go, TURN) || !peer->add(index, &g.base, come, TURN)) exit(1);
        seconds += processor_time() - start;
        for (size_t i = 0; i < TURN; i++) g.live[g.n_live++] = come[i];
    }
    return seconds;
}

/* Answers that are among the true ones, or as near. */
static double recall_of(const uint32_t *ids)
{
    size_t hits = 0;
    for (size_t q = 0; q < g.queries.n_rows; q++) {
        const float *x = g.queries.rows + q * g.base.dim;
        double most = (double)g.truth.distances[q * g.truth.k + K - 1];
        for (size_t i = 0; i < K; i++) {
            double l2sq = 0;
            if (ids[q * K + i] == UINT32_MAX) continue;
            const float *y = g.base.rows + ids[q * K + i] * g.base.dim;
            for (size_t d = 0; d < g.base.dim; d++) {
                double off = (double)(x[d] - y[d]);
                l2sq += off * off;
            }
            hits += l2sq <= most * most * (1 + 1e-6);
        }
    }
    return (double)hits / (double)(g.queries.n_rows * K);
}

static double pass(const struct peer *peer, void *index, uint32_t *ids)
{
    double start = processor_time();
    for (size_t q = 0; q < g.queries.n_rows; q++)
        peer->search(index, &g.queries, q, 1, K, 1, ids + q * K);
    return processor_time() - start;
}

static void run(const struct peer *peer, void *index, const char *build)
{
    uint32_t *ids = room(QUERIES * K, sizeof *ids);
    double seconds = churn(peer, index), recall = 0;
    const char *setting = "none";
    if (g.truth.ids == NULL) find_truth(); /* all methods are left with the same rows */
    for (size_t i = 0; recall < asked; i++) {
        const char *next = peer->setting(index, K, 0, i);
        if (next == NULL) break;
        setting = next;
        peer->set(index, K, setting);
        (void)pass(peer, index, ids);
        recall = recall_of(ids);
    }
    double best = pass(peer, index, ids);
    for (size_t i = 1; i < PASSES; i++) {
        double again = pass(peer, index, ids);
        best = again < best ? again : best;
    }
    printf("%-16s %-16s %12.0f operations/s in %.1f s   %-12s recall@10 %.4f %10.0f queries/s\n",
           peer->name, build, (double)(g.n_turns * TURN * 2) / seconds, seconds, setting, recall,
           (double)g.queries.n_rows / best);
    fflush(stdout);
    free(ids);
}

/* Built in its i-th way. */
static void run_built(const struct peer *p, const struct peer_data *half, size_t i)
{
    char path[64], build[64]; /* it is written there, and not read again */
    snprintf(path, sizeof path, "bench-live-churn-%d", (int)getpid());
    snprintf(build, sizeof build, "%s", p->build(half, 1, i));
    double start = processor_time();
    void *index = p->open(half, build, path);
    if (index == NULL) exit(1);
    unlink(path);
    printf("# %s %s: %s built in %.0f s\n", p->name, p->version, build, processor_time() - start);
    fflush(stdout);
    run(p, index, build);
    p->close(index);
}

static void run_peers(const char *file)
{
    const struct peer *(*peers)(void) = NULL;
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (library != NULL) *(void **)&peers = dlsym(library, "nlsh_bench_changing");
    if (peers == NULL) {
        fprintf(stderr, "%s: %s\n", file, dlerror());
        exit(1);
    }
    struct peer_data half = g.base;
    half.n_rows = g.base.n_rows / 2;
    for (const struct peer *p = peers(); p->name != NULL; p++)
        for (size_t i = 0; p->build(&half, 1, i) != NULL; i++) run_built(p, &half, i);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"compactions", 1, NULL, 'c'}, {"sync", 1, NULL, 's'}, {"operations", 1, NULL, 'o'}, {0}};
    size_t n_operations = SIZE_MAX;
    char text[32];
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o == 'c') own.n_compactions = strtoul(optarg, NULL, 10);
        if (o == 's')
            own.sync = optarg[0] == 'a'   ? NLSH_SYNC_ALWAYS
                       : optarg[0] == 'f' ? NLSH_SYNC_FLUSH
                                          : NLSH_SYNC_INTERVAL;
        if (o == 'o') n_operations = strtoul(optarg, NULL, 10);
        if (o == '?') return 2;
    }
    argc -= optind - 1;
    argv += optind - 1;
    if (argc < 4) {
        fprintf(stderr,
                "bench_live_churn BASE QUERIES INDEX [--compactions N] [--sync S] [--operations N] "
                "[PEER.so]...\n");
        return 2;
    }
    read_data(argv[1], &g.bytes, &g.base);
    read_data(argv[2], &g.byte_queries, &g.queries);
    if (g.queries.n_rows > QUERIES) g.queries.n_rows = QUERIES;
    g.n_turns = g.base.n_rows / 2 / TURN;
    if (g.n_turns > n_operations / 2 / TURN) g.n_turns = n_operations / 2 / TURN;
    g.live = room(g.base.n_rows + TURN, sizeof *g.live);
    printf("# %s; %zu vectors of dimension %zu, %zu operations\n", nlsh_cpu(), g.base.n_rows,
           g.base.dim, g.n_turns * TURN * 2);
    if (strcmp(argv[3], "-") != 0) {
        own_start(argv[3]);
        snprintf(text, sizeof text, "compacted %zux", own.n_compactions);
        run(&own_peer, NULL, text);
        printf("# of which %.1f s were compaction\n", own.compacting);
        own_end();
    }
    for (int i = 4; i < argc; i++) run_peers(argv[i]);
    return 0;
}
