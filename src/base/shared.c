/*
 * shared.c - see shared.h. The count stands in the 64 bytes in front of the memory. Much memory is on huge pages: a
 * search reads it here and there (base/resident.h).
 */
#include "base/shared.h"

#include <stdatomic.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/resident.h"

enum { MUCH = 1 << 21 }; /* a huge page */

struct count {
    _Atomic size_t owners;
    struct nlsh__map map; /* that all is in; empty: in the allocator's memory */
};

_Static_assert(sizeof(struct count) <= NLSH_ALIGN, "the count fits in front of the memory");

static struct count *count_of(void *memory)
{
    return (struct count *)(void *)((char *)memory - NLSH_ALIGN);
}

enum nlsh_status nlsh__shared_create(void *out, size_t size, struct nlsh_error *error)
{
    enum nlsh_status status;
    void **memory = out, *begin = NULL;
    struct nlsh__map map = {0};
    size_t all = size <= SIZE_MAX - NLSH_ALIGN ? size + NLSH_ALIGN : SIZE_MAX;
    *memory = NULL;
    if (all < MUCH) {
        NLSH_TRY(nlsh__calloc(&begin, all, 1, error));
    } else {
        NLSH_TRY(nlsh__map_anonymous(all, &map, error));
        begin = (void *)(uintptr_t)map.data;
    }
    struct count *count = begin;
    count->map = map;
    atomic_init(&count->owners, 1);
    *memory = (char *)begin + NLSH_ALIGN;
out:
    return status;
}

void *nlsh__shared_keep(void *memory)
{
    if (memory != NULL)
        atomic_fetch_add_explicit(&count_of(memory)->owners, 1, memory_order_relaxed);
    return memory;
}

void nlsh__shared_drop(void *memory)
{
    if (memory == NULL) return;
    /* what the others wrote and read is done before the memory goes */
    struct count *count = count_of(memory);
    if (atomic_fetch_sub_explicit(&count->owners, 1, memory_order_acq_rel) != 1) return;
    struct nlsh__map map = count->map;
    if (map.data != NULL)
        nlsh__map_close(&map);
    else
        nlsh__free(count);
}
