/*
 * ivfflat.c - the approximate k-NN graph: k-means cells, and each cell's rows against the rows of
 * the cells nearest to it. The predecessor calls this way "ivfflat".
 *
 * All rows of a cell share the cells they are compared with, so a cell's work is one exact search
 * of a small base (exact.c), in which its own rows come first: row i of the queries is row i of
 * the base and is left out.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "graph/graph.h"
#include "partition/kmeans.h"

/* tests/unit/graph/test_approximate.c holds the recall that these reach. */
enum { CELL_ROWS = 500, PROBES = 24, ITERATIONS = 8 };

struct ivf {
    const struct nlsh_matrix *base;
    size_t n_cells, n_probes, k, row_bytes;
    uint32_t *offsets; /* [n_cells + 1] */
    uint32_t *order;   /* [n_rows] rows by cell */
    uint32_t *near;    /* [n_cells x n_probes] the cell itself first */
    struct nlsh__neighbors *out;
    enum nlsh_status *statuses; /* [n_cells] */
};

/* Rows of the cell's neighbourhood, its own first, then whole cells by distance. Where the nearest
 * cells hold too few for k neighbours, every other row follows. */
static size_t gather(const struct ivf *c, size_t cell, uint32_t *rows)
{
    size_t n = 0;
    const uint32_t *near = c->near + cell * c->n_probes;
    for (size_t r = c->offsets[cell]; r < c->offsets[cell + 1]; r++) rows[n++] = c->order[r];
    for (size_t p = 0; p < c->n_probes; p++)
        for (size_t r = c->offsets[near[p]]; near[p] != cell && r < c->offsets[near[p] + 1]; r++)
            rows[n++] = c->order[r];
    if (n > c->k) return n;
    for (size_t other = 0; other < c->n_cells; other++) {
        int had = other == cell;
        for (size_t p = 0; p < c->n_probes; p++) had |= near[p] == other;
        for (size_t r = c->offsets[other]; !had && r < c->offsets[other + 1]; r++)
            rows[n++] = c->order[r];
    }
    return n;
}

static enum nlsh_status search_cell(const struct ivf *c, size_t cell)
{
    enum nlsh_status status;
    size_t n_own = c->offsets[cell + 1] - c->offsets[cell], n;
    uint32_t *rows = NULL;
    uint8_t *values = NULL;
    struct nlsh__neighbors found = {0};
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    struct nlsh__job job = {0};
    if (n_own == 0) return NLSH_OK;
    NLSH_TRY(nlsh__alloc(&rows, c->base->n_rows, sizeof *rows, NULL));
    n = gather(c, cell, rows);
    NLSH_TRY(nlsh__alloc(&values, n, c->row_bytes, NULL));
    for (size_t i = 0; i < n; i++)
        memcpy(values + i * c->row_bytes,
               (const uint8_t *)c->base->data + (size_t)rows[i] * c->row_bytes, c->row_bytes);
    struct nlsh_matrix base = {values, n, c->base->dim, c->base->type, 0};
    struct nlsh_matrix own = {values, n_own, c->base->dim, c->base->type, 0};
    NLSH_TRY(nlsh__job_begin(&run, &job, NULL));
    NLSH_TRY(nlsh__exact_neighbors(&base, &own, c->k, 1, "", &job, &found, NULL));
    for (size_t i = 0; i < n_own; i++) {
        /* Back to the base's ids; among equal distances these order otherwise than the subset's. */
        uint32_t *ids = c->out->ids + (size_t)rows[i] * c->k;
        float *l2sq = c->out->l2sq + (size_t)rows[i] * c->k;
        for (size_t j = 0; j < c->k; j++) {
            uint32_t id = rows[found.ids[i * c->k + j]];
            float score = found.l2sq[i * c->k + j];
            size_t at = j;
            for (; at > 0 && l2sq[at - 1] == score && ids[at - 1] > id; at--) ids[at] = ids[at - 1];
            ids[at] = id;
            l2sq[j] = score;
        }
    }
out:
    nlsh__job_end(&job);
    nlsh__free(rows);
    nlsh__free(values);
    nlsh__free(found.ids);
    nlsh__free(found.l2sq);
    return status;
}

