/* pca.h - principal components: what the router sees of a vector. */
#ifndef NLSH_LINALG_PCA_H
#define NLSH_LINALG_PCA_H

#include "base/job.h"

/* z = components (x - mean), scaled so that z's mean variance a component is 1. */
struct nlsh__projection {
    size_t dim, n_components;
    float *mean;       /* [dim] */
    float *components; /* [n_components x dim], rows orthogonal, of one length */
    float scale;       /* that length */
};

/* Of a sample of at most 32,768 rows, by LAPACK's dsyevr. n_components <= dim. Where they are
 * equal, or dim exceeds 4,096, whose decomposition would take minutes, components are left out
 * (the identity times scale, n_components = dim). */
enum nlsh_status nlsh__pca(const struct nlsh_matrix *base, size_t n_components, uint64_t seed,
                           const struct nlsh__job *job, struct nlsh__projection *out,
                           struct nlsh_error *error);
/* The same about the origin: mean is 0, and z.y is near to x.q, which a mean would spoil. */
enum nlsh_status nlsh__pca_uncentred(const struct nlsh_matrix *base, size_t n_components,
                                     uint64_t seed, const struct nlsh__job *job,
                                     struct nlsh__projection *out, struct nlsh_error *error);
void nlsh__projection_free(struct nlsh__projection *projection);

/* rows [n x dim] to out [n x n_components]. */
enum nlsh_status nlsh__project(const struct nlsh__projection *projection,
                               const struct nlsh_matrix *rows, const struct nlsh__job *job,
                               float *out, struct nlsh_error *error);

#endif
