/*
 * kmeans.c - Lloyd's iteration (1982) on a sample.
 */
#include "partition/kmeans.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"

enum { SAMPLE_A_CENTROID = 256 }; /* as faiss: more rows move centroids by less than they cost */

struct lloyd {
    const float *rows; /* the sample */
    size_t n, dim, k;
    uint32_t *cell_of; /* [n] */
    size_t *sizes;     /* [k] */
    float *centroids;
    struct nlsh__rng rng;
};

/* An empty cell takes a row at random out of the largest cell, which loses least by it. */
static void fill_empty_cells(struct lloyd *s)
{
    for (size_t j = 0; j < s->k; j++) {
        if (s->sizes[j] > 0) continue;
        size_t largest = 0;
        for (size_t c = 1; c < s->k; c++)
            if (s->sizes[c] > s->sizes[largest]) largest = c;
        size_t pick = (size_t)nlsh__rng_below(&s->rng, s->sizes[largest]);
        for (size_t i = 0; i < s->n; i++)
            if (s->cell_of[i] == largest && pick-- == 0) {
                s->cell_of[i] = (uint32_t)j;
                break;
            }
        s->sizes[largest]--;
        s->sizes[j] = 1;
    }
}

static enum nlsh_status update_centroids(struct lloyd *s, struct nlsh_error *error)
{
    double *sums;
    enum nlsh_status status = nlsh__calloc(&sums, s->k * s->dim, sizeof *sums, error);
    if (status != NLSH_OK) return status;
    memset(s->sizes, 0, s->k * sizeof *s->sizes);
    for (size_t i = 0; i < s->n; i++) s->sizes[s->cell_of[i]]++;
    fill_empty_cells(s);
    for (size_t i = 0; i < s->n; i++) {
        double *sum = sums + s->cell_of[i] * s->dim;
        const float *row = s->rows + i * s->dim;
        for (size_t d = 0; d < s->dim; d++) sum[d] += (double)row[d];
    }
    for (size_t j = 0; j < s->k; j++)
        for (size_t d = 0; d < s->dim; d++)
            s->centroids[j * s->dim + d] = (float)(sums[j * s->dim + d] / (double)s->sizes[j]);
    nlsh__free(sums);
    return NLSH_OK;
}

enum nlsh_status nlsh__kmeans(const float *rows, size_t n, size_t dim, size_t k, size_t iterations,
                              uint64_t seed, const struct nlsh__job *job, float *centroids,
                              uint32_t *cell_of, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *chosen = NULL;
    float *sample = NULL;
    struct lloyd s = {.n = n, .dim = dim, .k = k, .rows = rows, .centroids = centroids};
    nlsh__rng_init(&s.rng, seed, 0x6b6d);
    if (n / SAMPLE_A_CENTROID > k) s.n = SAMPLE_A_CENTROID * k;
    NLSH_TRY(nlsh__alloc(&chosen, s.n, sizeof *chosen, error));
    NLSH_TRY(nlsh__alloc(&s.cell_of, s.n, sizeof *s.cell_of, error));
    NLSH_TRY(nlsh__calloc(&s.sizes, k, sizeof *s.sizes, error));
    if (s.n < n) {
        NLSH_TRY(nlsh__alloc(&sample, s.n * dim, sizeof *sample, error));
        nlsh__rng_sample(&s.rng, n, s.n, chosen);
        for (size_t i = 0; i < s.n; i++)
            memcpy(sample + i * dim, rows + (size_t)chosen[i] * dim, dim * sizeof *sample);
        s.rows = sample;
    }
    nlsh__rng_sample(&s.rng, s.n, k, chosen);
    for (size_t j = 0; j < k; j++)
        memcpy(centroids + j * dim, s.rows + (size_t)chosen[j] * dim, dim * sizeof *centroids);
    for (size_t it = 0; it < iterations; it++) {
        NLSH_TRY(nlsh__job_progress(job, "k-means", it, iterations, error));
        NLSH_TRY(
            nlsh__near_cells(s.rows, s.n, dim, centroids, NULL, k, 1, job, s.cell_of, NULL, error));
        NLSH_TRY(update_centroids(&s, error));
    }
    if (cell_of != NULL)
        NLSH_TRY(
            nlsh__nearest_cells(rows, n, dim, centroids, NULL, k, 1, job, cell_of, NULL, error));
    NLSH_TRY(nlsh__job_progress(job, "k-means", iterations, iterations, error));
out:
    nlsh__free(chosen);
    nlsh__free(sample);
    nlsh__free(s.cell_of);
    nlsh__free(s.sizes);
    return status;
}
