/* truth.h - the true neighbours of queries: from a file, from the base, or from an index. */
#ifndef NLSH_CLI_TRUTH_H
#define NLSH_CLI_TRUTH_H

#include "inputs.h"

/* True neighbours from an .ivecs file, checked against the number of queries, k and n_rows. */
int load_truth(const char *path, size_t n_queries, size_t k, size_t n_rows,
               struct nlsh_neighbors *out);
/*
 * The k true neighbours of each query by scanning every bucket of the index. seconds (or NULL):
 * mean a query, one at a time on one thread; with NULL all of the run's threads are used.
 */
int truth_by_scan(const struct nlsh_index *index, const struct nlsh_matrix *queries, size_t k,
                  const struct nlsh_run *run, double *seconds, struct nlsh_neighbors *out);

/* The k true neighbours of each query: from --gt, from the base that -d names, or by scanning the
 * index. */
int truth_find(const struct args *args, const struct nlsh_index *index, const char *index_path,
               const struct nlsh_matrix *queries, size_t k, const struct nlsh_run *run,
               struct nlsh_neighbors *out);

/*
 * The k true neighbours of each query, their distances, and the time that an exact search takes a
 * query. With -d the neighbours come from --gt or from nlsh_ground_truth() (all at once, cached) and
 * the time from our best exact scan of a sample (of a metric other than L2: the index scanned whole). Without -d every bucket of the index is scanned,
 * and timed; the ids of --gt then replace those found, which can differ only between equal
 * distances. index_path is for messages.
 */
int truth_timed(const struct args *args, const struct nlsh_index *index, const char *index_path,
                const struct nlsh_matrix *queries, size_t k, struct nlsh_neighbors *out,
                double *seconds);

#endif
