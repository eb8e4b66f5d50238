/*
 * models.c - several indexes of the same data: named one by one, or by the list of a tuning run.
 *
 * All are opened before anything is computed, so that a list with a fault costs no time and leaves
 * nothing behind. An open index is a mapped file: many cost little.
 */
#include "models.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "inputs.h"
#include "output.h"
#include "signals.h"
#include "talk.h"

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
}

/* ---- a model --------------------------------------------------------------------------------- */

/* The file's name without its folder and ".nlsh"; a name that is taken gets -2, -3 ... */
static char *name_of(const struct models *models, const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t length = strlen(base);
    if (length > 5 && strcmp(base + length - 5, ".nlsh") == 0) length -= 5;
    char *name = malloc(length + 32);
    for (size_t attempt = 1; name != NULL; attempt++) {
        bool taken = false;
        snprintf(name, length + 32, attempt > 1 ? "%.*s-%zu" : "%.*s", (int)length, base, attempt);
        for (size_t i = 0; i < models->n; i++) {
            taken = taken || strcmp(models->models[i].name, name) == 0;
        }
        if (!taken) break;
    }
    return name;
}

/* Opens the index of a model that has its path; list (or NULL) is where the path stands. */
static int open_model(struct model *m, enum nlsh_memory memory, const char *list)
{
    struct nlsh_error error = {0};
    enum nlsh_status status = open_index(m->path, memory, &m->index, &error);
    if (status == NLSH_OK) {
        m->info.struct_size = sizeof m->info;
        (void)!nlsh_index_info(m->index, &m->info, NULL);
        if (m->settings == NULL) m->settings = strdup(m->info.settings);
        return m->settings != NULL ? 0 : no_memory();
    }
    if (list == NULL) return talk_failed(&error);
    return talk_error(exit_code(status), "take it out of the list, or run nlsh tune again",
                      "%s: %s", list, error.message);
}

/* Appends a model; path, settings (or NULL) become the list's. The array has room. */
static int add_model(struct models *models, char *path, char *settings, double build_seconds,
                     const char *list)
{
    struct model *m = &models->models[models->n];
    char *name = path ? name_of(models, path) : NULL;
    *m = (struct model){path, name, settings, build_seconds, NULL, {0}};
    models->n++;
    return name != NULL ? open_model(m, models->memory, list) : no_memory();
}

static int same_data(const struct models *models)
{
    const struct model *first = &models->models[0];
    for (size_t i = 1; i < models->n; i++) {
        const struct model *m = &models->models[i];
        if (m->info.metric != first->info.metric) {
            return talk_error(EXIT_BAD_DATA, "compare indexes of the same metric",
                              "%s knows %s, %s knows %s", first->path,
                              nlsh_metric_name(first->info.metric), m->path,
                              nlsh_metric_name(m->info.metric));
        }
        if (m->info.data_hash == first->info.data_hash) continue;
        return talk_error(EXIT_BAD_DATA, "compare indexes of the same vectors",
                          "%s and %s are of different data: their content hashes are %016" PRIx64
                          " and %016" PRIx64,
                          first->path, m->path, first->info.data_hash, m->info.data_hash);
    }
    return 0;
}

int models_open(const char *const *paths, size_t n, enum nlsh_memory memory, struct models *out)
{
    int code = 0;
    *out = (struct models){.memory = memory, .models = calloc(n, sizeof *out->models)};
    if (out->models == NULL) return no_memory();
    for (size_t i = 0; i < n && code == 0; i++) {
        code = add_model(out, strdup(paths[i]), NULL, NAN, NULL);
    }
    return code == 0 ? same_data(out) : code;
}

void models_close(struct models *models)
{
    for (size_t i = 0; i < models->n; i++) {
        struct model *m = &models->models[i];
        nlsh_index_close(m->index);
        free(m->path);
        free(m->name);
        free(m->settings);
    }
    free(models->models);
    *models = (struct models){0};
}

/* ---- the list of a tuning run ---------------------------------------------------------------- */

static int bad_list(const char *path, const char *what)
{
    return talk_error(EXIT_BAD_DATA, "give the index.json of a run of nlsh tune", "%s: %s", path,
                      what);
}

