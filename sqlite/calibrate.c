/*
 * calibrate.c - 'calibrate': what searches reach is measured anew, as the table is now; nothing is learned.
 *
 * The table is written out as an index file, but for some vectors: those ask it (nlsh_calibrate()), and what they say
 * is kept. They are vectors that the router did not learn from: of those that were there as it was trained, ones that
 * were held out then; and of those that came later as many as their share of the table is. Those are told by their
 * rowids, above all of before; where rowids are given otherwise, any take part, and promises are a little too high.
 *
 * 'calibrate questions' takes a caller's queries in their place: those of a table `questions`, in a column that is
 * called as the vectors' own. Then all vectors are in the index.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/resident.h"
#include "base/rng.h"
#include "command.h"
#include "folder.h"
#include "index/layout.h"
#include "kernels/metric.h"
#include "kernels/panel.h"
#include "learner.h"
#include "live/open.h"
#include "model.h"
#include "store.h"
#include "survey.h"
#include "vector.h"

SQLITE_EXTENSION_INIT3

/* MOST_GIVEN: as many as a build holds out. */
enum { QUERIES = 500, FEWEST = 30, MOST_GIVEN = 5000 };

struct calibration {
    struct nlsh__sqlite_table *table;
    const struct nlsh_sqlite_learner *learner;
    struct nlsh__sqlite_survey survey;
    uint8_t *asks; /* [survey.n] 1: the vector is a query */
    struct nlsh__sqlite_folder folder;
    float *queries; /* [n_queries][dim] */
    size_t n_queries;
    /* The index: rows by bucket. */
    size_t n;
    uint32_t *offsets, *rows; /* [m + 1], [n] */
    struct nlsh__map vectors; /* f32 [n][dim] */
    uint8_t *codes;           /* a section; NULL: none */
    struct nlsh__codes_layout layout;
    size_t group;  /* where the bucket's codes begin */
    size_t bucket; /* whose entries come */
};

/* ---- who asks -------------------------------------------------------------------------------- */

static int read_untaught(struct nlsh__sqlite_table *table, int64_t **out, size_t *n)
{
    uint8_t *bytes;
    size_t size;
    int rc = nlsh__sqlite_model_part(table, NLSH__SQL_PART_UNTAUGHT, &bytes, &size);
    *out = (int64_t *)(void *)bytes;
    *n = size / sizeof **out;
    return rc;
}

/* Marks a rowid that is there and does not ask yet; whether it was one. */
static int mark(struct calibration *c, size_t at)
{
    if (at >= c->survey.n || c->asks[at]) return 0;
    c->asks[at] = 1;
    c->n_queries++;
    return 1;
}

static int choose_queries(struct calibration *c)
{
    int64_t *untaught, last = INT64_MIN;
    size_t n_untaught, n = c->survey.n, first_new = n;
    struct nlsh__rng rng;
    if (nlsh__calloc(&c->asks, n, 1, NULL) != NLSH_OK) return SQLITE_NOMEM;
    int rc = read_untaught(c->table, &untaught, &n_untaught);
    if (rc != SQLITE_OK) return rc;
    nlsh__rng_init(&rng, 1, 0x63616c);
    for (size_t i = 0; i < n_untaught; i++) last = untaught[i] > last ? untaught[i] : last;
    while (first_new > 0 && c->survey.rowids[first_new - 1] > last) first_new--;
    if (first_new == n) first_new = 0;
    size_t wanted = n / 10 < QUERIES ? n / 10 : QUERIES;
    double changed = (double)c->table->state.changed / (double)n;
    size_t of_new = (size_t)((double)wanted * (changed < 1 ? changed : 1));
    for (size_t i = 0; i < n_untaught && c->n_queries + of_new < wanted; i++)
        (void)mark(c, nlsh__sqlite_survey_find(
                          &c->survey, untaught[i + nlsh__rng_below(&rng, n_untaught - i)]));
    for (size_t tries = 0; c->n_queries < wanted && tries < 20 * wanted; tries++)
        (void)mark(c, first_new + (size_t)nlsh__rng_below(&rng, n - first_new));
    nlsh__free(untaught);
    if (c->n_queries >= FEWEST) return SQLITE_OK;
    return nlsh__sqlite_fail(c->table, SQLITE_ERROR,
                             "%s: %lld vectors are too few to measure anything with",
                             c->table->name, (sqlite3_int64)n);
}

