/*
 * scan.h - scan_u4() and scan_u4_at() by two groups at a time, for the instruction sets whose registers
 * hold as many: a file that includes this defines scan_groups(), and TARGET and INLINE before.
 */
#ifndef NLSH_KERNELS_SCAN_H
#define NLSH_KERNELS_SCAN_H

#include "kernels/panel.h"
#include "kernels/prefetch.h"

/* The scores of ng groups, 1 or 2, whose codes are at values[g] and whose biases at bias[g]. The codes at
 * ahead[g] are fetched into the cache, where ahead is not NULL. ng is known when this is inlined. */
INLINE void scan_groups(const uint8_t *const *values, const float *const *bias,
                        const uint8_t *const *ahead, size_t n_chunks, const int8_t *weights,
                        float constant, float slope, float *scores, const int ng);

TARGET static void scan_u4(const uint8_t *values, const float *bias, size_t n_groups,
                           size_t n_chunks, const int8_t *weights, float constant, float slope,
                           float *scores)
{
    for (size_t g = 0; g < n_groups; g += 2) {
        const uint8_t *v[] = {values + g * n_chunks * 64, values + (g + 1) * n_chunks * 64};
        const float *b[] = {bias + g * NLSH__GROUP, bias + (g + 1) * NLSH__GROUP};
        float *out = scores + g * NLSH__GROUP;
        if (g + 1 < n_groups)
            scan_groups(v, b, NULL, n_chunks, weights, constant, slope, out, 2);
        else
            scan_groups(v, b, NULL, n_chunks, weights, constant, slope, out, 1);
    }
}

TARGET static void scan_u4_at(const uint8_t *values, const float *bias, const uint32_t *groups,
                              size_t n_groups, size_t n_more, size_t n_chunks,
                              const int8_t *weights, float constant, float slope, float *scores)
{
    size_t n = n_groups + n_more;
    for (size_t g = 0; g < n_groups; g += 2) {
        const uint8_t *v[2], *ahead[2];
        const float *b[2];
        for (size_t i = 0; i < 2; i++) {
            size_t at = groups[g + i < n_groups ? g + i : g];
            size_t next = g + i + NLSH__GROUPS_AHEAD < n ? groups[g + i + NLSH__GROUPS_AHEAD] : at;
            v[i] = values + at * n_chunks * 64;
            b[i] = bias + at * NLSH__GROUP;
            ahead[i] = values + next * n_chunks * 64;
            nlsh__prefetch(bias + next * NLSH__GROUP);
        }
        float *out = scores + g * NLSH__GROUP;
        if (g + 1 < n_groups)
            scan_groups(v, b, ahead, n_chunks, weights, constant, slope, out, 2);
        else
            scan_groups(v, b, ahead, n_chunks, weights, constant, slope, out, 1);
    }
}

#endif
