/*
 * foreign.c - files that people have and that are none of our formats, and the line that makes one
 * of ours out of each. Binary ones are known by their first bytes; text by holding nothing but text,
 * and its kind by what stands between the numbers of a line.
 */
#include <stdio.h>
#include <stdlib.h>

#include "vectors/parse.h"

/* python3 as `python3 -c "..."`, with the file's name in it where that leaves room for the rest. */
#define PYTHON(code) "python3 -c \"import numpy as n; " code "\""

static const struct {
    const char *magic;
    size_t n;
    const char *what, *hint; /* %s: the file's name */
} magics[] = {
    {"\x89HDF\r\n", 6, "an HDF5 file",
     PYTHON("import h5py; n.save('base.npy', n.float32(h5py.File('%s')['train']))") "; queries are "
                                                                                    "in 'test'"},
    {"PK\3\4", 4, "a zip file (.npz)",
     PYTHON("z = n.load('%s'); print(z.files); n.save('base.npy', z[z.files[0]])")},
    {"NLSHKNN", 7, "a graph file of nlsh", "name the file of vectors; --gt takes %s"},
    {"\x89NLSH\r\n\x1a", 8, "an index of nlsh", "name the file of vectors; -i takes %s"},
    {"\x1f\x8b\x08", 3, "gzipped twice", "gzip -d %s, once"},
    {"PAR1", 4, "a Parquet file",
     PYTHON("import pandas as p; t = p.read_parquet('%s'); print(t.columns); n.save('base.npy', "
            "n.stack(t.iloc[:, -1]).astype('f4'))")},
};

static const char table[] =
    PYTHON("n.save('base.npy', n.loadtxt('%s', 'f4', delimiter='%s', skiprows=%d))");
static const char words[] =
    PYTHON("n.save('base.npy', n.array([l.split(' ')[-%zu:] for l in open('%s')][%d:], 'f4'))");

/* What a hint calls the file: a long name would leave no room for the rest. */
static const char *short_name(const char *name)
{
    return strlen(name) <= 60 && strpbrk(name, "'\"\\$`") == NULL ? name : "FILE";
}

/* ---- text ------------------------------------------------------------------------------------ */

/* The kinds of line, and what of it: its numbers at the end, and whether words stand before them. */
struct line {
    size_t n_fields, n_numbers;
    char separator; /* ',', '\t' or ' ' */
};

static int is_number(const char *text, size_t length)
{
    char copy[64], *end;
    if (length == 0 || length >= sizeof copy) return 0;
    memcpy(copy, text, length);
    copy[length] = '\0';
    (void)strtod(copy, &end);
    return *end == '\0';
}

static struct line read_line(const char *text, size_t length)
{
    struct line line = {0};
    while (length > 0 && strchr("\r ", text[length - 1]) != NULL) length--;
    line.separator = memchr(text, ',', length) != NULL    ? ','
                     : memchr(text, '\t', length) != NULL ? '\t'
                                                          : ' ';
    for (size_t at = 0; at < length;) {
        const char *end = memchr(text + at, line.separator, length - at);
        size_t field = end != NULL ? (size_t)(end - text) - at : length - at;
        line.n_fields++;
        line.n_numbers = is_number(text + at, field) ? line.n_numbers + 1 : 0;
        at += field + 1;
    }
    return line;
}

static int is_text(const uint8_t *head, size_t head_size)
{
    for (size_t i = 0; i < head_size; i++)
        if ((head[i] < ' ' && strchr("\t\r\n", head[i]) == NULL) || head[i] == 0 || head[i] == 0x7f)
            return 0;
    return head_size > 0;
}

/* The second line tells what the rows are; the first may be a title or, in word2vec's files, the
 * two sizes. */
static void describe_text(const uint8_t *head, size_t head_size, const char *name,
                          struct nlsh__foreign *out)
{
    const char *text = (const char *)head, *end = memchr(text, '\n', head_size);
    size_t first_size = end != NULL ? (size_t)(end - text) : head_size;
    struct line first = read_line(text, first_size), row = first;
    if (end != NULL && (size_t)(end + 1 - text) < head_size) {
        size_t left = head_size - first_size - 1;
        const char *next = memchr(end + 1, '\n', left);
        row = read_line(end + 1, next != NULL ? (size_t)(next - end - 1) : left);
    }
    int skip = first.n_fields != row.n_fields || first.n_numbers < row.n_numbers;
    if (row.n_numbers < 2) return;
    if (row.n_numbers < row.n_fields && row.separator == ' ') {
        out->what = "text: a word and its numbers, as GloVe's";
        snprintf(out->hint, sizeof out->hint, words, row.n_numbers, name, skip);
    } else {
        out->what = row.separator == ','    ? "text: numbers with commas (CSV)"
                    : row.separator == '\t' ? "text: numbers with tabs (TSV)"
                                            : "text: numbers with spaces";
        snprintf(out->hint, sizeof out->hint, table, name,
                 row.separator == '\t' ? "\\t" : (char[2]){row.separator, '\0'}, skip);
    }
}

/* ---- all of them ----------------------------------------------------------------------------- */

void nlsh__foreign_file(const uint8_t *head, size_t head_size, const char *name,
                        struct nlsh__foreign *out)
{
    const char *file = short_name(name);
    *out = (struct nlsh__foreign){0};
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++) {
        if (head_size < magics[i].n || memcmp(head, magics[i].magic, magics[i].n) != 0) continue;
        out->what = magics[i].what;
        snprintf(out->hint, sizeof out->hint, magics[i].hint, file);
        return;
    }
    if (is_text(head, head_size < 4096 ? head_size : 4096))
        describe_text(head, head_size, file, out);
}
