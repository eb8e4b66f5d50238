/*
 * changes.c - what is asked and what comes back while an index changes, for docs/live.md.
 *
 *   ninja -C build/release bench_live_changes
 *   build/release/bench_live_changes SCENARIO BASE QUERIES [--labels FILE --query_labels FILE] [--metric M] [--rows N]
 *
 * Scenarios: more (built of two thirds, the others inserted), fewer (half deleted, by chance), without (with labels:
 * all of label 0 deleted), replaced (built of one half, which the other replaces in 20 rounds; compacted after
 * each fifth), drift (built of what has labels 0 to 4, the others inserted by tenths; without labels: of the first
 * tenth, the rest in order), auto (the same, but compacted by nlsh_compact's `automatic`, which may train; and
 * beside a fresh build of the same rows at each tenth). A line for each step and number of neighbours: recall that was asked for, reached, its
 * standard error, candidates; with the log, and again once it is compacted, from which the next step goes on.
 * At the end the same of a fresh build of the same rows. --fresh 0 builds none, --fresh 1 none where `automatic` trained;
 * --fresh_every N builds afresh after each Nth tenth only. --steps N stops a drift after N tenths, --queries N asks so many (1,000), --cautious asks cautiously. Missed: less than asked less .01 (drift: .02).
 */
#include <getopt.h>
#include <math.h>
#include <unistd.h>

#include "base/rng.h"
#include "common.h"

enum { MOST_QUERIES = 10000, MOST_K = 100, BATCH = 1000, KS = 3 };
static const size_t ks[KS] = {1, 10, 100};
static const double asked = 0.95;

static struct {
    struct nlsh_matrix base, queries;
    uint8_t *labels; /* [base.n_rows], or NULL */
    struct nlsh_matrix all_queries;
    size_t n_queries;      /* that ask at most */
    uint8_t *query_labels; /* [all_queries.n_rows], or NULL */
    enum nlsh_metric metric;
    char path[64], log[80], fresh[64];
    double within;
    int cautious;
    int compare; /* what is built afresh to compare with, at each tenth and at the end: 0: nothing, 1: not where it was trained */
    size_t fresh_every; /* tenths */
    size_t n_steps;     /* of a drift */
    struct {            /* of the vectors as they are, until they change */
        uint64_t *keys; /* [n_queries x MOST_K] */
        float *distances;
        int known;
    } truth;
    size_t n_missed, n_cells;
} g = {.within = .01, .n_steps = 10, .compare = 2, .fresh_every = 1};

/* The last n bytes of a file: labels, one a row, as MNIST's idx1 has them. */
static uint8_t *read_labels(const char *path, size_t n)
{
    uint8_t *labels = room(n, 1);
    FILE *in = fopen(path, "rb");
    if (in == NULL || fseek(in, -(long)n, SEEK_END) != 0 || fread(labels, 1, n, in) != n) {
        fprintf(stderr, "%s: no %zu labels\n", path, n);
        exit(1);
    }
    fclose(in);
    return labels;
}

/* ---- what comes back ------------------------------------------------------------------------- */

/* The nearest of all, for the largest number of neighbours that is asked about. */
static void find_truth(const struct nlsh_index *index, size_t n_buckets)
{
    struct nlsh_error error = {0};
    if (g.truth.known) return;
    struct nlsh_search_options o;
    nlsh_search_options_init(&o, sizeof o);
    o.k = MOST_K;
    o.n_threads = 2;
    o.probes = (double)n_buckets;
    must(nlsh_search_batch(index, &g.queries, &o, g.truth.keys, g.truth.distances, NULL, &error),
         &error);
    g.truth.known = 1;
}

static void ask(const struct nlsh_index *index, const char *step, const char *how, int counts)
{
    struct nlsh_error error = {0};
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct nlsh_search_options o;
    size_t n = g.queries.n_rows;
    uint64_t *keys = room(n * MOST_K, 8);
    float *distances = room(n * MOST_K, 4);
    uint32_t *candidates = room(n, 4);
    struct nlsh_search_stats stats = {.struct_size = sizeof stats, .candidates = candidates};
    must(nlsh_index_info(index, &info, &error), &error);
    find_truth(index, info.n_buckets);
    for (size_t i = 0; i < KS; i++) {
        double sum = 0, squares = 0, scanned = 0;
        nlsh_search_options_init(&o, sizeof o);
        o.k = ks[i];
        o.recall = asked;
        o.n_threads = 2;
        o.cautious = g.cautious;
        must(nlsh_search_batch(index, &g.queries, &o, keys, distances, &stats, &error), &error);
        for (size_t q = 0; q < n; q++) {
            size_t at = q * o.k, true_at = q * MOST_K;
            double r = nlsh_recall(keys + at, distances + at, g.truth.keys + true_at,
                                   g.truth.distances + true_at, o.k);
            sum += r;
            squares += r * r;
            scanned += candidates[q];
        }
        double mean = sum / (double)n;
        double se = sqrt(fmax(squares / (double)n - mean * mean, 0) / (double)n);
        int missed = counts && mean < asked - g.within && mean < asked - 2 * se;
        g.n_cells += (size_t)counts;
        g.n_missed += (size_t)missed;
        printf("%s,%s,%zu,%zu,%.4f,%.4f,%.1f%s\n", step, how, info.n_rows, o.k, mean, se,
               scanned / (double)n, missed ? "  # missed" : "");
    }
    fflush(stdout);
    free(keys);
    free(distances);
    free(candidates);
}

