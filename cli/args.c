/*
 * args.c - the parser over the tables of verbs and flags.
 *
 * Every flag may be written with one dash or two, with "=" or a space before its value, with "-"
 * or "_" inside its name. A flag that comes twice counts the last time, but for the one that may be
 * repeated. A word that follows a flag is its value if it is a number, "-", or does not begin with a
 * dash. A choice may be written in any case of letters.
 */
#include "args.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "layout.h"
#include "near.h"
#include "talk.h"

/* ---- flags by name --------------------------------------------------------------------------- */

/* "batch_size", "batch-size" and "Batch-size"? The first two are one name; case counts. */
static bool same_name(const char *a, size_t length, const char *b)
{
    if (b == NULL || strlen(b) != length) return false;
    for (size_t i = 0; i < length; i++) {
        char x = a[i] == '_' ? '-' : a[i];
        char y = b[i] == '_' ? '-' : b[i];
        if (x != y) return false;
    }
    return true;
}

static bool find_flag(const struct args *args, const char *name, size_t length, size_t *index)
{
    for (size_t i = 0; i < args->n_flags; i++) {
        if (same_name(name, length, args->flags[i]->name) ||
            same_name(name, length, args->flags[i]->alias)) {
            *index = i;
            return true;
        }
    }
    return false;
}

static const struct flag *nearest_flag(const struct args *args, const char *name, size_t *distance)
{
    const struct flag *best = NULL;
    *distance = NOT_NEAR;
    for (size_t i = 0; i < args->n_flags; i++) {
        size_t here = nearness(name, args->flags[i]->name);
        if (here >= *distance) continue;
        *distance = here;
        best = args->flags[i];
    }
    return best;
}

/* The first verb that has a flag of this name, and the flag; NULL where none has. */
static const struct verb *verb_with(const char *name, const struct flag **flag)
{
    const struct verb *verb;
    for (size_t v = 0; (verb = verb_at(v)) != NULL; v++) {
        struct args other = {.verb = verb};
        size_t index;
        other.n_flags = verb_flags(verb, other.flags);
        if (!find_flag(&other, name, strlen(name), &index)) continue;
        *flag = other.flags[index];
        return verb;
    }
    return NULL;
}

static int unknown_flag(const struct args *args, const char *word, size_t length)
{
    char name[64], hint[256], dashed[64];
    const char *ours = args->verb->name;
    const struct flag *theirs;
    size_t distance;
    snprintf(name, sizeof name, "%.*s", (int)length, word + strspn(word, "-"));
    const struct flag *near = nearest_flag(args, name, &distance);
    const struct verb *verb = distance > 0 ? verb_with(name, &theirs) : NULL;
    if (verb != NULL) {
        snprintf(hint, sizeof hint, "%s belongs to `nlsh %s`; `nlsh %s --help` lists what %s takes",
                 flag_dashed(theirs->name, dashed), verb->name, ours, ours);
    } else if (near != NULL) {
        snprintf(hint, sizeof hint, "did you mean %s? `nlsh %s --help` lists all flags",
                 flag_dashed(near->name, dashed), ours);
    } else {
        snprintf(hint, sizeof hint, "`nlsh %s --help` lists its flags", ours);
    }
    return talk_error(EXIT_USAGE, hint, "nlsh %s has no flag %.*s", ours,
                      (int)(strspn(word, "-") + length), word);
}

/* ---- values are checked ---------------------------------------------------------------------- */

static bool is_number(const char *text)
{
    char *end;
    if (text[0] == '\0' || isspace((unsigned char)text[0])) return false;
    strtod(text, &end);
    return *end == '\0';
}

/* Whether a text is a number that the flag allows; says what is wrong otherwise. */
static int check_number(const struct flag *flag, const char *text)
{
    char dashed[64], range[128];
    double value = is_number(text) ? strtod(text, NULL) : NAN;
    bool good = isfinite(value) && value >= flag->min && value <= flag->max;
    if (flag->kind == FLAG_COUNT) good = good && text[strspn(text, "0123456789")] == '\0';
    if (good) return 0;
    if (isinf(flag->min)) {
        snprintf(range, sizeof range, "a number");
    } else if (isinf(flag->max)) {
        snprintf(range, sizeof range, "a number not below %g", flag->min);
    } else {
        snprintf(range, sizeof range, "a %snumber from %.16g to %.16g",
                 flag->kind == FLAG_COUNT ? "whole " : "", flag->min, flag->max);
    }
    flag_dashed(flag->name, dashed);
    return talk_error(EXIT_USAGE, flag->help, "%s %s: it must be %s", dashed, text, range);
}

