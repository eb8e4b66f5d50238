/*
 * study.c - a study from its SQLite file, in Optuna's schema (optuna.storages.rdb.models, version
 * 12): studies, study_directions, trials, trial_values, trial_params, trial_intermediate_values,
 * study_user_attributes. Only read, never locked for writing: a run may go on meanwhile.
 */
#include "report/study.h"

#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "talk.h"
#include "text.h"

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

static int bad_study(const char *path, const char *what)
{
    return talk_error(EXIT_BAD_DATA, "give the study.db of a run of nlsh tune, or one of Optuna's",
                      "%s: %s", path, what);
}

/* ---- asking ---------------------------------------------------------------------------------- */

struct reader {
    const char *path;
    sqlite3 *db;
};

/* Called for each row; 0 or an exit code. */
typedef int row_fn(void *ctx, sqlite3_stmt *row);

static int each_row(const struct reader *r, const char *sql, sqlite3_int64 id, row_fn *fn,
                    void *ctx)
{
    sqlite3_stmt *statement = NULL;
    int code = 0, state = sqlite3_prepare_v2(r->db, sql, -1, &statement, NULL);
    if (state == SQLITE_OK && sqlite3_bind_parameter_count(statement) > 0) {
        state = sqlite3_bind_int64(statement, 1, id);
    }
    while (state == SQLITE_OK || state == SQLITE_ROW) {
        state = sqlite3_step(statement);
        if (state == SQLITE_ROW) code = fn(ctx, statement);
        if (code != 0 || state == SQLITE_DONE) break;
    }
    if (code == 0 && state != SQLITE_DONE) code = bad_study(r->path, sqlite3_errmsg(r->db));
    sqlite3_finalize(statement);
    return code;
}

/* A column's text, fit for a page; never NULL unless memory ran out. */
static char *text_of(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    char *copy = strdup(text ? text : "");
    if (copy != NULL) text_make_utf8(copy);
    return copy;
}

static double number_of(sqlite3_stmt *row, int column)
{
    return sqlite3_column_type(row, column) == SQLITE_NULL ? NAN
                                                           : sqlite3_column_double(row, column);
}

/* Room for one more in the list that the pointer at `list` names; false without memory. */
static bool grow(void *list, size_t n, size_t size)
{
    void *old;
    if (n & (n - 1)) return true; /* it doubles at powers of two */
    memcpy(&old, list, sizeof old);
    void *larger = realloc(old, (n ? 2 * n : 1) * size);
    if (larger == NULL) return false;
    memcpy(list, &larger, sizeof larger);
    return true; /* cppcheck-suppress memleak ; the list holds it */
}

/* ---- rows ------------------------------------------------------------------------------------ */

struct filling {
    const char *path;
    struct study *study;
    sqlite3_int64 *ids; /* [n_trials] */
};

static int add_trial(void *ctx, sqlite3_stmt *row)
{
    static const char *const states[] = {"COMPLETE", "PRUNED", "FAIL"};
    struct filling *f = ctx;
    struct study *s = f->study;
    if (!grow(&s->trials, s->n_trials, sizeof *s->trials) ||
        !grow(&f->ids, s->n_trials, sizeof *f->ids)) {
        return no_memory();
    }
    struct trial *t = &s->trials[s->n_trials];
    const char *state = (const char *)sqlite3_column_text(row, 2);
    *t = (struct trial){.number = sqlite3_column_int(row, 1),
                        .state = TRIAL_RUNNING,
                        .value = number_of(row, 3),
                        .last = NAN};
    for (size_t i = 0; i < 3 && state != NULL; i++) {
        if (strcmp(state, states[i]) == 0) t->state = (enum trial_state)i;
    }
    if (!isfinite(t->value)) t->value = NAN;
    f->ids[s->n_trials++] = sqlite3_column_int64(row, 0);
    return 0;
}

static size_t trial_of(const struct filling *f, sqlite3_int64 id)
{
    size_t i = 0;
    while (i < f->study->n_trials && f->ids[i] != id) i++;
    return i;
}