static void ask_file(const char *path, const char *step, const char *how, int counts)
{
    struct nlsh_error error = {0};
    struct nlsh_index *index;
    must(nlsh_index_open(path, NULL, &index, &error), &error);
    ask(index, step, how, counts);
    nlsh_index_close(index);
}

/* ---- changes --------------------------------------------------------------------------------- */

static void build(const char *path, const uint32_t *rows, size_t n)
{
    struct nlsh_error error = {0};
    struct nlsh_build_options options;
    size_t row_bytes = nlsh__row_bytes(&g.base);
    char *some = room(n, row_bytes);
    uint64_t *keys = room(n, 8);
    for (size_t i = 0; i < n; i++) {
        memcpy(some + i * row_bytes, nlsh__row(&g.base, rows[i]), row_bytes);
        keys[i] = rows[i];
    }
    const struct nlsh_matrix m = {some, n, g.base.dim, g.base.type, 0};
    nlsh_build_options_init(&options, sizeof options);
    options.metric = g.metric;
    options.keys = keys;
    must(nlsh_build(&m, &options, path, NULL, NULL, &error), &error);
    free(some);
    free(keys);
}

/* Puts rows [n] of the base under their numbers, and deletes others. */
static void change(const uint32_t *put, size_t n_put, const uint32_t *gone, size_t n_gone)
{
    struct nlsh_error error = {0};
    struct nlsh_writer *writer;
    struct nlsh_writer_options options;
    size_t row_bytes = nlsh__row_bytes(&g.base);
    char *some = room(BATCH, row_bytes);
    uint64_t keys[BATCH];
    g.truth.known = 0;
    nlsh_writer_options_init(&options, sizeof options);
    options.sync = NLSH_SYNC_FLUSH;
    must(nlsh_writer_open(g.path, &options, &writer, &error), &error);
    for (size_t i = 0; i < n_gone; i++) {
        keys[i % BATCH] = gone[i];
        if (i % BATCH == BATCH - 1 || i + 1 == n_gone)
            must(nlsh_writer_delete(writer, keys, i % BATCH + 1, NULL, &error), &error);
    }
    for (size_t i = 0; i < n_put; i++) {
        keys[i % BATCH] = put[i];
        memcpy(some + i % BATCH * row_bytes, nlsh__row(&g.base, put[i]), row_bytes);
        if (i % BATCH < BATCH - 1 && i + 1 < n_put) continue;
        const struct nlsh_matrix m = {some, i % BATCH + 1, g.base.dim, g.base.type, 0};
        must(nlsh_writer_put(writer, keys, &m, &error), &error);
    }
    must(nlsh_writer_close(writer, &error), &error);
    free(some);
}

/* Returns whether it trained. */
static int compact_by_itself(const char *step)
{
    static const char *const words[] = {"nothing", "one file", "trained"};
    struct nlsh_error error = {0};
    struct nlsh_compact_options options;
    struct nlsh_compact_report report = {.struct_size = sizeof report};
    nlsh_compact_options_init(&options, sizeof options);
    options.automatic = 1;
    must(nlsh_compact(g.path, &options, NULL, &report, &error), &error);
    printf("# %s: %s%s\n", step, words[report.done],
           report.done == NLSH_COMPACT_MERGED && report.measured ? ", measured" : "");
    return report.done == NLSH_COMPACT_RETRAINED;
}

static void compact(int retrain)
{
    struct nlsh_error error = {0};
    struct nlsh_compact_options options;
    nlsh_compact_options_init(&options, sizeof options);
    options.retrain = retrain;
    must(nlsh_compact(g.path, &options, NULL, NULL, &error), &error);
}

