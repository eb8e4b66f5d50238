/*
 * base.c - see base.h.
 *
 * One whole file is read as any file of vectors. Several, and a part, are rows that are read through others
 * (nlsh_rows_join(), nlsh_rows_part()): so of a large file no more comes into memory than is asked for.
 */
#include "base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/matrix.h"
#include "talk.h"

/* Read between two looks at signals: some milliseconds. */
#define BYTES_AT_ONCE ((size_t)4 << 20)

static const char digits[] = "0123456789";

/* ---- what is named --------------------------------------------------------------------------- */

static bool is_one_file(const struct args *args)
{
    size_t n;
    (void)args_all(args, "d", &n);
    return n == 1 && !args_given(args, "rows");
}

const char *base_name(const struct args *args, char *buffer, size_t size)
{
    size_t n;
    const char *const *paths = args_all(args, "d", &n);
    const char *rows = args_text(args, "rows");
    char more[48] = "";
    if (is_one_file(args)) return paths[0];
    if (n > 1) snprintf(more, sizeof more, " and %zu more file%s", n - 1, n > 2 ? "s" : "");
    snprintf(buffer, size, "%s%s%s%s%s", rows ? "part " : "", rows ? rows : "", rows ? " of " : "",
             paths[0], more);
    return buffer;
}

/* Of a text that names no rows. */
static const char *what_is_wrong(bool formed, size_t first, size_t end, size_t n)
{
    if (!formed) return "that is no A:B";
    return end > n || first >= n ? "not all of them are there" : "that is no row";
}

/* "A:B" of n rows, as Python has it, but for negative numbers; NULL: all. */
static enum nlsh_status parse_rows(const char *text, size_t n, size_t *first, size_t *end,
                                   struct nlsh_error *error)
{
    *first = 0;
    *end = n;
    if (text == NULL) return NLSH_OK;
    size_t a = strspn(text, digits), b = text[a] == ':' ? strspn(text + a + 1, digits) : 0;
    bool formed = text[a] == ':' && text[a + 1 + b] == '\0';
    /* A number that is too large becomes the largest, which is too large as well. */
    if (formed && a > 0) *first = strtoull(text, NULL, 10);
    if (formed && b > 0) *end = strtoull(text + a + 1, NULL, 10);
    if (formed && *first < *end && *end <= n) return NLSH_OK;
    error->status = NLSH_E_ARG;
    snprintf(error->message, sizeof error->message, "--rows %.60s: %s, and the base has %zu row%s",
             text, what_is_wrong(formed, *first, *end, n), n, n == 1 ? "" : "s");
    snprintf(
        error->hint, sizeof error->hint,
        "rows A to B-1, counted from 0, such as --rows 0:%zu; without A from the first, without "
        "B to the last",
        n);
    return NLSH_E_ARG;
}

/* ---- rows of files --------------------------------------------------------------------------- */

static enum nlsh_status read_loaded(void *user, size_t first, size_t n, void *values,
                                    struct nlsh_error *error)
{
    struct nlsh_matrix part = matrix_rows(nlsh_vectors_matrix(user), first, n);
    (void)error;
    memcpy(values, part.data, n * part.dim * nlsh__type_size(part.type));
    return NLSH_OK;
}

static enum nlsh_status load_rows(const char *path, const char *type, struct nlsh_rows *out,
                                  struct nlsh_error *error)
{
    struct nlsh_vectors *vectors;
    enum nlsh_status status = read_typed(path, type, &vectors, error);
    if (status != NLSH_OK) return status;
    const struct nlsh_matrix *m = nlsh_vectors_matrix(vectors);
    *out = (struct nlsh_rows){.struct_size = sizeof *out,
                              .n_rows = m->n_rows,
                              .dim = m->dim,
                              .type = m->type,
                              .user = vectors,
                              .read = read_loaded,
                              .name = path};
    return NLSH_OK;
}

static enum nlsh_status open_file(const char *path, const char *type, bool may_load,
                                  struct nlsh_rows *out, struct nlsh_error *error)
{
    enum nlsh_format format;
    enum nlsh_status status = typed_format(path, type, &format, error);
    if (status != NLSH_OK) return status;
    if (may_load && strcmp(path, "-") == 0) return load_rows(path, type, out, error);
    status = nlsh_rows_open(path, format, out, error);
    /* Text and HDF5; and of a file that is damaged this says better what it is. */
    return status == NLSH_OK || !may_load ? status : load_rows(path, type, out, error);
}

static void close_file(struct nlsh_rows *rows)
{
    if (rows->read == read_loaded) nlsh_vectors_free(rows->user);
    nlsh_rows_close(rows);
}

