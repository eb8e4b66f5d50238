/*
 * bench_show.c - the table of `nlsh bench`: as text, CSV, JSON, and drawn.
 *
 * A method's curve is the best of all its settings: for every recall the fewest candidates, or the
 * most queries a second, of any row that reaches it. What lies behind is in the table only.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "json.h"
#include "layout.h"
#include "numbers.h"
#include "output.h"
#include "report/plot.h"
#include "table.h"
#include "talk.h"
#include "text.h"

/* ---- text ------------------------------------------------------------------------------------ */

static void print_head(const struct bench *b, size_t room)
{
    char rows[32], queries[32], buckets[32], size[32], name[256], line[400];
    snprintf(line, sizeof line, "%s x %zu %s, %s queries, one thread, one query at a time (%s)",
             text_count(b->base.matrix.n_rows, rows), b->base.matrix.dim,
             type_name(b->base.matrix.type), text_count(b->queries.matrix.n_rows, queries),
             nlsh_cpu());
    layout_wrapped(stdout, line, 0, 0, room);
    if (b->index != NULL) {
        text_shown(b->index_name ? b->index_name : "made for this table", name, sizeof name);
        snprintf(line, sizeof line, "index: %s, %s buckets, %s", name,
                 text_count(b->info.n_buckets, buckets), text_bytes(b->info.size_bytes, size));
        layout_wrapped(stdout, line, 0, 0, room);
    }
    putchar('\n');
}

static char *text_times(double times, char buffer[32])
{
    snprintf(buffer, 32, "%.*fx", times < 9.95 ? 1 : 0, times);
    return buffer;
}

static bool same_group(const struct bench_row *a, const struct bench_row *b)
{
    return strcmp(a->method, b->method) == 0 && strcmp(a->group, b->group) == 0;
}

static void add_group(struct table *table, const struct bench_row *r)
{
    char line[160];
    snprintf(line, sizeof line, "%.60s%s%s", r->method, r->group[0] ? ": " : "", r->group);
    table_line(table, "");
    table_line(table, line);
}

static void add_row(struct table *table, const struct bench *b, const struct bench_row *r)
{
    char setting[64], first[32], recall[32], mean[32], p95[32], qps[32], best[32], plain[32];
    snprintf(setting, sizeof setting, "  %s", r->setting);
    snprintf(first, sizeof first, "%.4f", r->score.recall_1);
    snprintf(recall, sizeof recall, "%.4f", r->score.recall_n);
    const char *const cells[] = {setting,
                                 first,
                                 recall,
                                 text_short(r->score.candidates, mean),
                                 text_short(r->score.p95, p95),
                                 text_short(1 / r->seconds, qps),
                                 text_times(b->best_seconds / r->seconds, best),
                                 text_times(b->plain_seconds / r->seconds, plain)};
    table_row(table, cells);
}

static int print_table(const struct bench *b)
{
    char recall[24];
    size_t room = layout_columns(stdout);
    snprintf(recall, sizeof recall, "recall@%zu", b->k);
    const struct table_column columns[] = {{"", 0},           {"recall@1", 2}, {recall, 0},
                                           {"candidates", 0}, {"p95", 3},      {"queries/s", 6},
                                           {"exact", 4},      {"plain", 1}};
    struct table table;
    print_head(b, room);
    table_begin(&table, columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < b->n_rows; i++) {
        const struct bench_row *r = &b->rows[i];
        if (i == 0 || !same_group(r, r - 1)) add_group(&table, r);
        add_row(&table, b, r);
    }
    int code = table_print(&table, stdout, room);
    if (code != 0) return code;
    putchar('\n');
    layout_wrapped(
        stdout,
        "candidates: mean a query, and the 95th percentile; exact: times faster than our "
        "best exact scan of the same data; plain: than a float loop in C.",
        0, 0, room);
    return finish_stdout();
}

/* For CSV, JSON and reports, where a row stands alone. */
static const char *whole_setting(const struct bench_row *r, char buffer[128])
{
    snprintf(buffer, 128, "%s%s%s", r->setting, r->group[0] ? "; " : "", r->group);
    return buffer;
}

/* ---- CSV and JSON ---------------------------------------------------------------------------- */

