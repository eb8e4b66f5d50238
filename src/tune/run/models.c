/*
 * models.c - see models.h.
 *
 * The defaults are built as any user would have them, so that the list can say whether tuning was worth
 * it; held-out rows of the base judge both, the same for all.
 */
#include "tune/run/models.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/output.h"
#include "tune/run/points.h"
#include "tune/run/space.h"

enum nlsh_status nlsh__defaults_make(const struct nlsh__request *request,
                                     const struct nlsh__stage *stage, struct nlsh__model *out,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    char *kept = NULL, *record = NULL;
    *out = (struct nlsh__model){.stage = stage, .options = stage->build, .file = "defaults.nlsh"};
    NLSH_TRY(nlsh__model_settle(out, error));
    NLSH_TRY(nlsh__store_get(stage->store, "nlsh:defaults", &kept, error));
    NLSH_TRY(nlsh__model_make(request, out, kept, &record, error));
    if (record != NULL)
        NLSH_TRY(nlsh__store_set(stage->store, "nlsh:defaults", record, error));
    else
        nlsh__request_note(request, "the defaults: %s is there", out->file);
out:
    free(kept);
    free(record);
    if (status != NLSH_OK) nlsh__model_free(out);
    return status;
}

/* ---- which ----------------------------------------------------------------------------------- */

static enum nlsh_status add(struct nlsh__models *out, const struct nlsh__model *model,
                            struct nlsh_error *error)
{
    struct nlsh__model *more = realloc(out->models, (out->n + 1) * sizeof *more);
    if (more == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    out->models = more;
    more[out->n] = *model;
    enum nlsh_status status = nlsh__model_settle(&more[out->n], error);
    if (status == NLSH_OK) out->n++;
    return status;
}

/* The complete trials of a stage. */
static enum nlsh_status add_stage(const struct nlsh__request *request,
                                  const struct nlsh__stage *stage, struct nlsh__models *out,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__trials trials;
    double values[NLSH__MAX_PARAMS];
    NLSH_TRY(nlsh__store_trials(stage->store, &trials, error));
    for (size_t i = 0; i < trials.n; i++) {
        const struct nlsh__trial *t = &trials.trials[i];
        if (t->state != NLSH__TRIAL_COMPLETE || isnan(t->value)) continue;
        struct nlsh__model m = {.stage = stage,
                                .id = t->id,
                                .trial = t->number,
                                .value = t->value,
                                .options = stage->build};
        if (nlsh__trial_point(&stage->space, &trials, t, values))
            NLSH_TRY(nlsh__space_apply(&stage->space, values, &m.options, error));
        else if (!nlsh__stage_is_outside(stage, t->number))
            continue;
        m.options.epochs = request->options.final_epochs;
        snprintf(m.file, sizeof m.file, "%strial-%llu.nlsh", stage->prefix,
                 (unsigned long long)t->number);
        NLSH_TRY(add(out, &m, error));
    }
out:
    nlsh__trials_free(&trials);
    return status;
}

void nlsh__models_free(struct nlsh__models *models)
{
    for (size_t i = 0; i < models->n; i++) nlsh__model_free(&models->models[i]);
    free(models->models);
    *models = (struct nlsh__models){0};
}

static int stands_before(const struct nlsh__models *models, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(models->models[i].settings, models->models[n].settings) == 0) return 1;
    return 0;
}

/* Leaves the best top_k, no settings twice. A selection sort of the few that are wanted. */
static void keep_best(const struct nlsh__request *request, struct nlsh__models *models)
{
    struct nlsh__model *m = models->models;
    size_t n = 0;
    while (n < models->n && n < request->options.top_k) {
        for (size_t i = n + 1; i < models->n; i++)
            if (nlsh__objective_better(&request->objective, m[i].value, m[n].value)) {
                struct nlsh__model other = m[i];
                m[i] = m[n];
                m[n] = other;
            }
        if (!stands_before(models, n)) {
            n++;
            continue;
        }
        nlsh__model_free(&m[n]);
        m[n] = m[--models->n];
    }
    while (models->n > n) nlsh__model_free(&m[--models->n]);
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* key: the trial's attribute that remembers it. */
static enum nlsh_status make_one(const struct nlsh__request *request, struct nlsh__model *m,
                                 const char *key, size_t i, size_t n, struct nlsh_error *error)
{
    enum nlsh_status status;
    char *kept = NULL, *record = NULL;
    NLSH_TRY(nlsh__store_trial_get(m->stage->store, m->id, key, &kept, error));
    NLSH_TRY(nlsh__model_make(request, m, kept, &record, error));
    if (record == NULL) {
        nlsh__request_note(request, "model %zu of %zu: %s is there", i + 1, n, m->file);
        goto out;
    }
    NLSH_TRY(nlsh__store_trial_set(m->stage->store, m->id, key, record, error));
    nlsh__request_note(request, "model %zu of %zu: %s, %.0f candidates held out at recall .95",
                       i + 1, n, m->file, m->held_out);
out:
    free(kept);
    free(record);
    return status;
}

/* Long training may learn the base by heart: where no model is better than the defaults, the best
 * settings get one more, with as many epochs as the defaults had. */
static enum nlsh_status add_short(const struct nlsh__request *request,
                                  const struct nlsh__model *defaults, struct nlsh__models *models,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__model m = models->models[0];
    m.options.epochs = m.stage->build.epochs;
    if (m.options.epochs == request->options.final_epochs) return NLSH_OK;
    snprintf(m.file, sizeof m.file, "%strial-%llu-short.nlsh", m.stage->prefix,
             (unsigned long long)m.trial);
    NLSH_TRY(add(models, &m, error));
    nlsh__request_note(
        request,
        "no model with %zu epochs needs fewer candidates than the defaults (%.0f): the "
        "best settings once more with %zu",
        request->options.final_epochs, defaults->held_out, m.options.epochs);
    NLSH_TRY(make_one(request, &models->models[models->n - 1], "model-short", models->n - 1,
                      models->n, error));
out:
    return status;
}

const struct nlsh__model *nlsh__models_fewest(const struct nlsh__models *models)
{
    const struct nlsh__model *best = &models->models[0];
    for (size_t i = 1; i < models->n; i++)
        if (models->models[i].held_out < best->held_out) best = &models->models[i];
    return best;
}

const struct nlsh__model *nlsh__models_best(const struct nlsh__models *models,
                                            const struct nlsh__model *defaults)
{
    const struct nlsh__model *best = nlsh__models_fewest(models);
    return best->held_out < defaults->held_out ? best : defaults;
}

enum nlsh_status nlsh__models_make(const struct nlsh__request *request,
                                   const struct nlsh__stage *stages, size_t n_stages,
                                   const struct nlsh__model *defaults, struct nlsh__models *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    *out = (struct nlsh__models){0};
    for (size_t s = 0; s < n_stages; s++) NLSH_TRY(add_stage(request, &stages[s], out, error));
    keep_best(request, out);
    if (out->n == 0)
        NLSH_TRY(nlsh__fail(error, NLSH_E_ARG, "give it more trials or time, and --resume",
                            "no trial of the study was completed"));
    for (size_t i = 0; i < out->n; i++)
        NLSH_TRY(make_one(request, &out->models[i], "model", i, out->n, error));
    if (nlsh__models_best(out, defaults) == defaults)
        NLSH_TRY(add_short(request, defaults, out, error));
out:
    if (status != NLSH_OK) nlsh__models_free(out);
    return status;
}
