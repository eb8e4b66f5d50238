/* unseen.h - where a held-out row's neighbours would lie if the cut had not seen the row. */
#ifndef NLSH_MEASURE_UNSEEN_H
#define NLSH_MEASURE_UNSEEN_H

#include "base/neighbors.h"
#include "nlsh/learn.h"

struct nlsh__csr;

/*
 * nlsh__unseen_buckets() - buckets of the neighbours of held-out rows, as a new query would meet them.
 *
 *  csr    the graph that was cut; or NULL where the rows drew nobody (make/cut.h): every neighbour is where it is
 *  rows   [n_held] held-out rows
 *  truth  [n_held] their neighbours
 *  k      of which the first so many count
 *  m      buckets
 *  out    [n_held x k]
 *
 * A row that takes part in the cut draws its neighbours into its own bucket. A query has no such
 * edges, and what is measured with held-out rows would promise it too much. So a neighbour counts as
 * lying in the bucket where the most of its edges lead but for the one to the row, if that edge is
 * what keeps it from there. A cut without these rows is no remedy: it made worse buckets (5 to 7 %
 * more candidates on Fashion-MNIST and MNIST). Source: ours. O(n_held x k x degree). NLSH_E_NOMEM.
 */
enum nlsh_status nlsh__unseen_buckets(const struct nlsh__csr *csr, const uint32_t *rows,
                                      size_t n_held, const struct nlsh__neighbors *truth, size_t k,
                                      const uint32_t *bucket_of, size_t m, uint32_t *out,
                                      struct nlsh_error *error);

#endif
