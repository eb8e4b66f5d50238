/*
 * cmd_search.c - `nlsh search`: queries in, neighbours out, with how good and how fast it was.
 *
 * The approximate search is timed query by query on one thread (or as a whole with --threads),
 * the true search apart: see true_search(). The R-near neighbours are found while the results are
 * written and belong to neither time.
 */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inputs.h"
#include "output.h"
#include "talk.h"
#include "verbs.h"

/* The true search is timed on so many queries: enough for a mean, over in a second. */
enum { timed_true_queries = 200 };

struct search {
    const struct args *args;
    struct nlsh_index *index;
    struct nlsh_index_info info;
    struct nlsh_searcher *searcher;
    struct loaded queries;
    struct nlsh_search_options options;
    size_t n, k;
    uint32_t *ids; /* [n x k] */
    float *l2sq;   /* [n x k] */
    struct nlsh_search_stats *stats;
    struct nlsh_neighbors truth; /* k a query, with distances */
    double seconds;              /* the approximate search, mean a query */
    double true_seconds;
    bool range;
    double radius;
    uint32_t *near_ids; /* of the query under way */
    float *near_l2sq;
    size_t n_near, near_capacity;
    double recall, factor, candidates, probes; /* means */
};

/* ---- what is asked --------------------------------------------------------------------------- */

static int check_options(const struct args *args)
{
    if (args_given(args, "T")) {
        double t = args_real(args, "T");
        if (t > 0 && (t < 1 || floor(t) == t)) return 0;
        return talk_error(EXIT_USAGE, "T >= 1 is a whole number of buckets; T < 1 a probability",
                          "-T %s: it is neither", args_text(args, "T"));
    }
    double recall = args_real(args, "recall");
    if (recall > 0 && recall < 1) return 0;
    return talk_error(EXIT_USAGE, "for all true neighbours give -T with the number of buckets",
                      "--recall %s: it must lie between 0 and 1", args_text(args, "recall"));
}

static void read_options(struct search *s)
{
    const struct args *args = s->args;
    char count[32];
    nlsh_search_options_init(&s->options);
    s->options.k = s->k = args_count(args, "N");
    s->options.n_threads = args_count(args, "threads");
    s->options.recall = args_real(args, "recall");
    if (args_given(args, "T")) {
        double t = args_real(args, "T");
        if (t > (double)s->info.n_buckets) {
            talk_say("the index has %s buckets: all are scanned",
                     text_count(s->info.n_buckets, count));
            t = (double)s->info.n_buckets;
        }
        s->options.probes = t;
    }
}

/* -range and -R. The radius of the seed's two data sets is known, that of others is not. */
static int read_range(struct search *s)
{
    const struct args *args = s->args;
    const char *type = args_text(args, "type"), *range = args_text(args, "range");
    s->range = range ? strcmp(range, "true") == 0 : args_given(args, "R");
    if (args_given(args, "R")) {
        s->radius = args_real(args, "R");
    } else if (strcmp(type, "mnist") == 0 ||
               (strcmp(type, "auto") == 0 && s->queries.format == NLSH_FORMAT_IDX)) {
        s->radius = 2000;
    } else if (strcmp(type, "sift") == 0 || s->queries.format == NLSH_FORMAT_FVECS ||
               s->queries.format == NLSH_FORMAT_BVECS) {
        s->radius = 2800;
    } else if (s->range) {
        return talk_error(EXIT_USAGE, "give -R RADIUS",
                          "-range true: no radius is known for this kind of file");
    }
    return 0;
}

/* ---- the two searches ------------------------------------------------------------------------ */

static enum nlsh_status search_singly(struct search *s, struct nlsh_error *error)
{
    double spent = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct nlsh_matrix one = matrix_rows(&s->queries.matrix, i, 1);
        double began = now_seconds();
        enum nlsh_status status = nlsh_search(s->searcher, &one, &s->options, s->ids + i * s->k,
                                              s->l2sq + i * s->k, s->stats + i, error);
        spent += now_seconds() - began;
        if (status != NLSH_OK) return status;
        bool pause = i % 64 == 63 || i + 1 == s->n;
        if (pause && talk_progress(NULL, "search", i + 1, s->n)) {
            return error->status = NLSH_E_INTERRUPTED;
        }
    }
    s->seconds = spent / (double)s->n;
    return NLSH_OK;
}

