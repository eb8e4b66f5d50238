/* filter.h - which vectors an answer may hold: --filter and --filter-out. */
#ifndef NLSH_CLI_FILTER_H
#define NLSH_CLI_FILTER_H

#include "args.h"
#include "nlsh/learn.h"

struct filter {
    struct nlsh_counted_filter *counted; /* NULL where no flag was given: all */
    uint64_t *rows;                      /* [n] that are allowed, ascending */
    size_t n;
};

/* What the flags say, for an index. A key that it does not have is an error, and so is a filter that allows
 * nothing. 0 or an exit code after saying why. */
int filter_read(const struct args *args, const struct nlsh_index *index, const char *index_path,
                struct filter *out);
/* Where vectors of an index were deleted: all others, for who looks for true neighbours in what the index holds. Else
 * nothing. The same. */
int filter_deleted(const struct nlsh_index *index, struct filter *out);
void filter_free(struct filter *filter);

/* The true neighbours among the allowed rows of a base, k a query by row number; where fewer are allowed the rest
 * is NLSH_NO_KEY. allowed: those rows, for the caller to free its data. 0 or an exit code. */
int filter_truth(const struct filter *filter, const struct nlsh_matrix *base,
                 const struct nlsh_matrix *queries, enum nlsh_metric metric, size_t k,
                 const struct nlsh_run *run, struct nlsh_matrix *allowed,
                 struct nlsh_neighbors *out);

#endif
