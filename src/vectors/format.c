/*
 * format.c - which format a file has, by its name and by its content.
 *
 * By content: .npy and IDX have magic numbers; the others are recognised by a length that their
 * header explains to the byte. fvecs and ivecs have the same shape: ids, read as floats, are all
 * denormal (below 2^-126), which no real vector is. u8bin and i8bin cannot be told apart.
 */
#include <strings.h>

#include "vectors/parse.h"

static const struct {
    enum nlsh_format format;
    const char *name;
} formats[] = {
    {NLSH_FORMAT_IDX, "idx"},     {NLSH_FORMAT_FVECS, "fvecs"}, {NLSH_FORMAT_BVECS, "bvecs"},
    {NLSH_FORMAT_IVECS, "ivecs"}, {NLSH_FORMAT_NPY, "npy"},     {NLSH_FORMAT_FBIN, "fbin"},
    {NLSH_FORMAT_U8BIN, "u8bin"}, {NLSH_FORMAT_I8BIN, "i8bin"},
};
#define N_FORMATS (sizeof formats / sizeof formats[0])

const char *nlsh_format_name(enum nlsh_format format)
{
    for (size_t i = 0; i < N_FORMATS; i++)
        if (formats[i].format == format) return formats[i].name;
    return "auto";
}

enum nlsh_format nlsh_format_from_name(const char *name)
{
    for (size_t i = 0; name != NULL && i < N_FORMATS; i++)
        if (strcmp(formats[i].name, name) == 0) return formats[i].format;
    return NLSH_FORMAT_AUTO;
}

/* ---- by name --------------------------------------------------------------------------------- */

static int ends_with(const char *s, size_t length, const char *ending)
{
    size_t n = strlen(ending);
    return length >= n && strncasecmp(s + length - n, ending, n) == 0;
}

int nlsh__path_is_gz(const char *path)
{
    return ends_with(path, strlen(path), ".gz");
}

enum nlsh_format nlsh__format_of_path(const char *path)
{
    size_t length = strlen(path);
    if (nlsh__path_is_gz(path)) length -= 3;
    if (ends_with(path, length, "-ubyte")) return NLSH_FORMAT_IDX; /* train-images-idx3-ubyte */
    for (size_t i = 0; i < N_FORMATS; i++) {
        size_t n = strlen(formats[i].name);
        if (length > n && path[length - n - 1] == '.' && ends_with(path, length, formats[i].name))
            return formats[i].format;
    }
    return NLSH_FORMAT_AUTO;
}

/* ---- by content ------------------------------------------------------------------------------ */

#define PLAUSIBLE_DIM ((uint32_t)1 << 24)

/* Rows of 4 + dim x size bytes make up the file, each with the same dimension, as far as head
 * shows them. */
static int looks_prefixed(const uint8_t *head, size_t head_size, uint64_t total, size_t size)
{
    if (head_size < 4 || total == NLSH__UNKNOWN) return 0;
    uint32_t dim = nlsh__load32(head);
    if (dim == 0 || dim > PLAUSIBLE_DIM) return 0;
    size_t row = 4 + dim * size;
    if (total % row != 0) return 0;
    for (size_t at = 0; at + 4 <= head_size; at += row)
        if (nlsh__load32(head + at) != dim) return 0;
    return 1;
}

int nlsh__looks_like_ids(const void *values, size_t n)
{
    int some = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = nlsh__load32((const uint8_t *)values + 4 * i);
        if (bits > 0x7fffffu) return 0;
        some |= bits != 0;
    }
    return some;
}

static int looks_like_bin(const uint8_t *head, size_t head_size, uint64_t total, size_t size)
{
    if (head_size < 8 || total == NLSH__UNKNOWN) return 0;
    uint64_t values = (uint64_t)nlsh__load32(head) * nlsh__load32(head + 4);
    return values > 0 && values < UINT64_MAX / 8 && total == 8 + values * size;
}

static int begins(const uint8_t *head, size_t head_size, const char *magic, size_t n)
{
    return head_size >= n && memcmp(head, magic, n) == 0;
}

static const char *other_file(const uint8_t *head, size_t head_size)
{
    if (begins(head, head_size, "\x89HDF\r\n", 6)) return "an HDF5 file";
    if (begins(head, head_size, "PK\3\4", 4)) return "a zip file (.npz)";
    if (begins(head, head_size, "NLSHKNN", 7)) return "a graph file of nlsh";
    if (begins(head, head_size, "\x1f\x8b\x08", 3)) return "gzipped twice";
    return NULL;
}

static int looks_like_idx(const uint8_t *head, size_t head_size)
{
    return head_size >= 4 && head[0] == 0 && head[1] == 0 && head[2] >= 0x08 && head[2] <= 0x0e &&
           head[3] >= 1 && head[3] <= 8;
}

enum nlsh_format nlsh__format_of_content(const uint8_t *head, size_t head_size, uint64_t total,
                                         const char **other)
{
    *other = other_file(head, head_size);
    if (*other != NULL) return NLSH_FORMAT_AUTO;
    if (begins(head, head_size, "\x93NUMPY", 6)) return NLSH_FORMAT_NPY;
    if (looks_prefixed(head, head_size, total, 4)) {
        size_t n = (head_size - 4) / 4, dim = nlsh__load32(head);
        return nlsh__looks_like_ids(head + 4, n < dim ? n : dim) ? NLSH_FORMAT_IVECS
                                                                 : NLSH_FORMAT_FVECS;
    }
    if (looks_prefixed(head, head_size, total, 1)) return NLSH_FORMAT_BVECS;
    if (looks_like_bin(head, head_size, total, 4)) return NLSH_FORMAT_FBIN;
    if (looks_like_bin(head, head_size, total, 1)) {
        *other = "u8bin or i8bin, which look alike";
        return NLSH_FORMAT_AUTO;
    }
    if (looks_like_idx(head, head_size)) return NLSH_FORMAT_IDX;
    return NLSH_FORMAT_AUTO;
}