static int check_list(const struct flag *flag, const char *text)
{
    char one[64];
    while (true) {
        size_t length = strcspn(text, ",");
        snprintf(one, sizeof one, "%.*s", (int)length, text);
        int code = check_number(flag, one);
        if (code != 0 || text[length] == '\0') return code;
        text += length + 1;
    }
}

/* A value that is one of the words in any case of letters becomes that word. */
static bool fold_choice(const char *argument, char *value)
{
    char word[64];
    for (size_t i = 0; choice_at(argument, i, word, sizeof word); i++) {
        if (strcasecmp(word, value) != 0) continue;
        memcpy(value, word, strlen(word));
        return true;
    }
    return false;
}

static int check_choice(const struct flag *flag, char *text)
{
    char word[64], dashed[64], hint[128];
    if (fold_choice(flag->argument, text)) return 0;
    bool near = choice_suggest(flag->argument, text, word, sizeof word);
    snprintf(hint, sizeof hint, near ? "did you mean %s?" : "it is one of %s",
             near ? word : flag->argument);
    return talk_error(EXIT_USAGE, hint, "%s %s: there is no such choice",
                      flag_dashed(flag->name, dashed), text);
}

/* The library judges settings, and knows its words in small letters only. */
static void fold_setting(const struct flag *flag, char *value)
{
    if (!fold_choice(flag->argument, value)) (void)fold_choice("{auto}", value);
}

static int check_value(const struct flag *flag, char *text)
{
    switch (flag->kind) {
    case FLAG_COUNT:
    case FLAG_REAL: return check_number(flag, text);
    case FLAG_LIST: return check_list(flag, text);
    case FLAG_CHOICE: return check_choice(flag, text);
    case FLAG_SETTING: fold_setting(flag, text); break;
    case FLAG_SWITCH:
    case FLAG_TEXT:
    case FLAG_IN:
    case FLAG_OUT:
    case FLAG_DIR: break;
    }
    return 0;
}

/* ---- the parser ------------------------------------------------------------------------------ */

/* One flag at argv[*at]; moves *at over its value. */
static int parse_flag(int argc, char **argv, int *at, struct args *out)
{
    char *word = argv[*at];
    char *name = word + (word[1] == '-' ? 2 : 1);
    size_t length = strcspn(name, "=");
    char *value = name[length] == '=' ? name + length + 1 : NULL;
    size_t index;
    char dashed[64];

    if (!find_flag(out, name, length, &index)) return unknown_flag(out, word, length);
    const struct flag *flag = out->flags[index];
    flag_dashed(flag->name, dashed);
    if (flag->kind == FLAG_SWITCH) {
        if (value != NULL) {
            return talk_error(EXIT_USAGE, NULL, "%s takes no value, so =%s means nothing", dashed,
                              value);
        }
        value = argv[*at] + strlen(argv[*at]); /* empty */
    } else if (value == NULL) {
        char *next = *at + 1 < argc ? argv[*at + 1] : NULL;
        if (next == NULL || (next[0] == '-' && next[1] != '\0' && !is_number(next))) {
            return talk_error(EXIT_USAGE, flag->help, "%s needs a value: %s %s", dashed, dashed,
                              flag->argument);
        }
        value = next;
        ++*at;
    }
    int code = check_value(flag, value);
    if (code != 0) return code;
    out->values[index] = value;
    if (!flag->repeated) return 0;
    if (out->n_repeated == MAX_REPEATED)
        return talk_error(EXIT_USAGE, NULL, "%s can be given %d times", dashed, MAX_REPEATED);
    out->repeated[out->n_repeated++] = value;
    return 0;
}

/* An INDEX that stands without -i, as the last argument. */
static int take_bare(struct args *args)
{
    size_t index;
    const char *bare = args->verb->bare;
    if (bare == NULL || args->n_words <= args->verb->max_words ||
        !find_flag(args, bare, strlen(bare), &index))
        return 0;
    const char *word = args->words[--args->n_words];
    if (args->values[index] != NULL)
        return talk_error(EXIT_USAGE, "leave one of them out", "two indexes are named, %s and -%s",
                          word, bare);
    args->values[index] = word;
    return 0;
}

