/*
 * cmd_bench.c - `nlsh bench`: a table of recall and speed, ours beside exact scans and the methods
 * that people compare with, all in one run.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base.h"
#include "bench/bench.h"
#include "near.h"
#include "output.h"
#include "talk.h"
#include "timing.h"
#include "truth.h"
#include "verbs.h"

enum { max_list = 32 };

/* ---- what is asked --------------------------------------------------------------------------- */

static int check_lists(const struct args *args)
{
    double values[max_list];
    size_t n = args_list(args, "T", values, max_list);
    for (size_t i = 0; i < n; i++) {
        if (values[i] > 0 && (values[i] < 1 || floor(values[i]) == values[i])) continue;
        return talk_error(EXIT_USAGE, "T >= 1 is a whole number of buckets; T < 1 a probability",
                          "-T %s: %g is neither a number of buckets nor a probability",
                          args_text(args, "T"), values[i]);
    }
    n = args_list(args, "recall", values, max_list);
    for (size_t i = 0; i < n; i++) {
        if (values[i] > 0 && values[i] < 1) continue;
        return talk_error(EXIT_USAGE, NULL, "--recall %s: %g must lie between 0 and 1",
                          args_text(args, "recall"), values[i]);
    }
    return 0;
}

/* "{brute,lsh,...}" of all methods. */
static void all_methods(char *buffer, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < n_bench_kinds && at < size; i++) {
        at += (size_t)snprintf(buffer + at, size - at, "%c%s", i ? ',' : '{', bench_kinds[i].word);
    }
    if (at < size) snprintf(buffer + at, size - at, "}");
}

/* Which of the methods are named; 0 or an exit code. */
static int read_methods(const struct args *args, bool *wanted)
{
    char word[32], all[128], near[32], hint[192];
    const char *at = args_text(args, "methods");
    all_methods(all, sizeof all);
    while (true) {
        size_t length = strcspn(at, ","), i = 0;
        snprintf(word, sizeof word, "%.*s", (int)length, at);
        while (i < n_bench_kinds && strcasecmp(bench_kinds[i].word, word) != 0) i++;
        if (i == n_bench_kinds) {
            bool is_near = choice_suggest(all, word, near, sizeof near);
            snprintf(hint, sizeof hint, is_near ? "did you mean %s?" : "it is any of %s",
                     is_near ? near : all);
            return talk_error(EXIT_USAGE, hint, "--methods %s: there is no method \"%s\"",
                              args_text(args, "methods"), word);
        }
        wanted[i] = true;
        if (at[length] == '\0') return 0;
        at += length + 1;
    }
}

/* ---- what is needed -------------------------------------------------------------------------- */

/* Makes an index with default settings in a file that is gone as soon as it is mapped. */
static int make_index(struct bench *b)
{
    struct nlsh_error error = {0};
    struct nlsh_build_options options;
    struct nlsh_build_report report = {.struct_size = sizeof report};
    struct loaded base;
    char path[4096];
    const char *directory = getenv("TMPDIR");
    if (directory == NULL || directory[0] == '\0') directory = "/tmp";
    snprintf(path, sizeof path, "%s/nlsh-bench-%ld.nlsh", directory, (long)getpid());
    int code = base_load(b->args, &base, NULL);
    if (code != 0) return code;
    nlsh_build_options_init(&options, sizeof options);
    double began = now_seconds();
    if (nlsh_build(&base.matrix, &options, path, &b->run, &report, &error) != NLSH_OK ||
        open_index(path, memory_named(b->args), &b->index, &error) != NLSH_OK) {
        code = talk_failed(&error);
    }
    /* What came from the cache took no time here: then nobody knows. */
    bool cached = false;
    for (size_t i = 0; i < NLSH_N_STAGES; i++) cached = cached || report.from_cache[i];
    b->index_seconds = cached ? NAN : now_seconds() - began;
    unlink(path);
    loaded_free(&base);
    return code;
}

static int find_index(struct bench *b, bool needed)
{
    struct nlsh_error error = {0};
    b->index_name = args_text(b->args, "i");
    b->index_seconds = NAN;
    if (b->index_name != NULL) {
        if (open_index(b->index_name, memory_named(b->args), &b->index, &error) != NLSH_OK)
            return talk_failed(&error);
    } else if (needed) {
        int code = make_index(b);
        if (code != 0) return code;
    }
    b->info.struct_size = sizeof b->info;
    if (b->index != NULL) (void)!nlsh_index_info(b->index, &b->info, NULL);
    return 0;
}

