/*
 * baseline.c - the search that all baselines share: choose buckets, scan them exactly, k best.
 */
#include "baselines/baseline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "kernels/topk.h"

enum { RERANK_TIMES = 10 };

static const struct nlsh__bucketing *bucketing(enum nlsh__baseline_method method)
{
    switch (method) {
    case NLSH__BASELINE_IVFFLAT: return &nlsh__ivfflat;
    case NLSH__BASELINE_IVFPQ: return &nlsh__ivfpq;
    case NLSH__BASELINE_LSH: return &nlsh__lsh;
    case NLSH__BASELINE_HYPERCUBE: return &nlsh__hypercube;
    case NLSH__BASELINE_ROUTED: return &nlsh__routed;
    }
    return NULL;
}

void nlsh__baseline_options_init(struct nlsh__baseline_options *options)
{
    *options = (struct nlsh__baseline_options){.method = NLSH__BASELINE_IVFFLAT,
                                               .seed = 1,
                                               .n_lists = NLSH_AUTO,
                                               .n_subspaces = NLSH_AUTO,
                                               .n_tables = 16,
                                               .n_hashes = NLSH_AUTO,
                                               .n_bits = NLSH_AUTO,
                                               .window = NLSH_AUTO_REAL};
}

/* ---- build ----------------------------------------------------------------------------------- */

enum nlsh_status nlsh__float_rows(const struct nlsh_matrix *m, const float **out, float **owned,
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

static enum nlsh_status build(struct nlsh__baseline *b, struct nlsh__baseline_options *options,
                              const struct nlsh__job *job, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t dim = b->base.matrix.dim;
    NLSH_TRY(b->how->build(b, &b->base, options, job, error));
    if (!b->buckets.overlapping) nlsh__dataset_free(&b->base); /* the rows were copied */
    NLSH_TRY(nlsh__alloc(&b->chosen, b->buckets.n_buckets, sizeof *b->chosen, error));
    NLSH_TRY(nlsh__alloc(&b->order, b->buckets.n_buckets, sizeof *b->order, error));
    NLSH_TRY(nlsh__calloc(&b->query, dim, sizeof *b->query, error));
    NLSH_TRY(nlsh__calloc(&b->expanded, dim, sizeof *b->expanded, error));
out:
    return status;
}

enum nlsh_status nlsh__baseline_build(const struct nlsh_matrix *base,
                                      struct nlsh__baseline_options *options,
                                      const struct nlsh_run *run, struct nlsh__baseline **out,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {0};
    struct nlsh__baseline *b = NULL;
    nlsh__error_clear(error);
    *out = NULL;
    NLSH_TRY(nlsh__kernels_check(error));
    NLSH_TRY(nlsh__job_begin(run, &job, error));
    NLSH_TRY(nlsh__calloc(&b, 1, sizeof *b, error));
    b->how = bucketing(options->method);
    if (b->how == NULL) {
        status = nlsh__fail(error, NLSH_E_ARG, NULL, "there is no baseline %d", options->method);
        goto out;
    }
    NLSH_TRY(nlsh__dataset_init(base, &b->base, error));
    NLSH_TRY(build(b, options, &job, error));
    *out = b;
    b = NULL;
out:
    nlsh__baseline_free(b);
    nlsh__job_end(&job);
    return status;
}

void nlsh__baseline_free(struct nlsh__baseline *baseline)
{
    if (baseline == NULL) return;
    if (baseline->how != NULL && baseline->state != NULL) baseline->how->free(baseline);
    nlsh__free(baseline->state);
    nlsh__buckets_free(&baseline->buckets);
    nlsh__dataset_free(&baseline->base);
    nlsh__free(baseline->chosen);
    nlsh__free(baseline->order);
    nlsh__free(baseline->query);
    nlsh__free(baseline->expanded);
    nlsh__free(baseline->keys);
    nlsh__free(baseline);
}

size_t nlsh__baseline_bytes(const struct nlsh__baseline *baseline)
{
    return nlsh__buckets_bytes(&baseline->buckets) + baseline->how->bytes(baseline);
}

/* ---- search ---------------------------------------------------------------------------------- */

/* The query as floats in the units of the stored rows. */
static const float *floats_of(struct nlsh__baseline *b, struct nlsh__query query)
{
    size_t dim = b->buckets.dim;
    if (query.u8 == NULL) {
        memcpy(b->expanded, query.f32, dim * sizeof *b->expanded);
    } else {
        for (size_t j = 0; j < dim; j++) b->expanded[j] = (float)query.u8[j];
    }
    return b->expanded;
}

/* Into the arrays of stats that there are, at i. */
static enum nlsh_status search_one(struct nlsh__baseline *b, const struct nlsh__asked *asked,
                                   size_t k, size_t rerank, const struct nlsh_search_stats *stats,
                                   size_t i, struct nlsh_error *error)
{
    size_t n, candidates, n_places;
    const uint32_t *places;
    enum nlsh_status status = b->how->choose(b, asked, &n, error);
    if (status != NLSH_OK) return status;
    nlsh__topk_clear(b->keys, k);
    if (b->how->shortlist == NULL) {
        candidates = n_places =
            nlsh__buckets_scan(&b->buckets, asked->query, b->chosen, n, b->keys, k);
    } else {
        if (rerank == 0) rerank = RERANK_TIMES * k;
        if (rerank < k) rerank = k;
        n_places = b->how->shortlist(b, asked, n, rerank, &places, &candidates);
        nlsh__buckets_scan_places(&b->buckets, asked->query, places, n_places, b->keys, k);
    }
    if (stats->probes != NULL) stats->probes[i] = (uint32_t)n;
    if (stats->candidates != NULL) stats->candidates[i] = (uint32_t)candidates;
    if (stats->ranked != NULL) stats->ranked[i] = (uint32_t)n_places;
    return NLSH_OK;
}

static enum nlsh_status check_probes(const struct nlsh__baseline *b, double probes,
                                     struct nlsh_error *error)
{
    if (probes >= 1 && floor(probes) == probes) return NLSH_OK;
    if (probes > 0 && probes < 1 && b->how->fractions) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, "probe a whole number of buckets, 1 or more",
                      "probes is %g", probes);
}

