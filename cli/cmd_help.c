/* cmd_help.c - `nlsh help` and `nlsh version`. */
#include <stdio.h>

#include "args.h"
#include "complete.h"
#include "help.h"
#include "near.h"
#include "nlsh/nlsh.h"
#include "output.h"
#include "talk.h"
#include "verbs.h"

int cmd_help(const struct args *args)
{
    if (args_given(args, "man")) {
        help_man(stdout);
    } else if (args_given(args, "completion")) {
        const char *shell = args->n_words > 0 ? args->words[0] : "bash";
        if (!complete_for(shell, stdout))
            return talk_error(EXIT_USAGE, "it is made for bash, zsh and fish",
                              "there is no completion for %s", shell);
    } else if (args->n_words == 0) {
        help_overview(stdout);
    } else {
        const struct verb *verb = verb_named(args->words[0]);
        if (verb == NULL) {
            char hint[128];
            const char *near = verb_suggest(args->words[0]);
            snprintf(hint, sizeof hint,
                     near ? "did you mean `nlsh help %s`?" : "`nlsh help` lists the commands",
                     near);
            return talk_error(EXIT_USAGE, hint, "there is no command %s", args->words[0]);
        }
        help_verb(verb, stdout);
    }
    return finish_stdout();
}

int cmd_version(const struct args *args)
{
    if (args_given(args, "json")) {
        return print_json(json_pack("{s:s, s:s}", "version", nlsh_version(), "cpu", nlsh_cpu()));
    }
    printf("nlsh %s (%s)\n", nlsh_version(), nlsh_cpu());
    return finish_stdout();
}
