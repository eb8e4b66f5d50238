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

static const struct {
    enum nlsh_store store;
    enum nlsh_type type;
} stored_as[] = {
    {NLSH_STORE_F32, NLSH_F32},
    {NLSH_STORE_F16, NLSH_F16},
    {NLSH_STORE_BF16, NLSH_BF16},
    {NLSH_STORE_I8, NLSH_I8},
};

enum { N_STORED_AS = sizeof stored_as / sizeof *stored_as };

enum nlsh_type nlsh__type_of_store(enum nlsh_store store)
{
    for (size_t i = 0; i < N_STORED_AS; i++)
        if (stored_as[i].store == store) return stored_as[i].type;
    return NLSH_F32;
}

enum nlsh_store nlsh__store_of_type(enum nlsh_type type)
{
    for (size_t i = 0; i < N_STORED_AS; i++)
        if (stored_as[i].type == type) return stored_as[i].store;
    return NLSH_STORE_F32;
}

int nlsh__kept_by_f16(const struct nlsh_matrix *base, enum nlsh_metric metric)
{
    if (base->type == NLSH_F32)
        return nlsh__first_not_kept(base->data, base->n_rows, base->dim, metric) == base->n_rows;
    return metric == NLSH_IP; /* bytes, as floats; of length 1 they are none that were given */
}
