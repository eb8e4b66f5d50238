/* gathered.h - the rows of an index that are not deleted, in the order of their numbers, as a base. */
#ifndef NLSH_MAKE_GATHERED_H
#define NLSH_MAKE_GATHERED_H

#include "index/index.h"

struct nlsh__gathered {
    struct nlsh_matrix rows;  /* [n] the values that are stored: U8 or F32 */
    struct nlsh_matrix asked; /* the same, and behind them n_gone rows that were deleted */
    size_t n_gone;
    uint64_t *keys;      /* [n + n_gone] */
    int keyed;           /* 1: a key is not its row's number */
    uint32_t *bucket_of; /* [n + n_gone] */
    /* [n_untaught + n_gone] a sample of the rows that the router did not learn from, ascending; those that are gone stand
     * behind the others. */
    uint32_t *untaught;
    size_t n_untaught;
    void *memory; /* of rows */
};

/*
 * nlsh__gather_rows() - copies them. n_file: rows with smaller numbers are the file's, and what the router learned from
 * stands among them; all others are new to it. Those join the sample at the rate at which the file's rows are in it, by
 * a hash of their keys. Rows of the sample that were deleted come along: queries may still come from where they were.
 * NLSH_E_NOMEM.
 */
enum nlsh_status nlsh__gather_rows(const struct nlsh_index *index, size_t n_file,
                                   struct nlsh__gathered *out, struct nlsh_error *error);
void nlsh__gathered_free(struct nlsh__gathered *gathered);

#endif
