/*
 * store.c - a study: its tables, its attributes, who works on it.
 *
 * The tables are Optuna's (Akiba et al., "Optuna: A next-generation hyperparameter optimization
 * framework", KDD 2019), as its releases 3.0 and 3.1 lay them out; the names of columns and the
 * version numbers are what makes a file theirs.
 */
#include "tune/study/store.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "tune/study/store_private.h"

/* ---- tables ---------------------------------------------------------------------------------- */

enum { SCHEMA_VERSION = 12 };
#define LIBRARY_VERSION "3.1.0"
#define ALEMBIC_VERSION "v3.0.0.d"

#define ATTRIBUTES(table, of, to)                                                                  \
    "CREATE TABLE IF NOT EXISTS " table " (" of "_" to "_attribute_id INTEGER NOT NULL,"           \
    " " of "_id INTEGER, \"key\" VARCHAR(512), value_json TEXT,"                                   \
    " PRIMARY KEY (" of "_" to "_attribute_id), UNIQUE (" of "_id, \"key\"),"

static const char *const tables[] = {
    "CREATE TABLE IF NOT EXISTS studies (study_id INTEGER NOT NULL,"
    " study_name VARCHAR(512) NOT NULL, PRIMARY KEY (study_id))",
    "CREATE UNIQUE INDEX IF NOT EXISTS ix_studies_study_name ON studies (study_name)",
    "CREATE TABLE IF NOT EXISTS version_info (version_info_id INTEGER NOT NULL,"
    " schema_version INTEGER, library_version VARCHAR(256), PRIMARY KEY (version_info_id),"
    " CHECK (version_info_id=1))",
    "CREATE TABLE IF NOT EXISTS study_directions (study_direction_id INTEGER NOT NULL,"
    " direction VARCHAR(8) NOT NULL, study_id INTEGER NOT NULL, objective INTEGER NOT NULL,"
    " PRIMARY KEY (study_direction_id), UNIQUE (study_id, objective),"
    " FOREIGN KEY(study_id) REFERENCES studies (study_id))",
    ATTRIBUTES("study_user_attributes", "study",
               "user") " FOREIGN KEY(study_id) REFERENCES studies (study_id))",
    ATTRIBUTES("study_system_attributes", "study",
               "system") " FOREIGN KEY(study_id) REFERENCES studies (study_id))",
    "CREATE TABLE IF NOT EXISTS trials (trial_id INTEGER NOT NULL, number INTEGER,"
    " study_id INTEGER, state VARCHAR(8) NOT NULL, datetime_start DATETIME,"
    " datetime_complete DATETIME, PRIMARY KEY (trial_id),"
    " FOREIGN KEY(study_id) REFERENCES studies (study_id))",
    ATTRIBUTES("trial_user_attributes", "trial",
               "user") " FOREIGN KEY(trial_id) REFERENCES trials (trial_id))",
    ATTRIBUTES("trial_system_attributes", "trial",
               "system") " FOREIGN KEY(trial_id) REFERENCES trials (trial_id))",
    "CREATE TABLE IF NOT EXISTS trial_params (param_id INTEGER NOT NULL, trial_id INTEGER,"
    " param_name VARCHAR(512), param_value FLOAT, distribution_json TEXT, PRIMARY KEY (param_id),"
    " UNIQUE (trial_id, param_name), FOREIGN KEY(trial_id) REFERENCES trials (trial_id))",
    "CREATE TABLE IF NOT EXISTS trial_values (trial_value_id INTEGER NOT NULL,"
    " trial_id INTEGER NOT NULL, objective INTEGER NOT NULL, value FLOAT,"
    " value_type VARCHAR(7) NOT NULL, PRIMARY KEY (trial_value_id), UNIQUE (trial_id, objective),"
    " FOREIGN KEY(trial_id) REFERENCES trials (trial_id))",
    "CREATE TABLE IF NOT EXISTS trial_intermediate_values ("
    " trial_intermediate_value_id INTEGER NOT NULL, trial_id INTEGER NOT NULL,"
    " step INTEGER NOT NULL, intermediate_value FLOAT,"
    " intermediate_value_type VARCHAR(7) NOT NULL, PRIMARY KEY (trial_intermediate_value_id),"
    " UNIQUE (trial_id, step), FOREIGN KEY(trial_id) REFERENCES trials (trial_id))",
    "CREATE TABLE IF NOT EXISTS trial_heartbeats (trial_heartbeat_id INTEGER NOT NULL,"
    " trial_id INTEGER NOT NULL, heartbeat DATETIME NOT NULL, PRIMARY KEY (trial_heartbeat_id),"
    " UNIQUE (trial_id), FOREIGN KEY(trial_id) REFERENCES trials (trial_id))",
    "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL,"
    " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))",
};

