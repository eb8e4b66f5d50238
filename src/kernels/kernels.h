/*
 * kernels.h - the arithmetic of searching and building, in the widest instructions that the processor
 * has.
 *
 * There is one table of functions for each instruction set. Kernels of integers give the same bits in
 * every table. Kernels of floats differ by rounding only, where nothing else is said.
 *
 * A kernel reads and writes the arrays that its contract names, and not a byte beside them. The one
 * exception is matmat_i8(). Arrays need no alignment where none is said.
 */
#ifndef NLSH_KERNELS_KERNELS_H
#define NLSH_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/nlsh.h"

struct nlsh__panel_u8;
struct nlsh__panel_f32;
struct nlsh__hits;
struct nlsh__limits_u8;
struct nlsh__limits_f32;
struct nlsh__bf16;

/*
 * A layer's weights as signed bytes. Like rows in a panel, 16 rows stand together, four values of each
 * side by side. All arrays are aligned to 64.
 *
 * Values 0 and 1 of a row are a pair, 2 and 3 the next one, and so on. Pairs fit where the two values of
 * each add up to -NLSH__MOST_PAIR .. NLSH__MOST_PAIR: then a pair's products with any two bytes add up to
 * what 16 bits hold. Some kernels are faster there; the answer is the same.
 *
 * Where a damaged file has other sums than those of the values, every table gives some answer, and not the
 * same one: some take a part of the product from them.
 */
struct nlsh__layer_i8 {
    size_t n_groups, n_chunks;
    const int8_t *values; /* [n_groups][n_chunks][16 rows][4] */
    const float *scale;   /* [16 x n_groups] one a row */
    const float *bias;    /* [16 x n_groups] */
    const int32_t *sums;  /* [16 x n_groups] of each row's values */
    int pairs_fit;        /* 1: they do; 0: nobody looked, or they do not */
};

/* What code_query() finds beside the weights. */
struct nlsh__code_query {
    float length; /* the squared length of inputs - centroid */
    float unit;   /* what a weight of 1 stands for */
    int32_t sum;  /* of the weights */
};

/* What a step of AdamW with Nesterov's momentum is made of: it goes where the first moment will be when
 * the same gradient has come once more, beta1 first + (1 - beta1) gradient. */
struct nlsh__adamw {
    float scale; /* the gradient is multiplied by it first */
    float rate;  /* learning rate / (1 - beta1^(step + 1)), what that moment's weights add up to */
    float correction; /* 1 / sqrt(1 - beta2^step) */
    float keep;       /* 1 - learning rate x decay */
};

struct nlsh__kernels {
    const char *name; /* of the instruction set, as NLSH_CPU takes it */
    int fast_bytes; /* while panel_f32() makes one product panel_u8() makes 1: four or more, 2: sixteen or more */

    /* ---- distances: X_l2sq.c ---- */

    /* The squared distance of two rows of dim values. u8: exact for dim <= NLSH__MAX_DIM_U8. */
    uint32_t (*l2sq_u8)(const uint8_t *a, const uint8_t *b, size_t dim);
    float (*l2sq_f32)(const float *a, const float *b, size_t dim);
    float (*l2sq_f32_u8)(const float *a, const uint8_t *b, size_t dim);
    float (*dot_f32)(const float *a, const float *b, size_t dim);
    /* The same with b in f16, in bf16, and as bytes times a scale (base/rounding.h): to the bit what l2sq_f32() and
     * dot_f32() of this table say of b's values as f32. */
    float (*l2sq_f32_f16)(const float *a, const uint16_t *b, size_t dim);
    float (*dot_f32_f16)(const float *a, const uint16_t *b, size_t dim);
    float (*l2sq_f32_bf16)(const float *a, const uint16_t *b, size_t dim);
    float (*dot_f32_bf16)(const float *a, const uint16_t *b, size_t dim);
    float (*l2sq_f32_i8)(const float *a, const int8_t *b, float scale, size_t dim);
    float (*dot_f32_i8)(const float *a, const int8_t *b, float scale, size_t dim);
    /* out[i] = l2sq_u8(query, base + rows[i] x dim, dim) for i < n. rows has n + n_more numbers: the
     * last n_more rows are not compared, but will be next. A row is fetched into the cache NLSH__AHEAD
     * places before it is used; the caller fetches the first NLSH__AHEAD. */
    void (*l2sq_u8_rows)(const uint8_t *query, const uint8_t *base, size_t dim,
                         const uint32_t *rows, size_t n, size_t n_more, uint32_t *out);

