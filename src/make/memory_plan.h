/* memory_plan.h - what a build in a part of the memory uses it for. */
#ifndef NLSH_MAKE_MEMORY_PLAN_H
#define NLSH_MAKE_MEMORY_PLAN_H

#include "nlsh/learn.h"

enum { NLSH__MOST_SAMPLE = 1000000 }; /* rows that are learned from */

/* Rows that are in memory: of the sample, of a block that passes, and those that ask what searches reach; and bytes for
 * those that teach the router of all. A graph that is cut needs as much memory a row as all else: partitions may be compared on fewer
 * rows than are then divided by k-means. */
struct nlsh__memory_plan {
    size_t sample, block, asking;
    size_t compared; /* rows of the sample whose graph may be cut; 0: all */
    uint64_t teaching_bytes;
};

/* By bytes that the build may take; options are settled but for what the rows decide. NLSH_E_ARG: they are too few. */
enum nlsh_status nlsh__plan_memory(const struct nlsh_rows *base,
                                   const struct nlsh_build_options *options, uint64_t memory,
                                   struct nlsh__memory_plan *out, struct nlsh_error *error);

/* What nlsh_build() of n of the rows takes. */
uint64_t nlsh__bytes_of_build(const struct nlsh_rows *base,
                              const struct nlsh_build_options *options, size_t n);

#endif
