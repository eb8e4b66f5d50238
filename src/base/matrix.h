/* matrix.h - rows of a caller's matrix: where they stand, and what they are as floats. */
#ifndef NLSH_BASE_MATRIX_H
#define NLSH_BASE_MATRIX_H

#include "nlsh/nlsh.h"

/* Bytes of a value; 0 for what is no type. */
size_t nlsh__type_size(enum nlsh_type type);
/* "f32"; "unknown" for what is no type. */
const char *nlsh__type_name(enum nlsh_type type);
/* Whether values of this type make vectors: all but I32. */
int nlsh__is_vector_type(enum nlsh_type type);

/* NLSH_E_ARG: no data, a stride shorter than a row, a size that overflows. what: "queries", for the message.
 * A matrix without rows needs no data. */
enum nlsh_status nlsh__matrix_check(const struct nlsh_matrix *matrix, const char *what,
                                    struct nlsh_error *error);

/* Bytes of a row without what may stand behind it, of a matrix that was checked. */
static inline size_t nlsh__row_bytes(const struct nlsh_matrix *matrix)
{
    return matrix->dim * nlsh__type_size(matrix->type);
}

static inline const void *nlsh__row(const struct nlsh_matrix *matrix, size_t i)
{
    size_t stride = matrix->stride != 0 ? matrix->stride : nlsh__row_bytes(matrix);
    return (const char *)matrix->data + i * stride;
}

/* Rows that stand one behind the other. */
static inline int nlsh__is_dense(const struct nlsh_matrix *matrix)
{
    return matrix->stride == 0 || matrix->stride == nlsh__row_bytes(matrix);
}

/* n of the rows, evenly, into to [n], which may be the rows themselves. */
void nlsh__spread_rows(const struct nlsh_matrix *rows, size_t n, void *to);

/* dim values of a vector type as floats. row needs no alignment. An F64 beyond f32 becomes infinite. */
void nlsh__row_to_f32(const void *row, enum nlsh_type type, size_t dim, float *out);

#endif
