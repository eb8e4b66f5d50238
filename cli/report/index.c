/*
 * index.c - what an index has to show: what it is, its buckets, and, where queries are given,
 * how well and how fast it finds their neighbours and whether its probabilities are calibrated.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "inputs.h"
#include "numbers.h"
#include "report/figure.h"
#include "report/report.h"
#include "settings.h"
#include "talk.h"
#include "truth.h"

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

/* ---- buckets --------------------------------------------------------------------------------- */

enum { MOST_BARS = 40 };

/* Buckets by size: bars from info->bucket_min on, each so many vectors wide. */
static void count_sizes(const uint32_t *offsets, const struct nlsh_index_info *info, size_t width,
                        size_t counts[MOST_BARS + 1])
{
    for (size_t b = 0; b < info->n_buckets; b++) {
        size_t n = offsets[b + 1] - offsets[b];
        size_t bar = n < info->bucket_min ? 0 : (n - info->bucket_min) / width;
        counts[bar > MOST_BARS ? MOST_BARS : bar]++;
    }
}

static void bar_says(size_t n, size_t from, size_t to, char *says, size_t size)
{
    int at = snprintf(says, size, "%zu bucket%s of %zu", n, n == 1 ? "" : "s", from);
    if (to > from && at > 0) at += snprintf(says + at, size - (size_t)at, " to %zu", to);
    if (at > 0) snprintf(says + at, size - (size_t)at, " vectors");
}

static bool add_sizes(struct chart *chart, const uint32_t *offsets,
                      const struct nlsh_index_info *info)
{
    size_t width = (info->bucket_max - info->bucket_min) / MOST_BARS + 1;
    size_t counts[MOST_BARS + 1] = {0}, most = 0;
    double mean = (double)info->n_rows / (double)info->n_buckets;
    struct series *s = chart_series(chart, DRAWN_BARS, "buckets");
    bool done = s != NULL;
    count_sizes(offsets, info, width, counts);
    chart->bar_width = (double)width * 0.92;
    for (size_t i = 0; i <= MOST_BARS && done; i++) {
        size_t from = info->bucket_min + i * width;
        char says[96];
        if (from > info->bucket_max) break;
        bar_says(counts[i], from, from + width - 1, says, sizeof says);
        most = counts[i] > most ? counts[i] : most;
        done =
            series_add(chart, s, (double)from + (double)(width - 1) / 2, (double)counts[i], says);
    }
    struct series *line = done ? chart_series(chart, DRAWN_RULE, "mean: %.1f vectors", mean) : NULL;
    if (line == NULL) return false;
    line->style = STYLE_BEST;
    return series_add(chart, line, mean, 0, NULL) &&
           series_add(chart, line, mean, (double)most, NULL);
}

static int report_sizes(struct report *report, const struct nlsh_index *index,
                        const struct nlsh_index_info *info)
{
    struct nlsh_segment rows = {.struct_size = sizeof rows};
    struct chart chart = {.title = "Sizes of the buckets",
                          .x_label = "vectors in a bucket",
                          .y_label = "buckets",
                          .x_axis = AXIS_COUNT,
                          .y_axis = AXIS_COUNT,
                          .from_ground = 1};
    if (!nlsh_index_segment(index, 0, &rows) || !add_sizes(&chart, rows.bucket_offsets, info)) {
        chart_free(&chart);
        return no_memory();
    }
    chart_draw(report, &chart,
               "How many buckets hold how many vectors. Even buckets make queries cost alike.");
    return 0;
}

static void report_facts(struct report *report, const struct nlsh_index_info *info)
{
    char a[32], b[32], c[32];
    page_facts_begin(report);
    page_fact(report, "vectors", "%s x %zu %s, metric %s", text_count(info->n_rows, a), info->dim,
              type_name(info->type), nlsh_metric_name(info->metric));
    page_fact(report, "content hash", "%016" PRIx64, info->data_hash);
    page_fact(report, "buckets", "%s, of %s to %s vectors, mean %.1f",
              text_count(info->n_buckets, a), text_count(info->bucket_min, b),
              text_count(info->bucket_max, c), (double)info->n_rows / (double)info->n_buckets);
    page_fact(report, "router", "%s weights", text_count(info->router_weights, a));
    if (isfinite(info->disagreement)) {
        page_fact(report, "disagreement", "the router would put %.1f %% of the vectors elsewhere",
                  100 * info->disagreement);
    }
    page_fact(report, "file", "%s", text_bytes(info->size_bytes, a));
    page_facts_end(report);
}

