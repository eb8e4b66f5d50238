/*
 * ivfflat.c - k-means cells, their vectors scanned exactly (Sivic and Zisserman, "Video Google",
 * 2003; "IVF-Flat" in faiss). Vectors lie in memory cell by cell, so a cell is one stretch; the
 * scan is brute force's own, so that only the choice of vectors differs.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/job.h"
#include "base/memory.h"
#include "baselines/scan.h"
#include "kernels/topk.h"
#include "nlsh/learn.h"
#include "partition/kmeans.h"

enum { KMEANS_ITERATIONS = 10 }; /* as faiss; cells hardly move after it */

struct nlsh_ivfflat {
    size_t n_rows, dim, n_lists;
    enum nlsh_type source, storage;
    float *centroids;  /* [n_lists x dim] in the units of storage */
    uint32_t *offsets; /* [n_lists + 1] */
    uint32_t *ids;     /* [n_rows] in the order of cells */
    void *rows;        /* [n_rows x dim] of storage */
};

/* ---- build ----------------------------------------------------------------------------------- */

/* Counting sort by cell; rows of a cell keep their order. */
static void fill_cells(struct nlsh_ivfflat *ivf, const uint8_t *rows, const uint32_t *cell_of)
{
    size_t row_bytes = ivf->dim * (ivf->storage == NLSH_U8 ? 1 : sizeof(float));
    for (size_t i = 0; i < ivf->n_rows; i++) ivf->offsets[cell_of[i] + 1]++;
    for (size_t c = 0; c < ivf->n_lists; c++) ivf->offsets[c + 1] += ivf->offsets[c];
    for (size_t i = 0; i < ivf->n_rows; i++) {
        uint32_t at = ivf->offsets[cell_of[i]]++;
        ivf->ids[at] = (uint32_t)i;
        memcpy((uint8_t *)ivf->rows + at * row_bytes, rows + i * row_bytes, row_bytes);
    }
    memmove(ivf->offsets + 1, ivf->offsets, ivf->n_lists * sizeof *ivf->offsets);
    ivf->offsets[0] = 0;
}

/* The dataset as floats; *owned is freed by the caller. */
static enum nlsh_status float_rows(const struct nlsh_matrix *m, const float **out, float **owned,
                                   struct nlsh_error *error)
{
    *owned = NULL;
    *out = m->data;
    if (m->type == NLSH_F32) return NLSH_OK;
    enum nlsh_status status = nlsh__alloc(owned, m->n_rows * m->dim, sizeof **owned, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < m->n_rows * m->dim; i++)
        (*owned)[i] = (float)((const uint8_t *)m->data)[i];
    *out = *owned;
    return NLSH_OK;
}

static enum nlsh_status build(const struct nlsh__dataset *base, size_t n_lists, uint64_t seed,
                              const struct nlsh__job *job, struct nlsh_ivfflat *ivf,
                              struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_matrix *m = &base->matrix;
    const float *floats;
    float *owned = NULL;
    uint32_t *cell_of = NULL;
    *ivf = (struct nlsh_ivfflat){.n_rows = m->n_rows,
                                 .dim = m->dim,
                                 .n_lists = n_lists,
                                 .source = base->source_type,
                                 .storage = m->type};
    NLSH_TRY(nlsh__alloc(&ivf->centroids, n_lists, m->dim * sizeof(float), error));
    NLSH_TRY(nlsh__alloc(&cell_of, m->n_rows, sizeof *cell_of, error));
    NLSH_TRY(float_rows(m, &floats, &owned, error));
    NLSH_TRY(nlsh__kmeans(floats, m->n_rows, m->dim, n_lists, KMEANS_ITERATIONS, seed, job,
                          ivf->centroids, cell_of, error));
    free(owned);
    owned = NULL;
    NLSH_TRY(nlsh__calloc(&ivf->offsets, n_lists + 1, sizeof *ivf->offsets, error));
    NLSH_TRY(nlsh__alloc(&ivf->ids, m->n_rows, sizeof *ivf->ids, error));
    NLSH_TRY(nlsh__alloc(&ivf->rows, m->n_rows, m->dim * (m->type == NLSH_U8 ? 1 : sizeof(float)),
                         error));
    fill_cells(ivf, m->data, cell_of);
out:
    free(owned);
    free(cell_of);
    return status;
}

enum nlsh_status nlsh_ivfflat_build(const struct nlsh_matrix *base, size_t n_lists, uint64_t seed,
                                    const struct nlsh_run *run, struct nlsh_ivfflat **out,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {0};
    struct nlsh__dataset dataset = {0};
    struct nlsh_ivfflat *ivf = NULL;
    nlsh__error_clear(error);
    *out = NULL;
    NLSH_TRY(nlsh__kernels_check(error));
    NLSH_TRY(nlsh__job_begin(run, &job, error));
    NLSH_TRY(nlsh__dataset_init(base, &dataset, error));
    if (n_lists < 1 || n_lists > dataset.matrix.n_rows) {
        status = nlsh__fail(error, NLSH_E_ARG, "the square root of the number of rows is usual",
                            "%zu lists for %zu rows", n_lists, dataset.matrix.n_rows);
        goto out;
    }
    NLSH_TRY(nlsh__calloc(&ivf, 1, sizeof *ivf, error));
    NLSH_TRY(build(&dataset, n_lists, seed, &job, ivf, error));
    *out = ivf;
    ivf = NULL;
out:
    nlsh_ivfflat_free(ivf);
    nlsh__dataset_free(&dataset);
    nlsh__job_end(&job);
    return status;
}

