/*
 * model.h - one index of the whole base: settings that were tried, trained as a build trains them. A study
 * remembers what a model was measured to be, as JSON.
 */
#ifndef NLSH_TUNE_RUN_MODEL_H
#define NLSH_TUNE_RUN_MODEL_H

#include "tune/run/stage.h"

struct nlsh__model {
    const struct nlsh__stage *stage;
    int64_t id; /* of its trial, in the study's file; and its number and value */
    uint64_t trial;
    double value;
    struct nlsh_build_options options;
    char *settings; /* the options as JSON */
    char file[96];  /* in the run's folder */
    /* Of the index: candidates held out at recall .95. */
    double held_out, build_seconds;
    uint64_t index_bytes;
};

/* Fills in model->settings. NLSH_E_NOMEM. */
enum nlsh_status nlsh__model_settle(struct nlsh__model *model, struct nlsh_error *error);
void nlsh__model_free(struct nlsh__model *model);

/*
 * nlsh__model_make() - the index of a model, and what it is measured to be.
 *
 *  kept    what the study remembers of it, or NULL. Where that is of these settings and the file is a
 *          whole index of this base, nothing is built: a build gives the same bytes every time.
 *  record  out: what the study is to remember, freed by the caller; NULL where nothing was built
 */
enum nlsh_status nlsh__model_make(const struct nlsh__request *request, struct nlsh__model *model,
                                  const char *kept, char **record, struct nlsh_error *error);

#endif
