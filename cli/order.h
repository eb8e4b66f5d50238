/* order.h - keys in ascending order. */
#ifndef NLSH_CLI_ORDER_H
#define NLSH_CLI_ORDER_H

#include <stddef.h>
#include <stdint.h>

/* [n] places of keys, the smallest key's first; equal keys in the order of their places. 0 or an exit code after
 * saying why. */
int order_by_key(const uint64_t *keys, size_t n, size_t *places);

#endif
