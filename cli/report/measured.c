/*
 * measured.c - what the tables of nlsh's other verbs have to show. A table is known by the names
 * of its columns:
 *
 *   rule,value,recall,candidates,...        nlsh evaluate          the curve, and the oracle's
 *   low,high,pairs,predicted,observed,...   nlsh evaluate --reliability
 *   method,setting,recall_at_1,...          nlsh bench             each method's best settings
 *   model,settings,T,recall_at_1,...        nlsh compare, nlsh search --models_index
 *   dataset,method,version,mode,...         ./dev bench --csv      one chart a data set and mode
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nlsh/learn.h"
#include "numbers.h"
#include "report/report.h"
#include "talk.h"

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

/* ---- points by method ------------------------------------------------------------------------ */

/* One row of a table: a method at one setting. */
struct point {
    const char *method, *setting;
    double recall, candidates, qps; /* candidates NaN where the table has none */
};

/* The points of one method as a line of a chart: those that none of the same method beats. */
static bool add_method(struct chart *chart, const struct point *points, size_t n,
                       const char *method, bool of_speed)
{
    struct series *s = chart_series(chart, DRAWN_LINE_AND_DOTS, "%s", method);
    if (s == NULL) return false;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(points[i].method, method) != 0) continue;
        double y = of_speed ? points[i].qps : points[i].candidates;
        if (!series_add(chart, s, points[i].recall, y, points[i].setting)) return false;
    }
    series_front(s, of_speed ? -1 : 1);
    return true;
}

static bool is_first(const struct point *points, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (strcmp(points[j].method, points[i].method) == 0) return false;
    }
    return true;
}

static int draw_points(struct report *report, const struct point *points, size_t n,
                       const char *recall, bool of_speed)
{
    struct chart chart = {.title = of_speed ? "Recall against speed" : "Recall against candidates",
                          .x_label = recall,
                          .y_label = of_speed ? "queries a second (more is better)"
                                              : "candidates a query (fewer is better)",
                          .x_axis = AXIS_RECALL,
                          .y_axis = AXIS_LOG};
    for (size_t i = 0; i < n; i++) {
        if (!is_first(points, i)) continue;
        if (add_method(&chart, points, n, points[i].method, of_speed)) continue;
        chart_free(&chart);
        return no_memory();
    }
    chart_draw(report, &chart,
               of_speed ? "Of each method the settings that no other of its own beats in both; up "
                          "and to the right is better."
                        : "Of each method the settings that no other of its own beats in both; "
                          "down and to the right is better.");
    return 0;
}

/* ---- the verdict ----------------------------------------------------------------------------- */

/* The row of a method, or of all but that one, that reaches a recall best: with the most queries a second, or the fewest
 * candidates. NULL where none does. */
static const struct point *best_point(const struct point *points, size_t n, double recall,
                                      const char *method, bool of_others, bool of_speed)
{
    const struct point *best = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct point *p = &points[i];
        double value = of_speed ? p->qps : p->candidates;
        if (p->recall < recall || isnan(value)) continue;
        if (method != NULL && (strcmp(p->method, method) != 0) != of_others) continue;
        if (best == NULL || (of_speed ? value > best->qps : value < best->candidates)) best = p;
    }
    return best;
}

/* ", 48 % fewer than B (760)" or ", 2.1 times B's 1,200"; "" where there is no other. */
static void beside_next(const struct point *best, const struct point *next, bool of_speed,
                        char *text, size_t size)
{
    char number[32];
    text[0] = '\0';
    if (next == NULL || !((of_speed ? next->qps : next->candidates) > 0)) return;
    if (of_speed) {
        snprintf(text, size, ", %.*f times %.100s's %s", best->qps < 9.95 * next->qps ? 1 : 0,
                 best->qps / next->qps, next->method, text_number(next->qps, number));
    } else {
        snprintf(text, size, ", %.0f %% fewer than %.100s (%s)",
                 100 * (1 - best->candidates / next->candidates), next->method,
                 text_whole(next->candidates, number));
    }
}

