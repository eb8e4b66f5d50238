/*
 * ivfpq.c - k-means cells and product quantisation (Jegou, Douze and Schmid, "Product Quantization
 * for Nearest Neighbor Search", PAMI 2011, section IV: IVFADC), the best by code ranked exactly.
 *
 * The dimensions are cut into stretches. A vector's residual, what is left of it beyond its cell's
 * centroid c, is written in each stretch as the nearest of 256 codewords w, found by Lloyd's
 * k-means: a byte each. With w_j the codeword of stretch j,
 *     |q - c - w|^2 = |q - c|^2 + sum_j (|w_j|^2 + 2 c_j.w_j) - 2 sum_j q_j.w_j.
 * The middle sum is a number a vector, kept with its code; the last takes one table of products a
 * query, for all cells (faiss calls this "precomputed tables"; the paper makes a table a cell). We
 * depart from the paper in ranking the best `rerank` vectors exactly, as the other methods do all.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "baselines/baseline.h"
#include "kernels/panel.h"
#include "kernels/select.h"
#include "kernels/topk.h"
#include "partition/kmeans.h"

enum {
    CODEWORDS = 256, /* a byte */
    GROUPS = CODEWORDS / 16,
    KMEANS_ITERATIONS = 10,
    DIMS_A_BYTE = 16 /* by default */
};

struct ivfpq {
    size_t n_subspaces;
    struct nlsh__cells cells;
    struct nlsh__panel_f32 *panels; /* [n_subspaces] codewords, 256 rows each */
    float *no_bias;                 /* [256] of 0 */
    uint8_t *codes;                 /* [n_rows x n_subspaces] in the order of cells */
    float *middle;                  /* [n_rows] the middle sum */
    float *products;                /* [n_subspaces x 256] of the query */
    float *stretch;                 /* [dim] of the query, aligned */
    uint64_t *keys;                 /* [n_rows] score and place */
    uint32_t *places;               /* [n_rows] */
};

/* Where stretch j begins; it ends where the next begins. */
static size_t stretch_at(const struct ivfpq *pq, size_t dim, size_t j)
{
    return j * dim / pq->n_subspaces;
}

/* ---- build ----------------------------------------------------------------------------------- */

/* rows less their cell's centroid, in the order of cells. */
static void residuals(const struct nlsh__buckets *b, const float *rows, const float *centroids,
                      float *out)
{
    size_t dim = b->dim;
    for (size_t c = 0; c < b->n_buckets; c++)
        for (uint32_t at = b->offsets[c]; at < b->offsets[c + 1]; at++)
            for (size_t d = 0; d < dim; d++)
                out[at * dim + d] = rows[b->ids[at] * dim + d] - centroids[c * dim + d];
}

/* The codewords of stretch j, each row's code, and its share of the middle sum. */
static enum nlsh_status encode_stretch(struct ivfpq *pq, const struct nlsh__buckets *b,
                                       const float *left, size_t j, uint64_t seed,
                                       const struct nlsh__job *job, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t dim = b->dim, first = stretch_at(pq, dim, j), width = stretch_at(pq, dim, j + 1) - first;
    size_t n_words = b->n_rows < CODEWORDS ? b->n_rows : CODEWORDS;
    float *part = NULL, *words = NULL;
    uint32_t *word_of = NULL;
    NLSH_TRY(nlsh__alloc(&part, b->n_rows * width, sizeof *part, error));
    NLSH_TRY(nlsh__calloc(&words, CODEWORDS * width, sizeof *words, error));
    NLSH_TRY(nlsh__alloc(&word_of, b->n_rows, sizeof *word_of, error));
    for (size_t i = 0; i < b->n_rows; i++)
        memcpy(part + i * width, left + i * dim + first, width * sizeof *part);
    NLSH_TRY(nlsh__kmeans(part, b->n_rows, width, n_words, KMEANS_ITERATIONS, seed + j, job, words,
                          word_of, error));
    NLSH_TRY(nlsh__panel_f32_create(words, NULL, CODEWORDS, width, &pq->panels[j], error));
    for (size_t c = 0; c < b->n_buckets; c++) {
        const float *centroid = pq->cells.centroids + c * dim + first;
        for (uint32_t at = b->offsets[c]; at < b->offsets[c + 1]; at++) {
            const float *word = words + word_of[at] * width;
            float sum = 0;
            for (size_t d = 0; d < width; d++) sum += word[d] * (word[d] + 2 * centroid[d]);
            pq->codes[at * pq->n_subspaces + j] = (uint8_t)word_of[at];
            pq->middle[at] += sum;
        }
    }
out:
    nlsh__free(part);
    nlsh__free(words);
    nlsh__free(word_of);
    return status;
}

