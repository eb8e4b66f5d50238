/*
 * rows.c - nlsh_rows_open(): a file of vectors block by block.
 *
 * What a header says is checked as read.c does; then rows are read where they are asked for, and settled
 * (settle.h) block by block. A compressed file without a header that does not say its length is unpacked once to count
 * its rows.
 */
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/resident.h"
#include "base/sized.h"
#include "vectors/data_hash.h"
#include "vectors/hdf5.h"
#include "vectors/parse.h"
#include "vectors/rows.h"
#include "vectors/settle.h"
#include "vectors/source.h"

/* Bytes of a block that is hashed. */
#define HASHED_AT_ONCE ((size_t)4 << 20)

struct reader {
    struct nlsh__map map;
    char *name;
    struct nlsh__opened file;
    struct nlsh__layout layout;
    size_t next; /* row that the source stands at */
};

static void reader_free(struct reader *r)
{
    if (r == NULL) return;
    nlsh__source_close(r->file.source);
    nlsh__map_close(&r->map);
    nlsh__free(r->name);
    nlsh__free(r);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static enum nlsh_status to_begin(struct reader *r, struct nlsh_error *error)
{
    uint64_t got;
    enum nlsh_status status = nlsh__source_rewind(r->file.source, error);
    if (status == NLSH_OK && !r->layout.prefixed)
        status = nlsh__source_read(r->file.source, NULL, r->layout.offset, &got, error);
    r->next = 0;
    return status;
}

/* As they stand in the file; out may be NULL: they are not wanted. */
static enum nlsh_status read_raw(struct reader *r, size_t n, void *out, struct nlsh_error *error)
{
    uint64_t got, want = (uint64_t)n * r->layout.row_bytes;
    size_t there = n;
    enum nlsh_status status;
    if (r->layout.prefixed) {
        status =
            nlsh__walk_rows(r->file.source, r->name, &r->layout, r->next, n, out, &there, error);
    } else {
        status = nlsh__source_read(r->file.source, out, want, &got, error);
        if (got < want) there = (size_t)(got / r->layout.row_bytes);
    }
    if (status != NLSH_OK || there == n) return status;
    return nlsh__fail(error, NLSH_E_DATA, "fetch or write the file again",
                      "%s: truncated: it ends behind row %zu of %zu", r->name, r->next + there,
                      r->layout.n_rows);
}

/* In the machine's byte order, and as U8, I8 or F32. */
static enum nlsh_status read_settled(struct reader *r, size_t n, void *out,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__layout block = r->layout;
    void *memory = NULL;
    int as_it_is = !block.swap && block.type != NLSH_F16 && block.type != NLSH_F64;
    if (as_it_is) return read_raw(r, n, out, error);
    block.n_rows = n;
    NLSH_TRY(nlsh__alloc(&memory, n, block.row_bytes, error));
    NLSH_TRY(read_raw(r, n, memory, error));
    NLSH_TRY(nlsh__settle(&block, &memory, error));
    memcpy(out, memory, n * block.dim * nlsh__type_size(block.type));
out:
    nlsh__free(memory);
    return status;
}

enum nlsh_status nlsh__rows_check_order(const char *name, size_t first, size_t n, size_t next,
                                        size_t n_rows, struct nlsh_error *error)
{
    if (first == next && n <= n_rows - first) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, "read rows in order, or begin with row 0 again",
                      "%s: rows %zu to %zu were asked for, and row %zu of %zu is next", name, first,
                      first + n, next, n_rows);
}

static enum nlsh_status read_rows(void *user, size_t first, size_t n, void *values,
                                  struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct reader *r = user;
    if (first == 0) NLSH_TRY(to_begin(r, error));
    NLSH_TRY(nlsh__rows_check_order(r->name, first, n, r->next, r->layout.n_rows, error));
    NLSH_TRY(read_settled(r, n, values, error));
    nlsh__map_forget(&r->map); /* what has passed would be the last to go where memory is scarce */
    r->next += n;
    if (r->next == r->layout.n_rows) NLSH_TRY(nlsh__expect_end(r->file.source, r->name, error));
out:
    return status;
}

int nlsh__rows_of_file(const struct nlsh_rows *rows)
{
    return rows->read == read_rows;
}

enum nlsh_status nlsh__rows_pass(const struct nlsh_rows *rows, size_t n, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct reader *r = rows->user;
    NLSH_TRY(to_begin(r, error));
    NLSH_TRY(read_raw(r, n, NULL, error));
    nlsh__map_forget(&r->map);
    r->next = n;
out:
    return status;
}

/* ---- the file -------------------------------------------------------------------------------- */

static enum nlsh_status cannot_stream(const char *path, const char *what, struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_UNSUPPORTED,
                      "make a file of rows of it first: nlsh convert FILE FILE.fbin",
                      "%s: %s cannot be read block by block", path, what);
}

