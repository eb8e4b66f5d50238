/*
 * train.c - 'train': buckets and a router are learned from all vectors, in the transaction that runs.
 *
 * libnlsh-learn makes an index file of the vectors, which lies under a temporary name as long as this takes. What was
 * learned and every row's bucket and code are taken from it; the vectors stay where they are.
 */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/resident.h"
#include "chunk.h"
#include "command.h"
#include "folder.h"
#include "kernels/panel.h"
#include "learner.h"
#include "live/open.h"
#include "model.h"
#include "store.h"

SQLITE_EXTENSION_INIT3

/* As nlsh_compact() has it: of fewer rows nothing is learned, and all are compared. */
enum { LEAST_ROWS = 1000 };
/* Up to this dimension codes say something of every component, beyond it of the principal ones that a build chooses
 * itself. An exact score is a lookup of 2 to 3 microseconds here, and not 30 nanoseconds as in an index file, for which
 * builds choose. */
enum { MOST_WHOLE = 160 };

/* What a training has in its hands. */
struct training {
    struct nlsh__sqlite_table *table;
    const struct nlsh_sqlite_learner *learner;
    struct nlsh__map vectors; /* f32 [n][dim] */
    int64_t *rowids;          /* [n] */
    size_t n;
    struct nlsh__sqlite_folder folder;
    struct nlsh_index *trained;
};

/* ---- the vectors ----------------------------------------------------------------------------- */

static int read_vectors(struct training *t)
{
    size_t row_bytes = t->table->dim * sizeof(float), bytes, i = 0;
    sqlite3_stmt *scan;
    if (nlsh__mul(t->n, row_bytes, &bytes) != 0 ||
        nlsh__map_anonymous(bytes, &t->vectors, NULL) != NLSH_OK ||
        nlsh__alloc(&t->rowids, t->n, sizeof *t->rowids, NULL) != NLSH_OK)
        return SQLITE_NOMEM;
    int rc = nlsh__sqlite_prepare(t->table, NLSH__SQL_VECTOR_SCAN, &scan);
    if (rc != SQLITE_OK) return rc;
    uint8_t *to = (uint8_t *)(uintptr_t)t->vectors.data;
    sqlite3_bind_int64(scan, 1, INT64_MIN);
    sqlite3_bind_int64(scan, 2, INT64_MAX);
    while ((rc = sqlite3_step(scan)) == SQLITE_ROW && i < t->n) {
        const void *vector = sqlite3_column_blob(scan, 1);
        if (vector == NULL || (size_t)sqlite3_column_bytes(scan, 1) != row_bytes) {
            sqlite3_reset(scan);
            return nlsh__sqlite_damaged(t->table, "a vector has another length");
        }
        memcpy(to + i * row_bytes, vector, row_bytes);
        t->rowids[i++] = sqlite3_column_int64(scan, 0);
    }
    rc = nlsh__sqlite_done(t->table, scan, rc);
    return rc == SQLITE_OK && i != t->n ? nlsh__sqlite_damaged(t->table, "it cannot be counted")
                                        : rc;
}

/* ---- learning -------------------------------------------------------------------------------- */

static int learn(struct training *t)
{
    struct nlsh_error error = {.status = NLSH_OK};
    struct nlsh_build_options options;
    struct nlsh_run run;
    const struct nlsh_matrix base = {t->vectors.data, t->n, t->table->dim, NLSH_F32, 0};
    t->learner->build_options_init(&options, sizeof options);
    t->learner->run_init(&run, sizeof run);
    options.metric = t->table->metric;
    /* A bucket's entries are read all at once: nothing is won by leaving some out. */
    options.leaves = 0;
    if (base.dim <= MOST_WHOLE) options.components = base.dim;
    options.code_bytes = base.dim < 8192 ? (base.dim + 1) / 2 : 4096; /* or of all components */
    run.progress = nlsh__sqlite_progress;
    run.user = t->table;
    enum nlsh_status status =
        t->learner->build(&base, &options, t->folder.file, &run, NULL, &error);
    if (status == NLSH_OK)
        status = nlsh__open_file(t->folder.file, NLSH_MEMORY_MAP, &t->trained, &error);
    if (status == NLSH_OK) return SQLITE_OK;
    return nlsh__sqlite_failed(t->table, &error);
}

/* ---- writing --------------------------------------------------------------------------------- */

static int clear(struct nlsh__sqlite_table *table)
{
    static const enum nlsh__sqlite_statement all[] = {NLSH__SQL_CHUNKS_CLEAR, NLSH__SQL_MODEL_CLEAR,
                                                      NLSH__SQL_BUCKETS_CLEAR};
    int rc = SQLITE_OK;
    for (size_t i = 0; i < sizeof all / sizeof *all && rc == SQLITE_OK; i++) {
        sqlite3_stmt *statement;
        rc = nlsh__sqlite_prepare(table, all[i], &statement);
        if (rc == SQLITE_OK) rc = nlsh__sqlite_run(table, statement);
    }
    return rc;
}

