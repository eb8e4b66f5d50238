/* store.c - see store.h. */
#include "live/store.h"

#include <math.h>
#include <string.h>

#include "base/buckets.h"
#include "base/memory.h"
#include "base/shared.h"
#include "kernels/panel.h"

void nlsh__store_init(const struct nlsh_index *file, struct nlsh__store *out)
{
    const struct nlsh__codes *codes = file->n_segments > 0 ? file->segments[0].codes : NULL;
    *out = (struct nlsh__store){
        .file = file,
        .form = {nlsh__index_row_bytes(file), codes != NULL ? codes->n_components / 2 : 0}};
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void rows_free(struct nlsh__log_rows *rows)
{
    void *all[] = {rows->keys,   rows->buckets, rows->biases,
                   rows->errors, rows->codes,   rows->vectors};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) nlsh__free(all[i]);
}

void nlsh__store_free(struct nlsh__store *store)
{
    rows_free(&store->rows);
    for (size_t i = 0; i < NLSH__LEVELS; i++) nlsh__shared_drop(store->parts[i].block);
    *store = (struct nlsh__store){.room = 0};
}

/* Copies rows behind those that are there. */
static void append(const struct nlsh__row_form *form, struct nlsh__log_rows *to,
                   const struct nlsh__log_rows *from)
{
    size_t at = to->n, n = from->n;
    if (n == 0) return;
    memcpy(to->keys + at, from->keys, n * sizeof *to->keys);
    memcpy(to->buckets + at, from->buckets, n * sizeof *to->buckets);
    memcpy(to->vectors + at * form->row_bytes, from->vectors, n * form->row_bytes);
    if (form->code_bytes > 0) {
        memcpy(to->biases + at, from->biases, n * sizeof *to->biases);
        memcpy(to->errors + at, from->errors, n);
        memcpy(to->codes + at * form->code_bytes, from->codes, n * form->code_bytes);
    }
    to->n += n;
}

enum nlsh_status nlsh__store_reserve(struct nlsh__store *store, size_t n, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh__log_rows more = {.n = 0};
    size_t room = store->room + store->room / 2, wanted = store->rows.n + n;
    if (wanted <= store->room) return NLSH_OK;
    if (room < wanted) room = wanted < 2 * NLSH__CHUNK ? 2 * NLSH__CHUNK : wanted;
    status = nlsh__alloc(&more.keys, room, sizeof *more.keys, error);
    if (status == NLSH_OK) status = nlsh__alloc(&more.buckets, room, sizeof *more.buckets, error);
    if (status == NLSH_OK) status = nlsh__alloc(&more.biases, room, sizeof *more.biases, error);
    if (status == NLSH_OK) status = nlsh__alloc(&more.errors, room, 1, error);
    if (status == NLSH_OK) status = nlsh__alloc(&more.codes, room, store->form.code_bytes, error);
    if (status == NLSH_OK) status = nlsh__alloc(&more.vectors, room, store->form.row_bytes, error);
    if (status != NLSH_OK) {
        rows_free(&more);
        return status;
    }
    append(&store->form, &more, &store->rows);
    rows_free(&store->rows);
    store->rows = more;
    store->room = room;
    return NLSH_OK;
}

void nlsh__store_add(struct nlsh__store *store, const struct nlsh__log_rows *rows)
{
    append(&store->form, &store->rows, rows);
}

/* ---- all of them ----------------------------------------------------------------------------- */

enum nlsh_status nlsh__store_parts(struct nlsh__store *store, struct nlsh__part *out, size_t *n,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    const struct nlsh__rows_of of = {store->file, &store->form, &store->rows};
    size_t chunks = store->rows.n / NLSH__CHUNK, first = 0, n_parts = 0;
    for (size_t i = NLSH__LEVELS; i-- > 0 && status == NLSH_OK;) {
        struct nlsh__part *kept = &store->parts[i], made;
        size_t shift = 3 * i, digit = i + 1 < NLSH__LEVELS ? chunks >> shift & 7 : chunks >> shift;
        size_t size = (digit << shift) * NLSH__CHUNK;
        if (kept->block != NULL && (kept->first != first || kept->n != size)) {
            nlsh__shared_drop(kept->block);
            kept->block = NULL;
        }
        if (size > 0 && kept->block == NULL) {
            status = nlsh__part_create(&of, first, size, &made, error);
            if (status == NLSH_OK) *kept = made;
        }
        if (status == NLSH_OK && size > 0) {
            out[n_parts] = *kept;
            (void)nlsh__shared_keep(out[n_parts++].block);
        }
        first += size;
    }
    if (status == NLSH_OK && first < store->rows.n)
        status = nlsh__part_create(&of, first, store->rows.n - first, &out[n_parts], error);
    if (status == NLSH_OK) {
        *n = n_parts + (first < store->rows.n);
        return NLSH_OK;
    }
    while (n_parts > 0) nlsh__shared_drop(out[--n_parts].block);
    *n = 0;
    return status;
}
