/* plan.h - what nlsh_tune() would do, without doing it. */
#ifndef NLSH_TUNE_RUN_PLAN_H
#define NLSH_TUNE_RUN_PLAN_H

#include "nlsh/learn.h"

/* A study: that of the network's settings, or the second stage's. */
struct nlsh__stage_plan {
    char *name;                      /* in the study's file */
    int begun;                       /* 1: it is there and would go on */
    struct nlsh_build_options build; /* its first trial, and what is not searched */
    char *space;                     /* JSON, as --space takes it */
    size_t n_trials, n_done;         /* in all; of these there already, or running */
};

struct nlsh__tune_plan {
    char *study;        /* its file */
    char objective[64]; /* as the study calls it */
    int maximize;       /* 1: larger values are better */
    struct nlsh__stage_plan stages[2];
    size_t n_stages;
};

/* Refuses what nlsh_tune() would refuse before its first trial, and writes nothing. A second stage that has
 * not begun is planned around the best trial so far. */
enum nlsh_status nlsh__tune_plan(const struct nlsh_matrix *base,
                                 const struct nlsh_tune_options *options,
                                 struct nlsh__tune_plan *out, struct nlsh_error *error);
void nlsh__tune_plan_free(struct nlsh__tune_plan *plan);

#endif
