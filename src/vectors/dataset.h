/*
 * dataset.h - vectors as the stages take them: u8 or f32, nothing else.
 *
 * Signed bytes are shifted by 128 to unsigned ones (squared distances do not change); floats that
 * are all whole numbers from 0 to 255 (SIFT as .fvecs) are narrowed to bytes, which loses nothing.
 */
#ifndef NLSH_VECTORS_DATASET_H
#define NLSH_VECTORS_DATASET_H

#include "base/rounding.h"
#include "nlsh/learn.h"

struct nlsh__dataset {
    struct nlsh_matrix matrix;  /* NLSH_U8 or NLSH_F32 */
    enum nlsh_type source_type; /* NLSH_I8 where the bytes were shifted, else matrix.type */
    uint64_t content;           /* nlsh_data_hash() of what the caller gave */
    uint64_t hash; /* the same; of values that were rounded another: caches know them by it */
    void *memory;  /* owned where a conversion was made, else NULL */
};

/* Borrows matrix->data where no conversion is needed. NLSH_E_ARG (no data, 0 rows or dim, a type
 * that is no vector's, a dimension over the kernels' bound), NLSH_E_DATA (a value that is not
 * finite, or too large for f32: names the row), NLSH_E_NOMEM. Cost: a pass over the data. */
enum nlsh_status nlsh__dataset_init(const struct nlsh_matrix *matrix, struct nlsh__dataset *out,
                                    struct nlsh_error *error);
void nlsh__dataset_free(struct nlsh__dataset *dataset);

/* Floats become values that are kept as `to` says, of bytes nothing changes. mean and most: the distance that vectors move,
 * over their length. NLSH_E_DATA names a value that is too large. */
enum nlsh_status nlsh__dataset_round(struct nlsh__dataset *dataset, const struct nlsh__rounding *to,
                                     double *mean, double *most, struct nlsh_error *error);

/* To floats with the caller's values. */
enum nlsh_status nlsh__dataset_to_f32(struct nlsh__dataset *dataset, struct nlsh_error *error);

/* Brings queries to the type of a base so that distances mean the same: the same type where that
 * loses nothing, else both as f32 (then *base is converted too, in place). NLSH_E_MISMATCH where
 * the dimensions differ. */
enum nlsh_status nlsh__dataset_pair(struct nlsh__dataset *base, struct nlsh__dataset *queries,
                                    struct nlsh_error *error);

#endif
