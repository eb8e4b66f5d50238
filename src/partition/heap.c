/* heap.c - see heap.h. The textbook's binary heap; a hole is moved instead of swapping. */
#include "partition/heap.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static int before(struct nlsh__heap_entry a, struct nlsh__heap_entry b)
{
    return a.key != b.key ? a.key < b.key : a.id < b.id;
}

static enum nlsh_status make_room(struct nlsh__heap *heap, struct nlsh_error *error)
{
    struct nlsh__heap_entry *entries;
    size_t capacity = heap->capacity > 0 ? 2 * heap->capacity : 256;
    enum nlsh_status status = nlsh__alloc(&entries, capacity, sizeof *entries, error);
    if (status != NLSH_OK) return status;
    if (heap->n > 0) memcpy(entries, heap->entries, heap->n * sizeof *entries);
    nlsh__free(heap->entries);
    heap->entries = entries;
    heap->capacity = capacity;
    return NLSH_OK;
}

enum nlsh_status nlsh__heap_push(struct nlsh__heap *heap, int64_t key, uint32_t id,
                                 struct nlsh_error *error)
{
    struct nlsh__heap_entry entry = {key, id};
    if (heap->n == heap->capacity) {
        enum nlsh_status status = make_room(heap, error);
        if (status != NLSH_OK) return status;
    }
    size_t hole = heap->n++;
    for (; hole > 0 && before(entry, heap->entries[(hole - 1) / 2]); hole = (hole - 1) / 2)
        heap->entries[hole] = heap->entries[(hole - 1) / 2];
    heap->entries[hole] = entry;
    return NLSH_OK;
}

int nlsh__heap_pop(struct nlsh__heap *heap, int64_t *key, uint32_t *id)
{
    if (heap->n == 0) return 0;
    *key = heap->entries[0].key;
    *id = heap->entries[0].id;
    struct nlsh__heap_entry last = heap->entries[--heap->n];
    size_t hole = 0;
    for (size_t child = 1; child < heap->n; child = 2 * hole + 1) {
        if (child + 1 < heap->n && before(heap->entries[child + 1], heap->entries[child])) child++;
        if (!before(heap->entries[child], last)) break;
        heap->entries[hole] = heap->entries[child];
        hole = child;
    }
    if (heap->n > 0) heap->entries[hole] = last;
    return 1;
}

void nlsh__heap_clear(struct nlsh__heap *heap)
{
    heap->n = 0;
}

void nlsh__heap_free(struct nlsh__heap *heap)
{
    nlsh__free(heap->entries);
    *heap = (struct nlsh__heap){0};
}
