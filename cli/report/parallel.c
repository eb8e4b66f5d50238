/*
 * parallel.c - all whole trials of a study at once, in parallel coordinates (Inselberg, "The plane with parallel
 * coordinates", 1985): an axis a parameter, a line a trial.
 */
#include <math.h>
#include <stdlib.h>

#include "numbers.h"
#include "report/figure.h"
#include "report/study.h"
#include "talk.h"

static const double none_at = 0.02,
                    ground = 0.12; /* of lines without the parameter; where axes begin */

enum { AXIS_WIDTH = 88, SAYS = 128 }; /* pixels an axis; letters of what a line says */

static double above_ground(double part)
{
    return ground + (1 - ground) * part;
}

/* Where a value stands on its axis, 0 to 1. */
static double part_of(const struct parameter *p, double value)
{
    if (p->drawn->choices != NULL) {
        size_t n = json_array_size(p->drawn->choices);
        return n > 1 ? value / (double)(n - 1) : 0.5;
    }
    double low = p->drawn->low, high = p->drawn->high;
    if (p->drawn->log) {
        low = log(low);
        high = log(high);
        value = log(fmax(value, p->drawn->low));
    }
    return high > low ? (value - low) / (high - low) : 0.5;
}

static double height(const struct parameter *p, double value)
{
    return isnan(value) ? none_at : above_ground(part_of(p, value));
}

/* ---- axes ------------------------------------------------------------------------------------ */

/* How many marks an axis has: each choice, each of a few whole numbers, else both ends and the
 * middle. */
static size_t n_marks(const struct parameter *p)
{
    if (p->drawn->choices != NULL) return json_array_size(p->drawn->choices);
    return p->drawn->kind == NLSH__DRAWN_INT && !p->drawn->log &&
                   p->drawn->high - p->drawn->low <= 8
               ? (size_t)(p->drawn->high - p->drawn->low) + 1
               : 3;
}

/* The value of a mark, by its part of the axis. */
static double mark_value(const struct parameter *p, double part)
{
    double low = p->drawn->low, high = p->drawn->high;
    if (p->drawn->log) return exp(log(low) + part * (log(high) - log(low)));
    return low + part * (high - low);
}

static void put_marks(FILE *to, const struct parameter *p, double x)
{
    size_t n = n_marks(p);
    for (size_t i = 0; i < n; i++) {
        char text[64];
        double part = n > 1 ? (double)i / (double)(n - 1) : 0.5;
        if (p->drawn->choices != NULL) {
            parameter_text(p, (double)i, text, sizeof text);
        } else {
            double value = mark_value(p, part);
            snprintf(text, sizeof text, "%.*g", p->drawn->kind == NLSH__DRAWN_INT ? 7 : 3,
                     p->drawn->kind == NLSH__DRAWN_INT ? round(value) : value);
        }
        figure_text(to, "at", x, above_ground(part), text);
    }
}

static double place_of(const struct study *s, size_t axis)
{
    return (double)axis / (double)s->n_parameters;
}

/* Names of neighbouring axes stand one above the other: they are longer than an axis is wide. */
static void put_axes(FILE *to, const struct study *s, const size_t *order, size_t n)
{
    const struct nlsh__trial *trials = s->of->trials.trials;
    for (size_t p = 0; p <= s->n_parameters; p++) {
        const char *name = p < s->n_parameters ? s->parameters[p].name : "value";
        figure_post(to, place_of(s, p), ground, 1);
        figure_text(to, "name", place_of(s, p), p % 2 ? 1.14 : 1.07, name);
    }
    for (size_t p = 0; p < s->n_parameters; p++) put_marks(to, &s->parameters[p], place_of(s, p));
    for (int worst = 0; worst < 2; worst++) {
        char text[64], value[32];
        snprintf(text, sizeof text, "%s %s", worst ? "worst" : "best",
                 text_number(trials[order[worst ? n - 1 : 0]].value, value));
        figure_text(to, "at", 1, worst ? ground : 1, text);
    }
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void line_says(const struct study *s, size_t trial, size_t rank, char *text, size_t size)
{
    char value[32];
    const struct nlsh__trial *t = &s->of->trials.trials[trial];
    snprintf(text, size, "trial %llu, rank %zu: value %s", (unsigned long long)t->number, rank,
             text_number(t->value, value));
}

/* rank from 1. Lines of one choice lie side by side. */
static void put_line(FILE *to, const struct study *s, size_t trial, size_t rank, size_t n)
{
    char says[SAYS];
    double part = n > 1 ? 1 - (double)(rank - 1) / (double)(n - 1) : 1;
    figure_line_begin(to);
    for (size_t p = 0; p < s->n_parameters; p++) {
        const struct parameter *q = &s->parameters[p];
        double shift = q->drawn->choices != NULL && rank > 1 ? 0.05 * (0.5 - part) : 0;
        figure_line_to(to, place_of(s, p), height(q, q->values[trial]) + shift);
    }
    figure_line_to(to, 1, above_ground(part));
    line_says(s, trial, rank, says, sizeof says);
    figure_line_end(to, rank == 1 ? STYLE_BEST : 1, rank == 1 ? -1 : part * part, says);
}

static int lacks_any(const struct study *s, const size_t *order, size_t n)
{
    for (size_t p = 0; p < s->n_parameters; p++) {
        for (size_t i = 0; i < n; i++) {
            if (isnan(s->parameters[p].values[order[i]])) return 1;
        }
    }
    return 0;
}

int draw_parallel(struct report *report, const struct study *s)
{
    size_t n;
    size_t *order = study_order(s, &n);
    if (order == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    if (n > 0 && s->n_parameters > 0) {
        struct figure figure = {
            .title = "All whole trials",
            .caption = "A line a trial, through its parameters to its place among all by value; "
                       "strong lines are good ones. Axes that were searched on a logarithm are "
                       "drawn on one; a line below an axis has no such parameter.",
            .least_width = AXIS_WIDTH * (s->n_parameters + 1),
            .is_parallel = 1};
        figure_begin(report, &figure);
        figure_lines(report->to);
        for (size_t i = n; i-- > 0;)
            put_line(report->to, s, order[i], i + 1, n); /* good ones last */
        figure_lines_end(report->to);
        put_axes(report->to, s, order, n);
        if (lacks_any(s, order, n)) figure_text(report->to, "at", 0, none_at, "not set");
        figure_drawn(report, &figure);
        figure_keys(report->to);
        figure_key(report->to, STYLE_BEST, 1, DRAWN_LINE, "the best trial");
        figure_keys_end(report->to);
        figure_end(report, &figure);
    }
    free(order);
    return 0;
}
