/*
 * report.h - the page that `nlsh report` writes: its parts (report_page.c), its charts
 * (report_chart.c), and what each kind of input has to show (report_*.c).
 */
#ifndef NLSH_CLI_REPORT_REPORT_H
#define NLSH_CLI_REPORT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "args.h"
#include "nlsh/learn.h"
#include "report/csv.h"

/* ---- the page -------------------------------------------------------------------------------- */

struct report {
    const struct args *args;
    FILE *to;         /* the body, in memory until all of it is there */
    size_t n_figures; /* also what keeps the pictures' ids apart */
};

/* The whole page: a head, then the body that was written to report->to. */
void page_write(FILE *to, const char *title, const char *body);

/* A heading (level 2 or 3), a paragraph, a note for what is missing; printf's way, and escaped. */
void page_heading(struct report *report, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void page_say(struct report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
void page_note(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Facts, one a row: page_facts_begin(), page_fact() for each, page_facts_end(). */
void page_facts_begin(struct report *report);
void page_fact(struct report *report, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void page_facts_end(struct report *report);

/* A table: the names, then the cells row by row; a name that begins with "#" is of a column of
 * numbers (without the "#"). A cell may be NULL: nothing. */
void page_table(struct report *report, const char *const *names, size_t n_columns,
                const char *const *cells, size_t n_rows);

/* A picture by gnuplot (plot.h) with words below it; 0 or an exit code. */
int page_figure(struct report *report, const char *script, size_t width, size_t height,
                const char *caption);

/* ---- charts ---------------------------------------------------------------------------------- */

/* One line of a chart. */
struct series {
    char name[96];
    double *x, *y;
    size_t n, capacity;
    int style;        /* plot.h's line style, from 1 */
    const char *with; /* gnuplot's: "linespoints", "lines", "points" */
};

enum axis { AXIS_LINEAR, AXIS_LOG, AXIS_RECALL };

struct chart {
    const char *title, *x_label, *y_label;
    enum axis x_axis, y_axis;
    struct series *series;
    size_t n_series, capacity;
    const char *extra; /* further commands before `plot`; or NULL */
};

/* A new line of the chart; NULL without memory. The pointer holds until the next one is made. */
struct series *chart_series(struct chart *chart, const char *with, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A point; false without memory. Points that the axes cannot show are left out. */
bool series_add(const struct chart *chart, struct series *series, double x, double y);
/* Sorts the points of a line by x. */
void series_sort(struct series *series);
/* Keeps the points that no other of the line beats: y small (sign 1) or large (-1) is good, x
 * large is. */
void series_front(struct series *series, int sign);
/* Draws the chart, where any line has a point, and frees it; 0 or an exit code. */
int chart_draw(struct report *report, struct chart *chart, const char *caption);
void chart_free(struct chart *chart);

/* ---- what there is to show ------------------------------------------------------------------- */

/* What was read of an input, for the charts over all of them. */
struct compared {
    struct chart candidates; /* recall against candidates, threshold */
    size_t n_curves;
};

int report_index(struct report *report, const char *path, struct compared *compared);
int report_csv(struct report *report, const char *path, struct compared *compared);
/* A run of nlsh tune: its folder, its index.json, or the study's file. */
int report_run(struct report *report, const char *path);
/* All studies of an SQLite file. */
int report_studies(struct report *report, const char *path);

/* Points of a curve as a chart of its own, and its threshold in `compared`. */
struct curve {
    struct nlsh_curve_point *points;
    size_t n_points;
};
int report_curve(struct report *report, const char *name, const struct curve *curve,
                 struct compared *compared);
struct reliability {
    struct nlsh_reliability_bin *bins;
    size_t n_bins;
    double gap;
};
int report_reliability(struct report *report, const struct reliability *reliability);

#endif
