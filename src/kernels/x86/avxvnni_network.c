/* avxvnni_network.c - layers of bytes on vpdpbusd of 256 bits, which adds exactly into int32. */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/x86/avxvnni.h"
#include "kernels/x86/x86.h"

/* nv inputs and ng groups: nv x 2 ng sums, the 2 ng halves and a broadcast must fit in 16 registers.
 * With one input, 4 groups give the 8 chains that keep both ports busy. */
INLINE void layer_tile(const struct nlsh__layer_i8 *layer, size_t group, const uint8_t *x,
                       size_t stride, const float *x_scale, int zero, int relu, float *out,
                       size_t out_stride, const int nv, const int ng)
{
    const int8_t *w = layer->values + group * layer->n_chunks * 64;
    size_t n_chunks = layer->n_chunks;
    __m256i sums[6][8];
    UNROLL
    for (int v = 0; v < nv; v++) {
        UNROLL
        for (int i = 0; i < 2 * ng; i++) sums[v][i] = _mm256_setzero_si256();
    }
    for (size_t c = 0; c < n_chunks; c++) {
        __m256i row[8];
        UNROLL
        for (int i = 0; i < 2 * ng; i++)
            row[i] = load_bytes(w + ((size_t)(i / 2) * n_chunks + c) * 64 + i % 2 * 32);
        UNROLL
        for (int v = 0; v < nv; v++) {
            __m256i four = repeat4(x + (size_t)v * stride + 4 * c);
            UNROLL
            for (int i = 0; i < 2 * ng; i++) sums[v][i] = dot4(sums[v][i], four, row[i]);
        }
    }
    UNROLL
    for (int v = 0; v < nv; v++) {
        UNROLL
        for (int i = 0; i < 2 * ng; i++) {
            size_t row = group * NLSH__GROUP + 8 * (size_t)i;
            layer_answer(layer, row, sums[v][i], x_scale[v], zero, relu,
                         out + (size_t)v * out_stride + row);
        }
    }
}

TARGET static void matvec_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, float x_scale,
                             int zero, int relu, float *out)
{
    size_t g = 0;
    for (; g + 4 <= layer->n_groups; g += 4)
        layer_tile(layer, g, x, 0, &x_scale, zero, relu, out, 0, 1, 4);
    for (; g < layer->n_groups; g++) layer_tile(layer, g, x, 0, &x_scale, zero, relu, out, 0, 1, 1);
}

TARGET static void matmat_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, size_t stride,
                             size_t n, const float *x_scale, int zero, int relu, float *out,
                             size_t out_stride)
{
    size_t whole = n / 6 * 6;
    for (size_t g = 0; g < layer->n_groups; g++)
        for (size_t i = 0; i < whole; i += 6)
            layer_tile(layer, g, x + i * stride, stride, x_scale + i, zero, relu,
                       out + i * out_stride, out_stride, 6, 1);
    for (size_t i = whole; i < n; i++)
        matvec_i8(layer, x + i * stride, x_scale[i], zero, relu, out + i * out_stride);
}

void nlsh__avxvnni_network(struct nlsh__kernels *table)
{
    table->matvec_i8 = matvec_i8;
    table->matmat_i8 = matmat_i8;
}
#endif
