/* avx2_training.c - training's products with AVX2: see training.h. */
#if defined(__x86_64__)
#include "kernels/kernels.h"
#include "kernels/x86/avx2.h"
#include "kernels/x86/x86.h"

typedef __m256 V;
enum { LANES = 8, N_ROWS = 3 }; /* 12 sums, 3 rows and a weight: all 16 registers */

INLINE V zero(void)
{
    return _mm256_setzero_ps();
}

INLINE V spread(float x)
{
    return _mm256_set1_ps(x);
}

INLINE V load(const float *at, size_t n)
{
    return n == LANES ? _mm256_loadu_ps(at) : _mm256_maskload_ps(at, first8(n));
}

INLINE void store(float *at, size_t n, V v)
{
    if (n == LANES)
        _mm256_storeu_ps(at, v);
    else
        _mm256_maskstore_ps(at, first8(n), v);
}

INLINE V add_product(V a, V b, V c)
{
    return _mm256_fmadd_ps(a, b, c);
}

INLINE V product(V a, V b)
{
    return _mm256_mul_ps(a, b);
}

INLINE V quotient(V a, V b)
{
    return _mm256_div_ps(a, b);
}

INLINE V root(V a)
{
    return _mm256_sqrt_ps(a);
}

INLINE void sum_4(const V *v, float *out)
{
    V s = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
    _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1)));
}

#include "kernels/x86/training.h"

void nlsh__avx2_training(struct nlsh__kernels *table)
{
    table->dots_f32 = dots_f32;
    table->mix_f32 = mix_f32;
    table->adamw_f32 = adamw_f32;
}
#endif
