/* plain.c - see plain.h. */
#include "vectors/plain.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "vectors/large.h"

/* A finite f64 that became infinite. NaN and infinity themselves are for others to refuse. */
static enum nlsh_status check_f64(const double *row, const float *narrow, size_t dim, size_t i,
                                  struct nlsh_error *error)
{
    for (size_t d = 0; d < dim; d++) {
        double wide;
        memcpy(&wide, row + d, sizeof wide);
        if (isinf(narrow[d]) && isfinite(wide))
            return nlsh__fail(error, NLSH_E_DATA, "scale the vectors down",
                              "row %zu, column %zu is %g: too large for f32 (counted from 0)", i, d,
                              wide);
    }
    return NLSH_OK;
}

enum nlsh_status nlsh__matrix_plain(const struct nlsh_matrix *m, struct nlsh_matrix *out,
                                    void **memory, struct nlsh_error *error)
{
    enum nlsh_status status;
    *memory = NULL;
    NLSH_TRY(nlsh__matrix_check(m, "the vectors", error));
    *out = *m;
    if (m->type == NLSH_I32)
        return nlsh__fail(error, NLSH_E_ARG,
                          "i32 files (.ivecs) hold ids such as ground truth; name the file of "
                          "vectors, or write floats",
                          "i32 values are ids, not vectors");
    int narrow = m->type == NLSH_U8 || m->type == NLSH_I8 || m->type == NLSH_F32;
    out->stride = 0;
    if (narrow && nlsh__is_dense(m)) return NLSH_OK;
    out->type = narrow ? m->type : NLSH_F32;
    size_t row_bytes = nlsh__row_bytes(out);
    NLSH_TRY(nlsh__alloc_large(memory, m->n_rows, row_bytes, error));
    out->data = *memory;
    for (size_t i = 0; i < m->n_rows; i++) {
        void *row = (char *)*memory + i * row_bytes;
        if (narrow)
            memcpy(row, nlsh__row(m, i), row_bytes);
        else
            nlsh__row_to_f32(nlsh__row(m, i), m->type, m->dim, row);
        if (m->type == NLSH_F64) NLSH_TRY(check_f64(nlsh__row(m, i), row, m->dim, i, error));
    }
out:
    if (status != NLSH_OK) {
        nlsh__free(*memory);
        *memory = NULL;
    }
    return status;
}
