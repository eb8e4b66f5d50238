/*
 * models.c - what a study comes to: indexes of the whole base, and the list of them.
 *
 * A model that is there already, of these settings and this base, is taken as it is: a build gives
 * the same bytes every time. The defaults are built as any user would have them, so that the list can
 * say whether tuning was worth it; held-out rows of the base judge both, the same for all.
 */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/output.h"
#include "base/memory.h"
#include "make/settings.h"
#include "tune/run/run.h"

struct model {
    const struct nlsh__stage *stage;
    int64_t id; /* of its trial */
    uint64_t trial;
    double value;
    struct nlsh_build_options options;
    char *settings; /* JSON */
    char file[96];
    double held_out, build_seconds;
    uint64_t index_bytes;
};

struct models {
    struct model *models;
    size_t n;
};

static enum nlsh_status no_memory(struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
}

/* ---- one index ------------------------------------------------------------------------------- */

/* Whether the folder's file is a whole index of this base. */
static int is_ours(const struct nlsh__tune *tune, const char *path)
{
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    if (nlsh_index_open(path, NULL, &index, NULL) != NLSH_OK) return 0;
    int ours = nlsh_index_info(index, &info, NULL) == NLSH_OK && info.data_hash == tune->data_hash;
    nlsh_index_close(index);
    return ours && nlsh_index_verify(path, NULL) == NLSH_OK;
}

/* What the study remembers of a model, where that is of these settings and its file is there. */
static int remembered(const struct nlsh__tune *tune, const char *text, struct model *m)
{
    json_t *record = text != NULL ? json_loads(text, 0, NULL) : NULL;
    const char *file = json_string_value(json_object_get(record, "file"));
    const char *settings = json_string_value(json_object_get(record, "settings"));
    char *path = file != NULL ? nlsh__tune_path(tune, file) : NULL;
    int there = path != NULL && strcmp(file, m->file) == 0 && settings != NULL &&
                strcmp(settings, m->settings) == 0 && is_ours(tune, path);
    if (there) {
        m->held_out = json_number_value(json_object_get(record, "held_out_candidates"));
        m->build_seconds = json_number_value(json_object_get(record, "build_seconds"));
        m->index_bytes = (uint64_t)json_integer_value(json_object_get(record, "index_bytes"));
        const char *partitioner = json_string_value(json_object_get(record, "partitioner"));
        if (partitioner != NULL &&
            nlsh_build_options_set(&m->options, "partitioner", partitioner, NULL) != NLSH_OK)
            there = 0;
    }
    free(path);
    json_decref(record);
    return there;
}

static char *record_of(const struct model *m)
{
    char partitioner[32];
    (void)nlsh_build_options_get(&m->options, "partitioner", partitioner, sizeof partitioner);
    json_t *record =
        json_pack("{s:s, s:s, s:s, s:f, s:f, s:I}", "file", m->file, "settings", m->settings,
                  "partitioner", partitioner, "held_out_candidates", m->held_out, "build_seconds",
                  m->build_seconds, "index_bytes", (json_int_t)m->index_bytes);
    char *text = record != NULL ? json_dumps(record, JSON_COMPACT) : NULL;
    json_decref(record);
    return text;
}

static enum nlsh_status build_model(const struct nlsh__tune *tune, struct model *m,
                                    struct nlsh_error *error)
{
    struct nlsh_build_report report = {.struct_size = sizeof report};
    struct nlsh_run run = tune->run;
    char *path = nlsh__tune_path(tune, m->file);
    if (path == NULL) return no_memory(error);
    run.cache_dir = tune->job.run.cache_dir;
    enum nlsh_status status = nlsh_build(&tune->base, &m->options, path, &run, &report, error);
    free(path);
    if (status != NLSH_OK) return status;
    m->held_out = report.held_out_candidates;
    m->index_bytes = report.index_bytes;
    m->options.partitioner = report.partitioner;
    m->build_seconds = 0;
    for (int i = 0; i < NLSH_N_STAGES; i++) m->build_seconds += report.seconds[i];
    return NLSH_OK;
}

/* ---- the defaults ---------------------------------------------------------------------------- */

enum nlsh_status nlsh__tune_defaults(struct nlsh__tune *tune, struct nlsh_build_options *build,
                                     struct nlsh__store *store, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct model m = {.options = *build, .file = "defaults.nlsh"};
    char *text = NULL;
    m.settings = nlsh__settings_json(build);
    if (m.settings == NULL) return no_memory(error);
    NLSH_TRY(nlsh__store_get(store, "nlsh:defaults", &text, error));
    if (remembered(tune, text, &m)) {
        nlsh__job_note(&(struct nlsh__job){.run = tune->run}, "the defaults: %s is there", m.file);
    } else {
        NLSH_TRY(build_model(tune, &m, error));
        free(text);
        text = record_of(&m);
        status =
            text != NULL ? nlsh__store_set(store, "nlsh:defaults", text, error) : no_memory(error);
    }
    build->partitioner = m.options.partitioner;
    tune->defaults = (struct nlsh__defaults){m.held_out, m.build_seconds, m.index_bytes};
out:
    free(text);
    free(m.settings);
    return status;
}

