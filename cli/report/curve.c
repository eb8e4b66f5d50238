/*
 * curve.c - recall against candidates, beside the oracle's, and whether the router's probabilities are calibrated: of an
 * index that was measured here, or of what nlsh evaluate wrote.
 */
#include <math.h>
#include <stdio.h>

#include "numbers.h"
#include "report/figure.h"
#include "report/plot.h"
#include "report/report.h"
#include "talk.h"

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

/* ---- the curve ------------------------------------------------------------------------------- */

enum line { LINE_MEAN, LINE_P95, LINE_ORACLE };

/* A line of the curve by one rule; each point says its T. Beyond the first that the axis cannot tell from 1 nothing is to be
 * seen but a line upwards. */
static bool add_line(struct chart *chart, const struct curve *curve, enum nlsh_rule rule,
                     enum line line, const char *name)
{
    struct series *s = chart_series(chart, DRAWN_LINE, "%s", name);
    double had = 0;
    for (size_t i = 0; s != NULL && i < curve->n_points; i++) {
        const struct nlsh_curve_point *p = &curve->points[i];
        double recall = line == LINE_ORACLE ? p->oracle_recall : p->recall;
        char says[64], value[32];
        if (p->rule != rule || had >= PLOT_MOST_RECALL) continue;
        had = recall;
        snprintf(says, sizeof says, "T = %s", text_number(p->value, value));
        if (!series_add(chart, s, recall, line == LINE_P95 ? p->candidates_p95 : p->candidates,
                        says)) {
            return false;
        }
    }
    if (s == NULL) return false;
    if (line == LINE_ORACLE) {
        series_front(s, 1); /* more buckets for the same recall: not worth a line */
    } else {
        series_sort(s);
    }
    return true;
}

/* Candidates where a line of the curve first reaches a recall, between the points around it; NaN
 * where it does not. */
