/* stages.c - graphs and ground truth for callers: checked, through the cache, then computed. */
#include "build/stages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "build/space.h"
#include "cache/cache.h"
#include "graph/graph.h"
#include "kernels/kernels.h"
#include "vectors/dataset.h"

static const char *method_name(enum nlsh_graph_method method)
{
    return method == NLSH_GRAPH_EXACT ? "exact" : "ivfflat";
}

/* Squared distances of unit vectors to 1 - cos. */
static void halve(struct nlsh_neighbors *neighbors)
{
    for (size_t i = 0; i < neighbors->n_rows * neighbors->k; i++) neighbors->l2sq[i] *= 0.5f;
}

enum nlsh_status nlsh__stage_graph(const struct nlsh_matrix *rows, uint64_t hash, const char *space,
                                   enum nlsh_metric metric, enum nlsh_graph_method method, size_t k,
                                   uint64_t seed, const struct nlsh__job *job,
                                   struct nlsh_neighbors *out, int *from_cache,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    char name[32];
    uint64_t keyed = method == NLSH_GRAPH_EXACT ? 0 : seed;
    if (metric == NLSH_IP && method != NLSH_GRAPH_EXACT)
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, "take exact",
                          "graph %s does not know inner products", method_name(method));
    snprintf(name, sizeof name, "%s%s", method_name(method), space);
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
    int from_cache;
    nlsh__error_clear(error);
    *out = (struct nlsh_neighbors){0};
    NLSH_TRY(nlsh__kernels_check(error));
    NLSH_TRY(nlsh__dataset_init(base, &data, error));
    if (k < 1 || k >= base->n_rows) {
        status =
            nlsh__fail(error, NLSH_E_ARG, "ask for at least 1 and fewer than there are vectors",
                       "k is %zu for %zu vectors", k, base->n_rows);
        goto out;
    }
    if (method != NLSH_GRAPH_EXACT && method != NLSH_GRAPH_IVFFLAT) {
        status =
            nlsh__fail(error, NLSH_E_ARG, "take exact or ivfflat", "graph method %d", (int)method);
        goto out;
    }
    NLSH_TRY(nlsh__metric_values(metric, "base", &data, error));
    NLSH_TRY(nlsh__job_begin(run, &job, error));
    NLSH_TRY(nlsh__stage_graph(&data.matrix, data.hash, nlsh__space_name(metric), metric, method, k,
                               seed, &job, out, &from_cache, error));
out:
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
    int from_cache;
    char name[32];
    nlsh__error_clear(error);
    *out = (struct nlsh_neighbors){0};
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
                                       base->n_rows, k, out, &from_cache, error));
    if (from_cache) {
        nlsh__job_note(&job, "ground truth: taken from the cache");
        goto out;
    }
    if (metric == NLSH_IP)
        NLSH_TRY(
            nlsh__exact_inner(&data.matrix, &asked.matrix, k, 0, "ground truth", &job, out, error));
    else
        NLSH_TRY(nlsh__exact_neighbors(&data.matrix, &asked.matrix, k, 0, "ground truth", &job, out,
                                       error));
    if (metric == NLSH_COSINE) halve(out);
    nlsh__cache_put_neighbors(&job, name, base_hash, queries_hash, 0, base->n_rows, out);
out:
    nlsh__job_end(&job);
    nlsh__dataset_free(&data);
    nlsh__dataset_free(&asked);
    return status;
}
