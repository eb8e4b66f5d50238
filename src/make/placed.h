/* placed.h - the second and third pass over a base that does not fit in memory: every row gets a bucket, and its place. */
#ifndef NLSH_MAKE_PLACED_H
#define NLSH_MAKE_PLACED_H

#include "base/neighbors.h"
#include "base/ranks.h"
#include "base/spool.h"
#include "index/index.h"
#include "make/cells.h"
#include "make/sampled.h"
#include "make/unfinished.h"

/* Rows that ask, by the index that the sample made. */
struct nlsh__askers_of {
    struct nlsh_matrix stored; /* [n] with the values that the index stores: U8 or F32 */
    struct nlsh_matrix routed; /* the same as they come as queries; but by inner product, stored */
    float *inputs; /* [n x p] what the router sees of routed, by inner product; else NULL */
    struct nlsh__neighbors truth; /* [n][k] */
    void *memory, *routed_memory;
};

/* A place is a number of the file's order: bucket after bucket. */
struct nlsh__placed {
    size_t p;            /* of the router's inputs */
    uint32_t *bucket_of; /* [n] by row */
    uint32_t *offsets;   /* [m + 1] */
    uint32_t *rows;      /* [n] by place: of the base */
    uint64_t
        stored_hash; /* nlsh_data_hash() of stored rows in the base's order; 0 where those are the base's values */
    struct nlsh__askers_of asking;
    struct nlsh__spool vectors, inputs; /* [n] stored rows and [n x p], by place */
};

/* Ranks that place rows together: each reads a part of the base, and keeps the rows of some buckets. */
struct nlsh__apart {
    const struct nlsh__ranks *ranks;
    uint32_t *sizes;  /* [m] out: of the whole */
    uint32_t *owners; /* [m] out: the rank that keeps each bucket */
    /* Says that by sizes, the same on all ranks. */
    enum nlsh_status (*deal)(void *user, const uint32_t *sizes, uint32_t *owners,
                             struct nlsh_error *error);
    void *user;
};

/* Where rank i's part of n rows begins, in whole blocks; the last one's ends at n. */
size_t nlsh__part_begins(size_t n, size_t block, size_t n_ranks, size_t i);

/*
 * nlsh__place_rows() - routes all rows of a base by the index that a sample of it made, and puts them where they belong.
 *
 *  cells   say where a row belongs; NULL: the index's router does
 *  beside  the file that will be: its disk takes what does not fit in memory
 *  block   rows that are read at once
 *  k       neighbours that each asking row should find
 *  unfinished  takes each block's buckets, and has those of a build that was stopped; or NULL
 * A bucket takes 1.5 times the mean and no more; a row whose first bucket is full goes to its next. In each bucket rows stand in the
 * order of leaves where the index has any, else ascending. The same for any number of threads. NLSH_E_NOMEM,
 * NLSH_E_CANT_CREATE (no room on the disk), NLSH_E_ARG (a row without a direction), what base->read() returns.
 */
enum nlsh_status
nlsh__place_rows(const struct nlsh_rows *base, const struct nlsh_index *index,
                 const struct nlsh__bucket_cells *cells, const struct nlsh__sampled *sampled,
                 const char *beside, size_t block, size_t k, struct nlsh__unfinished *unfinished,
                 const struct nlsh__job *job, struct nlsh__placed *out, struct nlsh_error *error);

/*
 * The same by ranks, all of which come here. Of *out offsets, rows, vectors and inputs are those of this rank's buckets,
 * and others are empty; bucket_of is of all; truth is rank 0's, stored_hash nobody's. Rows have the places that they would
 * have among all, but for buckets that are elsewhere.
 */
enum nlsh_status
nlsh__place_apart(const struct nlsh_rows *base, const struct nlsh_index *index,
                  const struct nlsh__bucket_cells *cells, const struct nlsh__sampled *sampled,
                  const char *beside, size_t block, size_t k, const struct nlsh__apart *apart,
                  const struct nlsh__job *job, struct nlsh__placed *out, struct nlsh_error *error);
void nlsh__placed_free(struct nlsh__placed *placed);

#endif
