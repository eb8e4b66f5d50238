/*
 * scan.h - one query against rows in memory, exactly: what all baselines spend their time in.
 */
#ifndef NLSH_BASELINES_SCAN_H
#define NLSH_BASELINES_SCAN_H

#include "baselines/methods.h"
#include "kernels/kernels.h"
#include "vectors/dataset.h"

/* A query brought to the rows' type: bytes where rows are bytes and it loses nothing, else f32. */
struct nlsh__query {
    const uint8_t *u8; /* or NULL */
    const float *f32;  /* where u8 is NULL */
};

/* Row i of queries, to be compared with rows of `storage` (NLSH_U8 or NLSH_F32) that came from
 * base_source (NLSH_I8: shifted by 128). scratch [dim] f32; the query may point into it. */
struct nlsh__query nlsh__query_row(const struct nlsh__dataset *queries, size_t i,
                                   enum nlsh_type base_source, enum nlsh_type storage,
                                   float *scratch);

/*
 * nlsh__scan() - puts rows into keys (kernels/topk.h), the k best so far.
 *
 *  rows  [n_rows x dim] of storage
 *  ids   [n_rows], or NULL: the row's number
 */
void nlsh__scan(const struct nlsh__kernels *kernels, struct nlsh__query query, const void *rows,
                enum nlsh_type storage, size_t n_rows, size_t dim, const uint32_t *ids,
                uint64_t *keys, size_t k);

/* The same for the rows at places[n] among rows. The id of a row is ids[place], or its place where
 * ids is NULL. */
void nlsh__scan_places(const struct nlsh__kernels *kernels, struct nlsh__query query,
                       const void *rows, enum nlsh_type storage, const uint32_t *places, size_t n,
                       size_t dim, const uint32_t *ids, uint64_t *keys, size_t k);

/* best to the caller's row of keys and, where not NULL, of distances. integers: scores are u32. */
void nlsh__scan_answer(const uint64_t *best, size_t k, int integers, uint64_t *keys,
                       float *distances);

/* NLSH_E_ARG for k = 0 or no place for the keys. */
enum nlsh_status nlsh__check_search(size_t k, const uint64_t *keys, struct nlsh_error *error);

/* NLSH_E_MISMATCH where they differ. */
enum nlsh_status nlsh__check_dims(size_t base_dim, size_t query_dim, struct nlsh_error *error);

#endif
