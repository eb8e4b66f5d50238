/* exits.h - what the process may answer; sysexits.h where it has a number. docs/architecture.md */
#ifndef NLSH_CLI_EXITS_H
#define NLSH_CLI_EXITS_H

#include "nlsh/nlsh.h"

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
    EXIT_BUSY = 75,
    EXIT_BROKEN_PIPE = 141
};

int exit_code(enum nlsh_status status);

#endif
