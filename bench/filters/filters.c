/*
 * filters.c - what is asked and what comes back through a filter, for docs/recall.md.
 *
 *   ninja -C build/release bench_filters
 *   build/release/bench_filters [--kind NAME] [--rows N] [--queries N] [--more] [--unfitted]
 *   build/release/bench_filters --index FILE --set QUERIES [--labels FILE]
 *
 * The first makes sets of many kinds (bench/promise/made.h) and builds each with default settings; the second asks an
 * index that stands. Filters: of each share rows drawn by chance; those nearest to a row that was drawn by chance;
 * all but those; with labels (the last bytes of a file, one a row: MNIST's idx1, unpacked) the rows of a label, and
 * all but those; with --more also those that lie highest along a direction, the nearest to any of 20 rows, the cells
 * around some of 20 rows, and a run of the file. Filters are fitted, but for --unfitted. A line for each filter,
 * number of neighbours and recall, the mean over TURNS such filters: reached among the allowed, its standard error,
 * slots that stayed empty though there was a row for them, candidates a query, queries a second on one thread, the
 * same without a filter, and the same of an exact scan of the allowed. Missed: less than asked less .01, and less
 * than that less two standard errors. Exits with 1 where a cell was missed, or a slot was empty.
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common.h"
#include "base/clock.h"
#include "base/matrix.h"
#include "base/rng.h"
#include "made.h"

enum { TURNS = 3, MOST_K = 100, EXACT_QUERIES = 30 };

static const size_t ks[] = {1, 10, 100};
static const double recalls[] = {.9, .95, .99};
static const double shares[] = {.5, .1, .01, .001};
enum { KS = 3, RECALLS = 3, SHARES = 4 };

/* How a filter chooses rows. */
enum way { BY_CHANCE, NEAR, NOT_NEAR, OF_LABEL, NOT_OF_LABEL, SLAB, BALLS, CELLS, RUN, WAYS };
static const char *const way_names[] = {"chance", "near",  "not-near", "label", "not-label",
                                        "slab",   "balls", "cells",    "run"};

static struct {
    const char *kind, *index, *set, *labels;
    size_t n_rows, n_queries, n_missed, n_cells, n_empty;
    int unfitted, more;
    double fit_seconds; /* the longest */
} g = {.n_rows = 6000, .n_queries = 1000};

struct asked {
    const char *name;
    const struct nlsh_index *index;
    const struct nlsh_matrix *base, *queries;
    enum nlsh_metric metric;
    const uint8_t *labels; /* or NULL */
    struct nlsh_searcher *searcher;
    double unfiltered[KS][RECALLS]; /* seconds of all queries */
};

/* ---- filters --------------------------------------------------------------------------------- */

struct chosen {
    uint64_t *bits;
    size_t n;
    uint64_t *rows; /* [n] */
};

static void allow(struct chosen *c, size_t row)
{
    c->bits[row / 64] |= UINT64_C(1) << row % 64;
}

/* The `count` rows nearest to row `middle`, or all others. */
static void choose_near(const struct asked *a, size_t middle, size_t count, int others,
                        struct chosen *c)
{
    struct nlsh_neighbors near;
    struct nlsh_error error;
    struct nlsh_matrix one = *a->base;
    one.data = (const char *)a->base->data + middle * nlsh__row_bytes(a->base);
    one.n_rows = 1;
    nlsh_neighbors_init(&near, sizeof near);
    must(nlsh_ground_truth(a->base, &one, a->metric, count, NULL, &near, &error), &error);
    for (size_t i = 0; i < count; i++) allow(c, near.ids[i]);
    nlsh_neighbors_free(&near);
    for (size_t i = 0; i <= a->base->n_rows / 64 && others; i++) c->bits[i] = ~c->bits[i];
}

enum { CENTRES = 20 };

/* Of each row the nearest of some rows drawn by chance, and how far it is. */
static void find_cells(const struct asked *a, struct nlsh__rng *rng, float *l2sq, uint32_t *cell)
{
    size_t n = a->base->n_rows, dim = a->base->dim;
    float *centres = room(CENTRES * dim, sizeof *centres), *row = room(dim, sizeof *row);
    for (size_t c = 0; c < CENTRES; c++)
        nlsh__row_to_f32(nlsh__row(a->base, nlsh__rng_below(rng, n)), a->base->type, dim,
                         centres + c * dim);
    for (size_t i = 0; i < n; i++) {
        nlsh__row_to_f32(nlsh__row(a->base, i), a->base->type, dim, row);
        l2sq[i] = INFINITY;
        for (size_t c = 0; c < CENTRES; c++) {
            float sum = 0;
            for (size_t d = 0; d < dim; d++) {
                float off = row[d] - centres[c * dim + d];
                sum += off * off;
            }
            if (!(sum < l2sq[i])) continue;
            l2sq[i] = sum;
            cell[i] = (uint32_t)c;
        }
    }
    free(centres);
    free(row);
}

