/* graphs.h - graphs to cut, fair and ugly, for the tests of partition/. */
#ifndef TESTS_UNIT_PARTITION_GRAPHS_H
#define TESTS_UNIT_PARTITION_GRAPHS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/csr.h"
#include "base/rng.h"
#include "nlsh/nlsh.h"
#include "partition/partition.h"

#define SEED 20260729u

struct edge {
    int32_t from, to, weight;
};

struct edges {
    struct edge *all;
    size_t n, capacity;
};

static inline void add_edge(struct edges *edges, size_t a, size_t b, int32_t weight)
{
    if (edges->n + 2 > edges->capacity) {
        edges->capacity = 2 * edges->capacity + 64;
        edges->all = realloc(edges->all, edges->capacity * sizeof *edges->all);
        assert_non_null(edges->all);
    }
    edges->all[edges->n++] = (struct edge){(int32_t)a, (int32_t)b, weight};
    edges->all[edges->n++] = (struct edge){(int32_t)b, (int32_t)a, weight};
}

static inline int compare_edges(const void *a, const void *b)
{
    const struct edge *x = a, *y = b;
    if (x->from != y->from) return x->from < y->from ? -1 : 1;
    return (x->to > y->to) - (x->to < y->to);
}

/* Loops are dropped; of doubles the first is kept, so they must agree. */
static inline struct nlsh__csr make_csr(size_t n, struct edges *edges)
{
    struct nlsh__csr csr = {.n = n};
    csr.offsets = calloc(n + 1, sizeof *csr.offsets);
    csr.neighbors = calloc(edges->n + 1, sizeof *csr.neighbors);
    csr.weights = calloc(edges->n + 1, sizeof *csr.weights);
    assert_true(csr.offsets && csr.neighbors && csr.weights);
    if (edges->n > 0) qsort(edges->all, edges->n, sizeof *edges->all, compare_edges);
    int32_t kept = 0;
    for (size_t i = 0; i < edges->n; i++) {
        const struct edge *e = &edges->all[i];
        if (e->from == e->to || (i > 0 && compare_edges(e, e - 1) == 0)) continue;
        csr.neighbors[kept] = e->to;
        csr.weights[kept++] = e->weight;
        csr.offsets[e->from + 1] = kept;
    }
    for (size_t i = 0; i < n; i++)
        if (csr.offsets[i + 1] < csr.offsets[i]) csr.offsets[i + 1] = csr.offsets[i];
    free(edges->all);
    *edges = (struct edges){0};
    return csr;
}

static inline void free_csr(struct nlsh__csr *csr)
{
    free(csr->offsets);
    free(csr->neighbors);
    free(csr->weights);
}

static inline struct nlsh__csr grid_graph(size_t side)
{
    struct edges edges = {0};
    for (size_t i = 0; i < side * side; i++) {
        if (i % side + 1 < side) add_edge(&edges, i, i + 1, 2);
        if (i / side + 1 < side) add_edge(&edges, i, i + side, 2);
    }
    return make_csr(side * side, &edges);
}

/* Points in the unit square, each tied to its k nearest. */
static inline struct nlsh__csr geometric_graph(size_t n, size_t k, uint64_t seed)
{
    struct nlsh__rng rng;
    struct edges edges = {0};
    double *xy = malloc(2 * n * sizeof *xy);
    char *used = malloc(n);
    assert_true(xy && used);
    nlsh__rng_init(&rng, seed, 0);
    for (size_t i = 0; i < 2 * n; i++) xy[i] = nlsh__rng_uniform(&rng);
    for (size_t i = 0; i < n; i++) {
        memset(used, 0, n);
        used[i] = 1;
        for (size_t j = 0; j < k && j + 1 < n; j++) {
            size_t best = n;
            double best_l2sq = 3.0;
            for (size_t c = 0; c < n; c++) {
                double dx = xy[2 * i] - xy[2 * c], dy = xy[2 * i + 1] - xy[2 * c + 1];
                double l2sq = dx * dx + dy * dy;
                if (!used[c] && l2sq < best_l2sq) best_l2sq = l2sq, best = c;
            }
            used[best] = 1;
            add_edge(&edges, i, best, 1);
        }
    }
    free(xy);
    free(used);
    return make_csr(n, &edges);
}

/* n_cliques cliques of one size in a ring, each tied to the next by one edge of weight 1. */
static inline struct nlsh__csr clique_graph(size_t n_cliques, size_t size, int bridges)
{
    struct edges edges = {0};
    for (size_t c = 0; c < n_cliques; c++) {
        for (size_t i = 0; i < size; i++)
            for (size_t j = i + 1; j < size; j++) add_edge(&edges, c * size + i, c * size + j, 2);
        if (bridges && n_cliques > 1)
            add_edge(&edges, c * size, (c + 1) % n_cliques * size + size / 2, 1);
    }
    return make_csr(n_cliques * size, &edges);
}

static inline struct nlsh__csr star_graph(size_t n)
{
    struct edges edges = {0};
    for (size_t i = 1; i < n; i++) add_edge(&edges, 0, i, 1);
    return make_csr(n, &edges);
}

