/*
 * graph.h - k-NN graphs: computed exactly or through k-means cells, and made symmetric for a cut.
 */
#ifndef NLSH_GRAPH_GRAPH_H
#define NLSH_GRAPH_GRAPH_H

#include "base/csr.h"
#include "base/job.h"
#include "base/neighbors.h"

/*
 * nlsh__exact_neighbors() - the exact k nearest base rows of each query.
 *
 *  base, queries  same dim and type (U8 or F32)
 *  exclude_self   1: query i is base row i and is left out (a graph)
 *  stage          what progress calls it
 * U8 in exact integers. F32: chosen by f32 products on centred data, a few more than k, then
 * ranked by direct f32 distances. Ties by id.
 */
enum nlsh_status
nlsh__exact_neighbors(const struct nlsh_matrix *base, const struct nlsh_matrix *queries, size_t k,
                      int exclude_self, const char *stage, const struct nlsh__job *job,
                      struct nlsh__neighbors *out, struct nlsh_error *error);

/* The same by inner product: the largest first, l2sq the negated products. Both F32. Cost: as
 * nlsh__exact_neighbors()'s. */
enum nlsh_status nlsh__exact_inner(const struct nlsh_matrix *base,
                                   const struct nlsh_matrix *queries, size_t k, int exclude_self,
                                   const char *stage, const struct nlsh__job *job,
                                   struct nlsh__neighbors *out, struct nlsh_error *error);

/* The graph through k-means cells: each row against the rows of its nearest cells. */
enum nlsh_status nlsh__ivfflat_neighbors(const struct nlsh_matrix *base, size_t k, uint64_t seed,
                                         const struct nlsh__job *job, struct nlsh__neighbors *out,
                                         struct nlsh_error *error);

/* The graph through overlapping pieces: each row against the rows of the cells that are nearest to it.
 * Exact below 20,000 rows. The same for any number of threads. */
enum nlsh_status nlsh__pieces_neighbors(const struct nlsh_matrix *base, size_t k, uint64_t seed,
                                        const struct nlsh__job *job, struct nlsh__neighbors *out,
                                        struct nlsh_error *error);

/*
 * nlsh__csr_from_neighbors() - an edge wanted from both ends weighs 2, from one end 1.
 *
 *  k  the first k neighbours of each row are used; <= neighbors->k
 * NLSH_E_ARG where an id is out of range or a loop; NLSH_E_UNSUPPORTED where the edges do not fit
 * in int32; NLSH_E_NOMEM.
 */
enum nlsh_status nlsh__csr_from_neighbors(const struct nlsh__neighbors *neighbors, size_t k,
                                          struct nlsh__csr *out, struct nlsh_error *error);
void nlsh__csr_free(struct nlsh__csr *csr);

#endif
