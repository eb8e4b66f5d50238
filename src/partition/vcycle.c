/*
 * vcycle.c - cells that a graph makes better: fewer of its edges cut, and sizes evener.
 *
 * Source: the moves of a vertex to the part that it is tied to most are Karypis and Kumar's ("Multilevel k-way
 * Partitioning Scheme for Irregular Graphs", 1998, section 3.3); to coarsen within the parts that there are and to
 * refine on the way back is Walshaw's cycle ("Multilevel refinement for combinatorial optimisation problems", 2004). Ours
 * is the price of size: METIS takes any parts below a limit as alike, but a query that scans a part pays for its size.
 *
 *   rows' cells -> pairs of vertices, twice -> moves of fours -> moves of pairs -> moves of single vertices -> these again, with
 *   the edges of unseen rows
 *
 * A move from part a to b gains the weight of the edges into b less that of those into a, and pays PRICE x mean weight of a
 * vertex / mean size of a part for each vertex that b then has more than a. As every move gains, and a vertex's gain is known
 * by its own edges alone, a pass is O(edges). k-means gives the start: vertices near each other in one part.
 */
#include <string.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "partition/partition.h"
#include "partition/repair.h"

enum {
    LEVELS = 2,       /* of pairs: three changed nothing */
    MOST_PASSES = 10, /* a level; the last gain next to nothing */
    LARGEST = 4       /* a vertex of a coarse graph is a part of the cap at most */
};

/* Without it a cut as good scans a seventh more; two fifths of it scan 3 % more, a fifth more of it as many. docs/algorithm.md */
#define PRICE 0.375

/* Gains are whole numbers of 1 / UNIT of an edge's weight, so that they are the same everywhere. */
#define UNIT 4096

/* A graph, and its vertices' sizes in rows. */
struct level {
    struct nlsh__csr graph;
    int32_t *size_of;    /* [n] */
    uint32_t *bucket_of; /* [n] */
    uint32_t *coarse_of; /* [n] its vertex in the next level */
};

struct cycle {
    struct level levels[LEVELS + 1]; /* the first is the caller's graph, with weights of its own */
    size_t m, cap;
    int64_t price;  /* of a row, in UNITs */
    size_t *sizes;  /* [m] rows */
    int64_t *ties;  /* [m] weight from one vertex into each bucket; zero between vertices */
    int32_t *place; /* [n] where a coarse vertex's edge to another stands */
    struct nlsh__rng rng;
};

static void cycle_free(struct cycle *c)
{
    for (size_t i = 0; i <= LEVELS; i++) {
        nlsh__free(c->levels[i].coarse_of);
        nlsh__free(c->levels[i].size_of);
        nlsh__free(c->levels[i].graph.weights);
        if (i == 0) continue; /* the rest of it is the caller's */
        nlsh__free(c->levels[i].bucket_of);
        nlsh__free(c->levels[i].graph.offsets);
        nlsh__free(c->levels[i].graph.neighbors);
    }
    nlsh__free(c->sizes);
    nlsh__free(c->ties);
    nlsh__free(c->place);
}

/* ---- coarser --------------------------------------------------------------------------------- */

/* The neighbour of v to make one vertex with, n where there is none: in v's bucket, unpaired, by the heaviest edge; of
 * equal ones that which has fewest edges, so that hubs stay. */
static uint32_t partner(const struct level *l, uint32_t v, int32_t most, const uint32_t *mate)
{
    const struct nlsh__csr *g = &l->graph;
    uint32_t best = (uint32_t)g->n;
    int32_t best_weight = 0, best_edges = 0;
    for (int32_t e = g->offsets[v]; e < g->offsets[v + 1]; e++) {
        uint32_t u = (uint32_t)g->neighbors[e];
        int32_t edges = g->offsets[u + 1] - g->offsets[u];
        if (mate[u] != u || l->bucket_of[u] != l->bucket_of[v] ||
            l->size_of[u] + l->size_of[v] > most)
            continue;
        if (g->weights[e] < best_weight || (g->weights[e] == best_weight && edges >= best_edges))
            continue;
        best = u;
        best_weight = g->weights[e];
        best_edges = edges;
    }
    return best;
}

/* mate[v]: v's other half, itself where it has none. Vertices choose in a random order. */
static enum nlsh_status pair_up(struct cycle *c, const struct level *l, uint32_t *mate,
                                struct nlsh_error *error)
{
    uint32_t *order, n = (uint32_t)l->graph.n;
    enum nlsh_status status = nlsh__alloc(&order, n, sizeof *order, error);
    if (status != NLSH_OK) return status;
    for (uint32_t v = 0; v < n; v++) mate[v] = order[v] = v;
    nlsh__rng_shuffle(&c->rng, order, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t v = order[i], u;
        if (mate[v] != v) continue;
        u = partner(l, v, (int32_t)(c->cap / LARGEST), mate);
        if (u == n) continue;
        mate[v] = u;
        mate[u] = v;
    }
    nlsh__free(order);
    return NLSH_OK;
}

