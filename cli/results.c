/*
 * results.c - the results file: for every query its neighbours, and at the end how good they are.
 *
 * With one setting the file is as the predecessor (in Python and C++) wrote it. With several (-T 1,2,5)
 * each has a block as it would have a file: the text's begins with a line "T: 5", the CSV has a first
 * column T, and in JSON the blocks are the items of "runs". The R-near neighbours are found while the
 * results are written and belong to no time.
 */
#include "results.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "talk.h"
#include "text.h"

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

/* ---- R-near neighbours ----------------------------------------------------------------------- */

int read_range(const struct args *args, const struct loaded *queries, struct results_of *of)
{
    const char *type = args_text(args, "type"), *range = args_text(args, "range");
    of->range = range ? strcmp(range, "true") == 0 : args_given(args, "R");
    if (args_given(args, "R")) {
        of->radius = args_real(args, "R");
        if (of->radius >= 0 || of->metric == NLSH_IP) return 0;
        return talk_error(EXIT_USAGE, "only inner products have negative distances",
                          "-R %s: no distance of the metric %s is below 0", args_text(args, "R"),
                          nlsh_metric_name(of->metric));
    } else if (of->metric != NLSH_L2) {
        if (!of->range) return 0;
        return talk_error(
            EXIT_USAGE, "give -R RADIUS: a cosine distance, or the least product negated",
            "-range true: no radius is known for the metric %s", nlsh_metric_name(of->metric));
    } else if (strcmp(type, "mnist") == 0 ||
               (strcmp(type, "auto") == 0 && queries->format == NLSH_FORMAT_IDX)) {
        of->radius = 2000;
    } else if (strcmp(type, "sift") == 0 || queries->format == NLSH_FORMAT_FVECS ||
               queries->format == NLSH_FORMAT_BVECS) {
        of->radius = 2800;
    } else if (of->range) {
        return talk_error(EXIT_USAGE, "give -R RADIUS",
                          "-range true: no radius is known for this kind of file");
    }
    return 0;
}

/* Those of one query into near_*; the arrays grow to what is found. */
static int find_near(struct results *r, struct nlsh_searcher *searcher,
                     const struct nlsh_search_options *options, size_t i)
{
    struct nlsh_error error = {0};
    struct nlsh_matrix one = matrix_rows(r->of->queries, i, 1);
    for (int attempt = 0; attempt < 2; attempt++) {
        if (nlsh_search_range(searcher, &one, options, r->of->radius, r->near_keys,
                              r->near_distances, r->near_capacity, &r->n_near, &error) != NLSH_OK) {
            return talk_failed(&error);
        }
        if (r->n_near <= r->near_capacity) return 0;
        free(r->near_keys);
        free(r->near_distances);
        r->near_capacity = 2 * r->n_near;
        r->near_keys = calloc(r->near_capacity, sizeof *r->near_keys);
        r->near_distances = calloc(r->near_capacity, sizeof *r->near_distances);
        if (r->near_keys == NULL || r->near_distances == NULL) break;
    }
    r->near_capacity = 0;
    return no_memory();
}

/* ---- a query --------------------------------------------------------------------------------- */

/* How an answer is called: its word, or its key's digits. */
static const char *name_of(const struct results *r, uint64_t key, char digits[24])
{
    if (r->of->words != NULL) return words_find(r->of->words, key);
    snprintf(digits, 24, "%" PRIu64, key);
    return digits;
}

/* All of them have words where words are wanted. */
static int check_named(const struct results *r, const uint64_t *keys, size_t n)
{
    for (size_t i = 0; r->of->words != NULL && i < n; i++) {
        if (keys[i] == NLSH_NO_KEY || words_find(r->of->words, keys[i]) != NULL) continue;
        return talk_error(EXIT_BAD_DATA,
                          "give the file .words that the index was built with (nlsh build --keys)",
                          "--words: no word has the key %" PRIu64, keys[i]);
    }
    return 0;
}

static void write_cell(const struct results *r, uint64_t key, FILE *to)
{
    char digits[24];
    const char *name = name_of(r, key, digits);
    if (name == digits)
        fputs(digits, to);
    else
        text_csv(to, name);
}

static json_t *name_json(const struct results *r, uint64_t key)
{
    return r->of->words != NULL && key != NLSH_NO_KEY ? json_name(words_find(r->of->words, key))
                                                      : json_key(key);
}

static void write_text(const struct results *r, const struct answers *a, size_t i, FILE *to)
{
    char digits[24];
    fprintf(to, "METHOD NAME: Neural LSH\nQuery: %zu\n", i);
    for (size_t j = 0; j < a->k; j++) {
        uint64_t key = a->keys[i * a->k + j];
        fprintf(to, "Nearest neighbor-%zu: %s\n", j + 1,
                key == NLSH_NO_KEY ? "none" : name_of(r, key, digits));
        fprintf(to, "distanceApproximate: %.7g\n", a->distances[i * a->k + j]);
        fprintf(to, "distanceTrue: %.7g\n", r->of->truth->distances[i * a->k + j]);
    }
    if (r->of->range) fputs("R-near neighbors:\n", to);
    for (size_t j = 0; r->of->range && j < r->n_near; j++) {
        fprintf(to, "%s\n", name_of(r, r->near_keys[j], digits));
    }
    fputc('\n', to);
}

