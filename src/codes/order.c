/* order.c - see order.h. */
#include "codes/order.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/select.h"
#include "kernels/topk.h"

enum {
    LEAF = NLSH__GROUP,
    ROUNDS = 4,  /* of two means */
    NEAR = 12,   /* leaves that a leaf exchanges rows with: docs/algorithm.md, "Leaves" */
    PASSES = 8,  /* over a bucket's leaves, the later ones over few */
    AROUND = 128 /* leaves before and behind one, where near ones are looked for */
};

size_t nlsh__largest_bucket(const uint32_t *bucket_offsets, size_t m)
{
    size_t most = 0;
    for (size_t b = 0; b < m; b++)
        if (bucket_offsets[b + 1] - bucket_offsets[b] > most)
            most = bucket_offsets[b + 1] - bucket_offsets[b];
    return most;
}

static size_t n_leaves(size_t n_rows)
{
    return (n_rows + LEAF - 1) / LEAF;
}

enum nlsh_status nlsh__leaf_order_create(const float *inputs, size_t p, size_t most,
                                         struct nlsh__leaf_order *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    *out = (struct nlsh__leaf_order){.inputs = inputs, .p = p};
    NLSH_TRY(nlsh__alloc(&out->keys, most, sizeof *out->keys, error));
    NLSH_TRY(nlsh__alloc(&out->ids, most, sizeof *out->ids, error));
    NLSH_TRY(nlsh__alloc(&out->low, p, sizeof *out->low, error));
    NLSH_TRY(nlsh__alloc(&out->high, p, sizeof *out->high, error));
    NLSH_TRY(nlsh__alloc(&out->direction, p, sizeof *out->direction, error));
    NLSH_TRY(nlsh__alloc(&out->means, n_leaves(most), p * sizeof *out->means, error));
    NLSH_TRY(nlsh__alloc(&out->changed, n_leaves(most), sizeof *out->changed, error));
out:
    return status;
}

void nlsh__leaf_order_free(struct nlsh__leaf_order *order)
{
    nlsh__free(order->keys);
    nlsh__free(order->ids);
    nlsh__free(order->low);
    nlsh__free(order->high);
    nlsh__free(order->direction);
    nlsh__free(order->means);
    nlsh__free(order->changed);
    *order = (struct nlsh__leaf_order){.p = 0};
}

static const float *row_of(const struct nlsh__leaf_order *o, uint32_t id)
{
    return o->inputs + (size_t)id * o->p;
}

/* The row farthest from x, the first of equals. */
static uint32_t farthest(const struct nlsh__leaf_order *o, const uint32_t *ids, size_t n,
                         const float *x)
{
    float most = -1;
    uint32_t found = ids[0];
    for (size_t i = 0; i < n; i++) {
        float l2sq = nlsh__kernels()->l2sq_f32(x, row_of(o, ids[i]), o->p);
        if (!(l2sq > most)) continue;
        most = l2sq;
        found = ids[i];
    }
    return found;
}

static void mean_of(const struct nlsh__leaf_order *o, const uint32_t *ids, const uint64_t *keys,
                    size_t n, float *out)
{
    memset(out, 0, o->p * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        const float *x = row_of(o, ids[keys != NULL ? (uint32_t)keys[i] : i]);
        for (size_t d = 0; d < o->p; d++) out[d] += x[d];
    }
    for (size_t d = 0; d < o->p; d++) out[d] /= (float)n;
}

/* The keys of ids[n] by their products with the direction from low to high; a key's lower half is a row's place in ids. The
 * half smallest are at the front. */
static void divide(const struct nlsh__leaf_order *o, const uint32_t *ids, size_t n, size_t half,
                   const float *low, const float *high, uint64_t *keys)
{
    for (size_t d = 0; d < o->p; d++) o->direction[d] = high[d] - low[d];
    for (size_t i = 0; i < n; i++) {
        float along = nlsh__kernels()->dot_f32(o->direction, row_of(o, ids[i]), o->p);
        keys[i] = nlsh__key_u32(nlsh__ordered_f32(along), (uint32_t)i);
    }
    nlsh__select_smallest(keys, n, half);
}

/* ids[n] in the order of their keys, of which `from` is a copy. */
static void take_order(uint32_t *ids, const uint32_t *from, const uint64_t *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) ids[i] = from[(uint32_t)keys[i]];
}

/* ---- halves of halves ------------------------------------------------------------------------ */