static int report_sections(struct report *report, const struct nlsh_index *index,
                           const struct nlsh_index_info *info)
{
    static const char *const names[] = {"section", "#size", "#share"};
    struct nlsh_section_info section = {.struct_size = sizeof section};
    size_t n = 0;
    while (nlsh_index_section(index, n, &section)) n++;
    const char **cells = calloc(3 * n + 1, sizeof *cells);
    char(*text)[2][32] = calloc(n + 1, sizeof *text);
    int code = cells && text ? 0 : no_memory();
    for (size_t i = 0; i < n && code == 0; i++) {
        (void)nlsh_index_section(index, i, &section);
        snprintf(text[i][1], 32, "%.1f %%",
                 100.0 * (double)section.size_bytes / (double)info->size_bytes);
        cells[3 * i] = section.name;
        cells[3 * i + 1] = text_bytes(section.size_bytes, text[i][0]);
        cells[3 * i + 2] = text[i][1];
    }
    if (code == 0) {
        page_fold(report, "Where the bytes go: %zu sections", n);
        page_table(report, names, 3, cells, n);
        page_fold_end(report);
    }
    free(cells);
    free(text);
    return code;
}

static int report_settings_of(struct report *report, const char *path,
                              const struct nlsh_index_info *info)
{
    json_t *settings;
    int code = settings_of_index(path, info->settings ? info->settings : "{}", &settings);
    if (code != 0) return code;
    page_section(report, "Settings");
    code = page_settings(report, &path, &settings, 1);
    json_decref(settings);
    return code;
}

/* ---- speed ----------------------------------------------------------------------------------- */

enum { N_ASKED = 9, TIMED_QUERIES = 2000 };

struct timed {
    double asked, recall, candidates, qps;
};

static int time_index(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                      const struct nlsh_neighbors *truth, size_t k, struct timed out[N_ASKED])
{
    static const double asked[N_ASKED] = {0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999};
    size_t n = queries->n_rows < TIMED_QUERIES ? queries->n_rows : TIMED_QUERIES;
    struct nlsh_matrix some = matrix_rows(queries, 0, n);
    struct answers answers = {.n = 0};
    uint64_t *keys = calloc(k, sizeof *keys); /* of a query's true neighbours */
    int code = keys != NULL ? answers_create(n, k, &answers) : no_memory();
    for (size_t i = 0; i < N_ASKED && code == 0; i++) {
        struct nlsh_search_options options;
        nlsh_search_options_init(&options, sizeof options);
        options.k = k;
        options.recall = asked[i];
        out[i] = (struct timed){.asked = asked[i]};
        code = answers_find(index, &some, &options, "search", &answers);
        for (size_t q = 0; q < n && code == 0; q++) {
            const float *distances = truth->distances ? truth->distances + q * truth->k : NULL;
            for (size_t j = 0; j < k; j++)
                keys[j] = key_of_row(index, truth->ids[q * truth->k + j]);
            out[i].recall +=
                nlsh_recall(answers.keys + q * k, answers.distances + q * k, keys, distances, k) /
                (double)n;
            out[i].candidates += (double)answers.stats.candidates[q] / (double)n;
        }
        out[i].qps = 1 / answers.timing.median;
    }
    answers_free(&answers);
    free(keys);
    return code;
}

