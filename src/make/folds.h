/* folds.h - targets measured with rows that took part in nothing: cross-fitting, for bases of few rows. */
#ifndef NLSH_MAKE_FOLDS_H
#define NLSH_MAKE_FOLDS_H

#include "make/learn.h"
#include "measure/efforts.h"

/* Where rows are fewer, too few can be held out to measure a promise with, and one row counts for much in what
 * it took part in: graph, cut, cells. From so many on a twentieth and the correction of measure/unseen.h do. */
enum { NLSH__FOLDS_BELOW = 10000 };

/* How many fifths of n rows ask, one more or less; 0 where the rows are enough to hold some out, or too few. */
size_t nlsh__n_folds(size_t n);

/*
 * nlsh__cross_calibrate() - what thresholds reach and searches find, for queries that the whole pipeline never saw.
 *
 *  path  of the index that is made: where the folds' own lie meanwhile, under temporary names
 *
 * A fifth of the rows is left out, buckets and router are learned from the others with the settings that were
 * chosen, and the fifth asks; and so again until 1,000 rows have asked or all have. What
 * thresholds reach is carried over to the router of all rows: nlsh__tally_carry().
 * The same for any number of threads. Nothing goes through the cache. NLSH_E_INTERRUPTED, NLSH_E_NOMEM.
 * Cost: one to five builds.
 */
enum nlsh_status nlsh__cross_calibrate(const struct nlsh__ground *ground,
                                       const struct nlsh__learned *learned, const char *path,
                                       struct nlsh__evidence *out, struct nlsh_error *error);

#endif
