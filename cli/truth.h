/* truth.h - the true neighbours of queries: from a file, from the base, or from an index. */
#ifndef NLSH_CLI_TRUTH_H
#define NLSH_CLI_TRUTH_H

#include "answers.h"
#include "filter.h"
#include "inputs.h"

/* The k true neighbours of each query by row number: from --gt, or found among the vectors of -d or,
 * without it, those that the index carries; what is found is kept in the cache. index_path is for
 * messages. */
int truth_find(const struct args *args, const struct nlsh_index *index, const char *index_path,
               const struct nlsh_matrix *queries, size_t k, const struct nlsh_run *run,
               struct nlsh_neighbors *out);

/* The same with their distances, by key as answers have them; and the time that an exact search takes
 * (exact.h). Of what a filter allows, or of all. */
int truth_timed(const struct args *args, const struct nlsh_index *index, const char *index_path,
                const struct nlsh_matrix *queries, size_t k, const struct filter *filter,
                struct nlsh_neighbors *out, struct timing *exact);

/* What --gt names, its first k neighbours of each query: rows of a base of n_rows, by this metric if it says which. Whether
 * they are these queries' shows when a search finds nearer ones: truth_check(). */
int truth_read(const struct args *args, size_t n_queries, size_t k, size_t n_rows,
               enum nlsh_metric metric, struct nlsh_neighbors *out);

/* The key of a row of the index's base. */
uint64_t key_of_row(const struct nlsh_index *index, uint64_t row);

/* Whether the answers leave --gt believable: no search finds nearer vectors than the true ones. 0, or an
 * exit code after saying what is wrong. Without --gt 0; of an index that rounds coarsely too, in which others may be nearer. */
int truth_check(const struct args *args, const struct nlsh_index *index,
                const struct answers *answers, const struct nlsh_neighbors *truth);

#endif
