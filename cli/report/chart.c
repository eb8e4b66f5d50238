/*
 * report_chart.c - charts of lines for the report: points collected, axes chosen, gnuplot's script.
 *
 * An axis of recalls is plot.h's: -log10(1 - recall). A logarithmic axis over less than three
 * decades is marked at 1, 2 and 5, over less than one at more: else there could be no number on it.
 */
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report/plot.h"
#include "report/report.h"
#include "talk.h"
#include "text.h"

static const double least_recall = 0.3; /* below nobody wants to be */

struct series *chart_series(struct chart *chart, const char *with, const char *format, ...)
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
    *s = (struct series){.style = (int)(chart->n_series % 8) + 1, .with = with};
    va_start(list, format);
    vsnprintf(s->name, sizeof s->name, format, list);
    va_end(list);
    text_make_utf8(s->name); /* the cut may have gone through a character */
    chart->n_series++;
    return s;
}

/* Where the axis has a value; NaN where it has no place for it. */
static double place(enum axis axis, double value)
{
    if (axis == AXIS_RECALL) return value < least_recall ? NAN : plot_recall_place(value);
    if (axis == AXIS_LOG && value <= 0) return NAN;
    return value;
}

bool series_add(const struct chart *chart, struct series *s, double x, double y)
{
    x = place(chart->x_axis, x);
    y = place(chart->y_axis, y);
    if (!isfinite(x) || !isfinite(y)) return true;
    if (s->n == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 64;
        double *xs = realloc(s->x, capacity * sizeof *xs);
        if (xs != NULL) s->x = xs;
        double *ys = xs ? realloc(s->y, capacity * sizeof *ys) : NULL;
        if (ys == NULL) return false;
        s->y = ys;
        s->capacity = capacity;
    }
    s->x[s->n] = x;
    s->y[s->n++] = y;
    return true;
}

/* ---- order and fronts ------------------------------------------------------------------------ */

/* By insertion: a line has some hundred points, most of them in order already. */
void series_sort(struct series *s)
{
    for (size_t i = 1; i < s->n; i++) {
        double x = s->x[i], y = s->y[i];
        size_t j = i;
        for (; j > 0 && (s->x[j - 1] > x || (s->x[j - 1] == x && s->y[j - 1] > y)); j--) {
            s->x[j] = s->x[j - 1];
            s->y[j] = s->y[j - 1];
        }
        s->x[j] = x;
        s->y[j] = y;
    }
}

void series_front(struct series *s, int sign)
{
    size_t n = 0;
    double best = DBL_MAX;
    series_sort(s);
    for (size_t i = s->n; i-- > 0;) { /* from the largest x down: what is worse than before goes */
        if (sign * s->y[i] >= best) {
            s->x[i] = NAN;
        } else {
            best = sign * s->y[i];
            /* Of one x only the best is kept. */
            if (i + 1 < s->n && s->x[i + 1] == s->x[i]) s->x[i + 1] = NAN;
        }
    }
    for (size_t i = 0; i < s->n; i++) {
        if (isnan(s->x[i])) continue;
        s->x[n] = s->x[i];
        s->y[n++] = s->y[i];
    }
    s->n = n;
}

/* ---- axes ------------------------------------------------------------------------------------ */

static void range_of(const struct chart *chart, bool of_x, double *low, double *high)
{
    *low = DBL_MAX;
    *high = -DBL_MAX;
    for (size_t i = 0; i < chart->n_series; i++) {
        const struct series *s = &chart->series[i];
        for (size_t j = 0; j < s->n; j++) {
            double v = of_x ? s->x[j] : s->y[j];
            *low = fmin(*low, v);
            *high = fmax(*high, v);
        }
    }
}

/* "0.002", "50", "20k", "1M": three digits at most, as marks are. */
static void put_mark(FILE *to, double v)
{
    if (v >= 1e6) {
        fprintf(to, "'%gM'", v / 1e6);
    } else if (v >= 1e4) {
        fprintf(to, "'%gk'", v / 1e3);
    } else if (v >= 1e-4) {
        fprintf(to, "'%g'", v);
    } else {
        fprintf(to, "'%.0e'", v);
    }
    fprintf(to, " %.9g", v);
}

