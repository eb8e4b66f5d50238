/*
 * cmd_bench.c - `nlsh bench`: a table of recall and speed, ours beside exact scans and IVF-Flat.
 *
 * Everything timed runs on one thread, one query at a time, in this process, on the same data.
 * A row takes all queries or as many as --seconds allows, at least a few; exact scans a sample.
 * Passes shorter than half a second are repeated and the fastest counts: what else the machine
 * does can only slow a pass down.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inputs.h"
#include "output.h"
#include "talk.h"
#include "verbs.h"

enum {
    max_list = 32,
    max_rows = 2 + 3 * max_list,
    sample_best = 500, /* queries for our exact scan: about a second */
    sample_plain = 50, /* for the plain one, 10 to 20 times slower */
    fewest_queries = 50,
    a_call = 25, /* queries */
    most_passes = 50,
    warm_up = 200 /* queries before a method's first row: pages and caches are then there */
};

static const double repeat_seconds = 0.5;

struct row {
    const char *method;
    char setting[24];
    double recall_1, recall_n, candidates, p95, seconds;
    size_t n_queries;
};

struct bench {
    const struct args *args;
    struct nlsh_index *index;
    const char *index_name; /* NULL where it was made for this run */
    struct nlsh_index_info info;
    struct nlsh_searcher *searcher;
    struct nlsh_brute *brute; /* the exact scan under way */
    struct nlsh_ivfflat *ivf;
    struct loaded base, queries;
    struct nlsh_neighbors truth;
    struct nlsh_run run;
    size_t k;
    double row_seconds;
    struct row rows[max_rows];
    size_t n_rows;
    double best_seconds, plain_seconds; /* of the exact scans */
    /* the stage under way, for the bar */
    const char *stage;
    uint64_t stage_done, stage_total;
};

/* One way of answering queries. */
struct method {
    enum { METHOD_BRUTE, METHOD_IVF, METHOD_NLSH } kind;
    size_t n_probes;
    struct nlsh_search_options options;
};

