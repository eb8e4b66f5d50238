/* forecast_rows.h - what a build in a part of the memory would come to, without doing it. */
#ifndef NLSH_MAKE_FORECAST_ROWS_H
#define NLSH_MAKE_FORECAST_ROWS_H

#include "make/memory_plan.h"

/*
 * nlsh__forecast_rows() - time, size and disk.
 *
 *  stored   as the build will store it, U8 or F32, of all rows; its values are not read
 *  options  resolved for the sample
 *  plan     of fewer rows than all
 * Memory is what the caller gives. NLSH_E_NOMEM, as nlsh__forecast().
 */
enum nlsh_status nlsh__forecast_rows(const struct nlsh_matrix *stored,
                                     const struct nlsh_build_options *options,
                                     const struct nlsh__memory_plan *plan, size_t n_threads,
                                     struct nlsh_build_forecast *out, struct nlsh_error *error);

/* Bytes of the index's disk that are taken when most are: of files without names, of an index that is asked, and of what
 * is kept for a build that goes on. */
uint64_t nlsh__disk_bytes(const struct nlsh_matrix *stored,
                          const struct nlsh_build_options *options,
                          const struct nlsh__memory_plan *plan);

#endif
