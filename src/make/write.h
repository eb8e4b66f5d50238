/* write.h - what was learned, as an index file. */
#ifndef NLSH_MAKE_WRITE_H
#define NLSH_MAKE_WRITE_H

#include "index/index.h"
#include "make/learn.h"
#include "measure/efforts.h"

/* What came of it, for a report. */
struct nlsh__written {
    double scanned; /* struct nlsh__encoded */
};

/*
 * nlsh__write_index() - codes, leaves and margins are made, and all is written, whole or not at all.
 *
 *  keys      [n] of the rows, or NULL
 *  evidence  where it was found elsewhere (folds.h); or NULL: held-out rows ask the index
 */
enum nlsh_status nlsh__write_index(const struct nlsh__ground *ground,
                                   const struct nlsh__learned *learned, const uint64_t *keys,
                                   const struct nlsh__evidence *evidence, const char *path,
                                   struct nlsh__written *out, struct nlsh_error *error);

/* The same without efforts, opened and handed to use() and then removed: nlsh__index_try(). path is where it
 * lies meanwhile, under a temporary name. */
enum nlsh_status nlsh__try_index(const struct nlsh__ground *ground,
                                 const struct nlsh__learned *learned, const char *path,
                                 nlsh__index_use_fn *use, void *user, struct nlsh_error *error);

/* Stored rows as a caller would ask them, in place: stored bytes of a signed base are 128 more than its own. */
void nlsh__as_queries(const struct nlsh__dataset *data, struct nlsh_matrix *rows);

#endif
