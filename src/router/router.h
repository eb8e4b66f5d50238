/*
 * router.h - the network that tells the bucket from the vector, as it serves: a blob of bytes with
 * a checked header (docs/index-format.md), and its forward pass.
 */
#ifndef NLSH_ROUTER_ROUTER_H
#define NLSH_ROUTER_ROUTER_H

#include "nlsh/nlsh.h"

struct nlsh__router;

/* Checks a blob (its sizes against its length, dim and n_buckets) and makes a view of it; the
 * bytes are borrowed and must be aligned to 64. NLSH_E_DATA, NLSH_E_NOMEM. */
enum nlsh_status nlsh__router_open(const void *bytes, size_t size, size_t dim, size_t n_buckets,
                                   struct nlsh__router **out, struct nlsh_error *error);
void nlsh__router_close(struct nlsh__router *router);
size_t nlsh__router_n_weights(const struct nlsh__router *router);

#endif
