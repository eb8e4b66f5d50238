/* base.h - the vectors that -d and --rows name: one file or several behind each other, all rows or a part. */
#ifndef NLSH_CLI_BASE_H
#define NLSH_CLI_BASE_H

#include "inputs.h"

/* Where rows stand among all those of the files. */
struct span {
    size_t first, n_all;
};

/* Rows as they are read through the files. */
struct base {
    struct nlsh_rows rows;
    struct span span;
    struct nlsh_rows joined, *files; /* what they are read through */
    size_t n_files;
};

/*
 * base_open() - opens all files, joins them, and takes the part.
 *
 *  may_load  whether a file that cannot be read block by block is read into memory whole
 * NLSH_E_ARG where --rows is none of the base; what nlsh_rows_open(), nlsh_rows_join() and read_vectors() return.
 */
enum nlsh_status base_open(const struct args *args, bool may_load, struct base *out,
                           struct nlsh_error *error);
void base_close(struct base *base);

/* Reads them into memory; of files of rows no more than --rows says. span may be NULL. Returns 0 or an exit code after
 * saying why. */
int base_load(const struct args *args, struct loaded *out, struct span *span);

/* The same, and compares it with the index by dimension and content hash; index_path is for messages. */
int base_load_of(const struct args *args, const char *index_path,
                 const struct nlsh_index_info *info, struct loaded *out);

/* "a.fbin", or "part :300 of a.fbin and 2 more files". */
const char *base_name(const struct args *args, char *buffer, size_t size);

#endif
