/* memory.c - see memory.h. */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

int nlsh__mul(size_t a, size_t b, size_t *product)
{
    return __builtin_mul_overflow(a, b, product) ? -1 : 0;
}

static enum nlsh_status allocate(void *out, size_t count, size_t size, int clear,
                                 struct nlsh_error *error)
{
    size_t bytes, padded;
    void *memory = NULL;
    if (nlsh__mul(count, size, &bytes) == 0 && bytes <= SIZE_MAX - 2 * NLSH_ALIGN) {
        padded = (bytes + NLSH_ALIGN) / NLSH_ALIGN * NLSH_ALIGN;
        memory = aligned_alloc(NLSH_ALIGN, padded);
        if (memory != NULL && clear)
            memset(memory, 0, padded);
        else if (memory != NULL)
            memset((char *)memory + bytes, 0, padded - bytes);
    }
    memcpy(out, &memory, sizeof memory);
    if (memory != NULL) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_NOMEM, "free some memory, or use fewer vectors or threads",
                      "out of memory: %zu x %zu bytes could not be had", count, size);
}

enum nlsh_status nlsh__alloc(void *out, size_t count, size_t size, struct nlsh_error *error)
{
    return allocate(out, count, size, 0, error);
}

enum nlsh_status nlsh__calloc(void *out, size_t count, size_t size, struct nlsh_error *error)
{
    return allocate(out, count, size, 1, error);
}
