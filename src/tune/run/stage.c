/*
 * stage.c - the study that a stage stands on: opened, compared with what the run is about, and its
 * first trial put in the queue.
 */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "make/resolve.h"
#include "make/settings.h"
#include "tune/run/run.h"

/* An attribute of the study, written where it is not there. *stands is NULL where a plan finds none. */
static enum nlsh_status settle(const struct nlsh__tune *tune, struct nlsh__store *store,
                               const char *key, const char *value, char **stands,
                               struct nlsh_error *error)
{
    *stands = NULL;
    if (!tune->dry) return nlsh__store_settle(store, key, value, stands, error);
    return store != NULL ? nlsh__store_get(store, key, stands, error) : NLSH_OK;
}

/* One that a later run must agree with. */
static enum nlsh_status agree(const struct nlsh__tune *tune, struct nlsh__store *store,
                              const char *path, const char *key, const char *value,
                              const char *what, struct nlsh_error *error)
{
    char *old;
    enum nlsh_status status = settle(tune, store, key, value, &old, error);
    if (status == NLSH_OK && old != NULL && strcmp(old, value) != 0)
        status =
            nlsh__fail(error, NLSH_E_MISMATCH,
                       "resume it as it began, or begin another study: take another -i or "
                       "--study",
                       "%s: the study is of other %s: %.120s, not %.120s", path, what, old, value);
    free(old);
    return status;
}

enum nlsh_status nlsh__stage_agree(const struct nlsh__tune *tune, const struct nlsh__stage *stage,
                                   const char *path, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_tune_options *o = &tune->options;
    char text[160], *space = NULL, *settings = nlsh__settings_json(&stage->build);
    if (settings == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    snprintf(text, sizeof text, "{\"hash\": \"%016" PRIx64 "\", \"rows\": %zu, \"dim\": %zu}",
             tune->data_hash, tune->base.n_rows, tune->base.dim);
    NLSH_TRY(agree(tune, stage->store, path, "nlsh:data", text, "data", error));
    snprintf(text, sizeof text, "\"%s\"", tune->objective.name);
    NLSH_TRY(agree(tune, stage->store, path, "nlsh:objective", text, "objective", error));
    snprintf(text, sizeof text, "{\"folds\": %zu, \"epochs\": %zu}", o->n_folds, o->epochs);
    NLSH_TRY(agree(tune, stage->store, path, "nlsh:folds", text, "folds", error));
    NLSH_TRY(nlsh__space_json(&stage->space, &space, error));
    NLSH_TRY(agree(tune, stage->store, path, "nlsh:space", space, "space", error));
    NLSH_TRY(agree(tune, stage->store, path, "nlsh:build", settings, "settings", error));
out:
    free(space);
    free(settings);
    return status;
}

static void last_part(const char *path, char *out, size_t size)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    size_t first = length;
    while (first > 0 && path[first - 1] != '/') first--;
    snprintf(out, size, "%.*s", (int)(length - first), path + first);
}

void nlsh__stage_name(const struct nlsh__tune *tune, size_t i, char name[300])
{
    const struct nlsh_tune_options *o = &tune->options;
    char run[256];
    if (o->name != NULL)
        snprintf(run, sizeof run, "%s", o->name);
    else
        last_part(o->folder, run, sizeof run);
    snprintf(name, 300, "%s%s", run, i == 0 ? "" : "-partition");
}

enum nlsh_status nlsh__stage_open(struct nlsh__tune *tune, size_t i, char **path,
                                  struct nlsh_error *error)
{
    struct nlsh__stage *stage = &tune->stages[i];
    const struct nlsh_tune_options *o = &tune->options;
    char name[300];
    *path = o->study != NULL ? strdup(o->study) : nlsh__tune_path(tune, "study.db");
    if (*path == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    nlsh__stage_name(tune, i, name);
    /* The second stage of a resumed run may not have begun. */
    enum nlsh__store_mode mode = i > 0       ? NLSH__STORE_EITHER
                                 : o->resume ? NLSH__STORE_RESUME
                                             : NLSH__STORE_CREATE;
    int maximize = nlsh__objective_maximize(&tune->objective);
    enum nlsh_status status =
        tune->dry ? nlsh__store_look(*path, name, mode, maximize, &stage->store, error)
                  : nlsh__store_open(*path, name, mode, maximize, &stage->store, error);
    if (status == NLSH_OK) tune->n_stages = i + 1;
    return status;
}

/* The first stage may have found better since the second began, or another process may have begun it
 * this moment: what stands in the study counts. */
static enum nlsh_status settle_settings(const struct nlsh__tune *tune, struct nlsh__stage *stage,
                                        struct nlsh_error *error)
{
    char *text = NULL, *own = nlsh__settings_json(&stage->build);
    const char *name;
    json_t *value;
    if (own == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    enum nlsh_status status = settle(tune, stage->store, "nlsh:build", own, &text, error);
    json_t *object = text != NULL ? json_loads(text, 0, NULL) : NULL;
    json_object_foreach(object, name, value)
    {
        char number[64];
        if (json_is_integer(value))
            snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        else
            snprintf(number, sizeof number, "%.17g", json_number_value(value));
        if (status == NLSH_OK)
            status = nlsh_build_options_set(
                &stage->build, name, json_is_string(value) ? json_string_value(value) : number,
                error);
    }
    json_decref(object);
    free(text);
    free(own);
    return status;
}

enum nlsh_status nlsh__stage_second(struct nlsh__tune *tune, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    const struct nlsh__stage *first = &tune->stages[0];
    struct nlsh__stage *stage = &tune->stages[1];
    struct nlsh__trials trials = {0};
    char *path = NULL;
    if (first->store != NULL)
        NLSH_TRY(nlsh__store_trials(first->store, &first->space, &trials, error));
    const struct nlsh__trial *best = nlsh__best_trial(tune, &trials);
    stage->prefix = "partition-";
    stage->build = first->build;
    stage->most = (first->most + 1) / 2;
    if (best != NULL && best->belongs)
        NLSH_TRY(nlsh__space_apply(&first->space, best->values, &stage->build, error));
    /* In a plan alone nobody has chosen yet. */
    if (stage->build.partitioner != NLSH_PARTITIONER_AUTO)
        stage->build.imbalance = nlsh__imbalance(&stage->build, stage->build.partitioner);
    NLSH_TRY(nlsh__stage_open(tune, 1, &path, error));
    NLSH_TRY(settle_settings(tune, stage, error));
    nlsh__space_partition(&stage->build, &stage->space);
    NLSH_TRY(nlsh__stage_agree(tune, stage, path, error));
out:
    nlsh__trials_free(&trials);
    free(path);
    return status;
}

/* The defaults, or the first stage's best, are the first trial. */
enum nlsh_status nlsh__stage_enqueue(struct nlsh__stage *stage, struct nlsh_error *error)
{
    double values[NLSH__MAX_PARAMS];
    stage->first_is_point = nlsh__space_point(&stage->space, &stage->build, values);
    if (!stage->first_is_point)
        for (size_t i = 0; i < stage->space.n; i++) values[i] = NAN;
    return nlsh__store_enqueue_first(stage->store, &stage->space, values, error);
}
