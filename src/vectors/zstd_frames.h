/* zstd_frames.h - what zstd frames (RFC 8878) say of their sizes, without unpacking them. */
#ifndef NLSH_VECTORS_ZSTD_FRAMES_H
#define NLSH_VECTORS_ZSTD_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/learn.h"

/* They begin as a frame does; a frame that decoders skip is one too. */
int nlsh__zstd_frame_begins(const uint8_t *bytes, size_t size);

/* They begin with a frame that holds data, frames to be skipped before it aside. */
int nlsh__is_zstd(const uint8_t *bytes, size_t size);

struct nlsh__zstd_sizes {
    uint64_t
        length; /* what frames say that they hold; NLSH__UNKNOWN where one does not say it or cannot hold it */
    uint64_t bound; /* more than so many bytes cannot come out, whatever they say */
    int cut;        /* the file ends inside of a frame */
};

/*
 * nlsh__zstd_sizes() - goes over the heads of frames and blocks.
 *
 *  name  for messages
 *  run   or NULL; its progress function is called every few megabytes
 * Damaged and truncated files have sizes, too: of what stands before the damage, and the length is NLSH__UNKNOWN.
 * NLSH_E_INTERRUPTED. Cost: it touches a page a block, which is of 128 KiB mostly.
 */
enum nlsh_status nlsh__zstd_sizes(const uint8_t *bytes, size_t size, const char *name,
                                  const struct nlsh_run *run, struct nlsh__zstd_sizes *out,
                                  struct nlsh_error *error);

#endif
