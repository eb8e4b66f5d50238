/*
 * complete.c - scripts with which shells complete command lines: verbs, their flags, and what may follow a flag.
 *
 * bash gets words, zsh and fish the help of each flag besides. A shell is told of the spelling that help shows, and of a
 * second name, though the command takes one dash or two.
 */
#include "complete.h"

#include <string.h>

#include "verbs/verb.h"

static void put_verbs(FILE *to)
{
    const struct verb *verb;
    for (size_t i = 0; (verb = verb_at(i)) != NULL; i++)
        fprintf(to, "%s%s", i ? " " : "", verb->name);
}

/* What the first argument of a verb may be. */
static void put_words(FILE *to, const struct verb *verb)
{
    if (verb == &verb_help)
        put_verbs(to);
    else if (verb->words != NULL)
        fputs(verb->words, to);
}

/* A number follows: offer nothing, least of all a file. */
static bool is_number(enum flag_kind kind)
{
    return kind == FLAG_COUNT || kind == FLAG_REAL || kind == FLAG_LIST || kind == FLAG_SETTING;
}

static bool is_file(enum flag_kind kind)
{
    return kind == FLAG_IN || kind == FLAG_OUT;
}

/* The words of a choice, with spaces between; false where the flag is none. */
static bool put_choices(FILE *to, const struct flag *flag)
{
    char word[64];
    for (size_t i = 0; choice_at(flag->argument, i, word, sizeof word); i++)
        fprintf(to, "%s%s", i ? " " : "", word);
    return choice_at(flag->argument, 0, word, sizeof word);
}

/* Text between single quotes: each character of `special` behind a backslash, a quote as `quote`. */
static void put_quoted(FILE *to, const char *text, const char *special, const char *quote)
{
    for (; text != NULL && *text != '\0'; text++) {
        if (*text == '\'') {
            fputs(quote, to);
            continue;
        }
        if (strchr(special, *text) != NULL) fputc('\\', to);
        fputc(*text, to);
    }
}

/* ---- bash completion ------------------------------------------------------------------------- */

static void completion_values(FILE *to, const struct verb *verb)
{
    const struct flag *flags[MAX_FLAGS];
    size_t n = verb_flags(verb, flags);
    for (size_t i = 0; i < n; i++) {
        char word[64];
        if (!choice_at(flags[i]->argument, 0, word, sizeof word)) continue;
        fprintf(to, "        %s:-%s|%s:--%s) words=\"", verb->name, flags[i]->name, verb->name,
                flags[i]->name);
        for (size_t c = 0; choice_at(flags[i]->argument, c, word, sizeof word); c++) {
            fprintf(to, "%s%s", c ? " " : "", word);
        }
        fputs("\" ;;\n", to);
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_number(flags[i]->kind)) continue;
        char word[64];
        if (choice_at(flags[i]->argument, 0, word, sizeof word)) continue;
        /* A number follows: offer nothing, least of all a file. */
        fprintf(to, "        %s:-%s|%s:--%s) compopt +o default; return ;;\n", verb->name,
                flags[i]->name, verb->name, flags[i]->name);
    }
}

static void for_bash(FILE *to)
{
    const struct verb *verb;
    fputs("# bash completion for nlsh; made by `nlsh help --completion`\n"
          "_nlsh()\n{\n"
          "    local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"\" verb=\"\" words=\"\"\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -gt 1 ]; then\n"
          "        verb=\"${COMP_WORDS[1]}\"\n"
          "        previous=\"${COMP_WORDS[COMP_CWORD - 1]}\"\n"
          "    else\n"
          "        COMPREPLY=($(compgen -W \"",
          to);
    put_verbs(to);
    fputs("\" -- \"$current\"))\n        return\n    fi\n    case \"$verb:$previous\" in\n", to);
    for (size_t i = 0; (verb = verb_at(i)) != NULL; i++) completion_values(to, verb);
    fputs("    esac\n    if [ -z \"$words\" ]; then\n        case \"$verb:$current\" in\n", to);
    for (size_t i = 0; (verb = verb_at(i)) != NULL; i++) {
        const struct flag *flags[MAX_FLAGS];
        size_t n = verb_flags(verb, flags);
        char name[64];
        fprintf(to, "        %s:-*) words=\"", verb->name);
        for (size_t f = 0; f < n; f++) {
            fprintf(to, "%s%s", f ? " " : "", flag_dashed(flags[f]->name, name));
            if (flags[f]->alias != NULL) fprintf(to, " %s", flag_dashed(flags[f]->alias, name));
        }
        fputs("\" ;;\n", to);
        if (verb->words != NULL || verb == &verb_help) {
            fprintf(to, "        %s:*) words=\"", verb->name);
            put_words(to, verb);
            fputs("\" ;;\n", to);
        }
    }
    fputs("        esac\n    fi\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
          "}\n"
          "complete -o default -F _nlsh nlsh\n",
          to);
}

/* ---- zsh ------------------------------------------------------------------------------------- */

static const char zsh_quote[] = "'\\''";