/* Who is best at a recall. `of` is what the rows are of, or "". */
static void say_points(struct report *report, const struct point *points, size_t n, const char *of,
                       const char *recall)
{
    const double wanted = 0.95;
    const struct point *few = best_point(points, n, wanted, NULL, false, false);
    const struct point *fast = best_point(points, n, wanted, NULL, false, true);
    char number[32], beside[200];
    if (fast == NULL) {
        page_verdict(report, "%s%sNone reaches %s .95.", of, of[0] ? ": " : "", recall);
        return;
    }
    if (few != NULL) {
        const struct point *next = best_point(points, n, wanted, few->method, true, false);
        beside_next(few, next, false, beside, sizeof beside);
        page_verdict(report, "%s%sAt %s .95 %s needs %s%s candidates a query%s.", of,
                     of[0] ? ": " : "", recall, few->method, next ? "the fewest, " : "",
                     text_whole(few->candidates, number), beside);
    }
    const struct point *next = best_point(points, n, wanted, fast->method, true, true);
    beside_next(fast, next, true, beside, sizeof beside);
    page_verdict(report, "%s%sAt %s .95 %s %s%s queries a second%s.", of, of[0] ? ": " : "", recall,
                 fast->method, next ? "is the fastest with " : "answers ",
                 text_number(fast->qps, number), beside);
}

/* For each method and recall the fastest setting that reaches it. */
static void fastest_table(struct report *report, const struct point *points, size_t n)
{
    static const double wanted[] = {0.90, 0.95, 0.99};
    static const char *const names[] = {"method",  "#queries/s at .90", "setting", "#at .95",
                                        "setting", "#at .99",           "setting"};
    enum { COLUMNS = 7 };
    size_t n_rows = 0;
    const char **cells = calloc(n * COLUMNS + 1, sizeof *cells);
    char(*numbers)[32] = calloc(n * 3 + 1, sizeof *numbers);
    for (size_t i = 0; i < n && cells != NULL && numbers != NULL; i++) {
        if (!is_first(points, i)) continue;
        const char **row = cells + n_rows++ * COLUMNS;
        row[0] = points[i].method;
        for (size_t w = 0; w < 3; w++) {
            const struct point *best =
                best_point(points, n, wanted[w], points[i].method, false, true);
            row[1 + 2 * w] = best ? text_whole(best->qps, numbers[3 * i + w]) : "\xe2\x80\x93";
            row[2 + 2 * w] = best ? best->setting : NULL;
        }
    }
    if (n_rows > 0) page_table(report, names, COLUMNS, cells, n_rows);
    free(cells);
    free(numbers);
}

/* The points of a table; the columns are named, "" for none. NULL after an error. */
static struct point *read_points(const struct csv *csv, const char *method, const char *setting,
                                 int recall, int *code)
{
    int m = csv_column(csv, method), s = csv_column(csv, setting),
        c = csv_column(csv, "candidates"), q = csv_column(csv, "qps");
    struct point *points = calloc(csv->n_rows, sizeof *points);
    *code = points == NULL ? no_memory() : 0;
    for (size_t i = 0; points != NULL && i < csv->n_rows && *code == 0; i++) {
        struct point *p = &points[i];
        p->method = csv_at(csv, i, m);
        p->setting = csv_at(csv, i, s);
        *code = csv_number(csv, i, recall, &p->recall);
        if (*code == 0) *code = csv_number_or_none(csv, i, c, &p->candidates);
        if (*code == 0) *code = csv_number(csv, i, q, &p->qps);
    }
    if (*code == 0) return points;
    free(points);
    return NULL;
}

/* "recall_at_10": "recall@10". */
static void recall_title(const struct csv *csv, int column, char *buffer, size_t size)
{
    snprintf(buffer, size, "recall@%.12s", csv_name(csv, column) + strlen("recall_at_"));
}

/* The column of recall@N: the second that begins so; recall_at_1 where N is 1. */
static int recall_column(const struct csv *csv)
{
    int first = csv_column_like(csv, "recall_at_");
    bool again = (size_t)first + 1 < csv->n_columns &&
                 strncmp(csv_name(csv, first + 1), "recall_at_", 10) == 0;
    return first + again;
}

