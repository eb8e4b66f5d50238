/*
 * parse.h - what the files of this folder share: the formats' layouts and the parser of bytes.
 *
 * Rows and columns in messages are counted from 0.
 */
#ifndef NLSH_VECTORS_PARSE_H
#define NLSH_VECTORS_PARSE_H

#include <string.h>

#include "base/matrix.h"
#include "vectors/vectors.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the readers and writers take the machine to be little-endian, as all their formats but IDX"
#endif

/* A length that is not known before everything is inflated. */
#define NLSH__UNKNOWN UINT64_MAX

static inline uint32_t nlsh__load32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The format that a file name's ending says, a ".gz" behind it aside; AUTO where it says none. */
enum nlsh_format nlsh__format_of_path(const char *path);
int nlsh__path_is_gz(const char *path);

/* Where the values lie. */
struct nlsh__layout {
    enum nlsh_type type;
    int swap;      /* values are big-endian */
    int prefixed;  /* each row begins with its dimension (fvecs, bvecs, ivecs) */
    size_t n_rows; /* 0: as many as the file has (prefixed, length not known) */
    size_t dim;
    size_t offset;    /* of the first row */
    size_t row_bytes; /* of its values, the prefix aside */
};

/*
 * nlsh__layout_of() - reads a header and checks it against the file's length.
 *
 *  head   the first head_size bytes of the file, at least min(file, 64 KiB)
 *  total  the file's length, or NLSH__UNKNOWN; then
 *  bound  is what the length cannot exceed
 * n_rows x dim values are sure to fit in the file. A prefixed file whose length is no multiple of
 * its rows gets n_rows 0: only a walk over the rows can say what is wrong.
 */
enum nlsh_status nlsh__layout_of(enum nlsh_format format, const char *name, const uint8_t *head,
                                 size_t head_size, uint64_t total, uint64_t bound,
                                 struct nlsh__layout *out, struct nlsh_error *error);

/* The same for .npy; offset, type, n_rows and dim only. */
enum nlsh_status nlsh__npy_header(const char *name, const uint8_t *head, size_t head_size,
                                  struct nlsh__layout *out, struct nlsh_error *error);

/* The one format that the bytes agree with. AUTO: none, and *other names what the file is instead
 * ("a HDF5 file"), or says why it cannot be told; or is NULL. */
enum nlsh_format nlsh__format_of_content(const uint8_t *head, size_t head_size, uint64_t total,
                                         const char **other);

/* n 4-byte values, seen as floats, are zero or denormal, and not all are zero. */
int nlsh__looks_like_ids(const void *values, size_t n);

/* nlsh_vectors_read() of bytes in memory; name stands for the file in messages and, for AUTO, its
 * ending counts. The answer does not point into bytes. */
enum nlsh_status nlsh__vectors_parse(const uint8_t *bytes, size_t size, const char *name,
                                     enum nlsh_format format, struct nlsh_vectors *out,
                                     struct nlsh_error *error);

/* The graph file of docs/formats.md, from memory; out is overwritten but for its struct_size. */
enum nlsh_status nlsh__neighbors_parse(const uint8_t *bytes, size_t size, const char *name,
                                       struct nlsh_neighbors *out, struct nlsh_error *error);

#endif
