/* large.c - see large.h. The advice is only that: where it is refused, nothing changes. */
#define _DEFAULT_SOURCE
#include "vectors/large.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"

#define WORTH_IT ((size_t)8 << 20)
#define PAGE ((uintptr_t)4096) /* a wrong size makes the kernel refuse, which is harmless */

enum nlsh_status nlsh__alloc_large(void *out, size_t count, size_t size, struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__alloc(out, count, size, error);
#ifdef MADV_HUGEPAGE
    if (status == NLSH_OK && count * size >= WORTH_IT) {
        void *memory;
        memcpy(&memory, out, sizeof memory);
        uintptr_t first = ((uintptr_t)memory + PAGE - 1) / PAGE * PAGE;
        uintptr_t last = ((uintptr_t)memory + count * size) / PAGE * PAGE;
        (void)madvise((void *)first, last - first, MADV_HUGEPAGE);
    }
#endif
    return status;
}
