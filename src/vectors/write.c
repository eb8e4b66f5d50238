/*
 * write.c - a matrix to a file of vectors, whole or not at all.
 *
 * A header, then the rows in blocks of about 256 KiB, each converted to the file's type on the
 * way. What loses something (a fraction as a byte, a NaN) is refused before the file is made.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/output.h"
#include "vectors/parse.h"
#include "vectors/plain.h"
#include "vectors/values.h"

/* ---- which type ------------------------------------------------------------------------------ */

/* The type that the format holds; 0 where it takes the matrix's own. */
static int fixed_type(enum nlsh_format format)
{
    switch (format) {
    case NLSH_FORMAT_FVECS:
    case NLSH_FORMAT_FBIN: return NLSH_F32;
    case NLSH_FORMAT_BVECS:
    case NLSH_FORMAT_U8BIN: return NLSH_U8;
    case NLSH_FORMAT_I8BIN: return NLSH_I8;
    case NLSH_FORMAT_IVECS:
    case NLSH_FORMAT_IBIN: return NLSH_I32;
    default: return 0;
    }
}

static enum nlsh_status choose_type(const char *path, enum nlsh_format format,
                                    const struct nlsh_matrix *m, enum nlsh_type *out,
                                    struct nlsh_error *error)
{
    int fixed = fixed_type(format);
    *out = fixed != 0 ? (enum nlsh_type)fixed : m->type;
    if (m->type == NLSH_I32 ? *out == NLSH_I32 && format != NLSH_FORMAT_IDX : *out != NLSH_I32)
        return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG,
                      m->type == NLSH_I32 ? "ids go to .ivecs, .ibin or .npy"
                                          : "vectors go to .fvecs, .bvecs, .npy, .fbin and others",
                      "%s: %s values cannot be written as %s", path, nlsh__type_name(m->type),
                      nlsh_format_name(format));
}

/* The place of the first value that the type cannot hold, or n. */
static size_t first_misfit(const void *data, size_t n, enum nlsh_type from, enum nlsh_type to)
{
    if (from == NLSH_F32 && to == NLSH_F32) return nlsh__first_not_finite(data, n);
    if (from == NLSH_F32) return nlsh__first_not_byte(data, n, to == NLSH_I8 ? -128 : 0);
    if (from != to && to != NLSH_F32) return nlsh__first_high_bit(data, n);
    return n;
}

static enum nlsh_status check_values(const char *path, const struct nlsh_matrix *m,
                                     enum nlsh_type to, struct nlsh_error *error)
{
    size_t n = m->n_rows * m->dim, at = first_misfit(m->data, n, m->type, to);
    if (at == n) return NLSH_OK;
    double value = m->type == NLSH_F32  ? (double)((const float *)m->data)[at]
                   : m->type == NLSH_U8 ? ((const uint8_t *)m->data)[at]
                                        : ((const int8_t *)m->data)[at];
    return nlsh__fail(error, NLSH_E_DATA,
                      to == NLSH_F32 ? "remove or repair that row"
                                     : "write .fvecs, .fbin or .npy, which keep every value",
                      "%s: row %zu, column %zu is %.9g, which %s cannot hold (counted from 0)",
                      path, at / m->dim, at % m->dim, value,
                      to == NLSH_F32 ? "a file of vectors" : nlsh__type_name(to));
}

/* ---- headers --------------------------------------------------------------------------------- */

static void store32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}

static size_t idx_header(const struct nlsh_matrix *m, enum nlsh_type type, uint8_t *out)
{
    store32(out, 0);
    out[2] = type == NLSH_F32 ? 0x0d : type == NLSH_I8 ? 0x09 : 0x08;
    out[3] = 2;
    store32(out + 4, __builtin_bswap32((uint32_t)m->n_rows));
    store32(out + 8, __builtin_bswap32((uint32_t)m->dim));
    return 12;
}

/* Version 1.0, padded with spaces to a multiple of 64 bytes and ended by a newline, as numpy's. */
static size_t npy_header(const struct nlsh_matrix *m, enum nlsh_type type, uint8_t *out)
{
    const char *descr = type == NLSH_F32  ? "<f4"
                        : type == NLSH_U8 ? "|u1"
                        : type == NLSH_I8 ? "|i1"
                                          : "<i4";
    static const uint8_t magic[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 118, 0};
    memcpy(out, magic, sizeof magic);
    memset(out + 10, ' ', 118);
    int n = snprintf((char *)out + 10, 118,
                     "{'descr': '%s', 'fortran_order': False, 'shape': (%zu, %zu), }", descr,
                     m->n_rows, m->dim);
    out[10 + n] = ' '; /* over the NUL */
    out[127] = '\n';
    return 128;
}

