/*
 * truth.c - see truth.h.
 *
 * A ground truth from a file is not believed as it is. Its ids must be rows of the base. A few of its
 * queries are looked up in the whole index. After a search nothing that was found may be nearer than
 * what the file calls nearest.
 */
#include "truth.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "exact.h"
#include "talk.h"

/* A ground truth is looked up for so many of its queries, each in one scan of the whole index. */
enum { LOOKED_UP_QUERIES = 5, LOOKED_UP_RANKS = 10 };

static const char *const other_truth_hint = "give the ground truth of these queries in the index's "
                                            "vectors and by its metric, or make it with "
                                            "nlsh groundtruth";
static const char *const from_1_hint =
    "1-based? its ids seem to count from 1, nlsh counts from 0: subtract 1 from each";

uint64_t key_of_row(const struct nlsh_index *index, uint64_t row)
{
    struct nlsh_segment segment = {.struct_size = sizeof segment};
    uint64_t first = 0;
    for (size_t i = 0; nlsh_index_segment(index, i, &segment); i++) {
        if (row - first < segment.n_rows) {
            return segment.keys != NULL ? segment.keys[row - first] : row;
        }
        first += segment.n_rows;
    }
    return NLSH_NO_KEY;
}

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
    return talk_error(EXIT_BAD_DATA,
                      largest == n_rows && !zero
                          ? from_1_hint
                          : "give the ground truth of these queries in this base",
                      "%s, row %zu: neighbour %" PRIu64 ", but the base has only %zu vectors, the "
                      "first of which is 0",
                      path, first / truth->k, truth->ids[first], n_rows);
}

/* Checked against the number of queries, k and n_rows. */
static int load_truth(const char *path, size_t n_queries, size_t k, size_t n_rows,
                      struct nlsh_neighbors *out)
{
    struct nlsh_error error = {0};
    if (nlsh_neighbors_read(path, out, &error) != NLSH_OK) return talk_failed(&error);
    if (out->n_rows != n_queries) {
        return talk_error(EXIT_BAD_DATA, "give the ground truth of these queries",
                          "%s holds the neighbours of %zu queries, there are %zu queries", path,
                          out->n_rows, n_queries);
    }
    if (out->k < k) {
        return talk_error(EXIT_BAD_DATA, "ask for fewer with -N, or make it with nlsh groundtruth",
                          "%s holds %zu neighbours a query, -N asks for %zu", path, out->k, k);
    }
    return check_ids(path, n_rows, out);
}

static bool among(uint64_t key, const uint64_t *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (keys[i] == key) return true;
    }
    return false;
}

/* Of a few queries, spread over the file: how many first neighbours are among the nearest in the whole
 * index, and how many were if ids counted from 1. */
static enum nlsh_status look_up(const struct nlsh_index *index, const struct nlsh_index_info *info,
                                const struct nlsh_matrix *queries,
                                const struct nlsh_neighbors *truth, size_t n, size_t found[2],
                                struct nlsh_error *error)
{
    struct nlsh_search_options options;
    struct nlsh_searcher *searcher;
    uint64_t keys[LOOKED_UP_RANKS];
    nlsh_search_options_init(&options, sizeof options);
    options.k = info->n_rows < LOOKED_UP_RANKS ? info->n_rows : LOOKED_UP_RANKS;
    options.probes = (double)info->n_buckets;
    enum nlsh_status status = nlsh_searcher_create(index, &searcher, error);
    for (size_t i = 0; status == NLSH_OK && i < n; i++) {
        size_t row = i * queries->n_rows / n;
        struct nlsh_matrix one = matrix_rows(queries, row, 1);
        uint64_t id = truth->ids[row * truth->k];
        status = nlsh_search(searcher, &one, &options, keys, NULL, NULL, error);
        if (status != NLSH_OK) break;
        found[0] += among(key_of_row(index, id), keys, options.k);
        found[1] += id > 0 && among(key_of_row(index, id - 1), keys, options.k);
    }
    nlsh_searcher_free(searcher);
    return status;
}

