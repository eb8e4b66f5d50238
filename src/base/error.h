/* error.h - how a failure travels: a status up the stack, its words in the caller's nlsh_error. */
#ifndef NLSH_BASE_ERROR_H
#define NLSH_BASE_ERROR_H

#include "nlsh/nlsh.h"

/* Fills *error (may be NULL) and returns status. hint may be NULL. The message names the input,
 * the value and what is wrong; the hint says what to do. */
enum nlsh_status nlsh__fail(struct nlsh_error *error, enum nlsh_status status, const char *hint,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The same with ": strerror(errno_value)" behind the message. */
enum nlsh_status nlsh__fail_errno(struct nlsh_error *error, enum nlsh_status status,
                                  int errno_value, const char *hint, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* So that compiler and analyser see, at the call, which status comes back: never NLSH_OK. */
#define nlsh__fail(error, status, ...) (nlsh__fail(error, status, __VA_ARGS__), (status))
#define nlsh__fail_errno(error, status, ...)                                                       \
    (nlsh__fail_errno(error, status, __VA_ARGS__), (status))

/* Empties *error; every public function begins with it. */
void nlsh__error_clear(struct nlsh_error *error);

/* The one way a function leaves early: it needs `enum nlsh_status status` and a label `out`. */
#define NLSH_TRY(call)                                                                             \
    do {                                                                                           \
        status = (call);                                                                           \
        if (status != NLSH_OK) goto out;                                                           \
    } while (0)

#endif
