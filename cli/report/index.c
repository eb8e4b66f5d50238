/*
 * report_index.c - what an index has to show: what it is, its buckets, and, where queries are given,
 * how well and how fast it finds their neighbours and whether its probabilities are calibrated.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "inputs.h"
#include "numbers.h"
#include "report/plot.h"
#include "report/report.h"
#include "talk.h"
#include "truth.h"

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

/* ---- the curve ------------------------------------------------------------------------------- */

static bool add_rule(struct chart *chart, const struct curve *curve, enum nlsh_rule rule, bool p95,
                     const char *name)
{
    struct series *s = chart_series(chart, "lines", "%s", name);
    for (size_t i = 0; s != NULL && i < curve->n_points; i++) {
        const struct nlsh_curve_point *p = &curve->points[i];
        if (p->rule != rule) continue;
        if (!series_add(chart, s, p->recall, p95 ? p->candidates_p95 : p->candidates)) return false;
    }
    if (s != NULL) series_sort(s);
    return s != NULL;
}

static bool add_oracle(struct chart *chart, const struct curve *curve)
{
    struct series *s = chart_series(chart, "lines", "oracle, as many buckets as T");
    for (size_t i = 0; s != NULL && i < curve->n_points; i++) {
        const struct nlsh_curve_point *p = &curve->points[i];
        if (p->rule != NLSH_RULE_TOP) continue;
        if (!series_add(chart, s, p->oracle_recall, p->candidates)) return false;
    }
    if (s != NULL) series_front(s, 1); /* more buckets for the same recall: not worth a line */
    return s != NULL;
}

/* Candidates where a line of the curve first reaches a recall, between the points around it; NaN
 * where it does not. what: 0 the router's, 1 the 95th percentile, 2 the oracle's. */
static double at_recall(const struct curve *curve, enum nlsh_rule rule, int what, double wanted)
{
    double had_recall = NAN, had = NAN;
    for (size_t i = 0; i < curve->n_points; i++) {
        const struct nlsh_curve_point *p = &curve->points[i];
        if (p->rule != rule) continue;
        double recall = what == 2 ? p->oracle_recall : p->recall;
        double y = what == 1 ? p->candidates_p95 : p->candidates;
        if (recall >= wanted) {
            if (isnan(had) || recall <= had_recall) return y;
            return had + (wanted - had_recall) / (recall - had_recall) * (y - had);
        }
        had_recall = recall;
        had = y;
    }
    return NAN;
}

static void curve_table(struct report *report, const struct curve *curve)
{
    static const char *const names[] = {"#recall",          "#threshold", "#its 95th percentile",
                                        "#T most probable", "#oracle",    "#threshold / oracle"};
    static const double wanted[] = {0.80, 0.90, 0.95, 0.97, 0.99, 0.995};
    enum { COLUMNS = 6, ROWS = 6 };
    char text[ROWS * COLUMNS][32];
    const char *cells[ROWS * COLUMNS];
    for (size_t r = 0; r < ROWS; r++) {
        double threshold = at_recall(curve, NLSH_RULE_THRESHOLD, 0, wanted[r]);
        double oracle = at_recall(curve, NLSH_RULE_TOP, 2, wanted[r]);
        double values[COLUMNS] = {wanted[r],
                                  threshold,
                                  at_recall(curve, NLSH_RULE_THRESHOLD, 1, wanted[r]),
                                  at_recall(curve, NLSH_RULE_TOP, 0, wanted[r]),
                                  oracle,
                                  threshold / oracle};
        for (size_t c = 0; c < COLUMNS; c++) {
            char *to = text[r * COLUMNS + c];
            cells[r * COLUMNS + c] = to;
            if (!isfinite(values[c])) {
                snprintf(to, 32, "\xe2\x80\x93");
            } else if (c == 0 || c == 5) {
                snprintf(to, 32, c == 0 ? "%.3g" : "%.2f", values[c]);
            } else {
                text_count((uint64_t)llround(values[c]), to);
            }
        }
    }
    page_say(report, "Mean candidates a query at a recall, read off the lines:");
    page_table(report, names, COLUMNS, cells, ROWS);
}

/* The name without its folders. */
static const char *short_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

int report_curve(struct report *report, const char *name, const struct curve *curve,
                 struct compared *compared)
{
    struct chart chart = {.title = "recall against candidates",
                          .x_label = "recall",
                          .y_label = "candidates a query (fewer is better)",
                          .x_axis = AXIS_RECALL,
                          .y_axis = AXIS_LOG};
    bool done = add_rule(&chart, curve, NLSH_RULE_THRESHOLD, false, "threshold, mean") &&
                add_rule(&chart, curve, NLSH_RULE_TOP, false, "T most probable, mean") &&
                add_rule(&chart, curve, NLSH_RULE_THRESHOLD, true, "threshold, 95th percentile") &&
                add_oracle(&chart, curve);
    done = done &&
           add_rule(&compared->candidates, curve, NLSH_RULE_THRESHOLD, false, short_name(name));
    compared->n_curves++;
    if (!done) {
        chart_free(&chart);
        return no_memory();
    }
    int code = chart_draw(
        report, &chart,
        "Vectors scanned for a recall: every bucket above a threshold of probability, or the T "
        "most "
        "probable ones. The oracle knows the answers and takes the buckets that hold most of them, "
        "as many as T, here at the mean size of those T: what is left between it and the router is "
        "the router's to win, what lies below it only another partition can.");
    if (code == 0) curve_table(report, curve);
    return code;
}