static int take_given(struct calibration *c, sqlite3_value *value, float *to)
{
    char *message = NULL;
    struct nlsh__sqlite_table *table = c->table;
    int rc = nlsh__sqlite_vector_into(value, "a query", table->metric, table->dim, to, &message);
    if (rc != SQLITE_OK && message != NULL) rc = nlsh__sqlite_fail(table, rc, "%s", message);
    sqlite3_free(message);
    return rc;
}

/* The queries of a table, or a sample of them in which each has the same chance (Vitter, Random sampling with a
 * reservoir, 1985, algorithm R). */
static int read_given(struct calibration *c, const char *from)
{
    struct nlsh__sqlite_table *table = c->table;
    size_t dim = table->dim, seen = 0;
    sqlite3_stmt *all = NULL;
    struct nlsh__rng rng;
    if (nlsh__calloc(&c->asks, c->survey.n, 1, NULL) != NLSH_OK ||
        nlsh__alloc(&c->queries, MOST_GIVEN, dim * sizeof *c->queries, NULL) != NLSH_OK)
        return SQLITE_NOMEM;
    char *sql = sqlite3_mprintf("SELECT \"%w\" FROM \"%w\"", table->column, from);
    if (sql == NULL) return SQLITE_NOMEM;
    int rc = sqlite3_prepare_v2(table->db, sql, -1, &all, NULL), wrong = SQLITE_OK;
    sqlite3_free(sql);
    if (rc != SQLITE_OK) return nlsh__sqlite_broken(table, rc);
    nlsh__rng_init(&rng, 1, 0x676976656e);
    for (; wrong == SQLITE_OK && (rc = sqlite3_step(all)) == SQLITE_ROW; seen++) {
        size_t at = seen < MOST_GIVEN ? seen : (size_t)nlsh__rng_below(&rng, seen + 1);
        if (at < MOST_GIVEN)
            wrong = take_given(c, sqlite3_column_value(all, 0), c->queries + at * dim);
    }
    if (wrong == SQLITE_OK && rc != SQLITE_DONE) wrong = nlsh__sqlite_broken(table, rc);
    sqlite3_finalize(all);
    c->n_queries = seen < MOST_GIVEN ? seen : MOST_GIVEN;
    if (wrong != SQLITE_OK || c->n_queries >= FEWEST) return wrong;
    return nlsh__sqlite_fail(table, SQLITE_ERROR,
                             "%s: %s has %lld queries, which are too few to measure with: give %d "
                             "or more",
                             table->name, from, (sqlite3_int64)c->n_queries, FEWEST);
}

/* ---- the index ------------------------------------------------------------------------------- */

/* Entries of a chunk whose vectors do not ask, counted; first how many of a bucket there are. */
static int count_entries(void *user, sqlite3_int64 id, const struct nlsh__sqlite_chunk *chunk)
{
    struct calibration *c = user;
    for (size_t i = 0; i < chunk->n; i++) {
        size_t at = nlsh__sqlite_survey_find(&c->survey, chunk->rowids[i]);
        if (at == c->survey.n || c->asks[at]) continue;
        c->offsets[id / NLSH__SQL_CHUNKS + 1]++;
        c->n++;
    }
    return SQLITE_OK;
}

/* A vector as an index stores it. */
static int copy_vector(struct calibration *c, int64_t rowid, float *to, int is_stored)
{
    const void *vector;
    size_t dim = c->table->dim;
    int rc = nlsh__sqlite_vector_get(c->table, rowid, &vector);
    if (rc != SQLITE_OK) return rc;
    if (vector == NULL) return nlsh__sqlite_damaged(c->table, "a vector is gone");
    memcpy(to, vector, dim * sizeof *to);
    nlsh__sqlite_vector_release(c->table);
    if (is_stored && c->table->metric == NLSH_COSINE) (void)nlsh__scale_to(to, dim, 1, to);
    return SQLITE_OK;
}

static void copy_code(const struct calibration *c, const struct nlsh__sqlite_chunk *chunk, size_t i,
                      size_t lane)
{
    size_t n_chunks = chunk->code_bytes / 4;
    float *biases = (float *)(void *)(c->codes + c->layout.bias);
    const uint8_t *from = chunk->codes + i / NLSH__GROUP * n_chunks * 64 + i % NLSH__GROUP * 4;
    uint8_t *to =
        c->codes + c->layout.values + lane / NLSH__GROUP * n_chunks * 64 + lane % NLSH__GROUP * 4;
    biases[lane] = chunk->biases[i];
    c->codes[c->layout.errors + lane] = chunk->errors[i];
    for (size_t k = 0; k < n_chunks; k++) memcpy(to + k * 64, from + k * 64, 4);
}

