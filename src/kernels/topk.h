/*
 * topk.h - the k smallest of a stream of (score, id), ascending by score, then id.
 *
 * nlsh__topk_insert() keeps an array sorted: right for small k, where nearly every candidate fails the one
 * comparison with the worst kept. nlsh__topk_push() does so too where k is small, and else keeps a heap; its
 * callers end with nlsh__topk_sort(). With either the worst is keys[k - 1].
 */
#ifndef NLSH_KERNELS_TOPK_H
#define NLSH_KERNELS_TOPK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A key orders as (score, id) does: scores must be >= 0 (u32, or f32 whose bits then order too). */
static inline uint64_t nlsh__key_u32(uint32_t score, uint32_t id)
{
    return (uint64_t)score << 32 | id;
}

static inline uint64_t nlsh__key_f32(float score, uint32_t id)
{
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    return (uint64_t)bits << 32 | id;
}

static inline float nlsh__key_score_f32(uint64_t key)
{
    uint32_t bits = (uint32_t)(key >> 32);
    float score;
    memcpy(&score, &bits, sizeof score);
    return score;
}

/* Floats of either sign as integers that order alike, and back. */
static inline uint32_t nlsh__ordered_f32(float score)
{
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static inline float nlsh__from_ordered_f32(uint32_t bits)
{
    float score;
    bits = bits & 0x80000000u ? bits & 0x7fffffffu : ~bits;
    memcpy(&score, &bits, sizeof score);
    return score;
}

/* Puts key into keys[0..k-1], which is ascending and starts as all UINT64_MAX. */
static inline void nlsh__topk_insert(uint64_t *keys, size_t k, uint64_t key)
{
    if (key >= keys[k - 1]) return;
    size_t i = k - 1;
    while (i > 0 && keys[i - 1] > key) {
        keys[i] = keys[i - 1];
        i--;
    }
    keys[i] = key;
}

/* Up to so many, insertion is quicker. */
#define NLSH__TOPK_SORTED ((size_t)64)

/* Heap of size n that ends at keys[end - 1], its greatest: node i stands at keys[end - 1 - i]. Puts key in place
 * of the greatest. */
static inline void nlsh__heap_replace(uint64_t *keys, size_t end, size_t n, uint64_t key)
{
    uint64_t *root = keys + end - 1;
    size_t i = 0;
    for (size_t child = 1; child < n; child = 2 * i + 1) {
        child += child + 1 < n && *(root - child - 1) > *(root - child);
        if (*(root - child) <= key) break;
        *(root - i) = *(root - child);
        i = child;
    }
    *(root - i) = key;
}

static inline void nlsh__topk_push(uint64_t *keys, size_t k, uint64_t key)
{
    if (k <= NLSH__TOPK_SORTED)
        nlsh__topk_insert(keys, k, key);
    else if (key < keys[k - 1])
        nlsh__heap_replace(keys, k, k, key);
}

/* Ascending; O(k log k). */
void nlsh__topk_sort(uint64_t *keys, size_t k);

static inline void nlsh__topk_clear(uint64_t *keys, size_t k)
{
    memset(keys, 0xff, k * sizeof *keys);
}

#endif
