/*
 * cmd_build.c - `nlsh build`: base in, index out. Settings are the defaults, then --config, then
 * the flags.
 */
#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base.h"
#include "base/names.h"
#include "build.h"
#include "inputs.h"
#include "json.h"
#include "keys.h"
#include "layout.h"
#include "numbers.h"
#include "output.h"
#include "settings.h"
#include "shards.h"
#include "talk.h"
#include "timing.h"
#include "tune.h"
#include "verbs.h"

static const char *const stage_names[NLSH_N_STAGES] = {"k-NN graph", "partition", "training",
                                                       "index file"};
static const char *const stage_keys[NLSH_N_STAGES] = {"graph", "partition", "train", "write"};

/* ---- what is printed ------------------------------------------------------------------------- */

/* "knn            20         neighbours of ...", wrapped. What stands behind ";" in a setting's help
 * explains auto, which is resolved here. */
static void print_setting(const struct nlsh_setting *setting, const char *value)
{
    char help[512];
    int at = printf("%-14s %-10s ", setting->name, value);
    snprintf(help, sizeof help, "%.*s", (int)strcspn(setting->help, ";"), setting->help);
    layout_wrapped(stdout, help, (size_t)at, 26, layout_columns(stdout));
}

int build_print_dry_run(const struct args *args, const struct nlsh_build_options *options,
                        const struct nlsh_matrix *base, const struct nlsh_build_forecast *forecast)
{
    const struct nlsh_setting *setting;
    char text[64], a[32], b[32], c[32], line[160];
    if (args_given(args, "json")) {
        return print_json(json_pack(
            "{s:o, s:{s:f, s:I, s:I, s:I}}", "settings", settings_json(options), "forecast",
            "seconds", forecast->seconds, "peak_bytes", (json_int_t)forecast->peak_bytes,
            "index_bytes", (json_int_t)forecast->index_bytes, "disk_bytes",
            (json_int_t)forecast->disk_bytes));
    }
    printf("%-14s %s x %zu %s\n", "vectors", text_count(base->n_rows, a), base->dim,
           type_name(base->type));
    for (size_t i = 0; (setting = nlsh_build_setting(i)) != NULL; i++) {
        if (nlsh_build_options_get(options, setting->name, text, sizeof text)) {
            print_setting(setting, text);
        }
    }
    int n = snprintf(line, sizeof line, "about %s, %s of memory, an index of %s",
                     text_seconds(forecast->seconds, text), text_bytes(forecast->peak_bytes, a),
                     text_bytes(forecast->index_bytes, b));
    if (forecast->disk_bytes > forecast->index_bytes)
        snprintf(line + n, sizeof line - (size_t)n, ", %s of its disk while it is made",
                 text_bytes(forecast->disk_bytes, c));
    printf("%-14s ", "forecast");
    layout_wrapped(stdout, line, 15, 15, layout_columns(stdout));
    return finish_stdout();
}

void build_say_report(const char *path, const struct nlsh_build_options *options,
                      const struct nlsh_build_report *report, double total)
{
    char a[32], b[32];
    for (int i = 0; i < NLSH_N_STAGES; i++) {
        talk_say("  %-12s %10s%s", stage_names[i], text_seconds(report->seconds[i], a),
                 report->from_cache[i] ? "   from the cache" : "");
    }
    talk_say("  %-12s %10s", "in all", text_seconds(total, a));
    talk_say("%s: %s, %zu buckets by %s, %.1f %% of the graph cut, loss %.3f", path,
             text_bytes(report->index_bytes, a), options->n_buckets,
             nlsh__name(NLSH__PARTITIONER, (int)report->partitioner), 100 * report->edge_cut,
             report->loss);
    if (report->store_error_most > 0)
        talk_say("vectors are kept as %s: off by %.2g of their length, %.2g at most",
                 nlsh__name(NLSH__STORE, (int)options->store), report->store_error,
                 report->store_error_most);
    if (!isfinite(report->held_out_candidates) || report->held_out_candidates <= 0) return;
    text_count((uint64_t)llround(report->held_out_candidates), a);
    text_count((uint64_t)llround(report->held_out_scanned), b);
    bool fewer = report->held_out_scanned < report->held_out_candidates;
    talk_say("recall .95 on held-out vectors: a query needs the buckets of %s vectors%s%s%s", a,
             fewer ? ", and with leaves scans about " : "", fewer ? b : "",
             fewer ? " of them" : "");
}

json_t *build_report_json(const char *path, const struct nlsh_build_options *options,
                          const struct nlsh_build_report *report, double total)
{
    json_t *stages = json_object();
    for (int i = 0; i < NLSH_N_STAGES; i++) {
        json_set(&stages, stage_keys[i],
                 json_pack("{s:f, s:b}", "seconds", report->seconds[i], "from_cache",
                           report->from_cache[i] != 0));
    }
    return json_pack(
        "{s:o, s:I, s:o, s:f, s:s, s:o, s:o, s:o, s:o, s:f, s:f, s:o}", "index", json_name(path),
        "index_bytes", (json_int_t)report->index_bytes, "stages", stages, "seconds", total,
        "partitioner", nlsh__name(NLSH__PARTITIONER, (int)report->partitioner), "edge_cut",
        json_number_or_null(report->edge_cut), "loss", json_number_or_null(report->loss),
        "held_out_candidates", json_number_or_null(report->held_out_candidates), "held_out_scanned",
        json_number_or_null(report->held_out_scanned), "store_error", report->store_error,
        "store_error_most", report->store_error_most, "settings", settings_json(options));
}

