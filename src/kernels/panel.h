/*
 * panel.h - rows packed so that one register holds the same part of 16 rows.
 *
 * A panel is what a block of queries is compared with: exact neighbours, k-means and batches all
 * come down to "which of these rows lie nearer to this query than its threshold". The products
 * stay in registers and only the near ones are written, so no matrix of distances ever exists.
 *
 * Scores order as squared distances do, the query's own share left out:
 *   u8   score = sum x (x - 256) - 2 sum x (q - 128)     l2sq = score + |q|^2, exact
 *   f32  score = |x|^2 - 2 x.q                           l2sq = score + |q|^2, rounded
 * A row that only fills up the last group scores INT32_MAX, or +infinity, and is never a hit.
 */
#ifndef NLSH_KERNELS_PANEL_H
#define NLSH_KERNELS_PANEL_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/nlsh.h"

#define NLSH__GROUP ((size_t)16) /* rows in a group: the lanes of a 512-bit register */

struct nlsh__panel_u8 {
    size_t n_rows, dim;
    size_t n_groups; /* ceil(n_rows / 16) */
    size_t n_chunks; /* ceil(dim / 4): 4 bytes of a row stand together */
    uint8_t *values; /* [n_groups][n_chunks][16 rows][4] */
    int32_t *bias;   /* [n_groups x 16] */
};

struct nlsh__panel_f32 {
    size_t n_rows, dim, n_groups;
    float *values; /* [n_groups][dim][16 rows] */
    float *bias;   /* [n_groups x 16] */
};

/*
 * Which rows are hits of a query: those whose score is below the query's own limit. Where rows is not NULL,
 * one product serves both of its vectors, and these are hits besides:
 *   score < rows[row] - norms[query]
 * If norms are the queries' |q|^2, that is l2sq < rows[row]: the query comes into question for the row.
 */
struct nlsh__limits_u8 {
    const int32_t *queries; /* [n_queries] */
    const int32_t *rows;    /* [16 x n_groups] of the panel, all >= 0; or NULL */
    const int32_t *norms;   /* [n_queries] >= 0, where rows is */
};

struct nlsh__limits_f32 {
    const float *queries, *rows,
        *norms; /* as above, of any sign; a difference that is no number lets none through */
};

/* What came out nearer than the limits, a list a query: query i's hits stand at i x capacity.
 * capacity must be at least 16 x (the groups of a call + 1): whole registers are stored. */
struct nlsh__hits {
    size_t capacity;
    uint32_t *n;   /* [n_queries] in and out: a call appends */
    uint32_t *ids; /* [n_queries x capacity] rows of the panel */
    union {
        int32_t *i32; /* [n_queries x capacity] */
        float *f32;
    } scores;
};

/* Packs rows first .. first + n - 1 of [.. x dim]. NLSH_E_NOMEM. */
enum nlsh_status nlsh__panel_u8_create(const uint8_t *rows, size_t n_rows, size_t dim,
                                       struct nlsh__panel_u8 *out, struct nlsh_error *error);
/* offset [dim], or NULL, is taken from every row first. */
enum nlsh_status nlsh__panel_f32_create(const float *rows, const float *offset, size_t n_rows,
                                        size_t dim, struct nlsh__panel_f32 *out,
                                        struct nlsh_error *error);
void nlsh__panel_u8_free(struct nlsh__panel_u8 *panel);
void nlsh__panel_f32_free(struct nlsh__panel_f32 *panel);

/* A query as panel_u8() takes it: q - 128, padded with zeros to 4 x n_chunks. */
void nlsh__panel_u8_query(const uint8_t *query, size_t dim, int8_t *out);

/* |q|^2, to be added to scores. */
static inline int32_t nlsh__norm_u8(const uint8_t *q, size_t dim)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < dim; i++) sum += (uint32_t)q[i] * q[i];
    return (int32_t)sum;
}

/*
 * How far a score of panel_f32(), |x|^2 - 2 x.q, with |q|^2 added and a direct distance may together be off, for a row
 * no farther than l2sq, norm being |q|^2. Such a row's own length is at most |q| + sqrt(l2sq), so that the terms of
 * either add up to at most (2 |q| + sqrt(l2sq))^2, and each goes through at most dim + 6 roundings (Higham,
 * "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1). Three more are those of |q|^2, of its
 * addition, and of limits that it is taken from; the rest is for underflow.
 */
double nlsh__panel_f32_rounding(size_t dim, double norm, double l2sq);

#endif
