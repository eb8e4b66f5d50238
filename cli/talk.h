/* talk.h - everything that is said on stderr: errors, notes, the progress bar. */
#ifndef NLSH_CLI_TALK_H
#define NLSH_CLI_TALK_H

#include <stdbool.h>
#include <stdint.h>

#include "exits.h"

/* Reads the environment (TERM, the locale) and whether stderr is a terminal. */
void talk_begin(void);
/* --quiet, and what --progress says or NULL. */
void talk_configure(bool quiet, const char *progress);

/* "error: ..." and, where hint is not NULL, "hint: ..."; returns code. */
int talk_error(int code, const char *hint, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* So that the analyser sees, at the call, which code comes back: it goes on where that is 0. */
#define talk_error(code, ...) (talk_error(code, __VA_ARGS__), (code))
/* The same for a library's error; an interruption is said as what it is. */
int talk_failed(const struct nlsh_error *error);
int talk_interrupted(void);
/* A line, unless --quiet. */
void talk_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* nlsh_progress_fn, which answers whether a signal has come, and nlsh_note_fn. */
int talk_progress(void *user, const char *stage, uint64_t done, uint64_t total);
void talk_note(void *user, const char *sentence);
/* Takes the bar away and leaves the stage's line. */
void talk_stage_end(void);

#endif
