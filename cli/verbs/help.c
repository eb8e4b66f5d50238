/* help.c - `nlsh help` and `nlsh version`. */
#include "verbs.h"
#include "verbs/shared.h"

static const struct flag *const help_flags[] = {
    &(const struct flag){.name = "quiet", .group = GROUP_TALK},
    &(const struct flag){.name = "man", .group = GROUP_TALK},
    &(const struct flag){.name = "completion", .group = GROUP_TALK},
    &flag_help,
    NULL,
};

const struct verb verb_help = {
    .name = "help",
    .summary = "explain a command",
    .usage = "[COMMAND]",
    .description =
        "Without a command: all of them. --man and --completion, of bash, zsh or fish, print what "
        "packages install.",
    .examples = {{"the flags of build", "nlsh help build"},
                 {"read the manual", "nlsh help --man | man -l -"},
                 {"completion in this bash", "eval \"$(nlsh help --completion bash)\""},
                 {"in this zsh", "eval \"$(nlsh help --completion zsh)\""},
                 {"in this fish", "nlsh help --completion fish | source"}},
    .max_words = 1,
    .run = cmd_help,
    .flags = help_flags,
};

static const struct flag *const version_flags[] = {
    &flag_quiet,
    &flag_json,
    &flag_help,
    NULL,
};

const struct verb verb_version = {
    .name = "version",
    .summary = "print the version",
    .usage = "[flags]",
    .description = "The version and the instruction set in use.",
    .examples = {{"one line", "nlsh version"}},
    .run = cmd_version,
    .flags = version_flags,
};
