/*
 * spool.h - arrays that may be larger than memory: each a file without a name, mapped.
 *
 * What is written goes to the disk when memory is wanted elsewhere. The room is reserved at once, so a full disk is an
 * error here and no signal later. Nothing is left when the process ends, however it ends.
 */
#ifndef NLSH_BASE_SPOOL_H
#define NLSH_BASE_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/nlsh.h"

struct nlsh__spool {
    void *data; /* [size] zeros at first; NULL: none */
    size_t size;
};

/* How it will be gone through: a page that comes back from the disk brings no others along, or the next ones. */
enum nlsh__spool_use { NLSH__SPOOL_SCATTERED, NLSH__SPOOL_IN_ORDER };

/* count x size bytes on the disk where the file beside lies, or will lie. NLSH_E_CANT_CREATE (no room, no rights),
 * NLSH_E_NOMEM. */
enum nlsh_status nlsh__spool_create(const char *beside, size_t count, size_t size,
                                    struct nlsh__spool *out, struct nlsh_error *error);
/* Whether there is room for so many bytes, as far as the disk says; nothing is reserved. NLSH_E_CANT_CREATE. */
enum nlsh_status nlsh__spool_check(const char *beside, uint64_t bytes, struct nlsh_error *error);
/* At first it is SCATTERED. */
void nlsh__spool_use(const struct nlsh__spool *spool, enum nlsh__spool_use use);
void nlsh__spool_free(struct nlsh__spool *spool);

#endif
