/* avx512_network.c - the layers of the router with AVX-512. */
#if defined(__x86_64__)
#include <math.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/shared.h"
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

/* e^x by shared.h's formula; of NaN it makes NaN. */
INLINE __m512 exp16(__m512 x)
{
    const __m512 round = _mm512_set1_ps(NLSH__ROUND);
    __m512 n = _mm512_add_ps(_mm512_mul_ps(x, _mm512_set1_ps(NLSH__LOG2_E)), round);
    __m512i power =
        _mm512_add_epi32(_mm512_castps_si512(n), _mm512_set1_epi32(127 - NLSH__ROUND_BITS));
    n = _mm512_sub_ps(n, round);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(NLSH__LN2_HIGH), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(NLSH__LN2_LOW), r);
    __m512 p = _mm512_set1_ps(nlsh__exp_p[0]);
    UNROLL
    for (size_t i = 1; i < 6; i++) p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(nlsh__exp_p[i]));
    p = _mm512_add_ps(_mm512_fmadd_ps(_mm512_mul_ps(p, r), r, r), _mm512_set1_ps(1));
    return _mm512_mul_ps(p, _mm512_castsi512_ps(_mm512_slli_epi32(power, 23)));
}

/* A NaN is in no maximum, but in the sum, and so in every answer. */
TARGET static float softmax_f32(float *x, size_t n)
{
    __m512 most = _mm512_set1_ps(-INFINITY), total = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) { /* of NaN and a number max gives the second: the number */
        __mmask16 mask = first16(n - i);
        most = _mm512_mask_max_ps(most, mask, _mm512_maskz_loadu_ps(mask, x + i), most);
    }
    float largest = _mm512_reduce_max_ps(most);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = first16(n - i);
        __m512 v = _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), _mm512_set1_ps(largest));
        /* not below: NaN stays */
        mask = _mm512_mask_cmp_ps_mask(mask, v, _mm512_set1_ps(NLSH__EXP_LEAST), _CMP_NLT_UQ);
        v = _mm512_maskz_mov_ps(mask, exp16(_mm512_maskz_mov_ps(mask, v)));
        total = _mm512_add_ps(total, v);
        _mm512_mask_storeu_ps(x + i, first16(n - i), v);
    }
    float sum = _mm512_reduce_add_ps(total);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = first16(n - i);
        __m512 v = _mm512_maskz_loadu_ps(mask, x + i);
        _mm512_mask_storeu_ps(x + i, mask, _mm512_mul_ps(v, _mm512_set1_ps(1.0f / sum)));
    }
    return largest + logf(sum);
}

/* The plain quantise_u8()'s operations in its order, 16 at a time. */
TARGET static float quantise_u8(const float *x, size_t n, int zero, uint8_t *out)
{
    __m512 most = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = first16(n - i);
        /* max gives its second operand where one is not a number: such a value counts as none */
        most = _mm512_max_ps(_mm512_abs_ps(_mm512_maskz_loadu_ps(mask, x + i)), most);
    }
    float scale, factor = nlsh__quantise_factor(_mm512_reduce_max_ps(most), zero, &scale);
    for (size_t i = 0; i < (n + 3) / 4 * 4; i += 16) {
        size_t left = (n + 3) / 4 * 4 - i;
        __mmask16 mask = first16(n - i);
        __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), _mm512_set1_ps(factor));
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