static int draw_speed(struct report *report, const struct timed *timed, size_t k)
{
    char recall[32];
    snprintf(recall, sizeof recall, "recall@%zu", k);
    struct chart speed = {.title = "Recall against speed",
                          .x_label = recall,
                          .y_label = "queries a second (more is better)",
                          .x_axis = AXIS_RECALL,
                          .y_axis = AXIS_LOG};
    struct chart asked = {.title = "The recall that was asked for, and what came",
                          .x_label = "recall asked for",
                          .y_label = recall,
                          .x_axis = AXIS_RECALL,
                          .y_axis = AXIS_RECALL};
    struct series *a = chart_series(&speed, DRAWN_LINE_AND_DOTS, "%s", "");
    struct series *b = chart_series(&asked, DRAWN_LINE_AND_DOTS, "reached");
    bool done = a != NULL && b != NULL;
    for (size_t i = 0; i < N_ASKED && done; i++) {
        char says[96], wanted[32], count[32];
        snprintf(says, sizeof says, "--recall %s, %s candidates a query",
                 text_recall(timed[i].asked, wanted), text_whole(timed[i].candidates, count));
        done = series_add(&speed, a, timed[i].recall, timed[i].qps, says) &&
               series_add(&asked, b, timed[i].asked, timed[i].recall, NULL);
    }
    struct series *line = done ? chart_series(&asked, DRAWN_RULE, "as asked") : NULL;
    for (size_t i = 0; i < N_ASKED && line != NULL; i++) {
        line->style = STYLE_IDEAL;
        done = done && series_add(&asked, line, timed[i].asked, timed[i].asked, NULL);
    }
    int code = done && line ? 0 : no_memory();
    if (code == 0) {
        series_sort(a);
        chart_draw(
            report, &speed,
            "Measured here, on one thread, one query at a time, at the recalls .7 to .999 "
            "asked for by --recall, over at most 2,000 of the queries, the median of several "
            "passes.");
        chart_draw(
            report, &asked,
            "--recall was calibrated while the index was built, on vectors held out from the "
            "base. Above the line there is more than was asked for.");
    }
    chart_free(&speed);
    chart_free(&asked);
    return code;
}

/* What asking for .95 comes to. */
static void say_timed(struct report *report, const struct nlsh_index_info *info,
                      const struct timed timed[N_ASKED])
{
    for (size_t i = 0; i < N_ASKED; i++) {
        const struct timed *t = &timed[i];
        char asked[32], recall[32], candidates[32], rows[32], qps[32];
        if (t->asked != 0.95) continue;
        page_verdict(
            report,
            "Asked for recall %s, searches reach %s with %s candidates a query, %.2g %% of "
            "%s vectors: %s queries a second on one thread.",
            text_recall(t->asked, asked), text_recall(t->recall, recall),
            text_whole(t->candidates, candidates), 100 * t->candidates / (double)info->n_rows,
            text_count(info->n_rows, rows), text_number(t->qps, qps));
    }
}

