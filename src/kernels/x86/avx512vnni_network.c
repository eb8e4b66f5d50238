/* avx512vnni_network.c - layers of bytes on vpdpbusd, which adds exactly into int32. */
#if defined(__x86_64__)
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/x86/avx512vnni.h"
#include "kernels/x86/x86.h"

/* ng groups of 16 rows, each in two chains: 8 or more keep both ports busy. */
INLINE void matvec_groups(const struct nlsh__layer_i8 *layer, size_t group, const uint8_t *x,
                          float x_scale, int zero, int relu, float *out, const int ng)
{
    const int8_t *w = layer->values + group * layer->n_chunks * 64;
    size_t n_chunks = layer->n_chunks, c = 0;
    __m512i a[8], b[8];
    UNROLL
    for (int g = 0; g < ng; g++) a[g] = b[g] = _mm512_setzero_si512();
    for (; c + 2 <= n_chunks; c += 2) {
        int32_t four[2];
        memcpy(four, x + 4 * c, 8);
        __m512i y = _mm512_set1_epi32(four[0]), z = _mm512_set1_epi32(four[1]);
        UNROLL
        for (int g = 0; g < ng; g++) {
            const int8_t *at = w + ((size_t)g * n_chunks + c) * 64;
            a[g] = dot4(a[g], y, _mm512_load_si512(at));
            b[g] = dot4(b[g], z, _mm512_load_si512(at + 64));
        }
    }
    if (c < n_chunks) {
        int32_t four;
        memcpy(&four, x + 4 * c, 4);
        UNROLL
        for (int g = 0; g < ng; g++)
            a[g] = dot4(a[g], _mm512_set1_epi32(four),
                        _mm512_load_si512(w + ((size_t)g * n_chunks + c) * 64));
    }
    UNROLL
    for (int g = 0; g < ng; g++) {
        size_t row = (group + (size_t)g) * NLSH__GROUP;
        layer_answer(layer, row, _mm512_add_epi32(a[g], b[g]), x_scale, zero, relu, out + row);
    }
}

TARGET static void matvec_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, float x_scale,
                             int zero, int relu, float *out)
{
    size_t g = 0;
    for (; g + 8 <= layer->n_groups; g += 8)
        matvec_groups(layer, g, x, x_scale, zero, relu, out, 8);
    for (; g + 2 <= layer->n_groups; g += 2)
        matvec_groups(layer, g, x, x_scale, zero, relu, out, 2);
    if (g < layer->n_groups) matvec_groups(layer, g, x, x_scale, zero, relu, out, 1);
}

/* nq inputs and ng groups; the last operations are matvec_groups()'s. */
INLINE void matmat_tile(const struct nlsh__layer_i8 *layer, size_t group, const uint8_t *x,
                        size_t stride, const float *x_scale, int zero, int relu, float *out,
                        size_t out_stride, const int nq, const int ng)
{
    const int8_t *w = layer->values + group * layer->n_chunks * 64;
    size_t n_chunks = layer->n_chunks;
    __m512i sums[6][4];
    UNROLL
    for (int q = 0; q < nq; q++) {
        UNROLL
        for (int g = 0; g < ng; g++) sums[q][g] = _mm512_setzero_si512();
    }
    for (size_t c = 0; c < n_chunks; c++) {
        __m512i row[4];
        UNROLL
        for (int g = 0; g < ng; g++)
            row[g] = _mm512_load_si512(w + ((size_t)g * n_chunks + c) * 64);
        UNROLL
        for (int q = 0; q < nq; q++) {
            int32_t four;
            memcpy(&four, x + (size_t)q * stride + 4 * c, 4);
            __m512i y = _mm512_set1_epi32(four);
            UNROLL
            for (int g = 0; g < ng; g++) sums[q][g] = dot4(sums[q][g], y, row[g]);
        }
    }
    UNROLL
    for (int q = 0; q < nq; q++) {
        UNROLL
        for (int g = 0; g < ng; g++)
            layer_answer(layer, (group + (size_t)g) * NLSH__GROUP, sums[q][g], x_scale[q], zero,
                         relu, out + (size_t)q * out_stride + (group + (size_t)g) * NLSH__GROUP);
    }
}

INLINE void matmat_groups(const struct nlsh__layer_i8 *layer, size_t group, const uint8_t *x,
                          size_t stride, size_t n, const float *x_scale, int zero, int relu,
                          float *out, size_t out_stride, const int ng)
{
    size_t q = 0;
    for (; q + 6 <= n; q += 6)
        matmat_tile(layer, group, x + q * stride, stride, x_scale + q, zero, relu,
                    out + q * out_stride, out_stride, 6, ng);
    for (; q < n; q++)
        matmat_tile(layer, group, x + q * stride, stride, x_scale + q, zero, relu,
                    out + q * out_stride, out_stride, 1, ng);
}

TARGET static void matmat_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, size_t stride,
                             size_t n, const float *x_scale, int zero, int relu, float *out,
                             size_t out_stride)
{
    size_t g = 0;
    for (; g + 4 <= layer->n_groups; g += 4)
        matmat_groups(layer, g, x, stride, n, x_scale, zero, relu, out, out_stride, 4);
    for (; g < layer->n_groups; g++)
        matmat_groups(layer, g, x, stride, n, x_scale, zero, relu, out, out_stride, 1);
}

void nlsh__avx512vnni_network(struct nlsh__kernels *table)
{
    table->matvec_i8 = matvec_i8;
    table->matmat_i8 = matmat_i8;
}
#endif
