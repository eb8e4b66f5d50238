/*
 * resident.c - see resident.h. A scan of codes and the ranking of rows touch many pages a query, and
 * on pages of 4 KiB each costs a walk through tables; on pages of 2 MiB the tables' cache holds them
 * all. Linux gives those for the asking (madvise), and only to anonymous memory.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS, madvise */
#include "base/resident.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

#define HUGE ((size_t)2 << 20)

size_t nlsh__page_size(void)
{
    long size = sysconf(_SC_PAGESIZE);
    return size > 0 ? (size_t)size : 4096;
}

enum nlsh_status nlsh__map_anonymous(size_t size, struct nlsh__map *out, struct nlsh_error *error)
{
    size_t page = nlsh__page_size();
    *out = (struct nlsh__map){0};
    if (size == 0) return NLSH_OK;
    uint8_t *at = MAP_FAILED;
    if (size <= SIZE_MAX / 2)
        at = mmap(NULL, size + HUGE + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                  0);
    if (at == MAP_FAILED)
        return nlsh__fail(error, NLSH_E_NOMEM, "open the index with its vectors left on disk",
                          "out of memory: %zu bytes could not be had", size);
    /* What lies before the first and behind the last byte goes back. */
    uint8_t *first = at + (HUGE - (uintptr_t)at % HUGE) % HUGE;
    uint8_t *end = first + (size + page - 1) / page * page, *all = at + size + HUGE + page;
    all -= (uintptr_t)all % page;
    if (first > at) munmap(at, (size_t)(first - at));
    if (all > end) munmap(end, (size_t)(all - end));
#ifdef MADV_HUGEPAGE
    (void)madvise(first, (size_t)(end - first), MADV_HUGEPAGE);
#endif
    *out = (struct nlsh__map){first, size};
    return NLSH_OK;
}

enum nlsh_status nlsh__map_read(const char *path, struct nlsh__map *out, struct nlsh_error *error)
{
    struct nlsh__map map;
    enum nlsh_status status = nlsh__map_open(path, &map, error);
    *out = (struct nlsh__map){0};
    if (status != NLSH_OK) return status;
    status = nlsh__map_anonymous(map.size, out, error);
    if (status == NLSH_OK && map.size > 0) memcpy((void *)(uintptr_t)out->data, map.data, map.size);
    nlsh__map_close(&map);
    return status;
}

void nlsh__map_scattered(const struct nlsh__map *map, size_t offset, size_t size)
{
    size_t page = nlsh__page_size(), first = (offset + page - 1) / page * page;
    size_t end = (offset + size) / page * page;
    if (map->data != NULL && end > first)
        (void)madvise((void *)(uintptr_t)(map->data + first), end - first, MADV_RANDOM);
}

void nlsh__map_forget(const struct nlsh__map *map)
{
    if (map->data != NULL) (void)madvise((void *)(uintptr_t)map->data, map->size, MADV_DONTNEED);
}