static enum nlsh_status make_tables(const struct nlsh__sql *sql, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        NLSH_TRY(nlsh__sql_run(sql, error, tables[i], ""));
    NLSH_TRY(nlsh__sql_run(sql, error, "INSERT INTO version_info VALUES (1, ?, ?)", "it",
                           (int64_t)SCHEMA_VERSION, LIBRARY_VERSION));
    NLSH_TRY(
        nlsh__sql_run(sql, error, "INSERT INTO alembic_version VALUES (?)", "t", ALEMBIC_VERSION));
out:
    return status;
}

/* That they are of the version that we know; *none is 1 where the file has none. */
static enum nlsh_status check_tables(const struct nlsh__sql *sql, int *none,
                                     struct nlsh_error *error)
{
    int64_t n_tables, version;
    char *alembic = NULL;
    enum nlsh_status status;
    NLSH_TRY(nlsh__sql_int(sql, &n_tables, error, "SELECT COUNT(*) FROM sqlite_master", ""));
    *none = n_tables == 0;
    if (*none) return NLSH_OK;
    NLSH_TRY(nlsh__sql_int(sql, &version, error, "SELECT schema_version FROM version_info", ""));
    NLSH_TRY(nlsh__sql_text(sql, &alembic, error, "SELECT version_num FROM alembic_version", ""));
    if (version != SCHEMA_VERSION || alembic == NULL || strcmp(alembic, ALEMBIC_VERSION) != 0)
        status =
            nlsh__fail(error, NLSH_E_DATA, "nlsh reads studies as Optuna 3.0 and 3.1 lay them out",
                       "%s: its tables are of version %lld, %s", sql->path, (long long)version,
                       alembic != NULL ? alembic : "unknown");
out:
    free(alembic);
    return status;
}

/* ---- opening --------------------------------------------------------------------------------- */

static enum nlsh_status check_direction(struct nlsh__store *s, const char *name, int maximize,
                                        struct nlsh_error *error)
{
    char *direction = NULL;
    const char *wanted = maximize ? "MAXIMIZE" : "MINIMIZE";
    enum nlsh_status status = nlsh__sql_text(
        &s->sql, &direction, error,
        "SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective", "i",
        s->study);
    if (status == NLSH_OK && (direction == NULL || strcmp(direction, wanted) != 0))
        status =
            nlsh__fail(error, NLSH_E_MISMATCH, "resume it with the objective that it began with",
                       "%s: study %s is of another objective: its direction is %s, not %s",
                       s->sql.path, name, direction ? direction : "unknown", wanted);
    free(direction);
    return status;
}

static enum nlsh_status begin_study(struct nlsh__store *s, const char *name, int maximize,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(
        nlsh__sql_run(&s->sql, error, "INSERT INTO studies (study_name) VALUES (?)", "t", name));
    s->study = sqlite3_last_insert_rowid(s->sql.db);
    NLSH_TRY(nlsh__sql_run(&s->sql, error,
                           "INSERT INTO study_directions (direction, study_id, objective)"
                           " VALUES (?, ?, 0)",
                           "ti", maximize ? "MAXIMIZE" : "MINIMIZE", s->study));
out:
    return status;
}

/* s->study stays 0 where the study is not there and may be begun. */
static enum nlsh_status find_study(struct nlsh__store *s, const char *name,
                                   enum nlsh__store_mode mode, int maximize, int no_tables,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    if (!no_tables)
        NLSH_TRY(nlsh__sql_int(&s->sql, &s->study, error,
                               "SELECT study_id FROM studies WHERE study_name = ?", "t", name));
    if (s->study != 0 && mode == NLSH__STORE_CREATE) {
        status = nlsh__fail(error, NLSH_E_CANT_CREATE,
                            "--resume goes on with it; or take another name or file",
                            "%s holds a study %s already", s->sql.path, name);
    } else if (s->study != 0) {
        status = check_direction(s, name, maximize, error);
    } else if (mode == NLSH__STORE_RESUME) {
        status =
            nlsh__fail(error, NLSH_E_NO_INPUT, "check name and file, or begin without --resume",
                       "%s holds no study %s", s->sql.path, name);
    }
out:
    return status;
}