/* v's edges into the coarse vertex `to`, whose row of edges begins at `begin` and ends at the answer. */
static int32_t take_edges(const struct level *l, uint32_t v, uint32_t to, int32_t begin,
                          int32_t end, int32_t *place, struct nlsh__csr *out)
{
    const struct nlsh__csr *g = &l->graph;
    for (int32_t e = g->offsets[v]; e < g->offsets[v + 1]; e++) {
        uint32_t other = l->coarse_of[g->neighbors[e]];
        if (other == to) continue;
        if (place[other] < begin) {
            place[other] = end;
            out->neighbors[end] = (int32_t)other;
            out->weights[end++] = 0;
        }
        out->weights[place[other]] += g->weights[e];
    }
    return end;
}

static void contract(struct cycle *c, struct level *fine, const uint32_t *mate, struct level *out)
{
    const struct nlsh__csr *g = &fine->graph;
    uint32_t n = 0;
    for (uint32_t v = 0; v < g->n; v++)
        if (mate[v] >= v) fine->coarse_of[v] = fine->coarse_of[mate[v]] = n++;
    for (uint32_t v = 0; v < n; v++) c->place[v] = -1;
    out->graph.n = n;
    n = 0;
    for (uint32_t v = 0; v < g->n; v++) {
        if (mate[v] < v) continue;
        int32_t begin = out->graph.offsets[n];
        int32_t end = take_edges(fine, v, n, begin, begin, c->place, &out->graph);
        out->bucket_of[n] = fine->bucket_of[v];
        out->size_of[n] = fine->size_of[v];
        if (mate[v] != v) {
            end = take_edges(fine, mate[v], n, begin, end, c->place, &out->graph);
            out->size_of[n] += fine->size_of[mate[v]];
        }
        out->graph.offsets[++n] = end;
    }
}

static enum nlsh_status coarsen(struct cycle *c, struct level *fine, struct level *out,
                                struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = fine->graph.n, n_edges = (size_t)fine->graph.offsets[n];
    uint32_t *mate = NULL;
    NLSH_TRY(nlsh__alloc(&mate, n, sizeof *mate, error));
    NLSH_TRY(nlsh__alloc(&fine->coarse_of, n, sizeof *fine->coarse_of, error));
    NLSH_TRY(nlsh__calloc(&out->graph.offsets, n + 1, sizeof *out->graph.offsets, error));
    NLSH_TRY(nlsh__alloc(&out->graph.neighbors, n_edges, sizeof *out->graph.neighbors, error));
    NLSH_TRY(nlsh__alloc(&out->graph.weights, n_edges, sizeof *out->graph.weights, error));
    NLSH_TRY(nlsh__alloc(&out->size_of, n, sizeof *out->size_of, error));
    NLSH_TRY(nlsh__alloc(&out->bucket_of, n, sizeof *out->bucket_of, error));
    NLSH_TRY(pair_up(c, fine, mate, error));
    contract(c, fine, mate, out);
out:
    nlsh__free(mate);
    return status;
}

/* ---- moves ----------------------------------------------------------------------------------- */

/* The bucket that v gains most by, its own where none gains. */
static uint32_t best_bucket(struct cycle *c, const struct level *l, uint32_t v)
{
    const struct nlsh__csr *g = &l->graph;
    uint32_t own = l->bucket_of[v], best = own;
    size_t size = (size_t)l->size_of[v];
    for (int32_t e = g->offsets[v]; e < g->offsets[v + 1]; e++)
        c->ties[l->bucket_of[g->neighbors[e]]] += g->weights[e];
    int64_t stay = c->ties[own] * UNIT, most = stay;
    for (int32_t e = g->offsets[v]; e < g->offsets[v + 1]; e++) {
        uint32_t b = l->bucket_of[g->neighbors[e]];
        int64_t more = (int64_t)(c->sizes[b] + size) - (int64_t)c->sizes[own];
        int64_t worth = c->ties[b] * UNIT - c->price * more * (int64_t)size;
        int seen = c->ties[b] == 0;
        c->ties[b] = 0;
        if (seen || b == own || c->sizes[b] + size > c->cap) continue;
        if (worth > most || (worth == most && best != own && b < best)) best = b, most = worth;
    }
    return best;
}

/* Whether v moves to the bucket that it gains most by. */
static int move(struct cycle *c, struct level *l, uint32_t v)
{
    uint32_t own = l->bucket_of[v], to = best_bucket(c, l, v);
    size_t size = (size_t)l->size_of[v];
    if (to == own || c->sizes[own] == size) return 0; /* no bucket is left empty */
    c->sizes[own] -= size;
    c->sizes[to] += size;
    l->bucket_of[v] = to;
    return 1;
}

