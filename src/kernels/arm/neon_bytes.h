/*
 * neon_bytes.h - panels of bytes and layers of bytes around their products, which the sets make in
 * different ways: a file that includes this defines products() and, as macros before,
 *
 *   AT_ONCE         vectors (queries of a panel, inputs of a layer) that share the loads of rows
 *   GROUPS_AT_ONCE  groups that share the loads of one vector
 *   SHIFT           what is taken from each unsigned byte before it is multiplied
 *
 * A panel's rows are unsigned and its queries signed; a layer's rows are signed and its inputs
 * unsigned. Where only two signed bytes can be multiplied, unsigned ones have their highest bit
 * flipped, which takes 128 from them: u s = (u - 128) s + 128 s, where the sum of all s is known.
 */
#ifndef NLSH_KERNELS_ARM_NEON_BYTES_H
#define NLSH_KERNELS_ARM_NEON_BYTES_H

#include "kernels/arm/neon.h"

enum side { ROWS, VECTORS };

/* The register x is made here and not earlier. Else gcc 12 loads all rows of a step first, and sums go to
 * the stack: matmat_i8() of 64 x 512 x 512 took 1.81 million instructions with sdot, and takes 1.69. */
#define KEEP_HERE(x) __asm__ volatile("" : "+w"(x))

/*
 * sums[v x ng + g][i] = the products of the rows 4 i .. 4 i + 3 of group g with vector v, the side that
 * is unsigned less SHIFT. nv is AT_ONCE, 2 or 1 and ng 1, or nv is 1 and ng GROUPS_AT_ONCE; both
 * are known when inlined.
 *
 *  rows     [ng][n_chunks][16 rows][4]
 *  vectors  [nv x stride], of each 4 x n_chunks bytes
 */
INLINE void products(const void *rows, size_t n_chunks, const void *vectors, size_t stride,
                     int32x4_t (*sums)[4], const int nv, const int ng, const enum side is_unsigned);

/* ---- panels ---------------------------------------------------------------------------------- */

/* Of a group of a panel of bytes, whose products with query q are dot[4], appends the near rows. */
INLINE void add_near_u8(const struct nlsh__panel_u8 *panel, size_t group, const int32x4_t *dot,
                        size_t q, const struct nlsh__limits_u8 *limits, struct nlsh__hits *hits)
{
    size_t row = group * NLSH__GROUP;
    uint32x4_t near[4], scores[4];
    UNROLL
    for (size_t i = 0; i < 4; i++) {
        int32x4_t score = vmlsq_n_s32(vld1q_s32(panel->bias + row + 4 * i), dot[i], 2);
        int32x4_t limit = vdupq_n_s32(limits->queries[q]);
        if (limits->rows != NULL)
            limit = vmaxq_s32(limit, vsubq_s32(vld1q_s32(limits->rows + row + 4 * i),
                                               vdupq_n_s32(limits->norms[q])));
        near[i] = vcltq_s32(score, limit);
        scores[i] = vreinterpretq_u32_s32(score);
    }
    add_hits(hits, q, row, near, scores);
}

/* The sum of 4 x n_chunks signed bytes. */
INLINE int32_t sum_of_query(const int8_t *query, size_t n_chunks)
{
    int32x4_t sums = vdupq_n_s32(0);
    size_t i = 0;
    for (; i + 16 <= 4 * n_chunks; i += 16)
        sums = vpadalq_s16(sums, vpaddlq_s8(vld1q_s8(query + i)));
    int32_t sum = vaddvq_s32(sums);
    for (; i < 4 * n_chunks; i++) sum += query[i];
    return sum;
}

/* nq queries, q0 and those behind it, with a group. rests[i] = SHIFT x the sum of query q0 + i. */
INLINE void tile_u8(const struct nlsh__panel_u8 *panel, size_t group, const int8_t *queries,
                    size_t q0, const int32_t *rests, const struct nlsh__limits_u8 *limits,
                    struct nlsh__hits *hits, const int nq)
{
    size_t stride = panel->n_chunks * 4;
    int32x4_t dots[AT_ONCE][4];
    products(panel->values + group * panel->n_chunks * 64, panel->n_chunks, queries + q0 * stride,
             stride, dots, nq, 1, ROWS);
    for (size_t q = 0; q < (size_t)nq; q++) {
        UNROLL
        for (size_t i = 0; i < 4; i++) dots[q][i] = vaddq_s32(dots[q][i], vdupq_n_s32(rests[q]));
        add_near_u8(panel, group, dots[q], q0 + q, limits, hits);
    }
}

/* Queries whose sums are made once for all groups: they stay in the first cache beside a group. */
enum { QUERIES = 48 };

