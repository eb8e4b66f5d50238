/* trial.h - one trial of a stage. */
#ifndef NLSH_TUNE_RUN_TRIAL_H
#define NLSH_TUNE_RUN_TRIAL_H

#include "tune/run/folds.h"
#include "tune/run/meter.h"
#include "tune/run/stage.h"

struct nlsh__trial_end {
    int none;                                 /* 1: there was none to begin */
    size_t n_partitions, n_partitions_cached; /* that it needed, and found in the cache */
};

/* Begins a trial, runs it in every fold and writes how it ended. Settings that cannot be learned with are
 * no error: the trial counts as the worst. meter is told how far it is. */
enum nlsh_status nlsh__trial_run(const struct nlsh__request *request,
                                 const struct nlsh__stage *stage, const struct nlsh__folds *folds,
                                 struct nlsh__meter *meter, struct nlsh__trial_end *out,
                                 struct nlsh_error *error);

#endif
