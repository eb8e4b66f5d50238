/*
 * run.c - what the folder of a run of nlsh tune has to show: the models that were kept, beside
 * the defaults; the study; and how the models compare, where nlsh search --models_index has written
 * that down.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "numbers.h"
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

enum { COLUMNS = 6, NUMBERS = 4 };

/* A model's numbers and names. */
static void model_row(const json_t *model, const char *cells[COLUMNS], char text[NUMBERS][32])
{
    static const char *const numbers[NUMBERS] = {"held_out_candidates", "score", "trial",
                                                 "build_seconds"};
    cells[0] = json_string_value(json_object_get(model, "file"));
    for (size_t i = 0; i < NUMBERS; i++) {
        const json_t *value = json_object_get(model, numbers[i]);
        if (!json_is_number(value)) continue;
        double number = json_number_value(value);
        cells[i + 1] = i == 3 ? text_seconds(number, text[i]) : text_number(number, text[i]);
    }
    cells[5] = json_string_value(json_object_get(model, "stage"));
}

/* The settings of all models beside each other. */
static int list_settings(struct report *report, const json_t *models)
{
    size_t n = json_array_size(models);
    const char **names = calloc(n + 1, sizeof *names);
    json_t **settings = calloc(n + 1, sizeof *settings);
    int code = names && settings ? 0 : no_memory();
    for (size_t i = 0; i < n && code == 0; i++) {
        const json_t *model = json_array_get(models, i);
        const char *name = json_string_value(json_object_get(model, "file"));
        names[i] = name != NULL ? name : "\xe2\x80\x93";
        settings[i] = json_object_get(model, "settings");
        if (!json_is_object(settings[i])) settings[i] = NULL;
    }
    if (code == 0 && n > 0) {
        page_section(report, "Their settings");
        code = page_settings(report, names, settings, n);
    }
    free(names);
    free(settings);
    return code;
}

static int list_table(struct report *report, const json_t *root)
{
    static const char *const names[COLUMNS] = {
        "model", "#held-out candidates", "#score", "#trial", "#built in", "stage"};
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
    free(cells);
    free(text);
    return code == 0 ? list_settings(report, models) : code;
}

/* Of a model of the list; NaN where it does not say. */
static double held_out_of(const json_t *model)
{
    const json_t *value = json_object_get(model, "held_out_candidates");
    double n = json_is_number(value) ? json_number_value(value) : NAN;
    return n > 0 ? n : NAN;
}

/* The model with the fewest held-out candidates; NULL where none has any. */
static const json_t *best_model(const json_t *models)
{
    const json_t *best = NULL, *model;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)models, i, model)
    {
        double n = held_out_of(model);
        if (!isnan(n) && (best == NULL || n < held_out_of(best))) best = model;
    }
    return best;
}

/* "788 -> 738 candidates at .95": what the search was worth. Held-out candidates are counted at recall@10 .95, whatever
 * the objective (nlsh_build_report). */
static void say_list(struct report *report, const json_t *root)
{
    const json_t *best = best_model(json_object_get(root, "models"));
    double defaults = held_out_of(json_object_get(root, "defaults")), found = held_out_of(best);
    const char *name = json_string_value(json_object_get(best, "file"));
    char a[32], b[32];
    text_whole(defaults, a);
    text_whole(found, b);
    int stand = json_is_true(json_object_get(root, "defaults_stand"));
    if (isnan(defaults) && isnan(found)) return;
    if (isnan(defaults)) {
        page_verdict(report, "%s needs the fewest candidates at .95: %s.", name ? name : "", b);
    } else if (isnan(found)) {
        page_verdict(report, "%s candidates at .95: %s.", a,
                     stand ? "the defaults stand" : "what the defaults need");
    } else if (stand || found >= defaults) {
        page_verdict(
            report,
            "%s candidates at .95: the defaults stand. The best model found, %s, needs %s, "
            "%.2g %% more.",
            a, name ? name : "", b, 100 * (found / defaults - 1));
    } else {
        page_verdict(report,
                     "%s \xe2\x86\x92 %s candidates at .95, %.2g %% better than the defaults: %s.",
                     a, b, 100 * (1 - found / defaults), name ? name : "");
    }
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
    const char *name = json_string_value(json_object_get(root, "study"));
    int code = 0;
    if (format == NULL || strcmp(format, "nlsh-models") != 0 ||
        !json_is_array(json_object_get(root, "models"))) {
        code = bad_list(path, "it is no list of models (\"format\": \"nlsh-models\")");
    }
    if (code == 0) {
        say_list(report, root);
        page_section(report, "The models that were kept");
        if (objective != NULL) page_say(report, "Chosen by %s.", objective);
        code = list_table(report, root);
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
    if (code == 0 && table != NULL) {
        page_section(report, "%s", page_name(table));
        code = report_csv(report, table, &none);
    }
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
    return report_studies(report, path);
}
