/* kept.c - see kept.h. */
#include "make/kept.h"

#include "base/half.h"
#include "kernels/metric.h"

/* As nlsh__scale_to() brings a row to length 1. */
static int is_kept(const float *row, size_t dim, enum nlsh_metric metric)
{
    double length = metric == NLSH_COSINE ? nlsh__length(row, dim) : 1;
    double factor = length > 0 ? 1 / length : 0;
    for (size_t d = 0; d < dim; d++) {
        float stored = (float)((double)row[d] * factor);
        if (nlsh__from_f16(nlsh__to_f16(stored)) != row[d]) return 0;
    }
    return 1;
}

size_t nlsh__first_not_kept(const float *rows, size_t n, size_t dim, enum nlsh_metric metric)
{
    size_t i = 0;
    while (i < n && is_kept(rows + i * dim, dim, metric)) i++;
    return i;
}

int nlsh__kept_by_f16(const struct nlsh_matrix *base, enum nlsh_metric metric)
{
    if (base->type == NLSH_F32)
        return nlsh__first_not_kept(base->data, base->n_rows, base->dim, metric) == base->n_rows;
    return metric == NLSH_IP; /* bytes, as floats; of length 1 they are none that were given */
}
