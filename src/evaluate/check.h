/* check.h - what the judges of an index ask of their inputs. */
#ifndef NLSH_EVALUATE_CHECK_H
#define NLSH_EVALUATE_CHECK_H

#include "vectors/vectors.h"

/* There are queries, all finite, and truth is theirs: at least k neighbours each (1 <= k), rows of the
 * index. *truth is freed by the caller, also on an error. NLSH_E_ARG or NLSH_E_MISMATCH. */
enum nlsh_status nlsh__take_truth(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                                  const struct nlsh_neighbors *given, size_t k,
                                  struct nlsh__neighbors *truth, struct nlsh_error *error);

/* Rows of all segments, which are numbered one behind the other. */
size_t nlsh__index_rows(const struct nlsh_index *index);

/* bucket_of [rows] and sizes [m] out. */
void nlsh__buckets_of_rows(const struct nlsh_index *index, size_t m, uint32_t *bucket_of,
                           uint32_t *sizes);

/* n queries from the first on. */
struct nlsh_matrix nlsh__some_queries(const struct nlsh_matrix *queries, size_t first, size_t n);

#endif
