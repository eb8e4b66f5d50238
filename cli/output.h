/* output.h - stdout, and files that appear whole or not at all. */
#ifndef NLSH_CLI_OUTPUT_H
#define NLSH_CLI_OUTPUT_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

struct nlsh__output;

struct output {
    FILE *file;
    struct nlsh__output *bytes; /* base/output.h; NULL for stdout */
};

/* NULL and "-" mean stdout. Returns 0, or an exit code after saying why. */
int output_open(const char *path, struct output *out);
/* Makes the file appear. Closes in any case. */
int output_commit(struct output *output);
/* Closes and leaves nothing behind. */
void output_abort(struct output *output);

/* Whether path can probably be written, before hours of work: its directory is there and may be
 * written, and it is none of the inputs (n of them, NULL ones are skipped). */
int output_check(const char *path, const char *flag, const char *const *inputs, size_t n_inputs);
/* The same for a file that must be a regular one: an index, which is gone back in. */
int output_check_file(const char *path, const char *flag, const char *const *inputs,
                      size_t n_inputs);

/* Prints a value and a line end to stdout and frees it. */
int print_json(json_t *value);
/* Flushes stdout; an exit code where that failed. */
int finish_stdout(void);
/* A name as JSON: what is not UTF-8 in it becomes "?". */
json_t *json_name(const char *text);
/* A number, or null where it is not finite. */
json_t *json_number_or_null(double value);

#endif
