/*
 * cmd_compare.c - `nlsh compare`, and `nlsh search --models_index`: several indexes, one set of
 * queries.
 *
 * The true neighbours are found once, and the exact scan is timed once. Then one index after another
 * answers at every setting; each has a results file, which appears whole when its last setting is
 * done. The table comes at the end: a run that is stopped leaves whole results and no half table.
 */
#include "compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "inputs.h"
#include "json.h"
#include "layout.h"
#include "models.h"
#include "numbers.h"
#include "output.h"
#include "results.h"
#include "settings.h"
#include "table.h"
#include "talk.h"
#include "text.h"
#include "truth.h"
#include "verbs.h"

struct row {
    const struct model *model;
    const struct nlsh_search_options *asked;
    struct score score;
    struct timing timing;
    struct nlsh_likeness likeness;
};

struct compare {
    const struct args *args;
    struct models models;
    char **results; /* [models.n] a results file each; NULL where none is written */
    char *csv;      /* the table's file, "-" for stdout, or NULL */
    struct nlsh_search_options points[MAX_POINTS];
    size_t n_points;
    struct loaded queries;
    struct nlsh_neighbors truth;
    struct results_of of;
    struct answers answers;
    struct row *rows; /* [models.n x n_points] */
    size_t n_rows;
};

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

/* ---- the names of what is written ------------------------------------------------------------ */

/* "out/results.txt" and "m3": "out/results.m3.txt". */
static char *results_name(const char *pattern, const char *model)
{
    const char *slash = strrchr(pattern, '/'), *base = slash ? slash + 1 : pattern;
    const char *dot = strrchr(base, '.');
    size_t size = strlen(pattern) + strlen(model) + 2;
    char *name = malloc(size);
    if (name == NULL) return NULL;
    if (dot == NULL || dot == base) dot = base + strlen(base);
    snprintf(name, size, "%.*s.%s%s", (int)(dot - pattern), pattern, model, dot);
    return name;
}

/* A results file for each model, named after pattern. */
static int name_results(struct compare *c, const char *pattern)
{
    c->results = calloc(c->models.n, sizeof *c->results);
    if (c->results == NULL) return no_memory();
    for (size_t i = 0; i < c->models.n; i++) {
        c->results[i] = results_name(pattern, c->models.models[i].name);
        if (c->results[i] == NULL) return no_memory();
    }
    return 0;
}

/* folder/name */
static char *in_folder(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 1;
    char *path = malloc(size);
    if (path != NULL) snprintf(path, size, "%s%s", folder, name);
    return path;
}

/* --models_index: results and table beside -o, or beside the list. */
static int name_beside(struct compare *c, const char *list)
{
    bool given = args_given(c->args, "o");
    const char *o = args_text(c->args, "o"), *format = args_text(c->args, "format");
    char standard[32];
    if (given && strcmp(o, "-") == 0) {
        return talk_error(EXIT_USAGE,
                          "give -o FILE, or leave it out: results are then beside the list",
                          "-o -: the results of several models are several files");
    }
    snprintf(standard, sizeof standard, "results.%s", strcmp(format, "text") ? format : "txt");
    char *folder = folder_of(given ? o : list);
    char *pattern = given ? strdup(o) : folder ? in_folder(folder, standard) : NULL;
    if (folder != NULL) c->csv = in_folder(folder, "models_compare.csv");
    int code = pattern && c->csv ? name_results(c, pattern) : no_memory();
    free(pattern);
    free(folder);
    return code;
}

/* Whether all of it can be written, and none of it over an input. */
static int check_outputs(const struct compare *c, const char *list)
{
    const char **inputs = calloc(c->models.n + MAX_INPUTS, sizeof *inputs);
    if (inputs == NULL) return no_memory();
    size_t n = args_inputs(c->args, inputs);
    for (size_t i = 0; i < c->models.n; i++) inputs[n++] = c->models.models[i].path;
    int code = output_check(c->csv, list ? "-o" : "--csv", inputs, n);
    for (size_t i = 0; i < c->models.n && c->results != NULL && code == 0; i++) {
        code = output_check(c->results[i], "-o", inputs, n);
    }
    free(inputs);
    return code;
}

/* ---- the work -------------------------------------------------------------------------------- */

static int warm(struct compare *c, const struct model *m)
{
    struct nlsh_search_options options = c->points[0];
    options.k = c->answers.k;
    return answers_warm(m->index, &c->queries.matrix, &options, m->name, &c->answers);
}

