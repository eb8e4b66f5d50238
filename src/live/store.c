/* store.c - see store.h. */
#include "live/store.h"

#include <math.h>
#include <string.h>

#include "base/buckets.h"
#include "base/memory.h"
#include "base/shared.h"
#include "kernels/panel.h"

/* A segment of fewer rows a bucket has no codes: half of each group of 16 codes would be empty. */
enum { CODED_A_BUCKET = 4 };

/* Nor one of which more than a row in so many stands so far from its bucket's centroid that its code says too little:
 * its error is larger than any that can be written (codes/row.h), and searches would lose it. */
enum { LEAST_A_FAR_ROW = 256 };

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

/* ---- a segment ------------------------------------------------------------------------------- */

/* A block's arrays, and the codes' view of them. */
struct block {
    struct nlsh__codes codes;
    size_t offsets, rows, keys, vectors;          /* bytes from the block's start */
    size_t group_offsets, biases, errors, values; /* where there are codes */
    size_t size;
};

static size_t take(size_t *at, size_t bytes)
{
    size_t from = *at;
    *at += (bytes + NLSH_ALIGN - 1) / NLSH_ALIGN * NLSH_ALIGN;
    return from;
}

static void place_block(const struct nlsh__store *s, size_t n, size_t n_groups, struct block *out)
{
    size_t m = s->file->meta.n_buckets, at = 0;
    (void)take(&at, sizeof *out);
    out->offsets = take(&at, (m + 1) * sizeof(uint32_t));
    out->rows = take(&at, n * sizeof(uint32_t));
    out->keys = take(&at, n * sizeof(uint64_t));
    out->vectors = take(&at, n * s->form.row_bytes);
    if (n_groups > 0) {
        out->group_offsets = take(&at, (m + 1) * sizeof(uint32_t));
        out->biases = take(&at, n_groups * NLSH__GROUP * sizeof(float));
        out->errors = take(&at, n_groups * NLSH__GROUP);
        out->values = take(&at, n_groups * NLSH__GROUP * s->form.code_bytes);
    }
    out->size = at;
}

/* The codes of the segment's rows, group by group. */
static void put_codes(const struct nlsh__store *s, size_t first, uint8_t *bytes,
                      const struct nlsh__segment *segment)
{
    struct block *b = (struct block *)(void *)bytes;
    const struct nlsh__codes *like = s->file->segments[0].codes;
    size_t m = s->file->meta.n_buckets, n_chunks = s->form.code_bytes / 4;
    uint32_t *groups = (uint32_t *)(void *)(bytes + b->group_offsets);
    float *biases = (float *)(void *)(bytes + b->biases);
    uint8_t *errors = bytes + b->errors, *values = bytes + b->values;
    size_t n_groups = nlsh__group_offsets(segment->bucket_offsets, m, groups);
    for (size_t i = 0; i < n_groups * NLSH__GROUP; i++) biases[i] = INFINITY;
    for (size_t bucket = 0; bucket < m; bucket++) {
        size_t lane = groups[bucket] * (size_t)NLSH__GROUP;
        for (size_t place = segment->bucket_offsets[bucket];
             place < segment->bucket_offsets[bucket + 1]; place++, lane++) {
            size_t row = first + segment->rows[place];
            const uint8_t *code = s->rows.codes + row * s->form.code_bytes;
            uint8_t *to = values + lane / NLSH__GROUP * n_chunks * 64 + lane % NLSH__GROUP * 4;
            biases[lane] = s->rows.biases[row];
            errors[lane] = s->rows.errors[row];
            for (size_t c = 0; c < n_chunks; c++) memcpy(to + c * 64, code + c * 4, 4);
        }
    }
    b->codes = *like;
    b->codes.group_offsets = groups;
    b->codes.rows = (struct nlsh__grouped){n_groups, n_chunks, biases, errors, values};
}

/* Whether codes say enough of rows first .. first + n - 1. */
static int worth_codes(const struct nlsh__store *s, size_t first, size_t n)
{
    size_t n_far = 0;
    if (s->form.code_bytes == 0 || n < CODED_A_BUCKET * (size_t)s->file->meta.n_buckets) return 0;
    for (size_t i = 0; i < n; i++) n_far += s->rows.errors[first + i] == UINT8_MAX;
    return n_far <= n / LEAST_A_FAR_ROW;
}

static enum nlsh_status make_part(const struct nlsh__store *s, size_t first, size_t n,
                                  struct nlsh__part *out, struct nlsh_error *error)
{
    size_t m = s->file->meta.n_buckets, row_bytes = s->form.row_bytes, n_groups = 0;
    int coded = worth_codes(s, first, n);
    uint32_t *scratch = NULL;
    struct block b = {.size = 0};
    uint8_t *bytes = NULL;
    enum nlsh_status status = NLSH_OK;
    *out = (struct nlsh__part){first, n, NULL, {.n_rows = 0}};
    if (coded) {
        status = nlsh__alloc(&scratch, m + 1, sizeof *scratch, error);
        if (status != NLSH_OK) return status;
        nlsh__count_sort(s->rows.buckets + first, n, m, scratch, NULL);
        n_groups = nlsh__group_offsets(scratch, m, NULL);
        nlsh__free(scratch);
    }
    place_block(s, n, n_groups, &b);
    status = nlsh__shared_create(&bytes, b.size, error);
    if (status != NLSH_OK) return status;
    memcpy(bytes, &b, sizeof b);
    uint32_t *offsets = (uint32_t *)(void *)(bytes + b.offsets);
    uint32_t *rows = (uint32_t *)(void *)(bytes + b.rows);
    nlsh__count_sort(s->rows.buckets + first, n, m, offsets, rows);
    memcpy(bytes + b.keys, s->rows.keys + first, n * sizeof(uint64_t));
    for (size_t place = 0; place < n; place++)
        memcpy(bytes + b.vectors + place * row_bytes,
               s->rows.vectors + (first + rows[place]) * row_bytes, row_bytes);
    out->block = bytes;
    out->segment = (struct nlsh__segment){
        .n_rows = n,
        .first_row = (uint32_t)(s->file->meta.n_rows + first),
        .bucket_offsets = offsets,
        .rows = rows,
        .vectors = bytes + b.vectors,
        .keys = (const uint64_t *)(const void *)(bytes + b.keys),
    };
    if (!coded) return NLSH_OK;
    put_codes(s, first, bytes, &out->segment);
    out->segment.codes = &((struct block *)(void *)bytes)->codes;
    return NLSH_OK;
}

/* ---- all of them ----------------------------------------------------------------------------- */

enum nlsh_status nlsh__store_parts(struct nlsh__store *store, struct nlsh__part *out, size_t *n,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
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
            status = make_part(store, first, size, &made, error);
            if (status == NLSH_OK) *kept = made;
        }
        if (status == NLSH_OK && size > 0) {
            out[n_parts] = *kept;
            (void)nlsh__shared_keep(out[n_parts++].block);
        }
        first += size;
    }
    if (status == NLSH_OK && first < store->rows.n)
        status = make_part(store, first, store->rows.n - first, &out[n_parts], error);
    if (status == NLSH_OK) {
        *n = n_parts + (first < store->rows.n);
        return NLSH_OK;
    }
    while (n_parts > 0) nlsh__shared_drop(out[--n_parts].block);
    *n = 0;
    return status;
}
