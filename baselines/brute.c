/*
 * brute.c - every query against every row, one query at a time on one thread.
 *
 * BEST is the scan of scan.h. PLAIN is what a textbook has: floats, one loop over the dimension,
 * one sum; the compiler may not reorder it, so it stays scalar.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "baselines/scan.h"
#include "kernels/topk.h"
#include "nlsh/learn.h"

struct nlsh__brute {
    struct nlsh__dataset base;
    float *floats; /* PLAIN: the base as floats */
};

static void search_best(const struct nlsh__dataset *base, const struct nlsh__dataset *queries,
                        size_t k, uint64_t *best, float *scratch, uint64_t *keys, float *distances)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    const struct nlsh_matrix *m = &base->matrix;
    for (size_t q = 0; q < queries->matrix.n_rows; q++) {
        struct nlsh__query query = nlsh__query_row(queries, q, base->source_type, m->type, scratch);
        nlsh__topk_clear(best, k);
        nlsh__scan(kernels, query, m->data, m->type, m->n_rows, m->dim, NULL, best, k);
        nlsh__scan_answer(best, k, query.u8 != NULL, keys + q * k,
                          distances ? distances + q * k : NULL);
    }
}

static float plain_l2sq(const float *a, const float *b, size_t dim)
{
    float sum = 0;
    for (size_t j = 0; j < dim; j++) {
        float d = a[j] - b[j];
        sum += d * d;
    }
    return sum;
}

static void search_plain(const float *base, size_t n_rows, size_t dim, const float *queries,
                         size_t n_queries, size_t k, uint64_t *best, uint64_t *keys,
                         float *distances)
{
    for (size_t q = 0; q < n_queries; q++) {
        nlsh__topk_clear(best, k);
        for (size_t i = 0; i < n_rows; i++) {
            float score = plain_l2sq(queries + q * dim, base + i * dim, dim);
            nlsh__topk_insert(best, k, nlsh__key_f32(score, (uint32_t)i));
        }
        nlsh__scan_answer(best, k, 0, keys + q * k, distances ? distances + q * k : NULL);
    }
}

/* A dataset's values as floats, in the units of its file. */
static enum nlsh_status to_floats(const struct nlsh__dataset *d, float **out,
                                  struct nlsh_error *error)
{
    const struct nlsh_matrix *m = &d->matrix;
    size_t n = m->n_rows * m->dim;
    float origin = d->source_type == NLSH_I8 ? -128.0f : 0.0f;
    enum nlsh_status status = nlsh__alloc(out, n, sizeof **out, error);
    if (status != NLSH_OK) return status;
    if (m->type == NLSH_U8)
        for (size_t i = 0; i < n; i++) (*out)[i] = (float)((const uint8_t *)m->data)[i] + origin;
    else
        memcpy(*out, m->data, n * sizeof **out);
    return status;
}

enum nlsh_status nlsh__brute_create(const struct nlsh_matrix *base, enum nlsh__brute_method method,
                                    struct nlsh__brute **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__brute *brute = NULL;
    nlsh__error_clear(error);
    *out = NULL;
    NLSH_TRY(nlsh__kernels_check(error));
    NLSH_TRY(nlsh__calloc(&brute, 1, sizeof *brute, error));
    NLSH_TRY(nlsh__dataset_init(base, &brute->base, error));
    if (method == NLSH__BRUTE_PLAIN) NLSH_TRY(to_floats(&brute->base, &brute->floats, error));
    *out = brute;
    return NLSH_OK;
out:
    nlsh__brute_free(brute);
    return status;
}

void nlsh__brute_free(struct nlsh__brute *brute)
{
    if (brute == NULL) return;
    nlsh__free(brute->floats);
    nlsh__dataset_free(&brute->base);
    nlsh__free(brute);
}

enum nlsh_status nlsh__brute_search(const struct nlsh__brute *brute,
                                    const struct nlsh_matrix *queries, size_t k, uint64_t *keys,
                                    float *distances, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__dataset *b = &brute->base;
    struct nlsh__dataset q = {0};
    float *scratch = NULL, *floats = NULL;
    uint64_t *best = NULL;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__check_search(k, keys, error));
    NLSH_TRY(nlsh__dataset_init(queries, &q, error));
    NLSH_TRY(nlsh__check_dims(b->matrix.dim, q.matrix.dim, error));
    NLSH_TRY(nlsh__alloc(&best, k, sizeof *best, error));
    if (brute->floats != NULL) {
        NLSH_TRY(to_floats(&q, &floats, error));
        search_plain(brute->floats, b->matrix.n_rows, b->matrix.dim, floats, q.matrix.n_rows, k,
                     best, keys, distances);
    } else {
        NLSH_TRY(nlsh__alloc(&scratch, b->matrix.dim, sizeof *scratch, error));
        search_best(b, &q, k, best, scratch, keys, distances);
    }
out:
    nlsh__free(floats);
    nlsh__free(scratch);
    nlsh__free(best);
    nlsh__dataset_free(&q);
    return status;
}
