/* forecast.h - what a build would come to, without doing it. */
#ifndef NLSH_MAKE_FORECAST_H
#define NLSH_MAKE_FORECAST_H

#include "make/speed.h"
#include "nlsh/learn.h"

/*
 * nlsh__forecast() - time, memory and size of a build.
 *
 *  base     as the build will store it, U8 or F32; its values are not read
 *  options  resolved
 * The first call of a process measures this machine, in a few tenths of a second: NLSH_E_NOMEM.
 */
enum nlsh_status nlsh__forecast(const struct nlsh_matrix *base,
                                const struct nlsh_build_options *options, size_t n_threads,
                                struct nlsh_build_forecast *out, struct nlsh_error *error);

/* Its memory and size alone, which nothing is measured for. */
void nlsh__forecast_bytes(const struct nlsh_matrix *base, const struct nlsh_build_options *options,
                          struct nlsh_build_forecast *out);

/* Bytes of a vector in the index. */
double nlsh__stored_row_bytes(const struct nlsh_matrix *base,
                              const struct nlsh_build_options *options);

/* Of the largest network that is tried, for a row that it learns from. */
double nlsh__visit_seconds(const struct nlsh_build_options *options,
                           const struct nlsh__speed *speed);

#endif
