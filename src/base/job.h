/* job.h - what a stage needs to run: the caller's wishes and the threads made for them. */
#ifndef NLSH_BASE_JOB_H
#define NLSH_BASE_JOB_H

#include "base/pool.h"
#include "nlsh/learn.h"

struct nlsh__job {
    struct nlsh_run run; /* a copy of the caller's, or of the defaults where that was NULL */
    struct nlsh__pool *pool;
};

/* NLSH_E_ARG for 0 threads; NLSH_E_NOMEM. */
enum nlsh_status nlsh__job_begin(const struct nlsh_run *run, struct nlsh__job *job,
                                 struct nlsh_error *error);
void nlsh__job_end(struct nlsh__job *job);

/* nlsh__pool_run_progress() with the job's own progress function. */
enum nlsh_status nlsh__job_tasks(const struct nlsh__job *job, const char *stage, size_t n_tasks,
                                 nlsh__task_fn *fn, void *ctx, struct nlsh_error *error);

/* Reports progress of a stage that is not made of tasks; NLSH_E_INTERRUPTED to stop. */
enum nlsh_status nlsh__job_progress(const struct nlsh__job *job, const char *stage, uint64_t done,
                                    uint64_t total, struct nlsh_error *error);

/* A sentence to the job's note function. */
void nlsh__job_note(const struct nlsh__job *job, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
