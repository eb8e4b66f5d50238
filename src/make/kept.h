/* kept.h - what vectors are kept as, where that was left to the build. */
#ifndef NLSH_MAKE_KEPT_H
#define NLSH_MAKE_KEPT_H

#include "nlsh/learn.h"

/*
 * nlsh__first_not_kept() - the first row that an index of f16 does not keep as it was given, to the bit; n where it keeps
 * all. With cosine, rows of length 1 are kept: they are to round to the given ones, as those of a model do that were
 * brought to length 1 before they were rounded.
 *
 *  rows  [n x dim], finite
 * O(values), but most bases that f16 does not keep are told by their first row.
 */
size_t nlsh__first_not_kept(const float *rows, size_t n, size_t dim, enum nlsh_metric metric);

/* What floats are stored as, where that is settled; and back. */
enum nlsh_type nlsh__type_of_store(enum nlsh_store store);
enum nlsh_store nlsh__store_of_type(enum nlsh_type type);

/* Whether an index of f16 keeps a base of bytes or floats, without gaps, that an index of bytes does not. */
int nlsh__kept_by_f16(const struct nlsh_matrix *base, enum nlsh_metric metric);

#endif
