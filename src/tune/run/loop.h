/* loop.h - the trials of a stage, one after another, beside other processes that work on the study. */
#ifndef NLSH_TUNE_RUN_LOOP_H
#define NLSH_TUNE_RUN_LOOP_H

#include "tune/run/trial.h"

/* The partitions of its trials; see struct nlsh__trial_end. */
struct nlsh__loop_end {
    size_t n_partitions, n_partitions_cached;
};

/*
 * nlsh__loop_run() - trials until the stage has as many as it should.
 *
 *  until   a time of nlsh__now() after which no trial begins; INFINITY: none
 *  others  1: then waits for the trials of other processes to end; where one of them is stopped there is
 *          room for another trial
 * *out holds also where the loop was stopped.
 */
enum nlsh_status nlsh__loop_run(const struct nlsh__request *request,
                                const struct nlsh__stage *stage, const struct nlsh__folds *folds,
                                double until, int others, struct nlsh__meter *meter,
                                struct nlsh__loop_end *out, struct nlsh_error *error);

/* Trials that living processes still run. */
enum nlsh_status nlsh__loop_running(const struct nlsh__stage *stage, size_t *n,
                                    struct nlsh_error *error);

#endif
