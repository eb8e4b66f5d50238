/* prefetch.h - asks for a cache line ahead of its use, in a way that no compiler leaves out. */
#ifndef NLSH_KERNELS_PREFETCH_H
#define NLSH_KERNELS_PREFETCH_H

#include <stddef.h>

/* gcc 12 takes a function that does nothing but __builtin_prefetch() for one without effect and
 * drops the call, inlined or not; asm volatile has to stay. An address outside of memory does no
 * harm. */
static inline void nlsh__prefetch(const void *at)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetcht0 %0" : : "m"(*(const char *)at));
#elif defined(__aarch64__)
    __asm__ volatile("prfm pldl1keep, %0" : : "Q"(*(const char *)at));
#else
    __builtin_prefetch(at);
#endif
}

/* All lines that hold size bytes from at on. */
static inline void nlsh__prefetch_bytes(const void *at, size_t size)
{
    for (size_t i = 0; i < size; i += 64) nlsh__prefetch((const char *)at + i);
    if (size > 0) nlsh__prefetch((const char *)at + size - 1);
}

#endif
