/* matrix.c - see matrix.h. */
#include "base/matrix.h"

#include <string.h>

#include "base/error.h"
#include "base/half.h"
#include "base/memory.h"

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [NLSH_U8] = {"u8", 1},   [NLSH_I8] = {"i8", 1},   [NLSH_F32] = {"f32", 4},
    [NLSH_I32] = {"i32", 4}, [NLSH_F16] = {"f16", 2}, [NLSH_BF16] = {"bf16", 2},
    [NLSH_F64] = {"f64", 8},
};

static int is_type(enum nlsh_type type)
{
    return (int)type > 0 && (size_t)type < sizeof types / sizeof *types;
}

size_t nlsh__type_size(enum nlsh_type type)
{
    return is_type(type) ? types[type].size : 0;
}

const char *nlsh__type_name(enum nlsh_type type)
{
    return is_type(type) ? types[type].name : "unknown";
}

int nlsh__is_vector_type(enum nlsh_type type)
{
    return is_type(type) && type != NLSH_I32;
}

enum nlsh_status nlsh__matrix_check(const struct nlsh_matrix *m, const char *what,
                                    struct nlsh_error *error)
{
    size_t row, all;
    if (m == NULL || (m->data == NULL && m->n_rows > 0))
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s: no data", what);
    if (!is_type(m->type))
        return nlsh__fail(error, NLSH_E_ARG, "take one of enum nlsh_type",
                          "%s: %d is no type of values", what, (int)m->type);
    if (nlsh__mul(m->dim, nlsh__type_size(m->type), &row) != 0 ||
        nlsh__mul(m->n_rows, m->stride != 0 ? m->stride : row, &all) != 0)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s: %zu rows of %zu values overflow", what,
                          m->n_rows, m->dim);
    if (m->stride != 0 && m->stride < row)
        return nlsh__fail(error, NLSH_E_ARG, "give the bytes from one row to the next, or 0",
                          "%s: a stride of %zu bytes for rows of %zu", what, m->stride, row);
    return NLSH_OK;
}

void nlsh__spread_rows(const struct nlsh_matrix *rows, size_t n, void *to)
{
    size_t row_bytes = nlsh__row_bytes(rows);
    for (size_t i = 0; i < n; i++)
        memmove((uint8_t *)to + i * row_bytes, nlsh__row(rows, i * rows->n_rows / n), row_bytes);
}

void nlsh__row_to_f32(const void *row, enum nlsh_type type, size_t dim, float *out)
{
    const uint8_t *bytes = row;
    uint16_t half;
    double wide;
    switch (type) {
    case NLSH_U8:
        for (size_t d = 0; d < dim; d++) out[d] = bytes[d];
        return;
    case NLSH_I8:
        for (size_t d = 0; d < dim; d++) out[d] = (int8_t)bytes[d];
        return;
    case NLSH_F32: memcpy(out, row, dim * sizeof *out); return;
    case NLSH_F16:
    case NLSH_BF16:
        for (size_t d = 0; d < dim; d++) {
            memcpy(&half, bytes + 2 * d, sizeof half);
            out[d] = type == NLSH_F16 ? nlsh__from_f16(half) : nlsh__from_bf16(half);
        }
        return;
    case NLSH_F64:
        for (size_t d = 0; d < dim; d++) {
            memcpy(&wide, bytes + 8 * d, sizeof wide);
            out[d] = (float)wide;
        }
        return;
    case NLSH_I32: break;
    }
}