static void halve(const struct nlsh__leaf_order *o, uint32_t *ids, size_t n)
{
    while (n > LEAF) {
        size_t half = n_leaves(n) / 2 * LEAF;
        mean_of(o, ids, NULL, n, o->direction);
        uint32_t first = farthest(o, ids, n, o->direction);
        memcpy(o->low, row_of(o, first), o->p * sizeof *o->low);
        memcpy(o->high, row_of(o, farthest(o, ids, n, o->low)), o->p * sizeof *o->high);
        for (size_t round = 0;; round++) {
            divide(o, ids, n, half, o->low, o->high, o->keys);
            if (round == ROUNDS) break;
            mean_of(o, ids, o->keys, half, o->low);
            mean_of(o, ids, o->keys + half, n - half, o->high);
        }
        memcpy(o->ids, ids, n * sizeof *ids);
        take_order(ids, o->ids, o->keys, n);
        halve(o, ids, half);
        ids += half;
        n -= half;
    }
}

/* ---- leaves exchange rows ---------------------------------------------------------------------- */

/* A bucket's leaves. */
struct leaves {
    const struct nlsh__leaf_order *o;
    uint32_t *ids;
    size_t n_rows, n;
};

static size_t rows_in(const struct leaves *l, size_t leaf)
{
    size_t left = l->n_rows - leaf * LEAF;
    return left < LEAF ? left : LEAF;
}

static float *mean(const struct leaves *l, size_t leaf)
{
    return l->o->means + leaf * l->o->p;
}

static void set_mean(const struct leaves *l, size_t leaf)
{
    mean_of(l->o, l->ids + leaf * LEAF, NULL, rows_in(l, leaf), mean(l, leaf));
}

/* The rows of two leaves divided anew, as many to each as before; returns whether any changed places. No sum of
 * squares about means can grow by it. */
static int exchange(const struct leaves *l, size_t a, size_t b)
{
    const struct nlsh__leaf_order *o = l->o;
    uint32_t ids[2 * LEAF], *of_a = l->ids + a * LEAF, *of_b = l->ids + b * LEAF;
    uint64_t keys[2 * LEAF];
    size_t n_a = rows_in(l, a), n_b = rows_in(l, b);
    int same = 1;
    memcpy(ids, of_a, n_a * sizeof *ids);
    memcpy(ids + n_a, of_b, n_b * sizeof *ids);
    divide(o, ids, n_a + n_b, n_a, mean(l, a), mean(l, b), keys);
    for (size_t i = 0; i < n_a; i++) same &= (uint32_t)keys[i] < n_a;
    if (same) return 0;
    take_order(of_a, ids, keys, n_a);
    take_order(of_b, ids, keys + n_a, n_b);
    set_mean(l, a);
    set_mean(l, b);
    return 1;
}

/* The nearest leaves of those around one, in any order: the lower halves of keys; returns how many. */
static size_t nearest(const struct leaves *l, size_t leaf, uint64_t *keys)
{
    size_t n = 0, end = l->n - leaf > AROUND ? leaf + AROUND : l->n;
    for (size_t other = leaf > AROUND ? leaf - AROUND : 0; other < end; other++) {
        if (other == leaf) continue;
        float l2sq = nlsh__kernels()->l2sq_f32(mean(l, leaf), mean(l, other), l->o->p);
        keys[n++] = nlsh__key_u32(nlsh__ordered_f32(l2sq), (uint32_t)other);
    }
    if (n <= NEAR) return n;
    nlsh__select_smallest(keys, n, NEAR);
    return NEAR;
}

/* A leaf exchanges with those near it, but for those where nothing changed since the pass before. */
static size_t exchange_near(const struct leaves *l, size_t leaf, uint32_t pass)
{
    uint32_t *changed = l->o->changed;
    size_t n_changes = 0, n = nearest(l, leaf, l->o->keys);
    for (size_t i = 0; i < n; i++) {
        size_t other = (uint32_t)l->o->keys[i];
        if (changed[leaf] + 1 < pass && changed[other] + 1 < pass) continue;
        if (!exchange(l, leaf, other)) continue;
        changed[leaf] = changed[other] = pass;
        n_changes++;
    }
    return n_changes;
}

static void sort_leaf(uint32_t *ids, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint32_t id = ids[i];
        size_t j = i;
        for (; j > 0 && ids[j - 1] > id; j--) ids[j] = ids[j - 1];
        ids[j] = id;
    }
}

void nlsh__order_rows(const struct nlsh__leaf_order *o, uint32_t *ids, size_t n)
{
    const struct leaves l = {.o = o, .ids = ids, .n_rows = n, .n = n_leaves(n)};
    halve(o, ids, n);
    for (size_t i = 0; i < l.n; i++) set_mean(&l, i);
    for (size_t i = 0; i < l.n; i++) o->changed[i] = 0;
    for (uint32_t pass = 1; pass <= PASSES; pass++) {
        size_t n_changes = 0;
        for (size_t i = 0; i < l.n; i++) n_changes += exchange_near(&l, i, pass);
        if (n_changes == 0) break;
    }
    for (size_t i = 0; i < l.n; i++) sort_leaf(ids + i * LEAF, rows_in(&l, i));
}