    /* Compares every query with every row of some groups of a panel, and appends the rows that the limits
     * let through to the query's hits: see panel.h. */
    void (*panel_u8)(const struct nlsh__panel_u8 *panel, size_t first_group, size_t n_groups,
                     const int8_t *queries, size_t n_queries, const struct nlsh__limits_u8 *limits,
                     struct nlsh__hits *hits);
    void (*panel_f32)(const struct nlsh__panel_f32 *panel, size_t first_group, size_t n_groups,
                      const float *queries, size_t n_queries, const struct nlsh__limits_f32 *limits,
                      struct nlsh__hits *hits);

    /* ---- codes: X_codes.c ---- */

    /*
     * A query, seen from a bucket's centroid, as one signed byte for each component of the bucket's
     * codes. With d = inputs - centroid:
     *   weights[i]   = d[i] x steps[i] / unit, rounded to a whole number
     *   out->unit    = the largest |d[i] x steps[i]| / 127, so that weights lie in -127 .. 127
     *   out->length  = the sum of d[i]^2
     *   out->sum     = the sum of the weights
     * The four arrays have n values, n a multiple of 16, and are aligned to 64. Every table gives the
     * same bits. Where a value is NaN or infinite (a damaged file), the weights are any bytes.
     */
    void (*code_query)(const float *inputs, const float *centroid, const float *steps, size_t n,
                       int8_t *weights, struct nlsh__code_query *out);
    /*
     * One score for each row: scores[row] = (bias[row] + constant) - slope x (weights . code of row).
     *
     *  values   [n_groups][n_chunks][16 rows][4] codes of 4 bits, two in a byte. A chunk is 8
     *           components of each of 16 rows. In byte i of a row, the low half is component
     *           8 chunk + i, the high half component 8 chunk + 4 + i.
     *  weights  [8 x n_chunks]
     *  bias, scores  [16 x n_groups]; these two and values are aligned to 64.
     * Every table gives the same bits.
     */
    void (*scan_u4)(const uint8_t *values, const float *bias, size_t n_groups, size_t n_chunks,
                    const int8_t *weights, float constant, float slope, float *scores);
    /* The same for chosen groups: scores[16 x n_groups] are those of groups[0], groups[1], and so on.
     * values and bias have room for every group that is named. groups has n_groups + n_more numbers;
     * the last n_more are not scored, but will be next. A group is fetched into the cache
     * NLSH__GROUPS_AHEAD places before it is scored; the caller fetches the first NLSH__GROUPS_AHEAD. */
    void (*scan_u4_at)(const uint8_t *values, const float *bias, const uint32_t *groups,
                       size_t n_groups, size_t n_more, size_t n_chunks, const int8_t *weights,
                       float constant, float slope, float *scores);
    /* A bound that at least k of the scores do not exceed, and few more: scores are dealt out to 64
     * columns, and the answer is the k-th smallest of the columns' least. +infinity where fewer than k
     * columns have a number. n is a multiple of 16, k is 1 to 16, scores is aligned to 64. */
    float (*bound_f32)(const float *scores, size_t n, size_t k);
    /* Lists the rows that may be near. Row i may lie as low as low = scores[i] - unit x errors[i]; it
     * is listed where scores[i] > above and low <= limit. rows gets first + i and least gets low, both
     * in ascending order of i. Returns how many. scores has n values and is aligned to 64; rows and
     * least have room for n + 16. */
    size_t (*near_f32)(const float *scores, const uint8_t *errors, size_t n, float unit,
                       float above, float limit, uint32_t first, uint32_t *rows, float *least);

    /* ---- the network: X_network.c ---- */

