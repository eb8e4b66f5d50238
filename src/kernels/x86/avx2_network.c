/* avx2_network.c - the layers of the router with AVX2. */
#if defined(__x86_64__)
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/softmax.h"
#include "kernels/x86/avx2.h"
#include "kernels/x86/x86.h"

TARGET static void matvec_f32(const float *values, const float *bias, size_t n_groups, size_t dim,
                              const float *x, float *out)
{
    for (size_t g = 0; g < n_groups; g++) {
        const float *group = values + g * dim * NLSH__GROUP;
        __m256 a0 = _mm256_load_ps(bias + g * 16), a1 = _mm256_load_ps(bias + g * 16 + 8);
        __m256 b0 = _mm256_setzero_ps(), b1 = b0;
        size_t d = 0;
        for (; d + 2 <= dim; d += 2) {
            __m256 y = _mm256_broadcast_ss(x + d), z = _mm256_broadcast_ss(x + d + 1);
            a0 = _mm256_fmadd_ps(_mm256_load_ps(group + d * 16), y, a0);
            a1 = _mm256_fmadd_ps(_mm256_load_ps(group + d * 16 + 8), y, a1);
            b0 = _mm256_fmadd_ps(_mm256_load_ps(group + d * 16 + 16), z, b0);
            b1 = _mm256_fmadd_ps(_mm256_load_ps(group + d * 16 + 24), z, b1);
        }
        if (d < dim) {
            __m256 y = _mm256_broadcast_ss(x + d);
            a0 = _mm256_fmadd_ps(_mm256_load_ps(group + d * 16), y, a0);
            a1 = _mm256_fmadd_ps(_mm256_load_ps(group + d * 16 + 8), y, a1);
        }
        a0 = _mm256_add_ps(a0, b0);
        a1 = _mm256_add_ps(a1, b1);
        _mm256_store_ps(out + g * 16, a0);
        _mm256_store_ps(out + g * 16 + 8, a1);
    }
}

/* Sums of 16 rows of four signed bytes by four unsigned ones; as in the panel above, widened. */
TARGET static inline void dot16(const uint8_t *unsigned_rows, const int8_t *signed_rows,
                                int rows_are_signed, const void *x, size_t n_chunks, __m256i *out)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i sum[4] = {zero, zero, zero, zero};
    for (size_t c = 0; c < n_chunks; c++) {
        int32_t four;
        memcpy(&four, (const char *)x + 4 * c, 4);
        __m128i four8 = _mm_set1_epi32(four);
        __m256i y = rows_are_signed ? _mm256_cvtepu8_epi16(four8) : _mm256_cvtepi8_epi16(four8);
        for (int h = 0; h < 2; h++) {
            __m256i lo, hi;
            if (rows_are_signed) {
                __m256i v = _mm256_load_si256((const __m256i *)(signed_rows + c * 64) + h);
                __m256i sign = _mm256_cmpgt_epi8(zero, v);
                lo = _mm256_unpacklo_epi8(v, sign);
                hi = _mm256_unpackhi_epi8(v, sign);
            } else {
                __m256i v = _mm256_load_si256((const __m256i *)(unsigned_rows + c * 64) + h);
                lo = _mm256_unpacklo_epi8(v, zero);
                hi = _mm256_unpackhi_epi8(v, zero);
            }
            sum[2 * h] = _mm256_add_epi32(sum[2 * h], _mm256_madd_epi16(lo, y));
            sum[2 * h + 1] = _mm256_add_epi32(sum[2 * h + 1], _mm256_madd_epi16(hi, y));
        }
    }
    out[0] = _mm256_hadd_epi32(sum[0], sum[1]);
    out[1] = _mm256_hadd_epi32(sum[2], sum[3]);
}

TARGET static void matvec_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, float x_scale,
                             int zero, int relu, float *out)
{
    for (size_t g = 0; g < layer->n_groups; g++) {
        __m256i dot[2];
        dot16(NULL, layer->values + g * layer->n_chunks * 64, 1, x, layer->n_chunks, dot);
        for (int h = 0; h < 2; h++) {
            size_t row = g * NLSH__GROUP + 8 * (size_t)h;
            __m256i sums = _mm256_load_si256((const __m256i *)(layer->sums + row));
            dot[h] = _mm256_sub_epi32(dot[h], _mm256_mullo_epi32(sums, _mm256_set1_epi32(zero)));
            __m256 scale =
                _mm256_mul_ps(_mm256_load_ps(layer->scale + row), _mm256_set1_ps(x_scale));
            __m256 v = _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(dot[h]), scale),
                                     _mm256_load_ps(layer->bias + row));
            if (relu) v = _mm256_max_ps(v, _mm256_setzero_ps());
            _mm256_storeu_ps(out + row, v);
        }
    }
}

static void matmat_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, size_t stride, size_t n,
                      const float *x_scale, int zero, int relu, float *out, size_t out_stride)
{
    for (size_t i = 0; i < n; i++)
        matvec_i8(layer, x + i * stride, x_scale[i], zero, relu, out + i * out_stride);
}

TARGET static float softmax_f32(float *x, size_t n)
{
    return nlsh__softmax_body(x, n);
}

void nlsh__avx2_network(struct nlsh__kernels *table)
{
    table->matvec_f32 = matvec_f32;
    table->matvec_i8 = matvec_i8;
    table->matmat_i8 = matmat_i8;
    table->softmax_f32 = softmax_f32;
}
#endif
