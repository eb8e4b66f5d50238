/* forecast.h - what a build would come to, without doing it. */
#ifndef NLSH_MAKE_FORECAST_H
#define NLSH_MAKE_FORECAST_H

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

#endif