/* What k-NN makes of many copies of one point: all point at the first few; others point nowhere. */
static inline struct nlsh__csr hubs_graph(size_t n, size_t n_hubs, size_t n_alone)
{
    struct edges edges = {0};
    for (size_t i = n_hubs; i + n_alone < n; i++)
        for (size_t h = 0; h < n_hubs; h++) add_edge(&edges, i, h, 1);
    return make_csr(n, &edges);
}

static inline struct nlsh__csr random_graph(size_t n, size_t n_edges, uint64_t seed)
{
    struct nlsh__rng rng;
    struct edges edges = {0};
    nlsh__rng_init(&rng, seed, 1);
    for (size_t e = 0; e < n_edges; e++) {
        size_t a = nlsh__rng_below(&rng, n), b = nlsh__rng_below(&rng, n);
        add_edge(&edges, a, b, 1 + (int32_t)((a ^ b) & 1));
    }
    return make_csr(n, &edges);
}

struct named_graph {
    const char *name;
    struct nlsh__csr csr;
};

#define N_GRAPHS 14

/* Of every kind one; freed by free_graphs(). */
static inline void make_graphs(struct named_graph graphs[N_GRAPHS])
{
    size_t n = 0;
    struct edges none = {0};
    graphs[n++] = (struct named_graph){"grid 20 x 20", grid_graph(20)};
    graphs[n++] = (struct named_graph){"grid 45 x 45", grid_graph(45)};
    graphs[n++] = (struct named_graph){"geometric 700", geometric_graph(700, 10, SEED)};
    graphs[n++] = (struct named_graph){"16 cliques, bridges", clique_graph(16, 20, 1)};
    graphs[n++] = (struct named_graph){"50 cliques, apart", clique_graph(50, 11, 0)};
    graphs[n++] = (struct named_graph){"one clique", clique_graph(1, 150, 0)};
    graphs[n++] = (struct named_graph){"pairs", clique_graph(300, 2, 0)};
    graphs[n++] = (struct named_graph){"star", star_graph(1000)};
    graphs[n++] = (struct named_graph){"hubs", hubs_graph(900, 10, 0)};
    graphs[n++] = (struct named_graph){"hubs, half alone", hubs_graph(900, 5, 450)};
    graphs[n++] = (struct named_graph){"random dense", random_graph(400, 8000, SEED)};
    graphs[n++] = (struct named_graph){"random sparse", random_graph(2000, 1000, SEED)};
    graphs[n++] = (struct named_graph){"no edges", make_csr(333, &none)};
    graphs[n++] = (struct named_graph){"one edge in 500", random_graph(500, 2, SEED)};
    assert_int_equal(n, N_GRAPHS);
}

static inline void free_graphs(struct named_graph graphs[N_GRAPHS])
{
    for (size_t g = 0; g < N_GRAPHS; g++) free_csr(&graphs[g].csr);
}

/* Counted here again, not with the code under test. */
static inline void assert_valid(const char *what, const uint32_t *bucket_of, size_t n, size_t m,
                                double imbalance)
{
    size_t cap = (n + m - 1) / m, *sizes = calloc(m, sizeof *sizes);
    double wide = (1.0 + imbalance) * (double)n / (double)m + 1e-9;
    if (wide > (double)cap) cap = (size_t)wide;
    assert_non_null(sizes);
    for (size_t i = 0; i < n; i++) {
        if (bucket_of[i] >= m) fail_msg("%s, m %zu: bucket %u", what, m, (unsigned)bucket_of[i]);
        sizes[bucket_of[i]]++;
    }
    for (size_t b = 0; b < m; b++)
        if (sizes[b] < 1 || sizes[b] > cap)
            fail_msg("%s, m %zu, imbalance %g: bucket %zu holds %zu, cap %zu", what, m, imbalance,
                     b, sizes[b], cap);
    free(sizes);
}

/* The cut's weight, each edge once. */
static inline int64_t cut_weight(const struct nlsh__csr *csr, const uint32_t *bucket_of)
{
    int64_t cut = 0;
    for (size_t u = 0; u < csr->n; u++)
        for (int32_t e = csr->offsets[u]; e < csr->offsets[u + 1]; e++)
            if (bucket_of[u] != bucket_of[csr->neighbors[e]]) cut += csr->weights[e];
    return cut / 2;
}

/* What a library writes to stdout and stderr: both go to a file between the two calls. */
struct hush {
    FILE *file;
    int saved[2];
};

static inline void hush_begin(struct hush *hush)
{
    fflush(NULL);
    hush->file = tmpfile();
    assert_non_null(hush->file);
    for (int fd = 1; fd <= 2; fd++) {
        hush->saved[fd - 1] = dup(fd);
        dup2(fileno(hush->file), fd);
    }
}

/* The number of bytes written, the first of them in text. */
static inline size_t hush_end(struct hush *hush, char *text, size_t text_size)
{
    fflush(NULL);
    for (int fd = 1; fd <= 2; fd++) {
        dup2(hush->saved[fd - 1], fd);
        close(hush->saved[fd - 1]);
    }
    fseek(hush->file, 0, SEEK_END);
    size_t size = (size_t)ftell(hush->file);
    rewind(hush->file);
    text[fread(text, 1, text_size - 1, hush->file)] = '\0';
    fclose(hush->file);
    return size;
}

#endif
