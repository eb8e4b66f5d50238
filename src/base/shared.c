/* shared.c - see shared.h. The count stands in the 64 bytes in front of the memory. */
#include "base/shared.h"

#include <stdatomic.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"

struct count {
    _Atomic size_t owners;
};

static struct count *count_of(void *memory)
{
    return (struct count *)(void *)((char *)memory - NLSH_ALIGN);
}

enum nlsh_status nlsh__shared_create(void *out, size_t size, struct nlsh_error *error)
{
    void **memory = out;
    struct count *count = NULL;
    *memory = NULL;
    enum nlsh_status status = nlsh__calloc(
        &count, size <= SIZE_MAX - NLSH_ALIGN ? size + NLSH_ALIGN : SIZE_MAX, 1, error);
    if (status != NLSH_OK) return status;
    atomic_init(&count->owners, 1);
    *memory = (char *)count + NLSH_ALIGN;
    return NLSH_OK;
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
    if (atomic_fetch_sub_explicit(&count_of(memory)->owners, 1, memory_order_acq_rel) == 1)
        nlsh__free(count_of(memory));
}
