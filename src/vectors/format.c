/*
 * format.c - which format a file has, by its name and by its content.
 *
 * By content: .npy and IDX have magic numbers; the others are recognised by a length that their
 * header explains to the byte. fvecs and ivecs have the same shape, and so have fbin and ibin: ids,
 * read as floats, are all denormal (below 2^-126), which no real vector is. u8bin and i8bin cannot be
 * told apart. Text is what has only text in it, with numbers in its second line.
 */
#include <ctype.h>
#include <strings.h>

#include "vectors/hdf5.h"
#include "vectors/parse.h"

static const struct {
    enum nlsh_format format;
    const char *name;
} formats[] = {
    {NLSH_FORMAT_IDX, "idx"},       {NLSH_FORMAT_FVECS, "fvecs"}, {NLSH_FORMAT_BVECS, "bvecs"},
    {NLSH_FORMAT_IVECS, "ivecs"},   {NLSH_FORMAT_NPY, "npy"},     {NLSH_FORMAT_FBIN, "fbin"},
    {NLSH_FORMAT_U8BIN, "u8bin"},   {NLSH_FORMAT_I8BIN, "i8bin"}, {NLSH_FORMAT_IBIN, "ibin"},
    {NLSH_FORMAT_F16BIN, "f16bin"}, {NLSH_FORMAT_TEXT, "text"},   {NLSH_FORMAT_HDF5, "hdf5"},
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

const char *nlsh__packed_ending(const char *path)
{
    static const char *const endings[] = {".gz", ".zst"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (ends_with(path, strlen(path), endings[i])) return endings[i];
    return NULL;
}

/* The length without ".crop_nb_10000000". */
static size_t without_crop(const char *path, size_t length)
{
    static const char crop[] = ".crop_nb_";
    size_t digits = length;
    while (digits > 0 && isdigit((unsigned char)path[digits - 1])) digits--;
    return digits < length && ends_with(path, digits, crop) ? digits - (sizeof crop - 1) : length;
}

enum nlsh_format nlsh__format_of_path(const char *path)
{
    size_t length = strlen(path);
    const char *packed = nlsh__packed_ending(path);
    if (nlsh__hdf5_named(path)) return NLSH_FORMAT_HDF5;
    if (packed != NULL) length -= strlen(packed);
    length = without_crop(path, length);
    if (ends_with(path, length, "-ubyte")) return NLSH_FORMAT_IDX; /* train-images-idx3-ubyte */
    for (size_t i = 0; i < N_FORMATS; i++) {
        size_t n = strlen(formats[i].name);
        if (formats[i].format == NLSH_FORMAT_HDF5) continue; /* which dataset must be said */
        if (length > n && path[length - n - 1] == '.' && ends_with(path, length, formats[i].name))
            return formats[i].format;
    }
    static const char *const texts[] = {".csv", ".tsv", ".txt", ".vec"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (ends_with(path, length, texts[i])) return NLSH_FORMAT_TEXT;
    return NLSH_FORMAT_AUTO;
}

/* ---- by content ------------------------------------------------------------------------------ */

#define PLAUSIBLE_DIM ((uint32_t)1 << 24)

int nlsh__may_be_rows(const uint8_t *head, size_t head_size, size_t size, size_t *row_bytes)
{
    if (head_size < 4) return 0;
    uint32_t dim = nlsh__load32(head);
    if (dim == 0 || dim > PLAUSIBLE_DIM) return 0;
    *row_bytes = dim * size;
    for (size_t at = 0; at + 4 <= head_size; at += 4 + *row_bytes)
        if (nlsh__load32(head + at) != dim) return 0;
    return 1;
}

/* Such rows make up the file. */
static int looks_prefixed(const uint8_t *head, size_t head_size, uint64_t total, size_t size)
{
    size_t row_bytes;
    return total != NLSH__UNKNOWN && nlsh__may_be_rows(head, head_size, size, &row_bytes) &&
           total % (4 + row_bytes) == 0;
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

uint64_t nlsh__bin_length(const uint8_t *head, size_t head_size, size_t size)
{
    if (head_size < 8) return 0;
    uint64_t values = (uint64_t)nlsh__load32(head) * nlsh__load32(head + 4);
    return values > 0 && values < UINT64_MAX / 8 ? 8 + values * size : 0;
}

static int looks_like_idx(const uint8_t *head, size_t head_size)
{
    return head_size >= 4 && head[0] == 0 && head[1] == 0 && head[2] >= 0x08 && head[2] <= 0x0e &&
           head[3] >= 1 && head[3] <= 8;
}

/* The first values, as many as head shows of the first row. */
static int first_are_ids(const uint8_t *values, size_t bytes, size_t dim)
{
    return nlsh__looks_like_ids(values, bytes / 4 < dim ? bytes / 4 : dim);
}

enum nlsh_format nlsh__format_of_content(const uint8_t *head, size_t head_size, uint64_t total)
{
    if (head_size >= 6 && memcmp(head, "\x93NUMPY", 6) == 0) return NLSH_FORMAT_NPY;
    if (looks_prefixed(head, head_size, total, 4))
        return first_are_ids(head + 4, head_size - 4, nlsh__load32(head)) ? NLSH_FORMAT_IVECS
                                                                          : NLSH_FORMAT_FVECS;
    if (looks_prefixed(head, head_size, total, 1)) return NLSH_FORMAT_BVECS;
    if (nlsh__bin_length(head, head_size, 4) == total)
        return first_are_ids(head + 8, head_size - 8, nlsh__load32(head + 4)) ? NLSH_FORMAT_IBIN
                                                                              : NLSH_FORMAT_FBIN;
    if (nlsh__bin_length(head, head_size, 2) == total) return NLSH_FORMAT_F16BIN;
    if (nlsh__bin_length(head, head_size, 1) == total) return NLSH_FORMAT_AUTO; /* u8 or i8 */
    return looks_like_idx(head, head_size) ? NLSH_FORMAT_IDX : NLSH_FORMAT_AUTO;
}
