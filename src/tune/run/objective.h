/* objective.h - what a trial is judged by. */
#ifndef NLSH_TUNE_RUN_OBJECTIVE_H
#define NLSH_TUNE_RUN_OBJECTIVE_H

#include <stddef.h>

#include "nlsh/nlsh.h"

enum nlsh__objective_kind { NLSH__RECALL_AT, NLSH__CANDIDATES_AT, NLSH__QPS_AT };

struct nlsh__objective {
    enum nlsh__objective_kind kind;
    double at;     /* T, or a recall */
    char name[48]; /* as a study keeps it: "candidates@0.95" */
};

/* "recall@5", "recall@.05", "candidates@.95", "qps@.9"; a bare "recall", "candidates" or "qps" takes
 * T 1 or recall .95. NLSH_E_ARG. */
enum nlsh_status nlsh__objective_parse(const char *text, struct nlsh__objective *out,
                                       struct nlsh_error *error);
/* 1: larger is better. */
int nlsh__objective_maximize(const struct nlsh__objective *objective);
/* Whether a is better than b; nothing is better than NAN, everything than that. */
int nlsh__objective_better(const struct nlsh__objective *objective, double a, double b);
/* The value of a trial that could not be: every one of n vectors scanned, nothing found. */
double nlsh__objective_worst(const struct nlsh__objective *objective, size_t n_rows);

#endif
