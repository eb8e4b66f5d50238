/* buckets.c - see buckets.h. */
#include "base/buckets.h"

#include <string.h>

void nlsh__count_sort(const uint32_t *bucket_of, size_t n, size_t m, uint32_t *offsets,
                      uint32_t *numbers)
{
    memset(offsets, 0, (m + 1) * sizeof *offsets);
    for (size_t i = 0; i < n; i++) offsets[bucket_of[i] + 1]++;
    for (size_t b = 0; b < m; b++) offsets[b + 1] += offsets[b];
    if (numbers == NULL) return;
    for (size_t i = 0; i < n; i++) numbers[offsets[bucket_of[i]]++] = (uint32_t)i;
    for (size_t b = m; b > 0; b--) offsets[b] = offsets[b - 1];
    offsets[0] = 0;
}
