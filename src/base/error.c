/* error.c - see error.h. */
#include "base/error.h"

#undef nlsh__fail
#undef nlsh__fail_errno

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for two of the longest paths and some words. */
#define LONGEST 9000

/* Where a message is too long its middle goes: a path's start and the reason behind it stay. UTF-8
 * characters stay whole. The text may be one that was made from *error's own message. */
static void store(char *out, size_t size, const char *text)
{
    static const char gap[] = "...";
    size_t length = strlen(text);
    if (length < size) {
        memmove(out, text, length + 1);
        return;
    }
    size_t head = (size - sizeof gap) / 2;
    size_t tail = size - sizeof gap - head;
    while (head > 0 && ((unsigned char)text[head] & 0xc0) == 0x80) head--;
    while (tail > 0 && ((unsigned char)text[length - tail] & 0xc0) == 0x80) tail--;
    memmove(out, text, head);
    memcpy(out + head, gap, sizeof gap - 1);
    memmove(out + head + sizeof gap - 1, text + length - tail, tail + 1);
}

static void fill(struct nlsh_error *error, enum nlsh_status status, const char *hint,
                 const char *reason, const char *format, va_list args)
{
    char text[LONGEST];
    int n = vsnprintf(text, sizeof text, format, args);
    if (n < 0) text[0] = '\0';
    if (reason != NULL) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, ": %s", reason);
    }
    error->status = status;
    store(error->message, sizeof error->message, text);
    store(error->hint, sizeof error->hint, hint != NULL ? hint : "");
}

enum nlsh_status nlsh__fail(struct nlsh_error *error, enum nlsh_status status, const char *hint,
                            const char *format, ...)
{
    if (error != NULL) {
        va_list args;
        va_start(args, format);
        fill(error, status, hint, NULL, format, args);
        va_end(args);
    }
    return status;
}

enum nlsh_status nlsh__fail_errno(struct nlsh_error *error, enum nlsh_status status,
                                  int errno_value, const char *hint, const char *format, ...)
{
    if (error != NULL) {
        va_list args;
        va_start(args, format);
        fill(error, status, hint, strerror(errno_value), format, args);
        va_end(args);
    }
    return status;
}

void nlsh__error_clear(struct nlsh_error *error)
{
    if (error == NULL) return;
    error->status = NLSH_OK;
    error->message[0] = '\0';
    error->hint[0] = '\0';
}

const char *nlsh_status_name(enum nlsh_status status)
{
    switch (status) {
    case NLSH_OK: return "NLSH_OK";
    case NLSH_E_ARG: return "NLSH_E_ARG";
    case NLSH_E_NOMEM: return "NLSH_E_NOMEM";
    case NLSH_E_NO_INPUT: return "NLSH_E_NO_INPUT";
    case NLSH_E_IO: return "NLSH_E_IO";
    case NLSH_E_CANT_CREATE: return "NLSH_E_CANT_CREATE";
    case NLSH_E_DATA: return "NLSH_E_DATA";
    case NLSH_E_MISMATCH: return "NLSH_E_MISMATCH";
    case NLSH_E_UNSUPPORTED: return "NLSH_E_UNSUPPORTED";
    case NLSH_E_INTERRUPTED: return "NLSH_E_INTERRUPTED";
    case NLSH_E_INTERNAL: return "NLSH_E_INTERNAL";
    case NLSH_E_BUSY: return "NLSH_E_BUSY";
    }
    return "unknown status";
}