static enum nlsh_status encode(struct ivfpq *pq, const struct nlsh__buckets *b, const float *rows,
                               uint64_t seed, const struct nlsh__job *job, struct nlsh_error *error)
{
    enum nlsh_status status;
    float *left = NULL;
    NLSH_TRY(nlsh__alloc(&left, b->n_rows * b->dim, sizeof *left, error));
    residuals(b, rows, pq->cells.centroids, left);
    for (size_t j = 0; j < pq->n_subspaces; j++) {
        NLSH_TRY(encode_stretch(pq, b, left, j, seed, job, error));
        NLSH_TRY(nlsh__job_progress(job, "product quantisation", j + 1, pq->n_subspaces, error));
    }
out:
    nlsh__free(left);
    return status;
}

static enum nlsh_status allocate(struct ivfpq *pq, size_t n_rows, size_t dim,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__calloc(&pq->panels, pq->n_subspaces, sizeof *pq->panels, error));
    NLSH_TRY(nlsh__calloc(&pq->no_bias, CODEWORDS, sizeof *pq->no_bias, error));
    NLSH_TRY(nlsh__alloc(&pq->codes, n_rows, pq->n_subspaces, error));
    NLSH_TRY(nlsh__calloc(&pq->middle, n_rows, sizeof *pq->middle, error));
    NLSH_TRY(nlsh__alloc(&pq->products, pq->n_subspaces * CODEWORDS, sizeof(float), error));
    NLSH_TRY(nlsh__alloc(&pq->stretch, dim, sizeof(float), error));
    NLSH_TRY(nlsh__alloc(&pq->keys, n_rows, sizeof *pq->keys, error));
    NLSH_TRY(nlsh__alloc(&pq->places, n_rows, sizeof *pq->places, error));
out:
    return status;
}

static enum nlsh_status ivfpq_build(struct nlsh__baseline *b, const struct nlsh__dataset *base,
                                    struct nlsh__baseline_options *options,
                                    const struct nlsh__job *job, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_matrix *m = &base->matrix;
    const float *floats;
    float *owned = NULL;
    uint32_t *cell_of = NULL;
    struct ivfpq *pq;
    if (options->n_subspaces == NLSH_AUTO) {
        options->n_subspaces = m->dim < DIMS_A_BYTE ? 1 : m->dim / DIMS_A_BYTE;
    }
    if (options->n_subspaces < 1 || options->n_subspaces > m->dim) {
        return nlsh__fail(error, NLSH_E_ARG, "a 16th of the dimension is usual",
                          "%zu bytes a code for vectors of dimension %zu", options->n_subspaces,
                          m->dim);
    }
    NLSH_TRY(nlsh__calloc(&b->state, 1, sizeof *pq, error));
    pq = b->state;
    pq->n_subspaces = options->n_subspaces;
    NLSH_TRY(allocate(pq, m->n_rows, m->dim, error));
    NLSH_TRY(nlsh__float_rows(m, &floats, &owned, error));
    NLSH_TRY(nlsh__cells_make(base, floats, options, job, &pq->cells, &cell_of, error));
    NLSH_TRY(nlsh__buckets_partition(base, cell_of, options->n_lists, &b->buckets, error));
    NLSH_TRY(encode(pq, &b->buckets, floats, options->seed, job, error));
out:
    nlsh__free(owned);
    nlsh__free(cell_of);
    return status;
}

/* ---- search ---------------------------------------------------------------------------------- */