/* Along a direction by chance. */
static void find_heights(const struct asked *a, struct nlsh__rng *rng, float *height)
{
    size_t n = a->base->n_rows, dim = a->base->dim;
    float *direction = room(dim, sizeof *direction), *row = room(dim, sizeof *row);
    for (size_t d = 0; d < dim; d++) direction[d] = (float)nlsh__rng_normal(rng);
    for (size_t i = 0; i < n; i++) {
        nlsh__row_to_f32(nlsh__row(a->base, i), a->base->type, dim, row);
        height[i] = 0;
        for (size_t d = 0; d < dim; d++) height[i] += direction[d] * row[d];
    }
    free(direction);
    free(row);
}

static int by_float(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* As many rows, by something that goes with the vectors: the highest along a direction; the nearest to some rows;
 * whole cells around them, as many as hold that share of the cells; a run of the file. */
static void choose_otherwise(const struct asked *a, enum way way, size_t count,
                             struct nlsh__rng *rng, struct chosen *c)
{
    size_t n = a->base->n_rows, first = (size_t)nlsh__rng_below(rng, n);
    float *score = room(n, sizeof *score), *sorted = room(n, sizeof *sorted);
    uint32_t *cell = room(n, sizeof *cell);
    if (way == SLAB) find_heights(a, rng, score);
    if (way == BALLS || way == CELLS) find_cells(a, rng, score, cell);
    for (size_t i = 0; i < n && way == RUN; i++) score[i] = (float)((i + n - first) % n);
    for (size_t i = 0; i < n && way == CELLS; i++) score[i] = (float)cell[i];
    memcpy(sorted, score, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_float);
    for (size_t i = 0; i < n; i++)
        if (score[i] <= sorted[count - 1]) allow(c, i);
    free(score);
    free(sorted);
    free(cell);
}

static void choose(const struct asked *a, enum way way, double share, size_t turn, struct chosen *c)
{
    struct nlsh__rng rng;
    size_t n = a->base->n_rows;
    nlsh__rng_init(&rng, 7, 100 * turn + (uint64_t)way);
    *c = (struct chosen){.bits = room(n / 64 + 1, sizeof *c->bits)};
    size_t middle = (size_t)nlsh__rng_below(&rng, n);
    size_t count = (size_t)ceil(share * (double)n);
    switch (way) {
    case BY_CHANCE:
        for (size_t i = 0; i < n; i++)
            if (nlsh__rng_uniform(&rng) < share) allow(c, i);
        break;
    case NEAR: choose_near(a, middle, count, 0, c); break;
    case NOT_NEAR: choose_near(a, middle, n - count, 1, c); break;
    case SLAB:
    case BALLS:
    case CELLS:
    case RUN: choose_otherwise(a, way, count, &rng, c); break;
    default:
        for (size_t i = 0; i < n; i++)
            if ((a->labels[i] == a->labels[middle]) == (way == OF_LABEL)) allow(c, i);
    }
    c->rows = room(n, sizeof *c->rows);
    for (size_t i = 0; i < n; i++)
        if (c->bits[i / 64] >> i % 64 & 1) c->rows[c->n++] = i;
}

static void chosen_free(struct chosen *c)
{
    free(c->bits);
    free(c->rows);
}

/* The true neighbours among the chosen rows. */
static void find_truth(const struct asked *a, const struct chosen *c, struct nlsh_neighbors *truth)
{
    struct nlsh_error error;
    size_t bytes = nlsh__row_bytes(a->base);
    char *rows = room(c->n, bytes);
    for (size_t i = 0; i < c->n; i++)
        memcpy(rows + i * bytes, (const char *)a->base->data + c->rows[i] * bytes, bytes);
    const struct nlsh_matrix allowed = {rows, c->n, a->base->dim, a->base->type, 0};
    nlsh_neighbors_init(truth, sizeof *truth);
    must(nlsh_ground_truth(&allowed, a->queries, a->metric, c->n < MOST_K ? c->n : MOST_K, NULL,
                           truth, &error),
         &error);
    for (size_t i = 0; i < truth->n_rows * truth->k; i++) truth->ids[i] = c->rows[truth->ids[i]];
    free(rows);
}

/* ---- asking ---------------------------------------------------------------------------------- */

struct reached {
    double recall, error, candidates, seconds, exact_seconds;
    size_t empty;
};

static double ask(const struct asked *a, const struct nlsh_search_options *options, uint64_t *keys,
                  float *distances, uint32_t *candidates)
{
    struct nlsh_error error;
    struct nlsh_search_stats stats = {.struct_size = sizeof stats, .candidates = candidates};
    double begin = nlsh__now();
    must(nlsh_search(a->searcher, a->queries, options, keys, distances, &stats, &error), &error);
    return nlsh__now() - begin;
}

static void judge(const struct asked *a, const struct nlsh_counted_filter *counted,
                  const struct nlsh_neighbors *truth, size_t k, double recall, struct reached *out)
{
    struct nlsh_search_options options;
    size_t n = a->queries->n_rows, wanted = k < truth->k ? k : truth->k;
    uint64_t *keys = room(n * k, sizeof *keys);
    float *distances = room(n * k, sizeof *distances);
    uint32_t *candidates = room(n, sizeof *candidates);
    nlsh_search_options_init(&options, sizeof options);
    options.k = k;
    options.recall = recall;
    options.counted = counted;
    out->seconds += ask(a, &options, keys, distances, candidates) / TURNS;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        double r = nlsh_recall(keys + i * k, distances + i * k, truth->ids + i * truth->k,
                               truth->distances + i * truth->k, wanted);
        sum += r;
        squares += r * r;
        out->candidates += (double)candidates[i] / (double)n / TURNS;
        for (size_t j = 0; j < wanted; j++) out->empty += keys[i * k + j] == NLSH_NO_KEY;
    }
    double mean = sum / (double)n;
    out->recall += mean / TURNS;
    out->error += fmax(squares / (double)n - mean * mean, 0) / (double)n / TURNS / TURNS;
    struct nlsh_matrix few = *a->queries;
    struct asked exact = *a;
    if (few.n_rows > EXACT_QUERIES) few.n_rows = EXACT_QUERIES;
    exact.queries = &few;
    options.probes = 4294967296.0;
    out->exact_seconds +=
        ask(&exact, &options, keys, distances, candidates) * (double)n / (double)few.n_rows / TURNS;
    free(keys);
    free(distances);
    free(candidates);
}

