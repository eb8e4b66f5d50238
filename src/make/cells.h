/* cells.h - where rows belong that took no part in a build by k-means. */
#ifndef NLSH_MAKE_CELLS_H
#define NLSH_MAKE_CELLS_H

#include "base/job.h"
#include "index/index.h"

/* Cells of what the router sees of rows: a row belongs to the one whose centroid, its penalty added, is nearest. */
struct nlsh__bucket_cells {
    size_t n, dim;
    float *centroids; /* [n x dim] */
    float *penalty;   /* [n] */
    double elsewhere; /* share of the index's own rows that would go to another bucket */
};

/*
 * nlsh__bucket_cells_of() - of an index whose buckets are k-means cells, with the imbalance they were given.
 *
 * A router tells a cell's border from a sample less sharply than the cell itself does: SIFT-1M in 400 MB, recall@10
 * .95, needs the buckets of 21,433 vectors where the router says what goes where, and 17,678 by cells (in memory 16,614).
 * Not for NLSH_IP, whose cells see more than the router does. Memory: 4 dim + 128 bytes a row. NLSH_E_NOMEM,
 * NLSH_E_INTERRUPTED.
 */
enum nlsh_status nlsh__bucket_cells_of(const struct nlsh_index *index, double imbalance,
                                       const struct nlsh__job *job, struct nlsh__bucket_cells *out,
                                       struct nlsh_error *error);
void nlsh__bucket_cells_free(struct nlsh__bucket_cells *cells);

#endif
