/*
 * truth.c - the true neighbours of queries: from a file, from the base, or from an index.
 */
#include "truth.h"

#include <stdlib.h>
#include <string.h>

#include "baselines/methods.h"
#include "talk.h"
#include "timing.h"

/* The exact scan is timed on so many queries: enough for a mean, over in a second. */
enum { timed_queries = 200 };

/* ---- from a file ----------------------------------------------------------------------------- */

int load_truth(const char *path, size_t n_queries, size_t k, size_t n_rows,
               struct nlsh_neighbors *out)
{
    struct nlsh_error error = {0};
    nlsh_neighbors_init(out, sizeof *out);
    if (nlsh_neighbors_read(path, out, &error) != NLSH_OK) return talk_failed(&error);
    int code = 0;
    if (out->n_rows != n_queries) {
        code = talk_error(EXIT_BAD_DATA, "give the ground truth of these queries",
                          "%s holds the neighbours of %zu queries, there are %zu queries", path,
                          out->n_rows, n_queries);
    } else if (out->k < k) {
        code = talk_error(EXIT_BAD_DATA, "ask for fewer with -N, or make it with nlsh groundtruth",
                          "%s holds %zu neighbours a query, -N asks for %zu", path, out->k, k);
    }
    for (size_t i = 0; code == 0 && i < out->n_rows * out->k; i++) {
        if (out->ids[i] < n_rows) continue;
        code = talk_error(EXIT_BAD_DATA, "give the ground truth of these queries in this base",
                          "%s, row %zu: neighbour %llu, but the base has only %zu vectors", path,
                          i / out->k, (unsigned long long)out->ids[i], n_rows);
    }
    if (code != 0) nlsh_neighbors_free(out);
    return code;
}

/* ---- with the time that it takes ------------------------------------------------------------- */

static int time_brute(const struct nlsh_matrix *base, const struct nlsh_matrix *queries, size_t k,
                      double *seconds)
{
    struct nlsh_error error = {0};
    struct nlsh__brute *brute = NULL;
    size_t n = queries->n_rows < timed_queries ? queries->n_rows : timed_queries;
    uint64_t *keys = calloc(k, sizeof *keys);
    float *distances = calloc(k, sizeof *distances);
    enum nlsh_status status = keys && distances ? NLSH_OK : (error.status = NLSH_E_NOMEM);
    if (status == NLSH_OK) status = nlsh__brute_create(base, NLSH__BRUTE_BEST, &brute, &error);
    double spent = 0;
    for (size_t i = 0; status == NLSH_OK && i < n; i++) {
        struct nlsh_matrix one = matrix_rows(queries, i, 1);
        double began = now_seconds();
        status = nlsh__brute_search(brute, &one, k, keys, distances, &error);
        spent += now_seconds() - began;
        if (status == NLSH_OK && talk_progress(NULL, "true search", i + 1, n)) {
            status = error.status = NLSH_E_INTERRUPTED;
        }
    }
    *seconds = spent / (double)n;
    nlsh__brute_free(brute);
    free(keys);
    free(distances);
    return status == NLSH_OK ? 0 : talk_failed(&error);
}

