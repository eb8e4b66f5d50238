/*
 * meter.h - the trials as one bar. A trial has many stages of its own, trained in many folds: a caller is
 * told how far the trials are, and which one is the best so far.
 */
#ifndef NLSH_TUNE_RUN_METER_H
#define NLSH_TUNE_RUN_METER_H

#include "base/job.h"

/* Written by the functions below alone. */
struct nlsh__meter {
    struct nlsh_run told; /* the caller's */
    char label[96];       /* "" before the first stage */
    size_t n_done, n_wanted;
    double share; /* of the running trial, 0 to 1 */
};

void nlsh__meter_init(struct nlsh__meter *meter, const struct nlsh_run *run);

/* What the stages of trials run with: the caller's threads and cache. Their progress goes to the meter,
 * which must outlive it, and their notes nowhere. Before the first stage they are told as they are. */
struct nlsh_run nlsh__meter_run(struct nlsh__meter *meter);

/* A stage with so many trials, of which some are done. best: NAN where there is none. */
void nlsh__meter_trials(struct nlsh__meter *meter, const char *stage, size_t n_done,
                        size_t n_wanted, double best);
void nlsh__meter_share(struct nlsh__meter *meter, double share);
/* Tells where it stands. NLSH_E_INTERRUPTED: the caller asks to stop. */
enum nlsh_status nlsh__meter_tell(struct nlsh__meter *meter, struct nlsh_error *error);
/* The stage is over. */
void nlsh__meter_end(struct nlsh__meter *meter);

#endif
