/* stages.h - the first stage as nlsh_build() takes it: through the cache. */
#ifndef NLSH_BUILD_STAGES_H
#define NLSH_BUILD_STAGES_H

#include "base/job.h"
#include "vectors/dataset.h"

enum nlsh_status nlsh__stage_graph(const struct nlsh__dataset *base, enum nlsh_graph_method method,
                                   size_t k, uint64_t seed, const struct nlsh__job *job,
                                   struct nlsh_neighbors *out, int *from_cache,
                                   struct nlsh_error *error);

#endif
