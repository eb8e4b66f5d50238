/*
 * stage.h - a search over one space, and the study that it stands on: first the network's settings, then,
 * where that is asked for, the partition's.
 */
#ifndef NLSH_TUNE_RUN_STAGE_H
#define NLSH_TUNE_RUN_STAGE_H

#include "tune/run/request.h"
#include "tune/study/store.h"

struct nlsh__stage {
    const char *kind;                /* "network", "partition" */
    const char *prefix;              /* of its models' names: "", "partition-" */
    char name[300];                  /* of the study */
    char *file;                      /* that it is in; owned */
    struct nlsh_build_options build; /* its first trial, and what it does not search; resolved */
    struct nlsh__search_space space;
    struct nlsh__store *store; /* NULL: a plan, and the study would be a new one */
    size_t most;               /* trials */
};

/*
 * Open the study of a stage and compare it with what the run is about: data, objective, folds, space and
 * settings. A new study takes them; NLSH_E_MISMATCH names both.
 *
 *  plan   1: it is looked at, and nothing is written
 *  first  the first stage. Its best trial gives the second one's network, as the study settled it
 * *out is closed by nlsh__stage_close(); empty on error.
 */
enum nlsh_status nlsh__stage_first(const struct nlsh__request *request, int plan,
                                   struct nlsh__stage *out, struct nlsh_error *error);
enum nlsh_status nlsh__stage_second(const struct nlsh__request *request, int plan,
                                    const struct nlsh__stage *first, struct nlsh__stage *out,
                                    struct nlsh_error *error);
void nlsh__stage_close(struct nlsh__stage *stage);

/* The file that the run's study is in, freed by the caller. */
enum nlsh_status nlsh__stage_file(const struct nlsh__request *request, char **out,
                                  struct nlsh_error *error);

/* The stage's own settings are the first trial of a new study, also where its space has them not. */
enum nlsh_status nlsh__stage_enqueue(const struct nlsh__stage *stage, struct nlsh_error *error);
/* Whether a trial is that one, and has no point in the space. */
int nlsh__stage_is_outside(const struct nlsh__stage *stage, uint64_t number);

#endif
