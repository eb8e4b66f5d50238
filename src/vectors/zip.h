/* zip.h - the one array of a .npz file, which is a zip file of .npy files. */
#ifndef NLSH_VECTORS_ZIP_H
#define NLSH_VECTORS_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/nlsh.h"

struct nlsh__zip_member {
    const uint8_t *bytes; /* in the zip file */
    size_t size;
    int deflated; /* 0: the bytes are the member; 1: a raw deflate stream is */
};

int nlsh__is_zip(const uint8_t *bytes, size_t size);

/* NLSH_E_DATA: no whole zip file, not one member alone (the message names the first ones), encrypted,
 * compressed in another way, or of 4 GiB and more. */
enum nlsh_status nlsh__zip_only_member(const uint8_t *bytes, size_t size, const char *name,
                                       struct nlsh__zip_member *out, struct nlsh_error *error);

#endif
