/* list.c - index.json: the models of a run, beside the defaults. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/output.h"
#include "tune/run/models.h"

static json_t *model_json(const struct nlsh__model *m)
{
    return json_pack("{s:s, s:o, s:f, s:I, s:I, s:s, s:f, s:f, s:I}", "file", m->file, "settings",
                     json_loads(m->settings, 0, NULL), "score", m->value, "trial",
                     (json_int_t)m->trial, "seed", (json_int_t)m->options.seed, "stage",
                     m->stage->kind, "held_out_candidates", m->held_out, "build_seconds",
                     m->build_seconds, "index_bytes", (json_int_t)m->index_bytes);
}

static json_t *data_json(const struct nlsh__request *request)
{
    char hash[17];
    const char *name = request->options.data_file;
    snprintf(hash, sizeof hash, "%016" PRIx64, request->data_hash);
    json_t *data =
        json_pack("{s:s, s:I, s:I}", "hash", hash, "rows", (json_int_t)request->base.n_rows, "dim",
                  (json_int_t)request->base.dim);
    json_t *file = name != NULL ? json_string(name) : NULL;
    if (file != NULL) json_object_set_new(data, "file", file);
    return data;
}

static json_t *defaults_json(const struct nlsh__model *m, double first)
{
    json_t *defaults =
        json_pack("{s:s, s:f, s:f, s:I}", "file", m->file, "held_out_candidates", m->held_out,
                  "build_seconds", m->build_seconds, "index_bytes", (json_int_t)m->index_bytes);
    if (isfinite(first)) json_object_set_new(defaults, "score", json_real(first));
    return defaults;
}

static json_t *list_json(const struct nlsh__request *request, const struct nlsh__models *models,
                         const struct nlsh__model *defaults, double first)
{
    json_t *list = json_array();
    const char *study = request->options.study;
    const struct nlsh__model *best = nlsh__models_best(models, defaults);
    for (size_t i = 0; i < models->n; i++)
        json_array_append_new(list, model_json(&models->models[i]));
    return json_pack("{s:s, s:i, s:o, s:s, s:s, s:o, s:b, s:s, s:o}", "format", "nlsh-models",
                     "version", 1, "data", data_json(request), "objective", request->objective.name,
                     "study", study != NULL ? study : "study.db", "defaults",
                     defaults_json(defaults, first), "defaults_stand", best == defaults, "best",
                     best->file, "models", list);
}

enum nlsh_status
nlsh__models_write(const struct nlsh__request *request, const struct nlsh__models *models,
                   const struct nlsh__model *defaults, double first, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__output *output = NULL;
    char *path = NULL, *text = NULL;
    json_t *list = list_json(request, models, defaults, first);
    if (list != NULL)
        text = json_dumps(list, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
    json_decref(list);
    if (text == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    NLSH_TRY(nlsh__request_path(request, "index.json", &path, error));
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
