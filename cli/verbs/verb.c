/* verb.c - see verb.h. Each verb's own table is in another file of this folder. */
#include "verbs/verb.h"

#include <stdio.h>
#include <string.h>

#include "nlsh/learn.h"

static const struct verb *const verbs[] = {
    &verb_build,    &verb_search,    &verb_graph,   &verb_groundtruth, &verb_info,   &verb_verify,
    &verb_evaluate, &verb_calibrate, &verb_create,  &verb_add,         &verb_delete, &verb_compact,
    &verb_cache,    &verb_convert,   &verb_compare, &verb_bench,       &verb_report, &verb_tune,
    &verb_shard,    &verb_sqlite,    &verb_serve,   &verb_help,        &verb_version};

enum { N_VERBS = sizeof verbs / sizeof verbs[0], MAX_SETTINGS = 40 };

const struct verb *verb_at(size_t i)
{
    return i < N_VERBS ? verbs[i] : NULL;
}

const struct verb *verb_named(const char *name)
{
    for (size_t i = 0; i < N_VERBS; i++) {
        if (strcmp(verbs[i]->name, name) == 0) return verbs[i];
    }
    return NULL;
}

/* Every verb has it. */
static const struct flag flag_color = {.name = "color",
                                       .kind = FLAG_CHOICE,
                                       .group = GROUP_TALK,
                                       .argument = "{auto,always,never}",
                                       .default_value = "auto",
                                       .help = "colours and bold letters; auto: on a terminal"};

/* The library's settings as flags; filled on first use. */
static const struct flag *settings(size_t *n)
{
    static struct flag table[MAX_SETTINGS];
    static size_t count;
    const struct nlsh_setting *setting;
    while (count < MAX_SETTINGS && (setting = nlsh_build_setting(count)) != NULL) {
        table[count++] = (struct flag){.name = setting->name,
                                       .kind = FLAG_SETTING,
                                       .group = GROUP_SETTINGS,
                                       .argument = setting->argument,
                                       .default_value = setting->default_value,
                                       .help = setting->help};
    }
    *n = count;
    return table;
}

/* Appends those of one group. */
static size_t add_group(const struct flag *const *list, int group, size_t n,
                        const struct flag *out[MAX_FLAGS])
{
    for (; list != NULL && *list != NULL && n < MAX_FLAGS; list++) {
        if ((int)(*list)->group == group) out[n++] = *list;
    }
    return n;
}

size_t verb_flags(const struct verb *verb, const struct flag *out[MAX_FLAGS])
{
    size_t n = 0, n_settings = 0;
    const struct flag *from_library = verb->settings ? settings(&n_settings) : NULL;
    for (int group = 0; group < N_GROUPS; group++) {
        if (group == GROUP_TALK && n < MAX_FLAGS) out[n++] = &flag_color;
        n = add_group(verb->flags, group, n, out);
        n = add_group(verb->more_flags, group, n, out);
        for (size_t i = 0; i < n_settings && group == GROUP_SETTINGS && n < MAX_FLAGS; i++) {
            out[n++] = &from_library[i];
        }
    }
    return n;
}

const char *flag_dashed(const char *name, char buffer[64])
{
    /* The predecessor (in Python and C++) wrote -type and -range; so do we. */
    bool single = strlen(name) == 1 || strcmp(name, "type") == 0 || strcmp(name, "range") == 0;
    snprintf(buffer, 64, "%s%s", single ? "-" : "--", name);
    return buffer;
}

bool choice_at(const char *argument, size_t n, char *buffer, size_t buffer_size)
{
    if (argument == NULL || argument[0] != '{') return false;
    const char *at = argument + 1;
    for (;; n--) {
        size_t length = strcspn(at, ",}");
        if (n == 0) {
            snprintf(buffer, buffer_size, "%.*s", (int)length, at);
            return length > 0;
        }
        if (at[length] != ',') return false;
        at += length + 1;
    }
}
