/*
 * promise.c - what is asked and what comes back, for docs/recall.md.
 *
 *   ninja -C build/release bench_promise
 *   build/release/bench_promise [--sizes 200,1000,6000] [--kind NAME] [--queries N]
 *   build/release/bench_promise --index FILE --set QUERIES [--hindsight] [--k K]
 *
 * The first makes sets of many kinds (made.h), builds each with default settings, and asks it for each
 * number of neighbours and each recall. The second asks an index that stands. A line for each: kind, rows, k,
 * asked, reached, its standard error over queries, candidates a query; with --hindsight also the fewest
 * candidates that a lower recall asked for needs to reach what was asked. A cell is missed where less is
 * reached than what was asked less .01, and less than that less two standard errors. What was missed is said
 * once more at the end. Exits with 1 where anything was.
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "made.h"

enum { MOST_K = 1000, MOST_SIZES = 8, MOST_LINES = 20000 };

static const size_t ks[] = {1, 3, 10, 50, 100, 200, 500, 1000};
static const double recalls[] = {.8, .9, .95, .99};

static struct {
    const char *kind, *index, *set;
    size_t sizes[MOST_SIZES], n_sizes, n_queries;
    size_t only_k; /* 0: all of ks */
    int hindsight;
    char *missed[MOST_LINES];
    size_t n_missed, n_cells;
} g = {.sizes = {200, 1000, 6000}, .n_sizes = 3, .n_queries = 1000};

static void must(enum nlsh_status status, const struct nlsh_error *error)
{
    if (status == NLSH_OK) return;
    fprintf(stderr, "%s\n", error->message);
    exit(1);
}

/* What one call of a search came to. */
struct reached {
    double recall, error, candidates;
};

/* An index, queries and their truth of MOST_K neighbours or all rows. */
struct asked {
    const struct nlsh_index *index;
    const struct nlsh_matrix *queries;
    const struct nlsh_neighbors *truth;
    size_t n_rows;
};

static struct reached ask(const struct asked *a, size_t k, double recall)
{
    struct nlsh_error error;
    struct nlsh_search_options options;
    struct reached out = {0};
    size_t n = a->queries->n_rows;
    uint64_t *keys = malloc(n * k * sizeof *keys);
    float *distances = malloc(n * k * sizeof *distances);
    uint32_t *candidates = malloc(n * sizeof *candidates);
    struct nlsh_search_stats stats = {.struct_size = sizeof stats, .candidates = candidates};
    nlsh_search_options_init(&options, sizeof options);
    options.k = k;
    options.recall = recall;
    options.n_threads = 2;
    must(nlsh_search_batch(a->index, a->queries, &options, keys, distances, &stats, &error),
         &error);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        double r = nlsh_recall(
            keys + i * k, distances + i * k, a->truth->ids + i * a->truth->k,
            a->truth->distances == NULL ? NULL : a->truth->distances + i * a->truth->k, k);
        sum += r;
        squares += r * r;
        out.candidates += candidates[i] / (double)n;
    }
    out.recall = sum / (double)n;
    out.error = sqrt(fmax(squares / (double)n - out.recall * out.recall, 0) / (double)n);
    free(keys);
    free(distances);
    free(candidates);
    return out;
}

/* The fewest candidates with which what was asked is reached on these very queries. */
static double hindsight(const struct asked *a, size_t k, double wanted)
{
    double low = .01, high = .99999, least = NAN;
    for (int i = 0; i < 14; i++) {
        double middle = 1 - sqrt((1 - low) * (1 - high));
        struct reached r = ask(a, k, middle);
        if (r.recall >= wanted) {
            high = middle;
            least = r.candidates;
        } else {
            low = middle;
        }
    }
    return least;
}

static void tell(const char *name, const struct asked *a, size_t k, double wanted)
{
    char line[256];
    struct reached r = ask(a, k, wanted);
    int missed = r.recall < wanted - .01 && r.recall < wanted - 2 * r.error;
    int length = snprintf(line, sizeof line, "%s,%zu,%zu,%g,%.4f,%.4f,%.1f", name, a->n_rows, k,
                          wanted, r.recall, r.error, r.candidates);
    if (g.hindsight)
        snprintf(line + length, sizeof line - (size_t)length, ",%.1f", hindsight(a, k, wanted));
    printf("%s\n", line);
    fflush(stdout);
    g.n_cells++;
    if (missed && g.n_missed < MOST_LINES) g.missed[g.n_missed++] = strdup(line);
}

