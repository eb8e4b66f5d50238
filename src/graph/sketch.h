/*
 * sketch.h - long rows as few bytes: their first principal components, and how much of their length lies outside.
 *
 * Of two rows the squared distance is nearly
 *   step^2 x (|bytes - bytes'|^2 + rest + rest')
 * What is missing is the product of what lies outside, which is small where components are many and rows are not
 * nearly the same, and what rounding to steps takes.
 */
#ifndef NLSH_GRAPH_SKETCH_H
#define NLSH_GRAPH_SKETCH_H

#include "base/job.h"

struct nlsh__sketch {
    size_t n, dim;
    uint8_t *values; /* [n x dim] 128 is the mean; or NULL: there is none */
    int32_t *rest;   /* [n] squared length outside, in steps; 0 to 2^28 */
};

/* How many values a sketch of so many rows has where sketches are worth being made, else 0: with tiles of bytes
 * (AMX) whole rows are compared sooner. */
size_t nlsh__sketch_worth(size_t n_rows, size_t dim);

/* Of rows of U8 or F32. None is made where rows are short or few, where squares do not fit in f32, and where of some
 * rows the keep nearest by sketches have fewer than .95 of the k nearest. NLSH_E_NOMEM and the errors of nlsh__pca(). */
enum nlsh_status nlsh__sketch_create(const struct nlsh_matrix *rows, size_t k, size_t keep,
                                     uint64_t seed, const struct nlsh__job *job,
                                     struct nlsh__sketch *out, struct nlsh_error *error);
void nlsh__sketch_free(struct nlsh__sketch *sketch);

#endif
