/* shared.h - memory that several owners read: it is freed with the last of them. */
#ifndef NLSH_BASE_SHARED_H
#define NLSH_BASE_SHARED_H

#include <stddef.h>

#include "nlsh/nlsh.h"

/* size bytes with one owner, cleared and aligned to 64; *out is NULL on failure: NLSH_E_NOMEM. */
enum nlsh_status nlsh__shared_create(void *out, size_t size, struct nlsh_error *error);
/* One owner more; returns memory, which may be NULL. Any thread that owns it may call this. */
void *nlsh__shared_keep(void *memory);
/* One owner less. Accepts NULL. */
void nlsh__shared_drop(void *memory);

#endif