void nlsh_ivfflat_free(struct nlsh_ivfflat *ivf)
{
    if (ivf == NULL) return;
    free(ivf->centroids);
    free(ivf->offsets);
    free(ivf->ids);
    free(ivf->rows);
    free(ivf);
}

/* ---- search ---------------------------------------------------------------------------------- */

static int ascending_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Puts the n smallest of values first, in no order; n >= 1 (Hoare's FIND, CACM 1961). */
static void select_smallest(uint64_t *values, size_t n_values, size_t n)
{
    ptrdiff_t low = 0, high = (ptrdiff_t)n_values - 1, target = (ptrdiff_t)n - 1;
    while (low < high) {
        uint64_t pivot = values[target];
        ptrdiff_t i = low, j = high;
        while (i <= j) {
            while (values[i] < pivot) i++;
            while (values[j] > pivot) j--;
            if (i > j) break;
            uint64_t t = values[i];
            values[i++] = values[j];
            values[j--] = t;
        }
        if (j < target) low = i;
        if (target < i) high = j;
    }
}

/* The n_probes nearest cells of a query, ascending, at the front of cells. */
static void choose_cells(const struct nlsh_ivfflat *ivf, const struct nlsh__kernels *kernels,
                         struct nlsh__query query, size_t n_probes, uint64_t *cells)
{
    for (size_t c = 0; c < ivf->n_lists; c++) {
        const float *centroid = ivf->centroids + c * ivf->dim;
        float l2sq = query.u8 != NULL ? kernels->l2sq_f32_u8(centroid, query.u8, ivf->dim)
                                      : kernels->l2sq_f32(centroid, query.f32, ivf->dim);
        cells[c] = nlsh__key_f32(l2sq, (uint32_t)c);
    }
    select_smallest(cells, ivf->n_lists, n_probes);
    qsort(cells, n_probes, sizeof *cells, ascending_u64);
}

static void search_one(const struct nlsh_ivfflat *ivf, struct nlsh__query query, size_t n_probes,
                       uint64_t *cells, uint64_t *keys, size_t k, struct nlsh_search_stats *stats)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    size_t row_bytes = ivf->dim * (ivf->storage == NLSH_U8 ? 1 : sizeof(float));
    *stats = (struct nlsh_search_stats){.n_probes = (uint32_t)n_probes};
    choose_cells(ivf, kernels, query, n_probes, cells);
    nlsh__topk_clear(keys, k);
    for (size_t i = 0; i < n_probes; i++) {
        uint32_t cell = (uint32_t)cells[i], first = ivf->offsets[cell];
        uint32_t n = ivf->offsets[cell + 1] - first;
        nlsh__scan(kernels, query, (const uint8_t *)ivf->rows + first * row_bytes, ivf->storage, n,
                   ivf->dim, ivf->ids + first, keys, k);
        stats->candidates += n;
    }
    stats->reranked = stats->candidates;
}

enum nlsh_status nlsh_ivfflat_search(const struct nlsh_ivfflat *ivf,
                                     const struct nlsh_matrix *queries, size_t n_probes, size_t k,
                                     uint32_t *ids, float *l2sq, struct nlsh_search_stats *stats,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__dataset q = {0};
    float *scratch = NULL;
    uint64_t *cells = NULL, *keys = NULL;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__check_search(k, ids, error));
    if (n_probes < 1) {
        status = nlsh__fail(error, NLSH_E_ARG, "probe 1 or more", "n_probes is 0");
        goto out;
    }
    if (n_probes > ivf->n_lists) n_probes = ivf->n_lists;
    NLSH_TRY(nlsh__dataset_init(queries, &q, error));
    NLSH_TRY(nlsh__check_dims(ivf->dim, q.matrix.dim, error));
    NLSH_TRY(nlsh__alloc(&scratch, ivf->dim, sizeof *scratch, error));
    NLSH_TRY(nlsh__alloc(&cells, ivf->n_lists, sizeof *cells, error));
    NLSH_TRY(nlsh__alloc(&keys, k, sizeof *keys, error));
    for (size_t i = 0; i < q.matrix.n_rows; i++) {
        struct nlsh_search_stats one;
        struct nlsh__query query = nlsh__query_row(&q, i, ivf->source, ivf->storage, scratch);
        search_one(ivf, query, n_probes, cells, keys, k, &one);
        nlsh__scan_answer(keys, k, query.u8 != NULL, ids + i * k, l2sq ? l2sq + i * k : NULL);
        if (stats != NULL) stats[i] = one;
    }
out:
    free(keys);
    free(cells);
    free(scratch);
    nlsh__dataset_free(&q);
    return status;
}
