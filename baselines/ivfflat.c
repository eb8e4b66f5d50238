/*
 * ivfflat.c - k-means cells, the cells of the nearest centroids scanned exactly (Sivic and
 * Zisserman, "Video Google", ICCV 2003; "IVF-Flat" in faiss). And what IVF-PQ takes from it.
 *
 * Where the vectors are bytes the centroids are rounded to bytes. All of them are read for every
 * query, so their size is what the choice of cells costs.
 */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "baselines/baseline.h"
#include "kernels/select.h"
#include "kernels/topk.h"
#include "partition/kmeans.h"

enum { KMEANS_ITERATIONS = 10 }; /* as faiss; cells hardly move after it */

/* ---- cells ----------------------------------------------------------------------------------- */

void nlsh__cells_free(struct nlsh__cells *cells)
{
    nlsh__free(cells->centroids);
    nlsh__free(cells->bytes);
    *cells = (struct nlsh__cells){0};
}

size_t nlsh__cells_bytes(const struct nlsh__cells *cells)
{
    return cells->n_lists * cells->dim * (cells->bytes != NULL ? 1 : sizeof(float));
}

/* Rounds the centroids to bytes. */
static enum nlsh_status narrow(struct nlsh__cells *cells, struct nlsh_error *error)
{
    size_t n = cells->n_lists * cells->dim;
    enum nlsh_status status = nlsh__alloc(&cells->bytes, n, 1, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < n; i++) {
        cells->bytes[i] = (uint8_t)(cells->centroids[i] + 0.5f); /* a mean of bytes: 0 to 255 */
        cells->centroids[i] = (float)cells->bytes[i];
    }
    return NLSH_OK;
}

enum nlsh_status nlsh__cells_make(const struct nlsh__dataset *base, const float *floats,
                                  struct nlsh__baseline_options *options,
                                  const struct nlsh__job *job, struct nlsh__cells *out,
                                  uint32_t **cell_of, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_rows = base->matrix.n_rows, dim = base->matrix.dim;
    *cell_of = NULL;
    if (options->n_lists == NLSH_AUTO) options->n_lists = (size_t)ceil(sqrt((double)n_rows));
    if (options->n_lists < 1 || options->n_lists > n_rows) {
        return nlsh__fail(error, NLSH_E_ARG, "the square root of the number of rows is usual",
                          "%zu lists for %zu rows", options->n_lists, n_rows);
    }
    *out = (struct nlsh__cells){.n_lists = options->n_lists, .dim = dim};
    NLSH_TRY(nlsh__alloc(&out->centroids, options->n_lists, dim * sizeof(float), error));
    NLSH_TRY(nlsh__alloc(cell_of, n_rows, sizeof **cell_of, error));
    NLSH_TRY(nlsh__kmeans(floats, n_rows, dim, options->n_lists, KMEANS_ITERATIONS, options->seed,
                          job, out->centroids, NULL, error));
    if (base->matrix.type == NLSH_U8) NLSH_TRY(narrow(out, error));
    NLSH_TRY(nlsh__nearest_cells(floats, n_rows, dim, out->centroids, NULL, out->n_lists, 1, NULL,
                                 job, *cell_of, NULL, error));
    return NLSH_OK;
out:
    nlsh__free(*cell_of);
    *cell_of = NULL;
    return status; /* the cells go with the state they are in */
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

size_t nlsh__cells_nearest(struct nlsh__baseline *b, const struct nlsh__cells *cells,
                           const struct nlsh__asked *asked)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    size_t n_lists = cells->n_lists, dim = cells->dim;
    size_t n = asked->probes < (double)n_lists ? (size_t)asked->probes : n_lists;
    const uint8_t *bytes = cells->bytes != NULL ? asked->query.u8 : NULL;
    for (size_t c = 0; c < n_lists; c++) {
        float l2sq = bytes != NULL
                         ? (float)kernels->l2sq_u8(bytes, cells->bytes + c * dim, dim)
                         : kernels->l2sq_f32(asked->floats, cells->centroids + c * dim, dim);
        b->order[c] = nlsh__key_f32(l2sq, (uint32_t)c);
    }
    nlsh__select_smallest(b->order, n_lists, n);
    qsort(b->order, n, sizeof *b->order, ascending);
    for (size_t i = 0; i < n; i++) b->chosen[i] = (uint32_t)b->order[i];
    return n;
}

/* ---- IVF-Flat -------------------------------------------------------------------------------- */

static enum nlsh_status ivfflat_build(struct nlsh__baseline *b, const struct nlsh__dataset *base,
                                      struct nlsh__baseline_options *options,
                                      const struct nlsh__job *job, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_matrix *m = &base->matrix;
    const float *floats;
    float *owned = NULL;
    uint32_t *cell_of = NULL;
    NLSH_TRY(nlsh__calloc(&b->state, 1, sizeof(struct nlsh__cells), error));
    NLSH_TRY(nlsh__float_rows(m, &floats, &owned, error));
    NLSH_TRY(nlsh__cells_make(base, floats, options, job, b->state, &cell_of, error));
    NLSH_TRY(nlsh__buckets_partition(base, cell_of, options->n_lists, &b->buckets, error));
out:
    nlsh__free(owned);
    nlsh__free(cell_of);
    return status;
}

static enum nlsh_status ivfflat_choose(struct nlsh__baseline *b, const struct nlsh__asked *asked,
                                       size_t *n, struct nlsh_error *error)
{
    (void)error;
    *n = nlsh__cells_nearest(b, b->state, asked);
    return NLSH_OK;
}

static size_t ivfflat_bytes(const struct nlsh__baseline *b)
{
    return nlsh__cells_bytes(b->state);
}

static void ivfflat_free(struct nlsh__baseline *b)
{
    nlsh__cells_free(b->state);
}

const struct nlsh__bucketing nlsh__ivfflat = {
    .build = ivfflat_build, .choose = ivfflat_choose, .bytes = ivfflat_bytes, .free = ivfflat_free};
