/*
 * store_trials.c - trials as a study has them, whoever wrote them.
 *
 * A parameter's value is read through the distribution it was written with: a choice is found by its
 * text, since Optuna may list choices in another order. What the space does not know is left out; a
 * trial whose point is then none of the space's stays in the list, marked.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "tune/study/store_private.h"

enum { MAX_STEPS = 1000000 };

void nlsh__trials_free(struct nlsh__trials *trials)
{
    for (size_t i = 0; i < trials->n; i++) {
        nlsh__free(trials->trials[i].values);
        free(trials->trials[i].steps);
    }
    nlsh__free(trials->trials);
    *trials = (struct nlsh__trials){0};
}

static enum nlsh_status state_of(const char *text, const struct nlsh__sql *sql,
                                 struct nlsh__trial *trial, struct nlsh_error *error)
{
    static const char *const names[] = {"COMPLETE", "PRUNED", "RUNNING", "FAIL"};
    trial->waiting = text != NULL && strcmp(text, "WAITING") == 0;
    trial->state = NLSH__TRIAL_RUNNING;
    if (trial->waiting) return NLSH_OK;
    for (int i = 0; text != NULL && i < 4; i++)
        if (strcmp(text, names[i]) == 0) {
            trial->state = (enum nlsh__trial_state)i;
            return NLSH_OK;
        }
    return nlsh__fail(error, NLSH_E_DATA, "take a copy, or begin another study",
                      "%s: trial %llu is in the state \"%s\"", sql->path,
                      (unsigned long long)trial->number, text ? text : "");
}

static enum nlsh_status read_rows(struct nlsh__store *store, const struct nlsh__search_space *space,
                                  struct nlsh__trials *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    sqlite3_stmt *rows = NULL;
    int64_t n;
    int row;
    NLSH_TRY(nlsh__sql_int(&store->sql, &n, error, "SELECT COUNT(*) FROM trials WHERE study_id = ?",
                           "i", store->study));
    NLSH_TRY(nlsh__calloc(&out->trials, (size_t)n, sizeof *out->trials, error));
    NLSH_TRY(nlsh__sql_prepare(
        &store->sql, &rows, error,
        "SELECT t.trial_id, t.number, t.state,"
        " (julianday(t.datetime_complete) - julianday(t.datetime_start)) * 86400, v.value,"
        " EXISTS (SELECT 1 FROM trial_system_attributes a WHERE a.trial_id = t.trial_id"
        "  AND a.\"key\" = 'nlsh:lost')"
        " FROM trials t LEFT JOIN trial_values v ON v.trial_id = t.trial_id AND v.objective = 0"
        " AND v.value_type = 'FINITE' WHERE t.study_id = ? ORDER BY t.number",
        "i", store->study));
    for (;;) {
        NLSH_TRY(nlsh__sql_step(&store->sql, rows, &row, error));
        if (!row || out->n == (size_t)n) break;
        struct nlsh__trial *t = &out->trials[out->n++];
        t->id = sqlite3_column_int64(rows, 0);
        t->number = (uint64_t)sqlite3_column_int64(rows, 1);
        NLSH_TRY(state_of((const char *)sqlite3_column_text(rows, 2), &store->sql, t, error));
        int ended = sqlite3_column_type(rows, 3) != SQLITE_NULL;
        int has_value = sqlite3_column_type(rows, 4) != SQLITE_NULL;
        t->seconds = ended ? sqlite3_column_double(rows, 3) : NAN;
        t->value = has_value ? sqlite3_column_double(rows, 4) : NAN;
        t->lost = sqlite3_column_int(rows, 5);
        NLSH_TRY(nlsh__alloc(&t->values, space->n, sizeof *t->values, error));
        for (size_t i = 0; i < space->n; i++) t->values[i] = NAN;
    }
out:
    sqlite3_finalize(rows);
    return status;
}

static struct nlsh__trial *trial_by_id(const struct nlsh__trials *trials, int64_t id)
{
    for (size_t i = 0; i < trials->n; i++)
        if (trials->trials[i].id == id) return &trials->trials[i];
    return NULL;
}

/* ---- parameters ------------------------------------------------------------------------------ */

/* A value as JSON (a choice's text, a number) to the parameter's own; NAN where it has none such. */
static double value_from_json(const struct nlsh__param *param, const json_t *json)
{
    if (param->kind != NLSH__PARAM_CHOICE)
        return json_is_number(json) ? json_number_value(json) : (double)NAN;
    for (size_t c = 0; c < param->n_choices; c++) {
        const char *text = param->choices[c];
        char *end;
        if (json_is_string(json) && strcmp(json_string_value(json), text) == 0) return (double)c;
        double number = strtod(text, &end);
        if (json_is_number(json) && *end == '\0' && number == json_number_value(json))
            return (double)c;
    }
    return NAN;
}

