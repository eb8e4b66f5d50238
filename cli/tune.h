/* tune.h - what build knows of tuning. */
#ifndef NLSH_CLI_TUNE_H
#define NLSH_CLI_TUNE_H

#include <stdbool.h>

#include "options.h"

/* Whether a flag is given that only tuning has; then says so, and *code is what to exit with. */
bool tune_flag_given(const struct args *args, int *code);

#endif