/* Entries of places first .. first + n - 1 of a bucket, as they stand in the trained index, into a chunk. */
static void fill_chunk(const struct training *t, uint32_t bucket, size_t first, size_t n,
                       size_t code_bytes, struct nlsh__sqlite_chunk *chunk)
{
    const struct nlsh__segment *s = &t->trained->segments[0];
    const struct nlsh__codes *codes = s->codes;
    nlsh__sqlite_chunk_begin(chunk->bytes, n, code_bytes, chunk);
    for (size_t i = 0; i < n; i++)
        chunk->rowids[i] = t->rowids[s->rows[s->bucket_offsets[bucket] + first + i]];
    if (codes == NULL) return;
    size_t lanes = chunk->n_groups * NLSH__GROUP;
    size_t lane = codes->group_offsets[bucket] * NLSH__GROUP + first;
    memcpy(chunk->biases, codes->rows.bias + lane, lanes * sizeof(float));
    memcpy(chunk->errors, codes->rows.errors + lane, lanes);
    memcpy(chunk->codes, codes->rows.values + lane * code_bytes, lanes * code_bytes);
}

static int write_bucket(struct training *t, uint32_t bucket, size_t code_bytes, uint8_t *scratch)
{
    const uint32_t *offsets = t->trained->segments[0].bucket_offsets;
    size_t n = offsets[bucket + 1] - offsets[bucket], room = nlsh__sqlite_chunk_room(code_bytes);
    sqlite3_int64 id = bucket * NLSH__SQL_CHUNKS;
    int rc = nlsh__sqlite_put_number(t->table, NLSH__SQL_BUCKET_PUT, bucket, (sqlite3_int64)n);
    for (size_t first = 0; first < n && rc == SQLITE_OK; first += room, id++) {
        struct nlsh__sqlite_chunk chunk = {.bytes = scratch};
        fill_chunk(t, bucket, first, n - first < room ? n - first : room, code_bytes, &chunk);
        rc = nlsh__sqlite_put(t->table, NLSH__SQL_CHUNK_PUT, id, chunk.bytes, chunk.size);
    }
    return rc;
}

static int write_all(struct training *t)
{
    struct nlsh__sqlite_table *table = t->table;
    const struct nlsh__codes *codes = t->trained->segments[0].codes;
    size_t code_bytes = codes != NULL ? codes->n_components / 2 : 0;
    size_t size = nlsh__sqlite_chunk_size(nlsh__sqlite_chunk_room(code_bytes), code_bytes);
    uint8_t *scratch = NULL;
    int rc = clear(table);
    if (rc == SQLITE_OK) rc = nlsh__sqlite_model_save(table, t->trained, t->rowids);
    if (rc == SQLITE_OK && nlsh__alloc(&scratch, size, 1, NULL) != NLSH_OK) rc = SQLITE_NOMEM;
    for (uint32_t b = 0; b < t->trained->meta.n_buckets && rc == SQLITE_OK; b++)
        rc = write_bucket(t, b, code_bytes, scratch);
    nlsh__free(scratch);
    if (rc != SQLITE_OK) return rc;
    table->state.rows = (sqlite3_int64)t->n;
    table->state.stale = 0;
    return nlsh__sqlite_model_replaced(table);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void training_free(struct training *t)
{
    nlsh_index_close(t->trained);
    nlsh__map_close(&t->vectors);
    nlsh__free(t->rowids);
    nlsh__sqlite_folder_free(&t->folder);
}

int nlsh__sqlite_train(struct nlsh__sqlite_table *table)
{
    struct training t = {.table = table};
    const char *why;
    int rc = nlsh__sqlite_count(table, &t.n);
    if (rc != SQLITE_OK) return rc;
    if (t.n < LEAST_ROWS)
        return nlsh__sqlite_fail(
            table, SQLITE_ERROR,
            "%s: %lld vectors are too few to learn from: with fewer than %d every "
            "search compares all of them, and is exact",
            table->name, (sqlite3_int64)t.n, LEAST_ROWS);
    t.learner = nlsh__sqlite_learner(&why);
    if (t.learner == NULL)
        return nlsh__sqlite_fail(
            table, SQLITE_ERROR,
            "%s: training needs libnlsh-learn, which is not here: run nlsh sqlite "
            "train FILE %s (%s)",
            table->name, table->name, why);
    rc = read_vectors(&t);
    if (rc == SQLITE_OK) rc = nlsh__sqlite_folder_make(table, &t.folder);
    if (rc == SQLITE_OK) rc = learn(&t);
    if (rc == SQLITE_OK) rc = write_all(&t);
    training_free(&t);
    return rc;
}
