/* query.h - a query in the form that the stored vectors are compared with. */
#ifndef NLSH_SEARCH_QUERY_H
#define NLSH_SEARCH_QUERY_H

#include "index/index.h"

struct nlsh__query {
    float *floats;  /* [dim], in the storage's values; not set where the bytes serve throughout */
    float *routed;  /* what the router takes: floats, but for NLSH_IP (kernels/metric.h) */
    uint8_t *bytes; /* [dim] */
    int as_bytes;   /* 1: the storage is bytes and so is the query: exact integers */
};

/* Row i of queries. NLSH_E_ARG where a value is not finite; the message names the query. */
enum nlsh_status nlsh__query_set(struct nlsh__query *query, const struct nlsh_index *index,
                                 const struct nlsh_matrix *queries, size_t i,
                                 struct nlsh_error *error);

/* The row at a place of a segment. */
void nlsh__query_from_stored(struct nlsh__query *query, const struct nlsh_index *index,
                             const struct nlsh__segment *segment, size_t place);
/* Adds that row to sum [dim]. */
void nlsh__stored_add(const struct nlsh_index *index, const struct nlsh__segment *segment,
                      size_t place, float *sum);

/* NLSH_E_MISMATCH, NLSH_E_ARG: queries that do not fit the index at all. */
enum nlsh_status nlsh__queries_check(const struct nlsh_index *index,
                                     const struct nlsh_matrix *queries, struct nlsh_error *error);

#endif