static enum nlsh_status ivfpq_choose(struct nlsh__baseline *b, const struct nlsh__asked *asked,
                                     size_t *n, struct nlsh_error *error)
{
    const struct ivfpq *pq = b->state;
    (void)error;
    *n = nlsh__cells_nearest(b, &pq->cells, asked);
    return NLSH_OK;
}

/* -2 q_j.w for every codeword of every stretch. */
static void make_products(struct ivfpq *pq, const float *query, size_t dim)
{
    for (size_t j = 0; j < pq->n_subspaces; j++) {
        size_t first = stretch_at(pq, dim, j), width = stretch_at(pq, dim, j + 1) - first;
        for (size_t d = 0; d < width; d++) pq->stretch[d] = -2 * query[first + d];
        nlsh__kernels()->matvec_f32(pq->panels[j].values, pq->no_bias, GROUPS, width, pq->stretch,
                                    pq->products + j * CODEWORDS);
    }
}

/* The sum over a code's stretches; four at a time, so that additions do not wait for each other. */
static float look_up(const float *products, const uint8_t *code, size_t n)
{
    float a = 0, b = 0, c = 0, d = 0;
    size_t j = 0;
    for (; j + 4 <= n; j += 4, products += 4 * CODEWORDS) {
        a += products[code[j]];
        b += products[CODEWORDS + code[j + 1]];
        c += products[2 * CODEWORDS + code[j + 2]];
        d += products[3 * CODEWORDS + code[j + 3]];
    }
    for (; j < n; j++, products += CODEWORDS) a += products[code[j]];
    return (a + b) + (c + d);
}

static size_t ivfpq_shortlist(struct nlsh__baseline *b, const struct nlsh__asked *asked,
                              size_t n_chosen, size_t rerank, const uint32_t **places,
                              size_t *candidates)
{
    struct ivfpq *pq = b->state;
    size_t n = 0;
    make_products(pq, asked->floats, b->buckets.dim);
    for (size_t i = 0; i < n_chosen; i++) {
        float cell = nlsh__key_score_f32(b->order[i]); /* |q - c|^2 */
        uint32_t end = b->buckets.offsets[b->chosen[i] + 1];
        for (uint32_t at = b->buckets.offsets[b->chosen[i]]; at < end; at++) {
            float score = cell + pq->middle[at] +
                          look_up(pq->products, pq->codes + at * pq->n_subspaces, pq->n_subspaces);
            pq->keys[n++] = nlsh__key_f32(score > 0 ? score : 0, at); /* rounded below 0: 0 */
        }
    }
    *candidates = n;
    if (rerank < n) {
        nlsh__select_smallest(pq->keys, n, rerank);
        n = rerank;
    }
    for (size_t i = 0; i < n; i++) pq->places[i] = (uint32_t)pq->keys[i];
    *places = pq->places;
    return n;
}

static size_t ivfpq_bytes(const struct nlsh__baseline *b)
{
    const struct ivfpq *pq = b->state;
    const struct nlsh__buckets *buckets = &b->buckets;
    size_t words = CODEWORDS * buckets->dim * sizeof(float);
    return nlsh__cells_bytes(&pq->cells) + words +
           buckets->n_rows * (pq->n_subspaces + sizeof(float));
}

static void ivfpq_free(struct nlsh__baseline *b)
{
    struct ivfpq *pq = b->state;
    for (size_t j = 0; j < pq->n_subspaces && pq->panels != NULL; j++) {
        nlsh__panel_f32_free(&pq->panels[j]);
    }
    nlsh__free(pq->panels);
    nlsh__cells_free(&pq->cells);
    nlsh__free(pq->no_bias);
    nlsh__free(pq->codes);
    nlsh__free(pq->middle);
    nlsh__free(pq->products);
    nlsh__free(pq->stretch);
    nlsh__free(pq->keys);
    nlsh__free(pq->places);
}

const struct nlsh__bucketing nlsh__ivfpq = {.build = ivfpq_build,
                                            .choose = ivfpq_choose,
                                            .shortlist = ivfpq_shortlist,
                                            .bytes = ivfpq_bytes,
                                            .free = ivfpq_free};
