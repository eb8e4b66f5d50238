/* memory.h - checked allocation, aligned for the widest vectors, from the caller's allocator. */
#ifndef NLSH_BASE_MEMORY_H
#define NLSH_BASE_MEMORY_H

#include <stddef.h>

#include "nlsh/nlsh.h"

#define NLSH_ALIGN 64 /* a cache line, and the widest vector register */

/* count x size bytes, aligned to NLSH_ALIGN, padded to a multiple of it, not cleared. *out is NULL
 * on failure (overflow included): NLSH_E_NOMEM. A count of 0 gives a valid pointer. Freed with
 * nlsh__free(). The padding behind the end is zero. */
enum nlsh_status nlsh__alloc(void *out, size_t count, size_t size, struct nlsh_error *error);

/* The same, cleared. */
enum nlsh_status nlsh__calloc(void *out, size_t count, size_t size, struct nlsh_error *error);

/* Accepts NULL. */
void nlsh__free(void *memory);

/* 0 and *product = a x b, or -1 on overflow. */
int nlsh__mul(size_t a, size_t b, size_t *product);

#endif
