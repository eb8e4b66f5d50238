/*
 * help.c - --help and the man page, from the tables in verbs/.
 *
 * Help begins with examples, because that is what most come for.
 */
#include "help.h"

#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "nlsh/learn.h"

/* Help is also read in pipes and pages: always the same. */
enum { HELP_COLUMNS = 80 };

static const char *const group_names[N_GROUPS] = {"Files",    "Neighbours", "Tuning",
                                                  "Settings", "Run",        "Talk"};

static const struct {
    int code;
    const char *meaning;
} exits[] = {
    {0, "done"},
    {1, "a no: verify found damage, or the cache an entry that is damaged"},
    {2, "the command line or a setting is wrong"},
    {65, "an input is damaged, or two inputs do not belong together"},
    {66, "an input does not exist or may not be read"},
    {69, "a library or an instruction set that was asked for is not here"},
    {70, "a bug in nlsh, or memory could not be had"},
    {73, "an output cannot be written"},
    {74, "reading or writing failed half-way"},
    {130, "interrupted (SIGINT); nothing half-written stays"},
    {143, "ended by SIGTERM; nothing half-written stays"},
};

static const struct {
    const char *name, *meaning;
} environment[] = {
    {"NLSH_CACHE", "the cache directory"},
    {"NLSH_TOKEN", "what `nlsh serve` asks of all requests, in place of --token_file"},
    {"NLSH_CPU",
     "caps the instruction set: scalar, avx2, avxvnni, avx512, avx512vnni, avx512bf16 or amx; "
     "on ARM scalar, neon, neondot or neoni8mm"},
    {"NO_COLOR", "no colours where it is set and not empty"},
    {"TERM", "dumb: no colours and no progress bar"},
};

/* The text of a flag's default, or NULL where there is none worth saying. */
static const char *shown_default(const struct flag *flag)
{
    if (flag->default_value == NULL || flag->default_value[0] == '\0') return NULL;
    return flag->default_value;
}

static void print_flag(FILE *to, const struct flag *flag)
{
    enum { column = 26 };
    char name[64], alias[64], left[256], text[512];
    snprintf(left, sizeof left, "  %s%s%s%s%s", flag->alias ? flag_dashed(flag->alias, alias) : "",
             flag->alias ? ", " : "", flag_dashed(flag->name, name), flag->argument ? " " : "",
             flag->argument ? flag->argument : "");
    fputs(left, to);
    size_t at = strlen(left);
    if (at + 2 > column) {
        fprintf(to, "\n%*s", column, "");
    } else {
        fprintf(to, "%*s", (int)(column - at), "");
    }
    const char *standard = shown_default(flag);
    snprintf(text, sizeof text, "%s%s%s%s%s", flag->help, flag->needed ? " (needed)" : "",
             standard ? " [" : "", standard ? standard : "", standard ? "]" : "");
    layout_wrapped(to, text, column, column, HELP_COLUMNS);
}

static void print_examples(FILE *to, const struct verb *verb)
{
    layout_heading(to, "Examples");
    for (size_t i = 0; i < MAX_EXAMPLES && verb->examples[i].line; i++) {
        fprintf(to, "  # %s\n", verb->examples[i].why);
        const char *line = verb->examples[i].line;
        /* A long command is broken before a flag, as one would type it. */
        size_t at = 2;
        fputs("  ", to);
        while (*line != '\0') {
            size_t length = strcspn(line, " ");
            size_t value = line[length] == ' ' && line[0] == '-' && line[length + 1] != '-'
                               ? 1 + strcspn(line + length + 1, " ")
                               : 0;
            if (at > 6 && line[0] == '-' && at + length + value > 78) {
                fputs("\\\n      ", to);
                at = 6;
            }
            fprintf(to, "%.*s", (int)length, line);
            at += length;
            line += length;
            if (*line == ' ') {
                fputc(*line++, to);
                at++;
            }
        }
        fputc('\n', to);
    }
    fputc('\n', to);
}

void help_verb(const struct verb *verb, FILE *to)
{
    const struct flag *flags[MAX_FLAGS];
    size_t n = verb_flags(verb, flags);
    char title[128];
    int group = -1;

    snprintf(title, sizeof title, "nlsh %s: %s", verb->name, verb->summary);
    layout_heading(to, title);
    fputc('\n', to);
    print_examples(to, verb);
    layout_heading(to, "Usage");
    fprintf(to, "  nlsh %s %s\n\n  ", verb->name, verb->usage);
    layout_wrapped(to, verb->description, 2, 2, HELP_COLUMNS);
    for (size_t i = 0; i < n; i++) {
        if (flags[i]->help == NULL) continue;
        if ((int)flags[i]->group != group) {
            group = (int)flags[i]->group;
            fputc('\n', to);
            layout_heading(to, group_names[group]);
        }
        print_flag(to, flags[i]);
    }
}

void help_overview(FILE *to)
{
    const struct verb *verb;
    fputs("nlsh learns how to divide vectors into buckets, and searches by asking a small\n"
          "network which buckets to look into.\n\n",
          to);
    layout_heading(to, "Examples");
    fputs("  nlsh build -d base.fvecs -i my.nlsh\n"
          "  nlsh search -i my.nlsh -q query.fvecs -N 10\n"
          "  nlsh bench -d base.fvecs -q query.fvecs -i my.nlsh\n\n",
          to);
    layout_heading(to, "Commands");
    for (size_t i = 0; (verb = verb_at(i)) != NULL; i++) {
        fprintf(to, "  %-13s%s\n", verb->name, verb->summary);
    }
    fputs("\n`nlsh COMMAND --help` explains one. Flags take one dash or two,\n"
          "and INDEX may stand without -i.\n",
          to);
}

