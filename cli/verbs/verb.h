/*
 * verb.h - the verbs and their flags. The parser, --help, the man page and the shell completion are
 * all made from these tables, so that they cannot disagree.
 */
#ifndef NLSH_CLI_VERBS_VERB_H
#define NLSH_CLI_VERBS_VERB_H

#include <stdbool.h>
#include <stddef.h>

enum flag_kind {
    FLAG_SWITCH, /* no argument */
    FLAG_TEXT,   /* anything */
    FLAG_IN,     /* a file to read */
    FLAG_OUT,    /* a file to write */
    FLAG_DIR,    /* a directory */
    FLAG_COUNT,  /* a whole number within min..max */
    FLAG_REAL,   /* a number within min..max */
    FLAG_LIST,   /* numbers within min..max, separated by commas */
    FLAG_CHOICE, /* one of the words in argument, "{a,b}"; all of them are in small letters */
    FLAG_SETTING /* a build setting: nlsh_build_options_set() judges it */
};

/* In the order of help. */
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
    const char *name;  /* without dashes */
    const char *alias; /* a second name, or NULL */
    enum flag_kind kind;
    enum flag_group group;
    bool needed;
    bool repeated;             /* each time counts; one flag of a verb may be so */
    const char *argument;      /* as help shows it; NULL for a switch */
    const char *default_value; /* as text, or NULL */
    double min, max;           /* of FLAG_COUNT, FLAG_REAL and FLAG_LIST */
    const char *help;          /* one line, no full stop; NULL: help does not show the flag */
};

enum {
    MAX_FLAGS = 96,
    MAX_WORDS = 256,
    MAX_REPEATED = 1024,
    MAX_INPUTS = MAX_FLAGS + MAX_REPEATED + MAX_WORDS,
    MAX_EXAMPLES = 8
};

struct example {
    const char *why, *line;
};

struct args;

struct verb {
    const char *name;
    const char *summary;                   /* one line, no full stop */
    const char *usage;                     /* what follows the verb */
    const char *description;               /* paragraphs of one line each, separated by \n */
    struct example examples[MAX_EXAMPLES]; /* up to the first without a line */
    size_t min_words, max_words;           /* arguments that are not flags */
    const char *words;               /* what the first of them may be, for completion; or NULL */
    const char *bare;                /* the flag that one more argument stands for, or NULL */
    const struct flag *const *flags; /* up to NULL */
    const struct flag *const *more_flags; /* the same, or NULL */
    bool settings;                        /* the library's settings are flags too */
    int (*run)(const struct args *args);
};

extern const struct verb verb_build, verb_search, verb_graph, verb_groundtruth, verb_info,
    verb_verify, verb_evaluate, verb_calibrate, verb_create, verb_add, verb_delete, verb_compact,
    verb_cache, verb_convert, verb_compare, verb_bench, verb_report, verb_tune, verb_shard,
    verb_sqlite, verb_serve, verb_help, verb_version;

/* The i-th verb; NULL past the last. */
const struct verb *verb_at(size_t i);
const struct verb *verb_named(const char *name);

/* The flags of a verb, in the order of help; returns how many. */
size_t verb_flags(const struct verb *verb, const struct flag *flags[MAX_FLAGS]);

/* "-d", "-type", "--knn": how help writes a flag. */
const char *flag_dashed(const char *name, char buffer[64]);
/* The nth of the words in "{a,b}" into buffer; false past the last. */
bool choice_at(const char *argument, size_t n, char *buffer, size_t buffer_size);

#endif
