/*
 * chart.c - charts of lines, dots and bars: points collected, axes chosen, drawn by figure.h.
 */
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "numbers.h"
#include "report/axis.h"
#include "report/figure.h"
#include "report/report.h"
#include "talk.h"
#include "text.h"

struct series *chart_series(struct chart *chart, enum drawn drawn, const char *format, ...)
{
    va_list list;
    if (chart->n_series == chart->capacity) {
        size_t capacity = chart->capacity ? 2 * chart->capacity : 8;
        struct series *larger = realloc(chart->series, capacity * sizeof *larger);
        if (larger == NULL) return NULL;
        chart->series = larger;
        chart->capacity = capacity;
    }
    struct series *s = &chart->series[chart->n_series];
    size_t i = chart->n_series, round = i / FIGURE_STYLES; /* styles come again with other shapes */
    *s = (struct series){.style = (int)(i % FIGURE_STYLES) + 1,
                         .shape = (int)((i + round) % FIGURE_SHAPES) + 1,
                         .drawn = drawn};
    va_start(list, format);
    vsnprintf(s->name, sizeof s->name, format, list);
    va_end(list);
    text_make_utf8(s->name); /* the cut may have gone through a character */
    chart->n_series++;
    return s;
}

static bool put_point(struct series *s, struct chart_point point)
{
    if (s->n == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 64;
        struct chart_point *larger = realloc(s->points, capacity * sizeof *larger);
        if (larger == NULL) return false;
        s->points = larger;
        s->capacity = capacity;
    }
    s->points[s->n++] = point;
    return true;
}

bool series_add(const struct chart *chart, struct series *s, double x, double y, const char *says)
{
    struct chart_point point = {x, y, axis_place(chart->x_axis, x), axis_place(chart->y_axis, y),
                                NULL};
    if (!isfinite(point.at_x) || !isfinite(point.at_y)) return true;
    point.says = says != NULL ? strdup(says) : NULL;
    if ((says == NULL || point.says != NULL) && put_point(s, point)) return true;
    free(point.says);
    return false;
}

bool series_cut(struct series *s)
{
    if (s->n == 0 || isnan(s->points[s->n - 1].at_x)) return true;
    return put_point(s, (struct chart_point){NAN, NAN, NAN, NAN, NULL});
}

/* ---- order and fronts ------------------------------------------------------------------------ */

static int by_place(const void *a, const void *b)
{
    const struct chart_point *p = a, *q = b;
    int by_x = (p->at_x > q->at_x) - (p->at_x < q->at_x);
    return by_x != 0 ? by_x : (p->at_y > q->at_y) - (p->at_y < q->at_y);
}

void series_sort(struct series *s)
{
    if (s->n > 1) qsort(s->points, s->n, sizeof *s->points, by_place);
}

void series_front(struct series *s, int sign)
{
    size_t n = s->n;
    double best = DBL_MAX;
    series_sort(s);
    for (size_t i = s->n; i-- > 0;) { /* from the largest x down: what is worse than before goes */
        struct chart_point p = s->points[i];
        if (sign * p.at_y >= best) {
            free(p.says);
            continue;
        }
        best = sign * p.at_y;
        /* Of one x only the best is kept. */
        if (n < s->n && s->points[n].at_x == p.at_x) free(s->points[n++].says);
        s->points[--n] = p;
    }
    s->n -= n;
    if (n > 0) memmove(s->points, s->points + n, s->n * sizeof *s->points);
}

/* ---- the figure ------------------------------------------------------------------------------ */

static const double least_length = 290,
                    most_length = 860; /* of an axis: of a phone's page, of a wide one */
static const double height = 320;      /* as the style has it */

static struct range range_of(const struct chart *chart, int of_x)
{
    double low = DBL_MAX, high = -DBL_MAX;
    for (size_t i = 0; i < chart->n_series; i++) {
        const struct series *s = &chart->series[i];
        double wide = of_x && s->drawn == DRAWN_BARS ? chart->bar_width / 2 : 0;
        for (size_t j = 0; j < s->n; j++) {
            double v = of_x ? s->points[j].at_x : s->points[j].at_y;
            low = fmin(low, v - wide);
            high = fmax(high, v + wide);
        }
    }
    return axis_range(of_x ? chart->x_axis : chart->y_axis, low, high, !of_x && chart->from_ground);
}

static char *value_text(enum axis axis, double value, char buffer[32])
{
    return axis == AXIS_RECALL ? text_recall(value, buffer) : text_number(value, buffer);
}

/* "recall@10" of "recall@10", "candidates a query" of "candidates a query (fewer is better)". */
static int label_length(const char *label)
{
    const char *end = strstr(label, " (");
    return end != NULL ? (int)(end - label) : (int)strlen(label);
}