/* ---- which ----------------------------------------------------------------------------------- */

static enum nlsh_status add_stage(const struct nlsh__tune *tune, const struct nlsh__stage *stage,
                                  struct models *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__trials trials;
    NLSH_TRY(nlsh__store_trials(stage->store, &stage->space, &trials, error));
    struct model *more = realloc(out->models, (out->n + trials.n + 1) * sizeof *more);
    if (more == NULL) {
        status = no_memory(error);
        goto out;
    }
    out->models = more;
    for (size_t i = 0; i < trials.n; i++) {
        const struct nlsh__trial *t = &trials.trials[i];
        int defaults = t->number == 0 && !stage->first_is_point;
        if (t->state != NLSH__TRIAL_COMPLETE || isnan(t->value) || !(t->belongs || defaults))
            continue;
        struct model m = {.stage = stage,
                          .id = t->id,
                          .trial = t->number,
                          .value = t->value,
                          .options = stage->build};
        if (t->belongs) NLSH_TRY(nlsh__space_apply(&stage->space, t->values, &m.options, error));
        m.options.epochs = tune->options.final_epochs;
        snprintf(m.file, sizeof m.file, "%strial-%llu.nlsh", stage->prefix,
                 (unsigned long long)t->number);
        m.settings = nlsh__settings_json(&m.options);
        if (m.settings == NULL) {
            status = no_memory(error);
            goto out;
        }
        out->models[out->n++] = m;
    }
out:
    nlsh__trials_free(&trials);
    return status;
}

static void models_free(struct models *models)
{
    for (size_t i = 0; i < models->n; i++) free(models->models[i].settings);
    free(models->models);
    *models = (struct models){0};
}

/* The best top_k of all stages, no settings twice. */
static enum nlsh_status choose_models(const struct nlsh__tune *tune, struct models *out,
                                      struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    for (size_t s = 0; s < tune->n_stages; s++)
        NLSH_TRY(add_stage(tune, &tune->stages[s], out, error));
    /* A selection sort of the few that are wanted: the order needs the objective. */
    size_t n = 0;
    while (n < out->n && n < tune->options.top_k) {
        for (size_t i = n + 1; i < out->n; i++)
            if (nlsh__better(tune, out->models[i].value, out->models[n].value)) {
                struct model m = out->models[i];
                out->models[i] = out->models[n];
                out->models[n] = m;
            }
        int twice = 0;
        for (size_t i = 0; i < n; i++)
            twice |= strcmp(out->models[i].settings, out->models[n].settings) == 0;
        if (twice) {
            free(out->models[n].settings);
            out->models[n] = out->models[--out->n];
        } else {
            n++;
        }
    }
    while (out->n > n) free(out->models[--out->n].settings);
out:
    return status;
}

/* ---- index.json ------------------------------------------------------------------------------ */

static json_t *model_json(const struct model *m)
{
    return json_pack("{s:s, s:o, s:f, s:I, s:I, s:s, s:f, s:f, s:I}", "file", m->file, "settings",
                     json_loads(m->settings, 0, NULL), "score", m->value, "trial",
                     (json_int_t)m->trial, "seed", (json_int_t)m->options.seed, "stage",
                     m->stage->prefix[0] ? "partition" : "network", "held_out_candidates",
                     m->held_out, "build_seconds", m->build_seconds, "index_bytes",
                     (json_int_t)m->index_bytes);
}

static json_t *list_json(const struct nlsh__tune *tune, const struct models *models,
                         const struct nlsh_tune_report *report)
{
    char hash[17];
    json_t *list = json_array();
    const char *name = tune->options.data_file;
    snprintf(hash, sizeof hash, "%016" PRIx64, tune->data_hash);
    for (size_t i = 0; i < models->n; i++)
        json_array_append_new(list, model_json(&models->models[i]));
    json_t *data = json_pack("{s:s, s:I, s:I}", "hash", hash, "rows", (json_int_t)tune->base.n_rows,
                             "dim", (json_int_t)tune->base.dim);
    json_t *file = name != NULL ? json_string(name) : NULL;
    if (file != NULL) json_object_set_new(data, "file", file);
    json_t *defaults =
        json_pack("{s:s, s:f, s:f, s:I}", "file", "defaults.nlsh", "held_out_candidates",
                  tune->defaults.candidates, "build_seconds", tune->defaults.build_seconds,
                  "index_bytes", (json_int_t)tune->defaults.index_bytes);
    if (isfinite(report->first)) json_object_set_new(defaults, "score", json_real(report->first));
    const char *study = tune->options.study;
    return json_pack("{s:s, s:i, s:o, s:s, s:s, s:o, s:b, s:s, s:o}", "format", "nlsh-models",
                     "version", 1, "data", data, "objective", tune->objective.name, "study",
                     study != NULL ? study : "study.db", "defaults", defaults, "defaults_stand",
                     report->defaults_stand, "best", report->best_file, "models", list);
}

