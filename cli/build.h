/* build.h - what `nlsh build` of vectors in memory and of vectors that stream past have in common. */
#ifndef NLSH_CLI_BUILD_H
#define NLSH_CLI_BUILD_H

#include <jansson.h>

#include "args.h"
#include "base.h"
#include "nlsh/learn.h"

/* total: seconds of all. */
void build_say_report(const char *path, const struct nlsh_build_options *options,
                      const struct nlsh_build_report *report, double total);
json_t *build_report_json(const char *path, const struct nlsh_build_options *options,
                          const struct nlsh_build_report *report, double total);

/* --dry-run: settings, and what a build would take; base: its shape. Returns an exit code. */
int build_print_dry_run(const struct args *args, const struct nlsh_build_options *options,
                        const struct nlsh_matrix *base, const struct nlsh_build_forecast *forecast);

/* An index is replaced without --force only where it is of the same vectors, whose hash same() gives: it can then be
 * made again. Returns 0 or an exit code after saying why; same() is called where there is an index. */
int build_check_target(const struct args *args, int (*same)(void *user, uint64_t *hash),
                       void *user);

/* Whether -i can be written, and is no input. 0 or an exit code after saying why. */
int build_check_output(const struct args *args);

/* --keys, of which there is one a row of all files: *keys are those of the rows that are taken, or NULL. The caller frees
 * *memory. 0 or an exit code after saying why. */
int build_read_keys(const struct args *args, const struct span *span, uint64_t **memory,
                    const uint64_t **keys);

/* "2G", "400M", "1.5G" or bytes; 0 where it is none of these. */
uint64_t build_parse_size(const char *text);

/*
 * build_streamed() - builds block by block where --memory asks for it, or where the build would need more than is free.
 * *done is 0 where it is not for this function: nothing happened, and the code is 0.
 */
int build_streamed(const struct args *args, const struct nlsh_build_options *options, int *done);

#endif
