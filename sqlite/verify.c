/*
 * verify.c - 'verify': everything is read and compared. What SQLite itself can tell of its file, PRAGMA integrity_check
 * tells.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "codes/row.h"
#include "command.h"
#include "index/layout.h"
#include "kernels/metric.h"
#include "kernels/panel.h"
#include "model.h"
#include "store.h"
#include "survey.h"

SQLITE_EXTENSION_INIT3

/* ---- vectors --------------------------------------------------------------------------------- */

static int check_vector(struct nlsh__sqlite_table *table, sqlite3_int64 rowid, const void *bytes)
{
    int is_zero = 1;
    memcpy(table->vector, bytes, table->dim * sizeof *table->vector);
    for (size_t d = 0; d < table->dim; d++) {
        is_zero &= table->vector[d] == 0;
        if (!(fabsf(table->vector[d]) <= NLSH__MOST_VALUE))
            return nlsh__sqlite_fail(
                table, SQLITE_CORRUPT_VTAB,
                "%s: the vector of rowid %lld is damaged: value %lld is no number "
                "that was inserted",
                table->name, rowid, (sqlite3_int64)d);
    }
    if (!is_zero || table->metric != NLSH_COSINE) return SQLITE_OK;
    return nlsh__sqlite_fail(table, SQLITE_CORRUPT_VTAB,
                             "%s: the vector of rowid %lld is damaged: all its values are 0",
                             table->name, rowid);
}

static int check_vectors(struct nlsh__sqlite_table *table)
{
    sqlite3_stmt *scan;
    sqlite3_int64 n = 0;
    int rc = nlsh__sqlite_prepare(table, NLSH__SQL_VECTOR_SCAN, &scan), wrong = SQLITE_OK;
    if (rc != SQLITE_OK) return rc;
    sqlite3_bind_int64(scan, 1, INT64_MIN);
    sqlite3_bind_int64(scan, 2, INT64_MAX);
    while (wrong == SQLITE_OK && (rc = sqlite3_step(scan)) == SQLITE_ROW) {
        const void *bytes = sqlite3_column_blob(scan, 1);
        n++;
        if (bytes == NULL && sqlite3_errcode(table->db) == SQLITE_NOMEM)
            wrong = SQLITE_NOMEM;
        else if (bytes == NULL ||
                 (size_t)sqlite3_column_bytes(scan, 1) != table->dim * sizeof(float))
            wrong = nlsh__sqlite_damaged(table, "a vector has another length");
        else
            wrong = check_vector(table, sqlite3_column_int64(scan, 0), bytes);
    }
    rc = nlsh__sqlite_done(table, scan, rc);
    if (wrong != SQLITE_OK || rc != SQLITE_OK) return wrong != SQLITE_OK ? wrong : rc;
    if (n == table->state.rows) return SQLITE_OK;
    return nlsh__sqlite_fail(table, SQLITE_CORRUPT_VTAB,
                             "%s: it has %lld vectors, and %lld were counted as they came and went",
                             table->name, n, table->state.rows);
}

/* ---- what was learned ------------------------------------------------------------------------ */

/* All checksums of the index without rows. */
static int check_model(struct nlsh__sqlite_table *table)
{
    struct nlsh_error error = {.status = NLSH_OK};
    struct nlsh_index *index;
    const struct nlsh__map map = table->model->index->map;
    const struct nlsh__source_of_index source = {
        .name = table->model->index->path, .bytes = &map, .whole = 1};
    enum nlsh_status status = nlsh__index_load(&source, &index, &error);
    if (status != NLSH_OK) return nlsh__sqlite_failed(table, &error);
    nlsh__index_free(index);
    return SQLITE_OK;
}

/* ---- entries --------------------------------------------------------------------------------- */

struct checking {
    struct nlsh__sqlite_table *table;
    const struct nlsh__sqlite_survey *survey;
};

/* The 4 bits of component c in the code at `code`, whose chunks of 8 components are 64 bytes apart. */
static int level_at(const uint8_t *code, size_t c)
{
    uint8_t byte = code[c / 8 * 64 + c % 4];
    return c % 8 < 4 ? byte & 15 : byte >> 4;
}