static enum nlsh_status answer(const struct bench *b, const struct method *m,
                               const struct nlsh_matrix *some, uint32_t *ids, float *l2sq,
                               struct nlsh_search_stats *stats, struct nlsh_error *error)
{
    switch (m->kind) {
    case METHOD_BRUTE:
        for (size_t i = 0; i < some->n_rows; i++)
            stats[i].candidates = (uint32_t)b->base.matrix.n_rows;
        return nlsh_brute_search(b->brute, some, b->k, ids, l2sq, error);
    case METHOD_IVF:
        return nlsh_ivfflat_search(b->ivf, some, m->n_probes, b->k, ids, l2sq, stats, error);
    case METHOD_NLSH: break;
    }
    return nlsh_search(b->searcher, some, &m->options, ids, l2sq, stats, error);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Sums over the queries of one pass. */
struct pass {
    size_t n;
    double spent, recall_1, recall_n, candidates;
};

/* Runs queries until `most` of them or the row's time are used, `a_call` in a call: each is still
 * answered on its own, and what a call costs besides is shared. */
static enum nlsh_status one_pass(const struct bench *b, const struct method *m, size_t most,
                                 uint32_t *scratch, struct pass *out, struct nlsh_error *error)
{
    uint32_t *ids = scratch, *scanned = scratch + 2 * a_call * b->k;
    float *l2sq = (float *)(void *)(scratch + a_call * b->k);
    struct nlsh_search_stats stats[a_call] = {{0}};
    struct pass p = {0};
    while (p.n < most && (p.n < fewest_queries || p.spent < b->row_seconds)) {
        size_t n = most - p.n < a_call ? most - p.n : a_call;
        struct nlsh_matrix some = matrix_rows(&b->queries.matrix, p.n, n);
        double began = now_seconds();
        enum nlsh_status status = answer(b, m, &some, ids, l2sq, stats, error);
        p.spent += now_seconds() - began;
        if (status != NLSH_OK) return status;
        for (size_t i = 0; i < n; i++) {
            const uint32_t *true_ids = b->truth.ids + (p.n + i) * b->k;
            const float *true_l2sq = b->truth.l2sq + (p.n + i) * b->k;
            const uint32_t *row_ids = ids + i * b->k;
            const float *row_l2sq = l2sq + i * b->k;
            p.recall_1 += nlsh_recall(row_ids, row_l2sq, true_ids, true_l2sq, 1);
            p.recall_n += nlsh_recall(row_ids, row_l2sq, true_ids, true_l2sq, b->k);
            p.candidates += stats[i].candidates;
            scanned[p.n + i] = stats[i].candidates;
        }
        p.n += n;
        if (talk_progress(NULL, b->stage, b->stage_done + p.n, b->stage_total + 1))
            return error->status = NLSH_E_INTERRUPTED;
    }
    *out = p;
    return NLSH_OK;
}

static enum nlsh_status measure(struct bench *b, const struct method *m, size_t most,
                                struct row *row, uint32_t *scratch, struct nlsh_error *error)
{
    uint32_t *scanned = scratch + 2 * a_call * b->k;
    struct pass p = {0};
    double total = 0;
    row->seconds = HUGE_VAL;
    for (size_t pass = 0; pass < most_passes && total < repeat_seconds; pass++) {
        enum nlsh_status status = one_pass(b, m, most, scratch, &p, error);
        if (status != NLSH_OK) return status;
        total += p.spent;
        if (p.spent / (double)p.n < row->seconds) row->seconds = p.spent / (double)p.n;
    }
    qsort(scanned, p.n, sizeof *scanned, by_size);
    row->recall_1 = p.recall_1 / (double)p.n;
    row->recall_n = p.recall_n / (double)p.n;
    row->candidates = p.candidates / (double)p.n;
    size_t rank_95 = (p.n - 1) * 95 / 100;
    row->p95 = scanned[rank_95];
    row->n_queries = p.n;
    return NLSH_OK;
}

static int add_row(struct bench *b, const struct method *m, size_t most, const char *name,
                   const char *setting)
{
    struct nlsh_error error = {0};
    struct row *row = &b->rows[b->n_rows];
    size_t n = b->queries.matrix.n_rows;
    if (most > n) most = n;
    uint32_t *scratch = calloc(2 * a_call * b->k + n, sizeof *scratch);
    if (scratch == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    row->method = name;
    snprintf(row->setting, sizeof row->setting, "%s", setting);
    enum nlsh_status status = measure(b, m, most, row, scratch, &error);
    free(scratch);
    if (status != NLSH_OK) return talk_failed(&error);
    b->stage_done += most;
    b->n_rows++;
    return 0;
}

static void stage_begin(struct bench *b, const char *stage, uint64_t total)
{
    talk_stage_end();
    b->stage = stage;
    b->stage_done = 0;
    b->stage_total = total;
    talk_progress(NULL, stage, 0, total + 1);
}

/* Answers a few queries that are not counted. */
static int warm(struct bench *b, const struct method *m)
{
    int code = add_row(b, m, warm_up, "", "");
    if (code == 0) b->n_rows--;
    b->stage_done = 0;
    return code;
}

/* ---- the methods ----------------------------------------------------------------------------- */

static int exact_row(struct bench *b, enum nlsh_brute_method how, size_t most, const char *setting,
                     double *seconds)
{
    struct method m = {.kind = METHOD_BRUTE};
    struct nlsh_error error = {0};
    if (nlsh_brute_create(&b->base.matrix, how, &b->brute, &error) != NLSH_OK) {
        return talk_failed(&error);
    }
    int code = add_row(b, &m, most, "exact scan", setting);
    if (code == 0) *seconds = b->rows[b->n_rows - 1].seconds;
    nlsh_brute_free(b->brute);
    b->brute = NULL;
    return code;
}

static int run_exact(struct bench *b)
{
    stage_begin(b, "exact scan", sample_best + sample_plain);
    int code = exact_row(b, NLSH_BRUTE_BEST, sample_best, "best", &b->best_seconds);
    if (code != 0) return code;
    return exact_row(b, NLSH_BRUTE_PLAIN, sample_plain, "plain float", &b->plain_seconds);
}

static int run_ivf(struct bench *b)
{
    struct nlsh_error error = {0};
    struct method m = {.kind = METHOD_IVF};
    double probes[max_list];
    size_t n = args_list(b->args, "probes", probes, max_list);
    char setting[24];
    if (nlsh_ivfflat_build(&b->base.matrix, b->info.n_buckets, args_count(b->args, "seed"), &b->run,
                           &b->ivf, &error) != NLSH_OK) {
        return talk_failed(&error);
    }
    stage_begin(b, "IVF-Flat", (uint64_t)n * b->queries.matrix.n_rows);
    int code = 0;
    for (size_t i = 0; i < n && code == 0; i++) {
        m.n_probes = (size_t)probes[i];
        if (m.n_probes > b->info.n_buckets) continue;
        if (i == 0) code = warm(b, &m);
        snprintf(setting, sizeof setting, "%zu of %zu", m.n_probes, b->info.n_buckets);
        if (code == 0) code = add_row(b, &m, SIZE_MAX, "IVF-Flat", setting);
    }
    return code;
}

static int run_nlsh(struct bench *b)
{
    struct nlsh_error error = {0};
    struct method m = {.kind = METHOD_NLSH};
    double t[max_list], recall[max_list];
    char setting[24];
    size_t n_t = args_list(b->args, "T", t, max_list);
    size_t n_recall = args_list(b->args, "recall", recall, max_list);
    nlsh_search_options_init(&m.options);
    m.options.k = b->k;
    if (nlsh_searcher_create(b->index, &b->searcher, &error) != NLSH_OK) {
        return talk_failed(&error);
    }
    stage_begin(b, "Neural LSH", (uint64_t)(n_t + n_recall) * b->queries.matrix.n_rows);
    m.options.probes = 1;
    int code = warm(b, &m);
    for (size_t i = 0; i < n_t && code == 0; i++) {
        if (t[i] > (double)b->info.n_buckets) continue;
        m.options.probes = t[i];
        snprintf(setting, sizeof setting, t[i] < 1 ? "T = %g" : "T = %.0f", t[i]);
        code = add_row(b, &m, SIZE_MAX, "Neural LSH", setting);
    }
    m.options.probes = 0;
    for (size_t i = 0; i < n_recall && code == 0; i++) {
        m.options.recall = recall[i];
        snprintf(setting, sizeof setting, "recall %g", recall[i]);
        code = add_row(b, &m, SIZE_MAX, "Neural LSH", setting);
    }
    return code;
}

/* ---- the table ------------------------------------------------------------------------------- */

static void print_head(const struct bench *b, const char *on, const char *off)
{
    char rows[32], queries[32], buckets[32], size[32], recall[24];
    printf("%s x %zu %s, %s queries, one thread, one query at a time (%s)\n",
           text_count(b->base.matrix.n_rows, rows), b->base.matrix.dim,
           type_name(b->base.matrix.type), text_count(b->queries.matrix.n_rows, queries),
           nlsh_cpu());
    printf("index: %s, %s buckets, %s\n\n", b->index_name ? b->index_name : "made for this table",
           text_count(b->info.n_buckets, buckets), text_bytes(b->info.size_bytes, size));
    snprintf(recall, sizeof recall, "recall@%zu", b->k);
    printf("%s%-11s %-12s %17s %21s %9s  %15s%s\n", on, "", "", "", "candidates a query", "queries",
           "times faster", off);
    printf("%s%-11s %-12s %8s %10s %11s %9s %9s %8s %7s%s\n", on, "method", "setting", "recall@1",
           recall, "mean", "p95", "a second", "exact", "plain", off);
}

static char *text_times(double times, char buffer[32])
{
    snprintf(buffer, 32, "%.*fx", times < 9.95 ? 1 : 0, times);
    return buffer;
}

static int print_table(const struct bench *b)
{
    char mean[32], p95[32], qps[32], best[32], plain[32];
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    bool bold = isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0') &&
                term != NULL && strcmp(term, "dumb") != 0;
    print_head(b, bold ? "\033[1m" : "", bold ? "\033[0m" : "");
    for (size_t i = 0; i < b->n_rows; i++) {
        const struct row *r = &b->rows[i];
        if (i == 0 || strcmp(r->method, b->rows[i - 1].method) != 0) {
            for (int c = 0; c < 90; c++) putchar('-');
            putchar('\n');
        }
        printf("%-11s %-12s %8.4f %10.4f %11s %9s %9s %8s %7s\n", r->method, r->setting,
               r->recall_1, r->recall_n, text_count((uint64_t)llround(r->candidates), mean),
               text_count((uint64_t)r->p95, p95),
               text_count((uint64_t)llround(1 / r->seconds), qps),
               text_times(b->best_seconds / r->seconds, best),
               text_times(b->plain_seconds / r->seconds, plain));
    }
    puts("\nexact: than our best exact scan of the same data; plain: than a float loop in C.");
    return finish_stdout();
}

static int print_csv(const struct bench *b)
{
    printf("method,setting,recall_at_1,recall_at_%zu,candidates,candidates_p95,qps,"
           "speedup_exact,speedup_plain,queries\n",
           b->k);
    for (size_t i = 0; i < b->n_rows; i++) {
        const struct row *r = &b->rows[i];
        printf("%s,%s,%.6f,%.6f,%.1f,%.0f,%.1f,%.3f,%.3f,%zu\n", r->method, r->setting, r->recall_1,
               r->recall_n, r->candidates, r->p95, 1 / r->seconds, b->best_seconds / r->seconds,
               b->plain_seconds / r->seconds, r->n_queries);
    }
    return finish_stdout();
}

static int print_as_json(const struct bench *b)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < b->n_rows; i++) {
        const struct row *r = &b->rows[i];
        json_array_append_new(
            rows,
            json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I}", "method", r->method,
                      "setting", r->setting, "recall_at_1", r->recall_1, "recall_at_n", r->recall_n,
                      "candidates", r->candidates, "candidates_p95", r->p95, "qps", 1 / r->seconds,
                      "speedup_exact", b->best_seconds / r->seconds, "speedup_plain",
                      b->plain_seconds / r->seconds, "queries", (json_int_t)r->n_queries));
    }
    return print_json(
        json_pack("{s:s, s:{s:I, s:I, s:s}, s:I, s:I, s:I, s:s, s:o}", "command", "bench", "base",
                  "rows", (json_int_t)b->base.matrix.n_rows, "dim", (json_int_t)b->base.matrix.dim,
                  "type", type_name(b->base.matrix.type), "queries",
                  (json_int_t)b->queries.matrix.n_rows, "n", (json_int_t)b->k, "buckets",
                  (json_int_t)b->info.n_buckets, "cpu", nlsh_cpu(), "table", rows));
}

