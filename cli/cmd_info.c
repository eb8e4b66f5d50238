/* cmd_info.c - `nlsh info` and `nlsh verify`. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inputs.h"
#include "json.h"
#include "layout.h"
#include "numbers.h"
#include "output.h"
#include "settings.h"
#include "shards.h"
#include "shards/cut.h"
#include "talk.h"
#include "text.h"
#include "verbs.h"

/* INDEX or -i INDEX. NULL after saying that neither is there. */
static const char *index_path(const struct args *args)
{
    if (!args_given(args, "i"))
        (void)talk_error(EXIT_USAGE, "name the file behind the command", "nlsh %s needs an INDEX",
                         args->verb->name);
    return args_text(args, "i");
}

/* ---- as JSON --------------------------------------------------------------------------------- */

/* By name; where a name comes again it gets -2, -3 ... */
static json_t *sections_json(const struct nlsh_index *index)
{
    struct nlsh_section_info section = {.struct_size = sizeof section};
    json_t *sections = json_object();
    for (size_t i = 0; nlsh_index_section(index, i, &section); i++) {
        char name[64];
        snprintf(name, sizeof name, "%s", section.name);
        for (size_t n = 2; json_object_get(sections, name) != NULL; n++) {
            snprintf(name, sizeof name, "%.40s-%zu", section.name, n);
        }
        json_set(&sections, name,
                 json_pack("{s:I, s:I, s:I, s:b}", "offset", (json_int_t)section.offset, "bytes",
                           (json_int_t)section.size_bytes, "segment", (json_int_t)section.segment,
                           "used", section.used));
    }
    return sections;
}

static json_t *promises_json(const struct nlsh_index *index)
{
    json_t *array = json_array();
    struct nlsh_promise p = {.struct_size = sizeof p};
    for (size_t i = 0; nlsh_index_promise(index, i, &p); i++)
        json_add(&array, json_pack("{s:I, s:f, s:I, s:b}", "k", (json_int_t)p.k, "most", p.most,
                                   "queries", (json_int_t)p.n_queries, "sampled", p.sampled));
    return array;
}

static json_t *changes_json(const struct nlsh_index_info *info)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:b, s:I, s:f, s:f}", "log_rows",
                     (json_int_t)info->log_rows, "deleted", (json_int_t)info->n_deleted,
                     "log_bytes", (json_int_t)info->log_bytes, "log_left",
                     (json_int_t)info->log_left, "log_damaged", info->log_damaged, "since_measured",
                     (json_int_t)info->n_changed, "needed_trained", info->needed_trained,
                     "needed_now", info->needed_now);
}

static json_t *info_json(const char *path, const struct nlsh_index *index,
                         const struct nlsh_index_info *info, json_t *settings)
{
    char hash[32];
    snprintf(hash, sizeof hash, "%016" PRIx64, info->data_hash);
    json_t *all = json_pack(
        "{s:o, s:I, s:i, s:{s:I, s:I, s:s, s:s, s:s, s:b}, s:{s:I, s:I, s:f, s:I}, s:{s:I, s:o}, "
        "s:o, s:o, s:O, s:o}",
        "file", json_name(path), "bytes", (json_int_t)info->size_bytes, "format", (int)info->format,
        "vectors", "count", (json_int_t)info->n_rows, "dim", (json_int_t)info->dim, "type",
        type_name(info->type), "hash", hash, "metric", nlsh_metric_name(info->metric), "keys",
        info->has_keys, "buckets", "count", (json_int_t)info->n_buckets, "min",
        (json_int_t)info->bucket_min, "mean", (double)info->n_rows / (double)info->n_buckets, "max",
        (json_int_t)info->bucket_max, "router", "weights", (json_int_t)info->router_weights,
        "disagreement", json_number_or_null(info->disagreement), "promises", promises_json(index),
        "changes", changes_json(info), "settings", settings, "sections", sections_json(index));
    if (info->store_scale > 0) json_set(&all, "store_scale", json_real((double)info->store_scale));
    const struct nlsh__shard_header *shard = &index->shard.header;
    if (shard->n > 0)
        json_set(&all, "shard",
                 json_pack("{s:I, s:I, s:I}", "number", (json_int_t)shard->number, "of",
                           (json_int_t)shard->n, "vectors", (json_int_t)shard->n_rows));
    return all;
}

