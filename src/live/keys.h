/* keys.h - which row a key stands for. */
#ifndef NLSH_LIVE_KEYS_H
#define NLSH_LIVE_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/nlsh.h"

#define NLSH__NO_ROW UINT32_MAX

/* A table with room for twice its keys. Begins as zeros. */
struct nlsh__keys {
    uint64_t *keys; /* [room], NLSH_NO_KEY where nothing is */
    uint32_t *rows;
    size_t n, room;
    uint64_t seed; /* of the places; drawn with the first room */
};

void nlsh__keys_free(struct nlsh__keys *keys);
/* Room for n more keys. NLSH_E_NOMEM. */
enum nlsh_status nlsh__keys_reserve(struct nlsh__keys *keys, size_t n, struct nlsh_error *error);
/* The row of a key from now on; there is room. */
void nlsh__keys_put(struct nlsh__keys *keys, uint64_t key, uint32_t row);
/* NLSH__NO_ROW where the key was never put. */
uint32_t nlsh__keys_find(const struct nlsh__keys *keys, uint64_t key);

#endif