/* Distances of the true neighbours that --gt names, from the base. */
static int fill_distances(enum nlsh_metric metric, const struct nlsh_matrix *queries,
                          const struct nlsh_matrix *base, struct nlsh_neighbors *truth)
{
    if (truth->distances != NULL) return 0;
    truth->distances = calloc(truth->n_rows * truth->k, sizeof *truth->distances);
    if (truth->distances == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    truth->metric = metric;
    for (size_t i = 0; i < truth->n_rows * truth->k; i++) {
        truth->distances[i] =
            (float)row_distance(metric, queries, i / truth->k, base, truth->ids[i]);
    }
    return 0;
}

/* Keeps the first k neighbours of each row. */
static void narrow(struct nlsh_neighbors *neighbors, size_t k)
{
    for (size_t i = 0; i < neighbors->n_rows; i++) {
        memmove(neighbors->ids + i * k, neighbors->ids + i * neighbors->k, k * sizeof(uint64_t));
        if (neighbors->distances != NULL) {
            memmove(neighbors->distances + i * k, neighbors->distances + i * neighbors->k,
                    k * sizeof(float));
        }
    }
    neighbors->k = k;
}

/* The exact scans of baselines know L2 only: with another metric every bucket of the index is
 * scanned, which is exact too. */
static int time_scan(const struct nlsh_index *index, const struct nlsh_index_info *info,
                     const struct nlsh_matrix *queries, size_t k, double *seconds)
{
    struct nlsh_error error = {0};
    struct nlsh_search_options options;
    struct nlsh_searcher *searcher;
    size_t n = queries->n_rows < timed_queries ? queries->n_rows : timed_queries;
    uint64_t *keys = calloc(k, sizeof *keys);
    if (keys == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    nlsh_search_options_init(&options, sizeof options);
    options.k = k;
    options.probes = (double)info->n_buckets;
    double spent = 0;
    enum nlsh_status status = nlsh_searcher_create(index, &searcher, &error);
    for (size_t i = 0; status == NLSH_OK && i < n; i++) {
        struct nlsh_matrix one = matrix_rows(queries, i, 1);
        double began = now_seconds();
        status = nlsh_search(searcher, &one, &options, keys, NULL, NULL, &error);
        spent += now_seconds() - began;
        if (status == NLSH_OK && talk_progress(NULL, "true search", i + 1, n)) {
            status = error.status = NLSH_E_INTERRUPTED;
        }
    }
    *seconds = spent / (double)n;
    nlsh_searcher_free(searcher);
    free(keys);
    return status == NLSH_OK ? 0 : talk_failed(&error);
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* The file that -d names, checked against the index; or the vectors that the index carries. */
static int load_base(const struct args *args, const struct nlsh_index *index,
                     const char *index_path, const struct nlsh_index_info *info, struct loaded *out)
{
    struct nlsh_error error = {0};
    if (args_given(args, "d")) {
        return load_base_of(args_text(args, "d"), args_text(args, "type"), index_path, info, out);
    }
    *out = (struct loaded){0};
    if (nlsh_index_vectors(index, &out->vectors, &error) != NLSH_OK) return talk_failed(&error);
    out->matrix = *nlsh_vectors_matrix(out->vectors);
    return 0;
}

/* What is not in *truth yet: the ids, their distances. */
static int complete(const struct nlsh_index_info *info, const struct nlsh_matrix *base,
                    const struct nlsh_matrix *queries, size_t k, const struct nlsh_run *run,
                    struct nlsh_neighbors *truth)
{
    struct nlsh_error error = {0};
    if (truth->ids != NULL) return fill_distances(info->metric, queries, base, truth);
    if (nlsh_ground_truth(base, queries, info->metric, k, run, truth, &error) == NLSH_OK) return 0;
    return talk_failed(&error);
}

int truth_timed(const struct args *args, const struct nlsh_index *index, const char *index_path,
                const struct nlsh_matrix *queries, size_t k, struct nlsh_neighbors *out,
                double *seconds)
{
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct nlsh_run run;
    struct loaded base;
    int code = 0;

    nlsh_neighbors_init(out, sizeof *out);
    run_init(args, &run);
    (void)!nlsh_index_info(index, &info, NULL);
    if (args_given(args, "gt")) {
        code = load_truth(args_text(args, "gt"), queries->n_rows, k, info.n_rows, out);
        if (code != 0) return code;
        narrow(out, k);
    }
    code = load_base(args, index, index_path, &info, &base);
    if (code != 0) return code;
    code = complete(&info, &base.matrix, queries, k, &run, out);
    if (code == 0) {
        code = info.metric == NLSH_L2 ? time_brute(&base.matrix, queries, k, seconds)
                                      : time_scan(index, &info, queries, k, seconds);
    }
    loaded_free(&base);
    return code;
}

int truth_find(const struct args *args, const struct nlsh_index *index, const char *index_path,
               const struct nlsh_matrix *queries, size_t k, const struct nlsh_run *run,
               struct nlsh_neighbors *out)
{
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct loaded base;
    nlsh_neighbors_init(out, sizeof *out);
    (void)!nlsh_index_info(index, &info, NULL);
    if (args_given(args, "gt")) {
        return load_truth(args_text(args, "gt"), queries->n_rows, k, info.n_rows, out);
    }
    int code = load_base(args, index, index_path, &info, &base);
    if (code != 0) return code;
    code = complete(&info, &base.matrix, queries, k, run, out);
    loaded_free(&base);
    return code;
}
