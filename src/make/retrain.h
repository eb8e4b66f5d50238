/* retrain.h - an index learned anew from what it holds. */
#ifndef NLSH_MAKE_RETRAIN_H
#define NLSH_MAKE_RETRAIN_H

#include "base/job.h"
#include "live/writer.h"
#include "make/gathered.h"

/* Buckets, router and file of the gathered rows, by the settings of the writer's file, in that file's place; the new file
 * says that it holds the log so far. Statuses are nlsh_build()'s. */
enum nlsh_status nlsh__retrain(const struct nlsh_writer *writer, const struct nlsh__gathered *rows,
                               const struct nlsh__job *job, struct nlsh_error *error);

#endif