enum nlsh_status nlsh__store_open(const char *path, const char *name, enum nlsh__store_mode mode,
                                  int maximize, struct nlsh__store **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    int no_tables = 0;
    struct nlsh__store *s = calloc(1, sizeof *s);
    *out = NULL;
    if (s == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    NLSH_TRY(nlsh__sql_open(path, mode == NLSH__STORE_RESUME ? NLSH__SQL_WRITE : NLSH__SQL_CREATE,
                            &s->sql, error));
    NLSH_TRY(nlsh__sql_check(&s->sql, error));
    /* The log is synced at checkpoints only: a killed process loses nothing, a machine that loses
     * its power the last trials at most, and never the file. */
    NLSH_TRY(nlsh__sql_use_wal(&s->sql, error));
    NLSH_TRY(nlsh__sql_run(&s->sql, error, "PRAGMA synchronous = NORMAL", ""));
    status = nlsh__sql_begin(&s->sql, error);
    if (status == NLSH_OK) status = check_tables(&s->sql, &no_tables, error);
    if (status == NLSH_OK && no_tables) status = make_tables(&s->sql, error);
    if (status == NLSH_OK) status = find_study(s, name, mode, maximize, 0, error);
    if (status == NLSH_OK && s->study == 0) status = begin_study(s, name, maximize, error);
    status = nlsh__sql_end(&s->sql, status, error);
out:
    if (status == NLSH_OK)
        *out = s;
    else
        nlsh__store_close(s);
    return status;
}

enum nlsh_status nlsh__store_look(const char *path, const char *name, enum nlsh__store_mode mode,
                                  int maximize, struct nlsh__store **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    int no_tables = 0;
    *out = NULL;
    if (mode != NLSH__STORE_RESUME && access(path, F_OK) != 0) return NLSH_OK;
    struct nlsh__store *s = calloc(1, sizeof *s);
    if (s == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    NLSH_TRY(nlsh__sql_open(path, NLSH__SQL_READ, &s->sql, error));
    NLSH_TRY(nlsh__sql_check(&s->sql, error));
    NLSH_TRY(check_tables(&s->sql, &no_tables, error));
    NLSH_TRY(find_study(s, name, mode, maximize, no_tables, error));
    if (access(path, W_OK) != 0)
        status = nlsh__fail_errno(error, NLSH_E_CANT_CREATE, errno,
                                  "the study must allow writing: give this user the right to", "%s",
                                  path);
out:
    if (status == NLSH_OK && s->study != 0)
        *out = s;
    else
        nlsh__store_close(s);
    return status;
}

void nlsh__store_close(struct nlsh__store *store)
{
    if (store == NULL) return;
    nlsh__sql_close(&store->sql);
    free(store);
}

enum nlsh_status nlsh__store_trials(struct nlsh__store *store, struct nlsh__trials *out,
                                    struct nlsh_error *error)
{
    return nlsh__trials_read(&store->sql, store->study, out, error);
}

/* ---- attributes ------------------------------------------------------------------------------ */

#define PUT_ATTRIBUTE(table, of)                                                                   \
    "INSERT INTO " table " (" of "_id, \"key\", value_json) VALUES (?, ?, ?)"                      \
    " ON CONFLICT(" of "_id, \"key\") DO UPDATE SET value_json = excluded.value_json"
#define GET_ATTRIBUTE(table, of)                                                                   \
    "SELECT value_json FROM " table " WHERE " of "_id = ? AND \"key\" = ?"

enum nlsh_status nlsh__store_set(struct nlsh__store *store, const char *key, const char *json,
                                 struct nlsh_error *error)
{
    return nlsh__sql_run(&store->sql, error, PUT_ATTRIBUTE("study_user_attributes", "study"), "itt",
                         store->study, key, json);
}

enum nlsh_status nlsh__store_get(struct nlsh__store *store, const char *key, char **json,
                                 struct nlsh_error *error)
{
    return nlsh__sql_text(&store->sql, json, error, GET_ATTRIBUTE("study_user_attributes", "study"),
                          "it", store->study, key);
}

enum nlsh_status nlsh__store_settle(struct nlsh__store *store, const char *key, const char *json,
                                    char **stands, struct nlsh_error *error)
{
    *stands = NULL;
    enum nlsh_status status =
        nlsh__sql_run(&store->sql, error,
                      "INSERT INTO study_user_attributes (study_id, \"key\", value_json)"
                      " VALUES (?, ?, ?) ON CONFLICT(study_id, \"key\") DO NOTHING",
                      "itt", store->study, key, json);
    return status == NLSH_OK ? nlsh__store_get(store, key, stands, error) : status;
}

enum nlsh_status nlsh__store_trial_set(struct nlsh__store *store, int64_t trial, const char *key,
                                       const char *json, struct nlsh_error *error)
{
    return nlsh__sql_run(&store->sql, error, PUT_ATTRIBUTE("trial_user_attributes", "trial"), "itt",
                         trial, key, json);
}

enum nlsh_status nlsh__store_trial_get(struct nlsh__store *store, int64_t trial, const char *key,
                                       char **json, struct nlsh_error *error)
{
    return nlsh__sql_text(&store->sql, json, error, GET_ATTRIBUTE("trial_user_attributes", "trial"),
                          "it", trial, key);
}

/* ---- who works on it ------------------------------------------------------------------------- */

/* When a process began, in the kernel's ticks: field 22 of its stat, behind the name in brackets,
 * which may hold anything. "" where it is not there. */
static void start_of(long pid, char out[32])
{
    char path[64], text[1024];
    out[0] = '\0';
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) return;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    const char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at, ' ');
        if (at != NULL) at++;
    }
    if (at != NULL) snprintf(out, 32, "%.*s", (int)strcspn(at, " \n"), at);
}

