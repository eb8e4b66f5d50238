/*
 * run.c - what the folder of a run of nlsh tune has to show: the models that were kept, beside
 * the defaults; the study; and how the models compare, where nlsh search --models_index has written
 * that down.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "report/report.h"
#include "talk.h"

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

static int bad_list(const char *path, const char *what)
{
    return talk_error(EXIT_BAD_DATA, "give the folder, or the index.json, of a run of nlsh tune",
                      "%s: %s", path, what);
}

/* folder/name, or name alone where it begins at the root, if there is such a file; freed by the
 * caller. NULL where there is none. */
static char *beside(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path == NULL) return NULL;
    snprintf(path, size, "%s%s%s", name[0] == '/' ? "" : folder, name[0] == '/' ? "" : "/", name);
    if (access(path, F_OK) == 0) return path;
    free(path);
    return NULL;
}

/* ---- the list -------------------------------------------------------------------------------- */

enum { COLUMNS = 7, NUMBERS = 4 };

/* A model's numbers and names; the settings' text is freed by the caller. */
static void model_row(const json_t *model, const char *cells[COLUMNS], char text[NUMBERS][32])
{
    static const char *const numbers[NUMBERS] = {"held_out_candidates", "score", "trial",
                                                 "build_seconds"};
    const json_t *settings = json_object_get(model, "settings");
    cells[0] = json_string_value(json_object_get(model, "file"));
    for (size_t i = 0; i < NUMBERS; i++) {
        const json_t *value = json_object_get(model, numbers[i]);
        if (!json_is_number(value)) continue;
        snprintf(text[i], 32, "%.6g", json_number_value(value));
        cells[i + 1] = text[i];
    }
    cells[5] = json_string_value(json_object_get(model, "stage"));
    cells[6] = settings ? json_dumps(settings, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
}

static int list_table(struct report *report, const json_t *root)
{
    static const char *const names[COLUMNS] = {
        "model", "#held-out candidates", "#score", "#trial", "#built in s", "stage", "settings"};
    const json_t *models = json_object_get(root, "models");
    const json_t *defaults = json_object_get(root, "defaults");
    size_t n = json_array_size(models) + (defaults != NULL);
    const char **cells = calloc(n * COLUMNS + 1, sizeof *cells);
    char(*text)[NUMBERS][32] = calloc(n + 1, sizeof *text);
    int code = cells && text ? 0 : no_memory();
    for (size_t i = 0; cells && text && i < n; i++) {
        const json_t *model = i < json_array_size(models) ? json_array_get(models, i) : defaults;
        model_row(model, cells + COLUMNS * i, text[i]);
    }
    if (code == 0) page_table(report, names, COLUMNS, cells, n);
    for (size_t i = 0; i < n && cells != NULL; i++) {
        free((void *)(uintptr_t)cells[COLUMNS * i + COLUMNS - 1]);
    }
    free(cells);
    free(text);
    return code;
}

/* *study: the name of the study's file where the list has one; freed by the caller. */
static int report_list(struct report *report, const char *path, char **study)
{
    json_error_t at;
    struct nlsh__map map;
    struct nlsh_error error = {0};
    if (nlsh__map_open(path, &map, &error) != NLSH_OK) return talk_failed(&error);
    json_t *root = json_loadb((const char *)map.data, map.size, JSON_REJECT_DUPLICATES, &at);
    nlsh__map_close(&map);
    if (root == NULL) return bad_list(path, at.text);
    const char *format = json_string_value(json_object_get(root, "format"));
    const char *objective = json_string_value(json_object_get(root, "objective"));
    const char *best = json_string_value(json_object_get(root, "best"));
    const char *name = json_string_value(json_object_get(root, "study"));
    const json_t *stand = json_object_get(root, "defaults_stand");
    int code = 0;
    if (format == NULL || strcmp(format, "nlsh-models") != 0 ||
        !json_is_array(json_object_get(root, "models"))) {
        code = bad_list(path, "it is no list of models (\"format\": \"nlsh-models\")");
    }
    if (code == 0) {
        page_heading(report, 3, "The models that were kept");
        if (objective != NULL) page_say(report, "Chosen by %s.", objective);
        code = list_table(report, root);
    }
    if (code == 0 && best != NULL) {
        page_say(report, "%s needs the fewest candidates on vectors held out%s.", best,
                 json_is_true(stand) ? ": the defaults stand" : "");
    }
    if (code == 0 && name != NULL) *study = strdup(name);
    json_decref(root);
    return code;
}

/* ---- the folder ------------------------------------------------------------------------------ */

static int report_folder(struct report *report, const char *folder)
{
    struct compared none = {{0}, 0};
    char *name = NULL, *list = beside(folder, "index.json"),
         *table = beside(folder, "models_compare.csv");
    int code = 0;
    page_heading(report, 2, "%s", folder);
    if (list != NULL) code = report_list(report, list, &name);
    char *study = beside(folder, name ? name : "study.db");
    if (study == NULL && name != NULL && access(name, F_OK) == 0) study = strdup(name);
    if (code == 0 && list == NULL && study == NULL) {
        code = bad_list(folder, "no index.json and no study.db is in this folder");
    }
    if (code == 0 && study != NULL) code = report_studies(report, study);
    if (code == 0 && study == NULL) {
        page_note(report, "The study is not there: %s.", name ? name : "study.db");
    }
    if (code == 0 && table != NULL) code = report_csv(report, table, &none);
    chart_free(&none.candidates);
    free(name);
    free(list);
    free(study);
    free(table);
    return code;
}

int report_run(struct report *report, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return talk_error(EXIT_NO_INPUT, NULL, "cannot open %s: %s", path, strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) return report_folder(report, path);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (strcmp(name, "index.json") == 0) {
        char *folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
        if (folder == NULL) return no_memory();
        int code = report_folder(report, folder[0] != '\0' ? folder : "/");
        free(folder);
        return code;
    }
    page_heading(report, 2, "%s", path);
    return report_studies(report, path);
}
