/*
 * read.c - a file of vectors into memory.
 *
 * The file is mapped; the format comes from the caller, the name or the content; the header is
 * checked against the length; only then is memory asked for and filled in one pass. Where the
 * length is not known beforehand (fvecs and its like, gzipped) the stream is unpacked twice: once
 * to count its rows, once into place. What decides is read first: no more is unpacked than a header
 * or rows that agree account for. A file that does not read as what it was said to be is looked at
 * again, so that the message can say what it is. A zip file is taken for a .npz: its one member is read in
 * its place.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "vectors/hdf5.h"
#include "vectors/large.h"
#include "vectors/parse.h"
#include "vectors/settle.h"
#include "vectors/source.h"
#include "vectors/text.h"
#include "vectors/values.h"
#include "vectors/zip.h"
#include "vectors/zstd_frames.h"

/* ---- compressed files ------------------------------------------------------------------------ */

/* The bytes, taken as they are, make up a whole file of the format. */
static int fits_plain(enum nlsh_format format, const uint8_t *bytes, size_t size)
{
    struct nlsh__layout l;
    if (format == NLSH_FORMAT_AUTO) return 0;
    return nlsh__layout_of(format, "", bytes, size, size, size, &l, NULL) == NLSH_OK &&
           l.n_rows > 0;
}

/* *packing, or an error for what we do not inflate. A .fbin may begin with any bytes, a magic number
 * included: what fits to the byte as it stands is not compressed. */
static enum nlsh_status find_compression(const uint8_t *bytes, size_t size, const char *name,
                                         enum nlsh_format format, enum nlsh__packing *packing,
                                         struct nlsh_error *error)
{
    static const struct {
        const char *magic;
        size_t n;
        const char *what, *hint;
    } others[] = {
        {"\3757zXZ\0", 6, "xz", "decompress it first: xz -dk"},
        {"BZh", 3, "bzip2", "decompress it first: bzip2 -dk"},
        {"\x04\x22\x4d\x18", 4, "lz4", "decompress it first: lz4 -d"},
    };
    char hint[sizeof error->hint];
    *packing = NLSH__PLAIN;
    if (fits_plain(format, bytes, size)) return NLSH_OK;
    if (size >= 3 && bytes[0] == 0x1f && bytes[1] == 0x8b && bytes[2] == 8) {
        *packing = NLSH__GZIP;
        return NLSH_OK;
    }
    if (nlsh__is_zstd(bytes, size)) {
        *packing = NLSH__ZSTD;
        return NLSH_OK;
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (size < others[i].n || memcmp(bytes, others[i].magic, others[i].n) != 0) continue;
        snprintf(hint, sizeof hint, "%s %s", others[i].hint, nlsh__short_name(name));
        return nlsh__fail(error, NLSH_E_DATA, hint, "%s: compressed by %s, which is not read here",
                          name, others[i].what);
    }
    const char *packed = nlsh__packed_ending(name);
    if (packed != NULL)
        return nlsh__fail(error, NLSH_E_DATA, "rename it without that ending, or fetch it again",
                          "%s: named %s, but not compressed", name, packed);
    return NLSH_OK;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static enum nlsh_status row_cut(const char *name, size_t row, uint64_t got, uint64_t want,
                                struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_DATA, "fetch or write the file again",
                      "%s: truncated: row %zu misses %llu of its %llu bytes", name, row,
                      (unsigned long long)(want - got), (unsigned long long)want);
}

enum nlsh_status nlsh__walk_rows(struct nlsh__source *source, const char *name,
                                 const struct nlsh__layout *l, size_t first, size_t most,
                                 uint8_t *out, size_t *n_rows, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    size_t n = 0;
    for (; n < most; n++) {
        uint8_t prefix[4];
        uint64_t got;
        NLSH_TRY(nlsh__source_read(source, prefix, sizeof prefix, &got, error));
        if (got == 0) break;
        if (got < sizeof prefix) return row_cut(name, first + n, got, 4 + l->row_bytes, error);
        int32_t dim = (int32_t)nlsh__load32(prefix);
        if (dim < 0 || (size_t)dim != l->dim)
            return nlsh__fail(error, NLSH_E_DATA, "all rows must have one dimension",
                              "%s: row %zu has dimension %d, the rows before it %zu", name,
                              first + n, dim, l->dim);
        NLSH_TRY(nlsh__source_read(source, out, l->row_bytes, &got, error));
        if (got < l->row_bytes) return row_cut(name, first + n, got + 4, 4 + l->row_bytes, error);
        if (out != NULL) out += l->row_bytes;
    }
    *n_rows = n;
out:
    return status;
}