static int load_inputs(struct bench *b)
{
    char buffer[512];
    const char *d = base_name(b->args, buffer, sizeof buffer), *q = args_text(b->args, "q");
    const char *type = vectors_type(b->args);
    if (b->index != NULL) {
        const char *name = b->index_name ? b->index_name : "made for this table";
        if (b->info.metric != NLSH_L2) {
            return talk_error(EXIT_UNSUPPORTED, "nlsh search and evaluate know every metric",
                              "%s: metric %s, but bench compares with methods of l2 only", name,
                              nlsh_metric_name(b->info.metric));
        }
        int code = base_load_of(b->args, name, &b->info, &b->base);
        return code == 0 ? load_queries(q, type, name, &b->info, &b->queries) : code;
    }
    int code = base_load(b->args, &b->base, NULL);
    if (code != 0) return code;
    /* Floats that are all bytes are scanned as bytes, as an index would have them. */
    if (b->base.matrix.type != NLSH_I8 && !loaded_convert(&b->base, NLSH_U8) &&
        !loaded_convert(&b->base, NLSH_F32)) {
        return talk_error(EXIT_BAD_DATA, "vectors are bytes or 32-bit floats",
                          "%s holds whole numbers that no 32-bit float can hold", d);
    }
    struct nlsh_index_info like = {.dim = b->base.matrix.dim, .type = b->base.matrix.type};
    return load_queries(q, type, d, &like, &b->queries);
}

static int prepare(struct bench *b, const bool *wanted)
{
    struct nlsh_error error = {0};
    bool needed = false;
    run_init(b->args, &b->run);
    nlsh_neighbors_init(&b->truth, sizeof b->truth);
    b->k = args_count(b->args, "N");
    b->row_seconds = args_real(b->args, "seconds");
    for (size_t i = 0; i < n_bench_kinds; i++) {
        needed = needed || (wanted[i] && bench_kinds[i].needs_index);
    }
    int code = find_index(b, needed);
    if (code == 0) code = load_inputs(b);
    if (code == 0 && nlsh_ground_truth(&b->base.matrix, &b->queries.matrix, NLSH_L2, b->k, &b->run,
                                       &b->truth, &error) != NLSH_OK) {
        code = talk_failed(&error);
    }
    for (size_t i = 0;
         code == 0 && b->index != NULL && b->info.has_keys && i < b->truth.n_rows * b->truth.k;
         i++) {
        b->truth.ids[i] = key_of_row(b->index, b->truth.ids[i]);
    }
    return code == 0 ? answers_create(b->queries.matrix.n_rows, b->k, &b->answers) : code;
}

/* ---- the verb -------------------------------------------------------------------------------- */

static int run_methods(struct bench *b, const bool *wanted)
{
    int code = 0;
    for (size_t i = 0; i < n_bench_kinds && code == 0; i++) {
        bool brute = strcmp(bench_kinds[i].word, "brute") == 0;
        if (wanted[i] || brute) code = bench_kinds[i].run(b);
        if (brute && !wanted[i]) b->n_rows = 0; /* measured only to compare with */
    }
    talk_stage_end();
    return code;
}

int cmd_bench(const struct args *args)
{
    struct bench b = {.args = args};
    const char *o = args_text(args, "o");
    bool *wanted = calloc(n_bench_kinds, sizeof *wanted);
    if (wanted == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    int code = check_lists(args);
    if (code == 0) code = read_methods(args, wanted);
    if (code == 0 && o != NULL) code = bench_check_output(args, o);
    if (code == 0) code = prepare(&b, wanted);
    if (code == 0) code = run_methods(&b, wanted);
    if (code == 0 && o != NULL) code = bench_write(&b, o);
    if (code == 0) code = bench_print(&b);
    free(wanted);
    free(b.rows);
    answers_free(&b.answers);
    nlsh_neighbors_free(&b.truth);
    loaded_free(&b.queries);
    loaded_free(&b.base);
    nlsh_index_close(b.index);
    return code;
}