/* ---- the verb -------------------------------------------------------------------------------- */

static int build_loaded(const struct args *args, const struct loaded *base,
                        struct nlsh_build_options *options)
{
    struct nlsh_error error = {0};
    struct nlsh_build_forecast forecast = {.struct_size = sizeof forecast};
    struct nlsh_build_report report = {.struct_size = sizeof report};
    struct nlsh_run run;
    const char *path = args_text(args, "i");
    double began = now_seconds();

    bool dry = args_given(args, "dry-run");
    run_init(args, &run);
    if (nlsh_build_resolve(&base->matrix, options, &run, dry ? &forecast : NULL, &error) !=
        NLSH_OK) {
        return talk_failed(&error);
    }
    if (dry) {
        return build_print_dry_run(args, options, &base->matrix, &forecast);
    }
    if (nlsh_build(&base->matrix, options, path, &run, &report, &error) != NLSH_OK) {
        if (error.status == NLSH_E_INTERRUPTED) {
            snprintf(error.hint, sizeof error.hint, "%s",
                     run.cache_dir ? "finished stages are in the cache: the same command goes on "
                                     "from there"
                                   : "");
        }
        return talk_failed(&error);
    }
    talk_stage_end();
    double total = now_seconds() - began;
    build_say_report(path, options, &report, total);
    if (!args_given(args, "json")) return 0;
    return print_json(build_report_json(path, options, &report, total));
}

int build_check_target(const struct args *args, int (*same)(void *user, uint64_t *hash), void *user)
{
    struct nlsh_error error = {0};
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct stat st;
    uint64_t hash;
    const char *path = args_text(args, "i");
    if (args_given(args, "force") || stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return 0;
    if (nlsh_index_open(path, NULL, &index, &error) != NLSH_OK) {
        return talk_error(EXIT_CANNOT_WRITE, "give another name, or --force to overwrite it",
                          "%s is there, and is no index that this nlsh can open", path);
    }
    (void)!nlsh_index_info(index, &info, NULL);
    nlsh_index_close(index);
    int code = same(user, &hash);
    if (code != 0 || info.data_hash == hash) return code;
    return talk_error(EXIT_CANNOT_WRITE, "give another name, or --force to overwrite it",
                      "%s holds an index of other vectors", path);
}

static int hash_matrix(void *matrix, uint64_t *hash)
{
    *hash = nlsh_data_hash(matrix);
    return 0;
}

int build_read_keys(const struct args *args, const struct span *span, uint64_t **memory,
                    const uint64_t **keys)
{
    *memory = NULL;
    *keys = NULL;
    if (!args_given(args, "keys")) return 0;
    int code = keys_read(args_text(args, "keys"), span->n_all, memory);
    if (code == 0) *keys = *memory + span->first;
    return code;
}

int build_check_output(const struct args *args)
{
    const char *inputs[MAX_INPUTS];
    return output_check_file(args_text(args, "i"), "-i", inputs, args_inputs(args, inputs));
}

static int build_from(const struct args *args, const struct loaded *base, const struct span *span,
                      const struct nlsh_build_options *settings)
{
    struct nlsh_build_options options = *settings;
    struct nlsh_matrix matrix = base->matrix;
    uint64_t *keys = NULL;
    struct loaded queries = {0};
    int code = args_given(args, "dry-run") ? 0 : build_check_target(args, hash_matrix, &matrix);
    if (code == 0) code = build_read_keys(args, span, &keys, &options.keys);
    if (code == 0 && args_given(args, "train_queries")) {
        code = load_vectors(args_text(args, "train_queries"), vectors_type(args), &queries);
        options.train_queries = &queries.matrix;
    }
    if (code == 0) code = build_loaded(args, base, &options);
    loaded_free(&queries);
    free(keys);
    return code;
}

int cmd_build(const struct args *args)
{
    struct nlsh_build_options options;
    struct loaded base;
    struct span span;
    int code, streamed;
    if (strcmp(args_text(args, "mode"), "tune") == 0) {
        const char *wrong = args_given(args, "keys")            ? "keys"
                            : args_given(args, "train_queries") ? "train_queries"
                                                                : NULL;
        if (wrong == NULL) return cmd_tune(args);
        return talk_error(EXIT_USAGE, "leave it out", "--%s is for a build, and this is tuning",
                          wrong);
    }
    if (tune_flag_given(args, &code)) return code;
    if (!args_given(args, "i") && !args_given(args, "dry-run")) {
        return talk_error(EXIT_USAGE, "usage: nlsh build -d BASE -i INDEX [flags]",
                          "nlsh build needs -i INDEX");
    }
    if (shards_in_ranks()) return build_shards(args);
    code = settings_read(args, &options);
    if (code == 0) code = build_streamed(args, &options, &streamed);
    if (code != 0 || streamed) return code;
    if (!args_given(args, "dry-run")) code = build_check_output(args);
    if (code == 0) code = base_load(args, &base, &span);
    if (code != 0) return code;
    code = build_from(args, &base, &span, &options);
    loaded_free(&base);
    return code;
}
