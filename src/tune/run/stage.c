/* stage.c - see stage.h. What two runs of a study must agree on stands in its attributes. */
#include "tune/run/stage.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "make/resolve.h"
#include "make/settings.h"
#include "tune/run/points.h"
#include "tune/run/space.h"

/* ---- agreement ------------------------------------------------------------------------------- */

/* An attribute of the study, written where it is not there. *stands is NULL where a plan finds none. */
static enum nlsh_status settle(struct nlsh__store *store, int plan, const char *key,
                               const char *value, char **stands, struct nlsh_error *error)
{
    *stands = NULL;
    if (!plan) return nlsh__store_settle(store, key, value, stands, error);
    return store != NULL ? nlsh__store_get(store, key, stands, error) : NLSH_OK;
}

/* One that a later run must agree with. */
static enum nlsh_status agree_on(const struct nlsh__stage *stage, int plan, const char *key,
                                 const char *value, const char *what, struct nlsh_error *error)
{
    char *old;
    enum nlsh_status status = settle(stage->store, plan, key, value, &old, error);
    if (status == NLSH_OK && old != NULL && strcmp(old, value) != 0)
        status = nlsh__fail(error, NLSH_E_MISMATCH,
                            "resume it as it began, or begin another study: take another -i or "
                            "--study",
                            "%s: the study is of other %s: %.120s, not %.120s", stage->file, what,
                            old, value);
    free(old);
    return status;
}

static enum nlsh_status agree(const struct nlsh__request *request, const struct nlsh__stage *stage,
                              int plan, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_tune_options *o = &request->options;
    char text[160], *space = NULL, *settings = nlsh__settings_json(&stage->build);
    if (settings == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    snprintf(text, sizeof text, "{\"hash\": \"%016" PRIx64 "\", \"rows\": %zu, \"dim\": %zu}",
             request->data_hash, request->base.n_rows, request->base.dim);
    NLSH_TRY(agree_on(stage, plan, "nlsh:data", text, "data", error));
    snprintf(text, sizeof text, "\"%s\"", request->objective.name);
    NLSH_TRY(agree_on(stage, plan, "nlsh:objective", text, "objective", error));
    snprintf(text, sizeof text, "{\"folds\": %zu, \"epochs\": %zu}", o->n_folds, o->epochs);
    NLSH_TRY(agree_on(stage, plan, "nlsh:folds", text, "folds", error));
    NLSH_TRY(nlsh__space_json(&stage->space, &space, error));
    NLSH_TRY(agree_on(stage, plan, "nlsh:space", space, "space", error));
    NLSH_TRY(agree_on(stage, plan, "nlsh:build", settings, "settings", error));
out:
    free(space);
    free(settings);
    return status;
}

/* The first stage may have found better since the second began, or another process may have begun it
 * this moment: what stands in the study counts. */
static enum nlsh_status settle_settings(struct nlsh__store *store, int plan,
                                        struct nlsh_build_options *build, struct nlsh_error *error)
{
    char *text = NULL, *own = nlsh__settings_json(build);
    const char *name;
    json_t *value;
    if (own == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    enum nlsh_status status = settle(store, plan, "nlsh:build", own, &text, error);
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
                build, name, json_is_string(value) ? json_string_value(value) : number, error);
    }
    json_decref(object);
    free(text);
    free(own);
    return status;
}

/* ---- opening --------------------------------------------------------------------------------- */

static void last_part(const char *path, char *out, size_t size)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    size_t first = length;
    while (first > 0 && path[first - 1] != '/') first--;
    snprintf(out, size, "%.*s", (int)(length - first), path + first);
}

enum nlsh_status nlsh__stage_file(const struct nlsh__request *request, char **out,
                                  struct nlsh_error *error)
{
    const char *study = request->options.study;
    if (study == NULL) return nlsh__request_path(request, "study.db", out, error);
    *out = strdup(study);
    return *out != NULL ? NLSH_OK : nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
}

