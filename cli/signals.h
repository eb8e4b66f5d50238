/* signals.h - SIGINT and SIGTERM: the first asks to stop, the second stops. */
#ifndef NLSH_CLI_SIGNALS_H
#define NLSH_CLI_SIGNALS_H

#include <stdbool.h>

void signals_catch(void);
/* Whether one has come. */
bool signal_came(void);
/* What a process exits with that a signal has stopped: 128 and the signal's number, as shells have it.
 * SIGTERM's where none has come: METIS catches it while it runs. */
int signal_exit(void);
/* The temporary file that a second signal removes; NULL for none. */
void signal_removes(const char *path);

#endif