static void ask_both(const char *step)
{
    ask_file(g.path, step, "log", 1);
    compact(0);
    ask_file(g.path, step, "compacted", 1);
}

/* Beside a fresh build of rows [n], and after training again. */
static void end(const uint32_t *rows, size_t n)
{
    if (g.compare == 0) return;
    build(g.fresh, rows, n);
    ask_file(g.fresh, "end", "fresh", 0);
    compact(1);
    ask_file(g.path, "end", "retrained", 1);
}

/* ---- scenarios ------------------------------------------------------------------------------- */

static uint32_t *shuffled(size_t n)
{
    struct nlsh__rng rng;
    uint32_t *rows = room(n, sizeof *rows);
    nlsh__rng_init(&rng, 7, 1);
    for (size_t i = 0; i < n; i++) {
        size_t j = nlsh__rng_below(&rng, i + 1);
        rows[i] = rows[j];
        rows[j] = (uint32_t)i;
    }
    return rows;
}

static void more(void)
{
    size_t n = g.base.n_rows, part = n / 3 * 2;
    uint32_t *rows = shuffled(n);
    build(g.path, rows, part);
    ask_file(g.path, "built", "file", 1);
    change(rows + part, n - part, NULL, 0);
    ask_both("half more");
    end(rows, n);
    free(rows);
}

static void fewer(void)
{
    size_t n = g.base.n_rows, part = n / 2;
    uint32_t *rows = shuffled(n);
    build(g.path, rows, n);
    ask_file(g.path, "built", "file", 1);
    change(NULL, 0, rows + part, n - part);
    ask_both("half deleted");
    end(rows, part);
    free(rows);
}

static void without(void)
{
    size_t n = g.base.n_rows, kept = 0, gone = 0;
    uint32_t *rows = shuffled(n), *rest = room(n, 4), *deleted = room(n, 4);
    for (size_t i = 0; i < n; i++) {
        if (g.labels[rows[i]] == 0)
            deleted[gone++] = rows[i];
        else
            rest[kept++] = rows[i];
    }
    build(g.path, rows, n);
    ask_file(g.path, "built", "file", 1);
    change(NULL, 0, deleted, gone);
    ask_both("label 0 deleted");
    end(rest, kept);
    free(rows);
    free(rest);
    free(deleted);
}

static void replaced(void)
{
    enum { ROUNDS = 20 };
    char step[32];
    size_t n = g.base.n_rows, half = n / 2;
    uint32_t *rows = shuffled(n);
    build(g.path, rows, half);
    ask_file(g.path, "built", "file", 1);
    for (size_t i = 0; i < ROUNDS; i++) {
        size_t first = half * i / ROUNDS, count = half * (i + 1) / ROUNDS - first;
        change(rows + half + first, count, rows + first, count);
        snprintf(step, sizeof step, "round %zu", i + 1);
        if (i % 5 == 4)
            ask_both(step);
        else if (i % 5 == 2)
            ask_file(g.path, step, "log", 1);
    }
    end(rows + half, half);
    free(rows);
}

/* Queries like what the index holds: those with labels 0 to 4, and of the others a share. */
static void take_queries(double share)
{
    static char *memory;
    size_t row_bytes = nlsh__row_bytes(&g.all_queries), n = 0;
    double others = 0;
    if (g.query_labels == NULL) return;
    g.truth.known = 0;
    if (memory == NULL) memory = room(MOST_QUERIES, row_bytes);
    for (size_t i = 0; i < g.all_queries.n_rows && n < g.n_queries; i++) {
        if (g.query_labels[i] >= 5) {
            others += share;
            if (others < 1) continue;
            others -= 1;
        }
        memcpy(memory + n++ * row_bytes, nlsh__row(&g.all_queries, i), row_bytes);
    }
    g.queries = (struct nlsh_matrix){memory, n, g.all_queries.dim, g.all_queries.type, 0};
}

/* What is there first, and what comes later, in order. */
struct drifting {
    uint32_t *all; /* [n] first those of which the index is built */
    size_t first, n;
};

static struct drifting drifting(void)
{
    size_t n = g.base.n_rows, first = 0, later = 0;
    uint32_t *chance = shuffled(n), *new = room(n, 4);
    struct drifting out = {room(n, 4), 0, n};
    for (size_t i = 0; i < n; i++) {
        uint32_t row = g.labels != NULL ? chance[i] : (uint32_t)i;
        if (g.labels != NULL ? g.labels[row] < 5 : i < n / 10)
            out.all[first++] = row;
        else
            new[later++] = row;
    }
    memcpy(out.all + first, new, later * sizeof *new);
    out.first = first;
    free(chance);
    free(new);
    return out;
}

