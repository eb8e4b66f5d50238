/* settle.c - see settle.h. */
#include "vectors/settle.h"

#include "base/error.h"
#include "base/memory.h"
#include "vectors/large.h"
#include "vectors/values.h"

static void swap(void *memory, size_t n, size_t size)
{
    uint16_t *halves = memory;
    uint64_t *doubles = memory;
    if (size == 2)
        for (size_t i = 0; i < n; i++) halves[i] = __builtin_bswap16(halves[i]);
    else if (size == 4)
        nlsh__swap32(memory, n);
    else if (size == 8)
        for (size_t i = 0; i < n; i++) doubles[i] = __builtin_bswap64(doubles[i]);
}

/* Rows and columns in blocks, so that what is read and what is written both stay in the first cache. size is
 * constant where this is called, and memcpy() one move. */
static inline void transpose(const uint8_t *in, size_t n_rows, size_t dim, size_t size,
                             uint8_t *out)
{
    enum { BLOCK = 16 };
    for (size_t row = 0; row < n_rows; row += BLOCK)
        for (size_t d = 0; d < dim; d++)
            for (size_t i = row; i < n_rows && i < row + BLOCK; i++)
                memcpy(out + (i * dim + d) * size, in + (d * n_rows + i) * size, size);
}

/* Columns one behind the other, numpy's Fortran order, to rows. */
static enum nlsh_status to_rows(const struct nlsh__layout *l, void **memory,
                                struct nlsh_error *error)
{
    void *rows;
    enum nlsh_status status = nlsh__alloc_large(&rows, l->n_rows, l->row_bytes, error);
    if (status != NLSH_OK) return status;
    switch (nlsh__type_size(l->type)) {
    case 1: transpose(*memory, l->n_rows, l->dim, 1, rows); break;
    case 2: transpose(*memory, l->n_rows, l->dim, 2, rows); break;
    case 4: transpose(*memory, l->n_rows, l->dim, 4, rows); break;
    default: transpose(*memory, l->n_rows, l->dim, 8, rows); break;
    }
    nlsh__free(*memory);
    *memory = rows;
    return NLSH_OK;
}

static enum nlsh_status to_f32(struct nlsh__layout *l, void **memory, struct nlsh_error *error)
{
    float *floats;
    enum nlsh_status status = nlsh__alloc_large(&floats, l->n_rows, l->dim * sizeof *floats, error);
    if (status != NLSH_OK) return status;
    nlsh__row_to_f32(*memory, l->type, l->n_rows * l->dim, floats);
    nlsh__free(*memory);
    *memory = floats;
    l->type = NLSH_F32;
    return NLSH_OK;
}

enum nlsh_status nlsh__settle(struct nlsh__layout *l, void **memory, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    if (l->swap) swap(*memory, l->n_rows * l->dim, nlsh__type_size(l->type));
    if (l->columns && l->n_rows > 1 && l->dim > 1) NLSH_TRY(to_rows(l, memory, error));
    if (l->type == NLSH_F16 || l->type == NLSH_F64) NLSH_TRY(to_f32(l, memory, error));
    l->swap = l->columns = 0;
out:
    return status;
}