static enum nlsh_status look_at_header(struct reader *r, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__source *source = r->file.source;
    const uint8_t *head;
    size_t head_size;
    if (r->file.format == NLSH_FORMAT_TEXT) return cannot_stream(r->name, "text", error);
    NLSH_TRY(nlsh__source_head(source, &head, &head_size, error));
    NLSH_TRY(nlsh__layout_of(r->file.format, r->name, head, head_size, nlsh__source_length(source),
                             nlsh__source_bound(source), &r->layout, error));
    if (r->layout.columns && r->layout.n_rows > 1 && r->layout.dim > 1)
        return cannot_stream(r->name, "an array in columns (numpy's Fortran order)", error);
    if (r->layout.type == NLSH_I32) return cannot_stream(r->name, "a file of whole numbers", error);
    if (r->layout.n_rows == 0)
        NLSH_TRY(nlsh__walk_rows(source, r->name, &r->layout, 0, SIZE_MAX, NULL, &r->layout.n_rows,
                                 error));
    if (r->layout.n_rows == 0)
        status = nlsh__fail(error, NLSH_E_DATA, NULL, "%s: holds no vectors", r->name);
out:
    return status;
}

static enum nlsh_status check_first_row(struct reader *r, struct nlsh_error *error)
{
    void *row = NULL;
    size_t next = r->layout.dim * sizeof(double);
    if (!r->file.by_name || r->layout.type != NLSH_F32) return NLSH_OK;
    enum nlsh_status status = nlsh__alloc(&row, next, 1, error);
    if (status == NLSH_OK) status = to_begin(r, error);
    if (status == NLSH_OK) status = read_raw(r, 1, row, error);
    if (status == NLSH_OK)
        status = nlsh__check_not_ids(r->name, r->file.format, row, r->layout.dim, error);
    nlsh__free(row);
    return status;
}

enum nlsh_status nlsh__rows_parse(const uint8_t *bytes, size_t size, const char *name,
                                  enum nlsh_format format, struct nlsh_rows *out,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    struct reader *r = NULL;
    struct nlsh_rows ours = {.struct_size = sizeof ours, .read = read_rows};
    NLSH_TRY(nlsh__calloc(&r, 1, sizeof *r, error));
    NLSH_TRY(nlsh__alloc(&r->name, strlen(name) + 1, 1, error));
    memcpy(r->name, name, strlen(name) + 1);
    NLSH_TRY(nlsh__opened_begin(bytes, size, r->name, format, NULL, &r->file, error));
    NLSH_TRY(look_at_header(r, error));
    NLSH_TRY(check_first_row(r, error));
    ours.n_rows = r->layout.n_rows;
    ours.dim = r->layout.dim;
    ours.type = r->layout.type == NLSH_U8 || r->layout.type == NLSH_I8 ? r->layout.type : NLSH_F32;
    ours.user = r;
    ours.name = r->name;
    nlsh__answer_give(out, &ours, sizeof ours);
    r = NULL;
out:
    reader_free(r);
    return status;
}

enum nlsh_status nlsh_rows_open(const char *path, enum nlsh_format format, struct nlsh_rows *out,
                                struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__map map = {.data = NULL};
    struct nlsh_rows rows = {.struct_size = sizeof rows};
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__answer_check(out, "nlsh_rows", error));
    if (path == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "path is NULL");
    if (nlsh__hdf5_named(path)) return cannot_stream(path, "HDF5", error);
    NLSH_TRY(nlsh__map_open(path, &map, error));
    NLSH_TRY(nlsh__rows_parse(map.data, map.size, path, format, &rows, error));
    ((struct reader *)rows.user)->map = map;
    map.data = NULL;
    nlsh__answer_give(out, &rows, sizeof rows);
out:
    nlsh__map_close(&map);
    return status;
}

void nlsh_rows_close(struct nlsh_rows *rows)
{
    static const struct nlsh_rows closed = {.read = NULL};
    if (rows == NULL) return;
    if (rows->read == read_rows)
        reader_free(rows->user);
    else if (!nlsh__composed_free(rows))
        return;
    nlsh__answer_give(rows, &closed, sizeof closed);
}

void nlsh_rows_init(struct nlsh_rows *rows, size_t size)
{
    static const struct nlsh_rows empty = {.read = NULL};
    nlsh__options_init(rows, size, &empty, sizeof empty);
}

enum nlsh_status nlsh_rows_hash(const struct nlsh_rows *theirs, uint64_t *out,
                                struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_rows rows = {.read = NULL};
    struct nlsh__data_hash hash;
    void *values = NULL;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__options_take(&rows, sizeof rows, theirs, "nlsh_rows", error));
    if (rows.read == NULL || rows.dim == 0)
        return nlsh__fail(error, NLSH_E_ARG, "open a file first", "there are no rows to read");
    size_t row_bytes = rows.dim * nlsh__type_size(rows.type);
    size_t block = HASHED_AT_ONCE / row_bytes + 1;
    NLSH_TRY(nlsh__alloc(&values, block, row_bytes, error));
    nlsh__data_hash_begin(rows.type, rows.n_rows, rows.dim, &hash);
    for (size_t first = 0; first < rows.n_rows; first += block) {
        size_t n = rows.n_rows - first < block ? rows.n_rows - first : block;
        NLSH_TRY(rows.read(rows.user, first, n, values, error));
        nlsh__data_hash_add(&hash, values, n * rows.dim);
    }
    *out = nlsh__data_hash_end(&hash);
out:
    nlsh__free(values);
    return status;
}
