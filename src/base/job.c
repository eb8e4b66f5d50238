/* job.c - see job.h. */
#include "base/job.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/sized.h"

void nlsh_run_init(struct nlsh_run *run, size_t size)
{
    const struct nlsh_run defaults = {.n_threads = nlsh__n_processors()};
    nlsh__options_init(run, size, &defaults, sizeof defaults);
}

enum nlsh_status nlsh__job_begin(const struct nlsh_run *run, struct nlsh__job *job,
                                 struct nlsh_error *error)
{
    job->pool = NULL;
    nlsh_run_init(&job->run, sizeof job->run);
    enum nlsh_status status =
        nlsh__options_take(&job->run, sizeof job->run, run, "nlsh_run", error);
    if (status != NLSH_OK) return status;
    if (job->run.n_threads < 1 || job->run.n_threads > 4096)
        return nlsh__fail(error, NLSH_E_ARG, "use the number of cores, or 1",
                          "threads is %zu: it must lie between 1 and 4096", job->run.n_threads);
    return nlsh__pool_create(job->run.n_threads, &job->pool, error);
}

void nlsh__job_end(struct nlsh__job *job)
{
    nlsh__pool_free(job->pool);
    job->pool = NULL;
}

enum nlsh_status nlsh__job_tasks(const struct nlsh__job *job, const char *stage, size_t n_tasks,
                                 nlsh__task_fn *fn, void *ctx, struct nlsh_error *error)
{
    return nlsh__pool_run_progress(job->pool, n_tasks, fn, ctx, job->run.progress, job->run.user,
                                   stage, error);
}

enum nlsh_status nlsh__job_progress(const struct nlsh__job *job, const char *stage, uint64_t done,
                                    uint64_t total, struct nlsh_error *error)
{
    if (job->run.progress == NULL || job->run.progress(job->run.user, stage, done, total) == 0)
        return NLSH_OK;
    return nlsh__fail(error, NLSH_E_INTERRUPTED, NULL, "stopped during: %s", stage);
}

void nlsh__job_note(const struct nlsh__job *job, const char *format, ...)
{
    char sentence[512];
    if (job->run.note == NULL) return;
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    job->run.note(job->run.user, sentence);
}
