/* heap.h - a binary heap of (key, id), least first, ties by id. An id may be in it many times; who
 * uses it knows which entry still holds. */
#ifndef NLSH_PARTITION_HEAP_H
#define NLSH_PARTITION_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/nlsh.h"

struct nlsh__heap_entry {
    int64_t key;
    uint32_t id;
};

/* All zeros is an empty heap. */
struct nlsh__heap {
    struct nlsh__heap_entry *entries;
    size_t n, capacity;
};

/* NLSH_E_NOMEM. */
enum nlsh_status nlsh__heap_push(struct nlsh__heap *heap, int64_t key, uint32_t id,
                                 struct nlsh_error *error);
/* 0 where it is empty. */
int nlsh__heap_pop(struct nlsh__heap *heap, int64_t *key, uint32_t *id);
/* Empties it and keeps its memory. */
void nlsh__heap_clear(struct nlsh__heap *heap);
void nlsh__heap_free(struct nlsh__heap *heap);

#endif
