/* zstd_stream.h - unpacks zstd frames that follow each other, through libzstd where the build found it. */
#ifndef NLSH_VECTORS_ZSTD_STREAM_H
#define NLSH_VECTORS_ZSTD_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/nlsh.h"

struct nlsh__zstd_stream;

/* At the first byte; *stream is NULL, or one that goes back there. Borrows bytes and name. NLSH_E_NOMEM;
 * NLSH_E_UNSUPPORTED where the build did not find libzstd. */
enum nlsh_status nlsh__zstd_begin(struct nlsh__zstd_stream **stream, const uint8_t *bytes,
                                  size_t size, const char *name, struct nlsh_error *error);
void nlsh__zstd_end(struct nlsh__zstd_stream *stream);

/* Up to size bytes; fewer only where *ended becomes 1. NLSH_E_DATA: damaged, cut, with something else behind it, with a
 * dictionary or a window of more than 128 MiB. Memory: the window and some 100 KiB. */
enum nlsh_status nlsh__zstd_read(struct nlsh__zstd_stream *stream, uint8_t *out, size_t size,
                                 size_t *got, int *ended, struct nlsh_error *error);

#endif
