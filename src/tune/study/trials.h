/*
 * trials.h - the trials of a study as its file has them, whoever wrote them. Optuna's words are kept: a
 * value stands beside the distribution it was drawn from. What they mean in a search space of ours is
 * not asked here.
 */
#ifndef NLSH_TUNE_STUDY_TRIALS_H
#define NLSH_TUNE_STUDY_TRIALS_H

#include <jansson.h>

#include "tune/state.h"
#include "tune/study/sql.h"

/* A parameter with one of the distributions that trials had it from. A name stands more than once where
 * they had it from several. */
struct nlsh__parameter {
    char *name;
    char *distribution; /* JSON as it stands in the file */
    enum { NLSH__DRAWN_FLOAT, NLSH__DRAWN_INT, NLSH__DRAWN_CHOICE, NLSH__DRAWN_UNKNOWN } kind;
    int log;
    double low, high; /* FLOAT, INT: low <= high, and low > 0 where log */
    json_t *choices;  /* CHOICE: not empty; else NULL. A value is then a place in it */
};

struct nlsh__given {
    size_t parameter; /* its place in struct nlsh__trials */
    double value;     /* finite; a CHOICE's lies below the number of choices */
};

struct nlsh__step {
    int64_t step;
    double value; /* NAN where it is not finite */
};

struct nlsh__trial {
    int64_t id;      /* in the file */
    uint64_t number; /* in the study, from 0 */
    enum nlsh__trial_state state;
    int lost;       /* FAILED because its process was gone or interrupted: it counts for nothing */
    double value;   /* NAN where it has none that is finite; as the study's direction has it */
    double seconds; /* from begin to end; NAN where it has not ended */
    struct nlsh__given *given;
    size_t n_given;
    struct nlsh__step *steps; /* ascending by step */
    size_t n_steps;
    char *queued; /* WAITING: JSON, what the queue says of its parameters; or NULL */
};

struct nlsh__trials {
    struct nlsh__trial *trials; /* ascending by number */
    size_t n;
    struct nlsh__parameter *parameters; /* in the order of their first use */
    size_t n_parameters;
};

/* All trials of a study, as they are at one moment. NLSH_E_DATA: a state, a number or a value that no
 * study has. *out is freed by nlsh__trials_free(); empty on error. */
enum nlsh_status nlsh__trials_read(const struct nlsh__sql *sql, int64_t study,
                                   struct nlsh__trials *out, struct nlsh_error *error);
void nlsh__trials_free(struct nlsh__trials *trials);

/* The best complete trial, the first of equals; NULL where none has a value. */
const struct nlsh__trial *nlsh__trials_best(const struct nlsh__trials *trials, int maximize);

/* "COMPLETE", as the file has it. */
const char *nlsh__state_name(enum nlsh__trial_state state);

#endif