enum nlsh_status base_open(const struct args *args, bool may_load, struct base *out,
                           struct nlsh_error *error)
{
    size_t n, end;
    const char *const *paths = args_all(args, "d", &n);
    enum nlsh_status status = NLSH_E_NOMEM;
    memset(out, 0, sizeof *out);
    nlsh_rows_init(&out->rows, sizeof out->rows);
    nlsh_rows_init(&out->joined, sizeof out->joined);
    out->files = calloc(n, sizeof *out->files);
    if (out->files != NULL) status = NLSH_OK;
    for (; status == NLSH_OK && out->n_files < n; out->n_files++) {
        struct nlsh_rows *file = &out->files[out->n_files];
        nlsh_rows_init(file, sizeof *file);
        status = open_file(paths[out->n_files], vectors_type(args), may_load, file, error);
    }
    if (status == NLSH_OK) status = nlsh_rows_join(out->files, n, &out->joined, error);
    out->span.n_all = out->joined.n_rows;
    if (status == NLSH_OK)
        status =
            parse_rows(args_text(args, "rows"), out->span.n_all, &out->span.first, &end, error);
    if (status == NLSH_OK)
        status =
            nlsh_rows_part(&out->joined, out->span.first, end - out->span.first, &out->rows, error);
    if (status != NLSH_OK) base_close(out);
    return status;
}

void base_close(struct base *base)
{
    nlsh_rows_close(&base->rows);
    nlsh_rows_close(&base->joined);
    for (size_t i = 0; i < base->n_files; i++) close_file(&base->files[i]);
    free(base->files);
    memset(base, 0, sizeof *base);
}

/* ---- in memory ------------------------------------------------------------------------------- */

static int read_all(const struct nlsh_rows *rows, struct loaded *out)
{
    struct nlsh_error error = {0};
    size_t row_bytes = rows->dim * nlsh__type_size(rows->type);
    size_t block = BYTES_AT_ONCE / row_bytes + 1;
    char *values = rows->n_rows <= SIZE_MAX / row_bytes ? malloc(rows->n_rows * row_bytes) : NULL;
    if (values == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    *out = (struct loaded){.matrix = {values, rows->n_rows, rows->dim, rows->type, 0},
                           .converted = values};
    for (size_t first = 0; first < rows->n_rows; first += block) {
        size_t n = rows->n_rows - first < block ? rows->n_rows - first : block;
        if (talk_progress(NULL, "reading", first, rows->n_rows) != 0) return talk_interrupted();
        if (rows->read(rows->user, first, n, values + first * row_bytes, &error) != NLSH_OK)
            return talk_failed(&error);
    }
    talk_stage_end();
    return 0;
}

int base_load(const struct args *args, struct loaded *out, struct span *span)
{
    struct nlsh_error error = {0};
    struct base base;
    *out = (struct loaded){0};
    if (is_one_file(args)) {
        int code = load_vectors(args_text(args, "d"), vectors_type(args), out);
        if (span != NULL) *span = (struct span){0, out->matrix.n_rows};
        return code;
    }
    if (base_open(args, true, &base, &error) != NLSH_OK) return talk_failed(&error);
    int code = read_all(&base.rows, out);
    if (span != NULL) *span = base.span;
    base_close(&base);
    if (code != 0) loaded_free(out);
    return code;
}

int base_load_of(const struct args *args, const char *index_path,
                 const struct nlsh_index_info *info, struct loaded *out)
{
    char buffer[512];
    const char *name = base_name(args, buffer, sizeof buffer);
    const char *hint = "give what the index was built from: the same files, and the same --rows";
    int code = base_load(args, out, NULL);
    if (code != 0) return code;
    if (out->matrix.n_rows != info->n_rows || out->matrix.dim != info->dim) {
        code = talk_error(EXIT_BAD_DATA, hint,
                          "%s holds %zu vectors of %zu values, the index %s %zu of %zu", name,
                          out->matrix.n_rows, out->matrix.dim, index_path, info->n_rows, info->dim);
    } else if (nlsh_data_hash(&out->matrix) != info->data_hash) {
        code = talk_error(EXIT_BAD_DATA, hint,
                          "%s: these vectors are not those of the index %s: their content hash "
                          "differs",
                          name, index_path);
    } else if (!loaded_convert(out, info->type) && !loaded_convert(out, NLSH_F32)) {
        code = talk_error(EXIT_BUG, NULL, "out of memory");
    }
    if (code != 0) loaded_free(out);
    return code;
}
