/*
 * sampler.h - which settings to try next.
 *
 * Pure functions of the options and of what has been observed: the same study, seed and trial
 * number give the same suggestion, in whichever process.
 */
#ifndef NLSH_TUNE_SAMPLE_SAMPLER_H
#define NLSH_TUNE_SAMPLE_SAMPLER_H

#include "nlsh/learn.h"
#include "tune/sample/params.h"
#include "tune/state.h"

struct nlsh__sampler_options {
    enum nlsh_sampler kind;
    uint64_t seed;
    uint64_t trial;      /* the new trial's number, unique in its study: its random stream */
    size_t n_startup;    /* TPE: so many trials at random first; 10 */
    size_t n_candidates; /* TPE: points drawn of which one is taken; 24 */
    size_t grid_points;  /* GRID: values a range is cut into, at most; 5 */
};

/* TPE with the numbers above, seed 1, trial 0. */
void nlsh__sampler_options_init(struct nlsh__sampler_options *options);

struct nlsh__observation {
    const double *values; /* [space->n] */
    double value;         /* COMPLETE: the objective, smaller is better; otherwise not read */
    enum nlsh__trial_state state;
    uint64_t number;     /* the trial's number */
    const double *steps; /* [n_steps] the objective after step 1, 2, ...; NAN where not reported */
    size_t n_steps;      /* 0: nothing reported */
};

/*
 * nlsh__suggest() - the next point of a space.
 *
 *  observations  the study so far, in any order, the new trial itself left out.
 *  values        [space->n] out.
 * TPE: trials of other processes that are running count among the bad ones, so that two processes
 * do not try the same; a pruned one is ranked behind the complete by how far it came and how well it
 * did. GRID: the next of its points that no observation has, in a random order; where none is left
 * NLSH_E_ARG (ask nlsh__suggestions_left() before).
 * NLSH_E_ARG, NLSH_E_NOMEM.
 * Source: tpe.c, random.c and grid.c name theirs.
 */
enum nlsh_status nlsh__suggest(const struct nlsh__search_space *space,
                               const struct nlsh__sampler_options *options,
                               const struct nlsh__observation *observations, size_t n,
                               double *values, struct nlsh_error *error);

/* How many suggestions there still are: GRID's points without an observation; else UINT64_MAX. */
uint64_t nlsh__suggestions_left(const struct nlsh__search_space *space,
                                const struct nlsh__sampler_options *options,
                                const struct nlsh__observation *observations, size_t n);

/* ---- each sampler's own function, called by nlsh__suggest() with arguments it has checked ------ */

void nlsh__suggest_random(const struct nlsh__search_space *space,
                          const struct nlsh__sampler_options *options, double *values);
enum nlsh_status nlsh__suggest_grid(const struct nlsh__search_space *space,
                                    const struct nlsh__sampler_options *options,
                                    const struct nlsh__observation *observations, size_t n,
                                    double *values, struct nlsh_error *error);
enum nlsh_status nlsh__suggest_tpe(const struct nlsh__search_space *space,
                                   const struct nlsh__sampler_options *options,
                                   const struct nlsh__observation *observations, size_t n,
                                   double *values, struct nlsh_error *error);

#endif
