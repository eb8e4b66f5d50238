/* exact.h - the time that an exact search takes, for comparison. */
#ifndef NLSH_CLI_EXACT_H
#define NLSH_CLI_EXACT_H

#include "nlsh/learn.h"
#include "timing.h"

/*
 * Times our best exact scan of the base over the first 200 queries, one thread, one query at a time. It
 * knows L2 only: by another metric every bucket of the index is scanned, which is exact too. With a filter
 * (or NULL) base is what it allows. 0 or an exit code.
 */
int exact_time(const struct nlsh_index *index, const struct nlsh_matrix *base,
               const struct nlsh_matrix *queries, size_t k,
               const struct nlsh_counted_filter *counted, struct timing *out);

#endif
