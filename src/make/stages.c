/* stages.c - graphs and ground truth for callers: checked, through the cache, then computed. */
#include "make/stages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/names.h"
#include "base/rng.h"
#include "base/sized.h"
#include "cache/cache.h"
#include "graph/graph.h"
#include "kernels/kernels.h"
#include "make/space.h"
#include "vectors/dataset.h"
#include "vectors/vectors.h"

/* By the squared number of rows times their length, of which the exact graph makes half as products. 1e12 are
 * 36,000 x 784 or 88,000 x 128 values: two seconds of bytes on a core with AVX-512 VNNI, ten of bytes with AVX2 or of
 * floats. Of 60,000 x 784 bytes pieces find .9997 of the neighbours in half the time. */
enum nlsh_graph_method nlsh__graph_method(const struct nlsh_matrix *rows,
                                          enum nlsh_graph_method method)
{
    if (method != NLSH_GRAPH_AUTO) return method;
    double n = (double)rows->n_rows;
    return n * n * (double)rows->dim > 1e12 ? NLSH_GRAPH_PIECES : NLSH_GRAPH_EXACT;
}

/* Squared distances of unit vectors to 1 - cos. */
static void halve(struct nlsh__neighbors *neighbors)
{
    for (size_t i = 0; i < neighbors->n_rows * neighbors->k; i++) neighbors->l2sq[i] *= 0.5f;
}

enum nlsh_status nlsh__stage_graph(const struct nlsh_matrix *rows, uint64_t hash, const char *space,
                                   enum nlsh_metric metric, enum nlsh_graph_method method, size_t k,
                                   uint64_t seed, const struct nlsh__job *job,
                                   struct nlsh__neighbors *out, int *from_cache,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    char name[32];
    if (metric == NLSH_IP && method == NLSH_GRAPH_PIECES) method = NLSH_GRAPH_EXACT;
    uint64_t keyed = method == NLSH_GRAPH_EXACT ? 0 : seed;
    if (metric == NLSH_IP && method != NLSH_GRAPH_EXACT)
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, "take exact",
                          "graph %s does not know inner products",
                          nlsh__name(NLSH__GRAPH, (int)method));
    snprintf(name, sizeof name, "%s%s%s", nlsh__name(NLSH__GRAPH, (int)method),
             method == NLSH_GRAPH_PIECES ? " 2" : "", space);
    status = nlsh__cache_get_neighbors(job, name, hash, 0, keyed, rows->n_rows, rows->n_rows, k,
                                       out, from_cache, error);
    if (status != NLSH_OK) return status;
    if (*from_cache) {
        nlsh__job_note(job, "k-NN graph%s: taken from the cache", space);
        return NLSH_OK;
    }
    if (metric == NLSH_IP)
        status = nlsh__exact_inner(rows, rows, k, 1, "k-NN graph", job, out, error);
    else if (method == NLSH_GRAPH_EXACT)
        status = nlsh__exact_neighbors(rows, rows, k, 1, "k-NN graph", job, out, error);
    else if (method == NLSH_GRAPH_PIECES)
        status = nlsh__pieces_neighbors(rows, k, seed, job, out, error);
    else
        status = nlsh__ivfflat_neighbors(rows, k, seed, job, out, error);
    if (status != NLSH_OK) return status;
    if (metric == NLSH_COSINE) halve(out);
    nlsh__cache_put_neighbors(job, name, hash, 0, keyed, rows->n_rows, out);
    return NLSH_OK;
}

enum nlsh_status nlsh_graph_build(const struct nlsh_matrix *base, enum nlsh_metric metric,
                                  enum nlsh_graph_method method, size_t k, uint64_t seed,
                                  const struct nlsh_run *run, struct nlsh_neighbors *out,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {0};
    struct nlsh__dataset data = {0};
    struct nlsh__neighbors found = {0};
    int from_cache;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__answer_check(out, "nlsh_neighbors", error));
    NLSH_TRY(nlsh__kernels_check(error));
    NLSH_TRY(nlsh__dataset_init(base, &data, error));
    if (k < 1 || k >= base->n_rows) {
        status =
            nlsh__fail(error, NLSH_E_ARG, "ask for at least 1 and fewer than there are vectors",
                       "k is %zu for %zu vectors", k, base->n_rows);
        goto out;
    }
    if (method < NLSH_GRAPH_EXACT || method > NLSH_GRAPH_AUTO) {
        status = nlsh__fail(error, NLSH_E_ARG, "take exact, ivfflat, pieces or auto",
                            "graph method %d", (int)method);
        goto out;
    }
    method = nlsh__graph_method(&data.matrix, method);
    NLSH_TRY(nlsh__metric_values(metric, "base", &data, error));
    NLSH_TRY(nlsh__job_begin(run, &job, error));
    NLSH_TRY(nlsh__stage_graph(&data.matrix, data.hash, nlsh__space_name(metric), metric, method, k,
                               seed, &job, &found, &from_cache, error));
    NLSH_TRY(nlsh__neighbors_give(&found, metric, out, error));