/* ---- man page -------------------------------------------------------------------------------- */

/* Text as roff reads it: backslashes, dashes, and a dot or quote at a line's start made harmless.
 * Lines are broken at 72, which roff joins again. */
static void roff_filled(FILE *to, const char *text, bool fill)
{
    bool line_start = true;
    size_t column = 0;
    for (; *text != '\0'; text++) {
        if (line_start && (*text == '.' || *text == '\'')) fputs("\\&", to);
        line_start = *text == '\n';
        column = line_start ? 0 : column + 1;
        if (fill && *text == ' ' && column + strcspn(text + 1, " \n") > 72) {
            fputc('\n', to);
            line_start = true;
            column = 0;
            continue;
        }
        if (*text == '\\') {
            fputs("\\e", to);
        } else if (*text == '-') {
            fputs("\\-", to);
        } else if (*text == '`') {
            fputs("\\(ga", to);
        } else if (*text == '\n') {
            fputs("\n.PP\n", to);
            line_start = true;
        } else {
            fputc(*text, to);
            /* a long list of choices may break behind a comma */
            if (*text == ',' && text[1] != ' ' && text[1] != '\0') fputs("\\:", to);
        }
    }
}

static void roff(FILE *to, const char *text)
{
    roff_filled(to, text, true);
}

static void man_flag(FILE *to, const struct flag *flag)
{
    char name[64];
    fputs(".TP\n\\fB", to);
    if (flag->alias != NULL) {
        roff(to, flag_dashed(flag->alias, name));
        fputs("\\fR, \\fB", to);
    }
    roff(to, flag_dashed(flag->name, name));
    fputs("\\fR", to);
    if (flag->argument != NULL) {
        fputs(" \\fI", to);
        roff(to, flag->argument);
        fputs("\\fR", to);
    }
    fputc('\n', to);
    roff(to, flag->help);
    if (flag->needed) fputs(" (needed)", to);
    if (shown_default(flag) != NULL) {
        fputs(" [", to);
        roff(to, shown_default(flag));
        fputs("]", to);
    }
    fputc('\n', to);
}

static void man_verb(FILE *to, const struct verb *verb)
{
    const struct flag *flags[MAX_FLAGS];
    size_t n = verb_flags(verb, flags);
    fprintf(to, ".SS nlsh %s\n", verb->name);
    fprintf(to, "\\fBnlsh %s\\fR ", verb->name);
    roff(to, verb->usage);
    fputs("\n.PP\n", to);
    roff(to, verb->description);
    fputc('\n', to);
    for (size_t i = 0; i < MAX_EXAMPLES && verb->examples[i].line; i++) {
        fputs(".PP\n", to);
        roff(to, verb->examples[i].why);
        fputs(":\n.PP\n.nf\n    ", to);
        roff_filled(to, verb->examples[i].line, false);
        fputs("\n.fi\n", to);
    }
    for (size_t i = 0; i < n; i++) {
        if (flags[i]->help != NULL && strcmp(flags[i]->name, "help") != 0) man_flag(to, flags[i]);
    }
}

/* Of the last change that a reader of the manual would notice. */
static const char manual_date[] = "2026-11-30";

void help_man(FILE *to)
{
    const struct verb *verb;
    fprintf(to, ".TH NLSH 1 \"%s\" \"nlsh %s\" \"User Commands\"\n", manual_date, nlsh_version());
    fputs(".SH NAME\nnlsh \\- build and search a Neural LSH index\n.SH SYNOPSIS\n", to);
    for (size_t i = 0; (verb = verb_at(i)) != NULL; i++) {
        fprintf(to, "%s\\fBnlsh %s\\fR ", i ? ".br\n" : "", verb->name);
        roff(to, verb->usage);
        fputc('\n', to);
    }
    fputs(".SH DESCRIPTION\nnlsh learns how to divide a set of vectors into buckets so that\nnear "
          "neighbours share a bucket, and searches by asking\na small neural network which buckets "
          "to scan.\nFlags may be written with one dash or two,\nand with a space or = before "
          "their value.\nA flag that comes twice counts the last time.\nData go to the standard "
          "output, talk to the standard error.\n\\fB\\-\\-help\\fR explains any command.\n.SH "
          "COMMANDS\n",
          to);
    for (size_t i = 0; (verb = verb_at(i)) != NULL; i++) man_verb(to, verb);
    fputs(".SH ENVIRONMENT\n", to);
    for (size_t i = 0; i < sizeof environment / sizeof environment[0]; i++) {
        fprintf(to, ".TP\n\\fB%s\\fR\n%s\n", environment[i].name, environment[i].meaning);
    }
    fputs(".SH EXIT STATUS\n", to);
    for (size_t i = 0; i < sizeof exits / sizeof exits[0]; i++) {
        fprintf(to, ".TP\n\\fB%d\\fR\n%s\n", exits[i].code, exits[i].meaning);
    }
    fputs(".SH SEE ALSO\nY. Dong, P. Indyk, I. Razenshteyn, T. Wagner,\n\\fILearning Space "
          "Partitions for Nearest Neighbor Search\\fR, ICLR 2020.\n",
          to);
}