/* ---- indexes compared ------------------------------------------------------------------------ */

/* A column of the CSV as the table shows it. */
struct column {
    const char *name, *title;
    char *(*text)(double value, char buffer[32]); /* NULL: as it stands */
};

/* Recalls and factors below each other. */
static char *text_four(double value, char buffer[32])
{
    if (isnan(value)) return text_number(value, buffer);
    snprintf(buffer, 32, "%.4f", fmax(fmin(value, 1e9), -1e9));
    return buffer;
}

static char *text_times(double value, char buffer[32])
{
    char number[32];
    if (isfinite(value)) value = round(10 * value) / 10;
    snprintf(buffer, 32, "%.27s\xc3\x97", text_number(value, number)); /* the sign of times */
    return buffer;
}

enum { COLUMNS = 8 };

/* A row's cells. */
static int compare_row(const struct csv *csv, size_t row, const struct column *columns,
                       const int *places, const char **cells, char text[COLUMNS][32])
{
    for (size_t c = 0; c < COLUMNS; c++) {
        double value;
        if (places[c] == CSV_NONE) continue;
        cells[c] = csv_at(csv, row, places[c]);
        if (columns[c].text == NULL) continue;
        int code = csv_number_or_none(csv, row, places[c], &value);
        if (code != 0) return code;
        cells[c] = columns[c].text(value, text[c]);
    }
    return 0;
}

static int compare_table(struct report *report, const struct csv *csv)
{
    int places[COLUMNS], r = recall_column(csv), code = 0;
    char recall[32];
    snprintf(recall, sizeof recall, "#recall@%.12s", csv_name(csv, r) + strlen("recall_at_"));
    const struct column columns[COLUMNS] = {{"model", "model", NULL},
                                            {"T", "T", NULL},
                                            {"recall_at_1", "#recall@1", text_four},
                                            {csv_name(csv, r), recall, text_four},
                                            {"af", "#AF", text_four},
                                            {"candidates", "#candidates", text_whole},
                                            {"qps", "#queries/s", text_number},
                                            {"speedup", "#times faster", text_times}};
    const char *titles[COLUMNS];
    const char **cells = calloc(csv->n_rows * COLUMNS, sizeof *cells);
    char(*text)[COLUMNS][32] = calloc(csv->n_rows, sizeof *text);
    if (cells == NULL || text == NULL) code = no_memory();
    for (size_t c = 0; c < COLUMNS; c++) {
        places[c] = csv_column(csv, columns[c].name);
        titles[c] = columns[c].title;
    }
    for (size_t i = 0; i < csv->n_rows && code == 0; i++) {
        code = compare_row(csv, i, columns, places, cells + i * COLUMNS, text[i]);
    }
    if (code == 0) page_table(report, titles, COLUMNS, cells, csv->n_rows);
    free(cells);
    free(text);
    return code;
}

/* The settings of the models beside each other, where the table has any; what is no JSON object is left out. */
static int compare_settings(struct report *report, const struct csv *csv)
{
    int model = csv_column(csv, "model"), settings = csv_column(csv, "settings"), code = 0;
    const char **names = calloc(csv->n_rows, sizeof *names);
    json_t **objects = calloc(csv->n_rows, sizeof *objects);
    size_t n = 0, n_known = 0;
    if (names == NULL || objects == NULL) code = no_memory();
    for (size_t i = 0; i < csv->n_rows && code == 0 && settings != CSV_NONE; i++) {
        const char *name = csv_at(csv, i, model);
        size_t j = 0;
        while (j < n && strcmp(names[j], name) != 0) j++;
        if (j < n) continue;
        names[n] = name;
        objects[n] = json_loads(csv_at(csv, i, settings), 0, NULL);
        n_known += json_is_object(objects[n]);
        n++;
    }
    if (code == 0 && n_known > 0) {
        page_section(report, "Settings");
        code = page_settings(report, names, objects, n);
    }
    for (size_t i = 0; i < n; i++) json_decref(objects[i]);
    free(names);
    free(objects);
    return code;
}