static enum nlsh_status search_threaded(struct search *s, struct nlsh_error *error)
{
    enum { step = 4096 };
    double spent = 0;
    for (size_t i = 0; i < s->n; i += step) {
        size_t n = s->n - i < step ? s->n - i : step;
        struct nlsh_matrix some = matrix_rows(&s->queries.matrix, i, n);
        double began = now_seconds();
        enum nlsh_status status = nlsh_search_batch(s->index, &some, &s->options, s->ids + i * s->k,
                                                    s->l2sq + i * s->k, s->stats + i, error);
        spent += now_seconds() - began;
        if (status != NLSH_OK) return status;
        if (talk_progress(NULL, "search", i + n, s->n)) return error->status = NLSH_E_INTERRUPTED;
    }
    s->seconds = spent / (double)s->n;
    return NLSH_OK;
}

static int time_brute(struct search *s, const struct loaded *base, size_t k)
{
    struct nlsh_error error = {0};
    struct nlsh_brute *brute = NULL;
    size_t n = s->n < timed_true_queries ? s->n : timed_true_queries;
    uint32_t *ids = calloc(k, sizeof *ids);
    float *l2sq = calloc(k, sizeof *l2sq);
    enum nlsh_status status = ids && l2sq ? NLSH_OK : (error.status = NLSH_E_NOMEM);
    if (status == NLSH_OK) {
        status = nlsh_brute_create(&base->matrix, NLSH_BRUTE_BEST, &brute, &error);
    }
    double spent = 0;
    for (size_t i = 0; status == NLSH_OK && i < n; i++) {
        struct nlsh_matrix one = matrix_rows(&s->queries.matrix, i, 1);
        double began = now_seconds();
        status = nlsh_brute_search(brute, &one, k, ids, l2sq, &error);
        spent += now_seconds() - began;
        if (status == NLSH_OK && talk_progress(NULL, "true search", i + 1, n)) {
            status = error.status = NLSH_E_INTERRUPTED;
        }
    }
    s->true_seconds = spent / (double)n;
    nlsh_brute_free(brute);
    free(ids);
    free(l2sq);
    return status == NLSH_OK ? 0 : talk_failed(&error);
}