static void tell_all(const char *name, const struct asked *a)
{
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
        if (g.only_k != 0 && g.only_k != ks[i]) continue;
        for (size_t j = 0; j < sizeof recalls / sizeof *recalls && ks[i] <= a->n_rows; j++)
            tell(name, a, ks[i], recalls[j]);
    }
}

static void tell_kind(size_t kind, size_t n_rows)
{
    struct nlsh_error error;
    struct made made;
    struct nlsh_build_options options;
    struct nlsh_neighbors truth;
    struct nlsh_index *index;
    char path[] = "/tmp/bench-promise-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    close(fd);
    made_create(kind, n_rows, g.n_queries, 7, &made);
    nlsh_build_options_init(&options, sizeof options);
    options.metric = made.metric;
    must(nlsh_build(&made.base, &options, path, NULL, NULL, &error), &error);
    must(nlsh_index_open(path, NULL, &index, &error), &error);
    unlink(path);
    nlsh_neighbors_init(&truth, sizeof truth);
    must(nlsh_ground_truth(&made.base, &made.queries, made.metric,
                           n_rows < MOST_K ? n_rows : MOST_K, NULL, &truth, &error),
         &error);
    const struct asked a = {index, &made.queries, &truth, n_rows};
    tell_all(made.name, &a);
    nlsh_neighbors_free(&truth);
    nlsh_index_close(index);
    made_free(&made);
}

static void tell_index(void)
{
    struct nlsh_error error;
    struct nlsh_index *index;
    struct nlsh_vectors *queries, *base;
    struct nlsh_neighbors truth;
    struct nlsh_run run;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    must(nlsh_index_open(g.index, NULL, &index, &error), &error);
    must(nlsh_index_info(index, &info, &error), &error);
    must(nlsh_vectors_read(g.set, NLSH_FORMAT_AUTO, &queries, &error), &error);
    struct nlsh_matrix view = *nlsh_vectors_matrix(queries);
    if (view.n_rows > g.n_queries) view.n_rows = g.n_queries;
    nlsh_neighbors_init(&truth, sizeof truth);
    nlsh_run_init(&run, sizeof run);
    run.cache_dir = nlsh_cache_default_dir();
    must(nlsh_index_vectors(index, &base, &error), &error);
    must(nlsh_ground_truth(nlsh_vectors_matrix(base), &view, info.metric,
                           info.n_rows < MOST_K ? info.n_rows : MOST_K, &run, &truth, &error),
         &error);
    nlsh_vectors_free(base);
    const struct asked a = {index, &view, &truth, info.n_rows};
    tell_all(g.set, &a);
    nlsh_neighbors_free(&truth);
    nlsh_vectors_free(queries);
    nlsh_index_close(index);
}

static void take_sizes(char *text)
{
    g.n_sizes = 0;
    for (char *part = strtok(text, ","); part != NULL && g.n_sizes < MOST_SIZES;
         part = strtok(NULL, ","))
        g.sizes[g.n_sizes++] = strtoul(part, NULL, 10);
}

int main(int argc, char **argv)
{
    static const struct option flags[] = {
        {"sizes", required_argument, NULL, 's'},   {"kind", required_argument, NULL, 'k'},
        {"queries", required_argument, NULL, 'n'}, {"index", required_argument, NULL, 'i'},
        {"set", required_argument, NULL, 'q'},     {"hindsight", no_argument, NULL, 'h'},
        {"k", required_argument, NULL, 'K'},       {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", flags, NULL)) != -1;) switch (c) {
        case 's': take_sizes(optarg); break;
        case 'k': g.kind = optarg; break;
        case 'n': g.n_queries = strtoul(optarg, NULL, 10); break;
        case 'i': g.index = optarg; break;
        case 'q': g.set = optarg; break;
        case 'h': g.hindsight = 1; break;
        case 'K': g.only_k = strtoul(optarg, NULL, 10); break;
        default: return 2;
        }
    printf("set,rows,k,asked,reached,error,candidates%s\n", g.hindsight ? ",hindsight" : "");
    if (g.index != NULL && g.set != NULL)
        tell_index();
    else
        for (size_t i = 0; i < made_n_kinds(); i++)
            for (size_t j = 0; j < g.n_sizes; j++)
                if (g.kind == NULL || strcmp(g.kind, made_name(i)) == 0) tell_kind(i, g.sizes[j]);
    printf("# %zu of %zu cells missed\n", g.n_missed, g.n_cells);
    for (size_t i = 0; i < g.n_missed; i++) printf("# missed: %s\n", g.missed[i]);
    return g.n_missed > 0;
}
