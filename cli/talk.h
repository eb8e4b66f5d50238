/* talk.h - everything that is said on stderr: errors, notes, the progress bar. */
#ifndef NLSH_CLI_TALK_H
#define NLSH_CLI_TALK_H

#include <stdbool.h>
#include <stdint.h>

#include "nlsh/nlsh.h"

struct args;

/* What the process may answer; sysexits.h where it has a number. */
enum {
    EXIT_DONE = 0,
    EXIT_NO = 1,
    EXIT_USAGE = 2,
    EXIT_BAD_DATA = 65,
    EXIT_NO_INPUT = 66,
    EXIT_UNSUPPORTED = 69,
    EXIT_BUG = 70,
    EXIT_CANNOT_WRITE = 73,
    EXIT_IO = 74,
    EXIT_INTERRUPTED = 130,
    EXIT_BROKEN_PIPE = 141
};

int exit_code(enum nlsh_status status);

/* Reads the environment (NO_COLOR, TERM, the locale) and whether stderr is a terminal. */
void talk_begin(void);
/* --quiet and --progress. */
void talk_configure(const struct args *args);

/* "error: ..." and, where hint is not NULL, "hint: ..."; returns code. */
int talk_error(int code, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a library's error; an interruption is said as what it is. */
int talk_failed(const struct nlsh_error *error);
int talk_interrupted(void);
/* A line, unless --quiet. */
void talk_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* nlsh_progress_fn and nlsh_note_fn. */
int talk_progress(void *user, const char *stage, uint64_t done, uint64_t total);
void talk_note(void *user, const char *sentence);
/* Takes the bar away and leaves the stage's line. */
void talk_stage_end(void);

/* SIGINT, SIGTERM: the first asks to stop, the second stops. */
void talk_catch_signals(void);
bool talk_stopped(void);
/* The temporary file that a second signal removes; NULL for none. */
void talk_remove_on_kill(const char *path);

double now_seconds(void);
/* "60,000", "61.2 MB", "0:12", "1.23 s" or "123 ms", into buffer; each returns it. */
char *text_count(uint64_t n, char buffer[32]);
char *text_bytes(uint64_t n, char buffer[32]);
char *text_seconds(double seconds, char buffer[32]);
char *text_rate(double a_second, char buffer[32]);

#endif