/* What a point says: whose it is, its setting, both values; a line each. */
static void describe(const struct chart *chart, const struct series *s, const struct chart_point *p,
                     char *text, size_t size)
{
    char x[32], y[32];
    snprintf(text, size, "%s%s%.400s\n%.*s: %s\n%.*s: %s", s->name,
             s->name[0] && p->says ? ", " : "", p->says ? p->says : "",
             label_length(chart->x_label), chart->x_label, value_text(chart->x_axis, p->x, x),
             label_length(chart->y_label), chart->y_label, value_text(chart->y_axis, p->y, y));
    text_make_utf8(text); /* as above */
}

static int has_line(enum drawn drawn)
{
    return drawn != DRAWN_DOTS && drawn != DRAWN_BARS;
}

/* Of steps each value holds until the next. */
static void put_line(FILE *to, const struct series *s, const struct range *x, const struct range *y)
{
    figure_line_begin(to);
    for (size_t i = 0; i < s->n; i++) {
        const struct chart_point *p = &s->points[i];
        if (isnan(p->at_x) && (i + 1 == s->n || isnan(p[1].at_x))) continue; /* nothing follows */
        if (s->drawn == DRAWN_STEPS && i > 0) {
            figure_line_to(to, axis_share(x, p->at_x), axis_share(y, p[-1].at_y));
        }
        figure_line_to(to, axis_share(x, p->at_x), axis_share(y, p->at_y));
    }
    figure_line_end(to, s->style, -1, NULL);
}

static void put_points(FILE *to, const struct chart *chart, const struct series *s,
                       const struct range *x, const struct range *y)
{
    char says[768];
    for (size_t i = 0; i < s->n; i++) {
        const struct chart_point *p = &s->points[i];
        if (isnan(p->at_x)) continue;
        describe(chart, s, p, says, sizeof says);
        if (s->drawn == DRAWN_BARS) {
            if (p->y > 0) {
                figure_bar(to, s->style, axis_share(x, p->at_x - chart->bar_width / 2),
                           axis_share(x, p->at_x + chart->bar_width / 2), axis_share(y, p->at_y),
                           p->says ? p->says : says);
            }
        } else {
            figure_dot(to, s->style, s->shape, s->drawn == DRAWN_LINE || s->drawn == DRAWN_STEPS,
                       axis_share(x, p->at_x), axis_share(y, p->at_y), says);
        }
    }
}

static void put_keys(FILE *to, const struct chart *chart)
{
    size_t n_named = 0;
    for (size_t i = 0; i < chart->n_series; i++) {
        n_named += chart->series[i].n > 0 && chart->series[i].name[0] != '\0';
    }
    if (n_named < 2) return;
    figure_keys(to);
    for (size_t i = 0; i < chart->n_series; i++) {
        const struct series *s = &chart->series[i];
        if (s->n == 0 || s->name[0] == '\0') continue;
        figure_key(to, s->style, s->shape, s->drawn, s->name);
    }
    figure_keys_end(to);
}

static void put_chart(struct report *report, const struct chart *chart, const char *caption)
{
    FILE *to = report->to;
    struct tick ticks[MOST_TICKS];
    struct range x = range_of(chart, 1), y = range_of(chart, 0);
    struct figure figure = {chart->title, chart->y_label, chart->x_label, caption, 0, 0};
    figure_begin(report, &figure);
    figure_ticks(to, 'x', ticks, axis_ticks(&x, most_length, least_length, 0, ticks));
    figure_ticks(to, 'y', ticks, axis_ticks(&y, height, height, 1, ticks));
    figure_lines(to);
    for (size_t i = 0; i < chart->n_series; i++) {
        const struct series *s = &chart->series[i];
        if (s->n > 0 && has_line(s->drawn)) put_line(to, s, &x, &y);
    }
    figure_lines_end(to);
    for (size_t i = 0; i < chart->n_series; i++) {
        const struct series *s = &chart->series[i];
        if (s->drawn != DRAWN_RULE) put_points(to, chart, s, &x, &y);
    }
    figure_drawn(report, &figure);
    put_keys(to, chart);
    figure_end(report, &figure);
}

void chart_draw(struct report *report, struct chart *chart, const char *caption)
{
    size_t n = 0;
    for (size_t i = 0; i < chart->n_series; i++) n += chart->series[i].n;
    if (n > 0) {
        put_chart(report, chart, caption);
    } else {
        page_note(report, "Nothing to draw: %s.", chart->title);
    }
    chart_free(chart);
}

void chart_free(struct chart *chart)
{
    for (size_t i = 0; i < chart->n_series; i++) {
        struct series *s = &chart->series[i];
        for (size_t j = 0; j < s->n; j++) free(s->points[j].says);
        free(s->points);
    }
    free(chart->series);
    chart->series = NULL;
    chart->n_series = chart->capacity = 0;
}