/* Whether an entry's code can be that of the vector: levels differ by rounding alone. */
static int is_code_of(struct nlsh__sqlite_table *table, const void *vector, uint32_t bucket,
                      const uint8_t *code)
{
    struct nlsh__row_maker *maker = &table->model->maker;
    const struct nlsh__codes *codes = table->model->index->segments[0].codes;
    const float *centroid = codes->centroids + bucket * codes->stride;
    size_t wrong = 0;
    memcpy(table->vector, vector, table->dim * sizeof *table->vector);
    if (table->metric == NLSH_COSINE)
        (void)nlsh__scale_to(table->vector, table->dim, 1, table->vector);
    const float *z = nlsh__ask_inputs(&maker->asker, table->vector, NULL);
    for (size_t c = 0; c < codes->n_components; c++) {
        int level = (int)nlsh__code_level(z[c] - centroid[c], codes->steps[c]);
        int off = level - level_at(code, c);
        wrong += codes->steps[c] > 0 && (off < -1 || off > 1); /* others fill up the code */
    }
    return wrong <= codes->n_components / 8;
}

static int check_chunk(void *user, sqlite3_int64 id, const struct nlsh__sqlite_chunk *chunk)
{
    const struct checking *c = user;
    struct nlsh__sqlite_table *table = c->table;
    size_t n_chunks = chunk->code_bytes / 4;
    int rc = SQLITE_OK;
    for (size_t i = 0; i < chunk->n && n_chunks > 0 && rc == SQLITE_OK; i++) {
        const void *vector;
        size_t at = nlsh__sqlite_survey_find(c->survey, chunk->rowids[i]);
        if (at == c->survey->n || c->survey->n_entries[at] != 1) continue;
        rc = nlsh__sqlite_vector_get(table, chunk->rowids[i], &vector);
        if (rc != SQLITE_OK || vector == NULL) continue;
        const uint8_t *code = chunk->codes + i / NLSH__GROUP * n_chunks * 64 + i % NLSH__GROUP * 4;
        int is_it = is_code_of(table, vector, (uint32_t)(id / NLSH__SQL_CHUNKS), code);
        nlsh__sqlite_vector_release(table);
        if (!is_it)
            rc = nlsh__sqlite_fail(
                table, SQLITE_CORRUPT_VTAB,
                "%s: the entry of rowid %lld is of another vector: 'train' makes it "
                "anew",
                table->name, chunk->rowids[i]);
    }
    return rc;
}

static int check_sizes(struct nlsh__sqlite_table *table, const uint32_t *sizes)
{
    for (size_t b = 0; b < table->model->n_buckets; b++)
        if (sizes[b] != table->model->sizes[b])
            return nlsh__sqlite_fail(table, SQLITE_CORRUPT_VTAB,
                                     "%s: bucket %lld has %lld entries, and %lld were counted",
                                     table->name, (sqlite3_int64)b, (sqlite3_int64)sizes[b],
                                     (sqlite3_int64)table->model->sizes[b]);
    return SQLITE_OK;
}

static int check_entries(struct nlsh__sqlite_table *table)
{
    struct nlsh__sqlite_survey survey;
    uint32_t *sizes = NULL;
    if (nlsh__calloc(&sizes, table->model->n_buckets, sizeof *sizes, NULL) != NLSH_OK)
        return SQLITE_NOMEM;
    int rc = nlsh__sqlite_survey_make(table, &survey, sizes);
    if (rc == SQLITE_OK) rc = check_sizes(table, sizes);
    for (size_t i = 0; i < survey.n && rc == SQLITE_OK; i++)
        if (survey.n_entries[i] == 0)
            rc = nlsh__sqlite_fail(
                table, SQLITE_CORRUPT_VTAB,
                "%s: rowid %lld has a vector, but no entry: searches may miss it; "
                "'optimize' makes one",
                table->name, survey.rowids[i]);
    struct checking checking = {table, &survey};
    if (rc == SQLITE_OK)
        rc = nlsh__sqlite_each_chunk(table, INT64_MIN, INT64_MAX, check_chunk, &checking);
    nlsh__free(sizes);
    nlsh__sqlite_survey_free(&survey);
    return rc;
}

int nlsh__sqlite_verify(struct nlsh__sqlite_table *table)
{
    int rc = check_vectors(table);
    if (rc == SQLITE_OK && table->model != NULL) rc = check_model(table);
    if (rc == SQLITE_OK && table->model != NULL) rc = nlsh__sqlite_model_maker(table);
    if (rc == SQLITE_OK && table->model != NULL) rc = check_entries(table);
    return rc;
}
