/*
 * trials.c - see trials.h.
 *
 * The file may be damaged, or somebody may have made it to do harm: nothing that it says is a size of
 * memory or a place in an array before it was checked. Rows that belong to trials come in the order
 * of the trials, so that one pass over both finds whose they are.
 */
#include "tune/study/trials.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static const char *const state_names[] = {"COMPLETE", "PRUNED", "RUNNING", "FAIL", "WAITING"};

const char *nlsh__state_name(enum nlsh__trial_state state)
{
    return state_names[state];
}

static enum nlsh_status no_memory(struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
}

/* Room for one more in the list of n that the pointer at `list` names: it doubles at powers of two. */
static enum nlsh_status grow(void *list, size_t n, size_t size, struct nlsh_error *error)
{
    void *old;
    if (n & (n - 1)) return NLSH_OK;
    memcpy(&old, list, sizeof old);
    void *larger = realloc(old, (n > 0 ? 2 * n : 1) * size);
    if (larger == NULL) return no_memory(error);
    memcpy(list, &larger, sizeof larger);
    return NLSH_OK; /* cppcheck-suppress memleak ; the list holds it */
}

void nlsh__trials_free(struct nlsh__trials *trials)
{
    for (size_t i = 0; i < trials->n; i++) {
        free(trials->trials[i].given);
        free(trials->trials[i].steps);
        free(trials->trials[i].queued);
    }
    for (size_t i = 0; i < trials->n_parameters; i++) {
        free(trials->parameters[i].name);
        free(trials->parameters[i].distribution);
        json_decref(trials->parameters[i].choices);
    }
    free(trials->trials);
    free(trials->parameters);
    *trials = (struct nlsh__trials){0};
}

const struct nlsh__trial *nlsh__trials_best(const struct nlsh__trials *trials, int maximize)
{
    const struct nlsh__trial *best = NULL;
    for (size_t i = 0; i < trials->n; i++) {
        const struct nlsh__trial *t = &trials->trials[i];
        if (t->state != NLSH__TRIAL_COMPLETE || isnan(t->value)) continue;
        if (best == NULL || (maximize ? t->value > best->value : t->value < best->value)) best = t;
    }
    return best;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* What the rows of one study are read into. */
struct reading {
    const struct nlsh__sql *sql;
    int64_t study;
    struct nlsh__trials *out;
    size_t at; /* the trial that the last row was of */
};

/* Takes the row that a statement stands on. */
typedef enum nlsh_status take_fn(struct reading *r, sqlite3_stmt *row, struct nlsh_error *error);

static enum nlsh_status each_row(struct reading *r, const char *text, take_fn *take,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    sqlite3_stmt *rows = NULL;
    int row = 1;
    r->at = 0;
    NLSH_TRY(nlsh__sql_prepare(r->sql, &rows, error, text, "i", r->study));
    while (row) {
        NLSH_TRY(nlsh__sql_step(r->sql, rows, &row, error));
        if (row) NLSH_TRY(take(r, rows, error));
    }
out:
    sqlite3_finalize(rows);
    return status;
}

static enum nlsh_status damaged(const struct reading *r, const struct nlsh__trial *t,
                                const char *what, const char *value, struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_DATA, "take a copy, or begin another study",
                      "%s: trial %llu: %s \"%.100s\"", r->sql->path, (unsigned long long)t->number,
                      what, value);
}

static double number_at(sqlite3_stmt *row, int column)
{
    int type = sqlite3_column_type(row, column);
    double value = type == SQLITE_FLOAT || type == SQLITE_INTEGER
                       ? sqlite3_column_double(row, column)
                       : (double)NAN;
    return isfinite(value) ? value : (double)NAN;
}

/* A column's text, freed by the caller; "" where it is NULL. */
static enum nlsh_status text_at(sqlite3_stmt *row, int column, char **out, struct nlsh_error *error)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    *out = strdup(text != NULL ? text : "");
    return *out != NULL ? NLSH_OK : no_memory(error);
}

