/* avx512_network.c - the layers of the router with AVX-512. */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/quantise.h"
#include "kernels/softmax.h"
#include "kernels/x86/avx512.h"
#include "kernels/x86/x86.h"

/* ng groups at once, so that one broadcast serves them all; every group in two chains. */
INLINE void matvec_groups(const float *group, const float *bias, size_t dim, const float *x,
                          float *out, const int ng)
{
    __m512 a[4], b[4];
    UNROLL
    for (int g = 0; g < ng; g++) {
        a[g] = _mm512_load_ps(bias + g * 16);
        b[g] = _mm512_setzero_ps();
    }
    size_t d = 0;
    for (; d + 2 <= dim; d += 2) {
        __m512 y = _mm512_set1_ps(x[d]), z = _mm512_set1_ps(x[d + 1]);
        UNROLL
        for (int g = 0; g < ng; g++) {
            const float *w = group + ((size_t)g * dim + d) * 16;
            a[g] = _mm512_fmadd_ps(_mm512_load_ps(w), y, a[g]);
            b[g] = _mm512_fmadd_ps(_mm512_load_ps(w + 16), z, b[g]);
        }
    }
    UNROLL
    for (int g = 0; g < ng; g++) {
        if (d < dim)
            a[g] = _mm512_fmadd_ps(_mm512_load_ps(group + ((size_t)g * dim + d) * 16),
                                   _mm512_set1_ps(x[d]), a[g]);
        a[g] = _mm512_add_ps(a[g], b[g]);
        _mm512_store_ps(out + g * 16, a[g]);
    }
}

TARGET static void matvec_f32(const float *values, const float *bias, size_t n_groups, size_t dim,
                              const float *x, float *out)
{
    size_t g = 0;
    for (; g + 4 <= n_groups; g += 4)
        matvec_groups(values + g * dim * 16, bias + g * 16, dim, x, out + g * 16, 4);
    for (; g < n_groups; g++)
        matvec_groups(values + g * dim * 16, bias + g * 16, dim, x, out + g * 16, 1);
}

TARGET static float softmax_f32(float *x, size_t n)
{
    return nlsh__softmax_body(x, n);
}

/* The scalar version's operations in its order, 16 at a time. */
TARGET static float quantise_u8(const float *x, size_t n, int zero, uint8_t *out)
{
    __m512 most = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = first16(n - i);
        /* max gives its second operand where one is not a number: such a value counts as none */
        most = _mm512_max_ps(_mm512_abs_ps(_mm512_maskz_loadu_ps(mask, x + i)), most);
    }
    float scale = 0, inverse = nlsh__quantise_scale(_mm512_reduce_max_ps(most), zero, &scale);
    for (size_t i = 0; i < (n + 3) / 4 * 4; i += 16) {
        size_t left = (n + 3) / 4 * 4 - i;
        __mmask16 mask = first16(n - i);
        __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), _mm512_set1_ps(inverse));
        v = _mm512_add_ps(_mm512_add_ps(v, _mm512_set1_ps((float)zero)), _mm512_set1_ps(0.5f));
        v = _mm512_max_ps(v, _mm512_setzero_ps());
        v = _mm512_min_ps(v, _mm512_set1_ps(255.0f));
        _mm512_mask_cvtepi32_storeu_epi8(out + i, first16(left), _mm512_cvttps_epi32(v));
    }
    return scale;
}

void nlsh__avx512_network(struct nlsh__kernels *table)
{
    table->matvec_f32 = matvec_f32;
    table->softmax_f32 = softmax_f32;
    table->quantise_u8 = quantise_u8;
}
#endif
