/* neon_l2sq.c - distances, dot products and panels of floats with NEON. */
#if defined(__aarch64__)
#include <string.h>

#include "kernels/arm/arm.h"
#include "kernels/arm/neon_rows.h"

/* A square of a byte fits in 16 bits, two in 32. */
INLINE uint32x4_t add_squares(uint32x4_t sum, uint8x16_t d)
{
    sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(d), vget_low_u8(d)));
    return vpadalq_u16(sum, vmull_high_u8(d, d));
}

/* ---- floats ---------------------------------------------------------------------------------- */

/* Chains: a multiply-add takes four cycles, and wide cores do two or more in one. */
enum { CHAINS = 8 };

INLINE void clear(float32x4_t *s)
{
    UNROLL
    for (size_t j = 0; j < CHAINS; j++) s[j] = vdupq_n_f32(0);
}

INLINE float sum_chains(const float32x4_t *s)
{
    float32x4_t halves[4];
    UNROLL
    for (size_t j = 0; j < 4; j++) halves[j] = vaddq_f32(s[j], s[j + 4]);
    return sum_in_order(halves);
}

INLINE float32x4_t add_square(float32x4_t sum, float32x4_t d)
{
    return vfmaq_f32(sum, d, d);
}

INLINE float32x4_t from_bf16(uint16x4_t halves)
{
    return vreinterpretq_f32_u32(vshll_n_u16(halves, 16));
}

/* The four low ones of bytes. */
INLINE float32x4_t from_scaled(int8x8_t bytes, float scale)
{
    return vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes)))), scale);
}

/* Values i .. i + 3 of a row of f32, f16, bf16, or of bytes times a scale. */
INLINE float32x4_t load4(const void *row, size_t i, const enum nlsh_type type, float scale)
{
    const uint16_t *halves = (const uint16_t *)row + i;
    int32_t bytes;
    if (type == NLSH_F16) return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(halves)));
    if (type == NLSH_BF16) return from_bf16(vld1_u16(halves));
    if (type == NLSH_I8) {
        memcpy(&bytes, (const int8_t *)row + i, sizeof bytes);
        return from_scaled(vreinterpret_s8_s32(vdup_n_s32(bytes)), scale);
    }
    return vld1q_f32((const float *)row + i);
}

/* The same of the first n < 4 of them, zeros behind. */
INLINE float32x4_t load_first_of(const void *row, size_t i, size_t n, const enum nlsh_type type,
                                 float scale)
{
    uint16_t halves[4] = {0};
    int8_t bytes[4] = {0};
    if (type == NLSH_F32) return load_first((const float *)row + i, n);
    if (type == NLSH_I8) {
        for (size_t j = 0; j < n; j++) bytes[j] = ((const int8_t *)row)[i + j];
        return load4(bytes, 0, type, scale);
    }
    for (size_t j = 0; j < n; j++) halves[j] = ((const uint16_t *)row)[i + j];
    return load4(halves, 0, type, scale);
}

INLINE float l2sq_of(const float *a, const void *b, size_t dim, const enum nlsh_type type,
                     float scale)
{
    float32x4_t s[CHAINS];
    size_t i = 0;
    clear(s);
    for (; i + 32 <= dim; i += 32) {
        UNROLL
        for (size_t j = 0; j < CHAINS; j++)
            s[j] = add_square(s[j], vsubq_f32(load4(a, i + 4 * j, NLSH_F32, 1),
                                              load4(b, i + 4 * j, type, scale)));
    }
    for (; i + 4 <= dim; i += 4)
        s[0] = add_square(s[0], vsubq_f32(load4(a, i, NLSH_F32, 1), load4(b, i, type, scale)));
    if (i < dim)
        s[1] = add_square(s[1], vsubq_f32(load_first_of(a, i, dim - i, NLSH_F32, 1),
                                          load_first_of(b, i, dim - i, type, scale)));
    return sum_chains(s);
}

INLINE float dot_of(const float *a, const void *b, size_t dim, const enum nlsh_type type,
                    float scale)
{
    float32x4_t s[CHAINS];
    size_t i = 0;
    clear(s);
    for (; i + 32 <= dim; i += 32) {
        UNROLL
        for (size_t j = 0; j < CHAINS; j++)
            s[j] =
                vfmaq_f32(s[j], load4(a, i + 4 * j, NLSH_F32, 1), load4(b, i + 4 * j, type, scale));
    }
    for (; i + 4 <= dim; i += 4)
        s[0] = vfmaq_f32(s[0], load4(a, i, NLSH_F32, 1), load4(b, i, type, scale));
    if (i < dim)
        s[1] = vfmaq_f32(s[1], load_first_of(a, i, dim - i, NLSH_F32, 1),
                         load_first_of(b, i, dim - i, type, scale));
    return sum_chains(s);
}

TARGET static float l2sq_f32(const float *a, const float *b, size_t dim)
{
    return l2sq_of(a, b, dim, NLSH_F32, 1);
}

TARGET static float dot_f32(const float *a, const float *b, size_t dim)
{
    return dot_of(a, b, dim, NLSH_F32, 1);
}

TARGET static float l2sq_f32_f16(const float *a, const uint16_t *b, size_t dim)
{
    return l2sq_of(a, b, dim, NLSH_F16, 1);
}

TARGET static float dot_f32_f16(const float *a, const uint16_t *b, size_t dim)
{
    return dot_of(a, b, dim, NLSH_F16, 1);
}

