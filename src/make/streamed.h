/* streamed.h - nlsh_build_rows() by numbers of rows, in place of bytes of memory. */
#ifndef NLSH_MAKE_STREAMED_H
#define NLSH_MAKE_STREAMED_H

#include "make/memory_plan.h"

enum nlsh_status nlsh__build_planned(const struct nlsh_rows *base,
                                     const struct nlsh_build_options *options,
                                     const struct nlsh__memory_plan *plan, const char *path,
                                     const struct nlsh_run *run, struct nlsh_build_report *report,
                                     struct nlsh_error *error);

/* What a base and settings must be for that. NLSH_E_ARG, NLSH_E_UNSUPPORTED. */
enum nlsh_status nlsh__check_rows(const struct nlsh_rows *base,
                                  const struct nlsh_build_options *options,
                                  struct nlsh_error *error);

#endif