static void cell_task(void *ctx, size_t cell, size_t worker)
{
    const struct ivf *c = ctx;
    (void)worker;
    c->statuses[cell] = search_cell(c, cell);
}

static enum nlsh_status make_cells(struct ivf *c, uint64_t seed, const struct nlsh__job *job,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = c->base->n_rows, dim = c->base->dim;
    float *rows = NULL, *centroids = NULL;
    uint32_t *cell_of = NULL;
    NLSH_TRY(nlsh__alloc(&centroids, c->n_cells * dim, sizeof *centroids, error));
    NLSH_TRY(nlsh__alloc(&cell_of, n, sizeof *cell_of, error));
    const float *floats = c->base->data;
    if (c->base->type == NLSH_U8) {
        NLSH_TRY(nlsh__alloc(&rows, n * dim, sizeof *rows, error));
        for (size_t i = 0; i < n * dim; i++) rows[i] = ((const uint8_t *)c->base->data)[i];
        floats = rows;
    }
    NLSH_TRY(
        nlsh__kmeans(floats, n, dim, c->n_cells, ITERATIONS, seed, job, centroids, cell_of, error));
    NLSH_TRY(nlsh__nearest_cells(centroids, c->n_cells, dim, centroids, NULL, c->n_cells,
                                 c->n_probes, NULL, job, c->near, NULL, error));
    for (size_t i = 0; i < n; i++) c->offsets[cell_of[i] + 1]++;
    for (size_t j = 0; j < c->n_cells; j++) c->offsets[j + 1] += c->offsets[j];
    for (size_t i = 0; i < n; i++) c->order[c->offsets[cell_of[i]]++] = (uint32_t)i;
    for (size_t j = c->n_cells; j > 0; j--) c->offsets[j] = c->offsets[j - 1];
    c->offsets[0] = 0;
out:
    nlsh__free(rows);
    nlsh__free(centroids);
    nlsh__free(cell_of);
    return status;
}

enum nlsh_status nlsh__ivfflat_neighbors(const struct nlsh_matrix *base, size_t k, uint64_t seed,
                                         const struct nlsh__job *job, struct nlsh__neighbors *out,
                                         struct nlsh_error *error)
{
    enum nlsh_status status;
    struct ivf c = {.base = base, .k = k, .out = out};
    c.n_cells = (base->n_rows + CELL_ROWS - 1) / CELL_ROWS;
    c.n_probes = c.n_cells < PROBES ? c.n_cells : PROBES;
    c.row_bytes = base->dim * (base->type == NLSH_U8 ? 1 : sizeof(float));
    *out = (struct nlsh__neighbors){.n_rows = base->n_rows, .k = k};
    NLSH_TRY(nlsh__alloc(&out->ids, base->n_rows * k, sizeof *out->ids, error));
    NLSH_TRY(nlsh__alloc(&out->l2sq, base->n_rows * k, sizeof *out->l2sq, error));
    NLSH_TRY(nlsh__calloc(&c.offsets, c.n_cells + 1, sizeof *c.offsets, error));
    NLSH_TRY(nlsh__alloc(&c.order, base->n_rows, sizeof *c.order, error));
    NLSH_TRY(nlsh__alloc(&c.near, c.n_cells * c.n_probes, sizeof *c.near, error));
    NLSH_TRY(nlsh__calloc(&c.statuses, c.n_cells, sizeof *c.statuses, error));
    NLSH_TRY(make_cells(&c, seed, job, error));
    NLSH_TRY(nlsh__job_tasks(job, "k-NN graph", c.n_cells, cell_task, &c, error));
    for (size_t j = 0; j < c.n_cells && status == NLSH_OK; j++)
        if (c.statuses[j] != NLSH_OK)
            status = nlsh__fail(error, c.statuses[j], "scale the vectors, or free some memory",
                                "k-NN graph: a cell's search failed (%s)",
                                nlsh_status_name(c.statuses[j]));
out:
    nlsh__free(c.offsets);
    nlsh__free(c.order);
    nlsh__free(c.near);
    nlsh__free(c.statuses);
    if (status != NLSH_OK) nlsh__neighbors_free(out);
    return status;
}
