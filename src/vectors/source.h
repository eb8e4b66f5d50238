/* source.h - a file's bytes in order, unpacked where they are compressed. */
#ifndef NLSH_VECTORS_SOURCE_H
#define NLSH_VECTORS_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/learn.h"

struct nlsh__source;

/* How bytes are packed: not at all; RFC 1952; RFC 1951 alone, a stream and nothing behind it; RFC 8878. */
enum nlsh__packing { NLSH__PLAIN = 0, NLSH__GZIP, NLSH__DEFLATE, NLSH__ZSTD };

/* Borrows bytes, name and run. run (or NULL): its progress function is called
 * every few megabytes and may stop the reading with NLSH_E_INTERRUPTED. NLSH_E_UNSUPPORTED: a packing that the build
 * left out. */
enum nlsh_status nlsh__source_open(const uint8_t *bytes, size_t size, enum nlsh__packing packing,
                                   const char *name, const struct nlsh_run *run,
                                   struct nlsh__source **out, struct nlsh_error *error);
void nlsh__source_close(struct nlsh__source *source);

/* The bytes at the beginning: all, or at least 64 KiB. Call before reading or after a rewind. */
enum nlsh_status nlsh__source_head(struct nlsh__source *source, const uint8_t **head,
                                   size_t *head_size, struct nlsh_error *error);

/* Up to size bytes; fewer only at the end. out NULL: skips them. NLSH_E_DATA where what is packed
 * is damaged or cut. */
enum nlsh_status nlsh__source_read(struct nlsh__source *source, void *out, uint64_t size,
                                   uint64_t *got, struct nlsh_error *error);
enum nlsh_status nlsh__source_rewind(struct nlsh__source *source, struct nlsh_error *error);

/* The length, or NLSH__UNKNOWN: of a gzip stream, and of zstd frames that do not say it, it is known once the end has
 * been read. And what it cannot exceed. */
uint64_t nlsh__source_length(const struct nlsh__source *source);
uint64_t nlsh__source_bound(const struct nlsh__source *source);

/* ---- what the unpackers share ---------------------------------------------------------------- */

/* Bytes between two looks at a run: some milliseconds. */
#define NLSH__LOOK_EVERY ((uint64_t)4 << 20)

/* NLSH_E_INTERRUPTED where run (or NULL) wants no more of the file. */
enum nlsh_status nlsh__look_at_run(const struct nlsh_run *run, const char *name,
                                   struct nlsh_error *error);

/* NLSH_E_DATA: what is wrong with it; a kind of stream lacks its end; rest bytes behind the end are not of that kind. */
enum nlsh_status nlsh__packed_damaged(const char *name, const char *what, struct nlsh_error *error);
enum nlsh_status nlsh__packed_cut(const char *name, const char *kind, struct nlsh_error *error);
enum nlsh_status nlsh__packed_followed(const char *name, const char *kind, size_t rest,
                                       struct nlsh_error *error);

#endif