static int take_entries(void *user, sqlite3_int64 id, const struct nlsh__sqlite_chunk *chunk)
{
    struct calibration *c = user;
    size_t bucket = (size_t)(id / NLSH__SQL_CHUNKS), dim = c->table->dim;
    float *vectors = (float *)(uintptr_t)c->vectors.data;
    for (; c->bucket < bucket; c->bucket++) {
        size_t size = c->offsets[c->bucket + 1] - c->offsets[c->bucket];
        c->group += (size + NLSH__GROUP - 1) / NLSH__GROUP;
        c->n = c->offsets[c->bucket + 1];
    }
    for (size_t i = 0; i < chunk->n; i++) {
        size_t at = nlsh__sqlite_survey_find(&c->survey, chunk->rowids[i]);
        if (at == c->survey.n || c->asks[at]) continue;
        int rc = copy_vector(c, chunk->rowids[i], vectors + c->n * dim, 1);
        if (rc != SQLITE_OK) return rc;
        if (c->codes != NULL)
            copy_code(c, chunk, i, c->group * NLSH__GROUP + c->n - c->offsets[bucket]);
        c->rows[c->n] = (uint32_t)c->n;
        c->n++;
    }
    return SQLITE_OK;
}

/* The section of codes, with what all rows share and no row yet. */
static int begin_codes(struct calibration *c)
{
    const struct nlsh__codes *codes = c->table->model->index->segments[0].codes;
    size_t m = c->table->model->n_buckets, dim = c->table->dim;
    if (codes == NULL) return SQLITE_OK;
    size_t n_groups = nlsh__group_offsets(c->offsets, m, NULL);
    if (nlsh__codes_layout(dim, m, n_groups, codes->n_components, &c->layout) != 0 ||
        nlsh__calloc(&c->codes, c->layout.size, 1, NULL) != NLSH_OK)
        return SQLITE_NOMEM;
    struct nlsh__codes_header header = {.size_bytes = c->layout.size,
                                        .n_groups = (uint32_t)n_groups,
                                        .n_components = (uint32_t)codes->n_components,
                                        .scale = codes->scale,
                                        .error_unit = codes->error_unit,
                                        .outside_weight = codes->outside_weight,
                                        .rounded = codes->query_mean != NULL};
    memcpy(header.magic, NLSH__CODES_MAGIC, sizeof header.magic);
    memcpy(c->codes, &header, sizeof header);
    memcpy(c->codes + c->layout.mean, codes->mean, dim * sizeof(float));
    memcpy(c->codes + c->layout.steps, codes->steps, c->layout.stride * sizeof(float));
    memcpy(c->codes + c->layout.centroids, codes->centroids, m * c->layout.stride * sizeof(float));
    float *biases = (float *)(void *)(c->codes + c->layout.bias);
    for (size_t i = 0; i < n_groups * NLSH__GROUP; i++) biases[i] = INFINITY;
    return SQLITE_OK;
}

static int gather(struct calibration *c)
{
    size_t m = c->table->model->n_buckets, dim = c->table->dim, bytes;
    if (nlsh__calloc(&c->offsets, m + 1, sizeof *c->offsets, NULL) != NLSH_OK) return SQLITE_NOMEM;
    int rc = nlsh__sqlite_each_chunk(c->table, INT64_MIN, INT64_MAX, count_entries, c);
    if (rc != SQLITE_OK) return rc;
    for (size_t b = 0; b < m; b++) c->offsets[b + 1] += c->offsets[b];
    if (nlsh__mul(c->n, dim * sizeof(float), &bytes) != 0 ||
        nlsh__map_anonymous(bytes > 0 ? bytes : 1, &c->vectors, NULL) != NLSH_OK ||
        nlsh__alloc(&c->rows, c->n, sizeof *c->rows, NULL) != NLSH_OK)
        return SQLITE_NOMEM;
    rc = begin_codes(c);
    c->n = 0;
    if (rc == SQLITE_OK)
        rc = nlsh__sqlite_each_chunk(c->table, INT64_MIN, INT64_MAX, take_entries, c);
    c->n = c->offsets[m];
    return rc;
}

static int gather_queries(struct calibration *c)
{
    size_t n = 0, dim = c->table->dim;
    int rc = SQLITE_OK;
    if (nlsh__alloc(&c->queries, c->n_queries, dim * sizeof *c->queries, NULL) != NLSH_OK)
        return SQLITE_NOMEM;
    for (size_t i = 0; i < c->survey.n && rc == SQLITE_OK; i++)
        if (c->asks[i]) rc = copy_vector(c, c->survey.rowids[i], c->queries + n++ * dim, 0);
    return rc;
}