static int check_complete(const struct args *args)
{
    char dashed[64], hint[256];
    const struct verb *verb = args->verb;
    snprintf(hint, sizeof hint, "usage: nlsh %s %s", verb->name, verb->usage);
    for (size_t i = 0; i < args->n_flags; i++) {
        const struct flag *flag = args->flags[i];
        if (flag->needed && args->values[i] == NULL) {
            return talk_error(EXIT_USAGE, hint, "nlsh %s needs %s %s", verb->name,
                              flag_dashed(flag->name, dashed), flag->argument);
        }
    }
    if (args->n_words < verb->min_words) {
        return talk_error(EXIT_USAGE, hint, "nlsh %s needs %zu argument%s, %zu given", verb->name,
                          verb->min_words, verb->min_words == 1 ? "" : "s", args->n_words);
    }
    return 0;
}

/* --help anywhere, and --color, which help and what is said of wrong flags mind. */
static int look_ahead(int argc, char **argv, struct args *out, bool *wants_help)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *name = argv[i] + strspn(argv[i], "-");
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-help") == 0 ||
            strcmp(argv[i], "-h") == 0) {
            *wants_help = true;
        } else if (argv[i][0] == '-' && strncmp(name, "color", 5) == 0) {
            int code = parse_flag(argc, argv, &i, out);
            if (code != 0) return code;
        }
    }
    layout_set_colours(args_text(out, "color"));
    return 0;
}

int args_parse(const struct verb *verb, int argc, char **argv, struct args *out, bool *wants_help)
{
    bool only_words = false;
    memset(out, 0, sizeof *out);
    *wants_help = false;
    out->verb = verb;
    out->n_flags = verb_flags(verb, out->flags);
    int code = look_ahead(argc, argv, out, wants_help);
    if (code != 0 || *wants_help) return code;
    for (int i = 0; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1] != '\0') {
            code = parse_flag(argc, argv, &i, out);
            if (code != 0) return code;
        } else if (out->n_words < verb->max_words + (verb->bare != NULL)) {
            out->words[out->n_words++] = argv[i];
        } else {
            char hint[256];
            snprintf(hint, sizeof hint, "usage: nlsh %s %s", verb->name, verb->usage);
            return talk_error(EXIT_USAGE, hint, "nlsh %s: what is %s for?", verb->name, argv[i]);
        }
    }
    code = take_bare(out);
    return code == 0 ? check_complete(out) : code;
}

/* ---- values ---------------------------------------------------------------------------------- */

bool args_has(const struct args *args, const char *name)
{
    size_t index;
    return find_flag(args, name, strlen(name), &index);
}

static size_t index_of(const struct args *args, const char *name)
{
    size_t index;
    if (find_flag(args, name, strlen(name), &index)) return index;
    /* A verb asks for a flag that the table does not give it: our bug. */
    (void)talk_error(EXIT_BUG, NULL, "nlsh %s reads a flag that it does not have: %s",
                     args->verb->name, name);
    exit(EXIT_BUG);
}

bool args_given(const struct args *args, const char *name)
{
    return args->values[index_of(args, name)] != NULL;
}

const char *args_text(const struct args *args, const char *name)
{
    size_t index = index_of(args, name);
    return args->values[index] ? args->values[index] : args->flags[index]->default_value;
}

const char *const *args_all(const struct args *args, const char *name, size_t *n)
{
    size_t index = index_of(args, name);
    *n = args->flags[index]->repeated ? args->n_repeated : args->values[index] != NULL;
    return args->flags[index]->repeated ? args->repeated : &args->values[index];
}

size_t args_inputs(const struct args *args, const char *out[MAX_INPUTS])
{
    size_t n = 0;
    for (size_t i = 0; i < args->n_flags; i++) {
        if (args->flags[i]->kind == FLAG_IN && !args->flags[i]->repeated && args->values[i] != NULL)
            out[n++] = args->values[i];
    }
    for (size_t i = 0; i < args->n_repeated; i++) out[n++] = args->repeated[i];
    return n;
}

size_t args_count(const struct args *args, const char *name)
{
    const char *text = args_text(args, name);
    return text ? (size_t)strtoull(text, NULL, 10) : 0;
}

double args_real(const struct args *args, const char *name)
{
    const char *text = args_text(args, name);
    return text ? strtod(text, NULL) : 0;
}

size_t args_list(const struct args *args, const char *name, double *out, size_t max)
{
    const char *text = args_text(args, name);
    size_t n = 0;
    while (text != NULL && n < max) {
        out[n++] = strtod(text, NULL);
        text = strchr(text, ',');
        if (text != NULL) text++;
    }
    return n;
}
