/*
 * memory.c - see memory.h. What is in use is counted, so that the allocator is not changed under memory
 * that another one gave.
 */
#include "base/memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static void *system_allocate(void *user, size_t size, size_t alignment)
{
    (void)user;
    return aligned_alloc(alignment, size);
}

static void system_release(void *user, void *memory)
{
    (void)user;
    free(memory);
}

static const struct nlsh_allocator system_allocator = {system_allocate, system_release, NULL};
static struct nlsh_allocator allocator = {system_allocate, system_release, NULL};
static atomic_size_t n_in_use;

enum nlsh_status nlsh_set_allocator(const struct nlsh_allocator *wanted, struct nlsh_error *error)
{
    nlsh__error_clear(error);
    if (wanted != NULL && (wanted->allocate == NULL || wanted->release == NULL))
        return nlsh__fail(error, NLSH_E_ARG, "give both", "an allocator without %s",
                          wanted->allocate == NULL ? "allocate" : "release");
    size_t n = atomic_load(&n_in_use);
    if (n > 0)
        return nlsh__fail(error, NLSH_E_ARG, "call it before everything else",
                          "the allocator cannot change: %zu blocks are in use", n);
    allocator = wanted != NULL ? *wanted : system_allocator;
    return NLSH_OK;
}

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
        memory = allocator.allocate(allocator.user, padded, NLSH_ALIGN);
        if (memory != NULL && clear)
            memset(memory, 0, padded);
        else if (memory != NULL)
            memset((char *)memory + bytes, 0, padded - bytes);
    }
    memcpy(out, &memory, sizeof memory);
    if (memory != NULL) {
        atomic_fetch_add(&n_in_use, 1);
        return NLSH_OK;
    }
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

void nlsh__free(void *memory)
{
    if (memory == NULL) return;
    atomic_fetch_sub(&n_in_use, 1);
    allocator.release(allocator.user, memory);
}
