/*
 * plan.c - nlsh__tune_plan(): what a run would do. It takes the run's own way as far as that writes
 * nothing: options, space, study and its attributes, folds, the defaults' build.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "make/resolve.h"
#include "tune/run/folds.h"
#include "tune/run/plan.h"
#include "tune/run/stage.h"

/* The folder would be made; a study's own is not. */
static enum nlsh_status check_places(const char *folder, const char *study,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    const char *slash = strrchr(study, '/');
    size_t length = slash != NULL ? (size_t)(slash - study) : 0;
    char *beside = length > 0 ? strndup(study, length) : strdup(slash != NULL ? "/" : ".");
    if (beside == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    NLSH_TRY(nlsh__check_dirs(folder, error));
    int would_be_made = length > 0 && strncmp(folder, study, length) == 0 &&
                        (folder[length] == '\0' || folder[length] == '/');
    if (!would_be_made && access(beside, W_OK | X_OK) != 0)
        status = nlsh__fail(error, NLSH_E_CANT_CREATE,
                            "the study's folder must be there and allow writing",
                            "%s: unable to write in %s", study, beside);
out:
    free(beside);
    return status;
}

static enum nlsh_status plan_stage(const struct nlsh__stage *stage, struct nlsh__stage_plan *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    out->begun = stage->store != NULL;
    out->build = stage->build;
    out->n_trials = stage->most;
    out->name = strdup(stage->name);
    if (out->name == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    NLSH_TRY(nlsh__space_json(&stage->space, &out->space, error));
    if (out->begun) NLSH_TRY(nlsh__store_count(stage->store, &out->n_done, error));
out:
    return status;
}

static enum nlsh_status plan(const struct nlsh__request *request, struct nlsh__tune_plan *out,
                             struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__stage stages[2] = {0};
    size_t n_stages = request->options.two_stage ? 2 : 1;
    NLSH_TRY(nlsh__stage_file(request, &out->study, error));
    NLSH_TRY(check_places(request->options.folder, out->study, error));
    NLSH_TRY(nlsh__stage_first(request, 1, &stages[0], error));
    NLSH_TRY(nlsh__folds_check(request->base.n_rows, request->options.n_folds, error));
    NLSH_TRY(nlsh__build_check(&request->base, &request->build, error));
    if (n_stages > 1) NLSH_TRY(nlsh__stage_second(request, 1, &stages[0], &stages[1], error));
    snprintf(out->objective, sizeof out->objective, "%s", request->objective.name);
    out->maximize = nlsh__objective_maximize(&request->objective);
    for (; out->n_stages < n_stages; out->n_stages++)
        NLSH_TRY(plan_stage(&stages[out->n_stages], &out->stages[out->n_stages], error));
out:
    for (size_t s = 0; s < 2; s++) nlsh__stage_close(&stages[s]);
    return status;
}

enum nlsh_status nlsh__tune_plan(const struct nlsh_matrix *base,
                                 const struct nlsh_tune_options *options,
                                 struct nlsh__tune_plan *out, struct nlsh_error *error)
{
    struct nlsh__request request;
    nlsh__error_clear(error);
    *out = (struct nlsh__tune_plan){0};
    enum nlsh_status status = nlsh__request_take(base, options, NULL, &request, error);
    if (status == NLSH_OK) status = plan(&request, out, error);
    nlsh__request_free(&request);
    if (status != NLSH_OK) nlsh__tune_plan_free(out);
    return status;
}

void nlsh__tune_plan_free(struct nlsh__tune_plan *plan)
{
    for (size_t s = 0; s < 2; s++) {
        free(plan->stages[s].name);
        free(plan->stages[s].space);
    }
    free(plan->study);
    *plan = (struct nlsh__tune_plan){0};
}
