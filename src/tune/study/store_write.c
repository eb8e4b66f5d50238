/* store_write.c - what a run writes into its study: trials in the queue, begun, reported, ended. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "tune/study/store_private.h"

/* ---- JSON ------------------------------------------------------------------------------------ */

/* A choice is a number where its text is one. */
static json_t *choice_json(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    if (json_is_number(value)) return value;
    json_decref(value);
    return json_string(text);
}

static json_t *value_json(const struct nlsh__param *param, double value)
{
    if (param->kind == NLSH__PARAM_CHOICE) return choice_json(param->choices[(size_t)value]);
    if (param->kind == NLSH__PARAM_INT) return json_integer((json_int_t)value);
    return json_real(value);
}

char *nlsh__distribution_json(const struct nlsh__param *param)
{
    json_t *object;
    if (param->kind == NLSH__PARAM_CHOICE) {
        json_t *choices = json_array();
        for (size_t c = 0; c < param->n_choices; c++)
            json_array_append_new(choices, choice_json(param->choices[c]));
        object = json_pack("{s:s, s:{s:o}}", "name", "CategoricalDistribution", "attributes",
                           "choices", choices);
    } else if (param->kind == NLSH__PARAM_INT) {
        object = json_pack("{s:s, s:{s:b, s:I, s:I, s:I}}", "name", "IntDistribution", "attributes",
                           "log", param->log, "step", (json_int_t)(param->log ? 1 : param->step),
                           "low", (json_int_t)param->low, "high", (json_int_t)param->high);
    } else {
        object =
            json_pack("{s:s, s:{s:o, s:f, s:f, s:b}}", "name", "FloatDistribution", "attributes",
                      "step", param->step > 0 ? json_real(param->step) : json_null(), "low",
                      param->low, "high", param->high, "log", param->log);
    }
    char *text = object != NULL ? json_dumps(object, JSON_PRESERVE_ORDER) : NULL;
    json_decref(object);
    return text;
}

static const char *value_type(double value)
{
    if (isnan(value)) return "NAN";
    if (isinf(value)) return value > 0 ? "INF_POS" : "INF_NEG";
    return "FINITE";
}

/* ---- the queue ------------------------------------------------------------------------------- */

/* A row of trials with the next number of its study. Inside a transaction. */
static enum nlsh_status insert_trial(struct nlsh__store *store, const char *state, int started,
                                     int64_t *id, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__sql_run(&store->sql, error,
                           started ? "INSERT INTO trials (study_id, state, datetime_start)"
                                     " VALUES (?, ?, " NLSH__SQL_NOW ")"
                                   : "INSERT INTO trials (study_id, state) VALUES (?, ?)",
                           "it", store->study, state));
    *id = sqlite3_last_insert_rowid(store->sql.db);
    NLSH_TRY(nlsh__sql_run(&store->sql, error,
                           "UPDATE trials SET number = (SELECT COUNT(*) FROM trials"
                           " WHERE study_id = ? AND trial_id < ?) WHERE trial_id = ?",
                           "iii", store->study, *id, *id));
out:
    return status;
}

static enum nlsh_status set_system(struct nlsh__store *store, int64_t trial, const char *key,
                                   const char *json, struct nlsh_error *error)
{
    return nlsh__sql_run(&store->sql, error,
                         "INSERT INTO trial_system_attributes (trial_id, \"key\", value_json)"
                         " VALUES (?, ?, ?) ON CONFLICT(trial_id, \"key\")"
                         " DO UPDATE SET value_json = excluded.value_json",
                         "itt", trial, key, json);
}

static enum nlsh_status enqueue_inside(struct nlsh__store *store, const char *fixed,
                                       struct nlsh_error *error)
{
    enum nlsh_status status;
    int64_t n, id;
    NLSH_TRY(nlsh__sql_int(&store->sql, &n, error, "SELECT COUNT(*) FROM trials WHERE study_id = ?",
                           "i", store->study));
    if (n > 0) goto out;
    NLSH_TRY(insert_trial(store, "WAITING", 0, &id, error));
    NLSH_TRY(set_system(store, id, "fixed_params", fixed, error));
out:
    return status;
}