enum nlsh_status nlsh__expect_end(struct nlsh__source *source, const char *name,
                                  struct nlsh_error *error)
{
    uint8_t byte;
    uint64_t got;
    enum nlsh_status status = nlsh__source_read(source, &byte, 1, &got, error);
    if (status == NLSH_OK && got != 0)
        return nlsh__fail(error, NLSH_E_DATA, "the header is damaged, or two files were joined",
                          "%s: bytes follow the last row", name);
    return status;
}

static enum nlsh_status read_prefixed(struct nlsh__source *source, const char *name,
                                      struct nlsh__layout *l, void **memory,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_rows = 0;
    if (l->n_rows == 0) {
        NLSH_TRY(nlsh__walk_rows(source, name, l, 0, SIZE_MAX, NULL, &l->n_rows, error));
        NLSH_TRY(nlsh__source_rewind(source, error));
    }
    NLSH_TRY(nlsh__alloc_large(memory, l->n_rows, l->row_bytes, error));
    NLSH_TRY(nlsh__walk_rows(source, name, l, 0, l->n_rows, *memory, &n_rows, error));
    if (n_rows != l->n_rows)
        return nlsh__fail(error, NLSH_E_IO, NULL, "%s: changed while it was read", name);
    NLSH_TRY(nlsh__expect_end(source, name, error));
out:
    return status;
}

static enum nlsh_status read_block(struct nlsh__source *source, const char *name,
                                   const struct nlsh__layout *l, void **memory,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    uint64_t got, want = (uint64_t)l->n_rows * l->row_bytes; /* nlsh__layout_of() checked it */
    NLSH_TRY(nlsh__alloc_large(memory, l->n_rows, l->row_bytes, error));
    NLSH_TRY(nlsh__source_read(source, NULL, l->offset, &got, error));
    NLSH_TRY(nlsh__source_read(source, *memory, want, &got, error));
    if (got < want)
        return nlsh__fail(error, NLSH_E_DATA, "fetch or write the file again",
                          "%s: truncated: %llu bytes are missing inside the compressed stream",
                          name, (unsigned long long)(want - got));
    NLSH_TRY(nlsh__expect_end(source, name, error));
out:
    return status;
}

static enum nlsh_status check_finite(const char *name, const struct nlsh_matrix *m,
                                     struct nlsh_error *error)
{
    if (m->type != NLSH_F32 || m->data == NULL) return NLSH_OK; /* NULL never: for analysers */
    size_t n = m->n_rows * m->dim, at = nlsh__first_not_finite(m->data, n);
    if (at == n) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_DATA, "remove or repair that row",
                      "%s: row %zu, column %zu is %s (counted from 0)", name, at / m->dim,
                      at % m->dim, isnan(((const float *)m->data)[at]) ? "NaN" : "infinite");
}

/* A file of numbers that stand as they are, behind a header or row by row. */
static enum nlsh_status read_binary(struct nlsh__source *source, const char *name,
                                    enum nlsh_format format, struct nlsh_vectors *out,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__layout l;
    const uint8_t *head;
    size_t head_size;
    NLSH_TRY(nlsh__source_head(source, &head, &head_size, error));
    NLSH_TRY(nlsh__layout_of(format, name, head, head_size, nlsh__source_length(source),
                             nlsh__source_bound(source), &l, error));
    if (l.prefixed)
        NLSH_TRY(read_prefixed(source, name, &l, &out->memory, error));
    else
        NLSH_TRY(read_block(source, name, &l, &out->memory, error));
    NLSH_TRY(nlsh__settle(&l, &out->memory, error));
    out->matrix = (struct nlsh_matrix){out->memory, l.n_rows, l.dim, l.type, 0};
out:
    return status;
}

static enum nlsh_status read_as(struct nlsh__source *source, const char *name,
                                enum nlsh_format format, struct nlsh_vectors *out,
                                struct nlsh_error *error)
{
    enum nlsh_status status = format == NLSH_FORMAT_TEXT
                                  ? nlsh__text_read(source, name, out, error)
                                  : read_binary(source, name, format, out, error);
    out->format = format;
    return status == NLSH_OK ? check_finite(name, &out->matrix, error) : status;
}

/* ---- which format ---------------------------------------------------------------------------- */

/* A look at what a file is instead of what it was said to be goes no further than this. */
#define MOST_FOR_A_LOOK ((uint64_t)64 << 20)

/* Reads rows of row_bytes behind equal dimensions until one differs, the stream ends, or most. */
static enum nlsh_status follow_rows(struct nlsh__source *source, uint32_t dim, size_t row_bytes,
                                    uint64_t most, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint64_t got;
    for (uint64_t done = 0; done < most; done += 4 + row_bytes) {
        uint8_t prefix[4];
        NLSH_TRY(nlsh__source_read(source, prefix, sizeof prefix, &got, error));
        if (got < sizeof prefix || nlsh__load32(prefix) != dim) break;
        NLSH_TRY(nlsh__source_read(source, NULL, row_bytes, &got, error));
        if (got < row_bytes) break;
    }
    status = nlsh__source_rewind(source, error);
out:
    return status;
}