/* A table of nlsh bench or, where models is true, of nlsh compare: both pictures, then numbers. */
static int report_settings(struct report *report, const struct csv *csv, bool models)
{
    char recall[32];
    int code, column = recall_column(csv);
    struct point *points =
        read_points(csv, models ? "model" : "method", models ? "T" : "setting", column, &code);
    if (points == NULL) return code;
    recall_title(csv, column, recall, sizeof recall);
    page_say(report, models ? "Indexes compared by nlsh on one set of queries."
                            : "A table of nlsh bench: one thread, one query at a time.");
    say_points(report, points, csv->n_rows, "", recall);
    code = draw_points(report, points, csv->n_rows, recall, false);
    if (code == 0) code = draw_points(report, points, csv->n_rows, recall, true);
    if (code == 0 && models) code = compare_table(report, csv);
    if (code == 0 && models) code = compare_settings(report, csv);
    if (code == 0 && !models) fastest_table(report, points, csv->n_rows);
    free(points);
    return code;
}

/* ---- ./dev bench ----------------------------------------------------------------------------- */

/* The rows of one data set, mode and k. */
struct piece {
    const char *dataset, *mode, *k;
};

static bool in_piece(const struct csv *csv, size_t row, const struct piece *p)
{
    return strcmp(csv_at(csv, row, csv_column(csv, "dataset")), p->dataset) == 0 &&
           strcmp(csv_at(csv, row, csv_column(csv, "mode")), p->mode) == 0 &&
           strcmp(csv_at(csv, row, csv_column(csv, "k")), p->k) == 0;
}

static int report_piece(struct report *report, const struct csv *csv, const struct point *all,
                        const struct piece *piece)
{
    size_t n = 0;
    char title[128], recall[32];
    struct point *some = calloc(csv->n_rows, sizeof *some);
    if (some == NULL) return no_memory();
    for (size_t i = 0; i < csv->n_rows; i++) {
        if (in_piece(csv, i, piece)) some[n++] = all[i];
    }
    snprintf(title, sizeof title, "%.60s, %.30s", piece->dataset, piece->mode);
    snprintf(recall, sizeof recall, "recall@%.12s", piece->k);
    page_section(report, "%s, %s", title, recall);
    say_points(report, some, n, title, recall);
    int code = draw_points(report, some, n, recall, true);
    if (code == 0) fastest_table(report, some, n);
    free(some);
    return code;
}

static int report_peers(struct report *report, const struct csv *csv)
{
    int code, d = csv_column(csv, "dataset"), m = csv_column(csv, "mode"), k = csv_column(csv, "k");
    struct point *points = read_points(csv, "method", "params", csv_column(csv, "recall"), &code);
    if (points == NULL) return code;
    page_say(report, "A table of ./dev bench: each method at the settings of its own grid; single: "
                     "one query a call on one thread, batch: all in one call on so many threads.");
    for (size_t i = 0; i < csv->n_rows && code == 0; i++) {
        struct piece piece = {csv_at(csv, i, d), csv_at(csv, i, m), csv_at(csv, i, k)};
        bool seen = false;
        for (size_t j = 0; j < i && !seen; j++) seen = in_piece(csv, j, &piece);
        if (!seen) code = report_piece(report, csv, points, &piece);
    }
    free(points);
    return code;
}

/* ---- nlsh evaluate --------------------------------------------------------------------------- */

static int read_curve_point(const struct csv *csv, size_t i, const int columns[6],
                            struct nlsh_curve_point *p)
{
    double *const into[6] = {NULL,           &p->value,          &p->recall,
                             &p->candidates, &p->candidates_p95, &p->oracle_recall};
    const char *rule = csv_at(csv, i, columns[0]);
    bool top = strcmp(rule, "top") == 0;
    if (!top && strcmp(rule, "threshold") != 0) {
        return talk_error(EXIT_BAD_DATA, "it is top or threshold",
                          "%s, line %zu: there is no rule \"%.40s\"", csv->path, csv->lines[i + 1],
                          rule);
    }
    p->rule = top ? NLSH_RULE_TOP : NLSH_RULE_THRESHOLD;
    for (size_t c = 1; c < 6; c++) {
        int code = csv_number(csv, i, columns[c], into[c]);
        if (code != 0) return code;
    }
    return 0;
}

