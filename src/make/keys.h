/* keys.h - a caller's keys of a base. */
#ifndef NLSH_MAKE_KEYS_H
#define NLSH_MAKE_KEYS_H

#include "nlsh/nlsh.h"

/* NLSH_E_ARG where one of n is there twice, or is NLSH_NO_KEY; NULL is well. O(n log n); NLSH_E_NOMEM. */
enum nlsh_status nlsh__check_keys(const uint64_t *keys, size_t n, struct nlsh_error *error);

#endif