/* Passes over all vertices until nothing moves. */
static enum nlsh_status improve(struct cycle *c, struct level *l, const struct nlsh__job *job,
                                struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    int moved = 1;
    for (int pass = 0; pass < MOST_PASSES && moved; pass++) {
        moved = 0;
        if (job != NULL) NLSH_TRY(nlsh__job_progress(job, "graph partition", 0, 0, error));
        for (uint32_t v = 0; v < l->graph.n; v++) moved |= move(c, l, v);
    }
out:
    return status;
}

/* ---- unseen rows ----------------------------------------------------------------------------- */

/* weights: the graph's, but 0 of an edge with an unseen end. */
static enum nlsh_status hide(const struct nlsh__csr *csr, const struct nlsh__unseen *unseen,
                             int32_t *weights, struct nlsh_error *error)
{
    unsigned char *hidden;
    enum nlsh_status status = nlsh__calloc(&hidden, csr->n, 1, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; unseen != NULL && i < unseen->n; i++) hidden[unseen->rows[i]] = 1;
    for (size_t v = 0; v < csr->n; v++)
        for (int32_t e = csr->offsets[v]; e < csr->offsets[v + 1]; e++)
            weights[e] = hidden[v] || hidden[csr->neighbors[e]] ? 0 : csr->weights[e];
    nlsh__free(hidden);
    return NLSH_OK;
}

/* Their edges are known again. */
static enum nlsh_status show(struct cycle *c, const struct nlsh__csr *csr,
                             const struct nlsh__unseen *unseen, const struct nlsh__job *job,
                             struct nlsh_error *error)
{
    struct level *all = &c->levels[0];
    size_t n_edges = (size_t)csr->offsets[csr->n];
    memcpy(all->graph.weights, csr->weights, n_edges * sizeof *csr->weights);
    if (unseen->all_move) return improve(c, all, job, error);
    for (size_t i = 0; i < unseen->n; i++) move(c, all, unseen->rows[i]);
    return NLSH_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static enum nlsh_status begin(struct cycle *c, const struct nlsh__csr *csr,
                              const struct nlsh__unseen *unseen, uint64_t seed, uint32_t *bucket_of,
                              struct nlsh_error *error)
{
    enum nlsh_status status;
    struct level *all = &c->levels[0];
    size_t n = csr->n, n_edges = (size_t)csr->offsets[n];
    double weight = 0;
    all->graph = (struct nlsh__csr){n, csr->offsets, csr->neighbors, NULL};
    all->bucket_of = bucket_of;
    nlsh__rng_init(&c->rng, seed, 0x766379);
    NLSH_TRY(nlsh__alloc(&all->graph.weights, n_edges, sizeof *all->graph.weights, error));
    NLSH_TRY(hide(csr, unseen, all->graph.weights, error));
    NLSH_TRY(nlsh__alloc(&all->size_of, n, sizeof *all->size_of, error));
    NLSH_TRY(nlsh__alloc(&c->place, n, sizeof *c->place, error));
    NLSH_TRY(nlsh__calloc(&c->sizes, c->m, sizeof *c->sizes, error));
    NLSH_TRY(nlsh__calloc(&c->ties, c->m, sizeof *c->ties, error));
    for (size_t v = 0; v < n; v++) {
        all->size_of[v] = 1;
        c->sizes[bucket_of[v]]++;
    }
    for (size_t e = 0; e < n_edges; e++) weight += csr->weights[e];
    c->price = (int64_t)(PRICE * UNIT * (weight / (double)n) * (double)c->m / (double)n);
out:
    return status;
}

enum nlsh_status nlsh__partition_vcycle(const struct nlsh__csr *csr, size_t m, double imbalance,
                                        uint64_t seed, const struct nlsh__unseen *unseen,
                                        const struct nlsh__job *job, uint32_t *bucket_of,
                                        struct nlsh_error *error)
{
    enum nlsh_status status;
    struct cycle c = {.m = m, .cap = nlsh__bucket_cap(csr->n, m, imbalance)};
    struct level *all = &c.levels[0];
    NLSH_TRY(nlsh__partition_input(csr, m, imbalance, error));
    NLSH_TRY(nlsh__partition_check(bucket_of, csr->n, m, c.cap, error));
    NLSH_TRY(begin(&c, csr, unseen, seed, bucket_of, error));
    for (size_t i = 0; i < LEVELS; i++)
        NLSH_TRY(coarsen(&c, &c.levels[i], &c.levels[i + 1], error));
    for (size_t i = LEVELS; i > 0; i--) {
        struct level *coarse = &c.levels[i], *fine = &c.levels[i - 1];
        NLSH_TRY(improve(&c, coarse, job, error));
        for (size_t v = 0; v < fine->graph.n; v++)
            fine->bucket_of[v] = coarse->bucket_of[fine->coarse_of[v]];
    }
    NLSH_TRY(improve(&c, all, job, error));
    if (unseen != NULL) NLSH_TRY(show(&c, csr, unseen, job, error));
    NLSH_TRY(nlsh__partition_check(bucket_of, csr->n, m, c.cap, error));
out:
    cycle_free(&c);
    return status;
}
