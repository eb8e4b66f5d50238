/*
 * unlike.c - queries from elsewhere: what comes back of what was asked, whether the library notices, and what a
 * cautious search makes of it. For docs/recall.md; bench/unlike/table.sh makes its table.
 *
 *   ninja -C build/release bench_unlike
 *   build/release/bench_unlike --index FILE --set QUERIES [--name NAME] [--shift N | --flip | --means N]
 *                              [--first N] [--queries N] [--k K] [--recall R]
 *
 * Queries are those of the file from --first on, changed or not: square pictures of bytes shifted down and to the
 * right by N pixels, or turned upside down; the mean of N rows of the file that chance draws. A line: name, queries, k,
 * asked, reached, its standard error, candidates, share outside, share expected, share that is far, "unlike" or "like", and reached, its
 * standard error and candidates with caution. Exits with 1 where the library does not notice that more than .03 is
 * missed, or a cautious search misses more than .05.
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common.h"
#include "base/matrix.h"
#include "base/rng.h"
#include "nlsh/learn.h"

static struct {
    const char *index, *set, *name;
    size_t first, n, k, shift, means;
    int flip;
    double recall;
} g = {.name = "", .n = 1000, .k = 10, .recall = .95};

/* ---- the queries ----------------------------------------------------------------------------- */

/* A square picture, shifted or upside down. */
static void change_picture(const uint8_t *from, size_t dim, uint8_t *to)
{
    size_t side = (size_t)lround(sqrt((double)dim));
    for (size_t i = 0; i < dim; i++) {
        size_t row = i / side, column = i % side;
        if (g.flip)
            to[i] = from[(side - 1 - row) * side + column];
        else
            to[i] = row < g.shift || column < g.shift
                        ? 0
                        : from[(row - g.shift) * side + column - g.shift];
    }
}

static void draw_mean(const struct nlsh_matrix *rows, struct nlsh__rng *rng, float *to)
{
    float *one = room(rows->dim, sizeof *one);
    for (size_t part = 0; part < g.means; part++) {
        size_t row = nlsh__rng_below(rng, (uint32_t)rows->n_rows);
        nlsh__row_to_f32(nlsh__row(rows, row), rows->type, rows->dim, one);
        for (size_t d = 0; d < rows->dim; d++) to[d] += one[d] / (float)g.means;
    }
    free(one);
}

static struct nlsh_matrix make_queries(const struct nlsh_matrix *rows)
{
    struct nlsh__rng rng;
    struct nlsh_matrix out = *rows;
    size_t left = g.first < rows->n_rows ? rows->n_rows - g.first : 0;
    out.n_rows = g.n < left ? g.n : left;
    out.data = nlsh__row(rows, g.first);
    if (g.means > 0) {
        float *floats = room(out.n_rows * rows->dim, sizeof *floats);
        nlsh__rng_init(&rng, 1, 0x756e6c69);
        for (size_t i = 0; i < out.n_rows; i++) draw_mean(rows, &rng, floats + i * rows->dim);
        return (struct nlsh_matrix){floats, out.n_rows, rows->dim, NLSH_F32, 0};
    }
    if (!g.flip && g.shift == 0) return out;
    uint8_t *bytes = room(out.n_rows * rows->dim, 1);
    for (size_t i = 0; i < out.n_rows; i++)
        change_picture(nlsh__row(rows, g.first + i), rows->dim, bytes + i * rows->dim);
    return (struct nlsh_matrix){bytes, out.n_rows, rows->dim, NLSH_U8, 0};
}

/* ---- the asking ------------------------------------------------------------------------------ */

struct answer {
    uint64_t *keys;
    float *distances, *outside;
    uint32_t *candidates;
};

static struct answer search(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                            const struct nlsh_search_options *options)
{
    struct nlsh_error error;
    size_t n = queries->n_rows;
    struct answer a = {room(n * g.k, sizeof *a.keys), room(n * g.k, sizeof *a.distances),
                       room(n, sizeof *a.outside), room(n, sizeof *a.candidates)};
    struct nlsh_search_stats stats = {
        .struct_size = sizeof stats, .candidates = a.candidates, .outside = a.outside};
    must(nlsh_search_batch(index, queries, options, a.keys, a.distances, &stats, &error), &error);
    return a;
}

