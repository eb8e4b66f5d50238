/*
 * arrays.h - what the sections of codes and leaves have in common: groups of 16, and where arrays stand.
 */
#ifndef NLSH_CODES_ARRAYS_H
#define NLSH_CODES_ARRAYS_H

#include <stddef.h>
#include <stdint.h>

/* Of codes or of leaves: bias f32 [16 n_groups], errors u8 [16 n_groups], values
 * u8 [n_groups][n_components / 8][16][4]. */
struct nlsh__grouped {
    size_t n_groups, n_chunks; /* n_chunks: n_components / 8 */
    const float *bias;         /* +infinity where nothing is */
    const uint8_t *errors, *values;
};

/* Takes count x size bytes, padded to 64, from *offset on; -1 where that overflows. */
int nlsh__place(size_t *offset, size_t count, size_t size, size_t *at);

/* The same for the arrays of groups. */
int nlsh__place_groups(size_t *offset, size_t n_groups, size_t n_components, size_t *bias,
                       size_t *errors, size_t *values);

/* Groups of 16 for each bucket, which begins a group of its own: out [m + 1], or NULL, from sizes that are differences
 * of offsets [m + 1]; returns how many. */
size_t nlsh__group_offsets(const uint32_t *offsets, size_t m, uint32_t *out);

/* False for NaN. */
static inline int nlsh__inside(float x, float low, float high)
{
    return x >= low && x <= high;
}

#endif
