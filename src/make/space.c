/* space.c - see space.h. */
#include "make/space.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
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

/* Whether squares and products of the values fit in f32; least: they must not vanish either. */
static enum nlsh_status check_size(const char *what, const struct nlsh_matrix *m, int least,
                                   struct nlsh_error *error)
{
    if (m->type != NLSH_F32) return NLSH_OK;
    const float *values = m->data;
    char hint[96];
    size_t n = m->n_rows * m->dim, at = 0;
    float largest = 0;
    for (size_t i = 0; i < n; i++) {
        float value = fabsf(values[i]);
        largest = value > largest ? value : largest;
    }
    int vanish = least && largest > 0 && largest < NLSH__LEAST_VALUE;
    if (largest <= NLSH__MOST_VALUE && !vanish) return NLSH_OK;
    while (fabsf(values[at]) != largest) at++;
    snprintf(hint, sizeof hint, "multiply the vectors, base and queries alike, by 1e%d",
             -(int)lround(log10((double)largest)));
    return nlsh__fail(error, NLSH_E_DATA, hint,
                      "%s: the largest value is %g (row %zu, column %zu, counted from 0): squares "
                      "of such values %s 32-bit floats; it may lie between %g and %g",
                      what, (double)values[at], at / m->dim, at % m->dim,
                      vanish ? "vanish in" : "are too large for", (double)NLSH__LEAST_VALUE,
                      (double)NLSH__MOST_VALUE);
}

enum nlsh_status nlsh__metric_values(enum nlsh_metric metric, const char *what,
                                     struct nlsh__dataset *dataset, struct nlsh_error *error)
{
    int is_base = strcmp(what, "base") == 0;
    /* Cosine's vectors get length 1; a tiny query is near zero, which L2 can measure. */
    if (metric != NLSH_COSINE) {
        enum nlsh_status fits =
            check_size(what, &dataset->matrix, is_base || metric == NLSH_IP, error);
        if (fits != NLSH_OK) return fits;
    }
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
