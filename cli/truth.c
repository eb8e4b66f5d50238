/*
 * truth.c - the true neighbours of queries: from a file, from the base, or from an index.
 */
#include "truth.h"

#include <stdlib.h>
#include <string.h>

#include "baselines/methods.h"
#include "talk.h"

/* The exact scan is timed on so many queries: enough for a mean, over in a second. */
enum { timed_queries = 200 };
/* A ground truth is looked up for so many of its queries, each in one scan of the whole index. */
enum { looked_up_queries = 5, looked_up_ranks = 10 };

/* ---- from a file ----------------------------------------------------------------------------- */

/* Every id is a row of the base. Counting from 1 shows by the last row's number and no 0. */
static int check_ids(const char *path, size_t n_rows, const struct nlsh_neighbors *truth)
{
    size_t n = truth->n_rows * truth->k, first = n;
    bool zero = false;
    uint64_t largest = 0;
    for (size_t i = n; i-- > 0;) {
        uint64_t id = truth->ids[i];
        zero = zero || id == 0;
        if (id < n_rows) continue;
        first = i;
        if (id > largest) largest = id;
    }
    if (first == n) return 0;
    bool from_1 = largest == n_rows && !zero;
    return talk_error(
        EXIT_BAD_DATA,
        from_1 ? "its ids seem to count from 1: subtract 1 from each"
               : "give the ground truth of these queries in this base",
        "%s, row %zu: neighbour %llu, but the base has only %zu vectors, the first of "
        "which is 0",
        path, first / truth->k, (unsigned long long)truth->ids[first], n_rows);
}

/* True neighbours from a file, checked against the number of queries, k and n_rows. */
static int load_truth(const char *path, size_t n_queries, size_t k, size_t n_rows,
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
    if (code == 0) code = check_ids(path, n_rows, out);
    if (code != 0) nlsh_neighbors_free(out);
    return code;
}

static bool among(uint64_t id, const uint64_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i] == id) return true;
    }
    return false;
}

/*
 * Ids that fit may still be those of other vectors, or by another metric. Of a few queries, spread
 * over the file, the first neighbour must be among the nearest in the whole index; with equal
 * distances one may miss, so half of them are enough.
 */
static int look_up(const char *path, const struct nlsh_index *index,
                   const struct nlsh_index_info *info, const struct nlsh_matrix *queries,
                   const struct nlsh_neighbors *truth)
{
    struct nlsh_error error = {0};
    struct nlsh_search_options options;
    struct nlsh_searcher *searcher;
    uint64_t ids[looked_up_ranks];
    size_t n = queries->n_rows < looked_up_queries ? queries->n_rows : looked_up_queries, found = 0;
    nlsh_search_options_init(&options, sizeof options);
    options.k = info->n_rows < looked_up_ranks ? info->n_rows : looked_up_ranks;
    options.probes = (double)info->n_buckets;
    enum nlsh_status status = nlsh_searcher_create(index, &searcher, &error);
    for (size_t i = 0; status == NLSH_OK && i < n; i++) {
        size_t row = i * queries->n_rows / n;
        struct nlsh_matrix one = matrix_rows(queries, row, 1);
        status = nlsh_search(searcher, &one, &options, ids, NULL, NULL, &error);
        found += status == NLSH_OK && among(truth->ids[row * truth->k], ids, options.k);
    }
    nlsh_searcher_free(searcher);
    if (status != NLSH_OK) return talk_failed(&error);
    if (2 * found >= n) return 0;
    return talk_error(EXIT_BAD_DATA,
                      "give the ground truth of these queries in the index's vectors and by its "
                      "metric, or make it with nlsh groundtruth",
                      "%s: for %zu of %zu queries that were looked up, its first neighbour is not "
                      "among the %zu nearest by %s",
                      path, n - found, n, options.k, nlsh_metric_name(info->metric));
}

/* What --gt names, checked against the index. */
static int given_truth(const struct args *args, const struct nlsh_index *index,
                       const struct nlsh_index_info *info, const struct nlsh_matrix *queries,
                       size_t k, struct nlsh_neighbors *out)
{
    const char *path = args_text(args, "gt");
    int code = load_truth(path, queries->n_rows, k, info->n_rows, out);
    if (code != 0) return code;
    code = look_up(path, index, info, queries, out);
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
        return load_base_of(args_text(args, "d"), vectors_type(args), index_path, info, out);
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
        code = given_truth(args, index, &info, queries, k, out);
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
        return given_truth(args, index, &info, queries, k, out);
    }
    int code = load_base(args, index, index_path, &info, &base);
    if (code != 0) return code;
    code = complete(&info, &base.matrix, queries, k, run, out);
    loaded_free(&base);
    return code;
}
