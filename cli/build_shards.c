/* build_shards.c - `nlsh build` under mpirun: each rank reads a part of the base and writes a shard. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build.h"
#include "inputs.h"
#include "output.h"
#include "settings.h"
#include "shards.h"
#include "shards/make/built.h"
#include "talk.h"
#include "timing.h"

/* What one process does, or reads once. */
static int check_flags(const struct args *args)
{
    static const char *const not_here[] = {"dry-run", "train_queries"};
    size_t n;
    const char *const *paths = args_all(args, "d", &n);
    char dashed[64];
    for (size_t i = 0; i < sizeof not_here / sizeof *not_here; i++)
        if (args_given(args, not_here[i]))
            return talk_error(EXIT_USAGE, "leave it out, or leave mpirun out",
                              "%s does not go with a build by several ranks",
                              flag_dashed(not_here[i], dashed));
    for (size_t i = 0; i < n; i++)
        if (strcmp(paths[i], "-") == 0)
            return talk_error(EXIT_USAGE, "name a file: each rank reads a part of it",
                              "standard input does not go with a build by several ranks");
    if (args_given(args, "memory")) return 0;
    return talk_error(EXIT_USAGE, "give the memory of each rank, such as --memory 8G",
                      "a build by several ranks needs --memory");
}

static int say(const struct args *args, const struct nlsh_build_options *options,
               const struct nlsh_build_report *report, double total)
{
    const char *path = args_text(args, "i");
    struct nlsh__manifest m;
    struct nlsh_error error = {0};
    struct nlsh_build_report shown = *report;
    struct nlsh_build_options settled = *options;
    if (nlsh__manifest_read(path, &m, &error) != NLSH_OK) return talk_failed(&error);
    shown.index_bytes = 0;
    for (size_t i = 0; i < m.n; i++) shown.index_bytes += m.shards[i].size;
    settled.n_buckets = m.n_buckets;
    talk_stage_end();
    build_say_report(path, &settled, &shown, total);
    talk_say("%s names %zu shard%s", path, m.n, m.n == 1 ? "" : "s");
    nlsh__manifest_free(&m);
    if (!args_given(args, "json")) return 0;
    return print_json(build_report_json(path, &settled, &shown, total));
}

/* What stands there is replaced only where it names shards of the same vectors, or with --force. */
static int check_target(const struct args *args, struct base *base)
{
    struct nlsh_error error = {0};
    struct nlsh__manifest m;
    uint64_t hash;
    const char *path = args_text(args, "i"),
               *hint = "give another name, or --force to overwrite it";
    if (args_given(args, "force") || access(path, F_OK) != 0) return 0;
    if (!is_shards(path) || nlsh__manifest_read(path, &m, &error) != NLSH_OK)
        return talk_error(EXIT_CANNOT_WRITE, hint, "%s is there, and names no shards", path);
    uint64_t was = m.data_hash;
    nlsh__manifest_free(&m);
    if (nlsh_rows_hash(&base->rows, &hash, &error) != NLSH_OK) return talk_failed(&error);
    return was == hash
               ? 0
               : talk_error(EXIT_CANNOT_WRITE, hint, "%s names shards of other vectors", path);
}

static int build(const struct args *args, struct base *base,
                 const struct nlsh_build_options *settings, uint64_t memory)
{
    struct nlsh_error error = {0};
    struct nlsh_build_options options = *settings;
    struct nlsh_build_report report = {.struct_size = sizeof report};
    struct nlsh_run run;
    const struct nlsh__ranks *ranks = shards_all();
    uint64_t *keys = NULL;
    int in_step;
    double began = now_seconds();
    int code = build_read_keys(args, &base->span, &keys, &options.keys);
    if (code != 0) return code;
    run_init(args, &run);
    enum nlsh_status status =
        nlsh__build_in_ranks(&base->rows, &options, NULL, memory, args_text(args, "i"), &run, ranks,
                             &report, &in_step, &error);
    free(keys);
    if (status == NLSH_OK)
        return ranks->own == 0 ? say(args, &options, &report, now_seconds() - began) : 0;
    code = exit_code(status);
    if (ranks->own == 0 || !in_step) code = talk_failed(&error);
    if (!in_step) ranks_abort(ranks, code);
    return code;
}

int build_shards(const struct args *args)
{
    struct nlsh_error error = {0};
    struct nlsh_build_options options;
    struct base base;
    const struct nlsh__ranks *ranks = shards_all();
    int code = check_flags(args);
    if (code == 0) code = settings_read(args, &options);
    if (code != 0) return code;
    uint64_t memory = build_parse_size(args_text(args, "memory"));
    if (memory == 0)
        return talk_error(EXIT_USAGE, "give bytes, or a number with K, M, G or T: --memory 2G",
                          "--memory %s is no size", args_text(args, "memory"));
    if (base_open(args, false, &base, &error) != NLSH_OK) code = talk_failed(&error);
    if (code == 0 && ranks->own == 0) code = build_check_output(args);
    if (code == 0 && ranks->own == 0) code = check_target(args, &base);
    if (code != 0) {
        ranks_abort(ranks, code); /* others may be further */
        return code;
    }
    code = build(args, &base, &options, memory);
    base_close(&base);
    return code;
}
