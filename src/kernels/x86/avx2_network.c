/*
 * avx2_network.c - the layers of the router with AVX2.
 *
 * vpmaddubsw multiplies bytes and adds two neighbours up in 16 bits, where they may saturate. They do not
 * where the weights' pairs fit (kernels.h), as they do in every router that this version writes. Of
 * older routers the input's bytes are split into halves of 4 bits; many inputs go by avx2_words.h.
 */
#if defined(__x86_64__)
#include <math.h>

#include "kernels/kernels.h"
#include "kernels/shared.h"
#include "kernels/x86/avx2_words.h"
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

/* ---- layers of bytes ------------------------------------------------------------------------- */

/* Where pairs fit: sums[2 g + h] = the products of the 8 rows in half h of group g, for ng groups. */
INLINE void products_of_pairs(const int8_t *w, size_t n_chunks, const uint8_t *x, __m256i *sums,
                              const int ng)
{
    const __m256i ones = _mm256_set1_epi16(1);
    UNROLL
    for (int i = 0; i < 2 * ng; i++) sums[i] = _mm256_setzero_si256();
    UNROLL_4
    for (size_t c = 0; c < n_chunks; c++) {
        __m256i y = repeat4(x + 4 * c);
        UNROLL
        for (int i = 0; i < 2 * ng; i++) {
            __m256i v = load_bytes(w + ((size_t)(i / 2) * n_chunks + c) * 64 + i % 2 * 32);
            v = _mm256_madd_epi16(_mm256_maddubs_epi16(y, v), ones);
            sums[i] = _mm256_add_epi32(sums[i], v);
        }
    }
}

/* The same of any weights. Two products of 15 x 128 fit in 16 bits, and so do the sums of 8 such pairs,
 * 30,720 at most: 8 chunks are added up before they are widened, where the high halves of x get their
 * factor of 16. */
INLINE void products_of_halves(const int8_t *w, size_t n_chunks, const uint8_t *x, __m256i *sums,
                               const int ng)
{
    const __m256i mask = _mm256_set1_epi8(15);
    UNROLL
    for (int i = 0; i < 2 * ng; i++) sums[i] = _mm256_setzero_si256();
    for (size_t c = 0; c < n_chunks;) {
        size_t end = n_chunks - c < 8 ? n_chunks : c + 8;
        __m256i low[4], high[4];
        UNROLL
        for (int i = 0; i < 2 * ng; i++) low[i] = high[i] = _mm256_setzero_si256();
        UNROLL_4
        for (; c < end; c++) {
            __m256i y = repeat4(x + 4 * c), z = _mm256_and_si256(_mm256_srli_epi16(y, 4), mask);
            y = _mm256_and_si256(y, mask);
            UNROLL
            for (int i = 0; i < 2 * ng; i++) {
                __m256i v = load_bytes(w + ((size_t)(i / 2) * n_chunks + c) * 64 + i % 2 * 32);
                low[i] = _mm256_add_epi16(low[i], _mm256_maddubs_epi16(y, v));
                high[i] = _mm256_add_epi16(high[i], _mm256_maddubs_epi16(z, v));
            }
        }
        UNROLL
        for (int i = 0; i < 2 * ng; i++) {
            __m256i l = _mm256_madd_epi16(low[i], _mm256_set1_epi16(1));
            __m256i h = _mm256_madd_epi16(high[i], _mm256_set1_epi16(16));
            sums[i] = _mm256_add_epi32(sums[i], _mm256_add_epi32(l, h));
        }
    }
}

/* ng groups, 1 or 2, of one input. */
INLINE void layer_groups(const struct nlsh__layer_i8 *layer, size_t group, const uint8_t *x,
                         float x_scale, int zero, int relu, float *out, const int fit, const int ng)
{
    const int8_t *w = layer->values + group * layer->n_chunks * 64;
    __m256i sums[4];
    if (fit)
        products_of_pairs(w, layer->n_chunks, x, sums, ng);
    else
        products_of_halves(w, layer->n_chunks, x, sums, ng);
    UNROLL
    for (size_t i = 0; i < 2 * (size_t)ng; i++) {
        size_t row = group * NLSH__GROUP + 8 * i;
        layer_answer(layer, row, sums[i], x_scale, zero, relu, out + row);
    }
}

