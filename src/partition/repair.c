/*
 * repair.c - makes a partitioner's answer valid: no bucket empty, none over the cap.
 *
 * Source: ours; the growth is that of greedy graph growing (Karypis and Kumar, "A Fast and High
 * Quality Multilevel Scheme for Partitioning Irregular Graphs", 1998, section 3.2.2), the moves
 * are those of Fiduccia and Mattheyses without going back.
 *
 *   1. Empty buckets are handed to the fullest ones, so that size / share is as even as can be;
 *      a bucket with several shares is bisected recursively, each half grown from a vertex at its
 *      rim. Everything in one bucket thus becomes m parts that differ by one vertex at most.
 *   2. A bucket over the cap gives away, one at a time, the vertex whose move loses least edge
 *      weight, to the adjacent bucket with room that it is tied to most, or, where none has room,
 *      to the first that has.
 *   3. Where something was moved: passes over all vertices, each to the bucket with room that
 *      gains edge weight, until none gains.
 *
 * Every choice is by (loss, id), so the answer depends on the input alone.
 */
#include "partition/repair.h"

#include <stdlib.h>
#include <string.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/memory.h"
#include "partition/heap.h"

/* Passes of step 3. Fashion-MNIST's graph gains nothing after the fifth. */
#define MAX_PASSES 10

struct repair {
    const struct nlsh__csr *csr;
    size_t m, cap;
    uint32_t *bucket_of;
    size_t *sizes;     /* [m] */
    size_t first_room; /* no bucket below this one has room; only grows, in step 2 */
    /* Step 1: the vertices in bucket order, where each stands, and its share of a growth. */
    uint32_t *order, *place, *scratch; /* [n] */
    int64_t *cost;                     /* [n] what moving it to the grown half adds to the cut */
    /* Steps 2 and 3: weight from one vertex to each bucket; zero outside best_move(). */
    int64_t *tie; /* [m] */
    struct nlsh__heap heap;
};

/* ---- step 1: empty buckets ------------------------------------------------------------------- */

static void place_at(struct repair *r, size_t position, uint32_t vertex)
{
    r->order[position] = vertex;
    r->place[vertex] = (uint32_t)position;
}

/* Counting sort of the vertices by bucket; start[m + 1]. */
static void sort_by_bucket(struct repair *r, size_t *start)
{
    memset(start, 0, (r->m + 1) * sizeof *start);
    for (size_t b = 0; b < r->m; b++) start[b + 1] = start[b] + r->sizes[b];
    for (size_t i = 0; i < r->csr->n; i++) place_at(r, start[r->bucket_of[i]]++, (uint32_t)i);
    for (size_t b = r->m; b > 0; b--) start[b] = start[b - 1];
    start[0] = 0;
}

/* What each vertex of order[begin, end) adds to the cut if it is the first to leave it. */
static uint32_t start_costs(struct repair *r, size_t begin, size_t end)
{
    uint32_t rim = r->order[begin];
    for (size_t p = begin; p < end; p++) {
        uint32_t v = r->order[p];
        int64_t inside = 0;
        for (int32_t e = r->csr->offsets[v]; e < r->csr->offsets[v + 1]; e++) {
            size_t q = r->place[r->csr->neighbors[e]];
            if (q >= begin && q < end) inside += r->csr->weights[e];
        }
        r->cost[v] = inside;
        if (inside < r->cost[rim] || (inside == r->cost[rim] && v < rim)) rim = v;
    }
    return rim;
}

/* Takes v, at or behind position, into the grown half order[begin, position]. */
static enum nlsh_status take(struct repair *r, size_t position, size_t end, uint32_t v,
                             struct nlsh_error *error)
{
    uint32_t other = r->order[position];
    place_at(r, r->place[v], other);
    place_at(r, position, v);
    for (int32_t e = r->csr->offsets[v]; e < r->csr->offsets[v + 1]; e++) {
        uint32_t u = (uint32_t)r->csr->neighbors[e];
        if (r->place[u] <= position || r->place[u] >= end) continue;
        r->cost[u] -= 2 * (int64_t)r->csr->weights[e];
        enum nlsh_status status = nlsh__heap_push(&r->heap, r->cost[u], u, error);
        if (status != NLSH_OK) return status;
    }
    return NLSH_OK;
}

/* Reorders order[begin, end) so that its first `half` vertices hang together. */
static enum nlsh_status grow(struct repair *r, size_t begin, size_t end, size_t half,
                             struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    uint32_t next = start_costs(r, begin, end);
    nlsh__heap_clear(&r->heap);
    for (size_t position = begin; position < begin + half; position++) {
        NLSH_TRY(take(r, position, end, next, error));
        if (position + 1 == begin + half) break;
        /* Where the frontier is empty (a component is used up) whoever stands next is as good. */
        next = r->order[position + 1];
        int64_t cost;
        uint32_t v;
        while (nlsh__heap_pop(&r->heap, &cost, &v))
            if (r->place[v] > position && cost == r->cost[v]) {
                next = v;
                break;
            }
    }
out:
    return status;
}