static void host_name(char out[256])
{
    if (gethostname(out, 256) != 0) out[0] = '\0';
    out[255] = '\0';
}

void nlsh__process_json(char *out, size_t size)
{
    char host[256], began[32];
    host_name(host);
    start_of((long)getpid(), began);
    json_t *object =
        json_pack("{s:s?, s:I, s:s}", "host", host, "pid", (json_int_t)getpid(), "began", began);
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    snprintf(out, size, "%s", text != NULL ? text : "{}");
    free(text);
    json_decref(object);
}

enum nlsh__alive nlsh__process_alive(const char *json)
{
    char host[256], began[32];
    json_t *object = json_loads(json, 0, NULL);
    const char *there = json_string_value(json_object_get(object, "host"));
    const char *then = json_string_value(json_object_get(object, "began"));
    long pid = (long)json_integer_value(json_object_get(object, "pid"));
    enum nlsh__alive answer = NLSH__DEAD;
    host_name(host);
    if (there != NULL && strcmp(there, host) != 0) {
        answer = NLSH__ELSEWHERE;
    } else if (pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM)) {
        start_of(pid, began);
        if (then == NULL || strcmp(then, began) == 0) answer = NLSH__ALIVE;
    }
    json_decref(object);
    return answer;
}

enum nlsh_status nlsh__store_claim(struct nlsh__store *store, int *mine, struct nlsh_error *error)
{
    char *holder = NULL, self[512];
    *mine = 0;
    nlsh__process_json(self, sizeof self);
    enum nlsh_status status = nlsh__sql_begin(&store->sql, error);
    if (status != NLSH_OK) return status;
    NLSH_TRY(nlsh__sql_text(&store->sql, &holder, error,
                            GET_ATTRIBUTE("study_system_attributes", "study"), "it", store->study,
                            NLSH__PROCESS_KEY));
    /* One on another machine cannot be asked; should it be alive, both write the same bytes. */
    *mine =
        holder == NULL || strcmp(holder, self) == 0 || nlsh__process_alive(holder) != NLSH__ALIVE;
    if (*mine)
        NLSH_TRY(nlsh__sql_run(&store->sql, error,
                               PUT_ATTRIBUTE("study_system_attributes", "study"), "itt",
                               store->study, NLSH__PROCESS_KEY, self));
out:
    free(holder);
    return nlsh__sql_end(&store->sql, status, error);
}
