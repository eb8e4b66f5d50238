/* leaves.h - makes the leaves of index/leaves.h: rows of a bucket in an order in which each 16 lie close
 * together, their codes, and how far above the k-th score a leaf with a neighbour may lie. */
#ifndef NLSH_CODES_MAKE_LEAVES_H
#define NLSH_CODES_MAKE_LEAVES_H

#include "base/neighbors.h"
#include "codes/leaves.h"
#include "codes/make/encode.h"
#include "nlsh/learn.h"

/* Puts ids [bucket_offsets[m]], rows in bucket order, into the order of leaves: each bucket is halved,
 * by two means of the rows' inputs [n x p] and the direction between them, at a multiple of 16 rows
 * until 16 are left. Deterministic. O(n p log(rows of a bucket)). NLSH_E_NOMEM. */
enum nlsh_status nlsh__order_leaves(const float *inputs, size_t p, const uint32_t *bucket_offsets,
                                    size_t n_buckets, const struct nlsh__job *job, uint32_t *ids,
                                    struct nlsh_error *error);

/* The section's bytes, freed with nlsh__free(); the margins are not measured yet. */
enum nlsh_status nlsh__encode_leaves(const struct nlsh__encode *encode,
                                     const struct nlsh__codes *codes, const struct nlsh__job *job,
                                     void **bytes, size_t *size, struct nlsh_error *error);

/*
 * nlsh__measure_leaves() - fills slope and margins in the section's header.
 *
 *  rows       [n_held] held-out base rows, which play queries
 *  truth      [n_held] their neighbours
 *  thresholds [NLSH__MARGIN_KS] the loosest routing that searches for 1, 10 and 100 neighbours use
 *  leaves     mean leaves a query that a search for recall@10 of .95 then scans
 */
enum nlsh_status
nlsh__measure_leaves(const struct nlsh__encode *encode, const struct nlsh__codes *codes,
                     const struct nlsh__router *router, const uint32_t *rows, size_t n_held,
                     const struct nlsh__neighbors *truth, const float *thresholds,
                     const struct nlsh__job *job, void *bytes, size_t size, double *leaves,
                     struct nlsh_error *error);

#endif
