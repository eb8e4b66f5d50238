/*
 * report.h - the page that `nlsh report` writes: its parts (page.c, settings_table.c), its charts (chart.c), and
 * what each kind of input has to show (index.c, curve.c, measured.c, run.c, studies.c).
 */
#ifndef NLSH_CLI_REPORT_REPORT_H
#define NLSH_CLI_REPORT_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "args.h"
#include "nlsh/learn.h"
#include "report/csv.h"

/* ---- the page -------------------------------------------------------------------------------- */

struct report {
    const struct args *args;
    FILE *to;        /* the body, in memory until all of it is there */
    FILE *verdicts;  /* what stands above it: what matters, in words */
    size_t n_inputs; /* that the page is of */
    size_t n_begun;  /* of them */
    size_t n_figures;
};

/* The whole page: the name of what it is of, the verdicts, then the body. */
void page_write(FILE *to, const struct report *report, const char *input, const char *verdicts,
                const char *body);

/* A path without its folders. */
const char *page_name(const char *path);

/* What follows is of this input; all verdicts are ended by page_inputs_end(). An input that is alone is the page's
 * title. */
void page_input(struct report *report, const char *path);
void page_inputs_end(struct report *report);

/* What the input comes to: a sentence with its numbers, printf's way, and escaped. The first is the largest. */
void page_verdict(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The heading of a part of an input, a paragraph, a note for what is missing. */
void page_section(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void page_say(struct report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
void page_note(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What is folded until it is wanted. */
void page_fold(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void page_fold_end(struct report *report);

/* Facts, one a row: page_facts_begin(), page_fact() for each, page_facts_end(). */
void page_facts_begin(struct report *report);
void page_fact(struct report *report, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void page_facts_end(struct report *report);

/* A table: the names, then the cells row by row; a name that begins with "#" is of a column of
 * numbers (without the "#"). A cell may be NULL: nothing. Wider than the page it scrolls in its own box. */
void page_table(struct report *report, const char *const *names, size_t n_columns,
                const char *const *cells, size_t n_rows);

/*
 * page_settings() - settings as a table: a row each, a column for each of the objects.
 *
 *  names    [n] what the objects are called
 *  objects  [n] json_t objects, or NULL for one that is not known
 * Those that are equal in all objects are folded away; of a single object those at their defaults are. Values
 * are in words (settings.h). 0 or an exit code.
 */
int page_settings(struct report *report, const char *const *names, json_t *const *objects,
                  size_t n);

/* A new reference to the object that a value is, or that it holds as JSON in a string; NULL for any other value. */
json_t *page_object_in(const json_t *value);
/* One object as a table of names and values: an object in it by its names, "data.rows". 0 or an exit code. */
int page_object(struct report *report, json_t *object);

/* ---- charts ---------------------------------------------------------------------------------- */

/* COUNT: of whole numbers. */
enum axis { AXIS_LINEAR, AXIS_COUNT, AXIS_LOG, AXIS_RECALL };

/* LINE: its points are seen only under the mouse. RULE: it has none, and stands for what is ideal. */
enum drawn { DRAWN_LINE, DRAWN_LINE_AND_DOTS, DRAWN_DOTS, DRAWN_STEPS, DRAWN_BARS, DRAWN_RULE };

struct chart_point {
    double x, y;
    double at_x, at_y; /* in the axes' units (axis.h); NaN where the line is cut */
    char *says;        /* the setting that it is of, or NULL */
};

/* One line of a chart. */
struct series {
    char name[96]; /* "" : of no name in the key */
    struct chart_point *points;
    size_t n, capacity;
    int style, shape; /* figure.h's */
    enum drawn drawn;
};

struct chart {
    const char *title;
    /* What a value is, then in brackets what is said once only: "candidates a query (fewer is better)". */
    const char *x_label, *y_label;
    enum axis x_axis, y_axis;
    struct series *series;
    size_t n_series, capacity;
    double bar_width; /* of DRAWN_BARS */
    int from_ground;  /* 1: the axis of y begins at 0 */
};

/* A new line of the chart; NULL without memory. The pointer holds until the next one is made. */
struct series *chart_series(struct chart *chart, enum drawn drawn, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A point, and what it says of itself beside its values (or NULL); false without memory. Points that the axes cannot
 * show are left out. */
bool series_add(const struct chart *chart, struct series *series, double x, double y,
                const char *says);
/* What comes next is not joined to what came before; false without memory. */
bool series_cut(struct series *series);
/* Sorts the points of a line by x. */
void series_sort(struct series *series);
/* Keeps the points that no other of the line beats: y small (sign 1) or large (-1) is good, x
 * large is. */
void series_front(struct series *series, int sign);
/* Draws the chart, where any line has a point, and frees it. */
void chart_draw(struct report *report, struct chart *chart, const char *caption);
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