out:
    nlsh__neighbors_free(&found);
    nlsh__job_end(&job);
    nlsh__dataset_free(&data);
    return status;
}

enum nlsh_status nlsh__stage_exact_rows(const struct nlsh_matrix *base,
                                        const struct nlsh_matrix *as_queries, const uint32_t *rows,
                                        size_t n_rows, enum nlsh_metric metric, size_t k,
                                        const struct nlsh__job *job, struct nlsh__neighbors *out,
                                        struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t size = as_queries->dim * (as_queries->type == NLSH_U8 ? 1 : sizeof(float));
    struct nlsh__neighbors found = {0};
    uint8_t *values = NULL;
    *out = (struct nlsh__neighbors){.n_rows = n_rows, .k = k};
    NLSH_TRY(nlsh__alloc(&values, n_rows, size, error));
    for (size_t i = 0; i < n_rows; i++)
        memcpy(values + i * size, (const uint8_t *)as_queries->data + rows[i] * size, size);
    struct nlsh_matrix queries = {values, n_rows, as_queries->dim, as_queries->type, 0};
    NLSH_TRY(nlsh__alloc(&out->ids, n_rows * k, sizeof *out->ids, error));
    NLSH_TRY(nlsh__alloc(&out->l2sq, n_rows * k, sizeof *out->l2sq, error));
    if (metric == NLSH_IP)
        NLSH_TRY(
            nlsh__exact_inner(base, &queries, k + 1, 0, "exact neighbours", job, &found, error));
    else
        NLSH_TRY(nlsh__exact_neighbors(base, &queries, k + 1, 0, "exact neighbours", job, &found,
                                       error));
    if (metric == NLSH_COSINE) halve(&found);
    for (size_t i = 0; i < n_rows; i++)
        for (size_t j = 0, kept = 0; kept < k; j++) {
            size_t from = i * (k + 1) + j; /* the row itself is left out, if it is there */
            if (found.ids[from] == rows[i]) continue;
            out->ids[i * k + kept] = found.ids[from];
            out->l2sq[i * k + kept++] = found.l2sq[from];
        }
out:
    nlsh__free(values);
    nlsh__neighbors_free(&found);
    if (status != NLSH_OK) nlsh__neighbors_free(out);
    return status;
}

/* Neighbours of a graph's row that are among the true ones, or as near as the farthest of them. The graph is
 * a caller's: it has distances where we have scores. */
static size_t count_true(const struct nlsh__neighbors *graph, enum nlsh_metric metric, size_t row,
                         const struct nlsh__neighbors *truth, size_t sampled)
{
    size_t hits = 0, k = truth->k;
    const uint32_t *ids = graph->ids + row * k, *wanted = truth->ids + sampled * k;
    float farthest = nlsh__distance(metric, truth->l2sq[sampled * k + k - 1]);
    for (size_t j = 0; j < k; j++) {
        int is_true = graph->l2sq != NULL && graph->l2sq[row * k + j] == farthest;
        for (size_t t = 0; t < k && !is_true; t++) is_true = wanted[t] == ids[j];
        hits += (size_t)is_true;
    }
    return hits;
}