static struct nlsh_counted_filter *count(const struct asked *a, const struct chosen *c)
{
    struct nlsh_error error;
    struct nlsh_counted_filter *counted;
    const struct nlsh_filter filter = {.bits = c->bits, .n_bits = a->base->n_rows};
    must(nlsh_counted_filter_create(a->index, &filter, &counted, &error), &error);
    double begin = nlsh__now();
    if (!g.unfitted) must(nlsh_counted_filter_fit(counted, &error), &error);
    g.fit_seconds = fmax(g.fit_seconds, nlsh__now() - begin);
    return counted;
}

static void tell(const struct asked *a, enum way way, double share)
{
    struct reached reached[KS][RECALLS] = {{{0}}};
    for (size_t turn = 0; turn < TURNS; turn++) {
        struct chosen c;
        struct nlsh_neighbors truth;
        choose(a, way, share, turn, &c);
        if (c.n > 0) find_truth(a, &c, &truth);
        struct nlsh_counted_filter *counted = count(a, &c);
        for (size_t i = 0; i < KS && c.n > 0; i++)
            for (size_t j = 0; j < RECALLS; j++)
                judge(a, counted, &truth, ks[i], recalls[j], &reached[i][j]);
        if (c.n > 0) nlsh_neighbors_free(&truth);
        nlsh_counted_filter_free(counted);
        chosen_free(&c);
    }
    for (size_t i = 0; i < KS; i++)
        for (size_t j = 0; j < RECALLS; j++) {
            const struct reached *r = &reached[i][j];
            double error = sqrt(r->error), n = (double)a->queries->n_rows;
            int missed = r->recall < recalls[j] - .01 && r->recall < recalls[j] - 2 * error;
            printf("%s,%s,%g,%zu,%g,%.4f,%.4f,%zu,%.0f,%.0f,%.0f,%.0f%s\n", a->name, way_names[way],
                   share, ks[i], recalls[j], r->recall, error, r->empty, r->candidates,
                   n / r->seconds, n / a->unfiltered[i][j], n / r->exact_seconds,
                   missed ? ",missed" : "");
            g.n_cells++;
            g.n_missed += (size_t)missed;
            g.n_empty += r->empty;
        }
    fflush(stdout);
}

