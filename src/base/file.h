/* file.h - read-only maps, and files that appear whole or not at all. */
#ifndef NLSH_BASE_FILE_H
#define NLSH_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/nlsh.h"

struct nlsh__map {
    const uint8_t *data; /* NULL for an empty file */
    size_t size;
};

/* NLSH_E_NO_INPUT (absent, no permission, a directory), NLSH_E_IO. */
enum nlsh_status nlsh__map_open(const char *path, struct nlsh__map *out, struct nlsh_error *error);
void nlsh__map_close(struct nlsh__map *map);

/*
 * An output file: written beside its target under a temporary name, then fsynced, renamed over it,
 * and its directory fsynced. Until nlsh__output_commit() the target is untouched; the temporary
 * file is removed by nlsh__output_abort(), and by the next writer of the same target where its
 * writer was killed. A symbolic link stays: what it points to is replaced. A path that names a
 * device, a pipe or an open descriptor ("/dev/stdout") is written straight.
 */
struct nlsh__output;

/* NLSH_E_CANT_CREATE. */
enum nlsh_status nlsh__output_open(const char *path, struct nlsh__output **out,
                                   struct nlsh_error *error);
/* Buffered. Each returns NLSH_E_CANT_CREATE (disk full and its like) once, and after that too. */
enum nlsh_status nlsh__output_write(struct nlsh__output *output, const void *data, size_t size,
                                    struct nlsh_error *error);
/* Zeros up to the next multiple of alignment. */
enum nlsh_status nlsh__output_align(struct nlsh__output *output, size_t alignment,
                                    struct nlsh_error *error);
uint64_t nlsh__output_offset(const struct nlsh__output *output);
/* Overwrites bytes that were written already (a header whose sums are known last). Fails where the
 * target is a pipe. */
enum nlsh_status nlsh__output_patch(struct nlsh__output *output, uint64_t offset, const void *data,
                                    size_t size, struct nlsh_error *error);
/* Both free the output, commit also where it fails (the target is then untouched). Abort accepts
 * NULL. */
enum nlsh_status nlsh__output_commit(struct nlsh__output *output, struct nlsh_error *error);
void nlsh__output_abort(struct nlsh__output *output);

/* Makes a directory and its parents. NLSH_E_CANT_CREATE. */
enum nlsh_status nlsh__make_dirs(const char *path, struct nlsh_error *error);
/* Whether that would do, and a file could then be made in it, as far as the rights tell; makes
 * nothing. NLSH_E_CANT_CREATE. */
enum nlsh_status nlsh__check_dirs(const char *path, struct nlsh_error *error);

#endif
