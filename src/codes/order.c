/* order.c - see order.h. */
#include "codes/order.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/select.h"
#include "kernels/topk.h"

enum { LEAF = NLSH__GROUP, ROUNDS = 4 /* of two means */ };

size_t nlsh__largest_bucket(const uint32_t *bucket_offsets, size_t m)
{
    size_t most = 0;
    for (size_t b = 0; b < m; b++)
        if (bucket_offsets[b + 1] - bucket_offsets[b] > most)
            most = bucket_offsets[b + 1] - bucket_offsets[b];
    return most;
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

/* The half of ids[n] with the smaller products with the direction from low to high to the front: their
 * places are then in keys[half]. */
static void divide(const struct nlsh__leaf_order *o, const uint32_t *ids, size_t n, size_t half)
{
    for (size_t d = 0; d < o->p; d++) o->direction[d] = o->high[d] - o->low[d];
    for (size_t i = 0; i < n; i++) {
        float along = nlsh__kernels()->dot_f32(o->direction, row_of(o, ids[i]), o->p);
        o->keys[i] = nlsh__key_u32(nlsh__ordered_f32(along), (uint32_t)i);
    }
    nlsh__select_smallest(o->keys, n, half);
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
    while (n > LEAF) {
        size_t half = (n + LEAF - 1) / LEAF / 2 * LEAF;
        mean_of(o, ids, NULL, n, o->direction);
        uint32_t first = farthest(o, ids, n, o->direction);
        memcpy(o->low, row_of(o, first), o->p * sizeof *o->low);
        memcpy(o->high, row_of(o, farthest(o, ids, n, o->low)), o->p * sizeof *o->high);
        for (size_t round = 0;; round++) {
            divide(o, ids, n, half);
            if (round == ROUNDS) break;
            mean_of(o, ids, o->keys, half, o->low);
            mean_of(o, ids, o->keys + half, n - half, o->high);
        }
        for (size_t i = 0; i < n; i++) o->ids[i] = ids[(uint32_t)o->keys[i]];
        memcpy(ids, o->ids, n * sizeof *ids);
        nlsh__order_rows(o, ids, half);
        ids += half;
        n -= half;
    }
    sort_leaf(ids, n);
}
