/* cmd_cache.c - `nlsh cache list` and `nlsh cache clear`. */
#define _XOPEN_SOURCE 700
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "cache/directory.h"
#include "json.h"
#include "layout.h"
#include "near.h"
#include "nlsh/learn.h"
#include "numbers.h"
#include "output.h"
#include "talk.h"
#include "text.h"
#include "verbs.h"

static int list_json(const char *dir, const struct nlsh__cache_file *entries, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) {
        json_add(&array,
                 json_pack("{s:o, s:o, s:I, s:I, s:b}", "name", json_name(entries[i].name), "what",
                           json_name(entries[i].what), "bytes", (json_int_t)entries[i].size_bytes,
                           "mtime", (json_int_t)entries[i].mtime, "damaged",
                           entries[i].damaged != 0));
    }
    return print_json(json_pack("{s:o, s:o}", "directory", json_name(dir), "entries", array));
}

static int list_text(const char *dir, const struct nlsh__cache_file *entries, size_t n)
{
    char size[32], when[32], what[sizeof entries->what];
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++) {
        time_t seconds = (time_t)entries[i].mtime;
        struct tm local;
        total += entries[i].size_bytes;
        if (localtime_r(&seconds, &local) == NULL ||
            strftime(when, sizeof when, "%Y-%m-%d %H:%M", &local) == 0) {
            snprintf(when, sizeof when, "-");
        }
        int column = printf("%9s  %s  ", text_bytes(entries[i].size_bytes, size), when);
        int more = entries[i].damaged ? printf("(damaged: it will be made anew) ") : 0;
        layout_wrapped(stdout, text_shown(entries[i].what, what, sizeof what),
                       (size_t)column + (size_t)more, (size_t)column, layout_columns(stdout));
    }
    talk_say("%s: %zu entr%s, %s", dir, n, n == 1 ? "y" : "ies", text_bytes(total, size));
    return finish_stdout();
}

static int list(const struct args *args, const char *dir)
{
    struct nlsh_error error = {0};
    struct nlsh__cache_file *entries = NULL;
    size_t n = 0;
    if (nlsh__cache_list(dir, &entries, &n, &error) != NLSH_OK) return talk_failed(&error);
    int code = args_given(args, "json") ? list_json(dir, entries, n) : list_text(dir, entries, n);
    free(entries);
    return code;
}

static int clear(const struct args *args, const char *dir)
{
    struct nlsh_error error = {0};
    size_t n = 0;
    if (nlsh__cache_clear(dir, &n, &error) != NLSH_OK) return talk_failed(&error);
    talk_say("%s: %zu entr%s removed", dir, n, n == 1 ? "y" : "ies");
    if (!args_given(args, "json")) return 0;
    return print_json(
        json_pack("{s:o, s:I}", "directory", json_name(dir), "removed", (json_int_t)n));
}

int cmd_cache(const struct args *args)
{
    char word[64], hint[128];
    const char *dir =
        args_given(args, "cache") ? args_text(args, "cache") : nlsh_cache_default_dir();
    if (dir == NULL) {
        return talk_error(EXIT_USAGE, "give --cache DIR, or set NLSH_CACHE or HOME",
                          "there is no cache directory");
    }
    if (strcmp(args->words[0], "list") == 0) return list(args, dir);
    if (strcmp(args->words[0], "clear") == 0) return clear(args, dir);
    if (choice_suggest("{list,clear}", args->words[0], word, sizeof word)) {
        snprintf(hint, sizeof hint, "did you mean `nlsh cache %s`?", word);
    } else {
        snprintf(hint, sizeof hint, "it is `nlsh cache list` or `nlsh cache clear`");
    }
    return talk_error(EXIT_USAGE, hint, "nlsh cache cannot %s", args->words[0]);
}
