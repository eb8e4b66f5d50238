/* run.h - what the parts of nlsh_tune() share. */
#ifndef NLSH_TUNE_RUN_RUN_H
#define NLSH_TUNE_RUN_RUN_H

#include "base/job.h"
#include "tune/run/folds.h"
#include "tune/run/objective.h"
#include "tune/run/space.h"
#include "tune/sample/pruner.h"
#include "tune/study/store.h"

/* A search over one space: the network's, or then the partition's. */
struct nlsh__stage {
    const char *prefix;              /* of its models' names: "", "partition-" */
    struct nlsh_build_options build; /* its first trial, and what it does not search; resolved */
    struct nlsh__search_space space;
    struct nlsh__store *store;
    size_t most;        /* trials */
    int first_is_point; /* whether build is a point of the space */
};

/* The defaults, as a finished index. */
struct nlsh__defaults {
    double candidates; /* held out, at recall .95 */
    double build_seconds;
    uint64_t index_bytes;
};

struct nlsh__tune {
    struct nlsh_matrix base;          /* the caller's, without gaps */
    void *memory;                     /* its, where it was made; or NULL */
    struct nlsh_tune_options options; /* the caller's */
    struct nlsh_build_options build;  /* what they say of a build */
    struct nlsh_run run;              /* the caller's */
    int dry;              /* 1: a plan: studies are looked at, a new one's store is NULL */
    struct nlsh__job job; /* of the trials: told to label, and silent besides */
    struct nlsh__objective objective;
    uint64_t data_hash;
    char *cache; /* the run's own, where the caller has none; else NULL */
    struct nlsh__folds folds;
    struct nlsh__stage stages[2];
    size_t n_stages; /* begun */
    struct nlsh__defaults defaults;
    double started;
    /* What is told while trials run. */
    char label[96];
    double share;                             /* of the running trial */
    size_t n_done, n_wanted;                  /* trials of this stage */
    size_t n_partitions, n_partitions_cached; /* of trials */
};

/* folder/name, freed by the caller; NULL: out of memory. */
char *nlsh__tune_path(const struct nlsh__tune *tune, const char *name);

/* Takes options (run may be NULL), checks them and the base, and fills in what follows from them: objective,
 * first stage, hash. */
enum nlsh_status nlsh__tune_begin(struct nlsh__tune *tune, const struct nlsh_matrix *base,
                                  const struct nlsh_tune_options *options,
                                  const struct nlsh_run *run, struct nlsh_error *error);
/* Closes and frees what it holds, also where the beginning failed. */
void nlsh__tune_end(struct nlsh__tune *tune);

/* ---- stage.c ---- */

/* What the study of the i-th stage is called. */
void nlsh__stage_name(const struct nlsh__tune *tune, size_t i, char name[300]);
/* Opens the study of the i-th stage. *path is its file, freed by the caller. */
enum nlsh_status nlsh__stage_open(struct nlsh__tune *tune, size_t i, char **path,
                                  struct nlsh_error *error);
/* The study's data, objective, folds, space and settings are the run's; a new study takes them.
 * NLSH_E_MISMATCH names both. */
enum nlsh_status nlsh__stage_agree(const struct nlsh__tune *tune, const struct nlsh__stage *stage,
                                   const char *path, struct nlsh_error *error);
/* Opens the study of the second stage: the network fixed to the first one's best as the study has
 * settled it, the partition to be searched. */
enum nlsh_status nlsh__stage_second(struct nlsh__tune *tune, struct nlsh_error *error);
/* The stage's own settings are the first trial of a new study. */
enum nlsh_status nlsh__stage_enqueue(struct nlsh__stage *stage, struct nlsh_error *error);

/* ---- trial.c ---- */

/* Begins, runs and ends one trial. *none is 1 where there is none to begin. */
enum nlsh_status nlsh__tune_trial(struct nlsh__tune *tune, struct nlsh__stage *stage, int *none,
                                  struct nlsh_error *error);

/* Whether a is better than b; nothing is better than NAN, everything than that. */
int nlsh__better(const struct nlsh__tune *tune, double a, double b);
/* The best complete trial; NULL where none is. */
const struct nlsh__trial *nlsh__best_trial(const struct nlsh__tune *tune,
                                           const struct nlsh__trials *trials);

/* Queries a second of the learner's last run at a threshold, one thread. qps.c */
enum nlsh_status nlsh__measure_qps(const struct nlsh__tune *tune, const struct nlsh__fold *fold,
                                   double threshold, double *qps, struct nlsh_error *error);

/* ---- models.c ---- */

/* The defaults as an index of all data, which also decides what `auto` stands for. */
enum nlsh_status nlsh__tune_defaults(struct nlsh__tune *tune, struct nlsh_build_options *build,
                                     struct nlsh__store *store, struct nlsh_error *error);

/* The best settings of all stages on all data, and index.json. */
enum nlsh_status nlsh__tune_models(struct nlsh__tune *tune, struct nlsh_tune_report *report,
                                   struct nlsh_error *error);

/* ---- outputs.c ---- */

enum nlsh_status nlsh__write_trials(const struct nlsh__tune *tune, struct nlsh_error *error);

#endif