static void put_log_axis(FILE *to, char axis, double low, double high)
{
    static const double few[] = {1, 2, 5}, many[] = {1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8};
    low = pow(10, log10(low) - 0.04);
    high = pow(10, log10(high) + 0.04);
    double decades = log10(high / low);
    const bool fine = decades < 0.8;
    const double *steps = fine ? many : few;
    int n_steps = fine ? 10 : decades < 3 ? 3 : 1;
    const char *separator = "";
    fprintf(to, "set logscale %c\nset %crange [%.9g:%.9g]\nset %ctics (", axis, axis, low, high,
            axis);
    for (int e = (int)floor(log10(low)); e <= (int)ceil(log10(high)); e++) {
        for (int i = 0; i < n_steps; i++) {
            double v = steps[i] * pow(10, e);
            if (v < low || v > high) continue;
            fputs(separator, to);
            put_mark(to, v);
            separator = ", ";
        }
    }
    fputs(")\n", to);
}

static void put_axis(FILE *to, const struct chart *chart, char axis, enum axis kind)
{
    double low, high;
    range_of(chart, axis == 'x', &low, &high);
    if (kind == AXIS_LOG) {
        put_log_axis(to, axis, low, high);
    } else if (kind == AXIS_RECALL) {
        plot_recall_axis(to, axis, low, high);
    }
}

/* ---- the script ------------------------------------------------------------------------------ */

static bool has_points(const struct chart *chart)
{
    for (size_t i = 0; i < chart->n_series; i++) {
        if (chart->series[i].n > 0) return true;
    }
    return false;
}

static void put_plot(FILE *to, const struct chart *chart)
{
    const char *separator = "plot ";
    for (size_t i = 0; i < chart->n_series; i++) {
        const struct series *s = &chart->series[i];
        if (s->n == 0) continue;
        fprintf(to, "%s$s%zu using 1:2 with %s ls %d ", separator, i, s->with, s->style);
        if (i >= 8) fputs("dt 2 ", to); /* the eight styles again */
        fputs("title ", to);
        plot_quoted(to, s->name);
        separator = ", ";
    }
    fputc('\n', to);
}

static char *script_of(const struct chart *chart)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (to == NULL) return NULL;
    for (size_t i = 0; i < chart->n_series; i++) {
        const struct series *s = &chart->series[i];
        if (s->n == 0) continue;
        fprintf(to, "$s%zu << END\n", i);
        for (size_t j = 0; j < s->n; j++) fprintf(to, "%.9g,%.9g\n", s->x[j], s->y[j]);
        fputs("END\n", to);
    }
    fputs("set title ", to);
    plot_quoted(to, chart->title);
    fputs("\nset xlabel ", to);
    plot_quoted(to, chart->x_label);
    fputs(" offset 0,0.4\nset ylabel ", to);
    plot_quoted(to, chart->y_label);
    fputs("\nset key outside bottom center horizontal\n", to);
    put_axis(to, chart, 'x', chart->x_axis);
    put_axis(to, chart, 'y', chart->y_axis);
    if (chart->extra != NULL) fputs(chart->extra, to);
    put_plot(to, chart);
    if (fclose(to) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

int chart_draw(struct report *report, struct chart *chart, const char *caption)
{
    int code = 0;
    if (has_points(chart)) {
        char *script = script_of(chart);
        code = script ? page_figure(report, script, 960, 560, caption)
                      : talk_error(EXIT_BUG, NULL, "out of memory");
        free(script);
    } else {
        page_note(report, "Nothing to draw: %s.", chart->title);
    }
    chart_free(chart);
    return code;
}

void chart_free(struct chart *chart)
{
    for (size_t i = 0; i < chart->n_series; i++) {
        free(chart->series[i].x);
        free(chart->series[i].y);
    }
    free(chart->series);
    chart->series = NULL;
    chart->n_series = chart->capacity = 0;
}
