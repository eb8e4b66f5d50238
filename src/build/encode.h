/* encode.h - makes the codes of index/codes.h and measures how many rows a search must rank. */
#ifndef NLSH_BUILD_ENCODE_H
#define NLSH_BUILD_ENCODE_H

#include "base/job.h"
#include "linalg/pca.h"
#include "router/router.h"

/* What the codes are made of. */
struct nlsh__encode {
    const struct nlsh_matrix *base;
    const struct nlsh__projection *projection;
    const float *inputs;            /* [n_rows x n_components] projected rows */
    const float *query_inputs;      /* the same of rows as they come as queries */
    size_t n_components;            /* of them that a code holds */
    int inner;                      /* 1: scores are by inner product, and rows add nothing */
    const uint32_t *bucket_offsets; /* [m + 1] */
    size_t n_buckets;
    const uint32_t *ids; /* [n_rows] base rows in bucket order */
};

/* The section's bytes, freed with free(); the numbers of rows to rank are not measured yet. */
enum nlsh_status nlsh__encode_rows(const struct nlsh__encode *encode, const struct nlsh__job *job,
                                   void **bytes, size_t *size, struct nlsh_error *error);

/*
 * nlsh__measure_rerank() - fills rerank_k and rerank in the section's header.
 *
 *  rows, neighbors  held-out base rows as queries, and the graph as their truth
 *  threshold        the routing that the measurement uses
 * For 1, 10 and up to 20 neighbours: as many rows as keep 99.8 % of the true neighbours that lie in
 * the scanned buckets.
 */
enum nlsh_status nlsh__measure_rerank(const struct nlsh__encode *encode,
                                      const struct nlsh__router *router, const uint32_t *rows,
                                      size_t n_rows, const struct nlsh_neighbors *neighbors,
                                      float threshold, const struct nlsh__job *job, void *bytes,
                                      size_t size, struct nlsh_error *error);

#endif