static double at_recall(const struct curve *curve, enum nlsh_rule rule, enum line line,
                        double wanted)
{
    double had_recall = NAN, had = NAN;
    for (size_t i = 0; i < curve->n_points; i++) {
        const struct nlsh_curve_point *p = &curve->points[i];
        if (p->rule != rule) continue;
        double recall = line == LINE_ORACLE ? p->oracle_recall : p->recall;
        double y = line == LINE_P95 ? p->candidates_p95 : p->candidates;
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
    static const char *const names[] = {"recall",           "#threshold", "#its 95th percentile",
                                        "#T most probable", "#oracle",    "#threshold / oracle"};
    static const double wanted[] = {0.80, 0.90, 0.95, 0.97, 0.99, 0.995};
    enum { COLUMNS = 6, ROWS = 6 };
    char text[ROWS * COLUMNS][32];
    const char *cells[ROWS * COLUMNS];
    for (size_t r = 0; r < ROWS; r++) {
        double threshold = at_recall(curve, NLSH_RULE_THRESHOLD, LINE_MEAN, wanted[r]);
        double oracle = at_recall(curve, NLSH_RULE_TOP, LINE_ORACLE, wanted[r]);
        double values[COLUMNS] = {wanted[r],
                                  threshold,
                                  at_recall(curve, NLSH_RULE_THRESHOLD, LINE_P95, wanted[r]),
                                  at_recall(curve, NLSH_RULE_TOP, LINE_MEAN, wanted[r]),
                                  oracle,
                                  threshold / oracle};
        for (size_t c = 0; c < COLUMNS; c++) {
            char *to = text[r * COLUMNS + c];
            cells[r * COLUMNS + c] = to;
            if (c == 0) {
                text_recall(values[c], to);
            } else if (!isfinite(values[c]) || c == 5) {
                text_number(isfinite(values[c]) ? round(100 * values[c]) / 100 : NAN, to);
            } else {
                text_whole(values[c], to);
            }
        }
    }
    page_say(report, "Mean candidates a query at a recall, read off the lines:");
    page_table(report, names, COLUMNS, cells, ROWS);
}

/* What a recall takes; at the highest recall that the curve reaches where .95 is beyond it. */
static void say_curve(struct report *report, const struct curve *curve)
{
    const double wanted = 0.95;
    double mean = at_recall(curve, NLSH_RULE_THRESHOLD, LINE_MEAN, wanted);
    double oracle = at_recall(curve, NLSH_RULE_TOP, LINE_ORACLE, wanted);
    char count[32], times[96] = "", best[32], of_oracle[32];
    if (isfinite(oracle) && oracle > 0) {
        snprintf(times, sizeof times,
                 ", %.2f times what an oracle with the same T for all needs (%s)", mean / oracle,
                 text_whole(oracle, of_oracle));
    }
    if (isfinite(mean)) {
        page_verdict(report, "Recall .95 takes %s candidates a query%s.", text_whole(mean, count),
                     times);
        return;
    }
    double most = 0;
    for (size_t i = 0; i < curve->n_points; i++) most = fmax(most, curve->points[i].recall);
    page_verdict(report, "The curve ends at recall %s, below .95.", text_recall(most, best));
}

int report_curve(struct report *report, const char *name, const struct curve *curve,
                 struct compared *compared)
{
    struct chart chart = {.title = "Recall against candidates",
                          .x_label = "recall",
                          .y_label = "candidates a query (fewer is better)",
                          .x_axis = AXIS_RECALL,
                          .y_axis = AXIS_LOG};
    bool done =
        add_line(&chart, curve, NLSH_RULE_THRESHOLD, LINE_MEAN, "threshold, mean") &&
        add_line(&chart, curve, NLSH_RULE_TOP, LINE_MEAN, "T most probable, mean") &&
        add_line(&chart, curve, NLSH_RULE_THRESHOLD, LINE_P95, "threshold, 95th percentile") &&
        add_line(&chart, curve, NLSH_RULE_TOP, LINE_ORACLE, "oracle, as many buckets as T") &&
        add_line(&compared->candidates, curve, NLSH_RULE_THRESHOLD, LINE_MEAN, page_name(name));
    compared->n_curves++;
    if (!done) {
        chart_free(&chart);
        return no_memory();
    }
    chart_draw(
        report, &chart,
        "Vectors scanned for a recall: every bucket above a threshold of probability, or the "
        "T most probable ones. The oracle knows the answers and takes the buckets that hold "
        "most of them, as many as T, here at the mean size of those T: what is left between "
        "it and the router is the router's to win, what lies below it only another "
        "partition can.");
    say_curve(report, curve);
    curve_table(report, curve);
    return 0;
}

/* ---- calibration ----------------------------------------------------------------------------- */

/* Bars of two standard errors beside the points; false without memory. */
static bool add_bins(struct chart *chart, const struct reliability *r)
{
    struct series *errors = chart_series(chart, DRAWN_RULE, "%s", "");
    bool done = errors != NULL;
    for (size_t i = 0; i < r->n_bins && done; i++) {
        const struct nlsh_reliability_bin *b = &r->bins[i];
        double low = fmax(b->observed - 2 * b->error, b->observed * 0.1);
        if (b->predicted <= 0 || b->observed <= 0) continue; /* no place on a logarithm */
        done = series_cut(errors) && series_add(chart, errors, b->predicted, low, NULL) &&
               series_add(chart, errors, b->predicted, b->observed + 2 * b->error, NULL);
    }
    struct series *s = done ? chart_series(chart, DRAWN_LINE_AND_DOTS, "the router") : NULL;
    if (s == NULL) return false;
    chart->series[0].style = s->style = s->shape = 1;
    for (size_t i = 0; i < r->n_bins && done; i++) {
        const struct nlsh_reliability_bin *b = &r->bins[i];
        char says[96], pairs[32];
        snprintf(says, sizeof says, "%s pairs", text_count(b->n_pairs, pairs));
        if (b->predicted > 0 && b->observed > 0) {
            done = series_add(chart, s, b->predicted, b->observed, says);
        }
    }
    return done;
}

/* From the least probability to 1. */
static bool add_diagonal(struct chart *chart)
{
    double low = 0.1;
    const struct series *bins = &chart->series[1];
    for (size_t i = 0; i < bins->n; i++) low = fmin(low, bins->points[i].x);
    struct series *s = chart_series(chart, DRAWN_RULE, "calibrated");
    if (s == NULL) return false;
    s->style = STYLE_IDEAL;
    return series_add(chart, s, low, low, NULL) && series_add(chart, s, 1, 1, NULL);
}

int report_reliability(struct report *report, const struct reliability *r)
{
    struct chart chart = {.title = "Does a probability mean what it says?",
                          .x_label = "probability of the bucket (mean of the bin)",
                          .y_label = "share of the true neighbours found there",
                          .x_axis = AXIS_LOG,
                          .y_axis = AXIS_LOG};
    char gap[32];
    if (!add_bins(&chart, r) || !add_diagonal(&chart)) {
        chart_free(&chart);
        return no_memory();
    }
    chart_draw(report, &chart,
               "Calibration. Pairs of query and bucket, in bins of the probability that the router "
               "gives the bucket; the share of the query's true neighbours that lie in it; bars of "
               "two standard errors. Above the line the router is too modest, below it too sure. "
               "Bins where no neighbour was found have no place on a logarithm.");
    page_verdict(report,
                 "Calibration gap %s: %.1f %% of a query's true neighbours lie in buckets of "
                 "another probability than the router gave them.",
                 text_recall(r->gap, gap), 50 * r->gap);
    return 0;
}