/* order[begin, end) into n_ids >= 1 buckets of sizes that differ by one at most. */
static enum nlsh_status bisect(struct repair *r, size_t begin, size_t end, const uint32_t *ids,
                               size_t n_ids, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    if (n_ids == 1) {
        for (size_t p = begin; p < end; p++) r->bucket_of[r->order[p]] = ids[0];
        r->sizes[ids[0]] = end - begin;
        return NLSH_OK;
    }
    /* The first (size mod n_ids) buckets are the ones with a vertex more. */
    size_t size = end - begin, left = n_ids / 2, extra = size % n_ids;
    size_t half = size / n_ids * left + (extra < left ? extra : left);
    NLSH_TRY(grow(r, begin, end, half, error));
    NLSH_TRY(bisect(r, begin, begin + half, ids, left, error));
    NLSH_TRY(bisect(r, begin + half, end, ids + left, n_ids - left, error));
out:
    return status;
}

/* shares[b]: 1, and one more for each empty bucket that b is to fill. */
static enum nlsh_status hand_out(struct repair *r, size_t n_empty, uint32_t *shares,
                                 struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    int64_t key;
    uint32_t b;
    nlsh__heap_clear(&r->heap);
    for (size_t i = 0; i < r->m; i++) {
        shares[i] = r->sizes[i] > 0;
        if (r->sizes[i] > 0)
            NLSH_TRY(nlsh__heap_push(&r->heap, -((int64_t)r->sizes[i] << 24), (uint32_t)i, error));
    }
    for (; n_empty > 0 && nlsh__heap_pop(&r->heap, &key, &b); n_empty--) {
        shares[b]++;
        NLSH_TRY(nlsh__heap_push(&r->heap, -((int64_t)r->sizes[b] << 24) / shares[b], b, error));
    }
out:
    return status;
}

static enum nlsh_status fill_empty(struct repair *r, size_t n_empty, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *shares = NULL, *ids = NULL, empty = 0;
    size_t *start = NULL;
    NLSH_TRY(nlsh__alloc(&shares, r->m, sizeof *shares, error));
    NLSH_TRY(nlsh__alloc(&ids, r->m, sizeof *ids, error));
    NLSH_TRY(nlsh__alloc(&start, r->m + 1, sizeof *start, error));
    sort_by_bucket(r, start);
    NLSH_TRY(hand_out(r, n_empty, shares, error));
    for (size_t b = 0; b < r->m; b++) {
        if (shares[b] < 2) continue;
        ids[0] = (uint32_t)b;
        for (size_t s = 1; s < shares[b]; s++) {
            while (shares[empty] != 0) empty++;
            ids[s] = empty++;
        }
        NLSH_TRY(bisect(r, start[b], start[b + 1], ids, shares[b], error));
    }
out:
    nlsh__free(shares);
    nlsh__free(ids);
    nlsh__free(start);
    return status;
}

/* ---- step 2: buckets over the cap ------------------------------------------------------------ */

/* Where v would best go among adjacent buckets with room; m where none has. *loss: the edge weight
 * that the move cuts, less what it heals. */
static size_t best_move(struct repair *r, uint32_t v, int64_t *loss)
{
    const struct nlsh__csr *csr = r->csr;
    size_t own = r->bucket_of[v], best = r->m;
    for (int32_t e = csr->offsets[v]; e < csr->offsets[v + 1]; e++)
        r->tie[r->bucket_of[csr->neighbors[e]]] += csr->weights[e];
    int64_t own_tie = r->tie[own], best_tie = 0;
    for (int32_t e = csr->offsets[v]; e < csr->offsets[v + 1]; e++) {
        size_t b = r->bucket_of[csr->neighbors[e]];
        int64_t tie = r->tie[b];
        r->tie[b] = 0; /* also so that each bucket is looked at once */
        if (b == own || r->sizes[b] >= r->cap || tie == 0) continue;
        if (tie > best_tie || (tie == best_tie && b < best)) best = b, best_tie = tie;
    }
    *loss = own_tie - best_tie;
    return best;
}

static void move(struct repair *r, uint32_t v, size_t to)
{
    r->sizes[r->bucket_of[v]]--;
    r->sizes[to]++;
    r->bucket_of[v] = (uint32_t)to;
}

static enum nlsh_status push_loss(struct repair *r, uint32_t v, struct nlsh_error *error)
{
    int64_t loss;
    best_move(r, v, &loss);
    return nlsh__heap_push(&r->heap, loss, v, error);
}

/* A move makes its neighbours' moves cheaper (pushed anew), a full target makes moves dearer (seen
 * when popped): what is popped at its true loss is the cheapest. */
