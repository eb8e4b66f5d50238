/* neighbors.h - k neighbours of n rows, as the stages pass them on: a graph, or true neighbours. */
#ifndef NLSH_BASE_NEIGHBORS_H
#define NLSH_BASE_NEIGHBORS_H

#include <stddef.h>
#include <stdint.h>

/* Row numbers are 32 bits wide here: a base has fewer than that. */
#define NLSH__NO_ROW UINT32_MAX

/* Each row ascending by (l2sq, id). l2sq: squared distances, or 1 - cos, or negated products. */
struct nlsh__neighbors {
    size_t n_rows, k;
    uint32_t *ids; /* [n_rows x k] NLSH__NO_ROW where missing */
    float *l2sq;   /* [n_rows x k], or NULL where nobody needs them */
};

void nlsh__neighbors_free(struct nlsh__neighbors *neighbors);

#endif
