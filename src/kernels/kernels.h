/*
 * kernels.h - the arithmetic of scanning, in the widest instructions that the processor has.
 *
 * One table, filled once. Integer kernels agree bit for bit on every instruction set; float
 * kernels differ by rounding only.
 */
#ifndef NLSH_KERNELS_KERNELS_H
#define NLSH_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/nlsh.h"

struct nlsh__panel_u8;
struct nlsh__panel_f32;
struct nlsh__hits;
struct nlsh__bf16;

/* A matrix of signed bytes as a panel holds it, each row with its own scale. */
struct nlsh__layer_i8 {
    size_t n_groups, n_chunks;
    const int8_t *values; /* [n_groups][n_chunks][16 rows][4] */
    const float *scale;   /* [16 x n_groups] */
    const float *bias;    /* [16 x n_groups] */
    const int32_t *sums;  /* [16 x n_groups] of each row's values */
};

/* What comes with the weights of a query: see code_query() below. */
struct nlsh__code_query {
    float length; /* squared, of the input less the centroid */
    float unit;   /* of the weights */
    int32_t sum;  /* of the weights */
};

struct nlsh__kernels {
    const char *name; /* "scalar", "avx2", "avx512", "avx512vnni", "avx512bf16", "amx" */

    /* Squared distances of two rows of dim values; no alignment, nothing read past the rows.
     * u8: exact for dim <= NLSH__MAX_DIM_U8. */
    uint32_t (*l2sq_u8)(const uint8_t *a, const uint8_t *b, size_t dim);
    float (*l2sq_f32)(const float *a, const float *b, size_t dim);
    float (*l2sq_f32_u8)(const float *a, const uint8_t *b, size_t dim);
    float (*dot_f32)(const float *a, const float *b, size_t dim);
    /* out[i] = l2sq_u8(query, base + rows[i] x dim, dim) for i < n. Rows are fetched NLSH__AHEAD
     * before they are used, up to rows[n + n_more - 1]; the first few by the caller. */
    void (*l2sq_u8_rows)(const uint8_t *query, const uint8_t *base, size_t dim,
                         const uint32_t *rows, size_t n, size_t n_more, uint32_t *out);

    /* Many queries against many rows, keeping only what is near: see panel.h. */
    void (*panel_u8)(const struct nlsh__panel_u8 *panel, size_t first_group, size_t n_groups,
                     const int8_t *queries, size_t n_queries, const int32_t *thresholds,
                     struct nlsh__hits *hits);
    void (*panel_f32)(const struct nlsh__panel_f32 *panel, size_t first_group, size_t n_groups,
                      const float *queries, size_t n_queries, const float *thresholds,
                      struct nlsh__hits *hits);

    /* out[16 x n_groups] = bias + W x, W as a panel holds it: [n_groups][dim][16]. values, bias and
     * out are aligned to 64. */
    void (*matvec_f32)(const float *values, const float *bias, size_t n_groups, size_t dim,
                       const float *x, float *out);
    /* A layer of the router: out[16 x n_groups] = bias + scale x_scale W (x - zero), negative values
     * made 0 where relu is 1. x [4 x n_chunks] u8. Exact in integers up to the last product. */
    void (*matvec_i8)(const struct nlsh__layer_i8 *layer, const uint8_t *x, float x_scale, int zero,
                      int relu, float *out);
    /* matvec_i8() of n inputs, row i of x at x + i stride with scale x_scale[i], its answer at out +
     * i out_stride (a multiple of 16). The same bits as one after another. x has NLSH__BLOCK bytes
     * more than its last row, and rows up to a multiple of NLSH__BLOCK, whatever is in them. */
    void (*matmat_i8)(const struct nlsh__layer_i8 *layer, const uint8_t *x, size_t stride, size_t n,
                      const float *x_scale, int zero, int relu, float *out, size_t out_stride);
    /* A query less a bucket's centroid as weights of its codes: weight = (input - centroid) x step,
     * in units of out->unit. n is a multiple of 16, all arrays are aligned to 64 and hold numbers in
     * whatever fills them up. */
    void (*code_query)(const float *inputs, const float *centroid, const float *steps, size_t n,
                       int8_t *weights, struct nlsh__code_query *out);
    /* scores[16 x n_groups] = (bias + constant) - slope x (weights . codes), codes of 4 bits:
     * values [n_groups][n_chunks][16 rows][4], a byte's low half the component 8 chunk + i, its high
     * half 8 chunk + 4 + i. values, bias and scores are aligned to 64. */
    void (*scan_u4)(const uint8_t *values, const float *bias, size_t n_groups, size_t n_chunks,
                    const int8_t *weights, float constant, float slope, float *scores);
    /* The same of the groups whose numbers are in groups[n_groups], which need not stand together; n_more
     * numbers behind them may be next. */
    void (*scan_u4_at)(const uint8_t *values, const float *bias, const uint32_t *groups,
                       size_t n_groups, size_t n_more, size_t n_chunks, const int8_t *weights,
                       float constant, float slope, float *scores);
    /* At least k of scores[n], n a multiple of 16 and k at most 16, are at most the answer, and
     * seldom many more: the k-th of the least of 64 columns. +infinity where there are not so
     * many. */
    float (*bound_f32)(const float *scores, size_t n, size_t k);
    /* Of n rows those whose score lies above `above` and, less unit x error, at most at limit: their
     * numbers, counted from first, into rows, and score - unit x error into least, both in order;
     * returns how many. scores is aligned to 64; room for n + 16 in rows and least. */
    size_t (*near_f32)(const float *scores, const uint8_t *errors, size_t n, float unit,
                       float above, float limit, uint32_t first, uint32_t *rows, float *least);
    /* x[n] becomes its softmax; returns ln sum exp x. n >= 1. */
    float (*softmax_f32)(float *x, size_t n);
    /* Products and passes in bf16 (kernels/bf16.h), for training; NULL where there are none. */
    const struct nlsh__bf16 *bf16;
    /* x[n] to bytes round(x / scale) + zero, filled up with zero to a multiple of 4; zero is 128, or 0
     * where nothing is negative. Returns the scale, that of the largest |x|. The same on every
     * instruction set. */
    float (*quantise_u8)(const float *x, size_t n, int zero, uint8_t *out);
};

#define NLSH__BLOCK                                                                                \
    ((size_t)64) /* inputs that are multiplied together at most; bytes of a register */
#define NLSH__AHEAD ((size_t)8) /* 4 and 16 measured the same */

/* A panel's score, at worst -81,154 a dimension, must fit in int32: 26,461 dimensions. */
#define NLSH__MAX_DIM_U8 ((size_t)26000)
#define NLSH__MAX_DIM ((size_t)1 << 20)

/* The table for this processor, capped by NLSH_CPU. Never NULL; where NLSH_CPU names nothing we
 * know, the scalar table (and nlsh__kernels_check() says so). */
const struct nlsh__kernels *nlsh__kernels(void);

/* NLSH_E_UNSUPPORTED where NLSH_CPU is not one of our names or asks for more than there is. */
enum nlsh_status nlsh__kernels_check(struct nlsh_error *error);

#define NLSH__N_TABLES 8 /* at most */

/* Every table that this processor can run, narrowest first; for tests. */
size_t nlsh__kernels_all(const struct nlsh__kernels **out, size_t capacity);

#endif
