/*
 * studies.c - what a study has to show: its history, which parameters mattered, and all trials at
 * once.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "numbers.h"
#include "report/figure.h"
#include "report/report.h"
#include "report/study.h"
#include "talk.h"
#include "text.h"

enum { SAYS = 400 }; /* letters of what a trial says of itself */

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

/* ---- history --------------------------------------------------------------------------------- */

/* The last that the trial reported; NaN where it has nothing. */
static double last_value(const struct nlsh__trial *t)
{
    double last = NAN;
    for (size_t i = 0; i < t->n_steps; i++) {
        if (!isnan(t->steps[i].value)) last = t->steps[i].value;
    }
    return last;
}

/* Values of whole trials set the range: a trial that went astray would flatten all others. */
static enum axis value_axis(const struct study *s)
{
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (size_t i = 0; i < s->of->trials.n; i++) {
        if (!trial_counts(&s->of->trials.trials[i])) continue;
        low = fmin(low, s->of->trials.trials[i].value);
        high = fmax(high, s->of->trials.trials[i].value);
    }
    return low > 0 && high > 4 * low ? AXIS_LOG : AXIS_LINEAR;
}

/* "trial 12: layers 2, nodes 256 ...", as much as there is room for. */
static void trial_says(const struct study *s, size_t trial, char *text, size_t size)
{
    int at =
        snprintf(text, size, "trial %llu", (unsigned long long)s->of->trials.trials[trial].number);
    const char *separator = ": ";
    for (size_t p = 0; p < s->n_parameters && at >= 0 && (size_t)at < size; p++) {
        const struct parameter *q = &s->parameters[p];
        char value[64];
        if (isnan(q->values[trial])) continue;
        parameter_text(q, q->values[trial], value, sizeof value);
        at += snprintf(text + at, size - (size_t)at, "%s%s %s", separator, q->name, value);
        separator = ", ";
    }
    text_make_utf8(text); /* the cut may have gone through a character */
}

/* Whole trials, or those that were stopped at their last value. */
static bool add_trials(struct chart *chart, const struct study *s, bool whole, const char *name)
{
    struct series *line = chart_series(chart, DRAWN_DOTS, "%s", name);
    bool done = line != NULL;
    for (size_t i = 0; i < s->of->trials.n && done; i++) {
        const struct nlsh__trial *t = &s->of->trials.trials[i];
        char says[SAYS];
        if (whole ? !trial_counts(t) : t->state != NLSH__TRIAL_PRUNED) continue;
        trial_says(s, i, says, sizeof says);
        done = series_add(chart, line, (double)t->number,
                          whole || !isnan(t->value) ? t->value : last_value(t), says);
    }
    return done;
}

static bool add_best(struct chart *chart, const struct study *s)
{
    double best = NAN;
    struct series *line = chart_series(chart, DRAWN_STEPS, "best so far");
    bool done = line != NULL;
    for (size_t i = 0; i < s->of->trials.n && done; i++) {
        const struct nlsh__trial *t = &s->of->trials.trials[i];
        if (trial_counts(t) && (isnan(best) || study_better(s, t->value, best))) best = t->value;
        if (!isnan(best)) done = series_add(chart, line, (double)t->number, best, NULL);
    }
    return done;
}

static const char *value_label(const struct study *s)
{
    return s->of->maximize ? "value (more is better)" : "value (less is better)";
}

static int draw_history(struct report *report, const struct study *s)
{
    struct chart chart = {.title = "Best value so far",
                          .x_label = "trial",
                          .x_axis = AXIS_COUNT,
                          .y_label = value_label(s),
                          .y_axis = value_axis(s)};
    if (!add_best(&chart, s) || !add_trials(&chart, s, true, "whole trials") ||
        !add_trials(&chart, s, false, "stopped early, last value")) {
        chart_free(&chart);
        return no_memory();
    }
    chart.series[0].style = 2;
    chart.series[1].style = chart.series[1].shape = 1;
    chart.series[2].style = 8;
    chart_draw(report, &chart,
               "Each trial's value, in the order they were begun, and the best of all whole trials "
               "so far.");
    return 0;
}

/* ---- the way there --------------------------------------------------------------------------- */

/* A line a trial: whole ones, or the others. */
static bool add_steps(struct chart *chart, const struct study *s, bool whole, const char *name)
{
    struct series *line = chart_series(chart, DRAWN_LINE, "%s", name);
    bool done = line != NULL;
    for (size_t i = 0; i < s->of->trials.n && done; i++) {
        const struct nlsh__trial *t = &s->of->trials.trials[i];
        char says[40];
        if (trial_counts(t) != whole) continue;
        snprintf(says, sizeof says, "trial %llu", (unsigned long long)t->number);
        done = series_cut(line);
        for (size_t j = 0; j < t->n_steps && done; j++) {
            if (isnan(t->steps[j].value)) continue;
            done = series_add(chart, line, (double)t->steps[j].step, t->steps[j].value, says);
        }
    }
    return done;
}