/* ---- the verb -------------------------------------------------------------------------------- */

/* Makes an index with default settings in a file that is gone as soon as it is mapped. */
static int make_index(struct bench *b)
{
    struct nlsh_error error = {0};
    struct nlsh_build_options options;
    struct loaded base;
    char path[4096];
    const char *directory = getenv("TMPDIR");
    if (directory == NULL || directory[0] == '\0') directory = "/tmp";
    snprintf(path, sizeof path, "%s/nlsh-bench-%ld.nlsh", directory, (long)getpid());
    int code = load_vectors(args_text(b->args, "d"), args_text(b->args, "type"), &base);
    if (code != 0) return code;
    nlsh_build_options_init(&options);
    if (nlsh_build(&base.matrix, &options, path, &b->run, NULL, &error) != NLSH_OK ||
        nlsh_index_open(path, &b->index, &error) != NLSH_OK) {
        code = talk_failed(&error);
    }
    unlink(path);
    loaded_free(&base);
    return code;
}

static int check_lists(const struct args *args)
{
    double values[max_list];
    size_t n = args_list(args, "T", values, max_list);
    for (size_t i = 0; i < n; i++) {
        if (values[i] > 0 && (values[i] < 1 || floor(values[i]) == values[i])) continue;
        return talk_error(EXIT_USAGE, "T >= 1 is a whole number of buckets; T < 1 a probability",
                          "-T %s: %g is neither", args_text(args, "T"), values[i]);
    }
    n = args_list(args, "recall", values, max_list);
    for (size_t i = 0; i < n; i++) {
        if (values[i] > 0 && values[i] < 1) continue;
        return talk_error(EXIT_USAGE, NULL, "--recall %s: %g must lie between 0 and 1",
                          args_text(args, "recall"), values[i]);
    }
    return 0;
}

