/* vectors.h - vectors in memory of our own, and neighbours as callers have them. */
#ifndef NLSH_VECTORS_VECTORS_H
#define NLSH_VECTORS_VECTORS_H

#include "base/neighbors.h"
#include "nlsh/learn.h"

struct nlsh_vectors {
    struct nlsh_matrix matrix;
    enum nlsh_format format;
    void *memory;
};

/* Frees what it holds, not the struct. */
void nlsh__vectors_clear(struct nlsh_vectors *vectors);

/* From what the stages found to a caller's struct, whose struct_size was checked: scores become distances.
 * found is emptied in any case. */
enum nlsh_status nlsh__neighbors_give(struct nlsh__neighbors *found, enum nlsh_metric metric,
                                      struct nlsh_neighbors *out, struct nlsh_error *error);

/*
 * A caller's neighbours, read with care for their struct_size: row numbers become 32 bits wide.
 *
 *  n_base  rows that there are: a larger id is NLSH_E_MISMATCH
 *  out     l2sq holds the caller's distances as they are; freed with nlsh__neighbors_free()
 */
enum nlsh_status nlsh__neighbors_take(const struct nlsh_neighbors *given, size_t n_base,
                                      struct nlsh__neighbors *out, struct nlsh_error *error);

/* What a score (enum nlsh_metric: squared for L2) is as a distance. */
float nlsh__distance(enum nlsh_metric metric, float score);

#endif