/* Room for k keys. */
static enum nlsh_status grow(struct nlsh__baseline *b, size_t k, struct nlsh_error *error)
{
    if (k <= b->n_keys) return NLSH_OK;
    nlsh__free(b->keys);
    b->n_keys = 0;
    enum nlsh_status status = nlsh__alloc(&b->keys, k, sizeof *b->keys, error);
    if (status == NLSH_OK) b->n_keys = k;
    return status;
}

enum nlsh_status nlsh__baseline_search(struct nlsh__baseline *b, const struct nlsh_matrix *queries,
                                       double probes, size_t rerank, size_t k, uint64_t *keys,
                                       float *distances, struct nlsh_search_stats *stats,
                                       struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__dataset q = {0};
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__check_search(k, keys, error));
    NLSH_TRY(check_probes(b, probes, error));
    NLSH_TRY(nlsh__dataset_init(queries, &q, error));
    NLSH_TRY(nlsh__check_dims(b->buckets.dim, q.matrix.dim, error));
    NLSH_TRY(grow(b, k, error));
    static const struct nlsh_search_stats nothing;
    for (size_t i = 0; i < q.matrix.n_rows; i++) {
        struct nlsh_matrix row = *queries;
        row.data = nlsh__row(queries, i);
        row.n_rows = 1;
        struct nlsh__query query =
            nlsh__query_row(&q, i, b->buckets.source, b->buckets.storage, b->query);
        struct nlsh__asked asked = {query, floats_of(b, query), &row, probes};
        NLSH_TRY(search_one(b, &asked, k, rerank, stats != NULL ? stats : &nothing, i, error));
        nlsh__scan_answer(b->keys, k, query.u8 != NULL, keys + i * k,
                          distances ? distances + i * k : NULL);
    }
out:
    nlsh__dataset_free(&q);
    return status;
}
