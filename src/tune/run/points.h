/*
 * points.h - trials of a study as points of a search space, and points as a study keeps them. Here the
 * two meet: the study knows nothing of spaces, the samplers nothing of files.
 */
#ifndef NLSH_TUNE_RUN_POINTS_H
#define NLSH_TUNE_RUN_POINTS_H

#include "tune/sample/sampler.h"
#include "tune/study/store.h"

/*
 * nlsh__trial_point() - the values of a trial, or of what the queue says of it.
 *
 *  values  [space->n] out; NAN where the trial has none that the space knows
 * A choice is found by its text, since Optuna may list choices in another order. Returns 1 where the
 * point is one of the space.
 */
int nlsh__trial_point(const struct nlsh__search_space *space, const struct nlsh__trials *trials,
                      const struct nlsh__trial *trial, double *values);

/* Writes a running trial's point; absent parameters are left out. */
enum nlsh_status nlsh__store_point(struct nlsh__store *store, int64_t trial,
                                   const struct nlsh__search_space *space, const double *values,
                                   struct nlsh_error *error);

/* nlsh__store_enqueue_first() with a point; NAN values are left to the sampler. */
enum nlsh_status nlsh__store_enqueue_point(struct nlsh__store *store,
                                           const struct nlsh__search_space *space,
                                           const double *values, struct nlsh_error *error);

/* Observations as samplers and pruners take them, with what they point to. */
struct nlsh__observed {
    struct nlsh__observation *list;
    size_t n;
    double *values, *steps; /* of all of them */
};

/*
 * nlsh__observe() - the trials that samplers and pruners learn from: those of the space, but for one
 * number and what waits in the queue.
 *
 *  maximize   1: values are turned round, for smaller is better there
 *  max_steps  later steps are none that a trial has: left out
 */
enum nlsh_status nlsh__observe(const struct nlsh__search_space *space,
                               const struct nlsh__trials *trials, uint64_t without, int maximize,
                               size_t max_steps, struct nlsh__observed *out,
                               struct nlsh_error *error);
void nlsh__observed_free(struct nlsh__observed *observed);

#endif
