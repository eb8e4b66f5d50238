/* pending.c - see pending.h. */
#include "pending.h"

#include <string.h>

#include "base/buckets.h"
#include "base/error.h"
#include "base/memory.h"
#include "chunk.h"
#include "model.h"
#include "store.h"

SQLITE_EXTENSION_INIT3

/* Bytes of entries after which they are written: each flush of many rewrites the last chunk of nearly every bucket. */
#define MOST_PENDING ((size_t)16 << 20)

struct nlsh__sqlite_pending {
    size_t n, room, code_bytes;
    sqlite3_int64 *rowids; /* [room] */
    struct nlsh__log_rows rows;
    int dirty; /* 1: counts, or entries, are not written yet */
};

/* ---- memory ---------------------------------------------------------------------------------- */

static void free_arrays(struct nlsh__sqlite_pending *p)
{
    nlsh__free(p->rowids);
    nlsh__free(p->rows.buckets);
    nlsh__free(p->rows.biases);
    nlsh__free(p->rows.errors);
    nlsh__free(p->rows.codes);
    nlsh__free(p->rows.vectors);
    p->rowids = NULL;
    p->rows = (struct nlsh__log_rows){.n = 0};
    p->n = p->room = 0;
}

void nlsh__sqlite_pending_free(struct nlsh__sqlite_pending *pending)
{
    if (pending == NULL) return;
    free_arrays(pending);
    nlsh__free(pending);
}

void nlsh__sqlite_pending_forget(struct nlsh__sqlite_table *table)
{
    if (table->pending == NULL) return;
    free_arrays(table->pending);
    table->pending->dirty = 0;
}

/* The arrays, with room for twice as many; what is there is copied. */
static int grow(struct nlsh__sqlite_pending *p)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh__sqlite_pending more = {.n = p->n, .code_bytes = p->code_bytes, .dirty = p->dirty};
    more.room = p->room > 0 ? 2 * p->room : 16;
    NLSH_TRY(nlsh__alloc(&more.rowids, more.room, sizeof *more.rowids, NULL));
    NLSH_TRY(nlsh__alloc(&more.rows.buckets, more.room, sizeof(uint32_t), NULL));
    NLSH_TRY(nlsh__alloc(&more.rows.biases, more.room, sizeof(float), NULL));
    NLSH_TRY(nlsh__alloc(&more.rows.errors, more.room, 1, NULL));
    NLSH_TRY(nlsh__alloc(&more.rows.codes, more.room, p->code_bytes, NULL));
    NLSH_TRY(nlsh__alloc(&more.rows.vectors, 1, 1, NULL)); /* rows of no bytes */
    if (p->n > 0) {
        memcpy(more.rowids, p->rowids, p->n * sizeof *p->rowids);
        memcpy(more.rows.buckets, p->rows.buckets, p->n * sizeof(uint32_t));
        memcpy(more.rows.biases, p->rows.biases, p->n * sizeof(float));
        memcpy(more.rows.errors, p->rows.errors, p->n);
        memcpy(more.rows.codes, p->rows.codes, p->n * p->code_bytes);
    }
    free_arrays(p);
    *p = more;
    return SQLITE_OK;
out:
    free_arrays(&more);
    return nlsh__sqlite_code(status);
}

/* ---- what is pending ------------------------------------------------------------------------- */

/* A bucket that holds 1.5 times the mean is passed over for the next best, as nlsh_writer_put() has it. */
static size_t most_of(const struct nlsh__sqlite_model *model)
{
    return (model->n_entries + model->n_entries / 2) / model->n_buckets + 64;
}

int nlsh__sqlite_pend_change(struct nlsh__sqlite_table *table)
{
    if (table->pending != NULL) return SQLITE_OK;
    enum nlsh_status status = nlsh__calloc(&table->pending, 1, sizeof *table->pending, NULL);
    return status == NLSH_OK ? SQLITE_OK : SQLITE_NOMEM;
}

