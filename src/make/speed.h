/* speed.h - what one core of this machine does in the loops that a build spends its time in. */
#ifndef NLSH_MAKE_SPEED_H
#define NLSH_MAKE_SPEED_H

#include "nlsh/learn.h"

/* Seconds of one core. */
struct nlsh__speed {
    double pair, pair_dim; /* exact graph: of two rows, and of each dimension besides */
    double weight;         /* training: of a row and a weight of the network */
    double output;         /* training: of a row and an output */
    double cell_dim;       /* k-means: of a row, a centroid and a dimension */
};

/* Measures, or gives what this process has measured before. type: U8 or F32, of the graph's rows. */
enum nlsh_status nlsh__speed(enum nlsh_type type, struct nlsh__speed *out,
                             struct nlsh_error *error);

#endif