static int add_step(void *ctx, sqlite3_stmt *row)
{
    struct filling *f = ctx;
    struct study *s = f->study;
    size_t trial = trial_of(f, sqlite3_column_int64(row, 0));
    double value = number_of(row, 2);
    if (trial == s->n_trials || !isfinite(value)) return 0;
    if (!grow(&s->steps, s->n_steps, sizeof *s->steps)) return no_memory();
    s->steps[s->n_steps++] =
        (struct step){.trial = trial, .step = sqlite3_column_double(row, 1), .value = value};
    s->trials[trial].last = value;
    return 0;
}

/* Reads {"name": ..., "attributes": {...}}: what values a parameter may take. */
static bool read_distribution(const char *text, struct parameter *p)
{
    json_t *root = json_loads(text ? text : "", 0, NULL);
    const json_t *a = json_object_get(root, "attributes");
    const char *name = json_string_value(json_object_get(root, "name"));
    p->whole = name != NULL && strncmp(name, "Int", 3) == 0;
    p->log = json_is_true(json_object_get(a, "log"));
    p->low = json_number_value(json_object_get(a, "low"));
    p->high = json_number_value(json_object_get(a, "high"));
    p->choices = json_incref(json_object_get(a, "choices"));
    bool good = json_is_object(a);
    json_decref(root);
    if (json_is_array(p->choices)) return good && json_array_size(p->choices) > 0;
    return good && p->choices == NULL && p->high >= p->low && (!p->log || p->low > 0);
}

static int add_parameter(struct filling *f, sqlite3_stmt *row, struct parameter **out)
{
    struct study *s = f->study;
    const char *name = (const char *)sqlite3_column_text(row, 1);
    for (size_t i = 0; i < s->n_parameters; i++) {
        *out = &s->parameters[i];
        if (strcmp((*out)->name, name ? name : "") == 0) return 0;
    }
    if (!grow(&s->parameters, s->n_parameters, sizeof *s->parameters)) return no_memory();
    struct parameter *p = *out = &s->parameters[s->n_parameters];
    *p = (struct parameter){.name = text_of(row, 1)};
    s->n_parameters++;
    p->values = calloc(s->n_trials, sizeof *p->values);
    if (p->name == NULL || p->values == NULL) return no_memory();
    for (size_t i = 0; i < s->n_trials; i++) p->values[i] = NAN;
    if (read_distribution((const char *)sqlite3_column_text(row, 3), p)) return 0;
    return talk_error(EXIT_BAD_DATA, "give a study that nlsh tune or Optuna wrote",
                      "%s: parameter %s: its distribution is not one of Optuna's", f->path,
                      p->name);
}

static int add_value(void *ctx, sqlite3_stmt *row)
{
    struct filling *f = ctx;
    struct parameter *p = NULL;
    size_t trial = trial_of(f, sqlite3_column_int64(row, 0));
    double value = number_of(row, 2);
    if (trial == f->study->n_trials || !isfinite(value)) return 0;
    int code = add_parameter(f, row, &p);
    if (code != 0) return code;
    if (p->choices != NULL && (value < 0 || value >= (double)json_array_size(p->choices))) {
        return talk_error(EXIT_BAD_DATA, "give a study that nlsh tune or Optuna wrote",
                          "%s: trial %d: %s is choice %g of %zu", f->path,
                          f->study->trials[trial].number, p->name, value,
                          json_array_size(p->choices));
    }
    p->values[trial] = value;
    return 0;
}

static int add_attribute(void *ctx, sqlite3_stmt *row)
{
    struct filling *f = ctx;
    char *name = text_of(row, 0), *text = text_of(row, 1);
    if (name != NULL && text != NULL) {
        json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
        json_object_set_new(f->study->attributes, name, value ? value : json_string(text));
    }
    free(name);
    free(text);
    return 0;
}

