/* csr.h - an undirected graph in compressed rows, as METIS and KaHIP take it. Plain data that
 * graph/ makes and partition/ cuts; neither knows the other. */
#ifndef NLSH_BASE_CSR_H
#define NLSH_BASE_CSR_H

#include <stddef.h>
#include <stdint.h>

struct nlsh__csr {
    size_t n;           /* vertices */
    int32_t *offsets;   /* [n + 1] */
    int32_t *neighbors; /* [offsets[n]], ascending in each row, no loops, no doubles */
    int32_t *weights;   /* [offsets[n]], symmetric */
};

#endif
