/*
 * main.c - the command `nlsh`: finds the verb, parses its flags, runs it.
 */
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "help.h"
#include "near.h"
#include "output.h"
#include "shards.h"
#include "signals.h"
#include "talk.h"

static int unknown_verb(const char *name)
{
    char hint[128];
    const char *near = verb_suggest(name);
    if (near != NULL) {
        snprintf(hint, sizeof hint, "did you mean `nlsh %s`?", near);
    } else {
        snprintf(hint, sizeof hint, "`nlsh help` lists the commands");
    }
    return talk_error(EXIT_USAGE, hint,
                      name[0] == '-' ? "a command comes first, not %s" : "there is no command %s",
                      name);
}

/* `nlsh --help` and `nlsh --version` are what many type first. */
static const char *verb_for(const char *word)
{
    static const char *const helps[] = {"-h", "-help", "--help"};
    static const char *const versions[] = {"-V", "-version", "--version"};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(word, helps[i]) == 0) return "help";
        if (strcmp(word, versions[i]) == 0) return "version";
    }
    return word;
}

/* Of the processes that mpirun starts the first one speaks. */
static int run(const struct verb *verb, const struct args *args)
{
    const struct nlsh__ranks ranks = ranks_begin();
    const char *progress = args_has(args, "progress") ? args_text(args, "progress") : NULL;
    bool speaks = ranks.own == 0;
    bool together = strcmp(verb->name, "search") == 0 || strcmp(verb->name, "build") == 0;
    int code = 0;
    talk_configure(args_given(args, "quiet") || !speaks, speaks ? progress : "never");
    shards_ranks(&ranks);
    if (together && ranks_apart() > 0)
        return talk_error(EXIT_UNSUPPORTED, "build it with -DNLSH_MPI=ON, or leave mpirun out",
                          "mpirun started %zu processes, and this nlsh was built without MPI",
                          ranks_apart());
    if (ranks.n > 1 && !together) {
        if (speaks)
            code = talk_error(EXIT_USAGE, "leave mpirun out",
                              "nlsh %s runs in one process, and mpirun started %zu", verb->name,
                              ranks.n);
    } else {
        code = verb->run(args);
    }
    talk_stage_end();
    ranks_end(&ranks);
    return code;
}

int main(int argc, char **argv)
{
    struct args args;
    bool wants_help;
    talk_begin();
    signals_catch();
    if (argc < 2) {
        help_overview(stderr);
        return EXIT_USAGE;
    }
    const struct verb *verb = verb_named(verb_for(argv[1]));
    if (verb == NULL) return unknown_verb(argv[1]);
    int code = args_parse(verb, argc - 2, argv + 2, &args, &wants_help);
    if (code != 0) return code;
    if (wants_help) {
        help_verb(verb, stdout);
        return finish_stdout();
    }
    return run(verb, &args);
}
