/*
 * parse.h - what the files of this folder share: the formats' layouts and the parser of bytes.
 *
 * Rows and columns in messages are counted from 0.
 */
#ifndef NLSH_VECTORS_PARSE_H
#define NLSH_VECTORS_PARSE_H

#include <string.h>

#include "base/matrix.h"
#include "vectors/read.h"
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

/* Where the values lie. */
struct nlsh__layout {
    enum nlsh_type type;
    int swap;      /* values are big-endian */
    int columns;   /* column after column, numpy's Fortran order */
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

/* What the header of a .npy file says. */
struct nlsh__npy {
    char descr[16]; /* the type, "<f4" */
    int structured; /* descr is a list: a record type */
    int fortran;
    size_t shape[8];
    size_t n_shape;
    size_t offset; /* of the values */
};

enum nlsh_status nlsh__npy_parse(const char *name, const uint8_t *head, size_t head_size,
                                 struct nlsh__npy *out, struct nlsh_error *error);
/* An error for records, and for all but two dimensions. */
enum nlsh_status nlsh__npy_check(const char *name, const struct nlsh__npy *npy,
                                 struct nlsh_error *error);
/* nlsh__layout_of() for .npy; offset, type, n_rows and dim only. */
enum nlsh_status nlsh__npy_header(const char *name, const uint8_t *head, size_t head_size,
                                  struct nlsh__layout *out, struct nlsh_error *error);

/* The one format that the bytes agree with; AUTO: none, or several. total may be NLSH__UNKNOWN. */
enum nlsh_format nlsh__format_of_content(const uint8_t *head, size_t head_size, uint64_t total);

/* 1 where the head may be that of rows that begin with their dimension, of values of size bytes
 * each; then *row_bytes are those of a row behind its dimension. */
int nlsh__may_be_rows(const uint8_t *head, size_t head_size, size_t size, size_t *row_bytes);

/* The length that the file has if its first 8 bytes count rows and values of size bytes each; 0
 * where they cannot. */
uint64_t nlsh__bin_length(const uint8_t *head, size_t head_size, size_t size);

/* What a command in a hint calls the file: FILE where its name is long or a shell would take it apart. */
const char *nlsh__short_name(const char *name);

/* foreign.c: what a file is that none of our formats explains. */
struct nlsh__foreign {
    const char *what; /* "an HDF5 file"; NULL: not known */
    char hint[256];   /* how it becomes a file that is read */
};
void nlsh__foreign_file(const uint8_t *head, size_t head_size, const char *name,
                        struct nlsh__foreign *out);

/* n 4-byte values, seen as floats, are zero or denormal, and not all are zero. */
int nlsh__looks_like_ids(const void *values, size_t n);

struct nlsh__source;

/* A file's bytes, and what they are. source is the caller's to close. */
struct nlsh__opened {
    struct nlsh__source *source;
    enum nlsh_format format; /* never AUTO */
    int by_name;             /* 1: nobody but the file's name said so */
};

/* Finds out how bytes are packed and what format they have; they, name and run are borrowed. Where it fails source is
 * to be closed as well. */
enum nlsh_status nlsh__opened_begin(const uint8_t *bytes, size_t size, const char *name,
                                    enum nlsh_format format, const struct nlsh_run *run,
                                    struct nlsh__opened *out, struct nlsh_error *error);

/*
 * nlsh__walk_rows() - goes over rows that begin with their dimension.
 *
 *  first   the number of the first of them, for messages
 *  most    so many rows, or all that are left where those are fewer
 *  out     [n x row_bytes] what stands behind the dimensions; NULL: nothing is wanted
 *  n_rows  how many there were
 */
enum nlsh_status nlsh__walk_rows(struct nlsh__source *source, const char *name,
                                 const struct nlsh__layout *layout, size_t first, size_t most,
                                 uint8_t *out, size_t *n_rows, struct nlsh_error *error);

/* NLSH_E_DATA where bytes are left. */
enum nlsh_status nlsh__expect_end(struct nlsh__source *source, const char *name,
                                  struct nlsh_error *error);

/* NLSH_E_DATA where a row of floats, which nobody but the file's name says to be floats, holds whole numbers. */
enum nlsh_status nlsh__check_not_ids(const char *name, enum nlsh_format format, const void *row,
                                     size_t dim, struct nlsh_error *error);

/* nlsh_vectors_read() of bytes in memory; name stands for the file in messages and, for AUTO, its
 * ending counts. The answer does not point into bytes. */
enum nlsh_status nlsh__vectors_parse(const uint8_t *bytes, size_t size, const char *name,
                                     enum nlsh_format format, const struct nlsh_run *run,
                                     struct nlsh_vectors *out, struct nlsh_error *error);

/* nlsh_rows_open() of bytes in memory, which are borrowed until nlsh_rows_close(); out's struct_size is set. */
enum nlsh_status nlsh__rows_parse(const uint8_t *bytes, size_t size, const char *name,
                                  enum nlsh_format format, struct nlsh_rows *out,
                                  struct nlsh_error *error);

/* Reads neighbours that other programs wrote (ids_file.c) into *out, which the caller frees; returns
 * 0, and does nothing, where bytes are no such file. Distances stay as they are. */
int nlsh__ids_parse(const uint8_t *bytes, size_t size, const char *name, struct nlsh_neighbors *out,
                    enum nlsh_status *status, struct nlsh_error *error);

/* The same of ids that stand in a matrix without gaps. */
enum nlsh_status nlsh__ids_of_matrix(const char *name, const struct nlsh_matrix *ids,
                                     struct nlsh_neighbors *out, struct nlsh_error *error);

/* Neighbours in memory: the graph file of docs/formats.md, or other programs' ids; out is
 * overwritten but for its struct_size. */
enum nlsh_status nlsh__neighbors_parse(const uint8_t *bytes, size_t size, const char *name,
                                       struct nlsh_neighbors *out, struct nlsh_error *error);

#endif