static void put_csv(const struct bench *b, FILE *to)
{
    fprintf(to,
            "method,setting,recall_at_1,recall_at_%zu,candidates,candidates_p95,qps,"
            "speedup_exact,speedup_plain,queries,build_seconds,bytes\n",
            b->k);
    for (size_t i = 0; i < b->n_rows; i++) {
        const struct bench_row *r = &b->rows[i];
        char setting[128];
        fprintf(to, "%s,%s,%.6f,%.6f,%.1f,%.0f,%.1f,%.3f,%.3f,%zu,", r->method,
                whole_setting(r, setting), r->score.recall_1, r->score.recall_n,
                r->score.candidates, r->score.p95, 1 / r->seconds, b->best_seconds / r->seconds,
                b->plain_seconds / r->seconds, r->n_queries);
        if (isfinite(r->build_seconds)) fprintf(to, "%.3f", r->build_seconds);
        fprintf(to, ",%zu\n", r->bytes);
    }
}

static int print_as_json(const struct bench *b)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < b->n_rows; i++) {
        const struct bench_row *r = &b->rows[i];
        char setting[128];
        json_add(&rows,
                 json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:o, s:I}", "method",
                           r->method, "setting", whole_setting(r, setting), "recall_at_1",
                           r->score.recall_1, "recall_at_n", r->score.recall_n, "candidates",
                           r->score.candidates, "candidates_p95", r->score.p95, "qps",
                           1 / r->seconds, "speedup_exact", b->best_seconds / r->seconds,
                           "speedup_plain", b->plain_seconds / r->seconds, "queries",
                           (json_int_t)r->n_queries, "build_seconds",
                           json_number_or_null(r->build_seconds), "bytes", (json_int_t)r->bytes));
    }
    json_t *buckets = b->index ? json_integer((json_int_t)b->info.n_buckets) : json_null();
    return print_json(json_pack(
        "{s:s, s:{s:I, s:I, s:s}, s:I, s:I, s:o, s:s, s:o}", "command", "bench", "base", "rows",
        (json_int_t)b->base.matrix.n_rows, "dim", (json_int_t)b->base.matrix.dim, "type",
        type_name(b->base.matrix.type), "queries", (json_int_t)b->queries.matrix.n_rows, "n",
        (json_int_t)b->k, "buckets", buckets, "cpu", nlsh_cpu(), "table", rows));
}

int bench_print(const struct bench *b)
{
    if (args_given(b->args, "json")) return print_as_json(b);
    if (!args_given(b->args, "csv")) return print_table(b);
    put_csv(b, stdout);
    return finish_stdout();
}

/* ---- pictures -------------------------------------------------------------------------------- */

static const double least_recall = 0.3; /* below nobody wants to be */

static double candidates_of(const struct bench_row *r)
{
    return r->score.candidates;
}

static double qps_of(const struct bench_row *r)
{
    return 1 / r->seconds;
}

/* One of the two pictures. */
struct picture {
    const char *name; /* in the file's name */
    const char *axis;
    double (*value)(const struct bench_row *row);
    int sign; /* 1: low is good; -1: high is good */
};

static const struct picture pictures[] = {
    {"candidates", "candidates a query (fewer is better)", candidates_of, 1},
    {"qps", "queries a second, one thread (more is better)", qps_of, -1}};

/* Whether no row of the same method is as good in both and better in one. */
static bool on_front(const struct bench *b, const struct picture *p, const struct bench_row *r)
{
    double value = p->sign * p->value(r);
    for (size_t i = 0; i < b->n_rows; i++) {
        const struct bench_row *o = &b->rows[i];
        double other = p->sign * p->value(o);
        if (o == r || strcmp(o->method, r->method) != 0) continue;
        if (o->score.recall_n < r->score.recall_n || other > value) continue;
        if (o->score.recall_n > r->score.recall_n || other < value || o < r) return false;
    }
    return true;
}

static int by_recall(const void *a, const void *b)
{
    const struct bench_row *x = *(const struct bench_row *const *)a;
    const struct bench_row *y = *(const struct bench_row *const *)b;
    return (x->score.recall_n > y->score.recall_n) - (x->score.recall_n < y->score.recall_n);
}