static bool has_steps(const struct nlsh__trials *trials)
{
    for (size_t i = 0; i < trials->n; i++) {
        if (!isnan(last_value(&trials->trials[i]))) return true;
    }
    return false;
}

static int draw_steps(struct report *report, const struct study *s)
{
    struct chart chart = {.title = "Values on the way",
                          .x_label = "step",
                          .x_axis = AXIS_COUNT,
                          .y_label = value_label(s),
                          .y_axis = value_axis(s)};
    if (!has_steps(&s->of->trials)) return 0;
    if (!add_steps(&chart, s, false, "stopped early") || !add_steps(&chart, s, true, "whole")) {
        chart_free(&chart);
        return no_memory();
    }
    chart.series[0].style = 8;
    chart.series[1].style = 1;
    chart_draw(report, &chart,
               "The values that trials reported before they ended; those that were no better than "
               "others at the same step were stopped.");
    return 0;
}

/* ---- importance ------------------------------------------------------------------------------ */

struct weighed {
    const char *name;
    double share;
};

static int by_share(const void *a, const void *b)
{
    const struct weighed *x = a, *y = b;
    return (x->share > y->share) - (x->share < y->share);
}

/* A bar a parameter, the longest first; n is not 0. */
static void put_bars(struct report *report, const struct weighed *w, size_t n)
{
    fputs("<table class=\"bars\">\n", report->to);
    for (size_t i = n; i-- > 0;) {
        fputs("<tr><th scope=\"row\">", report->to);
        text_html(report->to, w[i].name);
        fprintf(report->to,
                "</th><td><div style=\"width:%.1f%%\"></div></td><td class=\"n\">%.2f</td></tr>\n",
                100 * w[i].share / fmax(w[n - 1].share, 0.1), w[i].share);
    }
    fputs("</table>\n", report->to);
}

static int draw_importance(struct report *report, const struct study *s)
{
    size_t n = 0;
    struct weighed *w = calloc(s->n_parameters ? s->n_parameters : 1, sizeof *w);
    if (w == NULL) return no_memory();
    for (size_t i = 0; i < s->n_parameters; i++) {
        double share = parameter_importance(s, i);
        if (!isnan(share)) w[n++] = (struct weighed){s->parameters[i].name, share};
    }
    if (n == 0) {
        page_note(report, "Importance of the parameters needs more whole trials.");
    } else {
        struct figure figure = {
            .title = "Importance of the parameters",
            .caption =
                "The share of the variance of ranks that the parameter alone explains. Whole "
                "trials are ranked by value and grouped by the parameter (a group a choice, "
                "or fifths of its numbers); the bar is the correlation ratio of ranks and "
                "groups (Kruskal and Wallis 1952) with Kelley's correction for chance "
                "(1935): 0 explains nothing, 1 all. What parameters do together is not in "
                "it, and a sampler that tries good values more often makes bars shorter."};
        qsort(w, n, sizeof *w, by_share);
        figure_title(report, &figure);
        put_bars(report, w, n);
        figure_end(report, &figure);
    }
    free(w);
    return 0;
}

/* ---- words ----------------------------------------------------------------------------------- */

/* "12 whole, 3 stopped early" */
static void count_states(const struct nlsh__trials *trials, char *line, size_t size)
{
    static const char *const names[] = {[NLSH__TRIAL_COMPLETE] = "whole",
                                        [NLSH__TRIAL_PRUNED] = "stopped early",
                                        [NLSH__TRIAL_FAILED] = "failed",
                                        [NLSH__TRIAL_RUNNING] = "not ended",
                                        [NLSH__TRIAL_WAITING] = "not begun"};
    static const enum nlsh__trial_state order[] = {NLSH__TRIAL_COMPLETE, NLSH__TRIAL_PRUNED,
                                                   NLSH__TRIAL_FAILED, NLSH__TRIAL_RUNNING,
                                                   NLSH__TRIAL_WAITING};
    size_t n_of[5] = {0}, at = 0;
    snprintf(line, size, "none");
    for (size_t i = 0; i < trials->n; i++) n_of[trials->trials[i].state]++;
    for (size_t i = 0; i < 5 && at < size; i++) {
        size_t n = n_of[order[i]];
        if (n == 0) continue;
        at +=
            (size_t)snprintf(line + at, size - at, "%s%zu %s", at ? ", " : "", n, names[order[i]]);
    }
}

/* Those that are objects, a table each, folded: they are what the run was given, not what came of it. */
static int attribute_tables(struct report *report, const struct study *s)
{
    const char *key;
    json_t *value;
    int code = 0;
    json_object_foreach(s->attributes, key, value)
    {
        json_t *object = page_object_in(value);
        if (object != NULL && code == 0) {
            page_fold(report, "%s", key);
            code = page_object(report, object);
            page_fold_end(report);
        }
        json_decref(object);
    }
    return code;
}