/* Lets the source find its length where a format could be told by it: inflates as long as the rows
 * of such a format agree, or as many bytes as its header counts, and not more than most. */
static enum nlsh_status learn_length(struct nlsh__source *source, uint64_t most,
                                     struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    const uint8_t *head;
    size_t head_size, row_bytes;
    uint64_t got;
    for (size_t size = 4; size >= 1; size /= 2) { /* floats or ids; half floats; bytes */
        NLSH_TRY(nlsh__source_head(source, &head, &head_size, error));
        if (nlsh__source_length(source) != NLSH__UNKNOWN) break;
        uint64_t bytes = nlsh__bin_length(head, head_size, size);
        if (size != 2 && nlsh__may_be_rows(head, head_size, size, &row_bytes))
            NLSH_TRY(follow_rows(source, nlsh__load32(head), row_bytes, most, error));
        if (nlsh__source_length(source) != NLSH__UNKNOWN || bytes == 0) continue;
        if (bytes > nlsh__source_bound(source)) continue;
        NLSH_TRY(nlsh__source_read(source, NULL, bytes < most ? bytes + 1 : most, &got, error));
        NLSH_TRY(nlsh__source_rewind(source, error));
    }
out:
    return status;
}

/* The format by content; where it is none, *other says what the file is. */
static enum nlsh_status content(struct nlsh__source *source, const char *name, uint64_t most,
                                enum nlsh_format *format, struct nlsh__foreign *other,
                                struct nlsh_error *error)
{
    enum nlsh_status status;
    const uint8_t *head;
    size_t head_size;
    *format = NLSH_FORMAT_AUTO;
    *other = (struct nlsh__foreign){0};
    NLSH_TRY(nlsh__source_rewind(source, error));
    NLSH_TRY(learn_length(source, most, error));
    NLSH_TRY(nlsh__source_head(source, &head, &head_size, error));
    *format = nlsh__format_of_content(head, head_size, nlsh__source_length(source));
    if (*format != NLSH_FORMAT_AUTO) goto out;
    struct nlsh__text text;
    if (nlsh__text_look(head, head_size, &text)) {
        *format = NLSH_FORMAT_TEXT;
        goto out;
    }
    nlsh__foreign_file(head, head_size, name, other);
    if (other->what == NULL && nlsh__bin_length(head, head_size, 1) == nlsh__source_length(source))
        *other = (struct nlsh__foreign){"u8bin or i8bin, which look alike",
                                        "rename the file to .u8bin or .i8bin, or name its format"};
out:
    return status;
}

static enum nlsh_status cannot_tell(const char *name, const struct nlsh__foreign *other,
                                    struct nlsh_error *error)
{
    if (other->what != NULL)
        return nlsh__fail(error, NLSH_E_DATA, other->hint,
                          "%s: not to be read as it stands: its content is %s", name, other->what);
    return nlsh__fail(
        error, NLSH_E_DATA,
        "name the format, or give the file its ending "
        "(.fvecs .bvecs .ivecs .npy .fbin .f16bin .u8bin .i8bin .ibin .idx .csv .txt)",
        "%s: neither name nor content tell its format", name);
}

/* Reading as `wanted` failed with `status`: says so in better words where the file is another. */
static enum nlsh_status explain(struct nlsh__source *source, const char *name, int by_name,
                                enum nlsh_format wanted, enum nlsh_status status,
                                struct nlsh_error *error)
{
    enum nlsh_format is;
    struct nlsh__foreign other;
    if (status != NLSH_E_DATA || error == NULL) return status;
    if (content(source, name, MOST_FOR_A_LOOK, &is, &other, NULL) != NLSH_OK || is == wanted)
        return status;
    if (is == NLSH_FORMAT_AUTO && other.what == NULL) return status;
    return nlsh__fail(error, NLSH_E_DATA,
                      is != NLSH_FORMAT_AUTO ? "rename the file, or name its real format"
                                             : other.hint,
                      "%s: %s %s, but its content is %s", name,
                      by_name ? "its name says" : "it was to be read as", nlsh_format_name(wanted),
                      is != NLSH_FORMAT_AUTO ? nlsh_format_name(is) : other.what);
}

/* Floats that are all denormal are whole numbers under a wrong name. */
enum nlsh_status nlsh__check_not_ids(const char *name, enum nlsh_format format, const void *row,
                                     size_t dim, struct nlsh_error *error)
{
    const char *real = format == NLSH_FORMAT_FVECS ? "ivecs" : "ibin";
    if ((format != NLSH_FORMAT_FVECS && format != NLSH_FORMAT_FBIN) ||
        !nlsh__looks_like_ids(row, dim))
        return NLSH_OK;
    return nlsh__fail(error, NLSH_E_DATA,
                      format == NLSH_FORMAT_FVECS ? "rename it to .ivecs" : "rename it to .ibin",
                      "%s: its name says %s, but its content is %s (whole numbers)", name,
                      nlsh_format_name(format), real);
}