/* One line of _arguments: -x[what it does]:ARGUMENT:what completes it */
static void zsh_flag(FILE *to, const struct flag *flag, const char *name)
{
    char dashed[64], word[64];
    fprintf(to, "            '%s%s[", flag->repeated ? "*" : "", flag_dashed(name, dashed));
    put_quoted(to, flag->help, "[]\\", zsh_quote);
    fputc(']', to);
    if (flag->kind != FLAG_SWITCH) {
        bool choice = choice_at(flag->argument, 0, word, sizeof word);
        fputc(':', to);
        put_quoted(to, choice ? flag->name : flag->argument, ":\\", zsh_quote);
        fputc(':', to);
        if (choice) {
            fputc('(', to);
            put_choices(to, flag);
            fputc(')', to);
        } else {
            fputs(is_file(flag->kind) ? "_files" : flag->kind == FLAG_DIR ? "_files -/" : " ", to);
        }
    }
    fputs("' \\\n", to);
}

static void zsh_verb(FILE *to, const struct verb *verb)
{
    const struct flag *flags[MAX_FLAGS];
    size_t n = verb_flags(verb, flags);
    fprintf(to, "    %s)\n        _arguments \\\n", verb->name);
    for (size_t i = 0; i < n; i++) {
        zsh_flag(to, flags[i], flags[i]->name);
        if (flags[i]->alias != NULL) zsh_flag(to, flags[i], flags[i]->alias);
    }
    if (verb->words != NULL || verb == &verb_help) {
        fputs("            '1:what:(", to);
        put_words(to, verb);
        fputs(")' \\\n", to);
    }
    fputs("            '*:file:_files'\n        ;;\n", to);
}

static void for_zsh(FILE *to)
{
    const struct verb *verb;
    fputs("#compdef nlsh\n# made by `nlsh help --completion zsh`\n"
          "_nlsh()\n{\n    local -a verbs\n    verbs=(\n",
          to);
    for (size_t i = 0; (verb = verb_at(i)) != NULL; i++) {
        fprintf(to, "        '%s:", verb->name);
        put_quoted(to, verb->summary, ":\\", zsh_quote);
        fputs("'\n", to);
    }
    fputs("    )\n"
          "    if ((CURRENT == 2)); then\n"
          "        _describe command verbs\n"
          "        return\n"
          "    fi\n"
          "    shift words\n"
          "    ((CURRENT--))\n"
          "    case $words[1] in\n",
          to);
    for (size_t i = 0; (verb = verb_at(i)) != NULL; i++) zsh_verb(to, verb);
    /* From a file of $fpath the script is the function's first call; from eval it names the function. */
    fputs("    esac\n}\n"
          "if [ \"$funcstack[1]\" = _nlsh ]; then _nlsh \"$@\"; else compdef _nlsh nlsh; fi\n",
          to);
}

/* ---- fish ------------------------------------------------------------------------------------ */

static const char fish_quote[] = "\\'";

static void fish_flag(FILE *to, const struct verb *verb, const struct flag *flag, const char *name)
{
    char dashed[64], word[64];
    bool is_long = flag_dashed(name, dashed)[1] == '-';
    fprintf(to, "complete -c nlsh -n '__fish_seen_subcommand_from %s' %s %s", verb->name,
            is_long           ? "-l"
            : name[1] != '\0' ? "-o"
                              : "-s",
            name);
    if (flag->kind != FLAG_SWITCH) {
        if (choice_at(flag->argument, 0, word, sizeof word)) {
            fputs(" -x -a '", to);
            put_choices(to, flag);
            fputc('\'', to);
        } else if (flag->kind == FLAG_DIR) {
            fputs(" -x -a '(__fish_complete_directories)'", to);
        } else {
            fputs(is_file(flag->kind) ? " -r -F" : " -x", to);
        }
    }
    if (flag->help != NULL) {
        fputs(" -d '", to);
        put_quoted(to, flag->help, "\\", fish_quote);
        fputc('\'', to);
    }
    fputc('\n', to);
}

static void fish_verb(FILE *to, const struct verb *verb)
{
    const struct flag *flags[MAX_FLAGS];
    size_t n = verb_flags(verb, flags);
    fprintf(to, "complete -c nlsh -n __fish_use_subcommand -f -a %s -d '", verb->name);
    put_quoted(to, verb->summary, "\\", fish_quote);
    fputs("'\n", to);
    if (verb->words != NULL || verb == &verb_help) {
        fprintf(to, "complete -c nlsh -n '__fish_seen_subcommand_from %s' -f -a '", verb->name);
        put_words(to, verb);
        fputs("'\n", to);
    }
    for (size_t i = 0; i < n; i++) {
        fish_flag(to, verb, flags[i], flags[i]->name);
        if (flags[i]->alias != NULL) fish_flag(to, verb, flags[i], flags[i]->alias);
    }
}

static void for_fish(FILE *to)
{
    const struct verb *verb;
    fputs("# fish completion for nlsh; made by `nlsh help --completion fish`\n", to);
    for (size_t i = 0; (verb = verb_at(i)) != NULL; i++) fish_verb(to, verb);
}

bool complete_for(const char *shell, FILE *to)
{
    static const struct {
        const char *name;
        void (*put)(FILE *to);
    } shells[] = {{"bash", for_bash}, {"zsh", for_zsh}, {"fish", for_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(shell, shells[i].name) != 0) continue;
        shells[i].put(to);
        return true;
    }
    return false;
}