static void drift_by(int automatic)
{
    enum { TENTHS = 10 };
    char step[32];
    struct drifting d = drifting();
    size_t n = d.first;
    g.within = .02;
    take_queries(0);
    build(g.path, d.all, n);
    ask_file(g.path, "built", "file", 1);
    for (size_t i = 1; i <= g.n_steps; i++) {
        size_t end = d.first + (d.n - d.first) * i / TENTHS;
        change(d.all + n, end - n, NULL, 0);
        n = end;
        snprintf(step, sizeof step, "tenth %zu", i);
        take_queries((double)i / TENTHS);
        if (!automatic) {
            ask_both(step);
            continue;
        }
        ask_file(g.path, step, "log", 1);
        int trained = compact_by_itself(step);
        ask_file(g.path, step, "behind", 1);
        if (g.compare == 0 || (g.compare == 1 && trained) || i % g.fresh_every != 0) continue;
        build(g.fresh, d.all, n);
        ask_file(g.fresh, step, "fresh", 0);
    }
    if (!automatic && n == d.n) end(d.all, d.n);
    free(d.all);
}

static void drift(void)
{
    drift_by(0);
}

static void by_itself(void)
{
    drift_by(1);
}

/* ---- all ------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } scenarios[] = {{"more", more},         {"fewer", fewer}, {"without", without},
                     {"replaced", replaced}, {"drift", drift}, {"auto", by_itself}};
    static const struct option options[] = {
        {"labels", 1, NULL, 'l'},      {"query_labels", 1, NULL, 'Q'},
        {"metric", 1, NULL, 'm'},      {"queries", 1, NULL, 'q'},
        {"rows", 1, NULL, 'r'},        {"steps", 1, NULL, 's'},
        {"cautious", 0, NULL, 'c'},    {"fresh", 1, NULL, 'f'},
        {"fresh_every", 1, NULL, 'e'}, {0}};
    const char *labels = NULL, *query_labels = NULL;
    size_t n_queries = 1000, n_rows = SIZE_MAX;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o == 'l') labels = optarg;
        if (o == 'Q') query_labels = optarg;
        if (o == 'r') n_rows = strtoul(optarg, NULL, 10);
        if (o == 's') g.n_steps = strtoul(optarg, NULL, 10);
        if (o == 'c') g.cautious = 1;
        if (o == 'f') g.compare = atoi(optarg);
        if (o == 'e') g.fresh_every = strtoul(optarg, NULL, 10);
        if (o == 'q') n_queries = strtoul(optarg, NULL, 10);
        if (o == 'm') g.metric = strcmp(optarg, "cosine") == 0 ? NLSH_COSINE : NLSH_IP;
    }
    if (argc - optind != 3 || g.fresh_every == 0) {
        fprintf(stderr, "bench_live_changes SCENARIO BASE QUERIES [--labels FILE] [--metric M]\n");
        return 2;
    }
    g.base = read_matrix(argv[optind + 1]);
    g.queries = read_matrix(argv[optind + 2]);
    g.all_queries = g.queries;
    if (query_labels != NULL) g.query_labels = read_labels(query_labels, g.all_queries.n_rows);
    g.n_queries = n_queries < MOST_QUERIES ? n_queries : MOST_QUERIES;
    if (g.queries.n_rows > g.n_queries) g.queries.n_rows = g.n_queries;
    g.truth.keys = room(g.queries.n_rows * MOST_K, sizeof *g.truth.keys);
    g.truth.distances = room(g.queries.n_rows * MOST_K, sizeof *g.truth.distances);
    if (labels != NULL) g.labels = read_labels(labels, g.base.n_rows);
    if (g.base.n_rows > n_rows) g.base.n_rows = n_rows;
    snprintf(g.path, sizeof g.path, "bench-live-%d.nlsh", (int)getpid());
    snprintf(g.log, sizeof g.log, "%s-log", g.path);
    snprintf(g.fresh, sizeof g.fresh, "bench-live-%d-fresh.nlsh", (int)getpid());
    printf("# %s, %s, %zu x %zu, recall asked %.2f\n", argv[optind], nlsh_cpu(), g.base.n_rows,
           g.base.dim, asked);
    printf("step,state,vectors,N,recall,error,candidates\n");
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        if (strcmp(scenarios[i].name, argv[optind]) == 0) scenarios[i].run();
    printf("# %zu of %zu missed\n", g.n_missed, g.n_cells);
    unlink(g.path);
    unlink(g.log);
    unlink(g.fresh);
    return g.n_missed > 0;
}
