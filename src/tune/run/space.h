/* space.h - which of a build's settings are searched, and settings as points of that space. */
#ifndef NLSH_TUNE_RUN_SPACE_H
#define NLSH_TUNE_RUN_SPACE_H

#include "nlsh/learn.h"
#include "tune/sample/params.h"

/* The network's settings and the graph, around the given ones. */
void nlsh__space_network(const struct nlsh_build_options *build, struct nlsh__search_space *out);

/* The partition's settings, around the given ones (resolved: m is a number). */
void nlsh__space_partition(const struct nlsh_build_options *build, struct nlsh__search_space *out);

/* From a file: any setting but seed, metric and epochs. */
enum nlsh_status nlsh__space_file(const char *path, struct nlsh__search_space *out,
                                  struct nlsh_error *error);

/* Sets what the point holds; what it does not hold stays. */
enum nlsh_status nlsh__space_apply(const struct nlsh__search_space *space, const double *values,
                                   struct nlsh_build_options *options, struct nlsh_error *error);

/* The settings as a point; 0 where they are none of the space. */
int nlsh__space_point(const struct nlsh__search_space *space,
                      const struct nlsh_build_options *options, double *values);

/* The most neighbours of a row that any point asks for. */
size_t nlsh__space_neighbors(const struct nlsh__search_space *space,
                             const struct nlsh_build_options *options);

#endif
