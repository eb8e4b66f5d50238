/* scale.h - by what bytes are scaled that stand for floats. */
#ifndef NLSH_MAKE_SCALE_H
#define NLSH_MAKE_SCALE_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/learn.h"

enum { NLSH__SIZES = 1 << 15 };

/* What was seen of the rows: how many values have which size, the bits of an f32 but for its sign and lowest 16. */
struct nlsh__scale_finder {
    uint64_t counts[NLSH__SIZES];
    float most;   /* of all sizes */
    double least; /* values below this are not to be cut off */
};

/* One row more, as it will be stored. In any order of rows the counts are the same, and least nearly. */
void nlsh__scale_see(struct nlsh__scale_finder *finder, const float *row, size_t dim);

/*
 * nlsh__scale_found() - the scale of the least squared error over all values.
 *
 * Where a few values are far larger than the others, it is better to cut them off than to make all steps large. But no row
 * that was seen loses more than NLSH__MOST_CUT of its length so. Source: ours; Banner et al., "Post training 4-bit quantization of
 * convolutional networks for rapid-deployment", 2019, balance the same two errors.
 */
float nlsh__scale_found(const struct nlsh__scale_finder *finder);

/* That of a matrix of floats without gaps. NLSH_E_NOMEM. */
enum nlsh_status nlsh__scale_of(const struct nlsh_matrix *rows, float *out,
                                struct nlsh_error *error);

#endif
