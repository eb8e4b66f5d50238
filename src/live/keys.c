/*
 * keys.c - see keys.h.
 *
 * Open addressing (Knuth, volume 3, 6.4). Keys are the caller's, and a log may come from a stranger: with places that he
 * can compute he would choose keys that all want the same one, and each put would look at all before it. So a key's
 * place is a hash of the key and a number that every table draws for itself (after Crosby and Wallach, "Denial of
 * service via algorithmic complexity attacks", 2003). No answer depends on places.
 */
#include "live/keys.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/hash.h"
#include "base/memory.h"

enum { LEAST_ROOM = 64 };

void nlsh__keys_free(struct nlsh__keys *keys)
{
    nlsh__free(keys->keys);
    nlsh__free(keys->rows);
    *keys = (struct nlsh__keys){.n = 0};
}

static uint64_t draw_seed(const void *address)
{
    uint64_t seed;
    struct timespec now;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed) return seed;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_nsec << 32 ^ (uint64_t)(uintptr_t)address;
}

/* Where a key stands, or would. */
static size_t slot_of(const struct nlsh__keys *keys, uint64_t key)
{
    const uint64_t both[] = {keys->seed, key};
    size_t slot = (size_t)nlsh__hash_of(both, sizeof both) & (keys->room - 1);
    while (keys->keys[slot] != NLSH_NO_KEY && keys->keys[slot] != key)
        slot = (slot + 1) & (keys->room - 1);
    return slot;
}

enum nlsh_status nlsh__keys_reserve(struct nlsh__keys *keys, size_t n, struct nlsh_error *error)
{
    struct nlsh__keys more = {.room = LEAST_ROOM, .seed = keys->seed};
    if (n > SIZE_MAX / 8 - keys->n) n = SIZE_MAX / 8 - keys->n;
    if (keys->n + n <= keys->room / 2) return NLSH_OK;
    while (more.room / 2 < keys->n + n) more.room *= 2;
    enum nlsh_status status = nlsh__alloc(&more.keys, more.room, sizeof *more.keys, error);
    if (status == NLSH_OK) status = nlsh__alloc(&more.rows, more.room, sizeof *more.rows, error);
    if (status != NLSH_OK) {
        nlsh__keys_free(&more);
        return status;
    }
    if (keys->room == 0) more.seed = draw_seed(more.keys);
    for (size_t i = 0; i < more.room; i++) more.keys[i] = NLSH_NO_KEY;
    for (size_t i = 0; i < keys->room; i++)
        if (keys->keys[i] != NLSH_NO_KEY) nlsh__keys_put(&more, keys->keys[i], keys->rows[i]);
    nlsh__keys_free(keys);
    *keys = more;
    return NLSH_OK;
}

void nlsh__keys_put(struct nlsh__keys *keys, uint64_t key, uint32_t row)
{
    size_t slot = slot_of(keys, key);
    keys->n += keys->keys[slot] == NLSH_NO_KEY;
    keys->keys[slot] = key;
    keys->rows[slot] = row;
}

uint32_t nlsh__keys_find(const struct nlsh__keys *keys, uint64_t key)
{
    if (keys->room == 0) return NLSH__NO_ROW;
    size_t slot = slot_of(keys, key);
    return keys->keys[slot] == NLSH_NO_KEY ? NLSH__NO_ROW : keys->rows[slot];
}
