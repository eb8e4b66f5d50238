/*
 * resident.c - see resident.h. A scan of codes and the ranking of rows touch many pages a query, and
 * on pages of 4 KiB each costs a walk through tables; on pages of 2 MiB the tables' cache holds them
 * all. Linux gives those for the asking (madvise), and only to anonymous memory.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS, madvise */
#include "base/resident.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/types.h>
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

/* Reads, and does not copy from a map: pages of a map that were touched count as this process's, too. */
static enum nlsh_status read_whole(int fd, const char *path, const struct nlsh__map *to,
                                   struct nlsh_error *error)
{
    for (size_t done = 0; done < to->size;) {
        ssize_t n = read(fd, (uint8_t *)(uintptr_t)to->data + done, to->size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return nlsh__fail_errno(error, NLSH_E_IO, errno, NULL, "%s", path);
        if (n == 0)
            return nlsh__fail(error, NLSH_E_IO, "read it again when nothing else writes it",
                              "%s: became shorter while it was read", path);
        done += (size_t)n;
    }
    return NLSH_OK;
}

enum nlsh_status nlsh__map_read(const char *path, struct nlsh__map *out, struct nlsh_error *error)
{
    int fd;
    size_t size;
    *out = (struct nlsh__map){0};
    enum nlsh_status status = nlsh__regular_open(path, &fd, &size, error);
    if (status != NLSH_OK) return status;
    status = nlsh__map_anonymous(size, out, error);
    if (status == NLSH_OK) status = read_whole(fd, path, out, error);
    if (status != NLSH_OK) nlsh__map_close(out);
    close(fd);
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