static int study_facts(struct report *report, const struct study *s)
{
    const char *key;
    json_t *value;
    char line[160];
    page_section(report, "How %s was run", s->name);
    count_states(&s->of->trials, line, sizeof line);
    page_facts_begin(report);
    page_fact(report, "trials", "%s", line);
    page_fact(report, "direction", "%s", s->of->maximize ? "more is better" : "less is better");
    json_object_foreach(s->attributes, key, value)
    {
        json_t *object = page_object_in(value);
        char *text = object == NULL && !json_is_string(value)
                         ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6))
                         : NULL;
        if (object == NULL) page_fact(report, key, "%s", text ? text : json_string_value(value));
        json_decref(object);
        free(text);
    }
    page_facts_end(report);
    return attribute_tables(report, s);
}

/* The ten best trials. */
static int best_table(struct report *report, const struct study *s)
{
    enum { MOST = 10, WIDTH = 64 };
    size_t n, columns = s->n_parameters + 2, n_cells = 0;
    size_t *order = study_order(s, &n);
    if (n > MOST) n = MOST;
    const char **names = calloc(columns, sizeof *names);
    const char **cells = calloc(n * columns + 1, sizeof *cells);
    char(*text)[WIDTH] = calloc(n * columns + 1, sizeof *text);
    int code = order && names && cells && text ? 0 : no_memory();
    if (order && names && cells && text && n > 0) {
        names[0] = "#trial";
        names[1] = "#value";
        for (size_t p = 0; p < s->n_parameters; p++) names[p + 2] = s->parameters[p].name;
        for (size_t i = 0; i < n; i++) {
            const struct nlsh__trial *t = &s->of->trials.trials[order[i]];
            snprintf(text[n_cells++], WIDTH, "%llu", (unsigned long long)t->number);
            text_number(t->value, text[n_cells++]);
            for (size_t p = 0; p < s->n_parameters; p++) {
                const struct parameter *q = &s->parameters[p];
                parameter_text(q, q->values[order[i]], text[n_cells++], WIDTH);
            }
        }
        for (size_t i = 0; i < n_cells; i++) cells[i] = text[i];
        page_section(report, "The best trials");
        page_table(report, names, columns, cells, n);
    }
    free(order);
    free(names);
    free(cells);
    free(text);
    return code;
}

/* The best of all, beside the first, which is what the search began with. order: best first. */
static void say_best(struct report *report, const struct study *s, const char *of,
                     const size_t *order, size_t n)
{
    const struct nlsh__trial *best = &s->of->trials.trials[order[0]], *first = best;
    char value[32], began[32], beside[128] = "";
    for (size_t i = 0; i < n; i++) {
        const struct nlsh__trial *t = &s->of->trials.trials[order[i]];
        if (t->number < first->number) first = t;
    }
    if (first != best && first->value != 0 && isfinite(first->value) && isfinite(best->value)) {
        double percent = 100 * fabs(best->value - first->value) / fabs(first->value);
        snprintf(beside, sizeof beside,
                 ", %.2g %% better than trial %llu's %s, which was the first", percent,
                 (unsigned long long)first->number, text_number(first->value, began));
    }
    page_verdict(report, "%s%sTrial %llu is the best of %zu: %s%s.", of, of[0] ? ": " : "",
                 (unsigned long long)best->number, n, text_number(best->value, value), beside);
}

/* of: the study's name where there are others, or "". */
static int draw_study(struct report *report, const struct study *s, const char *of)
{
    size_t n;
    size_t *order = study_order(s, &n);
    if (order == NULL) return no_memory();
    if (n == 0) {
        page_verdict(report, "%s%sNo trial has been completed.", of, of[0] ? ": " : "");
        page_note(report, "No trial has been completed: there is nothing to draw.");
        free(order);
        return study_facts(report, s);
    }
    say_best(report, s, of, order, n);
    free(order);
    int code = draw_history(report, s);
    if (code == 0) code = draw_steps(report, s);
    if (code == 0) code = draw_importance(report, s);
    if (code == 0) code = draw_parallel(report, s);
    if (code == 0) code = best_table(report, s);
    return code == 0 ? study_facts(report, s) : code;
}

int report_studies(struct report *report, const char *path)
{
    struct nlsh__studies studies;
    struct nlsh_error error = {0};
    int code = 0;
    if (nlsh__studies_read(path, &studies, &error) != NLSH_OK) return talk_failed(&error);
    for (size_t i = 0; i < studies.n && code == 0; i++) {
        struct study study;
        code = study_of(path, &studies.studies[i], &study);
        if (code != 0) break;
        page_section(report, studies.n > 1 ? "The search %s" : "The search", study.name);
        code = draw_study(report, &study, studies.n > 1 ? study.name : "");
        study_free(&study);
    }
    nlsh__studies_free(&studies);
    return code;
}
