/* error.c - see error.h. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(struct nlsh_error *error, enum nlsh_status status, const char *hint,
                 const char *format, va_list args)
{
    error->status = status;
    vsnprintf(error->message, sizeof error->message, format, args);
    snprintf(error->hint, sizeof error->hint, "%s", hint != NULL ? hint : "");
}

enum nlsh_status nlsh__fail(struct nlsh_error *error, enum nlsh_status status, const char *hint,
                            const char *format, ...)
{
    if (error != NULL) {
        va_list args;
        va_start(args, format);
        fill(error, status, hint, format, args);
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
        fill(error, status, hint, format, args);
        va_end(args);
        size_t used = strlen(error->message);
        snprintf(error->message + used, sizeof error->message - used, ": %s",
                 strerror(errno_value));
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
    }
    return "unknown status";
}