static enum nlsh_status take_trial(struct reading *r, sqlite3_stmt *row, struct nlsh_error *error)
{
    struct nlsh__trials *out = r->out;
    const char *state = (const char *)sqlite3_column_text(row, 2);
    int64_t number = sqlite3_column_int64(row, 1);
    size_t i = 0;
    enum nlsh_status status = grow(&out->trials, out->n, sizeof *out->trials, error);
    if (status != NLSH_OK) return status;
    struct nlsh__trial *t = &out->trials[out->n++];
    *t = (struct nlsh__trial){.id = sqlite3_column_int64(row, 0),
                              .number = number > 0 ? (uint64_t)number : 0,
                              .seconds = number_at(row, 3),
                              .value = number_at(row, 4),
                              .lost = sqlite3_column_int(row, 5) != 0};
    if (number < 0)
        return damaged(r, t, "its number is", (const char *)sqlite3_column_text(row, 1), error);
    while (i < 5 && strcmp(state_names[i], state != NULL ? state : "") != 0) i++;
    if (i == 5) return damaged(r, t, "its state is", state != NULL ? state : "", error);
    t->state = (enum nlsh__trial_state)i;
    return NLSH_OK;
}

/* The trial of the row's first column; NULL where it is none of the study's. */
static struct nlsh__trial *trial_of(struct reading *r, sqlite3_stmt *row)
{
    int64_t id = sqlite3_column_int64(row, 0);
    while (r->at < r->out->n && r->out->trials[r->at].id != id) r->at++;
    return r->at < r->out->n ? &r->out->trials[r->at] : NULL;
}

/* ---- parameters ------------------------------------------------------------------------------ */

/* Reads {"name": "IntDistribution", "attributes": {...}}. */
static void read_distribution(struct nlsh__parameter *p)
{
    json_t *root = json_loads(p->distribution, 0, NULL);
    const json_t *a = json_object_get(root, "attributes");
    const char *name = json_string_value(json_object_get(root, "name"));
    p->kind = NLSH__DRAWN_UNKNOWN;
    p->log = json_is_true(json_object_get(a, "log"));
    p->low = json_number_value(json_object_get(a, "low"));
    p->high = json_number_value(json_object_get(a, "high"));
    json_t *choices = json_object_get(a, "choices");
    if (json_array_size(choices) > 0) {
        p->choices = json_incref(choices);
        p->kind = NLSH__DRAWN_CHOICE;
    } else if (json_is_object(a) && choices == NULL && p->high >= p->low &&
               (!p->log || p->low > 0)) {
        int whole = name != NULL && strncmp(name, "Int", 3) == 0;
        p->kind = whole ? NLSH__DRAWN_INT : NLSH__DRAWN_FLOAT;
    }
    json_decref(root);
}

/* *place: of the row's name and distribution among the parameters, where it is put if it is new. */
static enum nlsh_status find_parameter(struct nlsh__trials *out, sqlite3_stmt *row, size_t *place,
                                       struct nlsh_error *error)
{
    enum nlsh_status status;
    const char *name = (const char *)sqlite3_column_text(row, 1);
    const char *text = (const char *)sqlite3_column_text(row, 3);
    if (name == NULL) name = "";
    if (text == NULL) text = "";
    for (size_t i = 0; i < out->n_parameters; i++) {
        *place = i;
        if (strcmp(out->parameters[i].name, name) == 0 &&
            strcmp(out->parameters[i].distribution, text) == 0)
            return NLSH_OK;
    }
    NLSH_TRY(grow(&out->parameters, out->n_parameters, sizeof *out->parameters, error));
    *place = out->n_parameters++;
    struct nlsh__parameter *p = &out->parameters[*place];
    *p = (struct nlsh__parameter){0};
    NLSH_TRY(text_at(row, 1, &p->name, error));
    NLSH_TRY(text_at(row, 3, &p->distribution, error));
    read_distribution(p);
out:
    return status;
}