enum nlsh_status nlsh__store_enqueue_first(struct nlsh__store *store,
                                           const struct nlsh__search_space *space,
                                           const double *values, struct nlsh_error *error)
{
    json_t *fixed = json_object();
    for (size_t i = 0; i < space->n; i++)
        if (!isnan(values[i]))
            json_object_set_new(fixed, space->params[i].name,
                                value_json(&space->params[i], values[i]));
    char *text = fixed != NULL ? json_dumps(fixed, JSON_PRESERVE_ORDER) : NULL;
    json_decref(fixed);
    if (text == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    enum nlsh_status status = nlsh__sql_begin(&store->sql, error);
    if (status == NLSH_OK) status = enqueue_inside(store, text, error);
    free(text);
    return nlsh__sql_end(&store->sql, status, error);
}

/* ---- begin ----------------------------------------------------------------------------------- */

static int counts(const struct nlsh__trial *t)
{
    return !t->waiting && !(t->state == NLSH__TRIAL_FAILED && t->lost);
}

static enum nlsh_status sign_of_life(struct nlsh__store *store, int64_t trial,
                                     struct nlsh_error *error)
{
    return nlsh__sql_run(&store->sql, error,
                         "INSERT INTO trial_heartbeats (trial_id, heartbeat)"
                         " VALUES (?, CURRENT_TIMESTAMP) ON CONFLICT(trial_id)"
                         " DO UPDATE SET heartbeat = excluded.heartbeat",
                         "i", trial);
}

static enum nlsh_status write_params(struct nlsh__store *store,
                                     const struct nlsh__search_space *space, int64_t trial,
                                     const double *values, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    for (size_t i = 0; i < space->n && status == NLSH_OK; i++) {
        if (isnan(values[i])) continue;
        char *distribution = nlsh__distribution_json(&space->params[i]);
        if (distribution == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
        status = nlsh__sql_run(&store->sql, error,
                               "INSERT INTO trial_params (trial_id, param_name, param_value,"
                               " distribution_json) VALUES (?, ?, ?, ?)",
                               "itdt", trial, space->params[i].name, values[i], distribution);
        free(distribution);
    }
    return status;
}

/* Inside the transaction: takes or makes a trial and fills it in. */
static enum nlsh_status
begin_inside(struct nlsh__store *store, const struct nlsh__search_space *space, size_t most,
             nlsh__choose_fn *choose, void *user, struct nlsh__begun *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__trials trials = {0};
    const struct nlsh__trial *waiting = NULL;
    size_t n_counting = 0;
    char self[512];
    NLSH_TRY(nlsh__store_trials(store, space, &trials, error));
    for (size_t t = trials.n; t-- > 0;) {
        n_counting += (size_t)counts(&trials.trials[t]);
        if (trials.trials[t].waiting) waiting = &trials.trials[t];
    }
    out->none = n_counting >= most;
    if (out->none) goto out;
    for (size_t i = 0; i < space->n; i++)
        out->values[i] = waiting != NULL ? waiting->values[i] : (double)NAN;
    if (waiting != NULL) {
        out->id = waiting->id;
        out->number = waiting->number;
        NLSH_TRY(
            nlsh__sql_run(&store->sql, error,
                          "UPDATE trials SET state = 'RUNNING', datetime_start = " NLSH__SQL_NOW
                          " WHERE trial_id = ?",
                          "i", out->id));
    } else {
        int64_t number;
        NLSH_TRY(insert_trial(store, "RUNNING", 1, &out->id, error));
        NLSH_TRY(nlsh__sql_int(&store->sql, &number, error,
                               "SELECT number FROM trials WHERE trial_id = ?", "i", out->id));
        out->number = (uint64_t)number;
    }
    NLSH_TRY(choose(user, &trials, out->number, out->values, error));
    NLSH_TRY(write_params(store, space, out->id, out->values, error));
    nlsh__process_json(self, sizeof self);
    NLSH_TRY(set_system(store, out->id, NLSH__PROCESS_KEY, self, error));
    NLSH_TRY(sign_of_life(store, out->id, error));
out:
    nlsh__trials_free(&trials);
    return status;
}

enum nlsh_status nlsh__store_begin(struct nlsh__store *store,
                                   const struct nlsh__search_space *space, size_t most,
                                   nlsh__choose_fn *choose, void *user, struct nlsh__begun *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__sql_begin(&store->sql, error);
    if (status == NLSH_OK) status = begin_inside(store, space, most, choose, user, out, error);
    return nlsh__sql_end(&store->sql, status, error);
}

/* ---- report, end ----------------------------------------------------------------------------- */

enum nlsh_status nlsh__store_report(struct nlsh__store *store, int64_t trial, size_t step,
                                    double value, struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__sql_begin(&store->sql, error);
    if (status != NLSH_OK) return status;
    NLSH_TRY(nlsh__sql_run(&store->sql, error,
                           "INSERT INTO trial_intermediate_values (trial_id, step,"
                           " intermediate_value, intermediate_value_type) VALUES (?, ?, ?, ?)"
                           " ON CONFLICT(trial_id, step) DO UPDATE SET"
                           " intermediate_value = excluded.intermediate_value,"
                           " intermediate_value_type = excluded.intermediate_value_type",
                           "iidt", trial, (int64_t)step, isfinite(value) ? value : (double)NAN,
                           value_type(value)));
    NLSH_TRY(sign_of_life(store, trial, error));
out:
    return nlsh__sql_end(&store->sql, status, error);
}

static enum nlsh_status end_inside(struct nlsh__store *store, int64_t trial,
                                   enum nlsh__trial_state state, double value, int lost,
                                   struct nlsh_error *error)
{
    static const char *const names[] = {"COMPLETE", "PRUNED", "RUNNING", "FAIL"};
    enum nlsh_status status;
    if (state == NLSH__TRIAL_COMPLETE)
        NLSH_TRY(nlsh__sql_run(&store->sql, error,
                               "INSERT INTO trial_values (trial_id, objective, value, value_type)"
                               " VALUES (?, 0, ?, ?)",
                               "idt", trial, isfinite(value) ? value : (double)NAN,
                               value_type(value)));
    if (lost) NLSH_TRY(set_system(store, trial, "nlsh:lost", "true", error));
    NLSH_TRY(nlsh__sql_run(&store->sql, error,
                           "UPDATE trials SET state = ?, datetime_complete = " NLSH__SQL_NOW
                           " WHERE trial_id = ?",
                           "ti", names[state], trial));
out:
    return status;
}

enum nlsh_status nlsh__store_end(struct nlsh__store *store, int64_t trial,
                                 enum nlsh__trial_state state, double value, int lost,
                                 struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__sql_begin(&store->sql, error);
    if (status == NLSH_OK) status = end_inside(store, trial, state, value, lost, error);
    return nlsh__sql_end(&store->sql, status, error);
}

/* ---- trials whose process is gone ------------------------------------------------------------ */

/* reap 0: the gone are counted, no more. */
static enum nlsh_status find_gone(struct nlsh__store *store, int reap, size_t *n_gone,
                                  size_t *n_alive, struct nlsh_error *error)
{
    enum nlsh_status status;
    sqlite3_stmt *rows = NULL;
    int row;
    NLSH_TRY(nlsh__sql_prepare(
        &store->sql, &rows, error,
        "SELECT t.trial_id, a.value_json, julianday('now') - julianday(h.heartbeat) > 600 / 86400.0"
        " FROM trials t JOIN trial_system_attributes a ON a.trial_id = t.trial_id"
        " LEFT JOIN trial_heartbeats h ON h.trial_id = t.trial_id"
        " WHERE t.study_id = ? AND t.state = 'RUNNING' AND a.\"key\" = '" NLSH__PROCESS_KEY "'",
        "i", store->study));
    for (;;) {
        NLSH_TRY(nlsh__sql_step(&store->sql, rows, &row, error));
        if (!row) break;
        int64_t trial = sqlite3_column_int64(rows, 0);
        const char *process = (const char *)sqlite3_column_text(rows, 1);
        enum nlsh__alive alive = nlsh__process_alive(process != NULL ? process : "");
        if (alive == NLSH__ALIVE || (alive == NLSH__ELSEWHERE && !sqlite3_column_int(rows, 2))) {
            ++*n_alive;
            continue;
        }
        if (reap) NLSH_TRY(end_inside(store, trial, NLSH__TRIAL_FAILED, NAN, 1, error));
        ++*n_gone;
    }
out:
    sqlite3_finalize(rows);
    return status;
}

enum nlsh_status nlsh__store_reap(struct nlsh__store *store, size_t *n_reaped, size_t *n_alive,
                                  struct nlsh_error *error)
{
    *n_reaped = *n_alive = 0;
    enum nlsh_status status = nlsh__sql_begin(&store->sql, error);
    if (status == NLSH_OK) status = find_gone(store, 1, n_reaped, n_alive, error);
    return nlsh__sql_end(&store->sql, status, error);
}

enum nlsh_status nlsh__store_count(struct nlsh__store *store,
                                   const struct nlsh__search_space *space, size_t *n,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__trials trials;
    size_t n_gone = 0, n_alive = 0;
    *n = 0;
    NLSH_TRY(nlsh__store_trials(store, space, &trials, error));
    for (size_t t = 0; t < trials.n; t++) *n += (size_t)counts(&trials.trials[t]);
    nlsh__trials_free(&trials);
    NLSH_TRY(find_gone(store, 0, &n_gone, &n_alive, error));
    *n -= n_gone < *n ? n_gone : *n;
out:
    return status;
}
