/* resolve.h - settings that were left to the build, filled in for the data. */
#ifndef NLSH_MAKE_RESOLVE_H
#define NLSH_MAKE_RESOLVE_H

#include "nlsh/learn.h"

/* Fills NLSH_AUTO settings and checks all against the data. NLSH_E_ARG names the setting. */
enum nlsh_status nlsh__resolve(const struct nlsh_matrix *base, struct nlsh_build_options *options,
                               struct nlsh_error *error);

/* Settings that are what n rows of their own would have got are left to the build again: what was resolved for an index of
 * n rows, for one of another size. Codes and leaves go with the number of buckets. */
void nlsh__unresolve(size_t n, struct nlsh_build_options *options);

/* What nlsh_build() refuses before it begins: vectors, settings, a library that is not here; nothing is
 * written. build.c */
enum nlsh_status nlsh__build_check(const struct nlsh_matrix *base,
                                   const struct nlsh_build_options *options,
                                   struct nlsh_error *error);

/* Of the partitioners that auto tries the one that divides these rows better, as nlsh_build() compares them. build.c */
enum nlsh_status nlsh__better_partitioner(const struct nlsh_matrix *base,
                                          const struct nlsh_build_options *options,
                                          const struct nlsh_run *run, enum nlsh_partitioner *out,
                                          struct nlsh_error *error);

/* A power of two near n / 60, from 1 to 1024. */
size_t nlsh__auto_buckets(size_t n);
/* Of m buckets. */
size_t nlsh__auto_groups(size_t m);

/* The longest code: of all components that the router sees. */
size_t nlsh__whole_code(const struct nlsh_build_options *options);

/* Whether the rows of an index of n vectors stand in leaves; options are resolved. */
int nlsh__in_leaves(const struct nlsh_build_options *options, size_t n);

/* The imbalance that a partitioner is given. */
double nlsh__imbalance(const struct nlsh_build_options *options, enum nlsh_partitioner partitioner);

#endif
