/* store_write.c - what a run writes into its study: trials in the queue, begun, reported, ended. */
#include <math.h>

#include "base/error.h"
#include "tune/study/store_private.h"

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
    NLSH_TRY(insert_trial(store, nlsh__state_name(NLSH__TRIAL_WAITING), 0, &id, error));
    NLSH_TRY(set_system(store, id, "fixed_params", fixed, error));
out:
    return status;
}

enum nlsh_status nlsh__store_enqueue_first(struct nlsh__store *store, const char *fixed,
                                           struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__sql_begin(&store->sql, error);
    if (status == NLSH_OK) status = enqueue_inside(store, fixed, error);
    return nlsh__sql_end(&store->sql, status, error);
}

/* ---- begin ----------------------------------------------------------------------------------- */

static int counts(const struct nlsh__trial *t)
{
    return t->state != NLSH__TRIAL_WAITING && !(t->state == NLSH__TRIAL_FAILED && t->lost);
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

enum nlsh_status nlsh__store_param(struct nlsh__store *store, int64_t trial, const char *name,
                                   double value, const char *distribution, struct nlsh_error *error)
{
    return nlsh__sql_run(&store->sql, error,
                         "INSERT INTO trial_params (trial_id, param_name, param_value,"
                         " distribution_json) VALUES (?, ?, ?, ?)",
                         "itdt", trial, name, value, distribution);
}

/* A trial of the queue runs now. */
static enum nlsh_status take_queued(struct nlsh__store *store, const struct nlsh__trial *queued,
                                    struct nlsh__begun *out, struct nlsh_error *error)
{
    out->id = queued->id;
    out->number = queued->number;
    return nlsh__sql_run(&store->sql, error,
                         "UPDATE trials SET state = 'RUNNING', datetime_start = " NLSH__SQL_NOW
                         " WHERE trial_id = ?",
                         "i", out->id);
}

static enum nlsh_status make_trial(struct nlsh__store *store, struct nlsh__begun *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    int64_t number;
    NLSH_TRY(insert_trial(store, nlsh__state_name(NLSH__TRIAL_RUNNING), 1, &out->id, error));
    NLSH_TRY(nlsh__sql_int(&store->sql, &number, error,
                           "SELECT number FROM trials WHERE trial_id = ?", "i", out->id));
    out->number = (uint64_t)number;
out:
    return status;
}

/* Inside the transaction: takes or makes a trial and fills it in. */
static enum nlsh_status begin_inside(struct nlsh__store *store, size_t most,
                                     nlsh__choose_fn *choose, void *user, struct nlsh__begun *out,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__trials trials = {0};
    const struct nlsh__trial *queued = NULL;
    size_t n_counting = 0;
    char self[512];
    NLSH_TRY(nlsh__store_trials(store, &trials, error));
    for (size_t t = trials.n; t-- > 0;) {
        n_counting += (size_t)counts(&trials.trials[t]);
        if (trials.trials[t].state == NLSH__TRIAL_WAITING) queued = &trials.trials[t];
    }
    *out = (struct nlsh__begun){.none = n_counting >= most};
    if (out->none) goto out;
    if (queued != NULL)
        NLSH_TRY(take_queued(store, queued, out, error));
    else
        NLSH_TRY(make_trial(store, out, error));
    NLSH_TRY(choose(user, out, &trials, queued, error));
    nlsh__process_json(self, sizeof self);
    NLSH_TRY(set_system(store, out->id, NLSH__PROCESS_KEY, self, error));
    NLSH_TRY(sign_of_life(store, out->id, error));
out:
    nlsh__trials_free(&trials);
    return status;
}

enum nlsh_status nlsh__store_begin(struct nlsh__store *store, size_t most, nlsh__choose_fn *choose,
                                   void *user, struct nlsh__begun *out, struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__sql_begin(&store->sql, error);
    if (status == NLSH_OK) status = begin_inside(store, most, choose, user, out, error);
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
                           "ti", nlsh__state_name(state), trial));
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

enum nlsh_status nlsh__store_count(struct nlsh__store *store, size_t *n, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__trials trials;
    size_t n_gone = 0, n_alive = 0;
    *n = 0;
    NLSH_TRY(nlsh__store_trials(store, &trials, error));
    for (size_t t = 0; t < trials.n; t++) *n += (size_t)counts(&trials.trials[t]);
    nlsh__trials_free(&trials);
    NLSH_TRY(find_gone(store, 0, &n_gone, &n_alive, error));
    *n -= n_gone < *n ? n_gone : *n;
out:
    return status;
}