/* A step is bound by multiplications and additions, not by loads. So inputs share no registers: they
 * take turns with two groups of rows, which stay in the first cache. */
INLINE void layer_inputs(const struct nlsh__layer_i8 *layer, const uint8_t *x, size_t stride,
                         size_t n, const float *x_scale, int zero, int relu, float *out,
                         size_t out_stride, const int fit)
{
    size_t g = 0;
    for (; g + 2 <= layer->n_groups; g += 2)
        for (size_t i = 0; i < n; i++)
            layer_groups(layer, g, x + i * stride, x_scale[i], zero, relu, out + i * out_stride,
                         fit, 2);
    for (size_t i = 0; g < layer->n_groups && i < n; i++)
        layer_groups(layer, g, x + i * stride, x_scale[i], zero, relu, out + i * out_stride, fit,
                     1);
}

TARGET static void matvec_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, float x_scale,
                             int zero, int relu, float *out)
{
    if (layer->pairs_fit)
        layer_inputs(layer, x, 0, 1, &x_scale, zero, relu, out, 0, 1);
    else
        layer_inputs(layer, x, 0, 1, &x_scale, zero, relu, out, 0, 0);
}

/* nv inputs of any weights, with all rows: two products in 16 bits take less there than four halves. */
INLINE void inputs_in_words(const struct nlsh__layer_i8 *layer, const uint8_t *x, size_t stride,
                            const float *x_scale, int zero, int relu, float *out, size_t out_stride,
                            const int nv)
{
    int16_t wide[AT_ONCE * 4 * BLOCK];
    if (layer->n_chunks <= BLOCK) widen_vectors(x, stride, 0, layer->n_chunks, wide, nv, ROWS);
    for (size_t row = 0; row < layer->n_groups * NLSH__GROUP; row += 8) {
        const int8_t *w = layer->values + row / 16 * layer->n_chunks * 64 + row % 16 * 4;
        __m256i sums[2 * AT_ONCE];
        products_of_rows(w, layer->n_chunks, x, stride, wide, sums, nv, ROWS);
        for (size_t i = 0; i < (size_t)nv; i++)
            layer_answer(layer, row, row_sums(sums + 2 * i), x_scale[i], zero, relu,
                         out + i * out_stride + row);
    }
}

TARGET static void matmat_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, size_t stride,
                             size_t n, const float *x_scale, int zero, int relu, float *out,
                             size_t out_stride)
{
    size_t i = 0;
    if (layer->pairs_fit) {
        layer_inputs(layer, x, stride, n, x_scale, zero, relu, out, out_stride, 1);
        return;
    }
    for (; i + 6 <= n; i += 6)
        inputs_in_words(layer, x + i * stride, stride, x_scale + i, zero, relu,
                        out + i * out_stride, out_stride, 6);
    for (; i + 2 <= n; i += 2)
        inputs_in_words(layer, x + i * stride, stride, x_scale + i, zero, relu,
                        out + i * out_stride, out_stride, 2);
    if (i < n) matvec_i8(layer, x + i * stride, x_scale[i], zero, relu, out + i * out_stride);
}

/* ---- softmax --------------------------------------------------------------------------------- */

/* e^x by shared.h's formula; of NaN it makes NaN. */
INLINE __m256 exp8(__m256 x)
{
    const __m256 round = _mm256_set1_ps(NLSH__ROUND);
    __m256 n = _mm256_add_ps(_mm256_mul_ps(x, _mm256_set1_ps(NLSH__LOG2_E)), round);
    __m256i power =
        _mm256_add_epi32(_mm256_castps_si256(n), _mm256_set1_epi32(127 - NLSH__ROUND_BITS));
    n = _mm256_sub_ps(n, round);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(NLSH__LN2_HIGH), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(NLSH__LN2_LOW), r);
    __m256 p = _mm256_set1_ps(nlsh__exp_p[0]);
    UNROLL
    for (size_t i = 1; i < 6; i++) p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(nlsh__exp_p[i]));
    p = _mm256_add_ps(_mm256_fmadd_ps(_mm256_mul_ps(p, r), r, r), _mm256_set1_ps(1));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(power, 23)));
}

