/* tables.h - the table of each instruction set; kernels.c chooses among them. */
#ifndef NLSH_KERNELS_TABLES_H
#define NLSH_KERNELS_TABLES_H

#include <math.h>

#include "kernels/bf16.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"

extern const struct nlsh__kernels nlsh__kernels_scalar;

float nlsh__quantise_u8(const float *x, size_t n, int zero, uint8_t *out);

/* The factor to bytes, and in scale that from bytes; 0 where most is not a number above 0. */
static inline float nlsh__quantise_scale(float most, int zero, float *scale)
{
    float room = zero == 0 ? 255.0f : 127.0f;
    if (!(most > 0 && most < INFINITY)) return 0;
    *scale = most / room;
    return room / most;
}

#if defined(__x86_64__)
extern const struct nlsh__kernels nlsh__kernels_avx2;
extern const struct nlsh__kernels nlsh__kernels_avx512;
extern const struct nlsh__kernels nlsh__kernels_avx512vnni;

extern const struct nlsh__bf16 nlsh__bf16_avx512;
/* 1 where the processor has bf16 and byte tiles and the system lets this process use them. */
int nlsh__amx_allowed(void);
/* Turns a table of AVX-512 with VNNI and bf16 into that of the tiles. */
void nlsh__amx_fill(struct nlsh__kernels *table);

/* Kernels that a wider table takes over as they are. */
void nlsh__panel_u8_avx2(const struct nlsh__panel_u8 *panel, size_t first_group, size_t n_groups,
                         const int8_t *queries, size_t n_queries, const int32_t *thresholds,
                         struct nlsh__hits *hits);
void nlsh__panel_f32_avx512(const struct nlsh__panel_f32 *panel, size_t first_group,
                            size_t n_groups, const float *queries, size_t n_queries,
                            const float *thresholds, struct nlsh__hits *hits);
void nlsh__matvec_f32_avx512(const float *values, const float *bias, size_t n_groups, size_t dim,
                             const float *x, float *out);
void nlsh__matvec_i8_avx2(const struct nlsh__layer_i8 *layer, const uint8_t *x, float x_scale,
                          int zero, int relu, float *out);
void nlsh__matmat_i8_avx2(const struct nlsh__layer_i8 *layer, const uint8_t *x, size_t stride,
                          size_t n, const float *x_scale, int zero, int relu, float *out,
                          size_t out_stride);
void nlsh__matmat_i8_vnni(const struct nlsh__layer_i8 *layer, const uint8_t *x, size_t stride,
                          size_t n, const float *x_scale, int zero, int relu, float *out,
                          size_t out_stride);
void nlsh__scan_u4_avx2(const uint8_t *values, const float *bias, size_t n_groups, size_t n_chunks,
                        const int8_t *weights, float constant, float slope, float *scores);
void nlsh__scan_u4_at_avx2(const uint8_t *values, const float *bias, const uint32_t *groups,
                           size_t n_groups, size_t n_more, size_t n_chunks, const int8_t *weights,
                           float constant, float slope, float *scores);
void nlsh__code_query_avx512(const float *inputs, const float *centroid, const float *steps,
                             size_t n, int8_t *weights, struct nlsh__code_query *out);
float nlsh__bound_f32_avx512(const float *scores, size_t n, size_t k);
size_t nlsh__near_f32_avx512(const float *scores, const uint8_t *errors, size_t n, float unit,
                             float above, float limit, uint32_t first, uint32_t *rows,
                             float *least);
float nlsh__softmax_f32_avx512(float *x, size_t n);
float nlsh__quantise_u8_avx512(const float *x, size_t n, int zero, uint8_t *out);
float nlsh__l2sq_f32_avx512(const float *a, const float *b, size_t dim);
float nlsh__l2sq_f32_u8_avx512(const float *a, const uint8_t *b, size_t dim);
float nlsh__dot_f32_avx512(const float *a, const float *b, size_t dim);
#endif

#endif