static int run_model(struct compare *c, const struct model *m, struct results *results)
{
    int code = warm(c, m);
    for (size_t i = 0; i < c->n_points && code == 0; i++) {
        struct row *row = &c->rows[c->n_rows];
        struct nlsh_search_options options = c->points[i];
        row->model = m;
        row->asked = &c->points[i];
        options.k = c->answers.k;
        options.n_threads = args_count(c->args, "threads");
        if (options.probes > (double)m->info.n_buckets) options.probes = (double)m->info.n_buckets;
        code = answers_find(m->index, &c->queries.matrix, &options, m->name, &c->answers);
        if (code != 0) return code;
        score_answers(&c->answers, c->answers.n, &c->truth, &row->score);
        if (c->of.metric == NLSH_IP) row->score.factor = NAN;
        c->answers.score = row->score;
        row->timing = c->answers.timing;
        row->likeness = c->answers.likeness;
        code = truth_check(c->args, m->index, &c->answers, &c->truth);
        if (code == 0 && results != NULL)
            code = results_add(results, m->index, &c->points[i], &c->answers);
        c->n_rows++;
    }
    return code;
}

/* Said once of each model, of the first setting that shows it. */
static void say_unlike(const struct compare *c)
{
    char name[256];
    const struct model *last = NULL;
    for (size_t i = 0; i < c->n_rows; i++) {
        const struct row *r = &c->rows[i];
        if (r->model == last || !r->likeness.unlike) continue;
        last = r->model;
        talk_say("%s:", text_shown(r->model->name, name, sizeof name));
        say_likeness(&r->likeness, r->asked);
    }
}

static int run_all(struct compare *c)
{
    struct results results;
    int code = 0;
    for (size_t i = 0; i < c->models.n && code == 0; i++) {
        const struct model *m = &c->models.models[i];
        if (c->results == NULL) {
            code = run_model(c, m, NULL);
            continue;
        }
        code = results_open(&c->of, c->results[i], &results);
        if (code == 0) code = run_model(c, m, &results);
        if (code == 0) {
            code = results_commit(&results);
        } else {
            results_abort(&results);
        }
    }
    talk_stage_end();
    if (code == 0) say_unlike(c);
    return code;
}

static int prepare(struct compare *c)
{
    const struct args *args = c->args;
    const struct model *first = &c->models.models[0];
    size_t k = args_count(args, "N");
    c->of.format = args_text(args, "format");
    c->of.many = c->n_points > 1;
    c->of.queries = &c->queries.matrix;
    c->of.truth = &c->truth;
    c->of.metric = first->info.metric;
    c->rows = calloc(c->models.n * c->n_points, sizeof *c->rows);
    if (c->rows == NULL) return no_memory();
    int code = load_queries(args_text(args, "q"), vectors_type(args), first->path, &first->info,
                            &c->queries);
    if (code == 0) code = read_range(args, &c->queries, &c->of);
    if (code == 0) code = answers_create(c->queries.matrix.n_rows, k, &c->answers);
    if (code != 0) return code;
    const struct filter all = {.n = 0};
    return truth_timed(args, first->index, first->path, &c->queries.matrix, k, &all, &c->truth,
                       &c->of.exact);
}

/* ---- the table ------------------------------------------------------------------------------- */

static int write_csv(const struct compare *c)
{
    struct output output;
    char point[32];
    int code = output_open(c->csv, &output);
    if (code != 0) return code;
    FILE *to = output.file;
    fprintf(to,
            "model,settings,T,recall_at_1,recall_at_%zu,af,candidates,candidates_p95,qps,qps_min,"
            "qps_max,passes,speedup,"
            "build_seconds,index_bytes,file\n",
            c->answers.k);
    for (size_t i = 0; i < c->n_rows; i++) {
        const struct row *r = &c->rows[i];
        const struct score *s = &r->score;
        text_csv(to, r->model->name);
        fputc(',', to);
        text_csv(to, r->model->settings);
        const struct timing *t = &r->timing;
        fprintf(to, ",%s,%.6f,%.6f,%.6f,%.2f,%.0f,%.1f,%.1f,%.1f,%zu,%.3f,",
                point_text(r->asked, point), s->recall_1, s->recall_n, s->factor, s->candidates,
                s->p95, 1 / t->median, 1 / t->slowest, 1 / t->fastest, t->n_passes,
                c->of.exact.median / t->median);
        if (isfinite(r->model->build_seconds)) fprintf(to, "%.3f", r->model->build_seconds);
        fprintf(to, ",%zu,", r->model->info.size_bytes);
        text_csv(to, r->model->path);
        fputc('\n', to);
    }
    return output_commit(&output);
}

