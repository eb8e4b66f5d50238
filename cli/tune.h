/* tune.h - what the files of tuning share, and what build knows of it. */
#ifndef NLSH_CLI_TUNE_H
#define NLSH_CLI_TUNE_H

#include <stdbool.h>

#include "args.h"
#include "nlsh/learn.h"

/* Whether a flag is given that only tuning has; then says so, and *code is what to exit with. */
bool tune_flag_given(const struct args *args, int *code);

/* --dry-run: prints what nlsh_tune() would do; 0 or an exit code. */
int tune_plan_print(const struct args *args, const struct nlsh_matrix *base,
                    const struct nlsh_tune_options *options);

#endif
