/*
 * neon_choice.c - which scores matter, with NEON: a bound, and the list of those that may be near.
 *
 * Lists are written with a table that says, for each mask of 4 lanes, which lanes come first: NEON has
 * no instruction that compresses.
 */
#if defined(__aarch64__)
#include <math.h>

#include "kernels/arm/arm.h"
#include "kernels/arm/neon.h"

/* ---- a bound --------------------------------------------------------------------------------- */

/* The smaller of each lane to a, the larger to b. */
INLINE void order(float32x4_t *a, float32x4_t *b)
{
    float32x4_t smaller = vminq_f32(*a, *b);
    *b = vmaxq_f32(*a, *b);
    *a = smaller;
}

/* Each lane of v[0] .. v[7] in ascending order: a network of 19 comparators (Knuth, "The Art of
 * Computer Programming" 3, 5.3.4). */
INLINE void sort_lanes(float32x4_t *v)
{
    static const uint8_t pairs[19][2] = {{0, 2}, {1, 3}, {4, 6}, {5, 7}, {0, 4}, {1, 5}, {2, 6},
                                         {3, 7}, {0, 1}, {2, 3}, {4, 5}, {6, 7}, {2, 4}, {3, 5},
                                         {1, 4}, {3, 6}, {1, 2}, {3, 4}, {5, 6}};
    UNROLL
    for (size_t i = 0; i < 19; i++) order(v + pairs[i][0], v + pairs[i][1]);
}

/* Takes what equals least out of the front of a sorted half; what is behind moves up. Returns how many
 * went. */
INLINE size_t take(float32x4_t *v, float32x4_t least)
{
    uint32x4_t equal = vceqq_f32(v[0], least);
    UNROLL
    for (size_t i = 0; i < 7; i++) v[i] = vbslq_f32(equal, v[i + 1], v[i]);
    v[7] = vbslq_f32(equal, vdupq_n_f32(INFINITY), v[7]);
    return vaddvq_u32(vshrq_n_u32(equal, 31));
}

/* The columns' least are sorted by halves, 8 of each lane, so that the least of all stand in front. They
 * are taken out, equals together, until k are gone. */
TARGET static float bound_f32(const float *scores, size_t n, size_t k)
{
    float32x4_t v[16];
    float least = 0; /* k >= 1 */
    UNROLL
    for (size_t j = 0; j < 16; j++) v[j] = vdupq_n_f32(INFINITY);
    for (size_t i = 0; i < n; i += 64) {
        UNROLL
        for (size_t j = 0; j < 16; j++) /* of a NaN and a number minnm gives the number */
            if (i + 4 * j < n) v[j] = vminnmq_f32(vld1q_f32(scores + i + 4 * j), v[j]);
    }
    sort_lanes(v);
    sort_lanes(v + 8);
    for (size_t taken = 0; taken < k;) {
        least = vminvq_f32(vminq_f32(v[0], v[8]));
        taken += take(v, vdupq_n_f32(least));
        taken += take(v + 8, vdupq_n_f32(least));
    }
    return least;
}

/* ---- near rows ------------------------------------------------------------------------------- */

/* For each mask of 4 lanes the bytes of its lanes in order, from the lowest on. */
static uint8_t lanes_of[16][16];

static void fill_lanes(void)
{
    for (unsigned mask = 0; mask < 16; mask++) {
        unsigned n = 0;
        for (unsigned lane = 0; lane < 4; lane++)
            for (unsigned byte = 0; byte < 4 && (mask >> lane & 1); byte++)
                lanes_of[mask][n++] = (uint8_t)(4 * lane + byte);
    }
}

struct near {
    float32x4_t above, limit;
    float unit;
};

/* Appends the near lanes of 4 rows: first + lane into rows, low into least; each has room for 4.
 * Returns how many. */
INLINE size_t append4(uint32x4_t near, uint32_t first, float32x4_t low, uint32_t *rows,
                      float *least)
{
    const uint32x4_t lanes = {0, 1, 2, 3}, bits = {1, 2, 4, 8};
    uint32_t mask = vaddvq_u32(vandq_u32(near, bits));
    if (mask == 0) return 0;
    uint8x16_t order = vld1q_u8(lanes_of[mask]);
    uint32x4_t numbers = vaddq_u32(lanes, vdupq_n_u32(first));
    vst1q_u8((uint8_t *)rows, vqtbl1q_u8(vreinterpretq_u8_u32(numbers), order));
    vst1q_u8((uint8_t *)least, vqtbl1q_u8(vreinterpretq_u8_f32(low), order));
    return (size_t)__builtin_popcount(mask);
}

/* Which of 4 rows are near, and how low each may lie. */
INLINE uint32x4_t near4(const float *scores, uint16x4_t errors, const struct near *n,
                        float32x4_t *low)
{
    float32x4_t score = vld1q_f32(scores);
    float32x4_t error = vcvtq_f32_u32(vmovl_u16(errors));
    *low = vsubq_f32(score, vmulq_n_f32(error, n->unit));
    return vandq_u32(vcgtq_f32(score, n->above), vcleq_f32(*low, n->limit));
}

/* The table that this one is made of: fewer than 4 rows go to its kernel. */
static struct nlsh__kernels narrower;

TARGET static size_t near_f32(const float *scores, const uint8_t *errors, size_t n, float unit,
                              float above, float limit, uint32_t first, uint32_t *rows,
                              float *least)
{
    const struct near wanted = {vdupq_n_f32(above), vdupq_n_f32(limit), unit};
    size_t found = 0, i = 0;
    for (; i + 16 <= n; i += 16) { /* most of a large bucket is far away */
        uint8x16_t e = vld1q_u8(errors + i);
        uint16x8_t words[2] = {vmovl_u8(vget_low_u8(e)), vmovl_high_u8(e)};
        float32x4_t low[4];
        uint32x4_t near[4];
        UNROLL
        for (size_t j = 0; j < 4; j++)
            near[j] = near4(scores + i + 4 * j,
                            j % 2 ? vget_high_u16(words[j / 2]) : vget_low_u16(words[j / 2]),
                            &wanted, low + j);
        uint32x4_t any = vorrq_u32(vorrq_u32(near[0], near[1]), vorrq_u32(near[2], near[3]));
        if (vmaxvq_u32(any) == 0) continue;
        UNROLL
        for (size_t j = 0; j < 4; j++)
            found += append4(near[j], first + (uint32_t)(i + 4 * j), low[j], rows + found,
                             least + found);
    }
    if (n < 4) return narrower.near_f32(scores, errors, n, unit, above, limit, first, rows, least);
    for (; i < n; i += 4) { /* the last 4 rows, less those that were seen */
        size_t at = i + 4 <= n ? i : n - 4;
        const uint32x4_t lanes = {0, 1, 2, 3};
        uint16x8_t e = vmovl_u8(vget_low_u8(repeat4(errors + at)));
        float32x4_t low;
        uint32x4_t near = near4(scores + at, vget_low_u16(e), &wanted, &low);
        near = vandq_u32(near, vcgeq_u32(lanes, vdupq_n_u32((uint32_t)(i - at))));
        found += append4(near, first + (uint32_t)at, low, rows + found, least + found);
    }
    return found;
}

void nlsh__neon_choice(struct nlsh__kernels *table)
{
    fill_lanes();
    narrower = *table;
    table->bound_f32 = bound_f32;
    table->near_f32 = near_f32;
}
#endif
