/*
 * bf16.h - what training needs in bf16: products of packed tiles, packing, and the passes that go
 * with them. Only processors with such products have it (nlsh__kernels()->bf16, else NULL).
 *
 * A matrix is packed in tiles of 16 x 32 values, a kilobyte each; everything is filled up with zeros
 * to whole tiles:
 *   left of a product,  [rows x k]  tile (i, t) holds rows 16 i .. + 15, k 32 t .. + 31, a row after
 *                                   the other
 *   right of it,        [k x cols]  tile (j, t) holds k 32 t .. + 31 of columns 16 j .. + 15: pairs of
 *                                   k, in a pair column after column, the two values side by side
 * Tile (i, t) stands at i x step + t x NLSH__TILE. That is what both instruction sets read: AMX's
 * tdpbf16ps as it is, AVX-512's vdpbf16ps a row of it at a time.
 *
 * Values are rounded to the nearest even; sums are f32, denormals are zero.
 */
#ifndef NLSH_KERNELS_BF16_H
#define NLSH_KERNELS_BF16_H

#include <stddef.h>
#include <stdint.h>

#define NLSH__TILE ((size_t)512) /* values in a tile */
#define NLSH__SIDE ((size_t)32)  /* blocks are packed by 32 x 32 values */

struct nlsh__adamw;

struct nlsh__bf16 {
    int tiles; /* 1: a matrix unit does the products, many times as fast as any in f32 */

    /* Around a row of other calls on one thread. */
    void (*begin)(void);
    void (*end)(void);

    /* c [16 ni x 16 nj], rows ldc apart, = A B over nk tiles of k. ni and nj are even. c is aligned to
     * 64 and ldc a multiple of 16. */
    void (*product)(const uint16_t *a, size_t a_step, const uint16_t *b, size_t b_step, size_t ni,
                    size_t nj, size_t nk, float *c, size_t ldc);

    /* A block of 32 x 32 floats, rows ld apart, as two tiles of one side of a product. */
    void (*left)(const float *x, size_t ld, uint16_t *first, uint16_t *second);    /* rows, k */
    void (*right)(const float *x, size_t ld, uint16_t *first, uint16_t *second);   /* k, columns */
    void (*left_t)(const float *x, size_t ld, uint16_t *first, uint16_t *second);  /* k, rows */
    void (*right_t)(const float *x, size_t ld, uint16_t *first, uint16_t *second); /* columns, k */

    /* x [n_rows x 32] += bias; relu: and what is below 0 becomes 0. */
    void (*add)(float *x, size_t ld, size_t n_rows, const float *bias, int relu);
    /* x [32 x 32] times scale, and 0 where the same place of two left tiles is not above 0. */
    void (*gate)(float *x, size_t ld, const uint16_t *first, const uint16_t *second, float scale);
    /* sums [32] += the rows of x [n_rows x 32]. */
    void (*columns)(const float *x, size_t ld, size_t n_rows, float *sums);

    /* Scores bias - 2 dots of n values, a multiple of 64. least: of those at i % 64 == lane the least,
     * for each of 64 lanes. below: those that are most or less, in order, and first + where they stood;
     * returns how many, room for n + 16. */
    void (*least)(const float *dots, const float *bias, size_t n, float *lanes);
    size_t (*below)(const float *dots, const float *bias, size_t n, float most, uint32_t first,
                    float *scores, uint32_t *ids);

    /* AdamW on n_rows x n_columns (at most 32) parameters and their moments, rows ld apart; the
     * gradient's rows are 32 apart. */
    void (*adamw)(float *parameters, float *first, float *second, size_t ld, const float *gradient,
                  size_t n_rows, size_t n_columns, const struct nlsh__adamw *step);
};

#endif
