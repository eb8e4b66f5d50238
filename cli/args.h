/* args.h - a parsed command line. */
#ifndef NLSH_CLI_ARGS_H
#define NLSH_CLI_ARGS_H

#include "verbs/verb.h"

struct args {
    const struct verb *verb;
    const struct flag *flags[MAX_FLAGS]; /* all of the verb */
    /* As given, NULL where not; a choice in small letters. A switch holds "". */
    const char *values[MAX_FLAGS];
    size_t n_flags;
    const char *words[MAX_WORDS];
    size_t n_words;
    const char *repeated[MAX_REPEATED]; /* all values of the flag that may be repeated */
    size_t n_repeated;
};

/* argv[0] is the first argument behind the verb. Returns 0, or 2 after saying what is wrong;
 * `--help` anywhere sets *wants_help and returns 0. Words of argv are borrowed, and choices among them
 * written over in small letters. */
int args_parse(const struct verb *verb, int argc, char **argv, struct args *out, bool *wants_help);

/* The values; name must be a flag of the verb. */
bool args_given(const struct args *args, const char *name);
const char *args_text(const struct args *args, const char *name); /* or its default, or NULL */
size_t args_count(const struct args *args, const char *name);
double args_real(const struct args *args, const char *name);
/* The numbers of a list; returns how many, at most max. */
size_t args_list(const struct args *args, const char *name, double *out, size_t max);
/* All values of a flag in their order, one where it may not be repeated; *n is 0 where it was not given. */
const char *const *args_all(const struct args *args, const char *name, size_t *n);
/* All files that were given to be read; returns how many. */
size_t args_inputs(const struct args *args, const char *out[MAX_INPUTS]);
/* Whether the verb has such a flag at all. */
bool args_has(const struct args *args, const char *name);

#endif
