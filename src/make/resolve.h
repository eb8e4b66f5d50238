/* resolve.h - settings that were left to the build, filled in for the data. */
#ifndef NLSH_MAKE_RESOLVE_H
#define NLSH_MAKE_RESOLVE_H

#include "nlsh/learn.h"

/* Fills NLSH_AUTO settings and checks all against the data, plain rows. NLSH_E_ARG names the setting. */
enum nlsh_status nlsh__resolve(const struct nlsh_matrix *base, struct nlsh_build_options *options,
                               struct nlsh_error *error);

/* The same by how rows are stored, without their values: the usual number of components, where that was left to the build. */
enum nlsh_status nlsh__resolve_unseen(const struct nlsh_matrix *stored,
                                      struct nlsh_build_options *options, struct nlsh_error *error);

/* Whether a build stores bytes: floats that are all of them whole numbers become bytes. base is plain. */
int nlsh__stored_as_bytes(const struct nlsh_matrix *base, enum nlsh_metric metric);
/* Such rows, U8 or F32, without their values. */
struct nlsh_matrix nlsh__as_stored(const struct nlsh_matrix *base, enum nlsh_metric metric);

/* Settings that are what n rows of their own would have got are left to the build again: what was resolved for an index of
 * n rows, for one of another size. Codes and leaves go with the number of buckets. */
void nlsh__unresolve(size_t n, struct nlsh_build_options *options);

/* What nlsh_build() refuses before it begins: vectors, settings, a library that is not here; nothing is
 * written. build.c */
enum nlsh_status nlsh__build_check(const struct nlsh_matrix *base,
                                   const struct nlsh_build_options *options,
                                   struct nlsh_error *error);

/* How many of n rows a build compares partitions on. build.c */
size_t nlsh__compared_rows(size_t n);

/* Of the partitioners that auto tries the one that divides n of these rows better. build.c */
enum nlsh_status nlsh__better_partitioner(const struct nlsh_matrix *base, size_t n,
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

/* Whether leaves save anything goes by all n vectors; a sample's buckets are too small to tell. */
void nlsh__leaves_of_all(struct nlsh_build_options *options, size_t sample, size_t n);

/* The imbalance that a partitioner is given. */
double nlsh__imbalance(const struct nlsh_build_options *options, enum nlsh_partitioner partitioner);

#endif
