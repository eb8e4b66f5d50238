/* model.c - see model.h. */
#include "tune/run/model.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/names.h"
#include "make/settings.h"

enum nlsh_status nlsh__model_settle(struct nlsh__model *model, struct nlsh_error *error)
{
    model->settings = nlsh__settings_json(&model->options);
    if (model->settings != NULL) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
}

void nlsh__model_free(struct nlsh__model *model)
{
    free(model->settings);
    model->settings = NULL;
}

/* Whether the file is a whole index of this base. */
static int is_ours(const struct nlsh__request *request, const char *path)
{
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    if (nlsh_index_open(path, NULL, &index, NULL) != NLSH_OK) return 0;
    int ours =
        nlsh_index_info(index, &info, NULL) == NLSH_OK && info.data_hash == request->data_hash;
    nlsh_index_close(index);
    return ours && nlsh_index_verify(path, NULL) == NLSH_OK;
}

/* What the study remembers, where that is of these settings. */
static int recall(const char *text, struct nlsh__model *m)
{
    json_t *record = json_loads(text, 0, NULL);
    const char *file = json_string_value(json_object_get(record, "file"));
    const char *settings = json_string_value(json_object_get(record, "settings"));
    const char *partitioner = json_string_value(json_object_get(record, "partitioner"));
    int value = partitioner != NULL ? nlsh__value(NLSH__PARTITIONER, partitioner) : -1;
    int same = file != NULL && strcmp(file, m->file) == 0 && settings != NULL &&
               strcmp(settings, m->settings) == 0 && value >= 0;
    if (same) {
        m->held_out = json_number_value(json_object_get(record, "held_out_candidates"));
        m->build_seconds = json_number_value(json_object_get(record, "build_seconds"));
        m->index_bytes = (uint64_t)json_integer_value(json_object_get(record, "index_bytes"));
        m->options.partitioner = (enum nlsh_partitioner)value;
    }
    json_decref(record);
    return same;
}

static enum nlsh_status record_of(const struct nlsh__model *m, char **out, struct nlsh_error *error)
{
    json_t *record = json_pack(
        "{s:s, s:s, s:s, s:f, s:f, s:I}", "file", m->file, "settings", m->settings, "partitioner",
        nlsh__name(NLSH__PARTITIONER, (int)m->options.partitioner), "held_out_candidates",
        m->held_out, "build_seconds", m->build_seconds, "index_bytes", (json_int_t)m->index_bytes);
    *out = record != NULL ? json_dumps(record, JSON_COMPACT) : NULL;
    json_decref(record);
    return *out != NULL ? NLSH_OK : nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
}

static enum nlsh_status build(const struct nlsh__request *request, const char *path,
                              struct nlsh__model *m, struct nlsh_error *error)
{
    struct nlsh_build_report report = {.struct_size = sizeof report};
    enum nlsh_status status =
        nlsh_build(&request->base, &m->options, path, &request->run, &report, error);
    if (status != NLSH_OK) return status;
    m->held_out = report.held_out_candidates;
    m->index_bytes = report.index_bytes;
    m->options.partitioner = report.partitioner;
    m->build_seconds = 0;
    for (int i = 0; i < NLSH_N_STAGES; i++) m->build_seconds += report.seconds[i];
    return NLSH_OK;
}

enum nlsh_status nlsh__model_make(const struct nlsh__request *request, struct nlsh__model *model,
                                  const char *kept, char **record, struct nlsh_error *error)
{
    enum nlsh_status status;
    char *path = NULL;
    *record = NULL;
    NLSH_TRY(nlsh__request_path(request, model->file, &path, error));
    if (kept != NULL && is_ours(request, path) && recall(kept, model)) goto out;
    NLSH_TRY(build(request, path, model, error));
    NLSH_TRY(record_of(model, record, error));
out:
    free(path);
    return status;
}