TARGET static float l2sq_f32_bf16(const float *a, const uint16_t *b, size_t dim)
{
    return l2sq_of(a, b, dim, NLSH_BF16, 1);
}

TARGET static float dot_f32_bf16(const float *a, const uint16_t *b, size_t dim)
{
    return dot_of(a, b, dim, NLSH_BF16, 1);
}

TARGET static float l2sq_f32_i8(const float *a, const int8_t *b, float scale, size_t dim)
{
    return l2sq_of(a, b, dim, NLSH_I8, scale);
}

TARGET static float dot_f32_i8(const float *a, const int8_t *b, float scale, size_t dim)
{
    return dot_of(a, b, dim, NLSH_I8, scale);
}

/* 8 floats less 8 bytes, squared, into two chains. */
INLINE void add_squares8(float32x4_t *s, const float *a, const uint8_t *b)
{
    uint16x8_t words = vmovl_u8(vld1_u8(b));
    float32x4_t low = vcvtq_f32_u32(vmovl_u16(vget_low_u16(words)));
    float32x4_t high = vcvtq_f32_u32(vmovl_high_u16(words));
    s[0] = add_square(s[0], vsubq_f32(vld1q_f32(a), low));
    s[1] = add_square(s[1], vsubq_f32(vld1q_f32(a + 4), high));
}

TARGET static float l2sq_f32_u8(const float *a, const uint8_t *b, size_t dim)
{
    float32x4_t s[CHAINS];
    size_t i = 0;
    clear(s);
    for (; i + 32 <= dim; i += 32) {
        UNROLL
        for (size_t j = 0; j < CHAINS; j += 2) add_squares8(s + j, a + i + 4 * j, b + i + 4 * j);
    }
    for (; i + 8 <= dim; i += 8) add_squares8(s, a + i, b + i);
    float total = sum_chains(s);
    for (; i < dim; i++) total += (a[i] - (float)b[i]) * (a[i] - (float)b[i]);
    return total;
}

/* ---- panels of floats ------------------------------------------------------------------------ */

/* nq queries with a group: 6 x 4 sums and the 4 quarters of the group fill 28 of 32 registers. */
INLINE void tile_f32(const struct nlsh__panel_f32 *panel, size_t group, const float *queries,
                     size_t q0, const struct nlsh__limits_f32 *limits, struct nlsh__hits *hits,
                     const int nq)
{
    size_t dim = panel->dim;
    const float *x = panel->values + group * dim * NLSH__GROUP, *y = queries + q0 * dim;
    float32x4_t dots[6][4];
    UNROLL
    for (int q = 0; q < nq; q++) {
        UNROLL
        for (int i = 0; i < 4; i++) dots[q][i] = vdupq_n_f32(0);
    }
    for (size_t d = 0; d < dim; d++) {
        float32x4_t row[4];
        UNROLL
        for (size_t i = 0; i < 4; i++) row[i] = vld1q_f32(x + 16 * d + 4 * i);
        UNROLL
        for (int q = 0; q < nq; q++) {
            UNROLL
            for (int i = 0; i < 4; i++)
                dots[q][i] = vfmaq_n_f32(dots[q][i], row[i], y[(size_t)q * dim + d]);
        }
    }
    UNROLL
    for (size_t q = 0; q < (size_t)nq; q++) {
        uint32x4_t near[4], scores[4];
        size_t first = group * NLSH__GROUP;
        UNROLL
        for (size_t i = 0; i < 4; i++) {
            float32x4_t bias = vld1q_f32(panel->bias + first + 4 * i);
            float32x4_t score = vfmsq_n_f32(bias, dots[q][i], 2);
            near[i] = vcltq_f32(score, vdupq_n_f32(limits->queries[q0 + q]));
            if (limits->rows != NULL)
                near[i] = vorrq_u32(
                    near[i], vcltq_f32(score, vsubq_f32(vld1q_f32(limits->rows + first + 4 * i),
                                                        vdupq_n_f32(limits->norms[q0 + q]))));
            scores[i] = vreinterpretq_u32_f32(score);
        }
        add_hits(hits, q0 + q, first, near, scores);
    }
}

TARGET static void panel_f32(const struct nlsh__panel_f32 *panel, size_t first_group,
                             size_t n_groups, const float *queries, size_t n_queries,
                             const struct nlsh__limits_f32 *limits, struct nlsh__hits *hits)
{
    for (size_t g = first_group; g < first_group + n_groups; g++) {
        size_t q = 0;
        for (; q + 6 <= n_queries; q += 6) tile_f32(panel, g, queries, q, limits, hits, 6);
        for (; q + 2 <= n_queries; q += 2) tile_f32(panel, g, queries, q, limits, hits, 2);
        if (q < n_queries) tile_f32(panel, g, queries, q, limits, hits, 1);
    }
}

void nlsh__neon_l2sq(struct nlsh__kernels *table)
{
    table->l2sq_u8 = l2sq_u8;
    table->l2sq_f32 = l2sq_f32;
    table->l2sq_f32_u8 = l2sq_f32_u8;
    table->dot_f32 = dot_f32;
    table->l2sq_f32_f16 = l2sq_f32_f16;
    table->dot_f32_f16 = dot_f32_f16;
    table->l2sq_f32_bf16 = l2sq_f32_bf16;
    table->dot_f32_bf16 = dot_f32_bf16;
    table->l2sq_f32_i8 = l2sq_f32_i8;
    table->dot_f32_i8 = dot_f32_i8;
    table->l2sq_u8_rows = l2sq_u8_rows;
    table->panel_f32 = panel_f32;
}
#endif
