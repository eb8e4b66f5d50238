/* study.h - a study of nlsh tune, or of Optuna, read from its SQLite file. */
#ifndef NLSH_CLI_REPORT_STUDY_H
#define NLSH_CLI_REPORT_STUDY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum trial_state { TRIAL_COMPLETE, TRIAL_PRUNED, TRIAL_FAILED, TRIAL_RUNNING };

struct trial {
    int number;
    enum trial_state state;
    double value; /* NaN where it has none that is finite */
    double last;  /* the last intermediate value, or NaN */
};

struct step {
    size_t trial; /* its place among the trials */
    double step, value;
};

struct parameter {
    char *name;
    bool log;   /* chosen on a logarithm */
    bool whole; /* whole numbers only */
    double low, high;
    json_t *choices; /* of a categorical parameter, else NULL; a value is then a place in it */
    double *values;  /* [n_trials], NaN where the trial does not have the parameter */
};

struct study {
    char *name;
    bool maximize;
    struct trial *trials; /* by number */
    size_t n_trials;
    struct parameter *parameters; /* in the order of their first use */
    size_t n_parameters;
    struct step *steps; /* by trial, then step */
    size_t n_steps;
    json_t *attributes; /* object: the study's user attributes, as their values are */
};

/* All studies in a file; 0 or an exit code. Only the first objective of a study is read. */
int studies_read(const char *path, struct study **out, size_t *n);
void studies_free(struct study *studies, size_t n);

/* "0.0012", "512", "cosine": a value of a parameter in words. */
const char *parameter_text(const struct parameter *p, double value, char *buffer, size_t size);

/*
 * parameter_importance() - the share of the variance of the trials' ranks that is explained by one
 * parameter alone, 0 to 1; NaN with too few whole trials. See study_importance.c.
 */
double parameter_importance(const struct study *study, size_t parameter);

#endif
