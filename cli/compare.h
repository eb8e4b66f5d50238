/* compare.h - several indexes, one set of queries: a row for each index and setting. */
#ifndef NLSH_CLI_COMPARE_H
#define NLSH_CLI_COMPARE_H

#include "args.h"

/* `nlsh search --models_index LIST`: the results of each model, and models_compare.csv, beside -o
 * or, without it, beside the list. The table goes to stdout. Returns the exit code. */
int compare_models(const struct args *args, const char *list);

#endif