static int prepare(struct bench *b)
{
    struct nlsh_error error = {0};
    const struct args *args = b->args;
    const char *type = args_text(args, "type");
    run_init(args, &b->run);
    b->k = args_count(args, "N");
    b->row_seconds = args_real(args, "seconds");
    b->index_name = args_text(args, "i");
    int code = check_lists(args);
    if (code != 0) return code;
    if (b->index_name == NULL) {
        code = make_index(b);
        if (code != 0) return code;
    } else if (nlsh_index_open(b->index_name, &b->index, &error) != NLSH_OK) {
        return talk_failed(&error);
    }
    const char *name = b->index_name ? b->index_name : "made for this table";
    nlsh_index_info(b->index, &b->info);
    code = load_base_of(args_text(args, "d"), type, name, &b->info, &b->base);
    if (code == 0) code = load_queries(args_text(args, "q"), type, name, &b->info, &b->queries);
    if (code == 0 && nlsh_ground_truth(&b->base.matrix, &b->queries.matrix, b->k, &b->run,
                                       &b->truth, &error) != NLSH_OK) {
        code = talk_failed(&error);
    }
    return code;
}

int cmd_bench(const struct args *args)
{
    struct bench *b = calloc(1, sizeof *b);
    if (b == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    b->args = args;
    int code = prepare(b);
    if (code == 0) code = run_exact(b);
    if (code == 0) code = run_ivf(b);
    if (code == 0) code = run_nlsh(b);
    talk_stage_end();
    if (code == 0) {
        code = args_given(args, "json")  ? print_as_json(b)
               : args_given(args, "csv") ? print_csv(b)
                                         : print_table(b);
    }
    nlsh_searcher_free(b->searcher);
    nlsh_ivfflat_free(b->ivf);
    nlsh_neighbors_free(&b->truth);
    loaded_free(&b->queries);
    loaded_free(&b->base);
    nlsh_index_close(b->index);
    free(b);
    return code;
}