/* ---- as text --------------------------------------------------------------------------------- */

/* "m=256 labels=soft ..." for a terminal; NULL without memory. Freed by the caller. */
static char *settings_text(const json_t *settings)
{
    const char *key;
    json_t *value;
    char *text = NULL;
    size_t size, n = 0;
    bool whole = true;
    FILE *to = open_memstream(&text, &size);
    if (to == NULL) return NULL;
    json_object_foreach((json_t *)settings, key, value)
    {
        fprintf(to, "%s%s=", n++ ? " " : "", key);
        if (json_is_string(value)) {
            fputs(json_string_value(value), to);
        } else {
            whole = json_write(json_incref(value), to, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6)) &&
                    whole;
        }
    }
    whole = !ferror(to) && whole;
    if (fclose(to) == 0 && whole && text != NULL) return text_clean(text);
    free(text);
    return NULL;
}

/* A label and its text, which goes on below where the line is full. */
static void print_line(const char *label, const char *text)
{
    enum { column = 14 };
    printf("%-*s", column, label);
    layout_wrapped(stdout, text, column, column, layout_columns(stdout));
}

__attribute__((format(printf, 2, 3))) static void say(const char *label, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    print_line(label, text);
}

static int print_settings(const json_t *settings)
{
    char *text = settings_text(settings);
    if (text == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    print_line("settings", text);
    free(text);
    return 0;
}

static void print_sections(const struct nlsh_index *index, const struct nlsh_index_info *info)
{
    struct nlsh_section_info section = {.struct_size = sizeof section};
    char count[32];
    size_t unused = 0;
    for (size_t i = 0; nlsh_index_section(index, i, &section); i++) {
        printf("%-13s %-16s %15s bytes  %5.1f %%%s\n", i == 0 ? "sections" : "", section.name,
               text_count(section.size_bytes, count),
               100.0 * (double)section.size_bytes / (double)info->size_bytes,
               section.used ? "" : "  left out");
        unused += !section.used;
    }
    if (unused > 0) {
        talk_say("%zu section%s left out: a newer nlsh wrote %s, and this one does not know %s",
                 unused, unused == 1 ? " is" : "s are", unused == 1 ? "it" : "them",
                 unused == 1 ? "it" : "them");
    }
}

/* From how many queries it is known what a recall takes, and up to which. */
static void print_promises(const struct nlsh_index *index, unsigned format)
{
    struct nlsh_promise first = {.struct_size = sizeof first}, p = {.struct_size = sizeof p};
    size_t n = 0;
    double least = 1;
    char a[32], b[32];
    while (nlsh_index_promise(index, n, &p)) {
        if (n++ == 0) first = p;
        if (p.most < least) least = p.most;
    }
    if (n == 0) {
        print_line("promises", format < 3
                                   ? "none of this kind: --recall goes by thresholds of nlsh 0.1"
                                   : "none: the vectors are too few, and with --recall all are "
                                     "compared");
        return;
    }
    say("promises",
        "recall of 1 to %s neighbours, as %s %s found it, with two standard errors; above %.4f a "
        "search is exact",
        text_count(p.k, a), text_count(first.n_queries, b),
        first.sampled ? "queries of a sample" : "held-out vectors", least);
}

/* What came since the file was made, and how well its promises and its router still serve. */
static void print_changes(const struct nlsh_index_info *info)
{
    char a[32], b[32], c[32];
    double all = info->n_rows > 0 ? (double)info->n_rows : 1;
    if (info->log_rows > 0 || info->n_deleted > 0 || info->log_left > 0)
        say("log", "%s vectors put since the file was made, %s deleted or replaced; %s",
            text_count(info->log_rows, a), text_count(info->n_deleted, b),
            text_bytes(info->log_bytes, c));
    if (info->log_left > 0)
        say("", "%s at its end are no record: %s", text_bytes(info->log_left, a),
            info->log_damaged ? "DAMAGED, and not read" : "of a put that was interrupted");
    if (info->n_changed > 0)
        say("changes", "%s vectors, %.1f %%, came or went since promises were measured",
            text_count(info->n_changed, a), 100 * (double)info->n_changed / all);
    if (info->needed_trained > 0 && info->needed_now != info->needed_trained)
        say("training",
            "a query for recall .95 needs the buckets of %.0f vectors; of %.0f when the router "
            "was trained",
            info->needed_now, info->needed_trained);
}

static int print_info(const char *path, const struct nlsh_index *index,
                      const struct nlsh_index_info *info, const json_t *settings)
{
    char a[32], b[32], c[32], name[4096];
    printf("file          %s, %s\n", text_shown(path, name, sizeof name),
           text_bytes(info->size_bytes, a));
    printf("vectors       %s x %zu %s, metric %s, content hash %016" PRIx64 "\n",
           text_count(info->n_rows, a), info->dim, type_name(info->type),
           nlsh_metric_name(info->metric), info->data_hash);
    if (info->store_scale > 0)
        printf("kept as       bytes, each times %.6g\n", (double)info->store_scale);
    const struct nlsh__shard_header *shard = &index->shard.header;
    if (shard->n > 0)
        printf("shard         %u of %u, of an index of %s vectors, whose buckets these are\n",
               shard->number, shard->n, text_count(shard->n_rows, a));
    if (info->has_keys) puts("keys          given with the vectors");
    printf("buckets       %s: min %s, mean %.1f, max %s vectors\n", text_count(info->n_buckets, a),
           text_count(info->bucket_min, b),
           (double)(shard->n > 0 ? shard->n_rows : info->n_rows) / (double)info->n_buckets,
           text_count(info->bucket_max, c));
    printf("router        %s weights", text_count(info->router_weights, a));
    if (isfinite(info->disagreement)) {
        printf("; it would put %.1f %% of the vectors elsewhere", 100 * info->disagreement);
    }
    putchar('\n');
    print_promises(index, info->format);
    print_changes(info);
    int code = print_settings(settings);
    if (code != 0) return code;
    print_sections(index, info);
    return finish_stdout();
}

/* ---- the verbs ------------------------------------------------------------------------------- */

int cmd_info(const struct args *args)
{
    struct nlsh_error error = {0};
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    const char *path = index_path(args);
    if (path == NULL) return EXIT_USAGE;
    if (is_shards(path)) return info_shards(path, args_given(args, "json"));
    if (nlsh_index_open(path, NULL, &index, &error) != NLSH_OK) return talk_failed(&error);
    (void)!nlsh_index_info(index, &info, NULL);
    json_t *settings;
    int code = settings_of_index(path, info.settings, &settings);
    if (code == 0) {
        code = args_given(args, "json") ? print_json(info_json(path, index, &info, settings))
                                        : print_info(path, index, &info, settings);
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
    enum nlsh_status status =
        is_shards(path) ? nlsh__shards_verify(path, &error) : nlsh_index_verify(path, &error);
    bool damaged = status == NLSH_E_DATA;
    if (status != NLSH_OK && !damaged) return talk_failed(&error);
    if (damaged) {
        (void)talk_error(EXIT_NO, error.hint[0] ? error.hint : "copy it again, or build it anew",
                         "%s", error.message);
    }
    if (args_given(args, "json")) {
        json_t *answer = json_pack("{s:o, s:b}", "file", json_name(path), "ok", !damaged);
        if (damaged) json_set(&answer, "damage", json_name(error.message));
        int code = print_json(answer);
        if (code != 0) return code;
    } else if (!damaged && !args_given(args, "quiet")) {
        char name[4096];
        printf("%s: every section agrees with its checksum\n", text_shown(path, name, sizeof name));
        int code = finish_stdout();
        if (code != 0) return code;
    }
    return damaged ? EXIT_NO : 0;
}