/* The curve of one method as a block of data; returns how many points. */
static size_t put_curve(const struct bench *b, const struct picture *p, const char *method,
                        size_t number, const struct bench_row **scratch, FILE *to)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n_rows; i++) {
        const struct bench_row *r = &b->rows[i];
        if (strcmp(r->method, method) != 0 || r->score.recall_n < least_recall) continue;
        if (on_front(b, p, r)) scratch[n++] = r;
    }
    qsort(scratch, n, sizeof *scratch, by_recall);
    fprintf(to, "$curve%zu << END\n", number);
    for (size_t i = 0; i < n; i++) {
        fprintf(to, "%.6f,%.6g\n", plot_recall_place(scratch[i]->score.recall_n),
                p->value(scratch[i]));
    }
    fputs("END\n", to);
    return n;
}

static void put_axes(const struct bench *b, const struct picture *p, FILE *to)
{
    char title[128], rows[32], queries[32];
    snprintf(title, sizeof title, "%s x %zu %s, %s queries",
             text_count(b->base.matrix.n_rows, rows), b->base.matrix.dim,
             type_name(b->base.matrix.type), text_count(b->queries.matrix.n_rows, queries));
    fputs("set title ", to);
    plot_quoted(to, title);
    fprintf(to,
            "\nset xlabel 'recall@%zu'\nset ylabel '%s'\nset logscale y\n"
            "set format y \"%%'.0f\"\nset key outside right top\n",
            b->k, p->axis);
    plot_recall_axis(to, 'x', plot_recall_place(least_recall), plot_recall_place(1) + 0.1);
}

/* gnuplot's script for a picture; NULL without memory. */
static char *script_of(const struct bench *b, const struct picture *p)
{
    char *text = NULL;
    size_t size, n_curves = 0;
    FILE *to = open_memstream(&text, &size);
    const struct bench_row **scratch = calloc(b->n_rows, sizeof *scratch);
    char plot[1024] = "";
    if (to == NULL || scratch == NULL) goto out;
    put_axes(b, p, to);
    for (size_t i = 0; i < b->n_rows; i++) {
        const char *method = b->rows[i].method;
        if (i > 0 && strcmp(method, b->rows[i - 1].method) == 0) continue;
        if (put_curve(b, p, method, n_curves, scratch, to) == 0) continue;
        size_t at = strlen(plot);
        snprintf(plot + at, sizeof plot - at,
                 "%s$curve%zu using 1:2 with linespoints ls %zu title '%s'",
                 n_curves ? ", " : "plot ", n_curves, n_curves % 8 + 1, method);
        n_curves++;
    }
    fprintf(to, "%s\n", plot);
out:
    free(scratch);
    if (to == NULL || fclose(to) != 0 || n_curves == 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* "out/bench.csv" and "qps": "out/bench.qps.svg". */
static char *picture_path(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    int length = (int)(dot != NULL ? dot - path : (ptrdiff_t)strlen(path));
    size_t size = strlen(path) + strlen(name) + 8;
    char *result = malloc(size);
    if (result != NULL) snprintf(result, size, "%.*s.%s.svg", length, path, name);
    return result;
}

static int write_picture(const struct bench *b, const struct picture *p, const char *path)
{
    char *name = picture_path(path, p->name), *script = script_of(b, p);
    int code = 0;
    if (name == NULL || script == NULL) {
        talk_say("no row has a recall of %g: nothing is drawn", least_recall);
    } else {
        code = plot_svg_file(script, 900, 560, name);
        if (code == 0) talk_say("drawn: %s", name);
    }
    free(script);
    free(name);
    return code;
}

int bench_write(const struct bench *b, const char *path)
{
    struct output output;
    int code = output_open(path, &output);
    if (code != 0) return code;
    put_csv(b, output.file);
    code = output_commit(&output);
    if (code != 0) return code;
    talk_say("the table: %s", path);
    if (!plot_possible()) {
        talk_say("nothing is drawn: there is no gnuplot; %s", plot_hint);
        return 0;
    }
    for (size_t i = 0; i < 2 && code == 0; i++) code = write_picture(b, &pictures[i], path);
    return code;
}

int bench_check_output(const struct args *args, const char *path)
{
    const char *inputs[MAX_INPUTS];
    size_t n = args_inputs(args, inputs);
    int code = output_check(path, "-o", inputs, n);
    for (size_t i = 0; i < 2 && code == 0; i++) {
        char *name = picture_path(path, pictures[i].name);
        code = name ? output_check(name, "-o", inputs, n)
                    : talk_error(EXIT_BUG, NULL, "out of memory");
        free(name);
    }
    return code;
}
