/*
 * ranges.c - the share of what lies within a radius that comes back, for docs/recall.md.
 *
 *   ninja -C build/release bench_ranges
 *   build/release/bench_ranges --index FILE --set QUERIES [--queries N]
 *
 * Each query asks with radii that hold 1, 3, 10, ... 3,000 vectors for it, and with the one that holds 100 for the
 * middle query. A line for each radius and recall: how many lie within (0: as they do), asked, the mean share that
 * came back, the share of all queries' together, vectors in the buckets that were scanned. Exits with 1 where less
 * than what was asked less .01 came back.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common.h"
#include "base/matrix.h"
#include "nlsh/learn.h"
#include "search/search.h"

enum { MOST = 5000 };

static const size_t counts[] = {1, 3, 10, 30, 100, 300, 1000, 3000, 0};
static const double recalls[] = {.8, .9, .95, .99};

struct asked {
    const struct nlsh_index *index;
    struct nlsh_searcher *searcher;
    struct nlsh_matrix queries;
    float *distances; /* [queries x k] of the true neighbours */
    size_t k;
    uint64_t *keys; /* room for all */
};

/* Vectors in the buckets that the last range search scanned. */
static double n_scanned(const struct asked *a)
{
    double n = 0;
    for (size_t b = 0; b < a->index->meta.n_buckets; b++)
        for (size_t i = 0; i < a->index->n_segments && a->searcher->is_scanned[b]; i++) {
            const uint32_t *offsets = a->index->segments[i].bucket_offsets;
            n += offsets[b + 1] - offsets[b];
        }
    return n;
}

/* Whether enough came back. */
static int tell(const struct asked *a, size_t count, double recall)
{
    struct nlsh_error error;
    struct nlsh_search_options options;
    size_t n = a->queries.n_rows;
    double share = 0, found_in_all = 0, in_all = 0, scanned = 0;
    nlsh_search_options_init(&options, sizeof options);
    options.recall = recall;
    for (size_t i = 0; i < n; i++) {
        const float *own = a->distances + i * a->k;
        size_t found, inside = 0, of = count > 0 ? i : n / 2;
        double radius = 1.000001 * (double)a->distances[of * a->k + (count > 0 ? count : 100) - 1];
        struct nlsh_matrix one = a->queries;
        one.data = nlsh__row(&a->queries, i);
        one.n_rows = 1;
        must(nlsh_search_range(a->searcher, &one, &options, radius, a->keys, NULL, 0, &found,
                               &error),
             &error);
        while (inside < a->k && (double)own[inside] <= radius) inside++;
        if (inside == a->k) inside = found; /* more than were looked for: all are compared then */
        share += (inside > 0 ? (double)found / (double)inside : 1) / (double)n;
        found_in_all += (double)found;
        in_all += (double)inside;
        scanned += n_scanned(a) / (double)n;
    }
    printf("%zu,%g,%.4f,%.4f,%.0f\n", count, recall, share, in_all > 0 ? found_in_all / in_all : 1,
           scanned);
    return share >= recall - .01;
}

int main(int argc, char **argv)
{
    static const struct option flags[] = {
        {"index", 1, NULL, 'i'}, {"set", 1, NULL, 'q'}, {"queries", 1, NULL, 'n'}, {0}};
    const char *index_path = NULL, *set = NULL;
    struct nlsh_error error;
    struct nlsh_vectors *vectors;
    struct nlsh_index *index;
    struct nlsh_search_options all;
    size_t n = 200;
    int good = 1;
    for (int c; (c = getopt_long(argc, argv, "", flags, NULL)) != -1;) {
        if (c == 'i') index_path = optarg;
        if (c == 'q') set = optarg;
        if (c == 'n') n = strtoul(optarg, NULL, 10);
        if (c == '?') return 2;
    }
    if (index_path == NULL || set == NULL || n == 0) {
        fprintf(stderr, "bench_ranges: give --index FILE and --set QUERIES\n");
        return 2;
    }
    must(nlsh_index_open(index_path, NULL, &index, &error), &error);
    must(nlsh_vectors_read(set, NLSH_FORMAT_AUTO, &vectors, &error), &error);
    size_t n_rows = (size_t)index->meta.n_rows;
    struct asked a = {.index = index,
                      .queries = *nlsh_vectors_matrix(vectors),
                      .k = n_rows < MOST ? n_rows : MOST};
    if (a.queries.n_rows > n) a.queries.n_rows = n;
    a.distances = room(a.queries.n_rows * a.k, sizeof *a.distances);
    a.keys =
        room(a.queries.n_rows * a.k > n_rows ? a.queries.n_rows * a.k : n_rows, sizeof *a.keys);
    nlsh_search_options_init(&all, sizeof all);
    all.k = a.k;
    all.n_threads = 2;
    all.probes = (double)index->meta.n_buckets;
    must(nlsh_search_batch(index, &a.queries, &all, a.keys, a.distances, NULL, &error), &error);
    must(nlsh_searcher_create(index, &a.searcher, &error), &error);
    for (size_t r = 0; r < sizeof recalls / sizeof *recalls; r++)
        for (size_t c = 0; c < sizeof counts / sizeof *counts && counts[c] <= a.k; c++)
            good &= tell(&a, counts[c], recalls[r]);
    return !good;
}
