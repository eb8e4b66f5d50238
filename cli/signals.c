/* signals.c - see signals.h. */
#include "signals.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t came; /* the number of the first; 0: none */
static const char *volatile doomed;

static void on_signal(int number)
{
    if (came) {
        if (doomed != NULL) unlink(doomed);
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    came = number;
}

void signals_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, old;
    sigemptyset(&action.sa_mask);
    /* A shell starts background jobs with SIGINT ignored: that stays so. */
    if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
        sigaction(SIGINT, &action, NULL);
    }
    sigaction(SIGTERM, &action, NULL);
    /* A closed pipe and a file-size limit then come back as errors of write(). */
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL);
}

bool signal_came(void)
{
    return came != 0;
}

int signal_exit(void)
{
    return 128 + (came ? (int)came : SIGTERM);
}

void signal_removes(const char *path)
{
    doomed = path;
}
