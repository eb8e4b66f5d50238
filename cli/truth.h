/* truth.h - the true neighbours of queries: from a file, from the base, or from an index. */
#ifndef NLSH_CLI_TRUTH_H
#define NLSH_CLI_TRUTH_H

#include "inputs.h"

/* The k true neighbours of each query: from --gt, or found among the vectors of -d or, without it,
 * those that the index carries; what is found is kept in the cache. index_path is for messages. */
int truth_find(const struct args *args, const struct nlsh_index *index, const char *index_path,
               const struct nlsh_matrix *queries, size_t k, const struct nlsh_run *run,
               struct nlsh_neighbors *out);

/* The same with their distances, and the time that an exact search takes a query: our best exact
 * scan of a sample (of a metric other than L2: the index scanned whole). */
int truth_timed(const struct args *args, const struct nlsh_index *index, const char *index_path,
                const struct nlsh_matrix *queries, size_t k, struct nlsh_neighbors *out,
                double *seconds);

#endif