/* Ids that fit may still be those of other vectors, or by another metric. With equal distances one may
 * miss, so half of those that are looked up are enough. */
static int check_found(const char *path, const struct nlsh_index *index,
                       const struct nlsh_index_info *info, const struct nlsh_matrix *queries,
                       const struct nlsh_neighbors *truth)
{
    struct nlsh_error error = {0};
    size_t n = queries->n_rows < LOOKED_UP_QUERIES ? queries->n_rows : LOOKED_UP_QUERIES;
    size_t found[2] = {0, 0};
    if (look_up(index, info, queries, truth, n, found, &error) != NLSH_OK) {
        return talk_failed(&error);
    }
    if (2 * found[0] >= n) return 0;
    return talk_error(EXIT_BAD_DATA, 2 * found[1] >= n ? from_1_hint : other_truth_hint,
                      "%s: for %zu of %zu queries that were looked up, its first neighbour is not "
                      "among the %d nearest by %s",
                      path, n - found[0], n, LOOKED_UP_RANKS, nlsh_metric_name(info->metric));
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

int truth_read(const struct args *args, size_t n_queries, size_t k, size_t n_rows,
               enum nlsh_metric metric, struct nlsh_neighbors *out)
{
    const char *path = args_text(args, "gt");
    int code = load_truth(path, n_queries, k, n_rows, out);
    if (code == 0 && out->distances != NULL && out->metric != metric)
        code =
            talk_error(EXIT_BAD_DATA, other_truth_hint, "%s is by the metric %s, the index by %s",
                       path, nlsh_metric_name(out->metric), nlsh_metric_name(metric));
    if (code == 0)
        narrow(out, k);
    else
        nlsh_neighbors_free(out);
    return code;
}

/* What --gt names, checked against the index. */
static int given_truth(const struct args *args, const struct nlsh_index *index,
                       const struct nlsh_index_info *info, const struct nlsh_matrix *queries,
                       size_t k, struct nlsh_neighbors *out)
{
    int code = truth_read(args, queries->n_rows, k, info->n_rows, info->metric, out);
    if (code != 0) return code;
    code = check_found(args_text(args, "gt"), index, info, queries, out);
    if (code != 0) nlsh_neighbors_free(out);
    return code;
}

/* Distances of f32 and of double differ by less. */
static bool nearer(float found, float true_one)
{
    return (double)found < (double)true_one - 1e-4 * fabs((double)true_one) - 1e-6;
}

/* Rounded by more than nearer() forgives. */
static bool is_coarse(const struct nlsh_index *index)
{
    struct nlsh_index_info info = {.struct_size = sizeof info};
    (void)!nlsh_index_info(index, &info, NULL);
    return info.type == NLSH_BF16 || info.store_scale > 0;
}

int truth_check(const struct args *args, const struct nlsh_index *index,
                const struct answers *answers, const struct nlsh_neighbors *truth)
{
    size_t beaten = 0;
    double factor = answers->score.factor;
    if (!args_given(args, "gt") || is_coarse(index)) return 0;
    for (size_t i = 0; i < answers->n; i++) {
        beaten += nearer(answers->distances[i * answers->k], truth->distances[i * truth->k]);
    }
    if (beaten > answers->n / 100) {
        return talk_error(EXIT_BAD_DATA, other_truth_hint,
                          "%s: for %zu of %zu queries the search found a nearer vector than its "
                          "first neighbour",
                          args_text(args, "gt"), beaten, answers->n);
    }
    if (!(factor < 1 - 1e-4)) return 0;
    return talk_error(EXIT_BAD_DATA, other_truth_hint,
                      "%s: the vectors that the search found are on average nearer than its "
                      "neighbours: the approximation factor is %.4f, and cannot be below 1",
                      args_text(args, "gt"), factor);
}

/* ---- what a search needs of it --------------------------------------------------------------- */

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

static void rows_to_keys(const struct nlsh_index *index, struct nlsh_neighbors *neighbors)
{
    for (size_t i = 0; i < neighbors->n_rows * neighbors->k; i++) {
        neighbors->ids[i] = key_of_row(index, neighbors->ids[i]);
    }
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* The file that -d names, checked against the index; or the vectors that the index carries. */
static int load_base(const struct args *args, const struct nlsh_index *index,
                     const char *index_path, const struct nlsh_index_info *info, struct loaded *out)
{
    struct nlsh_error error = {0};
    if (args_given(args, "d")) {
        return base_load_of(args, index_path, info, out);
    }
    if (args_given(args, "rows")) {
        return talk_error(EXIT_USAGE, "give -d BASE as well, or leave it out",
                          "--rows %s: of which base?", args_text(args, "rows"));
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

static int truth_of_allowed(const struct filter *filter, const struct nlsh_index_info *info,
                            const struct nlsh_matrix *base, const struct nlsh_matrix *queries,
                            size_t k, const struct nlsh_run *run, struct nlsh_neighbors *out)
{
    struct nlsh_matrix allowed = {0};
    int code = filter_truth(filter, base, queries, info->metric, k, run, &allowed, out);
    free((void *)(uintptr_t)allowed.data);
    return code;
}

/* Of what a filter allows: --gt cannot say that. */
static int filtered_truth(const struct nlsh_index *index, const struct nlsh_index_info *info,
                          const struct nlsh_matrix *base, const struct nlsh_matrix *queries,
                          size_t k, const struct filter *filter, const struct nlsh_run *run,
                          struct nlsh_neighbors *out, struct timing *exact)
{
    struct nlsh_matrix allowed = {0};
    int code = filter_truth(filter, base, queries, info->metric, k, run, &allowed, out);
    size_t n = k < filter->n ? k : filter->n;
    if (code == 0) code = exact_time(index, &allowed, queries, n, filter->counted, exact);
    free((void *)(uintptr_t)allowed.data);
    return code;
}

int truth_timed(const struct args *args, const struct nlsh_index *index, const char *index_path,
                const struct nlsh_matrix *queries, size_t k, const struct filter *filter,
                struct nlsh_neighbors *out, struct timing *exact)
{
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct nlsh_run run;
    struct loaded base;
    struct filter alive;
    int code = filter_deleted(index, &alive);
    if (code != 0) return code;
    if (filter->counted == NULL) filter = &alive;

    nlsh_neighbors_init(out, sizeof *out);
    run_init(args, &run);
    (void)!nlsh_index_info(index, &info, NULL);
    if (args_given(args, "gt")) {
        code = given_truth(args, index, &info, queries, k, out);
    }
    if (code == 0) code = load_base(args, index, index_path, &info, &base);
    if (code != 0) {
        filter_free(&alive);
        return code;
    }
    if (filter->counted != NULL && out->ids == NULL) {
        code = filtered_truth(index, &info, &base.matrix, queries, k, filter, &run, out, exact);
    } else {
        code = complete(&info, &base.matrix, queries, k, &run, out);
        if (code == 0) code = exact_time(index, &base.matrix, queries, k, NULL, exact);
    }
    if (code == 0 && info.has_keys) rows_to_keys(index, out);
    loaded_free(&base);
    filter_free(&alive);
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
    struct filter alive;
    int code = filter_deleted(index, &alive);
    if (code != 0) return code;
    code = load_base(args, index, index_path, &info, &base);
    if (code == 0) {
        code = alive.counted != NULL
                   ? truth_of_allowed(&alive, &info, &base.matrix, queries, k, run, out)
                   : complete(&info, &base.matrix, queries, k, run, out);
        loaded_free(&base);
    }
    filter_free(&alive);
    return code;
}