static size_t make_header(enum nlsh_format format, const struct nlsh_matrix *m, enum nlsh_type type,
                          uint8_t out[128])
{
    switch (format) {
    case NLSH_FORMAT_IDX: return idx_header(m, type, out);
    case NLSH_FORMAT_NPY: return npy_header(m, type, out);
    case NLSH_FORMAT_FBIN:
    case NLSH_FORMAT_U8BIN:
    case NLSH_FORMAT_I8BIN:
    case NLSH_FORMAT_IBIN:
        store32(out, (uint32_t)m->n_rows);
        store32(out + 4, (uint32_t)m->dim);
        return 8;
    default: return 0;
    }
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* One row in the file's type and order; check_values() has seen to it that it fits. */
static void convert_row(const void *row, size_t dim, enum nlsh_type from, enum nlsh_type to,
                        int swap, void *out)
{
    if (from == NLSH_F32 && to != NLSH_F32) {
        (void)nlsh__narrow(row, dim, to == NLSH_I8 ? -128 : 0, out);
        if (to == NLSH_I8) nlsh__flip_sign(out, dim, out);
    } else if (from != NLSH_F32 && to == NLSH_F32) {
        const uint8_t *u = row;
        const int8_t *s = row;
        float *o = out;
        for (size_t i = 0; i < dim; i++) o[i] = from == NLSH_I8 ? (float)s[i] : (float)u[i];
    } else {
        memcpy(out, row, dim * nlsh__type_size(to));
    }
    if (swap) nlsh__swap32(out, dim);
}

static enum nlsh_status write_rows(struct nlsh__output *file, const struct nlsh_matrix *m,
                                   enum nlsh_format format, enum nlsh_type type,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    int prefixed =
        format == NLSH_FORMAT_FVECS || format == NLSH_FORMAT_BVECS || format == NLSH_FORMAT_IVECS;
    size_t out_bytes;
    int swap = format == NLSH_FORMAT_IDX && type == NLSH_F32;
    uint8_t *row = NULL;
    uint8_t prefix[4];
    store32(prefix, (uint32_t)m->dim);
    NLSH_TRY(nlsh__alloc(&row, m->dim, nlsh__type_size(type), error));
    out_bytes = m->dim * nlsh__type_size(type);
    for (size_t i = 0; i < m->n_rows; i++) {
        if (prefixed) NLSH_TRY(nlsh__output_write(file, prefix, sizeof prefix, error));
        convert_row(nlsh__row(m, i), m->dim, m->type, type, swap, row);
        NLSH_TRY(nlsh__output_write(file, row, out_bytes, error));
    }
out:
    nlsh__free(row);
    return status;
}

/* ---- public ---------------------------------------------------------------------------------- */

static enum nlsh_status check_matrix(const char *path, const struct nlsh_matrix *m,
                                     struct nlsh_error *error)
{
    if (m == NULL || m->data == NULL || m->n_rows == 0 || m->dim == 0)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s: there are no vectors to write", path);
    return nlsh__matrix_check(m, path, error);
}

static enum nlsh_status choose_format(const char *path, const struct nlsh_matrix *m,
                                      enum nlsh_format *format, struct nlsh_error *error)
{
    const char *packed = nlsh__packed_ending(path);
    if (packed != NULL)
        return nlsh__fail(error, NLSH_E_ARG, "write it without that ending, then compress it",
                          "%s: %s is read, not written", path, packed);
    if (*format == NLSH_FORMAT_AUTO) *format = nlsh__format_of_path(path);
    if (*format < NLSH_FORMAT_IDX || *format > NLSH_FORMAT_IBIN)
        return nlsh__fail(error, NLSH_E_ARG,
                          "end it in .fvecs .bvecs .ivecs .npy .fbin .u8bin .i8bin .ibin or .idx, "
                          "or name the format",
                          "%s: the name does not tell a vector format", path);
    /* npy counts in 64 bits, TEXMEX's dimension is an i32, the others' sizes are u32. */
    size_t most_rows =
        *format == NLSH_FORMAT_IDX || *format >= NLSH_FORMAT_FBIN ? UINT32_MAX : SIZE_MAX;
    size_t most_dim = *format == NLSH_FORMAT_NPY ? SIZE_MAX : INT32_MAX;
    if (m->n_rows > most_rows || m->dim > most_dim)
        return nlsh__fail(error, NLSH_E_ARG, "write .npy, which holds more",
                          "%s: %zu rows of %zu values are more than %s can say", path, m->n_rows,
                          m->dim, nlsh_format_name(*format));
    return NLSH_OK;
}

enum nlsh_status nlsh_vectors_write(const char *path, enum nlsh_format format,
                                    const struct nlsh_matrix *matrix, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__output *file = NULL;
    enum nlsh_type type;
    uint8_t header[128];
    void *memory = NULL;
    nlsh__error_clear(error);
    if (path == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "path is NULL");
    NLSH_TRY(check_matrix(path, matrix, error));
    struct nlsh_matrix m = *matrix; /* ids stay as they are */
    if (m.type != NLSH_I32) NLSH_TRY(nlsh__matrix_plain(matrix, &m, &memory, error));
    NLSH_TRY(choose_format(path, &m, &format, error));
    NLSH_TRY(choose_type(path, format, &m, &type, error));
    NLSH_TRY(check_values(path, &m, type, error));
    NLSH_TRY(nlsh__output_open(path, &file, error));
    NLSH_TRY(nlsh__output_write(file, header, make_header(format, &m, type, header), error));
    NLSH_TRY(write_rows(file, &m, format, type, error));
    status = nlsh__output_commit(file, error);
    file = NULL;
out:
    nlsh__output_abort(file);
    nlsh__free(memory);
    return status;
}