/* point: the column before the others, with its comma, or nothing. */
static void write_csv(const struct results *r, const struct answers *a, size_t i, const char *point,
                      FILE *to)
{
    for (size_t j = 0; j < a->k; j++) {
        uint64_t key = a->keys[i * a->k + j];
        double exact = r->of->truth->distances[i * a->k + j];
        if (key == NLSH_NO_KEY) {
            fprintf(to, "%s%zu,nearest,%zu,,,%.7g\n", point, i, j + 1, exact);
        } else {
            fprintf(to, "%s%zu,nearest,%zu,", point, i, j + 1);
            write_cell(r, key, to);
            fprintf(to, ",%.7g,%.7g\n", a->distances[i * a->k + j], exact);
        }
    }
    for (size_t j = 0; r->of->range && j < r->n_near; j++) {
        fprintf(to, "%s%zu,r-near,%zu,", point, i, j + 1);
        write_cell(r, r->near_keys[j], to);
        fprintf(to, ",%.7g,\n", r->near_distances[j]);
    }
}

static json_t *query_json(const struct results *r, const struct answers *a, size_t i)
{
    json_t *nearest = json_array();
    for (size_t j = 0; j < a->k; j++) {
        size_t at = i * a->k + j;
        json_add(&nearest, json_pack("{s:o, s:o, s:f}", "id", name_json(r, a->keys[at]),
                                     "distanceApproximate", json_number_or_null(a->distances[at]),
                                     "distanceTrue", r->of->truth->distances[at]));
    }
    json_t *query = json_pack("{s:I, s:I, s:I, s:o}", "query", (json_int_t)i, "candidates",
                              (json_int_t)a->stats.candidates[i], "buckets",
                              (json_int_t)a->stats.probes[i], "nearest", nearest);
    if (!r->of->range) return query;
    json_t *near = json_array();
    for (size_t j = 0; j < r->n_near; j++) json_add(&near, name_json(r, r->near_keys[j]));
    json_set(&query, "rNear", near);
    return query;
}

static int write_json(const struct results *r, const struct answers *a, size_t i, FILE *to)
{
    fputs(i ? ",\n    " : "\n    ", to);
    return json_write(query_json(r, a, i), to, JSON_COMPACT | JSON_REAL_PRECISION(7)) ? 0
                                                                                      : no_memory();
}

/* ---- around them ----------------------------------------------------------------------------- */

json_t *summary_json(const struct results_of *of, const struct nlsh_search_options *options,
                     const struct answers *a)
{
    const struct timing *t = &a->timing;
    json_t *summary = json_pack(
        "{s:s, s:I, s:I, s:o, s:f, s:f, s:f, s:f, s:I, s:f, s:o, s:o, s:o, s:f, s:f, "
        "s:f, s:I, s:b}",
        "method", "Neural LSH", "queries", (json_int_t)a->n, "N", (json_int_t)a->k, "averageAF",
        json_number_or_null(a->score.factor), "recall", a->score.recall_n, "qps", 1 / t->median,
        "qpsMin", 1 / t->slowest, "qpsMax", 1 / t->fastest, "passes", (json_int_t)t->n_passes,
        "tApproximateAverage", t->median, "tTrueAverage", json_number_or_null(of->exact.median),
        "tTrueMin", json_number_or_null(of->exact.fastest), "tTrueMax",
        json_number_or_null(of->exact.slowest), "candidates", a->score.candidates, "ranked",
        a->score.ranked, "buckets", a->score.probes, "threads", (json_int_t)options->n_threads,
        "unlike", a->likeness.unlike);
    if (of->shards != NULL) json_set(&summary, "shards", json_incref(of->shards));
    return summary;
}

static int write_point(const struct nlsh_search_options *options, FILE *to)
{
    fputs("\"T\": ", to);
    if (!json_write(point_json(options), to, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9))) {
        return no_memory();
    }
    fputs(",\n  ", to);
    return 0;
}

static int write_head(const struct results *r, const struct nlsh_search_options *options,
                      const char *point, FILE *to)
{
    bool many = r->of->many;
    if (r->of->format[0] == 't' && many) fprintf(to, "T: %s\n\n", point);
    if (r->of->format[0] == 'c' && r->n_blocks == 0) {
        fprintf(to, "%squery,kind,rank,id,distance_approximate,distance_true\n", many ? "T," : "");
    }
    if (r->of->format[0] == 'j') {
        if (many) fputs(r->n_blocks == 0 ? "{\n\"runs\": [\n" : ",\n", to);
        fputs("{\n  ", to);
        int code = many ? write_point(options, to) : 0;
        if (code != 0) return code;
        fputs("\"results\": [", to);
    }
    return 0;
}