static void tell_all(struct asked *a)
{
    struct nlsh_error error;
    size_t n = a->queries->n_rows;
    uint64_t *keys = room(n * MOST_K, sizeof *keys);
    must(nlsh_searcher_create(a->index, &a->searcher, &error), &error);
    for (size_t i = 0; i < KS; i++)
        for (size_t j = 0; j < RECALLS; j++) {
            struct nlsh_search_options options;
            nlsh_search_options_init(&options, sizeof options);
            options.k = ks[i];
            options.recall = recalls[j];
            a->unfiltered[i][j] = ask(a, &options, keys, NULL, NULL);
        }
    free(keys);
    for (enum way way = 0; way < OF_LABEL; way++)
        for (size_t s = 0; s < SHARES; s++) tell(a, way, shares[s]);
    for (enum way way = SLAB; way < WAYS && g.more; way++)
        for (size_t s = 0; s < SHARES; s++) tell(a, way, shares[s]);
    for (enum way way = OF_LABEL; way <= NOT_OF_LABEL && a->labels != NULL; way++)
        tell(a, way, NAN);
    nlsh_searcher_free(a->searcher);
}

/* ---- sets ------------------------------------------------------------------------------------ */

static void tell_kind(size_t kind)
{
    struct nlsh_error error;
    struct made made;
    struct nlsh_build_options options;
    struct nlsh_index *index;
    char path[] = "/tmp/bench-filters-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    close(fd);
    made_create(kind, g.n_rows, g.n_queries, 7, &made);
    nlsh_build_options_init(&options, sizeof options);
    options.metric = made.metric;
    must(nlsh_build(&made.base, &options, path, NULL, NULL, &error), &error);
    must(nlsh_index_open(path, NULL, &index, &error), &error);
    unlink(path);
    struct asked a = {.name = made.name,
                      .index = index,
                      .base = &made.base,
                      .queries = &made.queries,
                      .metric = made.metric};
    tell_all(&a);
    nlsh_index_close(index);
    made_free(&made);
}

/* The last n bytes of a file. */
static uint8_t *read_labels(const char *path, size_t n)
{
    uint8_t *labels = room(n, 1);
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, -(long)n, SEEK_END) != 0 || fread(labels, 1, n, file) != n) {
        perror(path);
        exit(1);
    }
    fclose(file);
    return labels;
}

static void tell_index(void)
{
    struct nlsh_error error;
    struct nlsh_index *index;
    struct nlsh_vectors *queries, *base;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    must(nlsh_index_open(g.index, NULL, &index, &error), &error);
    must(nlsh_index_info(index, &info, &error), &error);
    must(nlsh_vectors_read(g.set, NLSH_FORMAT_AUTO, &queries, &error), &error);
    must(nlsh_index_vectors(index, &base, &error), &error);
    struct nlsh_matrix view = *nlsh_vectors_matrix(queries);
    if (view.n_rows > g.n_queries) view.n_rows = g.n_queries;
    uint8_t *labels = g.labels != NULL ? read_labels(g.labels, info.n_rows) : NULL;
    struct asked a = {.name = g.set,
                      .index = index,
                      .base = nlsh_vectors_matrix(base),
                      .queries = &view,
                      .metric = info.metric,
                      .labels = labels};
    tell_all(&a);
    free(labels);
    nlsh_vectors_free(base);
    nlsh_vectors_free(queries);
    nlsh_index_close(index);
}

int main(int argc, char **argv)
{
    static const struct option flags[] = {{"kind", required_argument, NULL, 'k'},
                                          {"rows", required_argument, NULL, 'r'},
                                          {"queries", required_argument, NULL, 'n'},
                                          {"index", required_argument, NULL, 'i'},
                                          {"set", required_argument, NULL, 'q'},
                                          {"labels", required_argument, NULL, 'l'},
                                          {"unfitted", no_argument, NULL, 'u'},
                                          {"more", no_argument, NULL, 'm'},
                                          {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", flags, NULL)) != -1;) switch (c) {
        case 'k': g.kind = optarg; break;
        case 'r': g.n_rows = strtoul(optarg, NULL, 10); break;
        case 'n': g.n_queries = strtoul(optarg, NULL, 10); break;
        case 'i': g.index = optarg; break;
        case 'q': g.set = optarg; break;
        case 'l': g.labels = optarg; break;
        case 'u': g.unfitted = 1; break;
        case 'm': g.more = 1; break;
        default: return 2;
        }
    printf("set,filter,share,k,asked,reached,error,empty,candidates,qps,unfiltered,exact\n");
    if (g.index != NULL && g.set != NULL)
        tell_index();
    else
        for (size_t i = 0; i < made_n_kinds(); i++)
            if (g.kind == NULL || strcmp(g.kind, made_name(i)) == 0) tell_kind(i);
    printf("# %zu of %zu cells missed, %zu slots empty, a fit took %.3f s at most\n", g.n_missed,
           g.n_cells, g.n_empty, g.fit_seconds);
    return g.n_missed > 0 || g.n_empty > 0;
}