/* The whole file as JSON; NULL after an error, whose exit code goes to *code. */
static json_t *read_json(const char *path, int *code)
{
    json_error_t at;
    struct nlsh_error error = {0};
    FILE *file;
    if (nlsh__stream_open(path, &file, &error) != NLSH_OK) {
        *code = talk_failed(&error);
        return NULL;
    }
    json_t *root = json_loadf(file, JSON_REJECT_DUPLICATES, &at);
    if (root == NULL && ferror(file)) {
        *code = signal_came() ? talk_interrupted()
                              : talk_error(EXIT_NO_INPUT, NULL, "cannot read %s", path);
    } else if (root == NULL && at.text[0] == '\0') {
        *code = no_memory();
    } else if (root == NULL) {
        *code = talk_error(EXIT_BAD_DATA, "give the index.json of a run of nlsh tune",
                           "%s, line %d: %s", path, at.line, at.text);
    }
    fclose(file);
    return root;
}

/* Format and version, and that there are models; the hash of the data. */
static int check_list(const char *path, const json_t *root, const char **hash)
{
    const char *format = json_string_value(json_object_get(root, "format"));
    const json_t *version = json_object_get(root, "version");
    const json_t *models = json_object_get(root, "models");
    *hash = json_string_value(json_object_get(json_object_get(root, "data"), "hash"));
    if (format == NULL || strcmp(format, "nlsh-models") != 0) {
        return bad_list(path, "it is JSON, but no list of models (\"format\": \"nlsh-models\")");
    }
    if (!json_is_integer(version) || json_integer_value(version) != 1) {
        return talk_error(EXIT_BAD_DATA, "take the nlsh that wrote it",
                          "%s: its version is not 1, the only one that this nlsh reads", path);
    }
    if (*hash == NULL || strlen(*hash) != 16 || strspn(*hash, "0123456789abcdef") != 16) {
        return bad_list(path, "data.hash is not 16 digits of hex");
    }
    if (!json_is_array(models) || json_array_size(models) == 0) {
        return bad_list(path, "it holds no models");
    }
    return 0;
}

static int read_model(const char *list, const char *folder, size_t i, const json_t *entry,
                      const char *hash, struct models *out)
{
    char text[17];
    const char *file = json_string_value(json_object_get(entry, "file"));
    const json_t *settings = json_object_get(entry, "settings");
    const json_t *seconds = json_object_get(entry, "build_seconds");
    if (file == NULL || file[0] == '\0') {
        return talk_error(EXIT_BAD_DATA, "give the index.json of a run of nlsh tune",
                          "%s: model %zu has no \"file\"", list, i + 1);
    }
    size_t size = strlen(folder) + strlen(file) + 1;
    char *path = malloc(size), *dumped = NULL;
    if (path != NULL) snprintf(path, size, "%s%s", file[0] == '/' ? "" : folder, file);
    if (json_is_object(settings)) {
        dumped = json_dumps(settings, JSON_COMPACT | JSON_REAL_PRECISION(9));
        if (dumped == NULL) {
            free(path);
            return no_memory();
        }
    }
    int code = add_model(out, path, dumped,
                         json_is_number(seconds) ? json_number_value(seconds) : NAN, list);
    if (code != 0) return code;
    snprintf(text, sizeof text, "%016" PRIx64, out->models[out->n - 1].info.data_hash);
    if (strcmp(text, hash) == 0) return 0;
    return talk_error(EXIT_BAD_DATA, "take it out of the list, or run nlsh tune again",
                      "%s: model %zu, %s, is of other data: its content hash is %s, the list's %s",
                      list, i + 1, path, text, hash);
}

int models_read(const char *path, enum nlsh_memory memory, struct models *out)
{
    const char *hash;
    int code = 0;
    *out = (struct models){.memory = memory};
    json_t *root = read_json(path, &code);
    if (root == NULL) return code;
    code = check_list(path, root, &hash);
    const json_t *list = json_object_get(root, "models");
    size_t n = json_array_size(list);
    char *folder = folder_of(path);
    out->models = calloc(n + 1, sizeof *out->models);
    out->n = 0;
    if (code == 0 && (folder == NULL || out->models == NULL)) code = no_memory();
    for (size_t i = 0; i < n && code == 0; i++) {
        code = read_model(path, folder, i, json_array_get(list, i), hash, out);
    }
    if (code == 0) code = same_data(out);
    free(folder);
    json_decref(root);
    return code;
}
