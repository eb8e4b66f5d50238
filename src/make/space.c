/* space.c - see space.h. */
#include "make/space.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/metric.h"

static enum nlsh_status normalise(struct nlsh__dataset *d, const char *what,
                                  struct nlsh_error *error)
{
    size_t n = d->matrix.n_rows, dim = d->matrix.dim;
    const float *rows = d->matrix.data;
    float *out = d->memory; /* in place where the values are ours */
    if (out == NULL) {
        enum nlsh_status status = nlsh__alloc(&out, n * dim, sizeof *out, error);
        if (status != NLSH_OK) return status;
        d->memory = out;
        d->matrix.data = out;
    }
    for (size_t i = 0; i < n; i++)
        if (!nlsh__scale_to(rows + i * dim, dim, 1, out + i * dim))
            return nlsh__fail(error, NLSH_E_DATA,
                              "take that row out, or use the metric ip or l2, where zeros have a "
                              "place",
                              "%s: row %zu is all zeros: it has no direction, and so no cosine",
                              what, i);
    return NLSH_OK;
}

enum nlsh_status nlsh__metric_values(enum nlsh_metric metric, const char *what,
                                     struct nlsh__dataset *dataset, struct nlsh_error *error)
{
    if (metric == NLSH_L2) return NLSH_OK;
    if (metric != NLSH_IP && metric != NLSH_COSINE)
        return nlsh__fail(error, NLSH_E_ARG, "take l2, ip or cosine", "metric %d", (int)metric);
    enum nlsh_status status = nlsh__dataset_to_f32(dataset, error);
    if (status == NLSH_OK && metric == NLSH_COSINE) status = normalise(dataset, what, error);
    return status;
}

const char *nlsh__space_name(enum nlsh_metric metric)
{
    return metric == NLSH_IP ? " ip" : metric == NLSH_COSINE ? " cosine" : "";
}

/* Rows get a coordinate that makes them all as long as the longest. As queries they get the length
 * that rows have in the mean, since their direction alone counts and the codes' range is made for
 * rows; their 0 in the new coordinate says nothing and is left out. */
static void augment(const struct nlsh_matrix *base, double longest, double query_norm, float *rows,
                    float *queries)
{
    size_t dim = base->dim;
    for (size_t i = 0; i < base->n_rows; i++) {
        const float *x = (const float *)base->data + i * dim;
        float *row = rows + i * (dim + 1);
        double length = nlsh__length(x, dim);
        memcpy(row, x, dim * sizeof *row);
        row[dim] = (float)sqrt(fmax(0, (longest - length) * (longest + length)));
        (void)nlsh__scale_to(x, dim, query_norm, queries + i * dim);
    }
}

enum nlsh_status nlsh__space_init(enum nlsh_metric metric, const struct nlsh__dataset *base,
                                  struct nlsh__space *out, struct nlsh_error *error)
{
    const struct nlsh_matrix *m = &base->matrix;
    size_t n = m->n_rows, dim = m->dim;
    double longest = 0, sum = 0;
    *out = (struct nlsh__space){.rows = *m, .queries = *m, .query_norm = 1};
    if (metric != NLSH_IP) return NLSH_OK;
    for (size_t i = 0; i < n; i++) {
        double length = nlsh__length((const float *)m->data + i * dim, dim);
        longest = fmax(longest, length);
        sum += length;
    }
    if (!(longest * longest < FLT_MAX / 64.0))
        return nlsh__fail(error, NLSH_E_DATA, "scale the vectors down",
                          "the longest vector has length %g: its square does not fit in f32",
                          longest);
    if (sum > 0 && sum / (double)n >= FLT_MIN) out->query_norm = (float)(sum / (double)n);
    enum nlsh_status status = nlsh__alloc(&out->memory, n * (2 * dim + 1), sizeof(float), error);
    if (status != NLSH_OK) return status;
    float *queries = out->memory + n * (dim + 1);
    augment(m, longest, (double)out->query_norm, out->memory, queries);
    out->rows = (struct nlsh_matrix){out->memory, n, dim + 1, NLSH_F32, 0};
    out->queries = (struct nlsh_matrix){queries, n, dim, NLSH_F32, 0};
    return NLSH_OK;
}

void nlsh__space_free(struct nlsh__space *space)
{
    nlsh__free(space->memory);
    *space = (struct nlsh__space){0};
}