static enum nlsh_status open_study(const struct nlsh__request *request, int plan,
                                   enum nlsh__store_mode mode, struct nlsh__stage *stage,
                                   struct nlsh_error *error)
{
    const struct nlsh_tune_options *o = &request->options;
    char run[256];
    if (o->name != NULL)
        snprintf(run, sizeof run, "%s", o->name);
    else
        last_part(o->folder, run, sizeof run);
    int second = stage->prefix[0] != '\0';
    snprintf(stage->name, sizeof stage->name, "%s%s", run, second ? "-partition" : "");
    int maximize = nlsh__objective_maximize(&request->objective);
    enum nlsh_status status = nlsh__stage_file(request, &stage->file, error);
    if (status != NLSH_OK) return status;
    return (plan ? nlsh__store_look : nlsh__store_open)(stage->file, stage->name, mode, maximize,
                                                        &stage->store, error);
}

enum nlsh_status nlsh__stage_first(const struct nlsh__request *request, int plan,
                                   struct nlsh__stage *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    *out = (struct nlsh__stage){.kind = "network",
                                .prefix = "",
                                .build = request->build,
                                .space = request->space,
                                .most = request->options.n_trials};
    NLSH_TRY(open_study(request, plan,
                        request->options.resume ? NLSH__STORE_RESUME : NLSH__STORE_CREATE, out,
                        error));
    NLSH_TRY(agree(request, out, plan, error));
out:
    if (status != NLSH_OK) nlsh__stage_close(out);
    return status;
}

/* The network of the best trial so far, with the first stage's partition. */
static enum nlsh_status best_settings(const struct nlsh__request *request,
                                      const struct nlsh__stage *first,
                                      struct nlsh_build_options *out, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh__trials trials = {0};
    double values[NLSH__MAX_PARAMS];
    *out = first->build;
    if (first->store != NULL) NLSH_TRY(nlsh__store_trials(first->store, &trials, error));
    const struct nlsh__trial *best =
        nlsh__trials_best(&trials, nlsh__objective_maximize(&request->objective));
    if (best != NULL && nlsh__trial_point(&first->space, &trials, best, values))
        NLSH_TRY(nlsh__space_apply(&first->space, values, out, error));
    /* In a plan alone nobody has chosen yet. */
    if (out->partitioner != NLSH_PARTITIONER_AUTO)
        out->imbalance = nlsh__imbalance(out, out->partitioner);
out:
    nlsh__trials_free(&trials);
    return status;
}

enum nlsh_status nlsh__stage_second(const struct nlsh__request *request, int plan,
                                    const struct nlsh__stage *first, struct nlsh__stage *out,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    *out = (struct nlsh__stage){
        .kind = "partition", .prefix = "partition-", .most = (first->most + 1) / 2};
    NLSH_TRY(best_settings(request, first, &out->build, error));
    /* The second stage of a resumed run may not have begun. */
    NLSH_TRY(open_study(request, plan, NLSH__STORE_EITHER, out, error));
    NLSH_TRY(settle_settings(out->store, plan, &out->build, error));
    nlsh__space_partition(&out->build, &out->space);
    NLSH_TRY(agree(request, out, plan, error));
out:
    if (status != NLSH_OK) nlsh__stage_close(out);
    return status;
}

void nlsh__stage_close(struct nlsh__stage *stage)
{
    nlsh__store_close(stage->store);
    free(stage->file);
    *stage = (struct nlsh__stage){0};
}

/* ---- the first trial ------------------------------------------------------------------------- */

enum nlsh_status nlsh__stage_enqueue(const struct nlsh__stage *stage, struct nlsh_error *error)
{
    double values[NLSH__MAX_PARAMS];
    if (!nlsh__space_point(&stage->space, &stage->build, values))
        for (size_t i = 0; i < stage->space.n; i++) values[i] = NAN;
    return nlsh__store_enqueue_point(stage->store, &stage->space, values, error);
}

int nlsh__stage_is_outside(const struct nlsh__stage *stage, uint64_t number)
{
    double values[NLSH__MAX_PARAMS];
    return number == 0 && !nlsh__space_point(&stage->space, &stage->build, values);
}
