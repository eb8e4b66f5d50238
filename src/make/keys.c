/* keys.c - see keys.h. */
#include "make/keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

enum nlsh_status nlsh__check_keys(const uint64_t *keys, size_t n, struct nlsh_error *error)
{
    uint64_t *sorted;
    if (keys == NULL) return NLSH_OK;
    enum nlsh_status status = nlsh__alloc(&sorted, n, sizeof *sorted, error);
    if (status != NLSH_OK) return status;
    memcpy(sorted, keys, n * sizeof *keys);
    qsort(sorted, n, sizeof *sorted, ascending);
    if (sorted[n - 1] == NLSH_NO_KEY)
        status = nlsh__fail(error, NLSH_E_ARG, "give another number",
                            "the key %llu means no vector", (unsigned long long)NLSH_NO_KEY);
    for (size_t i = 1; i < n && status == NLSH_OK; i++)
        if (sorted[i] == sorted[i - 1])
            status = nlsh__fail(error, NLSH_E_ARG, "give each vector a key of its own",
                                "the key %llu is there twice", (unsigned long long)sorted[i]);
    nlsh__free(sorted);
    return status;
}