TARGET static void panel_u8(const struct nlsh__panel_u8 *panel, size_t first_group, size_t n_groups,
                            const int8_t *queries, size_t n_queries,
                            const struct nlsh__limits_u8 *limits, struct nlsh__hits *hits)
{
    for (size_t first = 0; first < n_queries; first += QUERIES) {
        size_t end = n_queries - first < QUERIES ? n_queries : first + QUERIES;
        int32_t rests[QUERIES];
        for (size_t q = first; q < end; q++)
            rests[q - first] =
                SHIFT * sum_of_query(queries + q * panel->n_chunks * 4, panel->n_chunks);
        for (size_t g = first_group; g < first_group + n_groups; g++) {
            size_t q = first;
            for (; q + AT_ONCE <= end; q += AT_ONCE)
                tile_u8(panel, g, queries, q, rests + (q - first), limits, hits, AT_ONCE);
            for (; AT_ONCE > 2 && q + 2 <= end; q += 2)
                tile_u8(panel, g, queries, q, rests + (q - first), limits, hits, 2);
            if (q < end) tile_u8(panel, g, queries, q, rests + (q - first), limits, hits, 1);
        }
    }
}

/* ---- layers of bytes ------------------------------------------------------------------------- */

/* The last steps of matvec_i8() for a group: sums[4] are W (x - SHIFT). */
INLINE void layer_answer(const struct nlsh__layer_i8 *layer, size_t group, const int32x4_t *sums,
                         float x_scale, int zero, int relu, float *out)
{
    UNROLL
    for (size_t i = 0; i < 4; i++) {
        size_t row = group * NLSH__GROUP + 4 * i;
        int32x4_t dot = vmlaq_n_s32(sums[i], vld1q_s32(layer->sums + row), SHIFT - zero);
        float32x4_t scale = vmulq_n_f32(vld1q_f32(layer->scale + row), x_scale);
        float32x4_t v =
            vaddq_f32(vmulq_f32(vcvtq_f32_s32(dot), scale), vld1q_f32(layer->bias + row));
        uint32x4_t below = vandq_u32(vcltzq_f32(v), vdupq_n_u32(relu ? UINT32_MAX : 0));
        v = vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(v), below));
        vst1q_f32(out + row, v);
    }
}

/* nv inputs with ng groups. */
INLINE void tile_i8(const struct nlsh__layer_i8 *layer, size_t group, const uint8_t *x,
                    size_t stride, const float *x_scale, int zero, int relu, float *out,
                    size_t out_stride, const int nv, const int ng)
{
    int32x4_t sums[AT_ONCE * GROUPS_AT_ONCE][4];
    products(layer->values + group * layer->n_chunks * 64, layer->n_chunks, x, stride, sums, nv, ng,
             VECTORS);
    UNROLL
    for (size_t v = 0; v < (size_t)nv; v++) {
        UNROLL
        for (size_t g = 0; g < (size_t)ng; g++)
            layer_answer(layer, group + g, sums[v * (size_t)ng + g], x_scale[v], zero, relu,
                         out + v * out_stride);
    }
}

TARGET static void matvec_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, float x_scale,
                             int zero, int relu, float *out)
{
    size_t g = 0;
    for (; g + GROUPS_AT_ONCE <= layer->n_groups; g += GROUPS_AT_ONCE)
        tile_i8(layer, g, x, 0, &x_scale, zero, relu, out, 0, 1, GROUPS_AT_ONCE);
    for (; g < layer->n_groups; g++) tile_i8(layer, g, x, 0, &x_scale, zero, relu, out, 0, 1, 1);
}

TARGET static void matmat_i8(const struct nlsh__layer_i8 *layer, const uint8_t *x, size_t stride,
                             size_t n, const float *x_scale, int zero, int relu, float *out,
                             size_t out_stride)
{
    for (size_t g = 0; g < layer->n_groups; g++) {
        size_t i = 0;
        for (; i + AT_ONCE <= n; i += AT_ONCE)
            tile_i8(layer, g, x + i * stride, stride, x_scale + i, zero, relu, out + i * out_stride,
                    out_stride, AT_ONCE, 1);
        for (; AT_ONCE > 2 && i + 2 <= n; i += 2)
            tile_i8(layer, g, x + i * stride, stride, x_scale + i, zero, relu, out + i * out_stride,
                    out_stride, 2, 1);
    }
    if (n % 2 != 0) {
        x += (n - 1) * stride;
        matvec_i8(layer, x, x_scale[n - 1], zero, relu, out + (n - 1) * out_stride);
    }
}

#endif