enum nlsh_status nlsh_graph_recall(const struct nlsh_matrix *base, enum nlsh_metric metric,
                                   const struct nlsh_neighbors *given, size_t n_sample,
                                   uint64_t seed, const struct nlsh_run *run, double *recall,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {0};
    struct nlsh__dataset data = {0};
    struct nlsh__neighbors truth = {0}, taken = {0}, *graph = &taken;
    struct nlsh__rng rng;
    uint32_t *rows = NULL;
    size_t hits = 0;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__kernels_check(error));
    NLSH_TRY(nlsh__dataset_init(base, &data, error));
    NLSH_TRY(nlsh__neighbors_take(given, base->n_rows, graph, error));
    if (graph->n_rows != base->n_rows || graph->k < 1 || graph->k >= base->n_rows || n_sample < 1) {
        status = nlsh__fail(error, NLSH_E_ARG, "give a graph of these vectors",
                            "a graph of %zu rows with %zu neighbours, %zu vectors, %zu to look up",
                            graph->n_rows, graph->k, base->n_rows, n_sample);
        goto out;
    }
    if (n_sample > base->n_rows) n_sample = base->n_rows;
    NLSH_TRY(nlsh__metric_values(metric, "base", &data, error));
    NLSH_TRY(nlsh__job_begin(run, &job, error));
    NLSH_TRY(nlsh__alloc(&rows, n_sample, sizeof *rows, error));
    nlsh__rng_init(&rng, seed, 0x67726563);
    nlsh__rng_sample(&rng, base->n_rows, n_sample, rows);
    NLSH_TRY(nlsh__stage_exact_rows(&data.matrix, &data.matrix, rows, n_sample, metric, graph->k,
                                    &job, &truth, error));
    for (size_t i = 0; i < n_sample; i++) hits += count_true(graph, metric, rows[i], &truth, i);
    *recall = (double)hits / ((double)n_sample * (double)graph->k);
out:
    nlsh__free(rows);
    nlsh__neighbors_free(&truth);
    nlsh__neighbors_free(graph);
    nlsh__job_end(&job);
    nlsh__dataset_free(&data);
    return status;
}

enum nlsh_status nlsh_ground_truth(const struct nlsh_matrix *base,
                                   const struct nlsh_matrix *queries, enum nlsh_metric metric,
                                   size_t k, const struct nlsh_run *run, struct nlsh_neighbors *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {0};
    struct nlsh__dataset data = {0}, asked = {0};
    struct nlsh__neighbors found = {0};
    int from_cache;
    char name[32];
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__answer_check(out, "nlsh_neighbors", error));
    NLSH_TRY(nlsh__kernels_check(error));
    NLSH_TRY(nlsh__dataset_init(base, &data, error));
    NLSH_TRY(nlsh__dataset_init(queries, &asked, error));
    uint64_t base_hash = data.hash, queries_hash = asked.hash;
    if (k < 1 || k > base->n_rows) {
        status = nlsh__fail(error, NLSH_E_ARG, "ask for at least 1 and at most all",
                            "k is %zu for %zu base vectors", k, base->n_rows);
        goto out;
    }
    NLSH_TRY(nlsh__metric_values(metric, "base", &data, error));
    NLSH_TRY(nlsh__metric_values(metric, "queries", &asked, error));
    NLSH_TRY(nlsh__dataset_pair(&data, &asked, error));
    snprintf(name, sizeof name, "truth%s", nlsh__space_name(metric));
    NLSH_TRY(nlsh__job_begin(run, &job, error));
    NLSH_TRY(nlsh__cache_get_neighbors(&job, name, base_hash, queries_hash, 0, queries->n_rows,
                                       base->n_rows, k, &found, &from_cache, error));
    if (from_cache) {
        nlsh__job_note(&job, "ground truth: taken from the cache");
    } else {
        if (metric == NLSH_IP)
            NLSH_TRY(nlsh__exact_inner(&data.matrix, &asked.matrix, k, 0, "ground truth", &job,
                                       &found, error));
        else
            NLSH_TRY(nlsh__exact_neighbors(&data.matrix, &asked.matrix, k, 0, "ground truth", &job,
                                           &found, error));
        if (metric == NLSH_COSINE) halve(&found);
        nlsh__cache_put_neighbors(&job, name, base_hash, queries_hash, 0, base->n_rows, &found);
    }
    NLSH_TRY(nlsh__neighbors_give(&found, metric, out, error));
out:
    nlsh__neighbors_free(&found);
    nlsh__job_end(&job);
    nlsh__dataset_free(&data);
    nlsh__dataset_free(&asked);
    return status;
}
