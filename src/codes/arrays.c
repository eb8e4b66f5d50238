/* arrays.c - see arrays.h. */
#include "codes/arrays.h"

#include <stdint.h>

#include "base/memory.h"
#include "kernels/panel.h"

int nlsh__place(size_t *offset, size_t count, size_t size, size_t *at)
{
    size_t bytes;
    *at = *offset;
    if (nlsh__mul(count, size, &bytes) != 0 || bytes > SIZE_MAX / 2 - *offset) return -1;
    *offset += (bytes + 63) / 64 * 64;
    return 0;
}

int nlsh__place_groups(size_t *offset, size_t n_groups, size_t n_components, size_t *bias,
                       size_t *errors, size_t *values)
{
    size_t rows;
    if (nlsh__place(offset, n_groups, NLSH__GROUP * sizeof(float), bias) != 0 ||
        nlsh__place(offset, n_groups, NLSH__GROUP, errors) != 0 ||
        nlsh__mul(n_groups, n_components / 8, &rows) != 0)
        return -1;
    return nlsh__place(offset, rows, 64, values);
}

size_t nlsh__group_offsets(const uint32_t *offsets, size_t m, uint32_t *out)
{
    size_t n = 0;
    for (size_t b = 0; b < m; b++) {
        if (out != NULL) out[b] = (uint32_t)n;
        n += (offsets[b + 1] - offsets[b] + NLSH__GROUP - 1) / NLSH__GROUP;
    }
    if (out != NULL) out[m] = (uint32_t)n;
    return n;
}