/* Distances of the true neighbours that --gt names, from the base. */
static int fill_distances(struct search *s, const struct loaded *base)
{
    struct nlsh_neighbors *truth = &s->truth;
    if (truth->l2sq != NULL) return 0;
    truth->l2sq = calloc(truth->n_rows * truth->k, sizeof *truth->l2sq);
    if (truth->l2sq == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    for (size_t i = 0; i < truth->n_rows * truth->k; i++) {
        truth->l2sq[i] =
            (float)row_l2sq(&s->queries.matrix, i / truth->k, &base->matrix, truth->ids[i]);
    }
    return 0;
}

/* Keeps the first k neighbours of each row. */
static void narrow(struct nlsh_neighbors *neighbors, size_t k)
{
    for (size_t i = 0; i < neighbors->n_rows; i++) {
        memmove(neighbors->ids + i * k, neighbors->ids + i * neighbors->k, k * sizeof(uint32_t));
        if (neighbors->l2sq != NULL) {
            memmove(neighbors->l2sq + i * k, neighbors->l2sq + i * neighbors->k, k * sizeof(float));
        }
    }
    neighbors->k = k;
}

/*
 * The true neighbours, their distances, and the time an exact search takes a query. With -d the
 * neighbours come from --gt or from nlsh_ground_truth() (all at once, cached) and the time from
 * our best exact scan of a sample. Without -d every bucket of the index is scanned, and timed; the
 * ids of --gt then replace those found, which can differ only between equal distances.
 */
static int true_search(struct search *s)
{
    const struct args *args = s->args;
    struct nlsh_error error = {0};
    struct nlsh_neighbors given = {0};
    struct nlsh_run run;
    struct loaded base;
    size_t k = s->k;
    int code = 0;

    run_init(args, &run);
    if (args_given(args, "gt")) {
        code = load_truth(args_text(args, "gt"), s->n, k, s->info.n_rows, &given);
        if (code != 0) return code;
        narrow(&given, k);
    }
    if (!args_given(args, "d")) {
        code = truth_by_scan(s->index, &s->queries.matrix, k, &run, &s->true_seconds, &s->truth);
        if (code == 0 && given.ids != NULL) {
            memcpy(s->truth.ids, given.ids, s->n * k * sizeof *given.ids);
        }
        nlsh_neighbors_free(&given);
        return code;
    }
    s->truth = given;
    code = load_base_of(args_text(args, "d"), args_text(args, "type"), args_text(args, "i"),
                        &s->info, &base);
    if (code != 0) return code;
    if (given.ids != NULL) {
        code = fill_distances(s, &base);
    } else if (nlsh_ground_truth(&base.matrix, &s->queries.matrix, k, &run, &s->truth, &error) !=
               NLSH_OK) {
        code = talk_failed(&error);
    }
    if (code == 0) code = time_brute(s, &base, k);
    loaded_free(&base);
    return code;
}

/* ---- how good it was ------------------------------------------------------------------------- */

static void measure(struct search *s)
{
    size_t k = s->truth.k, n_factor = 0;
    double recall = 0, factor = 0, candidates = 0, probes = 0;
    for (size_t i = 0; i < s->n; i++) {
        const float *true_l2sq = s->truth.l2sq + i * k;
        recall +=
            nlsh_recall(s->ids + i * s->k, s->l2sq + i * s->k, s->truth.ids + i * k, true_l2sq, k);
        double one = nlsh_approximation_factor(s->l2sq + i * s->k, true_l2sq, k);
        if (isfinite(one)) {
            factor += one;
            n_factor++;
        }
        candidates += s->stats[i].candidates;
        probes += s->stats[i].n_probes;
    }
    s->recall = recall / (double)s->n;
    s->factor = n_factor ? factor / (double)n_factor : NAN;
    s->candidates = candidates / (double)s->n;
    s->probes = probes / (double)s->n;
}

/* The R-near neighbours of one query into near_*; the arrays grow to what is found. */
static int find_near(struct search *s, size_t i)
{
    struct nlsh_error error = {0};
    struct nlsh_matrix one = matrix_rows(&s->queries.matrix, i, 1);
    for (int attempt = 0; attempt < 2; attempt++) {
        if (nlsh_search_range(s->searcher, &one, &s->options, s->radius, s->near_ids, s->near_l2sq,
                              s->near_capacity, &s->n_near, &error) != NLSH_OK) {
            return talk_failed(&error);
        }
        if (s->n_near <= s->near_capacity) return 0;
        free(s->near_ids);
        free(s->near_l2sq);
        s->near_capacity = 2 * s->n_near;
        s->near_ids = calloc(s->near_capacity, sizeof *s->near_ids);
        s->near_l2sq = calloc(s->near_capacity, sizeof *s->near_l2sq);
        if (s->near_ids == NULL || s->near_l2sq == NULL) break;
    }
    s->near_capacity = 0;
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

/* ---- the results ----------------------------------------------------------------------------- */

static void write_text(const struct search *s, size_t i, FILE *to)
{
    fprintf(to, "METHOD NAME: Neural LSH\nQuery: %zu\n", i);
    for (size_t j = 0; j < s->truth.k; j++) {
        uint32_t id = s->ids[i * s->k + j];
        if (id == NLSH_NO_ID) {
            fprintf(to, "Nearest neighbor-%zu: none\n", j + 1);
        } else {
            fprintf(to, "Nearest neighbor-%zu: %" PRIu32 "\n", j + 1, id);
        }
        fprintf(to, "distanceApproximate: %.7g\n", sqrt((double)s->l2sq[i * s->k + j]));
        fprintf(to, "distanceTrue: %.7g\n", sqrt((double)s->truth.l2sq[i * s->truth.k + j]));
    }
    if (s->range) fputs("R-near neighbors:\n", to);
    for (size_t j = 0; s->range && j < s->n_near; j++) fprintf(to, "%" PRIu32 "\n", s->near_ids[j]);
    fputc('\n', to);
}

static void write_csv(const struct search *s, size_t i, FILE *to)
{
    for (size_t j = 0; j < s->truth.k; j++) {
        uint32_t id = s->ids[i * s->k + j];
        double exact = sqrt((double)s->truth.l2sq[i * s->truth.k + j]);
        if (id == NLSH_NO_ID) {
            fprintf(to, "%zu,nearest,%zu,,,%.7g\n", i, j + 1, exact);
        } else {
            fprintf(to, "%zu,nearest,%zu,%" PRIu32 ",%.7g,%.7g\n", i, j + 1, id,
                    sqrt((double)s->l2sq[i * s->k + j]), exact);
        }
    }
    for (size_t j = 0; s->range && j < s->n_near; j++) {
        fprintf(to, "%zu,r-near,%zu,%" PRIu32 ",%.7g,\n", i, j + 1, s->near_ids[j],
                sqrt((double)s->near_l2sq[j]));
    }
}

static void write_json(const struct search *s, size_t i, FILE *to)
{
    json_t *nearest = json_array();
    for (size_t j = 0; j < s->truth.k; j++) {
        uint32_t id = s->ids[i * s->k + j];
        json_t *one = json_pack(
            "{s:o, s:o, s:f}", "id", id == NLSH_NO_ID ? json_null() : json_integer(id),
            "distanceApproximate", json_number_or_null(sqrt((double)s->l2sq[i * s->k + j])),
            "distanceTrue", sqrt((double)s->truth.l2sq[i * s->truth.k + j]));
        json_array_append_new(nearest, one);
    }
    json_t *query = json_pack("{s:I, s:I, s:I, s:o}", "query", (json_int_t)i, "candidates",
                              (json_int_t)s->stats[i].candidates, "buckets",
                              (json_int_t)s->stats[i].n_probes, "nearest", nearest);
    if (s->range && query != NULL) {
        json_t *near = json_array();
        for (size_t j = 0; j < s->n_near; j++) {
            json_array_append_new(near, json_integer(s->near_ids[j]));
        }
        json_object_set_new(query, "rNear", near);
    }
    fputs(i ? ",\n    " : "\n    ", to);
    json_dumpf(query, to, JSON_COMPACT | JSON_REAL_PRECISION(7));
    json_decref(query);
}

static json_t *summary_json(const struct search *s)
{
    return json_pack("{s:s, s:I, s:I, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:I}", "method",
                     "Neural LSH", "queries", (json_int_t)s->n, "N", (json_int_t)s->k, "averageAF",
                     json_number_or_null(s->factor), "recall", s->recall, "qps", 1 / s->seconds,
                     "tApproximateAverage", s->seconds, "tTrueAverage", s->true_seconds,
                     "candidates", s->candidates, "buckets", s->probes, "threads",
                     (json_int_t)s->options.n_threads);
}

static void write_head(const char *format, FILE *to)
{
    if (format[0] == 'c') fputs("query,kind,rank,id,distance_approximate,distance_true\n", to);
    if (format[0] == 'j') fputs("{\n  \"results\": [", to);
}

static void write_tail(const struct search *s, const char *format, FILE *to)
{
    if (format[0] == 't') {
        fprintf(to, "Average AF: %.6f\nRecall@%zu: %.6f\nQPS: %.2f\n", s->factor, s->k, s->recall,
                1 / s->seconds);
        fprintf(to, "tApproximateAverage: %.9f\ntTrueAverage: %.9f\n", s->seconds, s->true_seconds);
    } else if (format[0] == 'j') {
        json_t *summary = summary_json(s);
        fputs("\n  ],\n  \"summary\": ", to);
        json_dumpf(summary, to, JSON_COMPACT | JSON_REAL_PRECISION(9));
        fputs("\n}\n", to);
        json_decref(summary);
    }
}

static int write_results(struct search *s, const char *format)
{
    struct output output;
    int code = output_open(args_text(s->args, "o"), &output);
    if (code != 0) return code;
    write_head(format, output.file);
    for (size_t i = 0; i < s->n && code == 0 && !ferror(output.file); i++) {
        if (s->range) code = find_near(s, i);
        if (code != 0) break;
        if (format[0] == 't') write_text(s, i, output.file);
        if (format[0] == 'c') write_csv(s, i, output.file);
        if (format[0] == 'j') write_json(s, i, output.file);
        if (i % 64 == 63 && talk_progress(NULL, "results", i + 1, s->n)) {
            struct nlsh_error error = {.status = NLSH_E_INTERRUPTED};
            code = talk_failed(&error);
        }
    }
    talk_stage_end();
    if (code != 0) {
        output_abort(&output);
        return code;
    }
    write_tail(s, format, output.file);
    return output_commit(&output);
}

static void say_summary(const struct search *s)
{
    char a[32], b[32], c[32];
    talk_say("recall@%zu %.4f   AF %.4f   %s candidates in %.1f buckets a query", s->k, s->recall,
             s->factor, text_count((uint64_t)llround(s->candidates), a), s->probes);
    talk_say("%s queries a second on %zu thread%s: %s a query, exact scan %s, speed-up %.1fx",
             text_count((uint64_t)llround(1 / s->seconds), a), s->options.n_threads,
             s->options.n_threads == 1 ? "" : "s", text_seconds(s->seconds, b),
             text_seconds(s->true_seconds, c), s->true_seconds / s->seconds);
}

/* ---- the verb -------------------------------------------------------------------------------- */

static int search_loaded(struct search *s)
{
    struct nlsh_error error = {0};
    const char *path = args_text(s->args, "o");
    const char *format = args_text(s->args, "format");
    bool to_stdout = strcmp(path, "-") == 0, json = args_given(s->args, "json");
    if (json && to_stdout) format = "json";

    s->n = s->queries.matrix.n_rows;
    s->ids = calloc(s->n * s->k, sizeof *s->ids);
    s->l2sq = calloc(s->n * s->k, sizeof *s->l2sq);
    s->stats = calloc(s->n, sizeof *s->stats);
    if (s->ids == NULL || s->l2sq == NULL || s->stats == NULL) {
        return talk_error(EXIT_BUG, "ask for fewer neighbours with -N", "out of memory");
    }
    enum nlsh_status status = nlsh_searcher_create(s->index, &s->searcher, &error);
    if (status == NLSH_OK) {
        status = s->options.n_threads > 1 ? search_threaded(s, &error) : search_singly(s, &error);
    }
    if (status != NLSH_OK) return talk_failed(&error);
    int code = true_search(s);
    if (code != 0) return code;
    measure(s);
    code = write_results(s, format);
    if (code == 0 && (!to_stdout || format[0] == 'c')) say_summary(s);
    if (code == 0 && json && !to_stdout) code = print_json(summary_json(s));
    return code;
}

int cmd_search(const struct args *args)
{
    struct nlsh_error error = {0};
    struct search s = {.args = args};
    const char *path = args_text(args, "i");
    const char *inputs[] = {path, args_text(args, "q"), args_text(args, "d"),
                            args_text(args, "gt")};
    int code = check_options(args);
    if (code == 0) code = output_check(args_text(args, "o"), "-o", inputs, 4);
    if (code != 0) return code;
    if (nlsh_index_open(path, &s.index, &error) != NLSH_OK) return talk_failed(&error);
    nlsh_index_info(s.index, &s.info);
    read_options(&s);
    code = load_queries(args_text(args, "q"), args_text(args, "type"), path, &s.info, &s.queries);
    if (code == 0) code = read_range(&s);
    if (code == 0) code = search_loaded(&s);
    free(s.ids);
    free(s.l2sq);
    free(s.stats);
    free(s.near_ids);
    free(s.near_l2sq);
    nlsh_neighbors_free(&s.truth);
    nlsh_searcher_free(s.searcher);
    loaded_free(&s.queries);
    nlsh_index_close(s.index);
    return code;
}