/* ---- calibration ----------------------------------------------------------------------------- */

static char *reliability_script(const struct reliability *r)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (to == NULL) return NULL;
    double low = 0.1;
    fputs("$bins << END\n", to);
    for (size_t i = 0; i < r->n_bins; i++) {
        const struct nlsh_reliability_bin *b = &r->bins[i];
        if (b->predicted <= 0 || b->observed <= 0) continue; /* no place on a logarithm */
        low = fmin(low, fmin(b->predicted, b->observed));
        fprintf(to, "%.6g,%.6g,%.6g,%.6g\n", b->predicted, b->observed,
                fmax(b->observed - 2 * b->error, b->observed * 1e-3), b->observed + 2 * b->error);
    }
    low = pow(10, floor(log10(low)));
    fputs("NaN,NaN,NaN,NaN\nEND\n" /* gnuplot wants a line in a block */
          "set title 'does a probability mean what it says?'\n"
          "set xlabel 'probability of the bucket, mean of the bin'\n"
          "set ylabel 'share of the true neighbours found there'\n"
          "set logscale xy\nset xtics format '%g'\nset ytics format '%g'\n"
          "set key bottom right\n",
          to);
    fprintf(to,
            "set xrange [%g:1.2]\nset yrange [%g:1.2]\n"
            "plot x with lines lc rgb '#999999' dt 2 lw 2 title 'calibrated', "
            "$bins using 1:2:3:4 with yerrorbars ls 1 lw 1.5 notitle, "
            "$bins using 1:2 with linespoints ls 1 title 'the router'\n",
            low, low);
    if (fclose(to) == 0) return text;
    free(text);
    return NULL;
}

int report_reliability(struct report *report, const struct reliability *r)
{
    char *script = reliability_script(r);
    if (script == NULL) return no_memory();
    int code = page_figure(
        report, script, 960, 640,
        "Calibration. Pairs of query and bucket, in bins of the probability that the router gives "
        "the bucket; the share of the query's true neighbours that lie in it; bars of two standard "
        "errors. Above the line the router is too modest, below it too sure. Bins where no "
        "neighbour "
        "was found have no place on a logarithm.");
    free(script);
    if (code != 0) return code;
    page_say(report,
             "Calibration gap %.4f: of a query's true neighbours %.1f %% lie in buckets of another "
             "probability than the router gave them (0 is perfect).",
             r->gap, 50 * r->gap);
    return 0;
}

/* ---- buckets --------------------------------------------------------------------------------- */

static char *sizes_script(const uint32_t *offsets, const struct nlsh_index_info *info)
{
    enum { MOST_BARS = 40 };
    char *text = NULL;
    size_t size, counts[MOST_BARS + 1] = {0};
    size_t width = (info->bucket_max - info->bucket_min) / MOST_BARS + 1;
    double mean = (double)info->n_rows / (double)info->n_buckets;
    FILE *to = open_memstream(&text, &size);
    if (to == NULL) return NULL;
    for (size_t b = 0; b < info->n_buckets; b++) {
        size_t n = offsets[b + 1] - offsets[b];
        size_t bar = n < info->bucket_min ? 0 : (n - info->bucket_min) / width;
        counts[bar > MOST_BARS ? MOST_BARS : bar]++;
    }
    fputs("$sizes << END\n", to);
    for (size_t i = 0; i <= MOST_BARS; i++) {
        double from = (double)(info->bucket_min + i * width);
        if (from > (double)info->bucket_max) break;
        fprintf(to, "%.1f,%zu\n", from + (double)width / 2, counts[i]);
    }
    fprintf(
        to,
        "END\nset title 'sizes of the buckets'\nset xlabel 'vectors in a bucket' offset 0,0.4\n"
        "set ylabel 'buckets'\nset yrange [0:*]\nset boxwidth %zu\n"
        "set xrange [%.1f:%.1f]\n"
        "set style fill solid 0.8 border rgb '#ffffff'\nset key outside bottom center horizontal\n"
        "set arrow from first %.2f, graph 0 to first %.2f, graph 1 nohead lc rgb '#d55e00' lw 2 "
        "front\n"
        "plot $sizes using 1:2 with boxes lc rgb '#0072b2' title 'buckets', "
        "NaN with lines lc rgb '#d55e00' lw 2 title 'mean: %.1f'\n",
        width, (double)info->bucket_min - (double)width,
        (double)info->bucket_max + 2 * (double)width, mean, mean, mean);
    if (fclose(to) == 0) return text;
    free(text);
    return NULL;
}

