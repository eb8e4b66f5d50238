/* write.h - what was learned, as an index file. */
#ifndef NLSH_MAKE_WRITE_H
#define NLSH_MAKE_WRITE_H

#include "make/learn.h"

/* What came of it, for a report. */
struct nlsh__written {
    double scanned; /* struct nlsh__encoded */
};

/*
 * nlsh__write_index() - codes, leaves and margins are made, and all is written, whole or not at all.
 *
 *  keys  [n] of the rows, or NULL
 */
enum nlsh_status nlsh__write_index(const struct nlsh__ground *ground,
                                   const struct nlsh__learned *learned, const uint64_t *keys,
                                   const char *path, struct nlsh__written *out,
                                   struct nlsh_error *error);

#endif