struct reached {
    double recall, error, candidates;
};

static struct reached judge(const struct answer *a, const struct answer *truth, size_t n)
{
    double sum = 0, squares = 0, candidates = 0;
    for (size_t i = 0; i < n; i++) {
        double r = nlsh_recall(a->keys + i * g.k, a->distances + i * g.k, truth->keys + i * g.k,
                               truth->distances + i * g.k, g.k);
        sum += r;
        squares += r * r;
        candidates += a->candidates[i];
    }
    double mean = sum / (double)n;
    return (struct reached){mean, sqrt(fmax(squares / (double)n - mean * mean, 0) / (double)n),
                            candidates / (double)n};
}

static int tell(const struct nlsh_index *index, const struct nlsh_matrix *queries)
{
    struct nlsh_error error;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct nlsh_likeness likeness = {.struct_size = sizeof likeness};
    struct nlsh_search_options options;
    size_t n = queries->n_rows;
    must(nlsh_index_info(index, &info, &error), &error);
    nlsh_search_options_init(&options, sizeof options);
    options.k = g.k;
    options.n_threads = 2;
    options.probes = (double)info.n_buckets;
    struct answer truth = search(index, queries, &options);
    options.probes = 0;
    options.recall = g.recall;
    struct answer plain = search(index, queries, &options);
    must(nlsh_likeness(index, &options, plain.outside, plain.distances, n, &likeness, &error),
         &error);
    options.cautious = 1;
    struct answer careful = search(index, queries, &options);
    struct reached r = judge(&plain, &truth, n), c = judge(&careful, &truth, n);
    printf("%s,%zu,%zu,%g,%.4f,%.4f,%.0f,%.4f,%.4f,%.3f,%s,%.4f,%.4f,%.0f\n", g.name, n, g.k,
           g.recall, r.recall, r.error, r.candidates, likeness.outside, likeness.expected,
           likeness.far, likeness.unlike ? "unlike" : "like", c.recall, c.error, c.candidates);
    return (r.recall < g.recall - .03 && !likeness.unlike) || c.recall < g.recall - .05;
}

int main(int argc, char **argv)
{
    static const struct option flags[] = {
        {"index", 1, NULL, 'i'},  {"set", 1, NULL, 'q'},     {"name", 1, NULL, 'n'},
        {"shift", 1, NULL, 's'},  {"flip", 0, NULL, 'f'},    {"means", 1, NULL, 'm'},
        {"first", 1, NULL, 'F'},  {"queries", 1, NULL, 'N'}, {"k", 1, NULL, 'k'},
        {"recall", 1, NULL, 'r'}, {NULL, 0, NULL, 0}};
    struct nlsh_error error;
    struct nlsh_vectors *vectors;
    struct nlsh_index *index;
    for (int c; (c = getopt_long(argc, argv, "", flags, NULL)) != -1;) {
        switch (c) {
        case 'i': g.index = optarg; break;
        case 'q': g.set = optarg; break;
        case 'n': g.name = optarg; break;
        case 's': g.shift = strtoul(optarg, NULL, 10); break;
        case 'f': g.flip = 1; break;
        case 'm': g.means = strtoul(optarg, NULL, 10); break;
        case 'F': g.first = strtoul(optarg, NULL, 10); break;
        case 'N': g.n = strtoul(optarg, NULL, 10); break;
        case 'k': g.k = strtoul(optarg, NULL, 10); break;
        case 'r': g.recall = strtod(optarg, NULL); break;
        default: return 2;
        }
    }
    if (g.index == NULL || g.set == NULL) {
        fprintf(stderr, "bench_unlike: give --index FILE and --set QUERIES\n");
        return 2;
    }
    must(nlsh_index_open(g.index, NULL, &index, &error), &error);
    must(nlsh_vectors_read(g.set, NLSH_FORMAT_AUTO, &vectors, &error), &error);
    const struct nlsh_matrix queries = make_queries(nlsh_vectors_matrix(vectors));
    return tell(index, &queries);
}
