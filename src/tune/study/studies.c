/* studies.c - see studies.h. */
#include "tune/study/studies.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* A column's text, freed by the caller; NULL: out of memory. */
static char *text_at(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return strdup(text != NULL ? text : "");
}

static enum nlsh_status read_attributes(const struct nlsh__sql *sql, int64_t id,
                                        struct nlsh__study *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    sqlite3_stmt *rows = NULL;
    int64_t n;
    int row;
    NLSH_TRY(nlsh__sql_int(
        sql, &n, error, "SELECT COUNT(*) FROM study_user_attributes WHERE study_id = ?", "i", id));
    NLSH_TRY(nlsh__calloc(&out->attributes, (size_t)n, sizeof *out->attributes, error));
    NLSH_TRY(
        nlsh__sql_prepare(sql, &rows, error,
                          "SELECT \"key\", value_json FROM study_user_attributes WHERE study_id = ?"
                          " ORDER BY study_user_attribute_id",
                          "i", id));
    while (out->n_attributes < (size_t)n) {
        NLSH_TRY(nlsh__sql_step(sql, rows, &row, error));
        if (!row) break;
        struct nlsh__attribute *a = &out->attributes[out->n_attributes++];
        *a = (struct nlsh__attribute){text_at(rows, 0), text_at(rows, 1)};
        if (a->key == NULL || a->json == NULL)
            NLSH_TRY(nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory"));
    }
out:
    sqlite3_finalize(rows);
    return status;
}

static enum nlsh_status read_study(const struct nlsh__sql *sql, int64_t id, struct nlsh__study *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    char *direction = NULL;
    NLSH_TRY(nlsh__sql_text(
        sql, &direction, error,
        "SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective LIMIT 1", "i",
        id));
    out->maximize = direction != NULL && strcmp(direction, "MAXIMIZE") == 0;
    NLSH_TRY(nlsh__trials_read(sql, id, &out->trials, error));
    NLSH_TRY(read_attributes(sql, id, out, error));
out:
    free(direction);
    return status;
}

/* Inside one transaction. */
static enum nlsh_status read_all(const struct nlsh__sql *sql, struct nlsh__studies *out,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    sqlite3_stmt *rows = NULL;
    int64_t n;
    int row;
    NLSH_TRY(nlsh__sql_int(sql, &n, error, "SELECT COUNT(*) FROM studies", ""));
    if (n == 0)
        NLSH_TRY(nlsh__fail(error, NLSH_E_DATA,
                            "give the study.db of a run of nlsh tune, or one of Optuna's",
                            "%s: it holds no study", sql->path));
    NLSH_TRY(nlsh__calloc(&out->studies, (size_t)n, sizeof *out->studies, error));
    NLSH_TRY(nlsh__sql_prepare(sql, &rows, error,
                               "SELECT study_id, study_name FROM studies ORDER BY study_id", ""));
    while (out->n < (size_t)n) {
        NLSH_TRY(nlsh__sql_step(sql, rows, &row, error));
        if (!row) break;
        struct nlsh__study *study = &out->studies[out->n++];
        study->name = text_at(rows, 1);
        if (study->name == NULL) NLSH_TRY(nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory"));
        NLSH_TRY(read_study(sql, sqlite3_column_int64(rows, 0), study, error));
    }
out:
    sqlite3_finalize(rows);
    return status;
}

enum nlsh_status nlsh__studies_read(const char *path, struct nlsh__studies *out,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__sql sql;
    *out = (struct nlsh__studies){0};
    NLSH_TRY(nlsh__sql_open(path, NLSH__SQL_READ, &sql, error));
    NLSH_TRY(nlsh__sql_check(&sql, error));
    status = nlsh__sql_run(&sql, error, "BEGIN", "");
    if (status == NLSH_OK) status = read_all(&sql, out, error);
    status = nlsh__sql_end(&sql, status, error);
out:
    nlsh__sql_close(&sql);
    if (status != NLSH_OK) nlsh__studies_free(out);
    return status;
}

void nlsh__studies_free(struct nlsh__studies *studies)
{
    for (size_t i = 0; i < studies->n; i++) {
        struct nlsh__study *s = &studies->studies[i];
        for (size_t a = 0; a < s->n_attributes; a++) {
            free(s->attributes[a].key);
            free(s->attributes[a].json);
        }
        nlsh__free(s->attributes);
        nlsh__trials_free(&s->trials);
        free(s->name);
    }
    nlsh__free(studies->studies);
    *studies = (struct nlsh__studies){0};
}