/* The settings of all models, NULL for one whose cannot be read; NULL without memory. */
static json_t **read_settings(const struct models *models)
{
    json_t **settings = calloc(models->n, sizeof *settings);
    for (size_t i = 0; i < models->n && settings != NULL; i++) {
        json_t *read = json_loads(models->models[i].settings, 0, NULL);
        settings[i] = json_is_object(read) ? json_incref(read) : NULL;
        json_decref(read);
    }
    return settings;
}

static void free_settings(json_t **settings, size_t n)
{
    for (size_t i = 0; i < n && settings != NULL; i++) json_decref(settings[i]);
    free(settings);
}

/* What is said once of a model, above its rows: also which of its settings others have not. */
static void add_model(struct table *table, const struct compare *c, const struct model *m,
                      json_t **settings)
{
    char size[32], build[32], name[256], line[1200];
    size_t which = (size_t)(m - c->models.models);
    char *differ = settings ? settings_differing(settings, c->models.n, which) : NULL;
    int at = snprintf(line, sizeof line, "%s: %s%s%s", text_shown(m->name, name, sizeof name),
                      text_bytes(m->info.size_bytes, size),
                      isfinite(m->build_seconds) ? ", built in " : "",
                      isfinite(m->build_seconds) ? text_seconds(m->build_seconds, build) : "");
    if (differ != NULL && differ[0] != '\0') {
        snprintf(line + at, sizeof line - (size_t)at, "; %s", text_clean(differ));
    }
    table_line(table, "");
    table_line(table, line);
    free(differ);
}

static const char *spread_text(const struct timing *t, char buffer[16])
{
    double percent = 100 * (t->slowest - t->fastest) / t->median;
    snprintf(buffer, 16, percent < 999.5 ? "%.0f %%" : ">999 %%", percent);
    return buffer;
}

static void add_row(struct table *table, const struct compare *c, const struct row *r)
{
    char point[32], first[32], recall[32], factor[32], mean[32], p95[32], qps[32], spread[16],
        faster[32];
    const struct timing *t = &r->timing;
    snprintf(first, sizeof first, "%.4f", r->score.recall_1);
    snprintf(recall, sizeof recall, "%.4f", r->score.recall_n);
    snprintf(factor, sizeof factor, "%.4f", r->score.factor);
    snprintf(faster, sizeof faster, "%.1fx", c->of.exact.median / t->median);
    const char *const cells[] = {point_text(r->asked, point),
                                 first,
                                 recall,
                                 factor,
                                 text_short(r->score.candidates, mean),
                                 text_short(r->score.p95, p95),
                                 text_short(1 / t->median, qps),
                                 spread_text(t, spread),
                                 faster};
    table_row(table, cells);
}

static int print_table(const struct compare *c)
{
    char recall[24], queries[32], exact[32], line[128];
    size_t n_threads = args_count(c->args, "threads"), room = layout_columns(stdout);
    snprintf(recall, sizeof recall, "recall@%zu", c->answers.k);
    const struct table_column columns[] = {{"T", 0},         {"recall@1", 3},   {recall, 0},
                                           {"AF", 2},        {"candidates", 0}, {"p95", 4},
                                           {"queries/s", 6}, {"spread", 1},     {"faster", 5}};
    struct table table;
    snprintf(line, sizeof line, "%s queries on %zu thread%s; an exact scan takes %s a query",
             text_count(c->answers.n, queries), n_threads, n_threads == 1 ? "" : "s",
             text_seconds(c->of.exact.median, exact));
    layout_wrapped(stdout, line, 0, 0, room);
    putchar('\n');
    json_t **settings = read_settings(&c->models);
    table_begin(&table, columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < c->n_rows; i++) {
        if (i == 0 || c->rows[i].model != c->rows[i - 1].model) {
            add_model(&table, c, c->rows[i].model, settings);
        }
        add_row(&table, c, &c->rows[i]);
    }
    free_settings(settings, c->models.n);
    int code = table_print(&table, stdout, room);
    if (code != 0) return code;
    putchar('\n');
    layout_wrapped(stdout,
                   "candidates: mean a query, and the 95th percentile; spread: slowest pass less "
                   "fastest, of the median; faster: than the exact scan.",
                   0, 0, room);
    return finish_stdout();
}

