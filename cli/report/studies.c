/*
 * studies.c - what a study has to show: its history, which parameters mattered, and all trials at
 * once.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/plot.h"
#include "report/report.h"
#include "report/study.h"
#include "talk.h"

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

/* ---- history --------------------------------------------------------------------------------- */

static size_t n_counting(const struct study *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->of->trials.n; i++) n += trial_counts(&s->of->trials.trials[i]);
    return n;
}

/* The last that the trial reported; NaN where it has nothing. */
static double last_value(const struct nlsh__trial *t)
{
    double last = NAN;
    for (size_t i = 0; i < t->n_steps; i++) {
        if (!isnan(t->steps[i].value)) last = t->steps[i].value;
    }
    return last;
}

static bool better(const struct study *s, double a, double b)
{
    return s->of->maximize ? a > b : a < b;
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

static int draw_history(struct report *report, const struct study *s)
{
    struct chart chart = {.title = "best value so far",
                          .x_label = "trial",
                          .y_label =
                              s->of->maximize ? "value (more is better)" : "value (less is better)",
                          .y_axis = value_axis(s),
                          .extra = "set autoscale xfix\nset offsets 0.6, 0.6, 0, 0\n"};
    double best = NAN;
    bool done = true;
    struct series *whole = chart_series(&chart, "points", "whole trials");
    for (size_t i = 0; i < s->of->trials.n && whole != NULL && done; i++) {
        const struct nlsh__trial *t = &s->of->trials.trials[i];
        if (trial_counts(t)) done = series_add(&chart, whole, (double)t->number, t->value);
    }
    struct series *line = done ? chart_series(&chart, "steps", "best so far") : NULL;
    for (size_t i = 0; i < s->of->trials.n && line != NULL && done; i++) {
        const struct nlsh__trial *t = &s->of->trials.trials[i];
        if (trial_counts(t) && (isnan(best) || better(s, t->value, best))) best = t->value;
        if (!isnan(best)) done = series_add(&chart, line, (double)t->number, best);
    }
    struct series *pruned =
        done ? chart_series(&chart, "points", "stopped early, last value") : NULL;
    for (size_t i = 0; i < s->of->trials.n && pruned != NULL && done; i++) {
        const struct nlsh__trial *t = &s->of->trials.trials[i];
        if (t->state != NLSH__TRIAL_PRUNED) continue;
        done = series_add(&chart, pruned, (double)t->number,
                          isnan(t->value) ? last_value(t) : t->value);
    }
    if (pruned == NULL || !done) {
        chart_free(&chart);
        return no_memory();
    }
    pruned->style = 8;
    return chart_draw(report, &chart,
                      "Each trial's value, in the order they were begun, and the best of all whole "
                      "trials so far.");
}

/* ---- the way there --------------------------------------------------------------------------- */

/* The steps of whole trials, or of the others, as a block of gnuplot's. Returns the last step. */
static double put_steps(FILE *to, const struct nlsh__trials *trials, bool whole)
{
    double last = 0;
    fprintf(to, "$t%d << END\n", whole);
    for (size_t i = 0; i < trials->n; i++) {
        const struct nlsh__trial *t = &trials->trials[i];
        if (trial_counts(t) != whole) continue;
        for (size_t j = 0; j < t->n_steps; j++) {
            if (isnan(t->steps[j].value)) continue;
            last = fmax(last, (double)t->steps[j].step);
            fprintf(to, "%lld,%.9g\n", (long long)t->steps[j].step, t->steps[j].value);
        }
        fputc('\n', to);
    }
    fputs("NaN,NaN\nEND\n", to); /* gnuplot wants a line in a block */
    return last;
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
    char *text = NULL;
    size_t size;
    if (!has_steps(&s->of->trials)) return 0;
    FILE *to = open_memstream(&text, &size);
    if (to == NULL) return no_memory();
    double last = put_steps(to, &s->of->trials, true);
    last = fmax(last, put_steps(to, &s->of->trials, false));
    fprintf(
        to,
        "set title 'values on the way'\nset xlabel 'step' offset 0,0.4\nset ylabel '%s'\n"
        "set key outside bottom center horizontal\nset autoscale xfix\n"
        "set offsets graph 0.02, graph 0.02, 0, 0\n%s"
        "plot $t0 using 1:2 with linespoints lc rgb '#aaaaaa' pt 7 ps 0.3 title 'stopped early', "
        "$t1 using 1:2 with linespoints lc rgb '#0072b2' pt 7 ps 0.3 title 'whole'\n",
        s->of->maximize ? "value (more is better)" : "value (less is better)",
        last <= 20 ? "set xtics 1\n" : "");
    int code =
        fclose(to) == 0
            ? page_figure(report, text, 960, 440,
                          "The values that trials reported before they ended; those that were "
                          "no better than others at the same step were stopped.")
            : no_memory();
    free(text);
    return code;
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

static char *importance_script(const struct weighed *w, size_t n)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (to == NULL) return NULL;
    fputs("$w << END\n", to);
    for (size_t i = 0; i < n; i++) fprintf(to, "%zu,%.6f\n", i, w[i].share);
    fputs("END\nset ytics (", to);
    for (size_t i = 0; i < n; i++) {
        if (i > 0) fputs(", ", to);
        plot_quoted(to, w[i].name);
        fprintf(to, " %zu", i);
    }
    fprintf(to,
            ")\nset title 'importance of the parameters'\n"
            "set xlabel 'share of the variance of ranks that the parameter alone explains'\n"
            "set xrange [0:%.3f]\nset yrange [-0.6:%zu-0.4]\nset style fill solid 0.8\n"
            "unset key\nset grid noytics\nset ytics scale 0\n"
            "plot $w using ($2/2):1:($2/2):(0.3) with boxxyerror lc rgb '#0072b2', "
            "$w using 2:1:(sprintf('%%.2f', $2)) with labels left offset 0.4,0\n",
            fmin(1.02, fmax(0.1, w[n - 1].share * 1.15)), n);
    if (fclose(to) == 0) return text;
    free(text);
    return NULL;
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
    int code = 0;
    if (n == 0) {
        page_note(report, "Importance of the parameters needs more whole trials.");
    } else {
        qsort(w, n, sizeof *w, by_share);
        char *script = importance_script(w, n);
        code = script == NULL
                   ? no_memory()
                   : page_figure(report, script, 960, 140 + 34 * n,
                                 "Whole trials are ranked by value and grouped by the "
                                 "parameter (a group a choice, or fifths of its numbers); "
                                 "the bar is the correlation ratio of ranks and groups "
                                 "(Kruskal and Wallis 1952) with Kelley's correction for "
                                 "chance (1935): 0 explains nothing, 1 all. What "
                                 "parameters do together is not in it, and a sampler that "
                                 "tries good values more often makes bars shorter.");
        free(script);
    }
    free(w);
    return code;
}

/* ---- all trials at once ---------------------------------------------------------------------- */

/* Where a value stands on its axis, 0 to 1; below it where the trial has none. */
static double height(const struct parameter *p, double value)
{
    if (isnan(value)) return -0.1;
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

static void put_axis_marks(FILE *to, const struct parameter *p, size_t axis)
{
    char text[64];
    size_t n = n_marks(p);
    for (size_t i = 0; i < n; i++) {
        double part = n > 1 ? (double)i / (double)(n - 1) : 0.5;
        double value =
            p->drawn->choices ? (double)i
            : p->drawn->log
                ? exp(log(p->drawn->low) + part * (log(p->drawn->high) - log(p->drawn->low)))
                : p->drawn->low + part * (p->drawn->high - p->drawn->low);
        parameter_text(p, value, text, sizeof text);
        if (p->drawn->choices == NULL)
            snprintf(text, sizeof text, value < 1e4 ? "%.3g" : "%g", value);
        if (p->drawn->kind == NLSH__DRAWN_INT && value < 1e6)
            snprintf(text, sizeof text, "%.0f", value);
        fputs("set label ", to);
        plot_quoted(to, text);
        fprintf(to, " at %zu,%.4f left offset 0.4,0 front boxed font ',12'\n", axis, part);
    }
}

/* Best first; the line of each is coloured by its place. */
static size_t *order_of(const struct study *s, size_t *n)
{
    size_t *order = calloc(s->of->trials.n ? s->of->trials.n : 1, sizeof *order);
    *n = 0;
    for (size_t i = 0; i < s->of->trials.n && order != NULL; i++) {
        if (!trial_counts(&s->of->trials.trials[i])) continue;
        size_t at = (*n)++;
        for (; at > 0 &&
               better(s, s->of->trials.trials[i].value, s->of->trials.trials[order[at - 1]].value);
             at--) {
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    return order;
}

/* The worst first, so that good ones are drawn over them; the best again, as a block of its own. */
static void put_lines(FILE *to, const struct study *s, const size_t *order, size_t n)
{
    for (int best = 0; best < 2; best++) {
        fprintf(to, "$%s << END\n", best ? "best" : "all");
        for (size_t place = best ? 1 : n; place-- > 0;) {
            for (size_t p = 0; p < s->n_parameters; p++) {
                const struct parameter *q = &s->parameters[p];
                /* lines of one choice lie side by side */
                double shift = q->drawn->choices ? 0.05 * ((double)place / (double)n - 0.5) : 0;
                fprintf(to, "%zu,%.5f,%zu\n", p,
                        height(q, q->values[order[place]]) + (best ? 0 : shift), place + 1);
            }
            double part = n > 1 ? 1 - (double)place / (double)(n - 1) : 1;
            fprintf(to, "%zu,%.5f,%zu\n\n", s->n_parameters, part, place + 1);
        }
        fputs("END\n", to);
    }
}

static char *parallel_script(const struct study *s, const size_t *order, size_t n)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (to == NULL) return NULL;
    put_lines(to, s, order, n);
    fputs("set title 'all whole trials'\nset style textbox opaque noborder fillcolor rgb '#ffffff' "
          "margins 0.3, 0.3\nset border 0\nunset ytics\nset grid noxtics noytics\nset xtics (",
          to);
    for (size_t p = 0; p < s->n_parameters; p++) {
        plot_quoted(to, s->parameters[p].name);
        fprintf(to, " %zu, ", p);
    }
    fprintf(to,
            "'value' %zu) rotate by -20 left scale 0\nset xrange [-0.15:%zu.6]\n"
            "set yrange [-0.16:1.06]\n",
            s->n_parameters, s->n_parameters);
    for (size_t p = 0; p <= s->n_parameters; p++) {
        fprintf(to, "set arrow from %zu,0 to %zu,1 nohead lc rgb '#333333' lw 1.5 front\n", p, p);
        if (p < s->n_parameters) put_axis_marks(to, &s->parameters[p], p);
    }
    fprintf(to,
            "set label 'best %.4g' at %zu,1 left offset 0.4,0 front boxed font ',12'\n"
            "set label 'worst %.4g' at %zu,0 left offset 0.4,0 front boxed font ',12'\n"
            "set label 'not set' at -0.13,-0.1 left front font ',12' tc rgb '#666666'\n",
            s->of->trials.trials[order[0]].value, s->n_parameters,
            s->of->trials.trials[order[n - 1]].value, s->n_parameters);
    /* From cividis, which colour-blind people read too (Nunez, Anderton, Renslow 2018). */
    fprintf(
        to,
        "set palette defined (0 '#00224e', 0.35 '#575d6d', 0.7 '#a69d75', 1 '#d9d2b0')\n"
        "set cblabel 'rank of the trial (1 is best)'\nset cbrange [1:%zu]\nset cbtics (1, %zu)\n"
        "set key outside bottom center horizontal\n"
        "plot $all using 1:2:3 with lines lc palette lw 1.3 notitle, "
        "$best using 1:2 with lines lc rgb '#d55e00' lw 3 title 'the best trial'\n",
        n > 1 ? n : 2, n > 1 ? n : 2);
    if (fclose(to) == 0) return text;
    free(text);
    return NULL;
}

static int draw_parallel(struct report *report, const struct study *s)
{
    size_t n;
    size_t *order = order_of(s, &n);
    if (order == NULL) return no_memory();
    int code = 0;
    if (n > 0 && s->n_parameters > 0) {
        char *script = parallel_script(s, order, n);
        code = script == NULL
                   ? no_memory()
                   : page_figure(report, script, 1100, 560,
                                 "A line a trial, through its parameters to its place "
                                 "among all by value; dark lines are good ones. Axes that "
                                 "were searched on a logarithm are drawn on one; a line "
                                 "below an axis has no such parameter.");
        free(script);
    }
    free(order);
    return code;
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

static void study_facts(struct report *report, const struct study *s)
{
    const char *key;
    json_t *value;
    char line[160];
    count_states(&s->of->trials, line, sizeof line);
    page_facts_begin(report);
    page_fact(report, "trials", "%s", line);
    page_fact(report, "direction", "%s", s->of->maximize ? "more is better" : "less is better");
    json_object_foreach(s->attributes, key, value)
    {
        char *text = json_is_string(value)
                         ? NULL
                         : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        page_fact(report, key, "%.500s", text ? text : json_string_value(value));
        free(text);
    }
    page_facts_end(report);
}

/* The ten best trials. */
static int best_table(struct report *report, const struct study *s)
{
    enum { MOST = 10, WIDTH = 64 };
    size_t n, columns = s->n_parameters + 2, n_cells = 0;
    size_t *order = order_of(s, &n);
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
            snprintf(text[n_cells++], WIDTH, "%.6g", t->value);
            for (size_t p = 0; p < s->n_parameters; p++) {
                const struct parameter *q = &s->parameters[p];
                parameter_text(q, q->values[order[i]], text[n_cells++], WIDTH);
            }
        }
        for (size_t i = 0; i < n_cells; i++) cells[i] = text[i];
        page_heading(report, 3, "The best trials");
        page_table(report, names, columns, cells, n);
    }
    free(order);
    free(names);
    free(cells);
    free(text);
    return code;
}

static int one_study(struct report *report, const struct study *s)
{
    page_heading(report, 3, "Study %s", s->name);
    study_facts(report, s);
    if (n_counting(s) == 0) {
        page_note(report, "No trial has been completed: there is nothing to draw.");
        return 0;
    }
    int code = draw_history(report, s);
    if (code == 0) code = draw_steps(report, s);
    if (code == 0) code = draw_importance(report, s);
    if (code == 0) code = draw_parallel(report, s);
    return code == 0 ? best_table(report, s) : code;
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
        code = one_study(report, &study);
        study_free(&study);
    }
    nlsh__studies_free(&studies);
    return code;
}
