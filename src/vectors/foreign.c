/*
 * foreign.c - files that people have and that are none of our formats, and the line that makes one
 * of ours out of each. They are known by their first bytes.
 */
#include <stdio.h>

#include "vectors/parse.h"

/* python3 as `python3 -c "..."`, with the file's name in it where that leaves room for the rest. */
#define PYTHON(code) "python3 -c \"import numpy as n; " code "\""

static const struct {
    const char *magic;
    size_t n;
    const char *what, *hint; /* %s: the file's name */
} magics[] = {
    {"\x89HDF\r\n", 6, "an HDF5 file, with several datasets",
     "name one: %s:train is ann-benchmarks' base, :test its queries"},
    {"PK\3\4", 4, "a zip file (.npz)", "rename %s to .npz"},
    {"NLSHKNN", 7, "a graph file of nlsh", "name the file of vectors; --gt takes %s"},
    {"\x89NLSH\r\n\x1a", 8, "an index of nlsh", "name the file of vectors; -i takes %s"},
    {"\x1f\x8b\x08", 3, "compressed twice", "gzip -d or zstd -d %s, once"},
    {"\x28\xb5\x2f\xfd", 4, "compressed twice", "gzip -d or zstd -d %s, once"},
    {"PAR1", 4, "a Parquet file",
     PYTHON("import pandas as p; t = p.read_parquet('%s'); print(t.columns); n.save('base.npy', "
            "n.stack(t.iloc[:, -1]).astype('f4'))")},
};

const char *nlsh__short_name(const char *name)
{
    return strlen(name) <= 60 && strpbrk(name, "'\"\\$`") == NULL ? name : "FILE";
}

void nlsh__foreign_file(const uint8_t *head, size_t head_size, const char *name,
                        struct nlsh__foreign *out)
{
    const char *file = nlsh__short_name(name);
    *out = (struct nlsh__foreign){0};
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++) {
        if (head_size < magics[i].n || memcmp(head, magics[i].magic, magics[i].n) != 0) continue;
        out->what = magics[i].what;
        snprintf(out->hint, sizeof out->hint, magics[i].hint, file);
        return;
    }
}