/* e^(x - most), 0 below e^-87. */
INLINE __m256 weigh8(__m256 x, __m256 most)
{
    x = _mm256_sub_ps(x, most);
    __m256 low = _mm256_cmp_ps(x, _mm256_set1_ps(NLSH__EXP_LEAST), _CMP_LT_OQ);
    return _mm256_andnot_ps(low, exp8(_mm256_andnot_ps(low, x)));
}

TARGET static float softmax_f32(float *x, size_t n)
{
    const __m256 none = _mm256_set1_ps(-INFINITY);
    __m256 most = none, total = _mm256_setzero_ps();
    size_t whole = n / 8 * 8;
    __m256i rest = first8(n - whole);
    __m256 last =
        _mm256_blendv_ps(none, _mm256_maskload_ps(x + whole, rest), _mm256_castsi256_ps(rest));
    for (size_t i = 0; i < whole; i += 8)
        most = _mm256_max_ps(_mm256_loadu_ps(x + i), most); /* NaN: the old one stays */
    float largest = max_ps(_mm256_max_ps(last, most));
    most = _mm256_set1_ps(largest);
    for (size_t i = 0; i < whole; i += 8) {
        __m256 v = weigh8(_mm256_loadu_ps(x + i), most);
        total = _mm256_add_ps(total, v);
        _mm256_storeu_ps(x + i, v);
    }
    last = whole < n ? weigh8(last, most) : _mm256_setzero_ps();
    float sum = sum_ps(_mm256_add_ps(total, last));
    __m256 scale = _mm256_set1_ps(1.0f / sum);
    for (size_t i = 0; i < whole; i += 8)
        _mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_loadu_ps(x + i), scale));
    _mm256_maskstore_ps(x + whole, rest, _mm256_mul_ps(last, scale));
    return largest + logf(sum);
}

/* ---- floats as bytes ------------------------------------------------------------------------- */

/* The plain quantise_u8()'s operations in its order; words of 0 .. 255. */
INLINE __m256i quantise8(__m256 x, __m256 factor, __m256 zero)
{
    __m256 v = _mm256_add_ps(_mm256_mul_ps(x, factor), zero);
    v = _mm256_max_ps(_mm256_add_ps(v, _mm256_set1_ps(0.5f)), _mm256_setzero_ps()); /* NaN: 0 */
    return _mm256_cvttps_epi32(_mm256_min_ps(v, _mm256_set1_ps(255)));
}

/* 8 words as bytes. */
INLINE __m128i as_bytes(__m256i words)
{
    __m128i v = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    return _mm_packus_epi16(v, v);
}

TARGET static float quantise_u8(const float *x, size_t n, int zero, uint8_t *out)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    __m256 most = _mm256_setzero_ps(), shift = _mm256_set1_ps((float)zero);
    size_t i = 0, whole = n / 8 * 8, left = (n + 3) / 4 * 4 - whole;
    __m256 rest = _mm256_maskload_ps(x + whole, first8(n - whole));
    for (; i < whole; i += 8) /* max gives its second operand where one is no number */
        most = _mm256_max_ps(_mm256_andnot_ps(sign, _mm256_loadu_ps(x + i)), most);
    most = _mm256_max_ps(_mm256_andnot_ps(sign, rest), most);
    float scale;
    __m256 factor = _mm256_set1_ps(nlsh__quantise_factor(max_ps(most), zero, &scale));
    for (i = 0; i < whole; i += 8)
        _mm_storel_epi64((__m128i *)(out + i),
                         as_bytes(quantise8(_mm256_loadu_ps(x + i), factor, shift)));
    __m128i bytes = as_bytes(quantise8(rest, factor, shift));
    if (left > 0) memcpy(out + whole, &bytes, left == 4 ? 4 : 8);
    return scale;
}

void nlsh__avx2_network(struct nlsh__kernels *table)
{
    table->matvec_f32 = matvec_f32;
    table->matvec_i8 = matvec_i8;
    table->matmat_i8 = matmat_i8;
    table->softmax_f32 = softmax_f32;
    table->quantise_u8 = quantise_u8;
}
#endif
