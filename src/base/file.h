/* file.h - files to read, and directories. Files to write: output.h. */
#ifndef NLSH_BASE_FILE_H
#define NLSH_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "nlsh/nlsh.h"

struct nlsh__map {
    const uint8_t *data; /* NULL for an empty file */
    size_t size;
};

/* A descriptor of a file that is one, and its size. NLSH_E_NO_INPUT (absent, no permission, a directory), NLSH_E_IO. */
enum nlsh_status nlsh__regular_open(const char *path, int *fd, size_t *size,
                                    struct nlsh_error *error);
/* The same errors. */
enum nlsh_status nlsh__map_open(const char *path, struct nlsh__map *out, struct nlsh_error *error);
void nlsh__map_close(struct nlsh__map *map);

/*
 * A file to read as it comes: a pipe will do as well. A read that waits for a pipe's writer is
 * ended by a signal: the stream then has an error, and errno is EINTR. NLSH_E_NO_INPUT, NLSH_E_IO,
 * NLSH_E_NOMEM.
 */
enum nlsh_status nlsh__stream_open(const char *path, FILE **out, struct nlsh_error *error);

/* Makes a directory and its parents. NLSH_E_CANT_CREATE. */
enum nlsh_status nlsh__make_dirs(const char *path, struct nlsh_error *error);
/* Whether that would do, and a file could then be made in it, as far as the rights tell; makes
 * nothing. NLSH_E_CANT_CREATE. */
enum nlsh_status nlsh__check_dirs(const char *path, struct nlsh_error *error);

#endif
