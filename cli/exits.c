/* exits.c - see exits.h. */
#include "exits.h"

#include "signals.h"

int exit_code(enum nlsh_status status)
{
    switch (status) {
    case NLSH_OK: return EXIT_DONE;
    case NLSH_E_ARG: return EXIT_USAGE;
    case NLSH_E_NO_INPUT: return EXIT_NO_INPUT;
    case NLSH_E_IO: return EXIT_IO;
    case NLSH_E_CANT_CREATE: return EXIT_CANNOT_WRITE;
    case NLSH_E_DATA:
    case NLSH_E_MISMATCH: return EXIT_BAD_DATA;
    case NLSH_E_UNSUPPORTED: return EXIT_UNSUPPORTED;
    case NLSH_E_INTERRUPTED: return signal_exit();
    case NLSH_E_BUSY: return EXIT_BUSY;
    case NLSH_E_NOMEM:
    case NLSH_E_INTERNAL: break;
    }
    return EXIT_BUG;
}
