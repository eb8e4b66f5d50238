/*
 * baseline.c - the search that all baselines share: choose buckets, scan them exactly, k best.
 */
#include "baselines/baseline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/topk.h"

enum { RERANK_TIMES = 10 };

static const struct nlsh__bucketing *bucketing(enum nlsh_baseline_method method)
{
    switch (method) {
    case NLSH_BASELINE_IVFFLAT: return &nlsh__ivfflat;
    case NLSH_BASELINE_IVFPQ: return &nlsh__ivfpq;
    case NLSH_BASELINE_LSH: return &nlsh__lsh;
    case NLSH_BASELINE_HYPERCUBE: return &nlsh__hypercube;
    case NLSH_BASELINE_ROUTED: return &nlsh__routed;
    }
    return NULL;
}

void nlsh_baseline_options_init(struct nlsh_baseline_options *options)
{
    *options = (struct nlsh_baseline_options){.method = NLSH_BASELINE_IVFFLAT,
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

static enum nlsh_status build(struct nlsh_baseline *b, struct nlsh_baseline_options *options,
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

enum nlsh_status nlsh_baseline_build(const struct nlsh_matrix *base,
                                     struct nlsh_baseline_options *options,
                                     const struct nlsh_run *run, struct nlsh_baseline **out,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {0};
    struct nlsh_baseline *b = NULL;
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
    nlsh_baseline_free(b);
    nlsh__job_end(&job);
    return status;
}

void nlsh_baseline_free(struct nlsh_baseline *baseline)
{
    if (baseline == NULL) return;
    if (baseline->how != NULL && baseline->state != NULL) baseline->how->free(baseline);
    free(baseline->state);
    nlsh__buckets_free(&baseline->buckets);
    nlsh__dataset_free(&baseline->base);
    free(baseline->chosen);
    free(baseline->order);
    free(baseline->query);
    free(baseline->expanded);
    free(baseline->keys);
    free(baseline);
}

size_t nlsh_baseline_bytes(const struct nlsh_baseline *baseline)
{
    return nlsh__buckets_bytes(&baseline->buckets) + baseline->how->bytes(baseline);
}

/* ---- search ---------------------------------------------------------------------------------- */

/* The query as floats in the units of the stored rows. */
static const float *floats_of(struct nlsh_baseline *b, struct nlsh__query query)
{
    size_t dim = b->buckets.dim;
    if (query.u8 == NULL) {
        memcpy(b->expanded, query.f32, dim * sizeof *b->expanded);
    } else {
        for (size_t j = 0; j < dim; j++) b->expanded[j] = (float)query.u8[j];
    }
    return b->expanded;
}

static enum nlsh_status search_one(struct nlsh_baseline *b, const struct nlsh__asked *asked,
                                   size_t k, size_t rerank, struct nlsh_search_stats *stats,
                                   struct nlsh_error *error)
{
    size_t n, candidates, n_places;
    const uint32_t *places;
    enum nlsh_status status = b->how->choose(b, asked, &n, error);
    if (status != NLSH_OK) return status;
    nlsh__topk_clear(b->keys, k);
    *stats = (struct nlsh_search_stats){.n_probes = (uint32_t)n};
    if (b->how->shortlist == NULL) {
        candidates = n_places =
            nlsh__buckets_scan(&b->buckets, asked->query, b->chosen, n, b->keys, k);
    } else {
        if (rerank == 0) rerank = RERANK_TIMES * k;
        if (rerank < k) rerank = k;
        n_places = b->how->shortlist(b, asked, n, rerank, &places, &candidates);
        nlsh__buckets_scan_places(&b->buckets, asked->query, places, n_places, b->keys, k);
    }
    stats->candidates = (uint32_t)candidates;
    stats->reranked = (uint32_t)n_places;
    return NLSH_OK;
}

static enum nlsh_status check_probes(const struct nlsh_baseline *b, double probes,
                                     struct nlsh_error *error)
{
    if (probes >= 1 && floor(probes) == probes) return NLSH_OK;
    if (probes > 0 && probes < 1 && b->how->fractions) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, "probe a whole number of buckets, 1 or more",
                      "probes is %g", probes);
}

/* Room for k keys. */
static enum nlsh_status grow(struct nlsh_baseline *b, size_t k, struct nlsh_error *error)
{
    if (k <= b->n_keys) return NLSH_OK;
    free(b->keys);
    b->n_keys = 0;
    enum nlsh_status status = nlsh__alloc(&b->keys, k, sizeof *b->keys, error);
    if (status == NLSH_OK) b->n_keys = k;
    return status;
}

enum nlsh_status nlsh_baseline_search(struct nlsh_baseline *b, const struct nlsh_matrix *queries,
                                      double probes, size_t rerank, size_t k, uint32_t *ids,
                                      float *l2sq, struct nlsh_search_stats *stats,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__dataset q = {0};
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__check_search(k, ids, error));
    NLSH_TRY(check_probes(b, probes, error));
    NLSH_TRY(nlsh__dataset_init(queries, &q, error));
    NLSH_TRY(nlsh__check_dims(b->buckets.dim, q.matrix.dim, error));
    NLSH_TRY(grow(b, k, error));
    size_t row_bytes = queries->dim * (queries->type == NLSH_F32 ? sizeof(float) : 1);
    for (size_t i = 0; i < q.matrix.n_rows; i++) {
        struct nlsh_search_stats one;
        struct nlsh_matrix row = *queries;
        row.data = (const uint8_t *)queries->data + i * row_bytes;
        row.n_rows = 1;
        struct nlsh__query query =
            nlsh__query_row(&q, i, b->buckets.source, b->buckets.storage, b->query);
        struct nlsh__asked asked = {query, floats_of(b, query), &row, probes};
        NLSH_TRY(search_one(b, &asked, k, rerank, &one, error));
        nlsh__scan_answer(b->keys, k, query.u8 != NULL, ids + i * k, l2sq ? l2sq + i * k : NULL);
        if (stats != NULL) stats[i] = one;
    }
out:
    nlsh__dataset_free(&q);
    return status;
}
