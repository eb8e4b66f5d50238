/*
 * repair.h - what every graph partitioner shares: its input checked before, its answer made valid
 * after. The libraries check nothing of this: METIS takes an asymmetric graph, answers nonsense
 * and calls it METIS_OK.
 */
#ifndef NLSH_PARTITION_REPAIR_H
#define NLSH_PARTITION_REPAIR_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/nlsh.h"

struct nlsh__csr;

/* NLSH_E_ARG (m = 0 or > n; imbalance negative or not finite), NLSH_E_DATA (rows not ascending,
 * ids out of range, loops, weights below 1, not symmetric), NLSH_E_UNSUPPORTED (the weights' sum
 * does not fit in int32), NLSH_E_NOMEM. O(n + edges). */
enum nlsh_status nlsh__partition_input(const struct nlsh__csr *csr, size_t m, double imbalance,
                                       struct nlsh_error *error);

/* 1, and bucket_of filled, where the answer needs no partitioner: m = 1, m = n, no edges. */
int nlsh__partition_trivial(const struct nlsh__csr *csr, size_t m, uint32_t *bucket_of);

/*
 * nlsh__partition_repair() - no bucket empty, none over cap, at the least loss of edge weight.
 *
 *  csr        passed nlsh__partition_input()
 *  bucket_of  in: any values; out: a valid answer. All zeros in: m parts by recursive bisection.
 *  cap        x m >= n
 *  n_moved    vertices whose bucket changed; or NULL
 * NLSH_E_INTERNAL where a value is >= m (no answer to repair); NLSH_E_NOMEM. Deterministic. A
 * valid answer is left as it is.
 */
enum nlsh_status nlsh__partition_repair(const struct nlsh__csr *csr, size_t m, size_t cap,
                                        uint32_t *bucket_of, size_t *n_moved,
                                        struct nlsh_error *error);

#endif