    /* out[16 x n_groups] = bias + W x. values holds W as a panel does: [n_groups][dim][16]. values,
     * bias and out are aligned to 64. */
    void (*matvec_f32)(const float *values, const float *bias, size_t n_groups, size_t dim,
                       const float *x, float *out);
    /* A layer of the router: out[16 x n_groups] = bias + scale x x_scale x W (x - zero), negative
     * values made 0 where relu is 1. x has 4 x n_chunks bytes. Every table gives the same bits: W x is
     * exact, and no two operations behind it are joined. */
    void (*matvec_i8)(const struct nlsh__layer_i8 *layer, const uint8_t *x, float x_scale, int zero,
                      int relu, float *out);
    /* matvec_i8() of n inputs, with the same bits: input i is at x + i x stride and has x_scale[i], its
     * answer goes to out + i x out_stride. x is readable beyond the n inputs: up to the next multiple
     * of NLSH__BLOCK inputs, and NLSH__BLOCK bytes more. What is there does not matter. */
    void (*matmat_i8)(const struct nlsh__layer_i8 *layer, const uint8_t *x, size_t stride, size_t n,
                      const float *x_scale, int zero, int relu, float *out, size_t out_stride);
    /* x[n] becomes its softmax. Returns ln sum exp x. n >= 1. Where a value is NaN or +infinity, or all
     * are -infinity, all answers are NaN. */
    float (*softmax_f32)(float *x, size_t n);
    /* Floats as bytes: out[i] = x[i] / scale + zero, rounded, where scale, which it returns, is that of
     * the largest |x[i]|. zero is 128, or 0 where no value is negative. out has n bytes, filled up with
     * zero to a multiple of 4. Every table gives the same bits. NaN counts as 0 in the scale and
     * becomes any byte; where a value is infinite, the scale is 0. */
    float (*quantise_u8)(const float *x, size_t n, int zero, uint8_t *out);

    /* ---- training: X_training.c ---- */

    /* out[i][j] = bias[j] + x[i] . w[j] for i < n_x and j < n_w. Rows of x have dim values and stand
     * anywhere; w is [n_w x dim]. */
    void (*dots_f32)(const float *const *x, size_t n_x, const float *w, size_t n_w,
                     const float *bias, size_t dim, float *const *out);
    /* c[i] += the sum over t < n_b of a[i x row + t x term] b[t], for i < n_c. Rows of c and b have dim
     * values and stand anywhere. */
    void (*mix_f32)(float *const *c, size_t n_c, const float *a, size_t row, size_t term,
                    const float *const *b, size_t n_b, size_t dim);
    /* A step of AdamW (router/train/train.c) on n parameters and their moments. */
    void (*adamw_f32)(float *parameters, const float *gradient, float *first, float *second,
                      size_t n, const struct nlsh__adamw *step);
    /* Products and passes in bf16: see bf16.h. NULL where there are none. */
    const struct nlsh__bf16 *bf16;
};

#define NLSH__MOST_PAIR 128      /* 255 x 128 is below 32,768 */
#define NLSH__BLOCK ((size_t)64) /* the inputs of matmat_i8() are laid out in blocks of this many */
#define NLSH__AHEAD ((size_t)8)  /* 16: rows of 512 floats are ranked 3 % slower, bytes as fast */
#define NLSH__GROUPS_AHEAD ((size_t)8) /* 4: 5 % slower on SIFT-1M; 12 and 16 measured the same */

/* A panel's score, at worst -81,154 a dimension, must fit in int32: 26,461 dimensions. */
#define NLSH__MAX_DIM_U8 ((size_t)26000)
#define NLSH__MAX_DIM ((size_t)1 << 20)

/* The table that serves: the widest that the processor has and NLSH_CPU allows. Never NULL. Where
 * NLSH_CPU is no name of ours, it is the table of plain C, and nlsh__kernels_check() says so. */
const struct nlsh__kernels *nlsh__kernels(void);

/* NLSH_E_UNSUPPORTED where NLSH_CPU is not one of our names. */
enum nlsh_status nlsh__kernels_check(struct nlsh_error *error);

#define NLSH__N_TABLES 8 /* at most */

/* Every table that the processor has and NLSH_CPU allows, narrowest first; for tests. Returns how many
 * there are and writes at most capacity of them. */
size_t nlsh__kernels_all(const struct nlsh__kernels **out, size_t capacity);

#endif
