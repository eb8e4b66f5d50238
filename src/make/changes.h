/* changes.h - whether what came and went since promises were measured leaves them true: what is like what was there does. */
#ifndef NLSH_MAKE_CHANGES_H
#define NLSH_MAKE_CHANGES_H

#include "base/job.h"
#include "index/index.h"

struct nlsh__changes {
    /* 1: of the log's rows the router expects clearly more of their neighbours outside than of the rows that promises were
     * measured with, or many are far from all that is there. They came from elsewhere. */
    int unlike;
    /* 1: some buckets lost or got far more of their rows than others, by more than chance. */
    int uneven;
};

/*
 * nlsh__judge_changes() - of a state beside its file.
 *
 * Cost: searches for up to 1,000 of the log's rows, and a look at tombstones. The same for any number of threads.
 * NLSH_E_NOMEM.
 */
enum nlsh_status nlsh__judge_changes(const struct nlsh_index *file, const struct nlsh_index *state,
                                     const struct nlsh__job *job, struct nlsh__changes *out,
                                     struct nlsh_error *error);

#endif
