/* check.h - what the judges of an index ask of their inputs. */
#ifndef NLSH_EVALUATE_CHECK_H
#define NLSH_EVALUATE_CHECK_H

#include "nlsh/learn.h"

/* There are queries, all finite, and truth is theirs: at least k neighbours each (1 <= k), the first
 * k of them rows of the index. NLSH_E_ARG or NLSH_E_MISMATCH. */
enum nlsh_status
nlsh__check_truth(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                  const struct nlsh_neighbors *truth, size_t k, struct nlsh_error *error);

/*
 * nlsh__buckets_of_rows() - the bucket of every vector; an index may be damaged, so nothing in it is
 * taken on trust: NLSH_E_DATA.
 *
 *  bucket_of  [n_rows] out, by id
 *  sizes      [n_buckets] out, or NULL
 */
enum nlsh_status nlsh__buckets_of_rows(const struct nlsh_index *index, uint32_t *bucket_of,
                                       uint32_t *sizes, struct nlsh_error *error);

/* n queries from the first on. */
struct nlsh_matrix nlsh__some_queries(const struct nlsh_matrix *queries, size_t first, size_t n);

#endif
