/* avx512_training.c - training's products with AVX-512: see training.h. */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/x86/avx512.h"
#include "kernels/x86/x86.h"

typedef __m512 V;
enum { LANES = 16, N_ROWS = 4 }; /* 16 sums, 4 rows and a weight, of 32 registers */

INLINE V zero(void)
{
    return _mm512_setzero_ps();
}

INLINE V spread(float x)
{
    return _mm512_set1_ps(x);
}

INLINE V load(const float *at, size_t n)
{
    return n == LANES ? _mm512_loadu_ps(at) : _mm512_maskz_loadu_ps(first16(n), at);
}

INLINE void store(float *at, size_t n, V v)
{
    if (n == LANES)
        _mm512_storeu_ps(at, v);
    else
        _mm512_mask_storeu_ps(at, first16(n), v);
}

INLINE V add_product(V a, V b, V c)
{
    return _mm512_fmadd_ps(a, b, c);
}

INLINE V product(V a, V b)
{
    return _mm512_mul_ps(a, b);
}

INLINE V quotient(V a, V b)
{
    return _mm512_div_ps(a, b);
}

INLINE V root(V a)
{
    return _mm512_sqrt_ps(a);
}

INLINE __m256 halves(V v)
{
    return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
}

INLINE void sum_4(const V *v, float *out)
{
    __m256 s = _mm256_hadd_ps(_mm256_hadd_ps(halves(v[0]), halves(v[1])),
                              _mm256_hadd_ps(halves(v[2]), halves(v[3])));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1)));
}

#include "kernels/x86/training.h"

void nlsh__avx512_training(struct nlsh__kernels *table)
{
    table->dots_f32 = dots_f32;
    table->mix_f32 = mix_f32;
    table->adamw_f32 = adamw_f32;
}
#endif
