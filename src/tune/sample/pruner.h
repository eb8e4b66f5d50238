/* pruner.h - whether a trial is worth going on with. Pure, as the samplers are. */
#ifndef NLSH_TUNE_SAMPLE_PRUNER_H
#define NLSH_TUNE_SAMPLE_PRUNER_H

#include "tune/sample/sampler.h"

struct nlsh__pruner_options {
    enum nlsh_pruner kind;
    uint64_t seed;    /* the study's: which bracket a trial's number falls into */
    uint64_t trial;   /* the number of the trial that is asked about */
    size_t n_startup; /* MEDIAN: complete trials before the first is pruned; 5 */
    size_t n_warmup;  /* MEDIAN: steps that no trial is pruned at; 0 */
    size_t min_steps; /* HYPERBAND: the first step at which it may stop a trial; 1 */
    size_t max_steps; /* HYPERBAND: the steps of a whole trial; the caller must set it */
    size_t reduction; /* HYPERBAND: one in so many is kept at each rung; 3 */
};

/* MEDIAN with the numbers above. */
void nlsh__pruner_options_init(struct nlsh__pruner_options *options);

/*
 * nlsh__should_prune() - to be asked after every reported step.
 *
 *  steps  [n_steps] what the trial has reported, the last being new; NAN for a step left out.
 *         Smaller is better.
 * Returns 1 where the trial should stop. A last step that is NAN never prunes.
 * MEDIAN: its best step so far is worse than the median, over the other trials that reported this
 * step, of their best so far. HYPERBAND: at the steps that are rungs of the trial's bracket, unless
 * it is among the best 1/reduction of the trials of its bracket that reached the rung.
 * Source: pruner.c.
 */
int nlsh__should_prune(const struct nlsh__pruner_options *options,
                       const struct nlsh__observation *observations, size_t n, const double *steps,
                       size_t n_steps);

#endif