static enum nlsh_status write_index(struct calibration *c, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_index *model = c->table->model->index;
    struct nlsh__index_table table;
    struct nlsh__section_data s[NLSH__N_KNOWN + 8];
    struct nlsh__meta meta = model->meta;
    const struct nlsh__segment_meta segment = {.n_rows = c->n};
    size_t n = 0;
    meta.n_rows = c->n;
    s[n++] = (struct nlsh__section_data){NLSH__SECTION_META, 0, &meta, sizeof meta};
    NLSH_TRY(nlsh__index_read_table(model->path, &model->map, &table, error));
    for (size_t i = 0; i < table.n_entries && n < NLSH__N_KNOWN; i++) {
        const struct nlsh__index_entry *e = &table.entries[i];
        if (nlsh__sqlite_model_keeps(e->kind))
            s[n++] = (struct nlsh__section_data){(enum nlsh__section_kind)e->kind, 0,
                                                 model->map.data + e->offset, (size_t)e->size};
    }
    s[n++] = (struct nlsh__section_data){NLSH__SECTION_SEGMENT, 0, &segment, sizeof segment};
    s[n++] = (struct nlsh__section_data){NLSH__SECTION_BUCKETS, 0, c->offsets,
                                         (meta.n_buckets + (size_t)1) * sizeof *c->offsets};
    s[n++] = (struct nlsh__section_data){NLSH__SECTION_ROWS, 0, c->rows, c->n * sizeof *c->rows};
    s[n++] = (struct nlsh__section_data){NLSH__SECTION_VECTORS, 0, c->vectors.data,
                                         c->n * c->table->dim * sizeof(float)};
    if (c->codes != NULL)
        s[n++] = (struct nlsh__section_data){NLSH__SECTION_CODES, 0, c->codes, c->layout.size};
    NLSH_TRY(nlsh__index_write(c->folder.file, s, n, error));
out:
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int measure(struct calibration *c)
{
    struct nlsh_error error = {.status = NLSH_OK};
    struct nlsh_run run;
    struct nlsh_index *measured = NULL;
    const struct nlsh_matrix queries = {c->queries, c->n_queries, c->table->dim, NLSH_F32, 0};
    c->learner->run_init(&run, sizeof run);
    run.progress = nlsh__sqlite_progress;
    run.user = c->table;
    enum nlsh_status status = write_index(c, &error);
    if (status == NLSH_OK)
        status = c->learner->calibrate(c->folder.file, &queries, NULL, &run, NULL, &error);
    if (status == NLSH_OK)
        status = nlsh__open_file(c->folder.file, NLSH_MEMORY_MAP, &measured, &error);
    if (status != NLSH_OK) return nlsh__sqlite_failed(c->table, &error);
    int rc = nlsh__sqlite_model_recalibrate(c->table, measured);
    nlsh_index_close(measured);
    return rc;
}

static void calibration_free(struct calibration *c)
{
    nlsh__sqlite_survey_free(&c->survey);
    nlsh__sqlite_folder_free(&c->folder);
    nlsh__map_close(&c->vectors);
    nlsh__free(c->asks);
    nlsh__free(c->queries);
    nlsh__free(c->offsets);
    nlsh__free(c->rows);
    nlsh__free(c->codes);
}

int nlsh__sqlite_calibrate(struct nlsh__sqlite_table *table, const char *from)
{
    struct calibration c = {.table = table};
    const char *why;
    if (table->model == NULL)
        return nlsh__sqlite_fail(
            table, SQLITE_ERROR,
            "%s: nothing was learned yet, and searches are exact: 'train' comes "
            "first",
            table->name);
    c.learner = nlsh__sqlite_learner(&why);
    if (c.learner == NULL)
        return nlsh__sqlite_fail(
            table, SQLITE_ERROR,
            "%s: measuring needs libnlsh-learn, which is not here: run nlsh sqlite "
            "calibrate FILE %s (%s)",
            table->name, table->name, why);
    int rc = nlsh__sqlite_optimize(table); /* each vector has one entry then */
    if (rc == SQLITE_OK) rc = nlsh__sqlite_survey_make(table, &c.survey, NULL);
    if (rc == SQLITE_OK) rc = from != NULL ? read_given(&c, from) : choose_queries(&c);
    if (rc == SQLITE_OK) rc = gather(&c);
    if (rc == SQLITE_OK && from == NULL) rc = gather_queries(&c);
    if (rc == SQLITE_OK) rc = nlsh__sqlite_folder_make(table, &c.folder);
    if (rc == SQLITE_OK) rc = measure(&c);
    calibration_free(&c);
    return rc;
}