static enum nlsh_status relieve(struct repair *r, size_t b, const uint32_t *members,
                                size_t n_members, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    const struct nlsh__csr *csr = r->csr;
    int64_t key, loss;
    uint32_t v;
    nlsh__heap_clear(&r->heap);
    for (size_t i = 0; i < n_members; i++) NLSH_TRY(push_loss(r, members[i], error));
    while (r->sizes[b] > r->cap && nlsh__heap_pop(&r->heap, &key, &v)) {
        if (r->bucket_of[v] != b) continue;
        size_t to = best_move(r, v, &loss);
        if (loss > key) {
            NLSH_TRY(nlsh__heap_push(&r->heap, loss, v, error));
            continue;
        }
        if (to == r->m) {
            while (r->sizes[r->first_room] >= r->cap) r->first_room++;
            to = r->first_room;
        }
        move(r, v, to);
        for (int32_t e = csr->offsets[v]; e < csr->offsets[v + 1]; e++)
            if (r->bucket_of[csr->neighbors[e]] == b)
                NLSH_TRY(push_loss(r, (uint32_t)csr->neighbors[e], error));
    }
out:
    return status;
}

static enum nlsh_status relieve_all(struct repair *r, struct nlsh_error *error)
{
    size_t *start = NULL;
    enum nlsh_status status;
    NLSH_TRY(nlsh__alloc(&start, r->m + 1, sizeof *start, error));
    sort_by_bucket(r, start);
    for (size_t b = 0; b < r->m; b++)
        if (r->sizes[b] > r->cap)
            NLSH_TRY(relieve(r, b, r->order + start[b], start[b + 1] - start[b], error));
out:
    nlsh__free(start);
    return status;
}

/* ---- step 3 ---------------------------------------------------------------------------------- */

static void refine(struct repair *r)
{
    for (int pass = 0, moved = 1; pass < MAX_PASSES && moved; pass++) {
        moved = 0;
        for (size_t v = 0; v < r->csr->n; v++) {
            int64_t loss;
            if (r->sizes[r->bucket_of[v]] < 2) continue;
            size_t to = best_move(r, (uint32_t)v, &loss);
            if (to == r->m || loss >= 0) continue;
            move(r, (uint32_t)v, to);
            moved = 1;
        }
    }
}

/* ---- all of it ------------------------------------------------------------------------------- */

static enum nlsh_status count_sizes(struct repair *r, size_t *n_empty, size_t *n_over,
                                    struct nlsh_error *error)
{
    memset(r->sizes, 0, r->m * sizeof *r->sizes);
    for (size_t i = 0; i < r->csr->n; i++) {
        if (r->bucket_of[i] >= r->m)
            return nlsh__fail(error, NLSH_E_INTERNAL, "use another partitioner, and report this",
                              "partitioner's answer: vector %zu in bucket %u, of %zu", i,
                              (unsigned)r->bucket_of[i], r->m);
        r->sizes[r->bucket_of[i]]++;
    }
    for (size_t b = 0; b < r->m; b++) {
        *n_empty += r->sizes[b] == 0;
        *n_over += r->sizes[b] > r->cap;
    }
    return NLSH_OK;
}

static enum nlsh_status repair(struct repair *r, size_t n_empty, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = r->csr->n;
    NLSH_TRY(nlsh__alloc(&r->order, n, sizeof *r->order, error));
    NLSH_TRY(nlsh__alloc(&r->place, n, sizeof *r->place, error));
    NLSH_TRY(nlsh__alloc(&r->cost, n, sizeof *r->cost, error));
    NLSH_TRY(nlsh__calloc(&r->tie, r->m, sizeof *r->tie, error));
    if (n_empty > 0) NLSH_TRY(fill_empty(r, n_empty, error));
    NLSH_TRY(relieve_all(r, error));
    refine(r);
out:
    return status;
}

enum nlsh_status nlsh__partition_repair(const struct nlsh__csr *csr, size_t m, size_t cap,
                                        uint32_t *bucket_of, size_t *n_moved,
                                        struct nlsh_error *error)
{
    enum nlsh_status status;
    struct repair r = {.csr = csr, .m = m, .cap = cap, .bucket_of = bucket_of};
    size_t n_empty = 0, n_over = 0, moved = 0;
    NLSH_TRY(nlsh__alloc(&r.sizes, m, sizeof *r.sizes, error));
    NLSH_TRY(nlsh__alloc(&r.scratch, csr->n, sizeof *r.scratch, error));
    NLSH_TRY(count_sizes(&r, &n_empty, &n_over, error));
    if (n_empty > 0 || n_over > 0) {
        memcpy(r.scratch, bucket_of, csr->n * sizeof *bucket_of);
        NLSH_TRY(repair(&r, n_empty, error));
        for (size_t i = 0; i < csr->n; i++) moved += r.scratch[i] != bucket_of[i];
    }
    if (n_moved != NULL) *n_moved = moved;
out:
    nlsh__free(r.sizes);
    nlsh__free(r.order);
    nlsh__free(r.place);
    nlsh__free(r.scratch);
    nlsh__free(r.cost);
    nlsh__free(r.tie);
    nlsh__heap_free(&r.heap);
    return status;
}