int nlsh__sqlite_pend(struct nlsh__sqlite_table *table, const float *vector)
{
    struct nlsh__sqlite_model *model = table->model;
    struct nlsh_error error = {.status = NLSH_OK};
    int rc = nlsh__sqlite_pend_change(table);
    if (model == NULL || rc != SQLITE_OK) return rc;
    if ((rc = nlsh__sqlite_model_maker(table)) != SQLITE_OK) return rc;
    struct nlsh__sqlite_pending *p = table->pending;
    p->code_bytes = model->code_bytes;
    if (p->n * (sizeof(sqlite3_int64) + 9 + p->code_bytes) >= MOST_PENDING)
        rc = nlsh__sqlite_flush(table);
    if (rc == SQLITE_OK && p->n == p->room) rc = grow(p);
    if (rc != SQLITE_OK) return rc;
    const struct nlsh_matrix one = {vector, 1, table->dim, NLSH_F32, 0};
    const struct nlsh__row_form form = {0, p->code_bytes};
    enum nlsh_status status = nlsh__make_row(&model->maker, &one, 0, model->sizes, most_of(model),
                                             &form, p->n, &p->rows, &error);
    return status == NLSH_OK ? SQLITE_OK : nlsh__sqlite_failed(table, &error);
}

void nlsh__sqlite_pend_added(struct nlsh__sqlite_table *table, sqlite3_int64 rowid)
{
    struct nlsh__sqlite_pending *p = table->pending;
    if (table->model == NULL) return;
    p->rowids[p->n] = rowid;
    table->model->sizes[p->rows.buckets[p->n]]++;
    table->model->n_entries++;
    p->n++;
    p->dirty = 1;
}

void nlsh__sqlite_pend_counts(struct nlsh__sqlite_table *table, int rows, int stale)
{
    table->state.rows += rows;
    if (table->state.generation != 0) {
        table->state.stale += stale;
        table->state.changed++;
    }
    table->pending->dirty = 1;
}

