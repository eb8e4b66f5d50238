/* large.h - memory for a whole set of vectors. */
#ifndef NLSH_VECTORS_LARGE_H
#define NLSH_VECTORS_LARGE_H

#include <stddef.h>

#include "nlsh/nlsh.h"

/* nlsh__alloc(), asking for huge pages where it is many megabytes: filling 512 MB for the first
 * time took 1.2 s of processor time with them and 2.1 s without (a busy virtual machine). */
enum nlsh_status nlsh__alloc_large(void *out, size_t count, size_t size, struct nlsh_error *error);

#endif
