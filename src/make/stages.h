/* stages.h - the first stage as nlsh_build() takes it: through the cache. */
#ifndef NLSH_MAKE_STAGES_H
#define NLSH_MAKE_STAGES_H

#include "base/job.h"
#include "base/neighbors.h"
#include "vectors/dataset.h"

/*
 *  rows    what distances are taken between: NLSH_IP by inner product (exact only), else by L2
 *  hash    of the caller's vectors; space: what was made of them, "" or e.g. " cosine": with the
 *          hash it names the entry
 */
enum nlsh_status nlsh__stage_graph(const struct nlsh_matrix *rows, uint64_t hash, const char *space,
                                   enum nlsh_metric metric, enum nlsh_graph_method method, size_t k,
                                   uint64_t seed, const struct nlsh__job *job,
                                   struct nlsh__neighbors *out, int *from_cache,
                                   struct nlsh_error *error);

/* What NLSH_GRAPH_AUTO is for these rows; another method as it is. */
enum nlsh_graph_method nlsh__graph_method(const struct nlsh_matrix *rows,
                                          enum nlsh_graph_method method);

/* The exact neighbours of some rows, themselves left out; k < base->n_rows. as_queries are the base's
 * rows as they come as queries: by inner product in another length, else the base itself. */
enum nlsh_status nlsh__stage_exact_rows(const struct nlsh_matrix *base,
                                        const struct nlsh_matrix *as_queries, const uint32_t *rows,
                                        size_t n_rows, enum nlsh_metric metric, size_t k,
                                        const struct nlsh__job *job, struct nlsh__neighbors *out,
                                        struct nlsh_error *error);

#endif
