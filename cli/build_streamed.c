/* build_streamed.c - `nlsh build` of more vectors than memory holds. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "build.h"
#include "inputs.h"
#include "json.h"
#include "numbers.h"
#include "output.h"
#include "talk.h"
#include "timing.h"
#include "vectors/read.h"

/* Of what is free, a build that chose for itself takes this share. */
#define SHARE_OF_FREE 0.8

uint64_t build_parse_size(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    static const struct {
        const char *name;
        double bytes;
    } units[] = {{"", 1}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}};
    if (end == text || !(value > 0) || value > 1e15) return 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const char *name = units[i].name;
        size_t n = strlen(name);
        if (n == 0 ? *end == '\0'
                   : (*end & ~0x20) == *name &&
                         (end[1] == '\0' || ((end[1] & ~0x20) == 'B' && end[2] == '\0')))
            return (uint64_t)fmin(value * units[i].bytes, 1e18);
    }
    return 0;
}

/* What the system says could be had; 0 where it does not say. */
static uint64_t free_memory(void)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    if (file == NULL) return 0;
    while (kib == 0 && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "MemAvailable: %llu kB", &kib) != 1) kib = 0;
    fclose(file);
    return (uint64_t)kib * 1024;
}

/* ---- one build ------------------------------------------------------------------------------- */

static int hash_rows(void *rows, uint64_t *hash)
{
    struct nlsh_error error = {0};
    return nlsh_rows_hash(rows, hash, &error) == NLSH_OK ? 0 : talk_failed(&error);
}

/* What the build settled, as the index says it. */
static void take_settled(const char *path, struct nlsh_build_options *options)
{
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    if (nlsh_index_open(path, NULL, &index, NULL) != NLSH_OK) return;
    if (nlsh_index_info(index, &info, NULL) == NLSH_OK) options->n_buckets = info.n_buckets;
    nlsh_index_close(index);
}

static int build(const struct args *args, const struct nlsh_rows *rows,
                 const struct nlsh_build_options *settings, uint64_t memory)
{
    struct nlsh_error error = {0};
    struct nlsh_build_options options = *settings;
    struct nlsh_build_report report = {.struct_size = sizeof report};
    struct nlsh_run run;
    const char *path = args_text(args, "i");
    double began = now_seconds();
    run_init(args, &run);
    if (nlsh_build_rows(rows, &options, memory, path, &run, &report, &error) != NLSH_OK)
        return talk_failed(&error);
    talk_stage_end();
    double total = now_seconds() - began;
    take_settled(path, &options);
    build_say_report(path, &options, &report, total);
    if (!args_given(args, "json")) return 0;
    return print_json(build_report_json(path, &options, &report, total));
}

static int dry_run(const struct args *args, struct base *base,
                   const struct nlsh_build_options *settings, uint64_t memory)
{
    struct nlsh_error error = {0};
    struct nlsh_build_options options = *settings;
    struct nlsh_build_forecast forecast = {.struct_size = sizeof forecast};
    struct nlsh_run run;
    const struct nlsh_rows *rows = &base->rows;
    const struct nlsh_matrix shape = {NULL, rows->n_rows, rows->dim, rows->type, 0};
    run_init(args, &run);
    if (nlsh_build_rows_resolve(rows, &options, memory, &run, &forecast, &error) != NLSH_OK)
        return talk_failed(&error);
    return build_print_dry_run(args, &options, &shape, &forecast);
}

static int build_with_keys(const struct args *args, struct base *base,
                           const struct nlsh_build_options *settings, uint64_t memory)
{
    struct nlsh_build_options options = *settings;
    uint64_t *keys = NULL;
    int code = build_check_output(args);
    if (code == 0) code = build_check_target(args, hash_rows, &base->rows);
    if (code == 0) code = build_read_keys(args, &base->span, &keys, &options.keys);
    if (code == 0) code = build(args, &base->rows, &options, memory);
    free(keys);
    return code;
}

/* ---- whether --------------------------------------------------------------------------------- */

static int is_stdin(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* To look at its header may take as long as to read it. */
static int is_compressed(const char *path)
{
    return nlsh__packed_ending(path) != NULL;
}

static int any_file(const struct args *args, int (*is)(const char *path))
{
    size_t n;
    const char *const *paths = args_all(args, "d", &n);
    for (size_t i = 0; i < n; i++)
        if (is(paths[i])) return 1;
    return 0;
}

static int wrong_with_memory(const struct args *args)
{
    if (args_given(args, "train_queries"))
        return talk_error(EXIT_USAGE, "leave one of them out",
                          "--memory and --train_queries do not go together");
    if (any_file(args, is_stdin))
        return talk_error(EXIT_USAGE, "name a file: the vectors are read three times",
                          "--memory and standard input do not go together");
    return 0;
}

/* Nobody asked: then a build that fits goes on in memory, and so does what cannot be read block by block. */
static uint64_t memory_to_choose(const struct nlsh_rows *rows,
                                 const struct nlsh_build_options *options)
{
    char a[32], b[32];
    uint64_t needed, there = free_memory();
    if (nlsh_build_memory(rows, options, &needed, NULL) != NLSH_OK || there == 0 || needed <= there)
        return 0;
    talk_say("a build in memory would take %s, and %s are free: the vectors stream past",
             text_bytes(needed, a), text_bytes(there, b));
    return (uint64_t)(SHARE_OF_FREE * (double)there);
}

int build_streamed(const struct args *args, const struct nlsh_build_options *options, int *done)
{
    struct nlsh_error error = {0};
    struct base base;
    uint64_t memory = 0;
    int asked = args_given(args, "memory"), code = 0;
    *done = asked;
    if (asked) {
        memory = build_parse_size(args_text(args, "memory"));
        if (memory == 0)
            return talk_error(EXIT_USAGE, "give bytes, or a number with K, M, G or T: --memory 2G",
                              "--memory %s is no size", args_text(args, "memory"));
        code = wrong_with_memory(args);
        if (code != 0) return code;
    } else if (args_given(args, "train_queries") || any_file(args, is_stdin) ||
               any_file(args, is_compressed)) {
        return 0;
    }
    if (base_open(args, false, &base, &error) != NLSH_OK) return asked ? talk_failed(&error) : 0;
    if (!asked) memory = memory_to_choose(&base.rows, options);
    *done = memory > 0;
    if (*done)
        code =
            (args_given(args, "dry-run") ? dry_run : build_with_keys)(args, &base, options, memory);
    base_close(&base);
    return code;
}
