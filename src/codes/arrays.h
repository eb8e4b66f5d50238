/* arrays.h - what the sections of codes and leaves have in common: where arrays stand, and whether numbers of
 * a header can be meant. */
#ifndef NLSH_CODES_ARRAYS_H
#define NLSH_CODES_ARRAYS_H

#include <stddef.h>

/* Takes count x size bytes, padded to 64, from *offset on; -1 where that overflows. */
int nlsh__place(size_t *offset, size_t count, size_t size, size_t *at);

/* The same for bias f32 [16 n_groups], errors u8 [16 n_groups] and values u8 [n_groups][n_components / 8][64]. */
int nlsh__place_groups(size_t *offset, size_t n_groups, size_t n_components, size_t *bias,
                       size_t *errors, size_t *values);

/* False for NaN. */
static inline int nlsh__inside(float x, float low, float high)
{
    return x >= low && x <= high;
}

#endif
