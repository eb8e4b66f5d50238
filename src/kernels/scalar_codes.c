/*
 * scalar_codes.c - scanning by codes in plain C: what the wider kernels must agree with.
 *
 * code_query() sums in 16 lanes and adds the lanes in one order, which the wider kernels keep.
 */
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/scalar.h"
#include "kernels/shared.h"

/* A float of some size less than 2^22, or whatever a damaged file makes of it, as a byte. */
static int8_t rounded(float x)
{
    uint32_t bits;
    x += NLSH__ROUND;
    memcpy(&bits, &x, sizeof bits);
    return (int8_t)(uint8_t)(bits - NLSH__ROUND_BITS);
}

static void code_query(const float *inputs, const float *centroid, const float *steps, size_t n,
                       int8_t *weights, struct nlsh__code_query *out)
{
    float lengths[16] = {0}, most = 0;
    *out = (struct nlsh__code_query){0};
    for (size_t i = 0; i < n; i++) {
        float d = inputs[i] - centroid[i], size = fabsf(d * steps[i]);
        lengths[i % 16] += d * d;
        most = size > most ? size : most; /* NaN: the old one stays */
    }
    for (size_t width = 8; width > 0; width /= 2)
        for (size_t j = 0; j < width; j++) lengths[j] += lengths[j + width];
    float factor = nlsh__weight_factor(most, &out->unit);
    for (size_t i = 0; i < n; i++) {
        weights[i] = rounded((inputs[i] - centroid[i]) * steps[i] * factor);
        out->sum += weights[i];
    }
    out->length = lengths[0];
}

static void scan_u4(const uint8_t *values, const float *bias, size_t n_groups, size_t n_chunks,
                    const int8_t *weights, float constant, float slope, float *scores)
{
    for (size_t row = 0; row < n_groups * NLSH__GROUP; row++) {
        const uint8_t *x = values + row / NLSH__GROUP * n_chunks * 64 + row % NLSH__GROUP * 4;
        int32_t dot = 0;
        for (size_t c = 0; c < n_chunks; c++)
            for (size_t i = 0; i < 4; i++) {
                dot += (x[64 * c + i] & 15) * weights[8 * c + i];
                dot += (x[64 * c + i] >> 4) * weights[8 * c + 4 + i];
            }
        scores[row] = (bias[row] + constant) - slope * (float)dot;
    }
}

static void scan_u4_at(const uint8_t *values, const float *bias, const uint32_t *groups,
                       size_t n_groups, size_t n_more, size_t n_chunks, const int8_t *weights,
                       float constant, float slope, float *scores)
{
    (void)n_more;
    for (size_t g = 0; g < n_groups; g++)
        scan_u4(values + groups[g] * n_chunks * 64, bias + groups[g] * (size_t)NLSH__GROUP, 1,
                n_chunks, weights, constant, slope, scores + g * NLSH__GROUP);
}

static float bound_f32(const float *scores, size_t n, size_t k)
{
    float least[64], bound = INFINITY;
    for (size_t i = 0; i < 64; i++) least[i] = INFINITY;
    for (size_t i = 0; i < n; i++)
        if (scores[i] < least[i % 64]) least[i % 64] = scores[i];
    for (; k > 0; k--) {
        size_t best = 0;
        for (size_t i = 1; i < 64; i++)
            if (least[i] < least[best]) best = i;
        bound = least[best];
        least[best] = INFINITY;
    }
    return bound;
}

static size_t near_f32(const float *scores, const uint8_t *errors, size_t n, float unit,
                       float above, float limit, uint32_t first, uint32_t *rows, float *least)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        least[found] = scores[i] - unit * (float)errors[i];
        rows[found] = first + (uint32_t)i;
        found += scores[i] > above && least[found] <= limit;
    }
    return found;
}

void nlsh__scalar_codes(struct nlsh__kernels *table)
{
    table->code_query = code_query;
    table->scan_u4 = scan_u4;
    table->scan_u4_at = scan_u4_at;
    table->bound_f32 = bound_f32;
    table->near_f32 = near_f32;
}
