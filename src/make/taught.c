/* taught.c - see taught.h. */
#include "make/taught.h"

#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "kernels/metric.h"

/* TIMES: each teaching query is learned from so many times an epoch, since there are few of them. */
enum { FEWEST = 60, TIMES = 8 };

/* ---- what the caller gave -------------------------------------------------------------------- */

/* Every other row from the first on, without gaps. */
static struct nlsh_matrix every_other(const struct nlsh_matrix *rows, size_t first, uint8_t *to)
{
    size_t size = nlsh__row_bytes(rows), n = 0;
    for (size_t i = first; i < rows->n_rows; i += 2)
        memcpy(to + n++ * size, nlsh__row(rows, i), size);
    return (struct nlsh_matrix){to, n, rows->dim, rows->type, 0};
}

enum nlsh_status nlsh__taught_take(const struct nlsh_matrix *base,
                                   const struct nlsh_build_options *options,
                                   struct nlsh__taught *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_matrix *queries = options->train_queries;
    struct nlsh__dataset checked = {.hash = 0};
    *out = (struct nlsh__taught){.memory = NULL};
    if (queries == NULL) return NLSH_OK;
    if (queries->n_rows < FEWEST)
        return nlsh__fail(error, NLSH_E_ARG, "give some thousands of them",
                          "%zu queries are too few to train with: at least %d are needed",
                          queries->n_rows, FEWEST);
    if (queries->dim != base->dim)
        return nlsh__fail(error, NLSH_E_MISMATCH, "give queries of the base's dimension",
                          "queries to train with: dimension %zu, but the base has %zu",
                          queries->dim, base->dim);
    if (options->labels != NLSH_LABELS_SOFT)
        return nlsh__fail(
            error, NLSH_E_ARG, "leave labels at soft",
            "queries to train with have no bucket of their own: labels cannot be hard");
    NLSH_TRY(nlsh__dataset_init(queries, &checked, error));
    size_t half = (queries->n_rows + 1) / 2, size = nlsh__row_bytes(queries);
    NLSH_TRY(nlsh__alloc(&out->memory, queries->n_rows, size, error));
    out->teaching = every_other(queries, 0, out->memory);
    out->calibrating = every_other(queries, 1, (uint8_t *)out->memory + half * size);
out:
    nlsh__dataset_free(&checked);
    return status;
}

void nlsh__taught_free(struct nlsh__taught *taught)
{
    nlsh__free(taught->memory);
}

/* ---- as rows --------------------------------------------------------------------------------- */

/* A longer copy in place of *array, of which `bytes` are there. */
static enum nlsh_status lengthen(void **array, size_t bytes, size_t more, struct nlsh_error *error)
{
    void *longer;
    enum nlsh_status status = nlsh__alloc(&longer, bytes + more, 1, error);
    if (status != NLSH_OK) return status;
    memcpy(longer, *array, bytes);
    nlsh__free(*array);
    *array = longer;
    return NLSH_OK;
}

/* The queries as the router takes them, in floats: out [n x dim]. */
static enum nlsh_status as_routed(const struct nlsh_matrix *queries, const struct nlsh__base *of,
                                  enum nlsh_metric metric, float *out, struct nlsh_error *error)
{
    size_t dim = queries->dim;
    float shift = of->data->source_type == NLSH_I8 && metric == NLSH_L2 ? 128 : 0;
    for (size_t i = 0; i < queries->n_rows; i++, out += dim) {
        nlsh__row_to_f32(nlsh__row(queries, i), queries->type, dim, out);
        for (size_t d = 0; d < dim && shift != 0; d++) out[d] += shift;
        if (metric == NLSH_IP)
            (void)nlsh__scale_to(out, dim, (double)of->space->query_norm, out);
        else if (metric == NLSH_COSINE && !nlsh__scale_to(out, dim, 1, out))
            return nlsh__fail(error, NLSH_E_ARG, "take it out",
                              "query %zu to train with is all zeros: it has no cosine", 2 * i);
    }
    return NLSH_OK;
}

static enum nlsh_status add_inputs(const struct nlsh_matrix *queries, const struct nlsh__base *of,
                                   enum nlsh_metric metric, const struct nlsh__job *job,
                                   struct nlsh__inputs *in, struct nlsh_error *error)
{
    enum nlsh_status status;
    float *floats = NULL;
    void *longer = in->queries;
    size_t n = of->data->matrix.n_rows, width = in->projection.n_components;
    int is_rows = in->queries == in->rows, is_cells = in->queries == in->cells;
    NLSH_TRY(nlsh__alloc(&floats, queries->n_rows, queries->dim * sizeof *floats, error));
    NLSH_TRY(as_routed(queries, of, metric, floats, error));
    const struct nlsh_matrix routed = {floats, queries->n_rows, queries->dim, NLSH_F32, 0};
    NLSH_TRY(lengthen(&longer, n * width * sizeof(float), queries->n_rows * width * sizeof(float),
                      error));
    in->queries = longer;
    if (is_rows) in->rows = longer;
    if (is_cells) in->cells = longer;
    NLSH_TRY(nlsh__project(&in->projection, &routed, job, in->queries + n * width, error));
out:
    nlsh__free(floats);
    return status;
}

static enum nlsh_status add_truth(const struct nlsh_matrix *queries, const struct nlsh__base *of,
                                  enum nlsh_metric metric, const struct nlsh__job *job,
                                  struct nlsh__neighbors *truth, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_neighbors found;
    struct nlsh_run run = job->run;
    void *longer = truth->ids;
    size_t n = truth->n_rows * truth->k, more = queries->n_rows * truth->k;
    nlsh_neighbors_init(&found, sizeof found);
    NLSH_TRY(nlsh_ground_truth(of->base, queries, metric, truth->k, &run, &found, error));
    NLSH_TRY(lengthen(&longer, n * sizeof *truth->ids, more * sizeof *truth->ids, error));
    truth->ids = longer;
    for (size_t i = 0; i < more; i++) truth->ids[n + i] = (uint32_t)found.ids[i];
out:
    nlsh_neighbors_free(&found);
    return status;
}

enum nlsh_status nlsh__teach(const struct nlsh__taught *taught, const struct nlsh__base *of,
                             const struct nlsh_build_options *options, const struct nlsh__job *job,
                             struct nlsh__neighbors *truth, struct nlsh__inputs *inputs,
                             struct nlsh__held *held, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_matrix *queries = &taught->teaching;
    size_t n = of->data->matrix.n_rows, t = queries->n_rows;
    void *rows = held->train_rows;
    if (t == 0) return NLSH_OK;
    NLSH_TRY(add_inputs(queries, of, options->metric, job, inputs, error));
    NLSH_TRY(add_truth(queries, of, options->metric, job, truth, error));
    NLSH_TRY(lengthen(&rows, held->n_train * sizeof *held->train_rows,
                      TIMES * t * sizeof *held->train_rows, error));
    held->train_rows = rows;
    held->n_taught = TIMES * t;
    for (size_t i = 0; i < held->n_taught; i++)
        held->train_rows[held->n_train + i] = (uint32_t)(n + i % t);
out:
    return status;
}