static enum nlsh_status write_list(const struct nlsh__tune *tune, const struct models *models,
                                   const struct nlsh_tune_report *report, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__output *output = NULL;
    json_t *list = list_json(tune, models, report);
    char *text =
        list != NULL
            ? json_dumps(list, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12))
            : NULL;
    char *path = nlsh__tune_path(tune, "index.json");
    json_decref(list);
    if (text == NULL || path == NULL) {
        status = no_memory(error);
        goto out;
    }
    NLSH_TRY(nlsh__output_open(path, &output, error));
    status = nlsh__output_write(output, text, strlen(text), error);
    if (status == NLSH_OK) status = nlsh__output_write(output, "\n", 1, error);
    if (status == NLSH_OK)
        status = nlsh__output_commit(output, error);
    else
        nlsh__output_abort(output);
out:
    free(text);
    free(path);
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* key: the trial's attribute that remembers it. */
static enum nlsh_status make_one(const struct nlsh__tune *tune, struct model *m, const char *key,
                                 size_t i, size_t n, struct nlsh_error *error)
{
    enum nlsh_status status;
    char *text = NULL;
    struct nlsh__job said = {.run = tune->run};
    NLSH_TRY(nlsh__store_trial_get(m->stage->store, m->id, key, &text, error));
    if (remembered(tune, text, m)) {
        nlsh__job_note(&said, "model %zu of %zu: %s is there", i + 1, n, m->file);
        goto out;
    }
    NLSH_TRY(build_model(tune, m, error));
    free(text);
    text = record_of(m);
    status = text != NULL ? nlsh__store_trial_set(m->stage->store, m->id, key, text, error)
                          : no_memory(error);
    nlsh__job_note(&said, "model %zu of %zu: %s, %.0f candidates held out at recall .95", i + 1, n,
                   m->file, m->held_out);
out:
    free(text);
    return status;
}

/* Long training may learn the base by heart: where no model is better than the defaults, the best
 * settings get one more, with as many epochs as the defaults had. */
static enum nlsh_status add_short(const struct nlsh__tune *tune, struct models *models,
                                  struct nlsh_error *error)
{
    struct model m = models->models[0];
    m.options.epochs = m.stage->build.epochs;
    if (m.options.epochs == tune->options.final_epochs) return NLSH_OK;
    snprintf(m.file, sizeof m.file, "%strial-%llu-short.nlsh", m.stage->prefix,
             (unsigned long long)m.trial);
    m.settings = nlsh__settings_json(&m.options);
    if (m.settings == NULL) return no_memory(error);
    struct model *more = realloc(models->models, (models->n + 1) * sizeof *more);
    if (more == NULL) {
        free(m.settings);
        return no_memory(error);
    }
    models->models = more;
    more[models->n++] = m;
    nlsh__job_note(&(struct nlsh__job){.run = tune->run},
                   "no model with %zu epochs needs fewer candidates than the defaults (%.0f): the "
                   "best settings once more with %zu",
                   tune->options.final_epochs, tune->defaults.candidates, m.options.epochs);
    return make_one(tune, &more[models->n - 1], "model-short", models->n - 1, models->n, error);
}

static const struct model *fewest(const struct models *models)
{
    const struct model *best = &models->models[0];
    for (size_t i = 1; i < models->n; i++)
        if (models->models[i].held_out < best->held_out) best = &models->models[i];
    return best;
}

enum nlsh_status nlsh__tune_models(struct nlsh__tune *tune, struct nlsh_tune_report *report,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct models models = {0};
    NLSH_TRY(choose_models(tune, &models, error));
    if (models.n == 0) {
        status = nlsh__fail(error, NLSH_E_ARG, "give it more trials or time, and --resume",
                            "no trial of the study was completed");
        goto out;
    }
    for (size_t i = 0; i < models.n; i++)
        NLSH_TRY(make_one(tune, &models.models[i], "model", i, models.n, error));
    if (!(fewest(&models)->held_out < tune->defaults.candidates))
        NLSH_TRY(add_short(tune, &models, error));
    const struct model *best = fewest(&models);
    report->n_models = models.n;
    report->best_held_out = best->held_out;
    report->first_held_out = tune->defaults.candidates;
    report->defaults_stand = !(best->held_out < tune->defaults.candidates);
    snprintf(report->best_file, sizeof report->best_file, "%s",
             report->defaults_stand ? "defaults.nlsh" : best->file);
    NLSH_TRY(write_list(tune, &models, report, error));
out:
    models_free(&models);
    return status;
}
