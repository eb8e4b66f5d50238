/* next.h - what sampler and pruner say of a stage's study. */
#ifndef NLSH_TUNE_RUN_NEXT_H
#define NLSH_TUNE_RUN_NEXT_H

#include "tune/run/stage.h"

/*
 * nlsh__next_point() - the point of a new trial.
 *
 *  number  of the trial
 *  queued  the trial, where it waited in the queue; or NULL. What the queue says of it stands
 *  values  [space->n] out; all NAN for a stage's first trial that has no point in the space
 */
enum nlsh_status
nlsh__next_point(const struct nlsh__request *request, const struct nlsh__stage *stage,
                 const struct nlsh__trials *so_far, uint64_t number,
                 const struct nlsh__trial *queued, double *values, struct nlsh_error *error);

/* *left is 0 where the grid has no point that was not tried, and nothing waits in the queue. */
enum nlsh_status nlsh__next_left(const struct nlsh__request *request,
                                 const struct nlsh__stage *stage, int *left,
                                 struct nlsh_error *error);

/* Whether a trial should stop behind its last step. steps: [n_steps] what it has reported. */
enum nlsh_status nlsh__next_stop(const struct nlsh__request *request,
                                 const struct nlsh__stage *stage, uint64_t number,
                                 const double *steps, size_t n_steps, int *stop,
                                 struct nlsh_error *error);

#endif