static int write_tail(const struct results *r, const struct nlsh_search_options *options,
                      const struct answers *a, FILE *to)
{
    if (r->of->format[0] == 't') {
        fprintf(to, "Average AF: %.6f\nRecall@%zu: %.6f\nQPS: %.2f\n", a->score.factor, a->k,
                a->score.recall_n, 1 / a->timing.median);
        fprintf(to, "tApproximateAverage: %.9f\ntTrueAverage: %.9f\n", a->timing.median,
                r->of->exact.median);
        if (r->of->not_searched > 0)
            fprintf(to, "Buckets not searched: %.6f\n", r->of->not_searched);
        if (r->of->many) fputc('\n', to);
    } else if (r->of->format[0] == 'j') {
        fputs("\n  ],\n  \"summary\": ", to);
        if (!json_write(summary_json(r->of, options, a), to,
                        JSON_COMPACT | JSON_REAL_PRECISION(9))) {
            return no_memory();
        }
        fputs(r->of->many ? "\n}" : "\n}\n", to);
    }
    return 0;
}

/* ---- the file -------------------------------------------------------------------------------- */

int results_open(const struct results_of *of, const char *path, struct results *out)
{
    *out = (struct results){.of = of};
    if (of->summarise) out->summaries = json_array();
    return output_open(path, &out->output);
}

static int write_queries(struct results *r, struct nlsh_searcher *searcher,
                         const struct nlsh_search_options *options, const struct answers *a,
                         const char *column)
{
    FILE *to = r->output.file;
    int code = 0;
    for (size_t i = 0; i < a->n && code == 0 && !ferror(to); i++) {
        if (r->of->range) code = find_near(r, searcher, options, i);
        if (code == 0) code = check_named(r, a->keys + i * a->k, a->k);
        if (code == 0 && r->of->range) code = check_named(r, r->near_keys, r->n_near);
        if (code != 0) break;
        if (r->of->format[0] == 't') write_text(r, a, i, to);
        if (r->of->format[0] == 'c') write_csv(r, a, i, column, to);
        if (r->of->format[0] == 'j') code = write_json(r, a, i, to);
        if (code == 0 && i % 64 == 63 && talk_progress(NULL, "results", i + 1, a->n)) {
            struct nlsh_error error = {.status = NLSH_E_INTERRUPTED};
            code = talk_failed(&error);
        }
    }
    talk_stage_end();
    return code;
}

static int summarise(struct results *r, const struct nlsh_search_options *options,
                     const struct answers *answers)
{
    if (!r->of->summarise) return 0;
    json_t *summary = summary_json(r->of, options, answers);
    json_set(&summary, "T", point_json(options));
    json_add(&r->summaries, summary);
    return r->summaries != NULL ? 0 : no_memory();
}

int results_add(struct results *r, const struct nlsh_index *index,
                const struct nlsh_search_options *options, const struct answers *answers)
{
    struct nlsh_error error = {0};
    struct nlsh_searcher *searcher = NULL;
    char point[32], column[40];
    point_text(options, point);
    snprintf(column, sizeof column, "%s%s", r->of->many ? point : "", r->of->many ? "," : "");
    if (r->of->range && nlsh_searcher_create(index, &searcher, &error) != NLSH_OK) {
        return talk_failed(&error);
    }
    int code = write_head(r, options, point, r->output.file);
    if (code == 0) code = write_queries(r, searcher, options, answers, column);
    if (code == 0) code = write_tail(r, options, answers, r->output.file);
    if (code == 0) code = summarise(r, options, answers);
    r->n_blocks++;
    nlsh_searcher_free(searcher);
    return code;
}

static void release(struct results *r)
{
    free(r->near_keys);
    free(r->near_distances);
    json_decref(r->summaries);
    *r = (struct results){0};
}

int results_commit(struct results *r)
{
    if (r->of->many && r->of->format[0] == 'j') fputs("\n]\n}\n", r->output.file);
    int code = output_commit(&r->output);
    if (code == 0 && r->of->summarise) {
        /* One setting is an object, as it always was; several are an array. */
        json_t *shown = r->of->many ? r->summaries : json_array_get(r->summaries, 0);
        code = print_json(json_incref(shown));
    }
    release(r);
    return code;
}

void results_abort(struct results *r)
{
    output_abort(&r->output);
    release(r);
}

int results_write(const struct args *args, struct results_of *of, size_t n, results_point_fn *point,
                  void *ctx)
{
    const char *path = args_text(args, "o");
    struct results results;
    bool to_stdout = strcmp(path, "-") == 0, json = args_given(args, "json");
    of->format = json && to_stdout ? "json" : args_text(args, "format");
    of->many = n > 1;
    of->summarise = json && !to_stdout;
    int code = results_open(of, path, &results);
    for (size_t i = 0; i < n && code == 0; i++) code = point(ctx, i, &results);
    if (code == 0) return results_commit(&results);
    results_abort(&results);
    return code;
}
