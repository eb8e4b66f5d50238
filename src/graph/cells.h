/* cells.h - the k-means cells that the approximate graph is made through, and those that each row asks. */
#ifndef NLSH_GRAPH_CELLS_H
#define NLSH_GRAPH_CELLS_H

#include "base/job.h"

/*
 * nlsh__cells_to_ask() - of n_cells cells the n_probes nearest of each row.
 *
 *  probes  [n_rows x n_probes] out, the nearest first; 1 <= n_probes <= n_cells
 * Cells are k-means's on a sample. The same for any number of threads. NLSH_E_NOMEM, NLSH_E_INTERRUPTED.
 */
enum nlsh_status nlsh__cells_to_ask(const struct nlsh_matrix *base, size_t n_cells, size_t n_probes,
                                    uint64_t seed, const struct nlsh__job *job, uint32_t *probes,
                                    struct nlsh_error *error);

#endif