static double value_from_row(const struct nlsh__param *param, double value, const char *text)
{
    json_t *distribution = text != NULL ? json_loads(text, 0, NULL) : NULL;
    const json_t *choices = json_object_get(json_object_get(distribution, "attributes"), "choices");
    double out = NAN;
    if (param->kind != NLSH__PARAM_CHOICE)
        out = choices == NULL ? value : (double)NAN;
    else if (value >= 0 && value < 1e6 && value == floor(value))
        out = value_from_json(param, json_array_get(choices, (size_t)value));
    json_decref(distribution);
    return out;
}

static enum nlsh_status read_params(struct nlsh__store *store,
                                    const struct nlsh__search_space *space,
                                    struct nlsh__trials *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    sqlite3_stmt *rows = NULL;
    int row;
    NLSH_TRY(nlsh__sql_prepare(
        &store->sql, &rows, error,
        "SELECT p.trial_id, p.param_name, p.param_value, p.distribution_json FROM trial_params p"
        " JOIN trials t ON t.trial_id = p.trial_id WHERE t.study_id = ?",
        "i", store->study));
    for (;;) {
        NLSH_TRY(nlsh__sql_step(&store->sql, rows, &row, error));
        if (!row) break;
        struct nlsh__trial *t = trial_by_id(out, sqlite3_column_int64(rows, 0));
        const char *name = (const char *)sqlite3_column_text(rows, 1);
        int i = name != NULL ? nlsh__space_find(space, name) : -1;
        if (t != NULL && i >= 0)
            t->values[i] = value_from_row(&space->params[i], sqlite3_column_double(rows, 2),
                                          (const char *)sqlite3_column_text(rows, 3));
    }
out:
    sqlite3_finalize(rows);
    return status;
}

/* What the queue says of its trials: Optuna keeps it apart from parameters. */
static enum nlsh_status read_queue(struct nlsh__store *store,
                                   const struct nlsh__search_space *space, struct nlsh__trials *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    for (size_t t = 0; t < out->n; t++) {
        char *text = NULL;
        if (!out->trials[t].waiting) continue;
        NLSH_TRY(nlsh__sql_text(&store->sql, &text, error,
                                "SELECT value_json FROM trial_system_attributes"
                                " WHERE trial_id = ? AND \"key\" = 'fixed_params'",
                                "i", out->trials[t].id));
        json_t *fixed = text != NULL ? json_loads(text, 0, NULL) : NULL;
        for (size_t i = 0; i < space->n; i++)
            out->trials[t].values[i] =
                value_from_json(&space->params[i], json_object_get(fixed, space->params[i].name));
        json_decref(fixed);
        free(text);
    }
out:
    return status;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static enum nlsh_status add_step(struct nlsh__trial *t, int64_t step, double value,
                                 struct nlsh_error *error)
{
    if (step < 1 || step > MAX_STEPS) return NLSH_OK; /* not ours */
    if ((size_t)step > t->n_steps) {
        double *more = realloc(t->steps, (size_t)step * sizeof *more);
        if (more == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
        for (size_t i = t->n_steps; i < (size_t)step; i++) more[i] = NAN;
        t->steps = more;
        t->n_steps = (size_t)step;
    }
    t->steps[step - 1] = value;
    return NLSH_OK;
}

static enum nlsh_status read_steps(struct nlsh__store *store, struct nlsh__trials *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    sqlite3_stmt *rows = NULL;
    int row;
    NLSH_TRY(nlsh__sql_prepare(
        &store->sql, &rows, error,
        "SELECT i.trial_id, i.step, i.intermediate_value, i.intermediate_value_type"
        " FROM trial_intermediate_values i JOIN trials t ON t.trial_id = i.trial_id"
        " WHERE t.study_id = ? ORDER BY i.trial_id, i.step",
        "i", store->study));
    for (;;) {
        NLSH_TRY(nlsh__sql_step(&store->sql, rows, &row, error));
        if (!row) break;
        struct nlsh__trial *t = trial_by_id(out, sqlite3_column_int64(rows, 0));
        const char *type = (const char *)sqlite3_column_text(rows, 3);
        int finite = type != NULL && strcmp(type, "FINITE") == 0;
        if (t != NULL)
            NLSH_TRY(add_step(t, sqlite3_column_int64(rows, 1),
                              finite ? sqlite3_column_double(rows, 2) : (double)NAN, error));
    }
out:
    sqlite3_finalize(rows);
    return status;
}

enum nlsh_status nlsh__store_trials(struct nlsh__store *store,
                                    const struct nlsh__search_space *space,
                                    struct nlsh__trials *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    *out = (struct nlsh__trials){0};
    NLSH_TRY(read_rows(store, space, out, error));
    NLSH_TRY(read_params(store, space, out, error));
    NLSH_TRY(read_queue(store, space, out, error));
    NLSH_TRY(read_steps(store, out, error));
    for (size_t t = 0; t < out->n; t++)
        out->trials[t].belongs = nlsh__params_check(space, out->trials[t].values, NULL) == NLSH_OK;
out:
    if (status != NLSH_OK) nlsh__trials_free(out);
    return status;
}
