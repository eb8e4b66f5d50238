/*
 * training.h - training's products of rows that stand anywhere, for registers of any width. A file
 * says first what its registers are:
 *   V, LANES, N_ROWS        the type, its floats, and how many rows of 4 sums fit in the registers
 *   zero(), spread(x)       no value; one value in all lanes
 *   load(at, n), store(at, n, v)  n values, of LANES
 *   add_product(a, b, c)            a b + c
 *   sum_4(v, out)           out[0..3] += the sums of four registers
 */
#ifndef NLSH_KERNELS_X86_TRAINING_H
#define NLSH_KERNELS_X86_TRAINING_H

/* 4 columns of sums for nr rows: more registers than that there are not. */
enum { COLUMNS = 4 };

/* out[i][j] = bias[j] + x[i] . w[j], of nr rows and nc rows of weights. */
INLINE void dots_block(const float *const *x, const float *w, const float *bias, size_t dim,
                       float *const *out, const int nr, const int nc)
{
    V sums[N_ROWS][COLUMNS];
    UNROLL
    for (int i = 0; i < nr; i++) UNROLL
    for (int j = 0; j < COLUMNS; j++) sums[i][j] = zero();
    for (size_t d = 0; d < dim; d += LANES) {
        size_t n = dim - d < LANES ? dim - d : LANES;
        V rows[N_ROWS];
        UNROLL
        for (int i = 0; i < nr; i++) rows[i] = load(x[i] + d, n);
        UNROLL
        for (int j = 0; j < nc; j++) {
            V weights = load(w + (size_t)j * dim + d, n);
            UNROLL
            for (int i = 0; i < nr; i++) sums[i][j] = add_product(rows[i], weights, sums[i][j]);
        }
    }
    UNROLL
    for (int i = 0; i < nr; i++) {
        float found[COLUMNS];
        sum_4(sums[i], found);
        for (int j = 0; j < nc; j++) out[i][j] = bias[j] + found[j];
    }
}

INLINE void dots_rows(const float *const *x, const float *w, size_t n_w, const float *bias,
                      size_t dim, float *const *out, const int nr)
{
    size_t j = 0;
    float *to[N_ROWS];
    for (; j + COLUMNS <= n_w; j += COLUMNS) {
        UNROLL
        for (int i = 0; i < nr; i++) to[i] = out[i] + j;
        dots_block(x, w + j * dim, bias + j, dim, to, nr, COLUMNS);
    }
    for (; j < n_w; j++) {
        UNROLL
        for (int i = 0; i < nr; i++) to[i] = out[i] + j;
        dots_block(x, w + j * dim, bias + j, dim, to, nr, 1);
    }
}

TARGET static void dots_f32(const float *const *x, size_t n_x, const float *w, size_t n_w,
                            const float *bias, size_t dim, float *const *out)
{
    size_t i = 0;
    for (; i + N_ROWS <= n_x; i += N_ROWS) dots_rows(x + i, w, n_w, bias, dim, out + i, N_ROWS);
    for (; i < n_x; i++) dots_rows(x + i, w, n_w, bias, dim, out + i, 1);
}

/* Columns d on, n of them in nc registers: nc > 1 only where all are whole. */
INLINE void mix_block(float *const *c, const float *a, size_t row, size_t term,
                      const float *const *b, size_t n_b, size_t d, size_t n, const int nr,
                      const int nc)
{
    V sums[N_ROWS][COLUMNS];
    UNROLL
    for (int i = 0; i < nr; i++) UNROLL
    for (int j = 0; j < nc; j++) sums[i][j] = load(c[i] + d + (size_t)j * LANES, n);
    for (size_t t = 0; t < n_b; t++) {
        V factors[N_ROWS];
        UNROLL
        for (int i = 0; i < nr; i++) factors[i] = spread(a[(size_t)i * row + t * term]);
        UNROLL
        for (int j = 0; j < nc; j++) {
            V values = load(b[t] + d + (size_t)j * LANES, n);
            UNROLL
            for (int i = 0; i < nr; i++) sums[i][j] = add_product(factors[i], values, sums[i][j]);
        }
    }
    UNROLL
    for (int i = 0; i < nr; i++) UNROLL
    for (int j = 0; j < nc; j++) store(c[i] + d + (size_t)j * LANES, n, sums[i][j]);
}

INLINE void mix_rows(float *const *c, const float *a, size_t row, size_t term,
                     const float *const *b, size_t n_b, size_t dim, const int nr)
{
    size_t d = 0;
    for (; d + COLUMNS * LANES <= dim; d += COLUMNS * LANES)
        mix_block(c, a, row, term, b, n_b, d, LANES, nr, COLUMNS);
    for (; d < dim; d += LANES)
        mix_block(c, a, row, term, b, n_b, d, dim - d < LANES ? dim - d : LANES, nr, 1);
}

TARGET static void mix_f32(float *const *c, size_t n_c, const float *a, size_t row, size_t term,
                           const float *const *b, size_t n_b, size_t dim)
{
    size_t i = 0;
    for (; i + N_ROWS <= n_c; i += N_ROWS)
        mix_rows(c + i, a + i * row, row, term, b, n_b, dim, N_ROWS);
    for (; i < n_c; i++) mix_rows(c + i, a + i * row, row, term, b, n_b, dim, 1);
}

TARGET static void adamw_f32(float *parameters, const float *gradient, float *first, float *second,
                             size_t n, const struct nlsh__adamw *step)
{
    const V scale = spread(step->scale), rate = spread(-step->rate), keep = spread(step->keep);
    const V correction = spread(step->correction), epsilon = spread(1e-8f);
    const V b1 = spread(0.9f), c1 = spread(1 - 0.9f), b2 = spread(0.999f), c2 = spread(1 - 0.999f);
    for (size_t i = 0; i < n; i += LANES) {
        size_t left = n - i < LANES ? n - i : LANES;
        V g = product(load(gradient + i, left), scale);
        V m = add_product(c1, g, product(b1, load(first + i, left)));
        V v = add_product(product(c2, g), g, product(b2, load(second + i, left)));
        V ahead = add_product(c1, g, product(b1, m));
        V by = quotient(product(rate, ahead), add_product(root(v), correction, epsilon));
        store(first + i, left, m);
        store(second + i, left, v);
        store(parameters + i, left, add_product(load(parameters + i, left), keep, by));
    }
}

#endif