static int report_curve_csv(struct report *report, const struct csv *csv, struct compared *compared)
{
    static const char *const names[6] = {"rule",       "value",          "recall",
                                         "candidates", "candidates_p95", "oracle_recall"};
    int columns[6], code = 0;
    struct curve curve = {.n_points = 0};
    for (size_t c = 0; c < 6; c++) columns[c] = csv_column(csv, names[c]);
    curve.points = calloc(csv->n_rows, sizeof *curve.points);
    if (curve.points == NULL) return no_memory();
    for (size_t i = 0; i < csv->n_rows && code == 0; i++) {
        /* what searches reached is no point of the curve */
        if (strcmp(csv_at(csv, i, columns[0]), "asked") == 0) continue;
        code = read_curve_point(csv, i, columns, &curve.points[curve.n_points++]);
    }
    if (code == 0) code = report_curve(report, csv->path, &curve, compared);
    free(curve.points);
    return code;
}

static int report_reliability_csv(struct report *report, const struct csv *csv)
{
    static const char *const names[6] = {"low", "high", "pairs", "predicted", "observed", "error"};
    struct reliability r = {.n_bins = csv->n_rows};
    double pairs = 0, moved = 0, mass = 0;
    int code = 0;
    r.bins = calloc(csv->n_rows, sizeof *r.bins);
    if (r.bins == NULL) return no_memory();
    for (size_t i = 0; i < csv->n_rows && code == 0; i++) {
        struct nlsh_reliability_bin *b = &r.bins[i];
        double *const into[6] = {&b->low, &b->high, &pairs, &b->predicted, &b->observed, &b->error};
        for (size_t c = 0; c < 6 && code == 0; c++) {
            code = csv_number(csv, i, csv_column(csv, names[c]), into[c]);
        }
        b->n_pairs = (uint64_t)fmax(fmin(pairs, 1e18), 0);
        moved += pairs * fabs(b->predicted - b->observed);
        mass += pairs * b->predicted;
    }
    r.gap = mass > 0 ? moved / mass : 0; /* a query's probabilities add up to 1 */
    if (code == 0) code = report_reliability(report, &r);
    free(r.bins);
    return code;
}

/* ---- which table it is ----------------------------------------------------------------------- */

static bool has_columns(const struct csv *csv, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (csv_column(csv, *names) == CSV_NONE) return false;
    }
    return true;
}

static int report_table(struct report *report, const struct csv *csv, struct compared *compared)
{
    static const char *const curve[] = {"rule",           "value",         "recall", "candidates",
                                        "candidates_p95", "oracle_recall", NULL};
    static const char *const reliability[] = {"low",      "high",  "pairs", "predicted",
                                              "observed", "error", NULL};
    static const char *const bench[] = {"method", "setting", "candidates", "qps", NULL};
    static const char *const models[] = {"model", "T", "candidates", "qps", NULL};
    static const char *const peers[] = {"dataset", "method",     "mode", "params", "k",
                                        "recall",  "candidates", "qps",  NULL};
    bool recalls = csv_column_like(csv, "recall_at_") != CSV_NONE;
    if (has_columns(csv, curve)) return report_curve_csv(report, csv, compared);
    if (has_columns(csv, reliability)) return report_reliability_csv(report, csv);
    if (has_columns(csv, peers)) return report_peers(report, csv);
    if (recalls && has_columns(csv, bench)) return report_settings(report, csv, false);
    if (recalls && has_columns(csv, models)) return report_settings(report, csv, true);
    return talk_error(
        EXIT_BAD_DATA,
        "it may be a CSV of nlsh evaluate, bench or compare, a models_compare.csv or a "
        "table of ./dev bench --csv; or an index, or a folder of nlsh tune",
        "%s: no table that nlsh report knows: its first line begins \"%.60s\"", csv->path,
        csv_name(csv, 0));
}

int report_csv(struct report *report, const char *path, struct compared *compared)
{
    struct csv csv;
    int code = csv_read(path, &csv);
    if (code != 0) return code;
    code = report_table(report, &csv, compared);
    csv_free(&csv);
    return code;
}
