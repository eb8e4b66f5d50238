/*
 * options.h - the one table of verbs and flags. The parser, --help, the man page and the shell
 * completion are all made from it, so that they cannot disagree.
 */
#ifndef NLSH_CLI_OPTIONS_H
#define NLSH_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum flag_kind {
    FLAG_SWITCH, /* no argument */
    FLAG_TEXT,   /* anything */
    FLAG_IN,     /* a file to read */
    FLAG_OUT,    /* a file to write */
    FLAG_DIR,    /* a directory */
    FLAG_COUNT,  /* a whole number within min..max */
    FLAG_REAL,   /* a number within min..max */
    FLAG_LIST,   /* numbers within min..max, separated by commas */
    FLAG_CHOICE, /* one of the words in argument, "{a,b}" */
    FLAG_SETTING /* a build setting: nlsh_build_options_set() judges it */
};

enum flag_group {
    GROUP_FILES,
    GROUP_SEARCH,
    GROUP_TUNE,
    GROUP_SETTINGS,
    GROUP_RUN,
    GROUP_TALK,
    N_GROUPS
};

struct flag {
    unsigned verbs;    /* one bit a verb */
    const char *name;  /* without dashes */
    const char *alias; /* a second name, or NULL */
    enum flag_kind kind;
    enum flag_group group;
    bool needed;
    const char *argument;      /* as help shows it; NULL for a switch */
    const char *default_value; /* as text, or NULL */
    double min, max;           /* of FLAG_COUNT, FLAG_REAL and FLAG_LIST */
    const char *help;          /* one line, no full stop */
};

struct args;

enum { MAX_FLAGS = 96, MAX_WORDS = 256, MAX_EXAMPLES = 6 };

struct example {
    const char *why, *line;
};

struct verb {
    const char *name;
    const char *summary;                   /* one line, no full stop */
    const char *usage;                     /* what follows the verb */
    const char *description;               /* paragraphs of one line each, separated by \n */
    struct example examples[MAX_EXAMPLES]; /* up to the first without a line */
    size_t min_words, max_words;           /* arguments that are not flags */
    const char *words; /* what the first of them may be, for completion; or NULL */
    int (*run)(const struct args *args);
};

/* A parsed command line. */
struct args {
    const struct verb *verb;
    const struct flag *flags[MAX_FLAGS]; /* all of the verb */
    const char *values[MAX_FLAGS];       /* as given; NULL where not. A switch holds "" */
    size_t n_flags;
    const char *words[MAX_WORDS];
    size_t n_words;
};

/* The i-th verb; NULL past the last. */
const struct verb *verb_at(size_t i);
const struct verb *verb_named(const char *name);
/* The verb whose name is nearest; NULL where none is near. */
const char *verb_suggest(const char *name);

/* The flags of a verb, in the order of help; returns how many. */
size_t verb_flags(const struct verb *verb, const struct flag *flags[MAX_FLAGS]);

/* argv[0] is the first argument behind the verb. Returns 0, or 2 after saying what is wrong;
 * `--help` anywhere sets *wants_help and returns 0. */
int args_parse(const struct verb *verb, int argc, char **argv, struct args *out, bool *wants_help);

/* The values; name must be a flag of the verb. */
bool args_given(const struct args *args, const char *name);
const char *args_text(const struct args *args, const char *name); /* or its default, or NULL */
size_t args_count(const struct args *args, const char *name);
double args_real(const struct args *args, const char *name);
/* The numbers of a list; returns how many, at most max. */
size_t args_list(const struct args *args, const char *name, double *out, size_t max);
/* Whether the verb has such a flag at all. */
bool args_has(const struct args *args, const char *name);

/* "-d", "-type", "--knn": how help writes a flag. */
const char *flag_dashed(const char *name, char buffer[64]);
/* The nth of the words in "{a,b}" into buffer; false past the last. */
bool choice_at(const char *argument, size_t n, char *buffer, size_t buffer_size);
/* The nearest of the words in "{a,b}" to value; false where none is near. */
bool choice_suggest(const char *argument, const char *value, char *buffer, size_t buffer_size);

/* help.c */
void help_overview(FILE *to);
void help_verb(const struct verb *verb, FILE *to);
void help_man(FILE *to);
void help_completion(FILE *to);

#endif