static enum nlsh_status take_param(struct reading *r, sqlite3_stmt *row, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t place = 0;
    struct nlsh__trial *t = trial_of(r, row);
    double value = number_at(row, 2);
    if (t == NULL || isnan(value)) return NLSH_OK;
    NLSH_TRY(find_parameter(r->out, row, &place, error));
    const struct nlsh__parameter *p = &r->out->parameters[place];
    if (p->choices != NULL && !(value >= 0 && value < (double)json_array_size(p->choices))) {
        status = damaged(r, t, "a choice that there is not, of", p->name, error);
        goto out;
    }
    NLSH_TRY(grow(&t->given, t->n_given, sizeof *t->given, error));
    t->given[t->n_given++] = (struct nlsh__given){place, value};
out:
    return status;
}

static enum nlsh_status take_queued(struct reading *r, sqlite3_stmt *row, struct nlsh_error *error)
{
    struct nlsh__trial *t = trial_of(r, row);
    if (t == NULL || t->queued != NULL) return NLSH_OK;
    return text_at(row, 1, &t->queued, error);
}

static enum nlsh_status take_step(struct reading *r, sqlite3_stmt *row, struct nlsh_error *error)
{
    struct nlsh__trial *t = trial_of(r, row);
    const char *type = (const char *)sqlite3_column_text(row, 3);
    int finite = type != NULL && strcmp(type, "FINITE") == 0;
    if (t == NULL) return NLSH_OK;
    enum nlsh_status status = grow(&t->steps, t->n_steps, sizeof *t->steps, error);
    if (status == NLSH_OK)
        t->steps[t->n_steps++] = (struct nlsh__step){sqlite3_column_int64(row, 1),
                                                     finite ? number_at(row, 2) : (double)NAN};
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum nlsh_status read_all(struct reading *r, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(each_row(
        r,
        "SELECT t.trial_id, t.number, t.state,"
        " (julianday(t.datetime_complete) - julianday(t.datetime_start)) * 86400, v.value,"
        " EXISTS (SELECT 1 FROM trial_system_attributes a WHERE a.trial_id = t.trial_id"
        "  AND a.\"key\" = 'nlsh:lost')"
        " FROM trials t LEFT JOIN trial_values v ON v.trial_id = t.trial_id AND v.objective = 0"
        " AND v.value_type = 'FINITE' WHERE t.study_id = ? ORDER BY t.number, t.trial_id",
        take_trial, error));
    NLSH_TRY(each_row(
        r,
        "SELECT p.trial_id, p.param_name, p.param_value, p.distribution_json FROM trial_params p"
        " JOIN trials t ON t.trial_id = p.trial_id WHERE t.study_id = ?"
        " ORDER BY t.number, t.trial_id, p.param_id",
        take_param, error));
    NLSH_TRY(each_row(r,
                      "SELECT t.trial_id, a.value_json FROM trial_system_attributes a"
                      " JOIN trials t ON t.trial_id = a.trial_id WHERE t.study_id = ?"
                      " AND t.state = 'WAITING' AND a.\"key\" = 'fixed_params'"
                      " ORDER BY t.number, t.trial_id",
                      take_queued, error));
    NLSH_TRY(each_row(r,
                      "SELECT i.trial_id, i.step, i.intermediate_value, i.intermediate_value_type"
                      " FROM trial_intermediate_values i JOIN trials t ON t.trial_id = i.trial_id"
                      " WHERE t.study_id = ? ORDER BY t.number, t.trial_id, i.step",
                      take_step, error));
out:
    return status;
}

enum nlsh_status nlsh__trials_read(const struct nlsh__sql *sql, int64_t study,
                                   struct nlsh__trials *out, struct nlsh_error *error)
{
    struct reading r = {.sql = sql, .study = study, .out = out};
    enum nlsh_status status = NLSH_OK;
    int own = sqlite3_get_autocommit(sql->db); /* else the caller's transaction holds the moment */
    *out = (struct nlsh__trials){0};
    if (own) status = nlsh__sql_run(sql, error, "BEGIN", "");
    if (status == NLSH_OK) status = read_all(&r, error);
    if (own) status = nlsh__sql_end(sql, status, error);
    if (status != NLSH_OK) nlsh__trials_free(out);
    return status;
}
