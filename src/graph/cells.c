/* cells.c - see cells.h. */
#include "graph/cells.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "graph/graph.h"
#include "partition/kmeans.h"

enum {
    SAMPLE = 64, /* rows a centroid, for k-means */
    ITERATIONS = 6,
    SLAB = 32768 /* rows at a time */
};

struct cells {
    const struct nlsh_matrix *base;
    size_t n_cells, n_probes;
    float *centroids; /* [n_cells x dim] */
    uint32_t *probes;
};

/* ---- centroids ------------------------------------------------------------------------------- */

static void to_floats(const struct nlsh_matrix *base, size_t row, float *out)
{
    if (base->type == NLSH_U8)
        for (size_t d = 0; d < base->dim; d++)
            out[d] = ((const uint8_t *)base->data)[row * base->dim + d];
    else
        memcpy(out, (const float *)base->data + row * base->dim, base->dim * sizeof *out);
}

static enum nlsh_status make_centroids(const struct cells *c, uint64_t seed,
                                       const struct nlsh__job *job, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = c->base->n_rows, dim = c->base->dim;
    size_t n_sample = n / SAMPLE > c->n_cells ? SAMPLE * c->n_cells : n;
    uint32_t *chosen = NULL;
    float *sample = NULL;
    struct nlsh__rng rng;
    NLSH_TRY(nlsh__alloc(&chosen, n_sample, sizeof *chosen, error));
    NLSH_TRY(nlsh__alloc(&sample, n_sample * dim, sizeof *sample, error));
    nlsh__rng_init(&rng, seed, 0x70696563);
    nlsh__rng_sample(&rng, n, n_sample, chosen);
    for (size_t i = 0; i < n_sample; i++) to_floats(c->base, chosen[i], sample + i * dim);
    NLSH_TRY(nlsh__kmeans(sample, n_sample, dim, c->n_cells, ITERATIONS, seed, job, c->centroids,
                          NULL, error));
out:
    nlsh__free(chosen);
    nlsh__free(sample);
    return status;
}

/* ---- probes ---------------------------------------------------------------------------------- */

/* Bytes are compared with centroids that are rounded to bytes, which takes a quarter of the time of floats. */
static enum nlsh_status find_u8(const struct cells *c, const struct nlsh__job *job,
                                struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_values = c->n_cells * c->base->dim, dim = c->base->dim;
    uint8_t *rounded = NULL;
    struct nlsh__neighbors found = {0};
    NLSH_TRY(nlsh__alloc(&rounded, n_values, 1, error));
    for (size_t i = 0; i < n_values; i++) rounded[i] = (uint8_t)lrintf(c->centroids[i]);
    const struct nlsh_matrix cells = {rounded, c->n_cells, dim, NLSH_U8, 0};
    for (size_t first = 0; first < c->base->n_rows; first += SLAB) {
        size_t n = c->base->n_rows - first < SLAB ? c->base->n_rows - first : SLAB;
        const struct nlsh_matrix rows = {(const uint8_t *)c->base->data + first * dim, n, dim,
                                         NLSH_U8, 0};
        NLSH_TRY(nlsh__exact_neighbors(&cells, &rows, c->n_probes, 0, "cells", job, &found, error));
        memcpy(c->probes + first * c->n_probes, found.ids, n * c->n_probes * sizeof *found.ids);
        nlsh__neighbors_free(&found);
    }
out:
    nlsh__free(rounded);
    nlsh__neighbors_free(&found);
    return status;
}

/* Where products overflow a row may be near nothing, and cell 0 stands for that: any cells do then, each once. */
static void name_once(const struct cells *c)
{
    for (size_t row = 0; row < c->base->n_rows; row++) {
        uint32_t *probes = c->probes + row * c->n_probes;
        size_t zeros = 0;
        for (size_t i = 0; i < c->n_probes; i++) zeros += probes[i] == 0;
        for (size_t i = 0; zeros > 1 && i < c->n_probes; i++) probes[i] = (uint32_t)i;
    }
}

static enum nlsh_status find_f32(const struct cells *c, const struct nlsh__job *job,
                                 struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    size_t n_rows = c->base->n_rows, dim = c->base->dim;
    for (size_t first = 0; first < n_rows; first += SLAB) {
        size_t n = n_rows - first < SLAB ? n_rows - first : SLAB;
        NLSH_TRY(nlsh__job_progress(job, "cells", first, n_rows, error));
        NLSH_TRY(nlsh__near_cells((const float *)c->base->data + first * dim, n, dim, c->centroids,
                                  NULL, c->n_cells, c->n_probes, NULL, job,
                                  c->probes + first * c->n_probes, NULL, error));
    }
    name_once(c);
    NLSH_TRY(nlsh__job_progress(job, "cells", n_rows, n_rows, error));
out:
    return status;
}

enum nlsh_status nlsh__cells_to_ask(const struct nlsh_matrix *base, size_t n_cells, size_t n_probes,
                                    uint64_t seed, const struct nlsh__job *job, uint32_t *probes,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    struct cells c = {.base = base, .n_cells = n_cells, .n_probes = n_probes, .probes = probes};
    NLSH_TRY(nlsh__alloc(&c.centroids, n_cells * base->dim, sizeof *c.centroids, error));
    NLSH_TRY(make_centroids(&c, seed, job, error));
    if (base->type == NLSH_U8)
        NLSH_TRY(find_u8(&c, job, error));
    else
        NLSH_TRY(find_f32(&c, job, error));
out:
    nlsh__free(c.centroids);
    return status;
}