static int report_sizes(struct report *report, const struct nlsh_index *index,
                        const struct nlsh_index_info *info)
{
    struct nlsh_segment rows = {.struct_size = sizeof rows};
    char *script =
        nlsh_index_segment(index, 0, &rows) ? sizes_script(rows.bucket_offsets, info) : NULL;
    if (script == NULL) return no_memory();
    int code = page_figure(report, script, 960, 420,
                           "How many buckets hold how many vectors. Even buckets make queries cost "
                           "alike.");
    free(script);
    return code;
}

static void report_facts(struct report *report, const struct nlsh_index *index,
                         const struct nlsh_index_info *info)
{
    struct nlsh_section_info section = {.struct_size = sizeof section};
    char a[32], b[32], c[32];
    page_facts_begin(report);
    page_fact(report, "vectors", "%s x %zu %s, metric %s, content hash %016" PRIx64,
              text_count(info->n_rows, a), info->dim, type_name(info->type),
              nlsh_metric_name(info->metric), info->data_hash);
    page_fact(report, "buckets", "%s: min %s, mean %.1f, max %s vectors",
              text_count(info->n_buckets, a), text_count(info->bucket_min, b),
              (double)info->n_rows / (double)info->n_buckets, text_count(info->bucket_max, c));
    page_fact(report, "router", "%s weights", text_count(info->router_weights, a));
    if (isfinite(info->disagreement)) {
        page_fact(report, "disagreement", "the router would put %.1f %% of the vectors elsewhere",
                  100 * info->disagreement);
    }
    page_fact(report, "settings", "%s", info->settings ? info->settings : "");
    page_fact(report, "file", "%s", text_bytes(info->size_bytes, a));
    for (size_t i = 0; nlsh_index_section(index, i, &section); i++) {
        char name[64];
        snprintf(name, sizeof name, "section %.50s", section.name);
        page_fact(report, name, "%s, %.1f %%", text_bytes(section.size_bytes, a),
                  100.0 * (double)section.size_bytes / (double)info->size_bytes);
    }
    page_facts_end(report);
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
    struct chart speed = {.title = "recall against speed",
                          .x_label = recall,
                          .y_label = "queries a second (more is better)",
                          .x_axis = AXIS_RECALL,
                          .y_axis = AXIS_LOG};
    struct chart asked = {.title = "the recall that was asked for, and what came",
                          .x_label = "recall asked for",
                          .y_label = recall,
                          .x_axis = AXIS_RECALL,
                          .y_axis = AXIS_RECALL};
    struct series *a = chart_series(&speed, "linespoints", "one thread, one query at a time");
    struct series *b = chart_series(&asked, "linespoints", "reached");
    bool done = a != NULL && b != NULL;
    for (size_t i = 0; i < N_ASKED && done; i++) {
        done = series_add(&speed, a, timed[i].recall, timed[i].qps) &&
               series_add(&asked, b, timed[i].asked, timed[i].recall);
    }
    struct series *line = done ? chart_series(&asked, "lines", "as asked") : NULL;
    for (size_t i = 0; i < N_ASKED && line != NULL; i++) {
        done = done && series_add(&asked, line, timed[i].asked, timed[i].asked);
    }
    int code = done && line ? 0 : no_memory();
    if (code == 0) series_sort(a);
    if (code == 0) {
        code = chart_draw(report, &speed,
                          "Measured here, at the recalls .7 to .999 asked for by --recall, over at "
                          "most 2,000 of the queries, the median of several passes.");
    }
    if (code == 0) {
        code = chart_draw(report, &asked,
                          "--recall was calibrated while the index was built, on vectors held out "
                          "from the base. Above the line there is more than was asked for.");
    }
    chart_free(&speed);
    chart_free(&asked);
    return code;
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
                   const struct nlsh_matrix *queries, const struct nlsh_neighbors *truth, size_t k,
                   const struct nlsh_run *run, struct compared *compared)
{
    struct timed timed[N_ASKED];
    int code = measure_curve(report, path, index, queries, truth, k, run, compared);
    if (code == 0) code = time_index(index, queries, truth, k, timed);
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
    page_heading(report, 3, "recall@%zu of the %s queries in %s", k,
                 text_count(queries.matrix.n_rows, count), args_text(args, "q"));
    code = truth_find(args, index, path, &queries.matrix, k, &run, &truth);
    if (code == 0) {
        code = measure(report, path, index, &queries.matrix, &truth, k, &run, compared);
        nlsh_neighbors_free(&truth);
    }
    loaded_free(&queries);
    return code;
}

int report_index(struct report *report, const char *path, struct compared *compared)
{
    struct nlsh_error error = {0};
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    if (nlsh_index_open(path, NULL, &index, &error) != NLSH_OK) return talk_failed(&error);
    (void)!nlsh_index_info(index, &info, NULL);
    page_heading(report, 2, "%s", path);
    report_facts(report, index, &info);
    int code = report_sizes(report, index, &info);
    if (code == 0 && args_given(report->args, "q")) {
        code = with_queries(report, path, index, &info, compared);
    } else if (code == 0) {
        page_note(report,
                  "Recall, speed and calibration need queries: give -q QUERIES, and -d BASE "
                  "or --gt FILE for their true neighbours.");
    }
    nlsh_index_close(index);
    return code;
}