/* settings: their reference is taken. */
static json_t *row_json(const struct row *r, const struct timing *exact, json_t *settings)
{
    const struct model *m = r->model;
    const struct timing *t = &r->timing;
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:f, s:f, s:o, s:f, s:f, s:f, s:f, s:f, s:I, s:f, s:o, s:I, s:b}",
        "model", json_name(m->name), "file", json_name(m->path), "settings", settings, "T",
        point_json(r->asked), "recall_at_1", r->score.recall_1, "recall_at_n", r->score.recall_n,
        "af", json_number_or_null(r->score.factor), "candidates", r->score.candidates,
        "candidates_p95", r->score.p95, "qps", 1 / t->median, "qps_min", 1 / t->slowest, "qps_max",
        1 / t->fastest, "passes", (json_int_t)t->n_passes, "speedup", exact->median / t->median,
        "build_seconds", json_number_or_null(m->build_seconds), "index_bytes",
        (json_int_t)m->info.size_bytes, "unlike", r->likeness.unlike);
}

static int print_as_json(const struct compare *c)
{
    const struct timing *exact = &c->of.exact;
    json_t *rows = json_array(), *settings;
    for (size_t i = 0; i < c->n_rows; i++) {
        const struct model *m = c->rows[i].model;
        int code = settings_of_index(m->path, m->settings, &settings);
        if (code != 0) {
            json_decref(rows);
            return code;
        }
        json_add(&rows, row_json(&c->rows[i], exact, settings));
    }
    return print_json(json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:o}", "command", "compare",
                                "queries", (json_int_t)c->answers.n, "n", (json_int_t)c->answers.k,
                                "tTrueAverage", exact->median, "tTrueMin", exact->fastest,
                                "tTrueMax", exact->slowest, "table", rows));
}

static int give_table(const struct compare *c)
{
    bool csv_to_stdout = c->csv != NULL && strcmp(c->csv, "-") == 0;
    int code = c->csv != NULL ? write_csv(c) : 0;
    if (code != 0 || csv_to_stdout) return code;
    code = args_given(c->args, "json") ? print_as_json(c) : print_table(c);
    if (code == 0 && c->csv != NULL) talk_say("the table: %s", c->csv);
    if (code == 0 && c->results != NULL) {
        talk_say("the results: %s%s", c->results[0], c->models.n > 1 ? " and its like" : "");
    }
    return code;
}

/* ---- the verbs ------------------------------------------------------------------------------- */

/* With the models open: the rest, and everything freed. code is what went wrong so far. */
static int compare_open(struct compare *c, const char *list, int code)
{
    if (code == 0) code = check_outputs(c, list);
    if (code == 0) code = prepare(c);
    if (code == 0) code = run_all(c);
    if (code == 0) code = give_table(c);
    for (size_t i = 0; i < c->models.n && c->results != NULL; i++) free(c->results[i]);
    free(c->results);
    free(c->csv);
    free(c->rows);
    answers_free(&c->answers);
    nlsh_neighbors_free(&c->truth);
    loaded_free(&c->queries);
    models_close(&c->models);
    return code;
}

int compare_models(const struct args *args, const char *list)
{
    struct compare c = {.args = args};
    c.n_points = read_points(args, c.points);
    if (c.n_points == 0) return EXIT_USAGE;
    int code = models_read(list, memory_named(args), &c.models);
    if (code == 0) code = name_beside(&c, list);
    return compare_open(&c, list, code);
}

int cmd_compare(const struct args *args)
{
    struct compare c = {.args = args};
    c.n_points = read_points(args, c.points);
    if (c.n_points == 0) return EXIT_USAGE;
    int code = models_open(args->words, args->n_words, memory_named(args), &c.models);
    if (code == 0 && args_given(args, "csv")) {
        c.csv = strdup(args_text(args, "csv"));
        if (c.csv == NULL) code = no_memory();
    }
    if (code == 0 && args_given(args, "o")) code = name_results(&c, args_text(args, "o"));
    return compare_open(&c, NULL, code);
}