void nlsh__sqlite_pend_dirty(struct nlsh__sqlite_table *table)
{
    table->pending->dirty = 1;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Scratch of a flush. */
struct flush {
    struct nlsh__sqlite_table *table;
    uint8_t *old, *new; /* a chunk each */
    size_t room;        /* entries of a chunk */
};

static struct nlsh__sqlite_entry entry_at(const struct nlsh__sqlite_pending *p, size_t i)
{
    return (struct nlsh__sqlite_entry){p->rows.biases[i], p->rows.errors[i],
                                       p->rows.codes + i * p->code_bytes};
}

/* The last chunk of a bucket, into old, and its id; n 0 and the first id where there is none. */
static int read_last(struct flush *f, sqlite3_int64 bucket, sqlite3_int64 *id,
                     struct nlsh__sqlite_chunk *out)
{
    sqlite3_stmt *last;
    size_t code_bytes = f->table->pending->code_bytes, size;
    *id = bucket * NLSH__SQL_CHUNKS;
    *out = (struct nlsh__sqlite_chunk){.n = 0};
    int rc = nlsh__sqlite_prepare(f->table, NLSH__SQL_CHUNK_LAST, &last);
    if (rc != SQLITE_OK) return rc;
    sqlite3_bind_int64(last, 1, *id);
    sqlite3_bind_int64(last, 2, *id + NLSH__SQL_CHUNKS - 1);
    rc = sqlite3_step(last);
    if (rc != SQLITE_ROW) return nlsh__sqlite_done(f->table, last, rc);
    *id = sqlite3_column_int64(last, 0);
    const void *bytes = sqlite3_column_blob(last, 1);
    size = (size_t)sqlite3_column_bytes(last, 1);
    int fits = bytes != NULL && size <= nlsh__sqlite_chunk_size(f->room, code_bytes);
    if (fits) memcpy(f->old, bytes, size);
    rc = nlsh__sqlite_done(f->table, last, rc);
    if (rc == SQLITE_OK && (!fits || !nlsh__sqlite_chunk_open(f->old, size, code_bytes, out)))
        rc = nlsh__sqlite_damaged(f->table, "a chunk of entries cannot be so");
    return rc;
}

/* Entries of a chunk of before, as they are, into a longer one. */
static void copy_entries(const struct nlsh__sqlite_chunk *from, const struct nlsh__sqlite_chunk *to)
{
    size_t lanes = from->n_groups * 16;
    memcpy(to->rowids, from->rowids, from->n * sizeof *from->rowids);
    if (from->code_bytes == 0) return;
    memcpy(to->biases, from->biases, from->n * sizeof *from->biases);
    memcpy(to->errors, from->errors, from->n);
    memcpy(to->codes, from->codes, lanes * from->code_bytes);
}

/* Entries order[n] of one bucket, behind those that are there. */
static int append(struct flush *f, uint32_t bucket, const uint32_t *order, size_t n)
{
    const struct nlsh__sqlite_pending *p = f->table->pending;
    struct nlsh__sqlite_chunk old, new;
    sqlite3_int64 id, end = ((sqlite3_int64)bucket + 1) * NLSH__SQL_CHUNKS;
    int rc = read_last(f, bucket, &id, &old);
    if (rc == SQLITE_OK && old.n >= f->room) {
        id++;
        old.n = old.n_groups = 0;
    }
    for (size_t done = 0; done < n && rc == SQLITE_OK; id++) {
        size_t more = n - done < f->room - old.n ? n - done : f->room - old.n;
        if (id == end)
            return nlsh__sqlite_fail(f->table, SQLITE_FULL, "%s: bucket %u is full: train again",
                                     f->table->name, bucket);
        nlsh__sqlite_chunk_begin(f->new, old.n + more, p->code_bytes, &new);
        if (old.n > 0) copy_entries(&old, &new);
        for (size_t i = 0; i < more; i++) {
            const struct nlsh__sqlite_entry entry = entry_at(p, order[done + i]);
            nlsh__sqlite_chunk_set(&new, old.n + i, p->rowids[order[done + i]], &entry);
        }
        rc = nlsh__sqlite_put(f->table, NLSH__SQL_CHUNK_PUT, id, new.bytes, new.size);
        done += more;
        old.n = old.n_groups = 0;
    }
    return rc;
}

static int write_entries(struct nlsh__sqlite_table *table)
{
    const struct nlsh__sqlite_pending *p = table->pending;
    size_t m = table->model->n_buckets;
    struct flush f = {.table = table, .room = nlsh__sqlite_chunk_room(p->code_bytes)};
    size_t size = nlsh__sqlite_chunk_size(f.room, p->code_bytes);
    uint32_t *offsets = NULL, *order = NULL;
    int rc = SQLITE_NOMEM;
    if (nlsh__alloc(&f.old, size, 1, NULL) == NLSH_OK &&
        nlsh__alloc(&f.new, size, 1, NULL) == NLSH_OK &&
        nlsh__alloc(&offsets, m + 1, sizeof *offsets, NULL) == NLSH_OK &&
        nlsh__alloc(&order, p->n, sizeof *order, NULL) == NLSH_OK) {
        rc = SQLITE_OK;
        nlsh__count_sort(p->rows.buckets, p->n, m, offsets, order);
        for (uint32_t b = 0; b < m && rc == SQLITE_OK; b++) {
            if (offsets[b] == offsets[b + 1]) continue;
            nlsh__sqlite_cache_drop(table->model->cache, b);
            rc = append(&f, b, order + offsets[b], offsets[b + 1] - offsets[b]);
            if (rc == SQLITE_OK)
                rc =
                    nlsh__sqlite_put_number(table, NLSH__SQL_BUCKET_PUT, b, table->model->sizes[b]);
        }
    }
    nlsh__free(f.old);
    nlsh__free(f.new);
    nlsh__free(offsets);
    nlsh__free(order);
    return rc;
}

int nlsh__sqlite_flush(struct nlsh__sqlite_table *table)
{
    struct nlsh__sqlite_pending *p = table->pending;
    if (p == NULL || !p->dirty) return SQLITE_OK;
    sqlite3_int64 last = sqlite3_last_insert_rowid(table->db);
    int rc = p->n > 0 ? write_entries(table) : SQLITE_OK;
    if (rc == SQLITE_OK) rc = nlsh__sqlite_put_state(table);
    sqlite3_set_last_insert_rowid(table->db, last); /* the caller's, not that of a shadow table */
    if (rc != SQLITE_OK) return rc;
    if (p->n > 0) nlsh__sqlite_model_reweigh(table->model, (size_t)table->state.rows);
    p->n = 0;
    p->dirty = 0;
    return SQLITE_OK;
}
