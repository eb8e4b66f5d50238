/* study.h - a study of nlsh tune, or of Optuna, as charts need it. */
#ifndef NLSH_CLI_REPORT_STUDY_H
#define NLSH_CLI_REPORT_STUDY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "report/report.h"
#include "tune/study/studies.h"

/* A parameter with its values in all trials: of the distributions that it was drawn from, the first. */
struct parameter {
    char *name;
    const struct nlsh__parameter *drawn;
    double *values; /* [n_trials], NaN where the trial does not have the parameter */
};

struct study {
    const struct nlsh__study *of;
    char *name;                   /* fit for a page, as all text here */
    struct parameter *parameters; /* in the order of their first use */
    size_t n_parameters;
    json_t *attributes; /* object: the study's user attributes, as their values are */
};

/* Of a file's study, which must outlive it; 0 or an exit code. path is for messages. */
int study_of(const char *path, const struct nlsh__study *from, struct study *out);
void study_free(struct study *study);

/* "0.0012", "512", "cosine": a value of a parameter in words. */
const char *parameter_text(const struct parameter *p, double value, char *buffer, size_t size);

/* Whether a value is better than another. */
bool study_better(const struct study *study, double a, double b);
/* The whole trials that have a value by their places among all, the best first; freed by the caller, NULL without
 * memory. */
size_t *study_order(const struct study *study, size_t *n);
/* All trials at once, in parallel coordinates; 0 or an exit code. */
int draw_parallel(struct report *report, const struct study *study);

/* A whole trial with a value. */
bool trial_counts(const struct nlsh__trial *trial);

/*
 * parameter_importance() - the share of the variance of the trials' ranks that is explained by one
 * parameter alone, 0 to 1; NaN with too few whole trials. See importance.c.
 */
double parameter_importance(const struct study *study, size_t parameter);

#endif