static int read_direction(void *ctx, sqlite3_stmt *row)
{
    struct filling *f = ctx;
    const char *direction = (const char *)sqlite3_column_text(row, 0);
    f->study->maximize = direction != NULL && strcmp(direction, "MAXIMIZE") == 0;
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int fill(const struct reader *r, struct study *study, sqlite3_int64 id)
{
    /* In this order: what belongs to a trial comes behind it. */
    static const struct {
        const char *sql;
        row_fn *add;
    } parts[] = {
        {"SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective LIMIT 1",
         read_direction},
        {"SELECT t.trial_id, t.number, t.state, v.value FROM trials t "
         "LEFT JOIN trial_values v ON v.trial_id = t.trial_id AND v.objective = 0 "
         "WHERE t.study_id = ? ORDER BY t.number",
         add_trial},
        {"SELECT p.trial_id, p.param_name, p.param_value, p.distribution_json "
         "FROM trial_params p JOIN trials t ON t.trial_id = p.trial_id "
         "WHERE t.study_id = ? ORDER BY p.param_id",
         add_value},
        {"SELECT i.trial_id, i.step, i.intermediate_value "
         "FROM trial_intermediate_values i JOIN trials t ON t.trial_id = i.trial_id "
         "WHERE t.study_id = ? ORDER BY t.number, i.step",
         add_step},
        {"SELECT key, value_json FROM study_user_attributes WHERE study_id = ?", add_attribute},
    };
    struct filling f = {.path = r->path, .study = study};
    int code = 0;
    study->attributes = json_object();
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && code == 0; i++) {
        code = each_row(r, parts[i].sql, id, parts[i].add, &f);
    }
    free(f.ids);
    return code;
}

struct listing {
    struct study *studies;
    sqlite3_int64 *ids;
    size_t n;
};

static int add_study(void *ctx, sqlite3_stmt *row)
{
    struct listing *l = ctx;
    if (!grow(&l->studies, l->n, sizeof *l->studies) || !grow(&l->ids, l->n, sizeof *l->ids)) {
        return no_memory();
    }
    l->studies[l->n] = (struct study){.name = text_of(row, 1)};
    l->ids[l->n++] = sqlite3_column_int64(row, 0);
    return 0;
}

int studies_read(const char *path, struct study **out, size_t *n)
{
    struct reader r = {.path = path};
    struct listing list = {0};
    int code = 0;
    if (sqlite3_open_v2(path, &r.db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK) {
        code = talk_error(EXIT_NO_INPUT, NULL, "cannot open %s: %s", path,
                          r.db ? sqlite3_errmsg(r.db) : "out of memory");
    }
    if (code == 0) {
        sqlite3_busy_timeout(r.db, 10000);
        /* One moment of the study, whatever is written meanwhile. */
        sqlite3_exec(r.db, "BEGIN", NULL, NULL, NULL);
        code = each_row(&r, "SELECT study_id, study_name FROM studies ORDER BY study_id", 0,
                        add_study, &list);
    }
    for (size_t i = 0; i < list.n && code == 0; i++) code = fill(&r, &list.studies[i], list.ids[i]);
    if (code == 0 && list.n == 0) code = bad_study(path, "it holds no study");
    sqlite3_close(r.db);
    free(list.ids);
    if (code != 0) {
        studies_free(list.studies, list.n);
        list = (struct listing){0};
    }
    *out = list.studies;
    *n = list.n;
    return code;
}

void studies_free(struct study *studies, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct study *s = &studies[i];
        for (size_t p = 0; p < s->n_parameters; p++) {
            free(s->parameters[p].name);
            free(s->parameters[p].values);
            json_decref(s->parameters[p].choices);
        }
        json_decref(s->attributes);
        free(s->parameters);
        free(s->trials);
        free(s->steps);
        free(s->name);
    }
    free(studies);
}

const char *parameter_text(const struct parameter *p, double value, char *buffer, size_t size)
{
    if (isnan(value)) {
        snprintf(buffer, size, "\xe2\x80\x93");
    } else if (p->choices == NULL) {
        snprintf(buffer, size, "%.4g", value);
    } else {
        const json_t *choice = json_array_get(p->choices, (size_t)value);
        char *text = json_is_string(choice)
                         ? NULL
                         : json_dumps(choice, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        snprintf(buffer, size, "%s", text ? text : json_string_value(choice));
        free(text);
    }
    return buffer;
}
