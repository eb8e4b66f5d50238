/*
 * kind.c - what a file is that is no index. People swap -d and -i, name a .gz, or a download that
 * is really an error page; the message should say so. By the first bytes, and for the headerless
 * vector formats by whether the length fits. A guess: it decides nothing but the message.
 */
#include <string.h>

#include "base/error.h"
#include "index/layout.h"

static const struct {
    const char *bytes;
    size_t n_bytes;
    const char *what;
} signatures[] = {
    {"\x1f\x8b", 2, "gzip data"},
    {"\x93NUMPY", 6, "a numpy array (.npy)"},
    {"\x89HDF\r\n\x1a\n", 8, "an HDF5 file"},
    {"SQLite format 3", 16, "an SQLite database"},
    {"PK\x03\x04", 4, "a zip archive (perhaps .npz or a PyTorch model)"},
    {"\x28\xb5\x2f\xfd", 4, "zstd data"},
    {"\xfd"
     "7zXZ",
     6, "xz data"},
    {"BZh", 3, "bzip2 data"},
    {"\x7f"
     "ELF",
     4, "a program"},
    {"<!DOCTYPE", 9, "a web page"},
    {"<html", 5, "a web page"},
    {"{\n \"format\": \"nlsh shards\"", 26, "a manifest of shards, which nlsh search takes"},
    {"version https://git-lfs", 23, "a git-lfs pointer, not the file itself"},
};

static uint32_t u32_at(const struct nlsh__map *map, size_t offset)
{
    uint32_t value;
    memcpy(&value, map->data + offset, sizeof value);
    return value;
}

/* n rows of dim values behind two u32, as big-ann's files have it. */
static int is_bin(const struct nlsh__map *map, uint64_t value_size)
{
    uint64_t n = u32_at(map, 0), dim = u32_at(map, 4);
    return n > 0 && dim > 0 && dim <= 1 << 20 && n * dim * value_size == map->size - 8;
}

/* Rows that each begin with their dimension, as TEXMEX's files have it. */
static int is_vecs(const struct nlsh__map *map, uint64_t value_size)
{
    uint64_t dim = u32_at(map, 0);
    uint64_t row = 4 + dim * value_size;
    return dim > 0 && dim <= 1 << 20 && map->size % row == 0 &&
           u32_at(map, (size_t)(map->size - row)) == dim;
}

static int is_text(const struct nlsh__map *map)
{
    size_t n = map->size < 512 ? map->size : 512;
    for (size_t i = 0; i < n; i++)
        if (map->data[i] != '\t' && map->data[i] != '\n' && map->data[i] != '\r' &&
            (map->data[i] < ' ' || map->data[i] > '~'))
            return 0;
    return n > 0;
}

static const char *kind(const struct nlsh__map *map)
{
    for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++)
        if (map->size >= signatures[i].n_bytes &&
            memcmp(map->data, signatures[i].bytes, signatures[i].n_bytes) == 0)
            return signatures[i].what;
    if (map->size >= 8) {
        const uint8_t *p = map->data;
        if (p[0] == 0 && p[1] == 0 && p[2] >= 8 && p[2] <= 14 && p[3] >= 1 && p[3] <= 4)
            return "an IDX file (MNIST's format)";
        if (is_bin(map, 4)) return "vectors (.fbin)";
        if (is_bin(map, 1)) return "vectors (.u8bin or .i8bin)";
        if (is_vecs(map, 4)) return "vectors (.fvecs or .ivecs)";
        if (is_vecs(map, 1)) return "vectors (.bvecs)";
    }
    if (is_text(map)) return "text";
    return NULL;
}

static int all_zero(const struct nlsh__map *map)
{
    size_t n = map->size < 64 ? map->size : 64;
    for (size_t i = 0; i < n; i++)
        if (map->data[i] != 0) return 0;
    return 1;
}

enum nlsh_status nlsh__index_other_kind(const char *path, const struct nlsh__map *map,
                                        struct nlsh_error *error)
{
    if (map->size == 0)
        return nlsh__fail(error, NLSH_E_DATA, "build the index again, or copy it again",
                          "%s: the file is empty", path);
    if (map->size >= 5 && memcmp(map->data, NLSH__INDEX_MAGIC, 5) == 0)
        return nlsh__fail(error, NLSH_E_DATA,
                          "copy it again, as binary: a transfer as text changes line ends",
                          "%s: the first bytes of the index are damaged", path);
    const char *what = kind(map);
    if (what != NULL)
        return nlsh__fail(error, NLSH_E_DATA, "name a file that nlsh build wrote",
                          "%s: not an nlsh index but %s", path, what);
    return nlsh__fail(error, NLSH_E_DATA, "name a file that nlsh build wrote",
                      "%s: not an nlsh index%s", path,
                      all_zero(map) ? ": it begins with zeros, as an unfinished copy does" : "");
}