enum nlsh_status nlsh__opened_begin(const uint8_t *bytes, size_t size, const char *name,
                                    enum nlsh_format format, const struct nlsh_run *run,
                                    struct nlsh__opened *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__foreign other;
    enum nlsh_format wanted = format != NLSH_FORMAT_AUTO ? format : nlsh__format_of_path(name);
    enum nlsh__packing packing;
    if (wanted == NLSH_FORMAT_HDF5) wanted = NLSH_FORMAT_AUTO; /* without a dataset's name */
    *out =
        (struct nlsh__opened){.by_name = format == NLSH_FORMAT_AUTO && wanted != NLSH_FORMAT_AUTO};
    if (size == 0)
        return nlsh__fail(error, NLSH_E_DATA, "fetch or write the file again",
                          "%s: the file is empty", name);
    NLSH_TRY(find_compression(bytes, size, name, wanted, &packing, error));
    if ((wanted == NLSH_FORMAT_AUTO || wanted == NLSH_FORMAT_NPY) && nlsh__is_zip(bytes, size)) {
        struct nlsh__zip_member member;
        NLSH_TRY(nlsh__zip_only_member(bytes, size, name, &member, error));
        bytes = member.bytes;
        size = member.size;
        packing = member.deflated ? NLSH__DEFLATE : NLSH__PLAIN;
        wanted = NLSH_FORMAT_NPY;
    }
    NLSH_TRY(nlsh__source_open(bytes, size, packing, name, run, &out->source, error));
    if (wanted == NLSH_FORMAT_AUTO) {
        NLSH_TRY(content(out->source, name, UINT64_MAX - 1, &wanted, &other, error));
        if (wanted == NLSH_FORMAT_AUTO) status = cannot_tell(name, &other, error);
    }
    out->format = wanted;
out:
    return status;
}

enum nlsh_status nlsh__vectors_parse(const uint8_t *bytes, size_t size, const char *name,
                                     enum nlsh_format format, const struct nlsh_run *run,
                                     struct nlsh_vectors *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__opened o;
    memset(out, 0, sizeof *out);
    NLSH_TRY(nlsh__opened_begin(bytes, size, name, format, run, &o, error));
    status = read_as(o.source, name, o.format, out, error);
    if (status != NLSH_OK) status = explain(o.source, name, o.by_name, o.format, status, error);
    if (status == NLSH_OK && o.by_name)
        status = nlsh__check_not_ids(name, out->format, out->memory, out->matrix.dim, error);
out:
    nlsh__source_close(o.source);
    if (status != NLSH_OK) nlsh__vectors_clear(out);
    return status;
}

/* ---- public ---------------------------------------------------------------------------------- */

enum nlsh_status nlsh__vectors_read_with(const char *path, enum nlsh_format format,
                                         const struct nlsh_run *run, struct nlsh_vectors **out,
                                         struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__map map = {0};
    struct nlsh_vectors *vectors = NULL;
    nlsh__error_clear(error);
    if (out == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "out is NULL");
    *out = NULL;
    if (path == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "path is NULL");
    NLSH_TRY(nlsh__calloc(&vectors, 1, sizeof *vectors, error));
    if (nlsh__hdf5_named(path)) {
        NLSH_TRY(nlsh__hdf5_read(path, vectors, error));
        NLSH_TRY(check_finite(path, &vectors->matrix, error));
    } else {
        NLSH_TRY(nlsh__map_open(path, &map, error));
        NLSH_TRY(nlsh__vectors_parse(map.data, map.size, path, format, run, vectors, error));
    }
    *out = vectors;
    vectors = NULL;
out:
    nlsh__map_close(&map);
    nlsh_vectors_free(vectors);
    return status;
}

enum nlsh_status nlsh_vectors_read(const char *path, enum nlsh_format format,
                                   struct nlsh_vectors **out, struct nlsh_error *error)
{
    return nlsh__vectors_read_with(path, format, NULL, out, error);
}

const struct nlsh_matrix *nlsh_vectors_matrix(const struct nlsh_vectors *vectors)
{
    return &vectors->matrix;
}

enum nlsh_format nlsh_vectors_format(const struct nlsh_vectors *vectors)
{
    return vectors->format;
}

void nlsh__vectors_clear(struct nlsh_vectors *vectors)
{
    nlsh__free(vectors->memory);
    *vectors = (struct nlsh_vectors){.memory = NULL};
}

void nlsh_vectors_free(struct nlsh_vectors *vectors)
{
    if (vectors == NULL) return;
    nlsh__vectors_clear(vectors);
    nlsh__free(vectors);
}
