/* cmd_info.c - `nlsh info` and `nlsh verify`. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "inputs.h"
#include "numbers.h"
#include "output.h"
#include "talk.h"
#include "verbs.h"

/* INDEX or -i INDEX; one of them, not both. NULL after saying what is wrong. */
static const char *index_path(const struct args *args)
{
    bool flag = args_given(args, "i");
    if (flag != (args->n_words > 0)) return flag ? args_text(args, "i") : args->words[0];
    talk_error(EXIT_USAGE, flag ? "leave one of them out" : "name the file behind the command",
               flag ? "two indexes are named, %s and -i" : "nlsh %s needs an INDEX",
               flag ? args->words[0] : args->verb->name);
    return NULL;
}

static json_t *info_json(const char *path, const struct nlsh_index *index,
                         const struct nlsh_index_info *info, json_t *settings)
{
    struct nlsh_section_info section = {.struct_size = sizeof section};
    char hash[32];
    json_t *sections = json_object();
    snprintf(hash, sizeof hash, "%016" PRIx64, info->data_hash);
    for (size_t i = 0; nlsh_index_section(index, i, &section); i++) {
        json_object_set_new(sections, section.name,
                            json_pack("{s:I, s:I}", "offset", (json_int_t)section.offset, "bytes",
                                      (json_int_t)section.size_bytes));
    }
    return json_pack(
        "{s:o, s:I, s:{s:I, s:I, s:s, s:s, s:s}, s:{s:I, s:I, s:f, s:I}, s:{s:I, s:o}, s:O, s:o}",
        "file", json_name(path), "bytes", (json_int_t)info->size_bytes, "vectors", "count",
        (json_int_t)info->n_rows, "dim", (json_int_t)info->dim, "type", type_name(info->type),
        "hash", hash, "metric", nlsh_metric_name(info->metric), "buckets", "count",
        (json_int_t)info->n_buckets, "min", (json_int_t)info->bucket_min, "mean",
        (double)info->n_rows / (double)info->n_buckets, "max", (json_int_t)info->bucket_max,
        "router", "weights", (json_int_t)info->router_weights, "disagreement",
        json_number_or_null(info->disagreement), "settings", settings, "sections", sections);
}

static void print_settings(const json_t *settings)
{
    const char *key;
    json_t *value;
    size_t column = 0;
    json_object_foreach((json_t *)settings, key, value)
    {
        char line[256];
        char *text = json_is_string(value)
                         ? NULL
                         : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        int length =
            snprintf(line, sizeof line, "%s=%s", key, text ? text : json_string_value(value));
        free(text);
        if (column == 0 || column + 2 + (size_t)length > 80) {
            printf("%s", column ? "\n              " : "settings      ");
            column = 14;
        } else {
            printf("  ");
            column += 2;
        }
        printf("%s", line);
        column += (size_t)length;
    }
    if (column > 0) putchar('\n');
}

static void print_info(const char *path, const struct nlsh_index *index,
                       const struct nlsh_index_info *info, const json_t *settings)
{
    struct nlsh_section_info section = {.struct_size = sizeof section};
    char a[32], b[32], c[32];
    printf("file          %s, %s\n", path, text_bytes(info->size_bytes, a));
    printf("vectors       %s x %zu %s, metric %s, content hash %016" PRIx64 "\n",
           text_count(info->n_rows, a), info->dim, type_name(info->type),
           nlsh_metric_name(info->metric), info->data_hash);
    printf("buckets       %s: min %s, mean %.1f, max %s vectors\n", text_count(info->n_buckets, a),
           text_count(info->bucket_min, b), (double)info->n_rows / (double)info->n_buckets,
           text_count(info->bucket_max, c));
    printf("router        %s weights", text_count(info->router_weights, a));
    if (isfinite(info->disagreement)) {
        printf("; it would put %.1f %% of the vectors elsewhere", 100 * info->disagreement);
    }
    putchar('\n');
    if (json_is_object(settings)) {
        print_settings(settings);
    } else {
        printf("settings      %s\n", info->settings ? info->settings : "");
    }
    for (size_t i = 0; nlsh_index_section(index, i, &section); i++) {
        printf("%-13s %-16s %15s bytes  %5.1f %%\n", i == 0 ? "sections" : "", section.name,
               text_count(section.size_bytes, a),
               100.0 * (double)section.size_bytes / (double)info->size_bytes);
    }
}

int cmd_info(const struct args *args)
{
    struct nlsh_error error = {0};
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    const char *path = index_path(args);
    if (path == NULL) return EXIT_USAGE;
    if (nlsh_index_open(path, NULL, &index, &error) != NLSH_OK) return talk_failed(&error);
    (void)!nlsh_index_info(index, &info, NULL);
    json_t *settings = info.settings ? json_loads(info.settings, 0, NULL) : NULL;
    if (settings == NULL) settings = json_null();
    int code;
    if (args_given(args, "json")) {
        code = print_json(info_json(path, index, &info, settings));
    } else {
        print_info(path, index, &info, settings);
        code = finish_stdout();
    }
    json_decref(settings);
    nlsh_index_close(index);
    return code;
}

int cmd_verify(const struct args *args)
{
    struct nlsh_error error = {0};
    const char *path = index_path(args);
    if (path == NULL) return EXIT_USAGE;
    enum nlsh_status status = nlsh_index_verify(path, &error);
    bool damaged = status == NLSH_E_DATA;
    if (status != NLSH_OK && !damaged) return talk_failed(&error);
    if (damaged) {
        talk_error(EXIT_NO, error.hint[0] ? error.hint : "copy it again, or build it anew", "%s",
                   error.message);
    }
    if (args_given(args, "json")) {
        json_t *answer = json_pack("{s:o, s:b}", "file", json_name(path), "ok", !damaged);
        if (damaged) json_object_set_new(answer, "damage", json_name(error.message));
        int code = print_json(answer);
        if (code != 0) return code;
    } else if (!damaged && !args_given(args, "quiet")) {
        printf("%s: every section agrees with its checksum\n", path);
        int code = finish_stdout();
        if (code != 0) return code;
    }
    return damaged ? EXIT_NO : 0;
}