/* What the build measured of recall@10 .95, without any query. */
static void say_needed(struct report *report, const struct nlsh_index_info *info)
{
    char needed[32], rows[32], size[32], buckets[32];
    double n = info->needed_now > 0 ? info->needed_now : info->needed_trained;
    text_count(info->n_rows, rows);
    if (n > 0) {
        page_verdict(report,
                     "Recall .95 takes the buckets of %s vectors, %.2g %% of %s, as vectors held "
                     "out say.",
                     text_whole(n, needed), 100 * n / (double)info->n_rows, rows);
    } else {
        page_verdict(report, "%s vectors in %s buckets, %s.", rows,
                     text_count(info->n_buckets, buckets), text_bytes(info->size_bytes, size));
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int measure_curve(struct report *report, const char *path, const struct nlsh_index *index,
                         const struct nlsh_matrix *queries, const struct nlsh_neighbors *truth,
                         size_t k, const struct nlsh_run *run, struct compared *compared)
{
    struct nlsh_error error = {0};
    struct nlsh_curve *found;
    if (nlsh_evaluate(index, queries, truth, k, run, &found, &error) != NLSH_OK) {
        return talk_failed(&error);
    }
    talk_stage_end();
    struct curve curve = {.n_points = nlsh_curve_n_points(found)};
    curve.points = calloc(curve.n_points, sizeof *curve.points);
    int code = curve.points != NULL ? 0 : no_memory();
    for (size_t i = 0; i < curve.n_points && code == 0; i++) {
        curve.points[i].struct_size = sizeof curve.points[i];
        (void)nlsh_curve_point(found, i, &curve.points[i]);
    }
    if (code == 0) code = report_curve(report, path, &curve, compared);
    free(curve.points);
    nlsh_curve_free(found);
    return code;
}

static int measure_reliability(struct report *report, const struct nlsh_index *index,
                               const struct nlsh_matrix *queries,
                               const struct nlsh_neighbors *truth, size_t k,
                               const struct nlsh_run *run)
{
    struct nlsh_error error = {0};
    struct nlsh_reliability *found;
    if (nlsh_reliability(index, queries, truth, k, run, &found, &error) != NLSH_OK) {
        return talk_failed(&error);
    }
    talk_stage_end();
    struct reliability r = {.n_bins = nlsh_reliability_n_bins(found),
                            .gap = nlsh_reliability_gap(found)};
    r.bins = calloc(r.n_bins ? r.n_bins : 1, sizeof *r.bins);
    int code = r.bins != NULL ? 0 : no_memory();
    for (size_t i = 0; i < r.n_bins && code == 0; i++) {
        r.bins[i].struct_size = sizeof r.bins[i];
        (void)nlsh_reliability_bin(found, i, &r.bins[i]);
    }
    if (code == 0) code = report_reliability(report, &r);
    free(r.bins);
    nlsh_reliability_free(found);
    return code;
}

static int measure(struct report *report, const char *path, const struct nlsh_index *index,
                   const struct nlsh_index_info *info, const struct nlsh_matrix *queries,
                   const struct nlsh_neighbors *truth, size_t k, const struct nlsh_run *run,
                   struct compared *compared)
{
    struct timed timed[N_ASKED];
    int code = time_index(index, queries, truth, k, timed);
    if (code == 0) say_timed(report, info, timed);
    if (code == 0) code = measure_curve(report, path, index, queries, truth, k, run, compared);
    if (code == 0) code = draw_speed(report, timed, k);
    if (code == 0) code = measure_reliability(report, index, queries, truth, k, run);
    return code;
}

static int with_queries(struct report *report, const char *path, const struct nlsh_index *index,
                        const struct nlsh_index_info *info, struct compared *compared)
{
    const struct args *args = report->args;
    struct loaded queries;
    struct nlsh_neighbors truth;
    struct nlsh_run run;
    size_t k = args_count(args, "N");
    char count[32];
    if (k > info->n_rows) {
        return talk_error(EXIT_USAGE, "ask for fewer with -N",
                          "-N %zu is more than the index's %zu vectors", k, info->n_rows);
    }
    int code = load_queries(args_text(args, "q"), vectors_type(args), path, info, &queries);
    if (code != 0) return code;
    run_init(args, &run);
    page_section(report, "Recall@%zu of the %s queries in %s", k,
                 text_count(queries.matrix.n_rows, count), args_text(args, "q"));
    code = truth_find(args, index, path, &queries.matrix, k, &run, &truth);
    if (code == 0) {
        code = measure(report, path, index, info, &queries.matrix, &truth, k, &run, compared);
        nlsh_neighbors_free(&truth);
    }
    loaded_free(&queries);
    return code;
}

/* What it holds. */
static int report_contents(struct report *report, const char *path, const struct nlsh_index *index,
                           const struct nlsh_index_info *info)
{
    page_section(report, "The index");
    report_facts(report, info);
    int code = report_sections(report, index, info);
    if (code == 0) code = report_sizes(report, index, info);
    return code == 0 ? report_settings_of(report, path, info) : code;
}

int report_index(struct report *report, const char *path, struct compared *compared)
{
    struct nlsh_error error = {0};
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    if (nlsh_index_open(path, NULL, &index, &error) != NLSH_OK) return talk_failed(&error);
    (void)!nlsh_index_info(index, &info, NULL);
    int measured = args_given(report->args, "q"), code = 0;
    if (!measured) {
        say_needed(report, &info);
        page_note(report,
                  "Recall, speed and calibration need queries: give -q QUERIES, and -d BASE "
                  "or --gt FILE for their true neighbours.");
    } else {
        code = with_queries(report, path, index, &info, compared);
    }
    if (code == 0) code = report_contents(report, path, index, &info);
    nlsh_index_close(index);
    return code;
}
