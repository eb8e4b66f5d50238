/* scalar_network.c - the layers of the router in plain C: what the wider kernels must agree with. */
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/scalar.h"
#include "kernels/shared.h"

static void matvec_f32(const float *values, const float *bias, size_t n_groups, size_t dim,
                       const float *x, float *out)
{
    for (size_t g = 0; g < n_groups; g++) {
        float sum[NLSH__GROUP];
        for (size_t r = 0; r < NLSH__GROUP; r++) sum[r] = bias[g * NLSH__GROUP + r];
        for (size_t d = 0; d < dim; d++)
            for (size_t r = 0; r < NLSH__GROUP; r++)
                sum[r] += values[(g * dim + d) * NLSH__GROUP + r] * x[d];
        for (size_t r = 0; r < NLSH__GROUP; r++) out[g * NLSH__GROUP + r] = sum[r];
    }
}

static void matvec_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, float x_scale, int zero,
                      int relu, float *out)
{
    for (size_t row = 0; row < layer->n_groups * NLSH__GROUP; row++) {
        const int8_t *w =
            layer->values + row / NLSH__GROUP * layer->n_chunks * 64 + row % NLSH__GROUP * 4;
        uint32_t dot = 0; /* a damaged file's sums may wrap, as the wider kernels do */
        for (size_t i = 0; i < layer->n_chunks * 4; i++)
            dot += (uint32_t)((int32_t)w[i / 4 * 64 + i % 4] * (int32_t)x[i]);
        dot -= (uint32_t)zero * (uint32_t)layer->sums[row];
        float v = (float)(int32_t)dot * (layer->scale[row] * x_scale) + layer->bias[row];
        out[row] = relu && v < 0 ? 0 : v;
    }
}

static void matmat_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, size_t stride, size_t n,
                      const float *x_scale, int zero, int relu, float *out, size_t out_stride)
{
    for (size_t i = 0; i < n; i++)
        matvec_i8(layer, x + i * stride, x_scale[i], zero, relu, out + i * out_stride);
}

/* e^x by shared.h's formula; of NaN it makes NaN. */
static float exp_of(float x)
{
    float n = x * NLSH__LOG2_E + NLSH__ROUND, power, p = nlsh__exp_p[0];
    uint32_t bits;
    memcpy(&bits, &n, sizeof bits);
    bits = (bits - NLSH__ROUND_BITS + 127) << 23; /* those of 2^n */
    memcpy(&power, &bits, sizeof power);
    n -= NLSH__ROUND;
    float r = x - n * NLSH__LN2_HIGH - n * NLSH__LN2_LOW;
    for (size_t i = 1; i < 6; i++) p = p * r + nlsh__exp_p[i];
    return (p * r * r + r + 1.0f) * power;
}

/* A NaN is in no maximum, but in the sum, and so in every answer. */
static float softmax_f32(float *x, size_t n)
{
    float most = -INFINITY, sums[16] = {0};
    for (size_t i = 0; i < n; i++) most = x[i] > most ? x[i] : most;
    for (size_t i = 0; i < n; i++) {
        float below = x[i] - most;
        x[i] = below < NLSH__EXP_LEAST ? 0 : exp_of(below);
        sums[i % 16] += x[i];
    }
    for (size_t width = 8; width > 0; width /= 2)
        for (size_t j = 0; j < width; j++) sums[j] += sums[j + width];
    float scale = 1.0f / sums[0];
    for (size_t i = 0; i < n; i++) x[i] *= scale;
    return most + logf(sums[0]);
}

/* A value that is not finite (a damaged file) becomes some byte. */
static float quantise_u8(const float *x, size_t n, int zero, uint8_t *out)
{
    float most = 0;
    for (size_t i = 0; i < n; i++) {
        float v = fabsf(x[i]);
        most = v > most ? v : most;
    }
    float scale, factor = nlsh__quantise_factor(most, zero, &scale);
    for (size_t i = 0; i < (n + 3) / 4 * 4; i++) {
        float v = (i < n ? x[i] : 0) * factor + (float)zero + 0.5f;
        v = v > 0 ? v : 0; /* NaN too */
        v = v < 255.0f ? v : 255.0f;
        out[i] = (uint8_t)(int32_t)v;
    }
    return scale;
}

void nlsh__scalar_network(struct nlsh__kernels *table)
{
    table->matvec_f32 = matvec_f32;
    table->matvec_i8 = matvec_i8;
    table->matmat_i8 = matmat_i8;
    table->softmax_f32 = softmax_f32;
    table->quantise_u8 = quantise_u8;
}
